"""Let several threads, and processes that fork, use what Theano compiles.

A Theano function keeps its inputs and its results in places of its own, which two threads that call
it at once would overwrite; so does the compiler. Each function, and the compiler, therefore has a
lock. Two functions do not wait for each other: what they share, they only read.

GCC's OpenMP keeps threads for the thread that computes. After a fork they are gone, but the child
would wait for them; it computes with one thread.
"""

import contextlib
import ctypes
import functools
import os
import threading
import weakref

from theano.compile.function_module import Function, FunctionMaker

holders = weakref.WeakSet()  # what has a ``lock``, which a forked child makes anew


def apply():
    """Make compiling and calling compiled functions safe in several threads, and after a fork."""
    for maker in FunctionMaker, Function:
        give_lock(maker)  # that of the class Function is for those that were compiled before this
    FunctionMaker.__init__ = make_thread_safe(FunctionMaker.__init__, FunctionMaker)
    FunctionMaker.create = make_thread_safe(FunctionMaker.create, FunctionMaker)
    initialize, call = Function.__init__, Function.__call__

    @functools.wraps(initialize)
    def initialize_with_lock(function, *args, **kwargs):
        give_lock(function)
        initialize(function, *args, **kwargs)

    @functools.wraps(call)
    def call_alone(function, *args, **kwargs):
        with function.lock:
            return call(function, *args, **kwargs)

    Function.__init__, Function.__call__ = initialize_with_lock, call_alone
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(before=prepare_fork, after_in_child=begin_child)


def make_thread_safe(function, holder=None):
    """The function, of which one call at a time runs, whatever threads call it.

    It takes the ``lock`` of its holder, which may be that of other functions; by default its own.
    """
    @functools.wraps(function)
    def locked(*args, **kwargs):
        with holder.lock:
            return function(*args, **kwargs)

    if holder is None:
        holder = locked
        give_lock(holder)
    return locked


def give_lock(holder):
    holder.lock = threading.RLock()
    holders.add(holder)


@functools.lru_cache(maxsize=None)
def set_openmp_threads():
    """The function of GCC's OpenMP that sets the number of threads; an OSError if this process has
    not loaded OpenMP."""
    return ctypes.CDLL("libgomp.so.1", mode=os.RTLD_NOLOAD).omp_set_num_threads


def prepare_fork():
    """Look the function up before the fork: in the child, the loader's lock may be held by a thread
    that is gone."""
    with contextlib.suppress(OSError, AttributeError):
        set_openmp_threads()


def begin_child():
    """In a forked child, compute with one thread, and free the locks of threads that are gone."""
    for holder in list(holders):
        holder.lock = threading.RLock()
    if set_openmp_threads.cache_info().currsize:
        set_openmp_threads()(1)
