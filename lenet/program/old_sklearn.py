"""``sklearn.cross_validation``, which scikit-learn 0.20 dropped: splits that know their data.

Each is iterated for pairs of indices, of a training set and a test set.
"""

import numpy
from sklearn import model_selection


class Splits:
    """The splits by one of today's classes of numbers 0 to n - 1, or of labels."""

    def __init__(self, splitter, n=None, y=None):
        self.splitter, self.y = splitter, y
        self.places = numpy.zeros(n if y is None else len(y))

    def __iter__(self):
        return self.splitter.split(self.places, self.y)

    def __len__(self):
        return self.splitter.get_n_splits(self.places, self.y)


def shuffled(shuffle, random_state):
    """The arguments for the order; without shuffling, a seed is refused today."""
    return dict(shuffle=shuffle, random_state=random_state if shuffle else None)


def KFold(n, n_folds=3, shuffle=False, random_state=None):
    return Splits(model_selection.KFold(n_folds, **shuffled(shuffle, random_state)), n)


def StratifiedKFold(y, n_folds=3, shuffle=False, random_state=None):
    return Splits(model_selection.StratifiedKFold(n_folds, **shuffled(shuffle, random_state)), y=y)


def LeaveOneOut(n):
    return Splits(model_selection.LeaveOneOut(), n)


def ShuffleSplit(n, n_iter=10, test_size=0.1, train_size=None, random_state=None):
    return Splits(model_selection.ShuffleSplit(
        n_iter, test_size=test_size, train_size=train_size, random_state=random_state), n)


def StratifiedShuffleSplit(y, n_iter=10, test_size=0.1, train_size=None, random_state=None):
    return Splits(model_selection.StratifiedShuffleSplit(
        n_iter, test_size=test_size, train_size=train_size, random_state=random_state), y=y)
