"""Python 2 as this Python runs it; the output expected is that of Python 2.7.18."""

import textwrap
import traceback

import numpy
import pytest

from lenet.program import python2, translation


def run(source, path="program.py"):
    names = {"__builtins__": python2.BUILTINS, "__name__": "program", "__package__": ""}
    exec(translation.compile_python2(textwrap.dedent(source), path), names)
    return names


@pytest.mark.parametrize("source, expected", [
    # print
    ("print 1, 'a', 2.0, 0.1 + 0.2, 1e20", "1 a 2.0 0.3 1e+20\n"),
    ("print 'a',; print 'b'; print; print('c'), ; print ('d', 1)", "a b\n\nc ('d', 1)\n"),
    ("print 'a\\n', 1, '\\t', 2", "a\n1 \t2\n"),
    ("import sys\nprint >>sys.stdout, 'a', 'b'", "a b\n"),
    ("from __future__ import print_function\nprint('a', 'b', sep='-'); exec 'x = 1'", "a-b\n"),
    # numbers
    ("print 7 / 2, -7 / 2, 7 / 2., 7 % 2, True / 2", "3 -4 3.5 1 0\n"),
    ("from __future__ import division\nx = 1\nx /= 2\nprint 1 / 2, x", "0.5 0.5\n"),
    ("print 0777, 10L, 0xFFL, `1 + 1`, 1 <> 2", "511 10 255 2 True\n"),
    ("print round(2.5), round(-0.5), round(0.125, 2), round(1234.5, -2)", "3.0 -1.0 0.13 1200.0\n"),
    ("import operator\nprint reduce(operator.div, [9, 2, 2])", "2\n"),
    ("exec 'print 3 / 2' in {}\nexec 'y = 5 / 2'\nprint y", "1\n2\n"),
    # lists, not iterators
    ("print range(3), map(abs, [-1]), filter(None, (0, 2)), zip('a', 'b')",
     "[0, 1, 2] [1] (2,) [('a', 'b')]\n"),
    ("print map(None, [1, 2], [3]), len(xrange(5)), filter(str.isdigit, 'a1')",
     "[(1, 3), (2, None)] 5 1\n"),
    ("d = {'a': 1}\nprint d.keys() + d.values() + d.items(), d.has_key('a')",
     "['a', 1, ('a', 1)] True\n"),
    ("d = {'a': 1}\nfor key, value in d.iteritems(): print key, value, d.iterkeys().next()",
     "a 1 a\n"),
    ("import itertools as i\nprint list(i.izip(i.count(), 'ab')), i.imap(abs, [-2]).next()",
     "[(0, 'a'), (1, 'b')] 2\n"),
    ("x = [3, 1, 2]\nx.sort(lambda a, b: b - a)\nprint x, sorted(x, cmp=cmp), sorted(x, key=abs)",
     "[3, 2, 1] [1, 2, 3] [1, 2, 3]\n"),
    ("print [x for x in 1, 2], [x for x in lambda: 0, 1][1]", "[1, 2] 1\n"),
    # text
    ("print isinstance('a', basestring), isinstance(u'a', unicode), unicode('a', 'utf-8')",
     "True True a\n"),
    (r"print 'C:\Users'.decode('utf-8'), len('\u4e2d\N'), len(u'\u4e2d'), len(ur'\d')",
     "C:\\Users 8 1 2\n"),
    ("import string\nprint string.join(['a', 'b'], '-'), string.letters[:2], string.atoi('3')",
     "a-b ab 3\n"),
    ("import string\nprint 'a.b'.translate(None, '.'), 'ab'.translate(string.maketrans('a', 'c'))",
     "ab cb\n"),
    # errors
    ("try: raise ValueError, 'bad'\nexcept (KeyError, ValueError), e: pass\nprint e, e.message",
     "bad bad\n"),
    ("try: raise StandardError('s')\nexcept StandardError, (text,):\n    print text", "s\n"),
    # functions and classes
    ("def f(a, (b, c)):\n    'doc'\n    return a + b / c\nprint f(1, (7, 2)), f.func_name",
     "4 f\n"),
    ("print (lambda (a, b): a - b)((3, 1)), apply(max, (1, 2))", "2 2\n"),
    ("class A:\n    __metaclass__ = type\n    def __nonzero__(self): return False\n"
     "    def __eq__(self, other): return True\nprint bool(A()), len(set([A()])), A() == 1",
     "False 1 True\n"),
    ("class A(object):\n    n = 5\n    def next(self):\n        self.n /= 2\n"
     "        if not self.n: raise StopIteration\n        return self.n\n"
     "    def __iter__(self): return self\nprint list(A()), A().next()", "[2, 1] 2\n"),
    ("class A:\n    def __init__(self, n): self.n = n\n"
     "    def __cmp__(self, other): return cmp(self.n, other.n)\n"
     "    def __div__(self, other): return 'divided'\n"
     "print A(1) < A(2), A(1) == A(1), A(1) / 2, max(A(1), A(3)).n", "True True divided 3\n"),
    # the library
    ("import cPickle, StringIO, ConfigParser, Queue, urllib, urllib2, urlparse, __builtin__\n"
     "print cPickle.loads('I3\\n.'), StringIO.StringIO('text').read(), urllib.quote('a b'),\n"
     "print ConfigParser.__name__ != '', urllib2.URLError.__name__, __builtin__.xrange(2)[1]",
     "3 text a%20b True URLError 1\n"),
    ("import __builtin__\n__builtin__.new = 5\nprint new", "5\n"),
    ("import sys\nreload(sys)\nsys.setdefaultencoding('utf-8')\nprint sys.maxint > 0", "True\n"),
    ("import types\nprint type('a') == types.StringType, isinstance(1, types.IntType)",
     "True True\n"),
    # tabs count to the next eighth column; a form feed begins a new one
    ("if True:\n        a = 1\n\tb = 2\n\x0cprint a, b", "1 2\n"),
])
def test_prints_what_python_2_printed(source, expected, capsys):
    run(source)
    assert capsys.readouterr().out == expected


def test_division_of_arrays():
    names = run("""
        import numpy
        whole = numpy.arange(5) / 2
        other = numpy.arange(5) / 2.
        kept = before = numpy.arange(5)
        kept /= 2
        kept[1:] /= numpy.int64(1)
        batches = numpy.prod((5, 4)) / numpy.int32(3)
        """)
    assert list(names["whole"]) == [0, 0, 1, 1, 2] == list(names["kept"])
    assert names["kept"] is names["before"]
    assert list(names["other"]) == [0, 0.5, 1, 1.5, 2]
    assert names["batches"] == 6 and isinstance(names["batches"], numpy.integer)


def test_an_index_is_evaluated_once():
    names = run("x, calls = [9, 9], []\nx[calls.append(1) or 0] /= 2")
    assert names["x"] == [4, 9] and names["calls"] == [1]


def test_division_of_expressions_of_theano():
    names = run("""
        import theano.tensor as T
        i, x = T.lscalar(), T.dscalar()
        half, inverse, real = i / 2, 7 / i, x / 2
        """)
    i = names["i"]
    assert names["half"].eval({i: 7}) == 3 == names["inverse"].eval({i: 2})
    assert names["half"].dtype == "int64" and names["real"].dtype == "float64"
    assert (i / 2).dtype.startswith("float")  # here, in Python 3


def test_lines_of_a_traceback_are_the_program_s(tmp_path):
    path = tmp_path / "program.py"
    path.write_text(textwrap.dedent('''\
        # a comment
        def f((a, b)):
            """One line,
            and one more."""
            return (a +
                    b / 0)
        class A: pass
        try:
            f((1, 2))
        except ZeroDivisionError, (text,):
            pass
        f((3, 4))
        '''))
    with pytest.raises(ZeroDivisionError) as caught:
        run(path.read_text(), str(path))
    shown = "".join(traceback.format_tb(caught.tb))
    assert "line 12, in <module>\n    f((3, 4))\n" in shown
    assert "line 6, in f\n    b / 0)\n" in shown
    lines = [frame.lineno for frame in traceback.extract_tb(caught.tb)
             if frame.filename == str(path)]
    assert lines == [12, 6]


@pytest.mark.parametrize("source, text", [
    ("# -*- coding: gbk -*-\nx = u'中文'; print x".encode("gbk"), "中文"),
    ("\ufeff#!/usr/bin/env python\nprint u'é'".encode("utf-8"), "é"),
    (b"x = 1\r\nprint x\r\n", "1"),
    (b"if 1:\n\tprint 1\n", "1"),
])
def test_the_encoding_that_a_program_declares(source, text, capsys):
    names = {"__builtins__": python2.BUILTINS}
    exec(translation.compile_python2(source, "program.py"), names)
    assert capsys.readouterr().out == text + "\n"


def test_numbers_as_python_2_drew_and_printed_them(capsys):
    """As Python 2.7.18 gave them, with NumPy 1.13's way of printing."""
    run("""
        import random, numpy
        random.seed(1)
        print random.randint(0, 100), random.choice(range(10)), random.sample(range(10), 3)
        x = range(5)
        random.shuffle(x)
        print x, random.randrange(5, 50, 5), random.Random(3).randint(1, 6)
        print 1e11, 123456789012., -1e11, 99999999999.0, 12345678901.5, 0.1 + 0.2
        print [numpy.float64(0.5)], numpy.array([0.5, 1])
        """)
    assert capsys.readouterr().out.splitlines() == [
        "13 8 [7, 2, 3]", "[1, 0, 3, 4, 2] 5 2",
        "1e+11 1.23456789012e+11 -1e+11 99999999999.0 12345678901.5 0.3", "[0.5] [ 0.5  1. ]"]
    numpy.set_printoptions(legacy=False)


@pytest.mark.parametrize("source", ["print 'a' 1 +", "def f(:", "x = 'open", "  x = 1\n y", "print"
                                    " 1; print(1, file=x)"])
def test_neither_python(source):
    with pytest.raises(SyntaxError):
        translation.compile_python2(source, "program.py")


def test_files_that_are_no_text(tmp_path):
    array = numpy.arange(3)
    numpy.save(str(tmp_path / "x.npy"), array)
    (tmp_path / "latin.txt").write_bytes("café".encode("latin1"))
    names = run(f"""
        import cPickle, os
        os.chdir({str(tmp_path)!r})
        binary, text = open('x.npy'), file('latin.txt', 'rU')
        cPickle.dump([1, 'a'], open('x.pkl', 'w'))
        loaded = cPickle.load(open('x.pkl'))
        python2 = cPickle.loads("S'\\\\xe9'\\n.")
        is_file = isinstance(text, file)
        """)
    assert list(numpy.load(names["binary"])) == list(array)
    assert names["text"].read().startswith("caf") and names["is_file"]
    assert names["loaded"] == [1, "a"] and names["python2"] == "é"


def test_binary_files_hold_strings(tmp_path, capsys):
    (tmp_path / "x.bin").write_bytes(b"2 vectors\nab " + numpy.float32([1, 2]).tobytes())
    run(f"""
        import cPickle, csv, numpy, os, struct
        os.chdir({str(tmp_path)!r})
        with open('lines', 'wb') as f:
            f.write('a, 1\\n')
            print >>f, 'b c,', 2
        for line in open('lines', 'rb'): print line.split(',')[1].strip(), len(line)
        print [row[1] for row in csv.reader(open('lines', 'rb'))]
        print ' '.join(open('lines', 'rb').readlines()[1:]),
        f = open('x.bin', 'rb')
        print map(len, f.readline().split()),
        word = []
        while True:
            one = f.read(1)
            if one == ' ': break
            word.append(one)
        data = f.read()
        print {{'ab': 'found'}}[''.join(word)], numpy.fromstring(data, 'float32'),
        print struct.unpack('<2f', data), ord(data[3]), data.find('@'), data == data[:4] + data[4:]
        print '%s' % open('lines', 'rb').read(3).upper(), 'a' in open('lines', 'rb').read()
        cPickle.dump({{'a': 1}}, open('x.pkl', 'wb'))
        print cPickle.Unpickler(open('x.pkl', 'rb')).load()
        """)
    assert capsys.readouterr().out == (
        "1 5\n2 7\n[' 1', ' 2']\nb c, 2\n[1, 7] found [1. 2.] (1.0, 2.0) 63 7 True\n"
        "A,  True\n{'a': 1}\n")
