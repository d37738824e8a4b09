"""Names that Python and its packages no longer have, and where each is now."""

from collections import abc

OLD_PYTHON = "lenet.program.old_python."
OLD_NUMPY = "lenet.program.old_numpy."
OLD_MISC = "lenet.program.old_scipy_misc."
OLD_SKLEARN = "lenet.program.old_sklearn."


def move(place, names):
    """{name: its path}: names that are in another place today; "old=new" is a new name, too."""
    pairs = [name.partition("=") for name in names.split()]
    return {old: f"{place}{new or old}" for old, _, new in pairs}


# Python 2's, also for programs that Python 3 can parse: but not those by which programs ask which
# Python they run on
BUILT_IN = {
    "xrange": "builtins.range",
    "raw_input": "builtins.input",
    "unichr": "builtins.chr",
    "reduce": "functools.reduce",
    "reload": OLD_PYTHON + "reload",
    "cmp": OLD_PYTHON + "cmp",
}

# {module: {name: its path today}}, with the packages of each
NAMES = {
    "base64": move("base64.", "encodestring=encodebytes decodestring=decodebytes"),
    "cgi": move(OLD_PYTHON, "escape"),
    "collections": move("collections.abc.", " ".join(abc.__all__)),
    "fractions": move("math.", "gcd"),
    "imp": move(OLD_PYTHON, "reload find_module load_source new_module=ModuleType"),
    "importlib": move(OLD_PYTHON, "reload"),
    "inspect": move(OLD_PYTHON, "getargspec"),
    "itertools": {**move("builtins.", "izip=zip imap=map ifilter=filter"),
                  **move("itertools.", "izip_longest=zip_longest ifilterfalse=filterfalse")},
    "os": move("os.", "getcwdu=getcwd"),
    "pickle": move(OLD_PYTHON, "load loads Unpickler"),
    "pipes": move("shlex.", "quote"),
    "string": {**move("string.", "letters=ascii_letters lowercase=ascii_lowercase "
                                 "uppercase=ascii_uppercase"),
               **move("builtins.str.", "maketrans strip split lower upper replace zfill"),
               **move(OLD_PYTHON, "join"), **move("builtins.", "atoi=int atof=float")},
    "sys": {**move("sys.", "maxint=maxsize"), **move(OLD_PYTHON, "setdefaultencoding")},
    "time": move(OLD_PYTHON, "clock"),
    "numpy": {
        **move("builtins.", "bool int float complex object str long=int unicode=str alen=len"),
        **move("numpy.", """
            alltrue=all sometrue=any product=prod cumproduct=cumprod trapz=trapezoid
            row_stack=vstack round_=round mat=asmatrix float_=float64 complex_=complex128
            cfloat=complex128 singlecomplex=complex64 longfloat=longdouble longcomplex=clongdouble
            clongfloat=clongdouble string_=bytes_ unicode_=str_ bool8=bool_ int0=intp uint0=uintp
            object0=object_ bytes0=bytes_ str0=str_ void0=void Inf=inf Infinity=inf infty=inf
            PINF=inf NaN=nan NAN=nan rank=ndim typeDict=sctypeDict ndfromtxt=genfromtxt"""),
        **move(OLD_NUMPY, """
            array asarray asanyarray vstack hstack dstack column_stack concatenate
            asscalar asfarray cast deprecate disp fastCopyAndTranspose find_common_type
            fromstring in1d
            issctype issubclass_ issubsctype maximum_sctype msort nbytes obj2sctype recfromcsv
            recfromtxt sctype2char sctypes MachAr MAXDIMS NINF NZERO PZERO"""),
        **move("numpy.exceptions.", "AxisError ComplexWarning RankWarning TooHardError "
                                    "VisibleDeprecationWarning"),
        **move("pickle.", "loads"), **move("ast.", "safe_eval=literal_eval"),
        **move("inspect.", "source=getsource"),
        **move("numpy.char.", "chararray compare_chararrays"), **move("", "math"),
        **move("numpy.lib.", "add_docstring add_newdoc"), **move("numpy.rec.", "format_parser"),
        **move("numpy.lib.array_utils.", "byte_bounds"), **move("numpy.lib.npyio.", "DataSource"),
    },
    "numpy.fft": {},
    "numpy.lib": {},
    "numpy.linalg": {},
    "numpy.testing": move(OLD_NUMPY, "Tester"),
    "PIL": {},
    "PIL.Image": move("PIL.Image.", "ANTIALIAS=LANCZOS LINEAR=BILINEAR CUBIC=BICUBIC "
                                    "fromstring=frombytes"),
    "scipy": {},
    "scipy.integrate": move("scipy.integrate.", "trapz=trapezoid cumtrapz=cumulative_trapezoid "
                                                "simps=simpson"),
    "scipy.linalg": {**move("numpy.", "kron"), **move("scipy.linalg.", "pinv2=pinv")},
    "scipy.misc": {
        **move(OLD_MISC, "imread imresize imsave toimage fromimage imrotate imfilter imshow "
                         "bytescale"),
        **move("scipy.special.", "logsumexp comb factorial factorial2 factorialk"),
        **move("scipy.interpolate.", "pade"),
        **move("scipy.datasets.", "ascent face electrocardiogram")},
    "scipy.signal": move("scipy.signal.windows.", "gaussian hamming hann hanning=hann blackman "
                                                  "bartlett boxcar kaiser parzen triang tukey"),
    "sklearn": {},
    "sklearn.cross_validation": {
        **move("sklearn.model_selection.", "train_test_split cross_val_score cross_val_predict "
                                           "permutation_test_score check_cv"),
        **move(OLD_SKLEARN, "KFold StratifiedKFold LeaveOneOut ShuffleSplit "
                            "StratifiedShuffleSplit")},
    "sklearn.grid_search": move("sklearn.model_selection.", "GridSearchCV RandomizedSearchCV "
                                                            "ParameterGrid ParameterSampler"),
    "sklearn.learning_curve": move("sklearn.model_selection.", "learning_curve validation_curve"),
    "sklearn.externals": {},
    "sklearn.preprocessing": move("sklearn.impute.", "Imputer=SimpleImputer"),
}

# {module: the one that has its content today}
ALIASES = {
    "ConfigParser": "configparser",
    "Image": "PIL.Image",
    "Queue": "queue",
    "StringIO": "io",
    "Tkinter": "tkinter",
    "__builtin__": "builtins",
    "cPickle": "pickle",
    "cStringIO": "io",
    "copy_reg": "copyreg",
    "urllib2": "urllib.request",
    "urlparse": "urllib.parse",
    "numpy.fft.helper": "numpy.fft",
    "numpy.linalg.linalg": "numpy.linalg",
    **{f"numpy.lib.{name}": "numpy" for name in (
        "arraysetops", "function_base", "index_tricks", "shape_base", "twodim_base", "type_check",
        "ufunclike")},
    "scipy.signal.signaltools": "scipy.signal",
    "sklearn.preprocessing.label": "sklearn.preprocessing._label",
    "sklearn.externals.joblib": "joblib",
    "sklearn.externals.six": "six",
}
