#!/usr/bin/env bash
# Build libgpuarray and pygpu 0.7.6, which Theano reaches a GPU with, into a virtual environment.
#
#   scripts/build_pygpu.sh [SOURCE]
#
# SOURCE is the release's archive (.tar.gz) or its unpacked folder, which is not changed; without it
# the release is fetched from its home page, or from a copy of that which LIBGPUARRAY_HOME names.
# PYTHON=... chooses another Python than `python`.
set -eu

VERSION=0.7.6
# What the build calls itself, since it differs from the release: see lenet/gpu/start.py.
BUILT=$VERSION+lenet
HOME_PAGE=${LIBGPUARRAY_HOME:-https://github.com/Theano/libgpuarray}
PYTHON=${PYTHON:-python}

stop() {
    echo "build_pygpu: $1" >&2
    exit 1
}

need() {  # command, what it is, how to get it
    command -v "$1" >/dev/null || stop "$2 is missing ($1 not found); install it: $3"
}

ask() {
    "$PYTHON" -c "$1"
}

# --- what is needed ---------------------------------------------------------------------------

[ $# -le 1 ] || stop "one argument at most: the folder or archive of libgpuarray $VERSION"
need "$PYTHON" Python "python3 -m venv .venv && . .venv/bin/activate"
prefix=$(ask 'import os, sys
print(os.path.abspath(sys.prefix) if sys.prefix != sys.base_prefix else "")')
[ -n "$prefix" ] || stop "$PYTHON is not in a virtual environment; \
activate one (. .venv/bin/activate) or name its Python: PYTHON=.venv/bin/python"
case $prefix in *[[:space:]]*) stop "the compiler cannot be given the folder '$prefix', \
which has spaces; make the virtual environment elsewhere" ;; esac
PYTHON=$(ask 'import os, sys; print(os.path.abspath(sys.executable))')  # from any folder
export PATH="$prefix/bin:$PATH"  # Cython, which CMake calls, and perhaps CMake itself
need cmake CMake "pip install cmake, or sudo apt-get install cmake"
need cc "a C compiler" "sudo apt-get install gcc"
header=$(ask 'import sysconfig; print(sysconfig.get_paths()["include"])')/Python.h
[ -e "$header" ] || stop "Python's C headers are missing ($header); install them: \
sudo apt-get install $(ask 'import sys; print("python%d.%d-dev" % sys.version_info[:2])')"
# Cython 3 knows the two directives below; earlier ones write C for NumPy 1 and Python up to 3.11.
missing=$(ask '
import importlib
for requirement in "Cython>=3", "numpy", "mako", "six", "setuptools", "wheel":
    name, _, least = requirement.partition(">=")
    try:
        version = getattr(importlib.import_module(name), "__version__", "0")
    except ImportError:
        version = None
    if version is None or least and int(version.split(".")[0]) < int(least):
        print(requirement, f"(found {version})" if version else "(not found)")
        break
')
[ -z "$missing" ] || stop "a Python package is missing: $missing; \
install what is needed: pip install --editable '.[gpu]'"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# --- the source -------------------------------------------------------------------------------

source=${1:-}
if [ -z "$source" ]; then
    source=$work/libgpuarray.tar.gz
    address=$HOME_PAGE/archive/v$VERSION.tar.gz
    echo "fetching $address"
    "$PYTHON" -c 'import socket, sys, urllib.request
socket.setdefaulttimeout(60)
urllib.request.urlretrieve(*sys.argv[1:])' "$address" "$source" 2>/dev/null ||
        stop "$address cannot be fetched; download it elsewhere and give its path: \
scripts/build_pygpu.sh libgpuarray-$VERSION.tar.gz"
fi
mkdir "$work/source"
if [ -d "$source" ]; then
    cp -Rp "$source/." "$work/source"
elif [ -f "$source" ]; then
    tar -xf "$source" -C "$work/source" --strip-components=1 2>/dev/null ||
        stop "$source is not an archive that tar can read"
else
    stop "$source: no such file or folder"
fi
cd "$work/source"
[ -f src/gpuarray_buffer_cuda.c ] && [ -f pygpu/gpuarray.pyx ] ||
    stop "${1:-$source} is not the source of libgpuarray (no src/gpuarray_buffer_cuda.c in it)"

# --- changes to the released source, each for a reason ----------------------------------------

change() {  # file, sed's arguments: edit a file that must differ after it
    sed -i.orig "${@:2}" "$1"
    ! cmp -s "$1" "$1.orig" || stop "$1 is not that of libgpuarray $VERSION"
}

# A device of compute capability 10.0 or more (Blackwell) has a name of three digits, compute_100;
# the release leaves room for two and would ask the compiler for compute_10.
change src/gpuarray_buffer_cuda.c 's/strlen(prefix) + 3;/strlen(prefix) + 4;/'
# The release takes it that a copy from or to the host's memory is done when the call returns. Since
# CUDA 12.2 it only may be: where the device uses that memory itself, it need not.
change src/gpuarray_buffer_cuda.c -E \
    's/cuMemcpy(DtoH|HtoD)Async\(.*, sz, ctx->mem_s\)\);/&\
      CUDA_EXIT_ON_ERROR(ctx, cuStreamSynchronize(ctx->mem_s));/'
# NumPy 1.24 has no np.bool any more, which was Python's bool.
sed -i.orig 's/np\.bool,/bool,/' pygpu/dtypes.py
# NumPy 2 calls "copy if necessary" None, not False, and says what it wants of an array: always a copy.
needed="None if numpy.__version__[:2] != '1.' else False"
change pygpu/gpuarray.pyx -e "s/ndmin=ndmin, copy=False)/ndmin=ndmin, copy=$needed)/" \
    -e 's/def __array__(self, ldtype=None):/def __array__(self, ldtype=None, copy=None):/'
# The release is written for a Cython of Python 2's time: / divides whole numbers to whole numbers,
# and what a C function raises may stay unseen.
change setup.py 's/cythonize(exts)/cythonize(exts, compiler_directives={\
          "language_level": "2", "legacy_implicit_noexcept": True})/'
# The version is asked from git, or from the folder's name; neither need be there.
cat >versioneer.py <<VERSION
def get_versions():
    return {"version": "$BUILT", "error": None}


get_cmdclass = dict
VERSION
cp versioneer.py pygpu/_version.py
# The tests of the C library are not built; they would need the library "check". And CMake 4 no
# longer knows an old behaviour, about which symbols are visible, that the release asks for.
change CMakeLists.txt -e '/add_subdirectory(tests)/d' -e '/cmake_policy(SET CMP0063 OLD)/d'

# --- build ------------------------------------------------------------------------------------

log=$work/log
run() {
    "$@" >>"$log" 2>&1 || { tail -n 30 "$log" >&2; stop "this failed: $*"; }
}

# CMAKE_POLICY_VERSION_MINIMUM: CMake 4 refuses projects written for CMake 3.0.
# CMAKE_INSTALL_LIBDIR and LIBRARY_OUTPUT_PATH are the release's own, lib.
echo "building libgpuarray $VERSION"
run cmake -S . -B build -DCMAKE_BUILD_TYPE=Release -DCMAKE_INSTALL_PREFIX="$prefix" \
    -DCMAKE_POLICY_VERSION_MINIMUM=3.5
run cmake --build build
run cmake --install build

# The extension modules look for libgpuarray in the virtual environment, wherever they are run from.
echo "building pygpu $VERSION"
export CFLAGS="-I$prefix/include ${CFLAGS:-}"
export LDFLAGS="-L$prefix/lib -Wl,-rpath,$prefix/lib ${LDFLAGS:-}"
run "$PYTHON" -m pip install --quiet --no-deps --no-build-isolation --no-cache-dir \
    --force-reinstall .

cd /
version=$("$PYTHON" -c 'import pygpu; print(pygpu.__version__)' 2>>"$log") ||
    { tail -n 5 "$log" >&2; stop "pygpu was built, but cannot be imported"; }
echo "pygpu $version is in $prefix; next: python scripts/check_gpu.py"
