"""Say so where a program sets Theano's flags after Theano has read them."""

import os

from theano.compile.function_module import FunctionMaker

from lenet.theano_start.refusal import say

VARIABLES = "THEANO_FLAGS", "THEANORC"


def apply():
    """From now on, compare what the environment says when a function is compiled; say it once."""
    known = read_environment()
    make = FunctionMaker.__init__

    def check_and_make(*args, **kwargs):
        for name, value in read_environment().items():
            if value != known[name]:
                known[name] = value
                say(f"{name} was changed after `import theano`, which reads it: the change has no "
                    "effect; make it before the import, or set theano.config")
        make(*args, **kwargs)

    FunctionMaker.__init__ = check_and_make


def read_environment():
    return {name: os.environ.get(name) for name in VARIABLES}
