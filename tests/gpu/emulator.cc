// An emulator of CUDA on the CPU: enough of the driver, NVRTC and cuBLAS for libgpuarray to compile
// and run Theano's graphs for the GPU where there is none.  It shows that results are right, but
// nothing about real GPUs or speed.
//
//   -DDRIVER   libcuda.so.1: the device's memory is the host's, and any access past its end kills
//              the process; a kernel runs block by block, with its threads as coroutines that take
//              turns at each barrier; a kernel that a real NVRTC compiled does nothing (it only has
//              to compile); a graph that is captured is a list of launches, copies and products
//   -DNVRTC    libnvrtc.so.12: g++ compiles a kernel; its "PTX" is the new library
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
#include <elf.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

#include <functional>
#include <map>
#include <string>
#include <vector>

enum { OK = 0, INVALID_VALUE = 1, OUT_OF_MEMORY = 2, NO_DEVICE = 100, NOT_FOUND = 500,
       NOT_WHILE_CAPTURING = 900, CAPTURE_FAILED = 901 };

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
API int cuCtxGetCurrent(void **c) { *c = (void *)1; return OK; }
API int cuCtxGetDevice(int *d) { *d = 0; return OK; }
API int cuCtxPushCurrent_v2(void *) { return OK; }
API int cuCtxPopCurrent_v2(void **) { return OK; }

// --- graphs: what is called between the begin and the end of a capture is done at each launch ---
struct Copied { unsigned char bytes[200]; };  // CUDA_MEMCPY3D: here for a copy of n bytes in a row
struct Node { std::function<void()> work; Copied copied; };
enum { SOURCE = 48, TARGET = 136, WIDTH = 176 };  // of its members
static std::vector<Node *> *captured = NULL;
static bool capture_failed = false;
static size_t &member(Copied &c, int offset) { return *(size_t *)(c.bytes + offset); }
// What would have to wait, or to allocate, ends a capture.
#define NOT_IN_A_GRAPH if (captured) { capture_failed = true; return NOT_WHILE_CAPTURING; }

API bool emulator_capture(const std::function<void()> &work) {
    if (!captured) return false;
    captured->push_back(new Node{work, {}});
    return true;
}
API int cuStreamBeginCapture_v2(void *, int) {
    captured = new std::vector<Node *>;
    capture_failed = false;
    return OK;
}
API int cuStreamEndCapture(void *, void **graph) {
    *graph = capture_failed ? NULL : captured;
    captured = NULL;
    return capture_failed ? CAPTURE_FAILED : OK;
}
API int cuGraphInstantiateWithFlags(void **exec, void *graph, unsigned long long) {
    *exec = graph;
    return OK;
}
API int cuGraphDestroy(void *) { return OK; }
API int cuGraphExecDestroy(void *) { return OK; }
API int cuGraphGetNodes(void *graph, Node **nodes, size_t *n) {
    std::vector<Node *> &all = *(std::vector<Node *> *)graph;
    if (nodes) memcpy(nodes, all.data(), *n * sizeof *nodes);
    else *n = all.size();
    return OK;
}
API int cuGraphNodeGetType(Node *node, int *type) {
    *type = member(node->copied, WIDTH) ? 1 : 0;  // a copy, or a kernel
    return OK;
}
API int cuGraphMemcpyNodeGetParams(Node *node, Copied *c) { *c = node->copied; return OK; }
API int cuGraphExecMemcpyNodeSetParams(void *, Node *node, const Copied *c, void *) {
    node->copied = *c;
    return OK;
}
API int cuGraphLaunch(void *exec, void *) {
    note("launch", "a_graph");
    for (Node *node : *(std::vector<Node *> *)exec) node->work();
    return OK;
}

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
    NOT_IN_A_GRAPH
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
    NOT_IN_A_GRAPH
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
    NOT_IN_A_GRAPH
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
    if (captured) {
        Node *node = new Node;
        member(node->copied, SOURCE) = s;
        member(node->copied, TARGET) = d;
        member(node->copied, WIDTH) = n;
        Copied &c = node->copied;
        node->work = [&c] {
            memmove((void *)member(c, TARGET), (void *)member(c, SOURCE), member(c, WIDTH));
        };
        captured->push_back(node);
        return OK;
    }
    return copy("on_device", (void *)d, (void *)s, n);
}
API int cuMemcpyPeerAsync(uintptr_t d, void *, uintptr_t s, void *, size_t n, void *) {
    return copy("on_device", (void *)d, (void *)s, n);
}
API int cuMemsetD8Async(uintptr_t d, unsigned char c, size_t n, void *) {
    if (!emulator_capture([=] { memset((void *)d, c, n); })) memset((void *)d, c, n);
    return OK;
}
API int cuIpcGetMemHandle(void *, uintptr_t) { return NOT_FOUND; }
struct IpcHandle { char bytes[64]; };
API int cuIpcOpenMemHandle(uintptr_t *, IpcHandle, unsigned) { return NOT_FOUND; }
API int cuIpcCloseMemHandle(uintptr_t) { return NOT_FOUND; }

// --- streams and events: everything but late copies happens at once ---
API int cuEventCreate(void **e, unsigned) { *e = (void *)1; return OK; }
API int cuEventRecord(void *, void *) { return OK; }
API int cuEventSynchronize(void *) { NOT_IN_A_GRAPH finish(); return OK; }
API int cuEventDestroy_v2(void *) { return OK; }
API int cuStreamCreate(void **s, unsigned) { *s = (void *)1; return OK; }
API int cuStreamWaitEvent(void *, void *, unsigned) { return OK; }
API int cuStreamSynchronize(void *) { NOT_IN_A_GRAPH finish(); return OK; }
API int cuStreamDestroy_v2(void *) { return OK; }

// --- modules: a "cubin" is a shared library ---
API int cuLinkCreate(unsigned, void *, void *, void **s) { *s = new std::string; return OK; }
API int cuLinkAddData(void *s, int, void *data, size_t n, const char *, unsigned, void *, void *) {
    ((std::string *)s)->assign((char *)data, n);
    return OK;
}
API int cuLinkComplete(void *s, void **bin, size_t *n) {
    *bin = (void *)((std::string *)s)->c_str();
    *n = ((std::string *)s)->size();
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
    const Elf64_Ehdr *header = (const Elf64_Ehdr *)image;  // its table of sections comes last
    size_t n = header->e_shoff + (size_t)header->e_shnum * header->e_shentsize;
    char path[] = "/tmp/emulatorXXXXXX";
    int file = mkstemp(path);
    if (file < 0 || write(file, image, n) != (ssize_t)n) return INVALID_VALUE;
    *m = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    close(file);
    unlink(path);
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
    void **(*keep)(void **); // a copy of its arguments
};
API int cuModuleGetFunction(void **f, void *m, const char *name) {
    if (m == &ptx) {
        *f = new Kernel{NULL, strdup(name), false, NULL, NULL, NULL};
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

static void launch(Kernel *k, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by,
                   unsigned bz, void **args);

API int cuLaunchKernel(void *f, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by,
                       unsigned bz, unsigned, void *, void **args, void **) {
    Kernel *k = (Kernel *)f;
    note("launch", k->name);
    if (!gx || !gy || !gz || !bx || !by || !bz || gx > 2147483647u || gy > 65535 || gz > 65535 ||
        bz > 64 || (size_t)bx * by * bz > 1024)
        return INVALID_VALUE;
    if (!k->call) return OK;
    if (captured) args = k->keep(args);
    auto work = [=] { launch(k, gx, gy, gz, bx, by, bz, args); };
    if (!emulator_capture(work)) work();
    return OK;
}

static void launch(Kernel *k, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by,
                   unsigned bz, void **args) {
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
static inline float ga_half2float(ga_half h) { _Float16 f; memcpy(&f, &h, 2); return f; }
static inline ga_half ga_float2half(float f) { _Float16 g = f; ga_half h; memcpy(&h, &g, 2); return h; }
static inline float rsqrtf(float x) { return 1 / sqrtf(x); }
static inline double erfcinv(double y) {  // Newton's method from Winitzki's approximation
    if (y <= 0 || y >= 2) return y == 0 ? INFINITY : y == 2 ? -INFINITY : NAN;
    double l = log(y * (2 - y)), a = 0.147, b = 2 / (M_PI * a) + l / 2;
    double x = copysign(sqrt(sqrt(b * b - l / a) - b), 1 - y);
    for (int i = 0; i < 4; i++) x += (erfc(x) - y) * sqrt(M_PI) / 2 * exp(x * x);
    return x;
}
static inline double erfinv(double y) { return y < 0 ? -erfcinv(1 + y) : erfcinv(1 - y); }
static inline float erfcinvf(float y) { return erfcinv(y); }
static inline float erfinvf(float y) { return erfinv(y); }
static inline float __ldg(const float *p) { return *p; }
static inline float fdividef(float a, float b) { return a / b; }
static inline float __int_as_float(int i) { float f; memcpy(&f, &i, 4); return f; }
template <class T, class U> static T atomicAdd(T *p, U v) { T old = *p; *p += v; return old; }
template <class T, class U> static T atomicExch(T *p, U v) { T old = *p; *p = v; return old; }
#define atom_xchg_fg(a, b) atomicExch(a, b)
#define atom_xchg_dg(a, b) atomicExch(a, b)
#define atom_xchg_eg(a, b) atomicExch(a, b)
#define atom_xchg_Lg(a, b) atomicExch(a, b)
static inline ga_half atom_add_eg(ga_half *p, ga_half v) {
    return atomicExch(p, ga_float2half(ga_half2float(*p) + ga_half2float(v)));
}
template <class A, class B, class = typename std::enable_if<!std::is_same<A, B>::value>::type>
static auto max(A a, B b) { return a > b ? a : b; }
#define atom_add_fg(a, b) atomicAdd(a, b)
#define atom_add_dg(a, b) atomicAdd(a, b)
#define atom_add_ig(a, b) atomicAdd(a, b)
#define atom_add_Ig(a, b) atomicAdd(a, b)
struct EmulatorKernel {
    void (*call)(void **); const char *name; bool barriers; unsigned *index; void (**yield)();
    void **(*keep)(void **);
};
template <class... A, size_t... I>
static void **emulator_keep(void (*)(A...), void **args, std::index_sequence<I...>) {
    return new void *[sizeof...(A) + 1]{
        (void *)new typename std::remove_const<A>::type(*(A *)args[I])...};
}
template <class... A> static void **emulator_keep(void (*f)(A...), void **args) {
    return emulator_keep(f, args, std::index_sequence_for<A...>());
}
template <class... A, size_t... I>
static void emulator_call(void (*f)(A...), void **args, std::index_sequence<I...>) {
    f(*(typename std::remove_const<A>::type *)args[I]...);
}
template <class... A> static void emulator_call(void (*f)(A...), void **args) {
    emulator_call(f, args, std::index_sequence_for<A...>());
}
)";

static std::string read_file(const std::string &path) {
    std::ifstream file(path, std::ios::binary);
    return std::string(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
}
API int nvrtcCompileProgram(Program *p, int, const char **) {
    std::string source = std::regex_replace(
        p->source, std::regex("#include[ \t]+[\"<](cluda|cluda_cuda)\\.h[\">]"), "");
    source = std::regex_replace(source, std::regex("extern[ \t]+\"C\""), "");
    source = std::regex_replace(source, std::regex("extern[ \t]+__shared__[ \t]+(\\w+)[ \t]+(\\w+)\\[\\]"),
                                "$1 *$2 = ($1 *)emulator_shared");
    // A GPU divides by the size of an empty array and goes on.
    source = std::regex_replace(source, std::regex("([%/]) (dim\\d+);"), "$1 ($2 ? $2 : 1);");
    bool barriers = source.find("barrier") != std::string::npos ||
                    source.find("__syncthreads") != std::string::npos;
    std::string table;
    std::regex kernel("(?:KERNEL|__global__)\\s+void\\s+(?:__launch_bounds__\\([^)]*\\)\\s*)?(\\w+)");
    std::set<std::string> names;
    for (std::sregex_iterator m(source.begin(), source.end(), kernel), end; m != end; ++m)
        names.insert((*m)[1]);
    for (const std::string &name : names)
        table += "static void emulator_run_" + name + "(void **a) { emulator_call(" + name +
                 ", a); }\nstatic void **emulator_keep_" + name +
                 "(void **a) { return emulator_keep(" + name + ", a); }\nextern \"C\" EmulatorKernel emulator_" + name + " = {emulator_run_" +
                 name + ", \"" + name + "\", " + (barriers ? "true" : "false") +
                 ", emulator_index, &emulator_yield, emulator_keep_" + name + "};\n";
    char folder[] = "/tmp/emulatorXXXXXX";
    if (!mkdtemp(folder)) return 1;
    std::string base = std::string(folder) + "/kernel";
    std::ofstream(base + ".cc") << header << source << "\n" << table;
    std::string command = "g++ -w -O1 -fpermissive -std=c++17 -shared -fPIC -o " + base + ".so " +
                          base + ".cc 2>" + base + ".log";
    int status = system(command.c_str());
    p->log = read_file(base + ".log");
    if (status) fprintf(stderr, "emulator: %s\n", p->log.substr(0, p->log.find("\n", 400)).c_str());
    p->library = read_file(base + ".so");
    for (const char *end : {".cc", ".log", ".so"}) unlink((base + end).c_str());
    rmdir(folder);
    return status ? 6 : 0;
}
API int nvrtcGetProgramLogSize(Program *p, size_t *n) { *n = p->log.size() + 1; return 0; }
API int nvrtcGetProgramLog(Program *p, char *s) { strcpy(s, p->log.c_str()); return 0; }
API int nvrtcGetPTXSize(Program *p, size_t *n) { *n = p->library.size(); return 0; }
API int nvrtcGetPTX(Program *p, char *s) { p->library.copy(s, p->library.size()); return 0; }
#endif

#ifdef CUBLAS
#include <dlfcn.h>

#include <functional>

API int cublasCreate_v2(void **h) { *h = (void *)1; return 0; }
API int cublasDestroy_v2(void *) { return 0; }
API int cublasSetStream_v2(void *, void *) { return 0; }
API int cublasSetPointerMode_v2(void *, int) { return 0; }
API int cublasGetPointerMode_v2(void *, int *m) { *m = 0; return 0; }
API int cublasSetAtomicsMode(void *, int) { return 0; }

// At once, or as part of the graph that the driver captures.
static int run(const std::function<void()> &work) {
    typedef bool (*Capture)(const std::function<void()> &);
    static Capture capture = (Capture)dlsym(dlopen("libcuda.so.1", RTLD_NOW), "emulator_capture");
    if (!capture || !capture(work)) work();
    return 0;
}

// Matrices are stored by columns: element (i, j) of A at A[i + j * lda]; ta: A transposed.
template <class T>
static void gemm(int ta, int tb, int m, int n, int k, T alpha, const T *A, int lda, const T *B,
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
}
template <class T>
static void gemv(int t, int m, int n, T alpha, const T *A, int lda, const T *x, int incx, T beta,
                 T *y, int incy) {
    for (int i = 0; i < (t ? n : m); i++) {
        double sum = 0;
        for (int j = 0; j < (t ? m : n); j++)
            sum += (double)(t ? A[j + (size_t)i * lda] : A[i + (size_t)j * lda]) *
                   x[(size_t)j * incx];
        T &c = y[(size_t)i * incy];
        c = (T)(alpha * sum) + (beta == 0 ? 0 : beta * c);
    }
}
template <class T>
static void ger(int m, int n, T alpha, const T *x, int incx, const T *y, int incy, T *A, int lda) {
    for (int j = 0; j < n; j++)
        for (int i = 0; i < m; i++)
            A[i + (size_t)j * lda] += alpha * x[(size_t)i * incx] * y[(size_t)j * incy];
}
#define PRODUCTS(T, X)                                                                            \
    API int cublas##X##gemm_v2(void *, int ta, int tb, int m, int n, int k, const T *alpha,       \
                               const T *A, int lda, const T *B, int ldb, const T *beta, T *C,     \
                               int ldc) {                                                         \
        T a = *alpha, b = *beta;                                                                  \
        return run([=] { gemm(ta, tb, m, n, k, a, A, lda, B, ldb, b, C, ldc); });                 \
    }                                                                                             \
    API int cublas##X##gemv_v2(void *, int t, int m, int n, const T *alpha, const T *A, int lda,  \
                               const T *x, int incx, const T *beta, T *y, int incy) {             \
        T a = *alpha, b = *beta;                                                                  \
        return run([=] { gemv(t, m, n, a, A, lda, x, incx, b, y, incy); });                       \
    }                                                                                             \
    API int cublas##X##ger_v2(void *, int m, int n, const T *alpha, const T *x, int incx,         \
                              const T *y, int incy, T *A, int lda) {                              \
        T a = *alpha;                                                                             \
        return run([=] { ger(m, n, a, x, incx, y, incy, A, lda); });                              \
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
        T a = *alpha, b = *beta;                                                                  \
        return run([=] {                                                                          \
            for (int i = 0; i < count; i++)                                                       \
                gemm(ta, tb, m, n, k, a, A[i], lda, B[i], ldb, b, C[i], ldc);                     \
        });                                                                                       \
    }
PRODUCTS(float, S)
PRODUCTS(double, D)
#endif
