"""Python 2 to code of this Python, with the line numbers of the program.

fissix, the maintained lib2to3, changes the syntax. What only differs in meaning is changed in the
syntax tree, to calls of ``lenet.program.python2``: division, methods that return lists, classes.
"""

import ast
import importlib.util
import re
import warnings

from lenet.program import python2

FIXERS = ("except", "exec", "funcattrs", "getcwdu", "methodattrs", "ne", "numliterals", "paren",
          "print", "raise", "renames", "repr", "sys_exc", "throw", "tuple_params")


def compile_python2(source, path, mode="exec"):
    """Translate a program and compile it.

    Parameters
    ----------
    source : bytes or str
        In the encoding that it declares.

    Returns
    -------
    code object
        To be executed with the built-in names of ``lenet.program.python2``.

    Raises
    ------
    SyntaxError
        It is no Python 2 either.
    """
    from fissix.pgen2 import driver, parse, pgen, tokenize

    driver.load_grammar = pgen.generate_grammar  # without a file of it in the home folder
    from fissix.refactor import RefactoringTool

    text = source if isinstance(source, str) else importlib.util.decode_source(source)
    tool = RefactoringTool([f"fissix.fixes.fix_{name}" for name in FIXERS])
    try:
        tree = tool.refactor_string(text + "\n", path)
    except parse.ParseError as error:
        line, _ = error.context[1]
        raise SyntaxError(f"line {line}: unexpected {error.value!r}") from None
    except (tokenize.TokenError, AssertionError) as error:
        raise SyntaxError(str(error)) from None
    adapt_tokens(tree)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SyntaxWarning)  # "is" with a number, "\s"
        module = ChangeMeaning(tree.future_features).visit(ast.parse(str(tree), path))
        restore_lines(module, find_lines(tree))
        return compile(ast.fix_missing_locations(module), path, mode, dont_inherit=True)


def adapt_tokens(tree):
    """Give indentation and strings the meaning that they had."""
    from fissix.pgen2 import token

    for leaf in tree.leaves():
        leaf.prefix = expand_tabs(leaf.prefix)
        if leaf.type == token.INDENT:
            leaf.value = expand_tabs(leaf.value)
        elif leaf.type == token.STRING:
            leaf.value = adapt_string(leaf.value, "unicode_literals" in tree.future_features)


def expand_tabs(space):
    """Python 2 counts a tab to the next multiple of 8 columns, from the last form feed on."""
    return re.sub("[^\n]*\f", "", space).expandtabs()


def adapt_string(literal, is_unicode):
    """A string literal; in one of bytes, ``\\u``, ``\\U`` and ``\\N`` are what they look like."""
    prefix, quote, text = re.match(r"(\w*)(['\"])(.*)", literal, re.DOTALL).groups()
    prefix = prefix.lower()
    if not (is_unicode or set(prefix) & set("urb")):
        text = re.sub(r"\\([^uUN])|\\", lambda match: match[0] if match[1] else r"\\", text,
                      flags=re.DOTALL)
    return prefix.replace("ur", "r") + quote + text


def find_lines(tree):
    """{line of the translation: line of the program}."""
    from fissix.pgen2 import token

    lines, here = {}, 1
    for leaf in tree.leaves():
        here += leaf.prefix.count("\n")
        inside = str(leaf.value).count("\n")  # some fixers leave numbers
        if leaf.lineno and leaf.type not in (token.NEWLINE, token.INDENT, token.DEDENT):
            for line in range(inside + 1):
                lines.setdefault(here + line, leaf.lineno + line)
        here += inside
    for line in range(1, here + 2):
        lines.setdefault(line, lines.get(line - 1, 1))
    return lines


def restore_lines(module, lines):
    """Give each node its line in the program, and no column, at which a traceback would point."""
    for node in ast.walk(module):
        if hasattr(node, "lineno"):
            node.lineno = lines[node.lineno]
            node.end_lineno = max(node.lineno, lines[node.end_lineno])
            node.col_offset = node.end_col_offset = -1


def call(function, *arguments, at):
    """A call of one of the functions of ``python2``."""
    name = ast.Name(id=function, ctx=ast.Load())
    node = ast.Call(func=name, args=list(arguments), keywords=[])
    for new in name, node:
        ast.copy_location(new, at)
    return node


class ChangeMeaning(ast.NodeTransformer):
    """Calls the functions of ``python2`` where Python 2 did something else.

    Parameters
    ----------
    future : set of str
        What the program imports from ``__future__``.
    """

    def __init__(self, future):
        self.future = future

    def visit_Name(self, node):
        if node.id == "print" and "print_function" not in self.future:
            node.id = "__print__"
        return node

    def visit_Attribute(self, node):
        self.generic_visit(node)
        if not isinstance(node.ctx, ast.Load) or node.attr not in python2.ATTRIBUTES:
            return node
        name = ast.copy_location(ast.Constant(value=node.attr), node)
        return call("__attribute__", node.value, name, at=node)

    def visit_BinOp(self, node):
        self.generic_visit(node)
        if not self.divides(node):
            return node
        return call("__divide__", node.left, node.right, at=node)

    def visit_AugAssign(self, node):
        self.generic_visit(node)
        if not self.divides(node):
            return node
        target = node.target
        if isinstance(target, ast.Subscript):  # its index is evaluated once
            index = ast.Subscript(value=ast.Name(id="__index__", ctx=ast.Load()),
                                  slice=target.slice, ctx=ast.Load())
            new = ast.Expr(call("__divide_item__", target.value, index, node.value, at=node))
        else:
            before = (ast.Name(id=target.id, ctx=ast.Load()) if isinstance(target, ast.Name) else
                      ast.Attribute(value=target.value, attr=target.attr, ctx=ast.Load()))
            new = ast.Assign(targets=[target], value=call(
                "__divide_in_place__", before, node.value, at=node))
        return ast.copy_location(new, node)

    def divides(self, node):
        return isinstance(node.op, ast.Div) and "division" not in self.future

    def visit_Call(self, node):
        self.generic_visit(node)
        if isinstance(node.func, ast.Name) and node.func.id == "exec" and node.args:
            node.args[0] = call("__compile__", node.args[0], at=node)
        return node

    def visit_ExceptHandler(self, node):
        """The name of the error outlives the handler."""
        self.generic_visit(node)
        if node.name:
            error = ast.Name(id="__error__", ctx=ast.Load())
            kept = ast.Assign(targets=[ast.Name(id=node.name, ctx=ast.Store())], value=error)
            ast.copy_location(kept, node)
            node.body.insert(0, kept)
            node.name = "__error__"
        return node

    def visit_ClassDef(self, node):
        self.generic_visit(node)
        for statement in node.body:
            if (isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name)
                    and statement.targets[0].id == "__metaclass__"):
                node.keywords.append(ast.keyword(arg="metaclass", value=statement.value))
        finish = ast.copy_location(ast.Name(id="__finish_class__", ctx=ast.Load()), node)
        node.decorator_list.append(finish)
        return node
