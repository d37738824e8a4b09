"""What Python 2's operators, built-in names and methods do.

``BUILTINS`` are the built-in names of translated modules, ``BUILTINS_NOW`` those of the program's
other modules: the names of ``past`` and an ``open`` that differs where it would fail.
"""

import codecs
import collections.abc
import functools
import importlib.util
import io
import itertools
import os
import sys

from lenet.program import binary, old_modules, old_python, past

# --- operators and statements ---------------------------------------------------------------


def divide(a, b):
    """``a / b``: between whole numbers, the quotient rounded down."""
    if isinstance(a, float) or isinstance(b, float):
        return a / b
    if is_whole(a) and is_whole(b):
        return a // b
    for owner, other, name in (a, b, "__div__"), (b, a, "__rdiv__"):
        method = getattr(type(owner), name, None)  # as Theano's variables have
        result = NotImplemented if method is None else method(owner, other)
        if result is not NotImplemented:
            return result
    return a / b


def is_whole(number):
    numpy = sys.modules.get("numpy")
    return isinstance(number, int) or (
        numpy is not None and isinstance(number, (numpy.ndarray, numpy.generic))
        and number.dtype.kind in "iub")


def divide_in_place(a, b):
    """The value of ``a`` after ``a /= b``; an array keeps its memory."""
    if is_whole(a) and is_whole(b):
        a //= b
    elif hasattr(type(a), "__div__"):
        return divide(a, b)
    else:
        a /= b
    return a


def divide_item(container, index, b):
    """``container[index] /= b``"""
    container[index] = divide_in_place(container[index], b)


class Index:
    """``__index__[1:, 2]`` is the index that ``[1:, 2]`` gives to a container."""

    def __getitem__(self, index):
        return index


def print_values(*values, file=None, end="\n"):
    """The print statement: floats have 12 digits, and there is no space after a line's end."""
    file = file or sys.stdout
    space = getattr(file, "softspace", False)
    for value in values:
        text = format_float(value) if isinstance(value, float) else str(value)
        file.write(" " * bool(space) + text)
        space = not text[-1:].isspace() or text.endswith(" ")
    if end == "\n":
        file.write("\n")
        space = False
    try:
        file.softspace = space
    except AttributeError:
        pass


def format_float(value):
    """A float with 12 digits: from 1e11 on with an exponent, below with a fraction."""
    text = f"{value:.12g}"
    if len(text.partition(".")[0].lstrip("-")) == 12:
        digits, exponent = f"{value:.11e}".split("e")
        return f"{digits.rstrip('0').rstrip('.')}e{exponent}"
    return text + ".0" if text.lstrip("-").isdigit() else text


def compile_string(source):
    """What the exec statement is given: code, or a program as a string or a file."""
    from lenet.program import translation

    source = source.read() if hasattr(source, "read") else source
    return (translation.compile_python2(source, "<string>")
            if isinstance(source, (str, bytes)) else source)


# {method of Python 2: of Python 3}
SPECIAL = {"next": "__next__", "__nonzero__": "__bool__", "__unicode__": "__str__",
           "__div__": "__truediv__", "__rdiv__": "__rtruediv__", "__idiv__": "__itruediv__"}
# {comparison: what __cmp__ returns where it is true}
COMPARISONS = {"__lt__": (-1,), "__le__": (-1, 0), "__eq__": (0,), "__ne__": (-1, 1),
               "__gt__": (1,), "__ge__": (0, 1)}


def finish_class(cls):
    """Give a class the special methods of Python 3 that those of Python 2 stand for."""
    own = dict(vars(cls))
    for before, now in SPECIAL.items():
        if before in own and now not in own:
            setattr(cls, now, own[before])
    if "__cmp__" in own:
        for name, signs in COMPARISONS.items():
            setattr(cls, name, compare_by_sign(signs))
    if "__eq__" in own and own.get("__hash__") is None:
        del cls.__hash__  # the base's counts again
    return cls


def compare_by_sign(signs):
    return lambda self, other: old_python.cmp(self.__cmp__(other), 0) in signs


# --- methods --------------------------------------------------------------------------------


def sort(values, cmp=None, key=None, reverse=False):
    values[:] = sort_values(values, cmp, key, reverse)


def translate(text, table, delete=""):
    kept = "".join(character for character in text if character not in delete)
    return kept if table is None else str.translate(kept, table)


Mapping = collections.abc.Mapping
# {name: (type of the owner, whether today's attribute means something else, its value)}
ATTRIBUTES = {
    "keys": (Mapping, True, lambda owner: lambda: list(owner.keys())),
    "values": (Mapping, True, lambda owner: lambda: list(owner.values())),
    "items": (Mapping, True, lambda owner: lambda: list(owner.items())),
    "iterkeys": (Mapping, False, lambda owner: lambda: iter(owner.keys())),
    "itervalues": (Mapping, False, lambda owner: lambda: iter(owner.values())),
    "iteritems": (Mapping, False, lambda owner: lambda: iter(owner.items())),
    "viewkeys": (Mapping, False, lambda owner: owner.keys),
    "viewvalues": (Mapping, False, lambda owner: owner.values),
    "viewitems": (Mapping, False, lambda owner: owner.items),
    "has_key": (Mapping, False, lambda owner: owner.__contains__),
    "sort": (list, True, lambda owner: functools.partial(sort, owner)),
    "next": (collections.abc.Iterator, False, lambda owner: owner.__next__),
    "translate": (str, True, lambda owner: functools.partial(translate, owner)),
    "decode": (str, False, lambda owner: lambda *encoding: owner),
    "join": (str, True, lambda owner: lambda values: owner.join(map(binary.as_text, values))),
    "message": (BaseException, False,
                lambda owner: owner.args[0] if len(owner.args) == 1 else ""),
}


def get_attribute(owner, name):
    """``owner.name``, for the names in ``ATTRIBUTES``."""
    kind, changed, make = ATTRIBUTES[name]
    if isinstance(owner, kind) and (changed or not hasattr(owner, name)):
        return make(owner)
    return getattr(owner, name)


# --- built-in names -------------------------------------------------------------------------


def filter_values(function, values):
    kept = list(filter(function, values))
    if isinstance(values, str):
        return "".join(kept)
    return tuple(kept) if isinstance(values, tuple) else kept


def map_values(function, *iterables):
    if function is None:
        def function(*values):
            return values if len(values) > 1 else values[0]
    return [function(*values) for values in itertools.zip_longest(*iterables)]


def round_half_up(number, digits=0):
    """A float, away from 0 where two are as near."""
    import decimal

    unit = decimal.Decimal(1).scaleb(-digits)
    number = float(number)
    if number in (float("inf"), -float("inf")) or number != number:
        return number
    return float(decimal.Decimal(number).quantize(
        unit, decimal.ROUND_HALF_UP, context=decimal.Context(prec=1100)))


def sort_values(values, cmp=None, key=None, reverse=False):
    if cmp is not None:
        by_cmp, first = functools.cmp_to_key(cmp), key or (lambda value: value)

        def key(value):
            return by_cmp(first(value))
    return sorted(values, key=key, reverse=reverse)


def open_today(name, mode="r", *arguments, **options):
    """``open(name)``, but in binary where reading it as text would fail, as for a picture."""
    if mode == "r" and not arguments and not options and is_binary(name):
        mode = "rb"
    return open(name, mode, *arguments, **options)


def open_then(name, mode="r", *arguments, **options):
    """Python 2's ``open``: a text may have any bytes, and a file that is no text is binary."""
    mode = mode.replace("U", "") or "r"
    if "b" in mode or mode[0] == "r" and is_binary(name):
        return binary.open_binary(name, mode.replace("b", "") + "b", *arguments, **options)
    return open(name, mode, *arguments, **dict({"errors": "surrogateescape"}, **options))


def is_binary(name):
    """Whether a file begins with zero bytes and others that no text has."""
    if not isinstance(name, (str, bytes, os.PathLike)) or not os.path.isfile(name):
        return False
    with open(name, "rb") as file:
        beginning = file.read(8192)
    try:
        codecs.getincrementaldecoder("utf-8")().decode(beginning)
    except UnicodeDecodeError:
        return b"\0" in beginning
    return False


def execute_file(path, namespace=None, names=None):
    from lenet.program import loader

    caller = sys._getframe(1)
    if namespace is None:
        namespace, names = caller.f_globals, caller.f_locals
    with open(path, "rb") as file:
        code, _ = loader.compile_program(file.read(), path)
    exec(code, namespace, names)


def read_value(prompt=""):
    caller = sys._getframe(1)
    return eval(input(prompt), caller.f_globals, caller.f_locals)


class StandIn(type):
    """The type of a name that is called, and of which objects are instances."""

    def __instancecheck__(cls, value):
        return isinstance(value, cls.kinds)


class Unicode(metaclass=StandIn):
    kinds = str

    def __new__(cls, text="", *encoding):
        return str(text, *encoding) if isinstance(text, bytes) and encoding else str(text)


class File(metaclass=StandIn):
    kinds = io.IOBase

    def __new__(cls, *arguments, **options):
        return open_then(*arguments, **options)


NAMES = {
    "StandardError": Exception,
    "apply": lambda function, arguments=(), options={}: function(*arguments, **options),  # noqa: B006
    "basestring": (str, bytes),
    "buffer": memoryview,
    "execfile": execute_file,
    "file": File,
    "filter": filter_values,
    "input": read_value,
    "intern": sys.intern,
    "long": int,
    "map": map_values,
    "open": open_then,
    "range": lambda *limits: list(range(*limits)),
    "round": round_half_up,
    "sorted": sort_values,
    "unicode": Unicode,
    "zip": lambda *iterables: list(zip(*iterables)),
    "__attribute__": get_attribute,
    "__compile__": compile_string,
    "__divide__": divide,
    "__divide_in_place__": divide_in_place,
    "__divide_item__": divide_item,
    "__finish_class__": finish_class,
    "__index__": Index(),
    "__print__": print_values,
}

# --- imports --------------------------------------------------------------------------------



def import_then(name, globals=None, locals=None, fromlist=(), level=0):
    """The ``__import__`` of translated modules: those of the module's own package come first."""
    import __future__

    names = globals or {}
    package = names.get("__package__")
    if level == 0 and package and names.get("absolute_import") is not __future__.absolute_import:
        if importlib.util.find_spec(f"{package}.{name.partition('.')[0]}"):
            level = 1
    module = None if level else old_modules.find(name)
    if module is not None:
        return module
    module = past.BUILTINS["__import__"](name, globals, locals, fromlist, level)
    if name.partition(".")[0] == "numpy":
        print_as_then()
    return module


@functools.lru_cache(None)
def print_as_then():
    """Let arrays and NumPy's numbers look as they did before NumPy 1.14: [0.5], not
    [np.float64(0.5)]."""
    import numpy

    numpy.set_printoptions(legacy="1.13")


BUILTINS_NOW = dict(past.BUILTINS, open=open_today)
BUILTINS = dict(past.BUILTINS, **dict(NAMES, __import__=import_then))
