// An emulator of CUDA on the CPU: enough of the driver, NVRTC and cuBLAS for libgpuarray to compile
// and run Theano's graphs for the GPU where there is none.  It shows that results are right, but
// nothing about real GPUs or speed.
//
//   -DDRIVER   libcuda.so.1: the device's memory is the host's, and any access past its end kills
//              the process; a kernel runs block by block, with its threads as coroutines that take
//              turns at each barrier; a kernel that a real NVRTC compiled does nothing (it only has
//              to compile)
//   -DNVRTC    libnvrtc.so.12: g++ compiles a kernel; its "PTX" is the name of the new library
//   -DCUBLAS   libcublas.so.12: products as loops
//
// Environment:
//   EMULATOR_HOST_PAGES=1    the device uses the host's memory as its own, and copies to and from
//                            it happen only when the stream is waited for
//   EMULATOR_LOG             a file that gets a line per launch
//   EMULATOR_MEMORY          the device's memory in bytes
//   EMULATOR_ORDER=reverse   the last block and thread run first
//   EMULATOR_PTX             a folder for what a real NVRTC compiled
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#define API extern "C" __attribute__((visibility("default")))

#ifdef DRIVER
#include <dlfcn.h>
#include <sys/mman.h>
#include <ucontext.h>

#include <map>
#include <string>
#include <vector>

enum { OK = 0, INVALID_VALUE = 1, OUT_OF_MEMORY = 2, NO_DEVICE = 100, NOT_FOUND = 500 };

static int number_from(const char *name, int otherwise) {
    const char *text = getenv(name);
    return text ? atoi(text) : otherwise;
}
static size_t memory() {
    const char *text = getenv("EMULATOR_MEMORY");
    return text ? strtoull(text, NULL, 10) : (size_t)4 << 30;
}
static void note(const char *what, const char *name) {
    const char *path = getenv("EMULATOR_LOG");
    if (!path) return;
    FILE *file = fopen(path, "a");
    fprintf(file, "%s %s\n", what, name);
    fclose(file);
}

API int cuInit(unsigned) { return OK; }
// NVRTC from CUDA 12 on asks a driver that it finds for tables of its own, and does without them.
API int cuGetExportTable(const void **table, const void *) { *table = NULL; return NOT_FOUND; }
API int cuDriverGetVersion(int *v) { *v = number_from("EMULATOR_DRIVER", 12090); return OK; }
API int cuGetErrorName(int e, const char **s) {
    *s = e == OUT_OF_MEMORY ? "CUDA_ERROR_OUT_OF_MEMORY" : "CUDA_ERROR";
    return OK;
}
API int cuGetErrorString(int e, const char **s) {
    *s = e == OUT_OF_MEMORY ? "out of memory" : "error of the emulator";
    return OK;
}
API int cuDeviceGet(int *d, int n) { *d = n; return OK; }
API int cuDeviceGetCount(int *n) { *n = number_from("EMULATOR_DEVICES", 1); return OK; }
API int cuDeviceGetName(char *s, int n, int) { snprintf(s, n, "Emulator"); return OK; }
API int cuDeviceGetPCIBusId(char *s, int n, int) { snprintf(s, n, "0000:00:00.0"); return OK; }
API int cuDeviceTotalMem_v2(size_t *n, int) { *n = memory(); return OK; }
API int cuDeviceGetAttribute(int *v, int attribute, int) {
    switch (attribute) {
    case 1: case 2: case 3: *v = 1024; break;            // threads per block, in all and in x, y
    case 4: *v = 64; break;                              // in z
    case 5: *v = 2147483647; break;                      // blocks in x
    case 6: case 7: *v = 65535; break;                   // in y and z
    case 8: *v = 49152; break;                           // shared memory per block
    case 10: *v = 32; break;                             // threads per warp
    case 16: *v = 4; break;                              // multiprocessors
    case 75: *v = number_from("EMULATOR_CAPABILITY", 90) / 10; break;
    case 76: *v = number_from("EMULATOR_CAPABILITY", 90) % 10; break;
    case 88: *v = number_from("EMULATOR_HOST_PAGES", 0); break;
    default: *v = 1;                                     // unified addressing, ...
    }
    return OK;
}
API int cuDevicePrimaryCtxGetState(int, unsigned *f, int *on) { *f = 0; *on = 0; return OK; }
API int cuDevicePrimaryCtxSetFlags(int, unsigned) { return OK; }
API int cuDevicePrimaryCtxRelease(int) { return OK; }
API int cuDevicePrimaryCtxRetain(void **c, int) { *c = (void *)1; return OK; }
API int cuCtxGetDevice(int *d) { *d = 0; return OK; }
API int cuCtxPushCurrent_v2(void *) { return OK; }
API int cuCtxPopCurrent_v2(void **) { return OK; }

// --- memory ---
static std::map<uintptr_t, size_t> blocks;
static size_t in_use = 0;

API int cuMemGetInfo_v2(size_t *free_, size_t *total) {
    *total = memory();
    *free_ = *total - in_use;
    return OK;
}
// A block ends where its own pages end; the pages before and after are protected.
// libgpuarray cuts blocks of 4 MiB into pieces, but for gpuarray.preallocate=-1.
static const size_t PAGE = 4096, ALIGNED = 64;
static size_t whole(size_t n, size_t unit) { return (n + unit - 1) / unit * unit; }

API int cuMemAlloc_v2(uintptr_t *p, size_t n) {
    if (!n) return INVALID_VALUE;
    if (in_use + n > memory()) return OUT_OF_MEMORY;
    size_t pages = whole(n, PAGE);
    char *area = (char *)mmap(NULL, pages + 2 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (area == MAP_FAILED) return OUT_OF_MEMORY;
    mprotect(area + PAGE, pages, PROT_READ | PROT_WRITE);
    memset(area + PAGE, 0xff, pages);  // NaN, so that reading before writing shows
    *p = (uintptr_t)area + PAGE + pages - whole(n, ALIGNED);
    blocks[*p] = n;
    in_use += n;
    return OK;
}
API int cuMemFree_v2(uintptr_t p) {
    if (!blocks.count(p)) return INVALID_VALUE;
    size_t n = blocks[p];
    munmap((char *)(p / PAGE * PAGE - PAGE), whole(n, PAGE) + 2 * PAGE);
    in_use -= n;
    blocks.erase(p);
    return OK;
}
API int cuMemAllocHost_v2(void **p, size_t n) { *p = malloc(n); return *p ? OK : OUT_OF_MEMORY; }
API int cuMemFreeHost(void *p) { free(p); return OK; }
struct Copy { void *to; const void *from; size_t n; };
static std::vector<Copy> late;
static void finish() {
    for (const Copy &c : late) memmove(c.to, c.from, c.n);
    late.clear();
}
static int copy(const char *what, void *to, const void *from, size_t n, bool at_once = true) {
    char size[32];
    snprintf(size, sizeof size, "%zu", n);
    note(what, size);
    late.push_back(Copy{to, from, n});
    if (at_once || !number_from("EMULATOR_HOST_PAGES", 0)) finish();
    return OK;
}
API int cuMemcpyHtoD_v2(uintptr_t d, const void *s, size_t n) {
    return copy("to_device", (void *)d, s, n);
}
API int cuMemcpyHtoDAsync_v2(uintptr_t d, const void *s, size_t n, void *) {
    return copy("to_device", (void *)d, s, n, false);
}
API int cuMemcpyDtoHAsync_v2(void *d, uintptr_t s, size_t n, void *) {
    return copy("to_host", d, (void *)s, n, false);
}
API int cuMemcpyDtoDAsync_v2(uintptr_t d, uintptr_t s, size_t n, void *) {
    return copy("on_device", (void *)d, (void *)s, n);
}
API int cuMemcpyPeerAsync(uintptr_t d, void *, uintptr_t s, void *, size_t n, void *) {
    return copy("on_device", (void *)d, (void *)s, n);
}
API int cuMemsetD8Async(uintptr_t d, unsigned char c, size_t n, void *) {
    memset((void *)d, c, n);
    return OK;
}
API int cuIpcGetMemHandle(void *, uintptr_t) { return NOT_FOUND; }
struct IpcHandle { char bytes[64]; };
API int cuIpcOpenMemHandle(uintptr_t *, IpcHandle, unsigned) { return NOT_FOUND; }
API int cuIpcCloseMemHandle(uintptr_t) { return NOT_FOUND; }

// --- streams and events: everything but late copies happens at once ---
API int cuEventCreate(void **e, unsigned) { *e = (void *)1; return OK; }
API int cuEventRecord(void *, void *) { return OK; }
API int cuEventSynchronize(void *) { finish(); return OK; }
API int cuEventDestroy_v2(void *) { return OK; }
API int cuStreamCreate(void **s, unsigned) { *s = (void *)1; return OK; }
API int cuStreamWaitEvent(void *, void *, unsigned) { return OK; }
API int cuStreamSynchronize(void *) { finish(); return OK; }
API int cuStreamDestroy_v2(void *) { return OK; }

// --- modules: a "cubin" is the path of a shared library ---
API int cuLinkCreate(unsigned, void *, void *, void **s) { *s = new std::string; return OK; }
API int cuLinkAddData(void *s, int, void *data, size_t n, const char *, unsigned, void *, void *) {
    ((std::string *)s)->assign((char *)data, strnlen((char *)data, n));
    return OK;
}
API int cuLinkComplete(void *s, void **bin, size_t *n) {
    *bin = (void *)((std::string *)s)->c_str();
    *n = ((std::string *)s)->size() + 1;
    return OK;
}
API int cuLinkDestroy(void *s) { delete (std::string *)s; return OK; }
static char ptx;  // stands for a module of real PTX
static void keep(const char *text) {
    static int number = 0;
    const char *folder = getenv("EMULATOR_PTX");
    if (!folder) return;
    std::string path = std::string(folder) + "/" + std::to_string(number++) + ".ptx";
    FILE *file = fopen(path.c_str(), "w");
    fputs(text, file);
    fclose(file);
}
API int cuModuleLoadData(void **m, const void *image) {
    if (!strncmp((const char *)image, "//", 2)) {
        keep((const char *)image);
        *m = &ptx;
        return OK;
    }
    *m = dlopen((const char *)image, RTLD_NOW | RTLD_LOCAL);
    if (!*m) fprintf(stderr, "emulator: %s\n", dlerror());
    return *m ? OK : NOT_FOUND;
}
API int cuModuleLoadDataEx(void **m, const void *image, unsigned, void *, void *) {
    return cuModuleLoadData(m, image);
}
API int cuModuleUnload(void *) { return OK; }

// What a compiled kernel's library has for each kernel, beside it (see NVRTC below).
struct Kernel {
    void (*call)(void **);   // the kernel, its arguments taken from pointers
    const char *name;
    bool barriers;
    unsigned *index;         // threadIdx, blockIdx, blockDim, gridDim: 12 numbers
    void (**yield)();        // what its barrier calls
};
API int cuModuleGetFunction(void **f, void *m, const char *name) {
    if (m == &ptx) {
        *f = new Kernel{NULL, strdup(name), false, NULL, NULL};
        return OK;
    }
    *f = dlsym(m, (std::string("emulator_") + name).c_str());
    return *f ? OK : NOT_FOUND;
}
API int cuFuncGetAttribute(int *v, int, void *) { *v = 1024; return OK; }

static ucontext_t scheduler;
static std::vector<ucontext_t> threads;
static std::vector<char> done;
static std::vector<std::vector<char>> stacks;
static size_t current;
static void switch_to_scheduler() { swapcontext(&threads[current], &scheduler); }
static Kernel *running;
static void **running_args;
static void enter() {
    running->call(running_args);
    done[current] = 1;
}

API int cuLaunchKernel(void *f, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by,
                       unsigned bz, unsigned, void *, void **args, void **) {
    Kernel *k = (Kernel *)f;
    note("launch", k->name);
    if (!gx || !gy || !gz || !bx || !by || !bz || gx > 2147483647u || gy > 65535 || gz > 65535 ||
        bz > 64 || (size_t)bx * by * bz > 1024)
        return INVALID_VALUE;
    if (!k->call) return OK;
    const char *order = getenv("EMULATOR_ORDER");
    bool reverse = order && !strcmp(order, "reverse");
    unsigned *index = k->index;
    unsigned sizes[] = {bx, by, bz, gx, gy, gz};
    memcpy(index + 6, sizes, sizeof sizes);
    size_t n = (size_t)bx * by * bz;
    running = k;
    running_args = args;
    *k->yield = switch_to_scheduler;
    for (unsigned z = 0; z < gz; z++) for (unsigned y = 0; y < gy; y++)
    for (unsigned i = 0; i < gx; i++) {
        index[3] = reverse ? gx - 1 - i : i; index[4] = y; index[5] = z;
        if (!k->barriers) {
            for (size_t j = 0; j < n; j++) {
                size_t t = reverse ? n - 1 - j : j;
                index[0] = t % bx; index[1] = t / bx % by; index[2] = t / bx / by;
                k->call(args);
            }
            continue;
        }
        threads.assign(n, ucontext_t());
        done.assign(n, 0);
        if (stacks.size() < n) stacks.resize(n, std::vector<char>(65536));
        for (size_t t = 0; t < n; t++) {
            getcontext(&threads[t]);
            threads[t].uc_stack.ss_sp = stacks[t].data();
            threads[t].uc_stack.ss_size = stacks[t].size();
            threads[t].uc_link = &scheduler;
            makecontext(&threads[t], enter, 0);
        }
        for (size_t left = n; left;) {   // from barrier to barrier
            left = 0;
            for (size_t j = 0; j < n; j++) {
                current = reverse ? n - 1 - j : j;
                if (done[current]) continue;
                index[0] = current % bx;
                index[1] = current / bx % by;
                index[2] = current / bx / by;
                swapcontext(&scheduler, &threads[current]);
                left += !done[current];
            }
        }
    }
    return OK;
}
#endif

#ifdef NVRTC
#include <fstream>
#include <regex>
#include <set>
#include <string>
#include <unistd.h>

struct Program { std::string source, library, log; };

API int nvrtcVersion(int *major, int *minor) { *major = 12; *minor = 9; return 0; }
API int nvrtcGetNumSupportedArchs(int *n) { *n = 2; return 0; }
API int nvrtcGetSupportedArchs(int *a) { a[0] = 50; a[1] = 90; return 0; }
API const char *nvrtcGetErrorString(int) { return "error of the emulator"; }

API int nvrtcCreateProgram(Program **p, const char *source, const char *, int, const char **,
                           const char **) {
    *p = new Program{source, "", ""};
    return 0;
}
API int nvrtcDestroyProgram(Program **p) { delete *p; return 0; }

// In place of cluda.h. A block's shared memory is a static buffer: blocks run one by one.
static const char *header = R"(
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <utility>
using std::max; using std::min; using std::isnan; using std::isinf;
struct Uint3 { unsigned x, y, z; };
static unsigned emulator_index[12];
static void (*emulator_yield)();
#define threadIdx (*(Uint3 *)&emulator_index[0])
#define blockIdx (*(Uint3 *)&emulator_index[3])
#define blockDim (*(Uint3 *)&emulator_index[6])
#define gridDim (*(Uint3 *)&emulator_index[9])
#define warpSize 32
#define GA_WARP_SIZE 32
#define __syncthreads() emulator_yield()
#define local_barrier() emulator_yield()
#define __device__
#define __global__
#define __host__
#define __forceinline__ inline
#define __shared__ static
#define __restrict__
#define __launch_bounds__(...)
#define WITHIN_KERNEL static
#define KERNEL static
#define GLOBAL_MEM
#define LOCAL_MEM static
#define LOCAL_MEM_ARG
static char emulator_shared[65536] __attribute__((aligned(256)));
#define GA_DECL_SHARED_PARAM(type, name)
#define GA_DECL_SHARED_BODY(type, name) type *name = (type *)emulator_shared;
#define LID_0 threadIdx.x
#define LID_1 threadIdx.y
#define LID_2 threadIdx.z
#define LDIM_0 blockDim.x
#define LDIM_1 blockDim.y
#define LDIM_2 blockDim.z
#define GID_0 blockIdx.x
#define GID_1 blockIdx.y
#define GID_2 blockIdx.z
#define GDIM_0 gridDim.x
#define GDIM_1 gridDim.y
#define GDIM_2 gridDim.z
typedef bool ga_bool; typedef signed char ga_byte; typedef unsigned char ga_ubyte;
typedef short ga_short; typedef unsigned short ga_ushort; typedef int ga_int;
typedef unsigned int ga_uint; typedef long long ga_long; typedef unsigned long long ga_ulong;
typedef float ga_float; typedef double ga_double; typedef size_t ga_size;
typedef ptrdiff_t ga_ssize;
typedef struct { ga_ushort data; } ga_half;
static inline float rsqrtf(float x) { return 1 / sqrtf(x); }
static inline float __ldg(const float *p) { return *p; }
static inline float fdividef(float a, float b) { return a / b; }
static inline float __int_as_float(int i) { float f; memcpy(&f, &i, 4); return f; }
template <class T, class U> static T atomicAdd(T *p, U v) { T old = *p; *p += v; return old; }
#define atom_add_fg(a, b) atomicAdd(a, b)
#define atom_add_dg(a, b) atomicAdd(a, b)
#define atom_add_ig(a, b) atomicAdd(a, b)
#define atom_add_Ig(a, b) atomicAdd(a, b)
struct EmulatorKernel {
    void (*call)(void **); const char *name; bool barriers; unsigned *index; void (**yield)();
};
template <class... A, size_t... I>
static void emulator_call(void (*f)(A...), void **args, std::index_sequence<I...>) {
    f(*(typename std::remove_const<A>::type *)args[I]...);
}
template <class... A> static void emulator_call(void (*f)(A...), void **args) {
    emulator_call(f, args, std::index_sequence_for<A...>());
}
)";

API int nvrtcCompileProgram(Program *p, int, const char **) {
    std::string source = std::regex_replace(
        p->source, std::regex("#include[ \t]+[\"<](cluda|cluda_cuda)\\.h[\">]"), "");
    source = std::regex_replace(source, std::regex("extern[ \t]+\"C\""), "");
    source = std::regex_replace(source, std::regex("extern[ \t]+__shared__[ \t]+(\\w+)[ \t]+(\\w+)\\[\\]"),
                                "$1 *$2 = ($1 *)emulator_shared");
    bool barriers = source.find("barrier") != std::string::npos ||
                    source.find("__syncthreads") != std::string::npos;
    std::string table;
    std::regex kernel("(?:KERNEL|__global__)\\s+void\\s+(?:__launch_bounds__\\([^)]*\\)\\s*)?(\\w+)");
    std::set<std::string> names;
    for (std::sregex_iterator m(source.begin(), source.end(), kernel), end; m != end; ++m)
        names.insert((*m)[1]);
    for (const std::string &name : names)
        table += "static void emulator_run_" + name + "(void **a) { emulator_call(" + name +
                 ", a); }\nextern \"C\" EmulatorKernel emulator_" + name + " = {emulator_run_" +
                 name + ", \"" + name + "\", " + (barriers ? "true" : "false") +
                 ", emulator_index, &emulator_yield};\n";
    char folder[] = "/tmp/emulatorXXXXXX";
    if (!mkdtemp(folder)) return 1;
    std::string base = std::string(folder) + "/kernel";
    std::ofstream(base + ".cc") << header << source << "\n" << table;
    std::string command = "g++ -w -O1 -fpermissive -std=c++17 -shared -fPIC -o " + base + ".so " +
                          base + ".cc 2>" + base + ".log";
    int status = system(command.c_str());
    std::ifstream log(base + ".log");
    p->log.assign(std::istreambuf_iterator<char>(log), std::istreambuf_iterator<char>());
    p->library = base + ".so";
    return status ? 6 : 0;
}
API int nvrtcGetProgramLogSize(Program *p, size_t *n) { *n = p->log.size() + 1; return 0; }
API int nvrtcGetProgramLog(Program *p, char *s) { strcpy(s, p->log.c_str()); return 0; }
API int nvrtcGetPTXSize(Program *p, size_t *n) { *n = p->library.size() + 1; return 0; }
API int nvrtcGetPTX(Program *p, char *s) { strcpy(s, p->library.c_str()); return 0; }
#endif

#ifdef CUBLAS
#include <vector>

API int cublasCreate_v2(void **h) { *h = (void *)1; return 0; }
API int cublasDestroy_v2(void *) { return 0; }
API int cublasSetStream_v2(void *, void *) { return 0; }
API int cublasSetPointerMode_v2(void *, int) { return 0; }
API int cublasGetPointerMode_v2(void *, int *m) { *m = 0; return 0; }
API int cublasSetAtomicsMode(void *, int) { return 0; }

// Matrices are stored by columns: element (i, j) of A at A[i + j * lda]; ta: A transposed.
template <class T>
static int gemm(int ta, int tb, int m, int n, int k, T alpha, const T *A, int lda, const T *B,
                int ldb, T beta, T *C, int ldc) {
    for (int j = 0; j < n; j++)
        for (int i = 0; i < m; i++) {
            double sum = 0;
            for (int l = 0; l < k; l++)
                sum += (double)(ta ? A[l + (size_t)i * lda] : A[i + (size_t)l * lda]) *
                       (tb ? B[j + (size_t)l * ldb] : B[l + (size_t)j * ldb]);
            T &c = C[i + (size_t)j * ldc];
            c = (T)(alpha * sum) + (beta == 0 ? 0 : beta * c);
        }
    return 0;
}
#define PRODUCTS(T, X)                                                                            \
    API int cublas##X##gemm_v2(void *, int ta, int tb, int m, int n, int k, const T *alpha,       \
                               const T *A, int lda, const T *B, int ldb, const T *beta, T *C,     \
                               int ldc) {                                                         \
        return gemm(ta, tb, m, n, k, *alpha, A, lda, B, ldb, *beta, C, ldc);                      \
    }                                                                                             \
    API int cublas##X##gemv_v2(void *, int t, int m, int n, const T *alpha, const T *A, int lda,  \
                               const T *x, int incx, const T *beta, T *y, int incy) {             \
        for (int i = 0; i < (t ? n : m); i++) {                                                   \
            double sum = 0;                                                                       \
            for (int j = 0; j < (t ? m : n); j++)                                                 \
                sum += (double)(t ? A[j + (size_t)i * lda] : A[i + (size_t)j * lda]) *            \
                       x[(size_t)j * incx];                                                       \
            T &c = y[(size_t)i * incy];                                                           \
            c = (T)(*alpha * sum) + (*beta == 0 ? 0 : *beta * c);                                 \
        }                                                                                         \
        return 0;                                                                                 \
    }                                                                                             \
    API int cublas##X##ger_v2(void *, int m, int n, const T *alpha, const T *x, int incx,         \
                              const T *y, int incy, T *A, int lda) {                              \
        for (int j = 0; j < n; j++)                                                               \
            for (int i = 0; i < m; i++)                                                           \
                A[i + (size_t)j * lda] += *alpha * x[(size_t)i * incx] * y[(size_t)j * incy];     \
        return 0;                                                                                 \
    }                                                                                             \
    API int cublas##X##dot_v2(void *, int n, const T *x, int incx, const T *y, int incy, T *r) {  \
        double sum = 0;                                                                           \
        for (int i = 0; i < n; i++) sum += (double)x[(size_t)i * incx] * y[(size_t)i * incy];     \
        *r = (T)sum;                                                                              \
        return 0;                                                                                 \
    }                                                                                             \
    API int cublas##X##gemmBatched(void *, int ta, int tb, int m, int n, int k, const T *alpha,   \
                                   const T *A[], int lda, const T *B[], int ldb, const T *beta,   \
                                   T *C[], int ldc, int count) {                                  \
        for (int i = 0; i < count; i++)                                                           \
            gemm(ta, tb, m, n, k, *alpha, A[i], lda, B[i], ldb, *beta, C[i], ldc);                \
        return 0;                                                                                 \
    }
PRODUCTS(float, S)
PRODUCTS(double, D)
#endif
