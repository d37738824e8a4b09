"""The program's own modules: found beside it, translated where they are Python 2.

"Own" are the modules and packages in the program's folder, and in folders that the program puts on
the path, but nothing from the folders that were there before, such as the standard library's and
``site-packages``.
"""

import dis
import importlib.machinery
import os
import sys
import warnings

from lenet.program import python2
from lenet.theano_start.refusal import say
from lenet.theano_start.today import view

COMPILED = {}  # {path: (code, whether it was translated)}, until it is executed


def compile_program(source, path):
    """Compile a program of either Python.

    Returns
    -------
    code object, bool
        And whether it was translated.

    Raises
    ------
    SyntaxError
        As this Python says it, if it is no Python 2 either.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SyntaxWarning)  # of what may be Python 2
            return compile(source, path, "exec", dont_inherit=True), False
    except (SyntaxError, ValueError) as error:  # ValueError: zero bytes
        try:
            from lenet.program.translation import compile_python2

            return compile_python2(source, path), True
        except (SyntaxError, ValueError) as error_then:
            say(f"{os.path.relpath(path)} is no Python 2 either: {error_then}")
            raise error from None


def execute(path, namespace):
    """Execute a compiled module with the built-in names of its Python."""
    code, translated = COMPILED.pop(path)  # for the next time, it may have been edited
    namespace["__builtins__"] = python2.BUILTINS if translated else python2.BUILTINS_NOW
    exec(code, namespace)


class Loader(view.Loader):
    """Loads a module of the program; of a translation, nothing is written to the disk."""

    def get_code(self, name):
        if self.path not in COMPILED:
            try:
                COMPILED[self.path] = super().get_code(name), False
            except (SyntaxError, ValueError):
                COMPILED[self.path] = compile_program(self.get_data(self.path), self.path)
        return COMPILED[self.path][0]

    def exec_module(self, module):
        self.get_code(module.__name__)
        Finder.say_translated()
        execute(self.path, vars(module))


class Finder:
    """Finds the program's own modules where Python does."""

    folder = None  # the program's
    others = ()  # the folders of the path that are not its own
    said = None  # the translated files that were reported; None: say nothing

    @classmethod
    def find_spec(cls, name, path=None, target=None):
        entries = [entry for entry in (sys.path if path is None else path)
                   if cls.is_own(entry, name.count("."))]
        if not entries or name.partition(".")[0] in ("lenet", "theano"):
            return None
        spec = view.find_with(Loader, name, entries)
        if spec is None or type(spec.loader) is not Loader:
            return None
        first = importlib.machinery.PathFinder.find_spec(name, path)
        return spec if first.origin == spec.origin else None  # an earlier folder has one, too

    @classmethod
    def is_own(cls, entry, depth):
        """Whether a folder of the path, or of a package ``depth`` levels below, is own."""
        folder = os.path.abspath(entry)
        for _ in range(depth):
            folder = os.path.dirname(folder)
        return ((folder == cls.folder or folder not in cls.others)
                and os.path.basename(folder) not in ("site-packages", "dist-packages"))

    @classmethod
    def say_translated(cls):
        """Say which files were translated since the last time."""
        new = [path for path, (_, translated) in COMPILED.items()
               if translated and cls.said is not None and path not in cls.said]
        if new:
            cls.said.update(new)
            say("translated from Python 2: " + ", ".join(map(os.path.relpath, new)))


def install(folder, others, report):
    """From now on, load the program's own modules.

    Parameters
    ----------
    folder : str
        The program's.
    others : list of str
        The folders of the path that are not its own.
    report : bool
        Whether to say which files are translated.
    """
    Finder.folder = folder
    Finder.others = {os.path.abspath(entry) for entry in others}
    Finder.said = set() if report else None
    sys.meta_path.insert(0, Finder)


def compile_main(path):
    """Compile the program, and ahead of time the modules that it imports, so that one line names
    all that were translated."""
    with open(path, "rb") as file:
        COMPILED[path] = compile_program(file.read(), path)
    compile_imports(COMPILED[path][0])
    Finder.say_translated()


def compile_imports(code):
    for name in list_imports(code):
        name = name.partition(".")[0]
        spec = Finder.find_spec(name)
        if spec is not None and spec.origin not in COMPILED:
            try:
                compile_imports(spec.loader.get_code(name))
            except (SyntaxError, ValueError):
                pass  # the import statement says it


def list_imports(code):
    """The names in the import statements of a code object, also inside its functions."""
    for instruction in dis.get_instructions(code):
        if instruction.opname == "IMPORT_NAME":
            yield instruction.argval
    for constant in code.co_consts:
        if hasattr(constant, "co_consts"):
            yield from list_imports(constant)
