"""lenet.training.keep_last: the network of the last epoch is the one that is kept."""

from lenet.training.keep_last import KeepLast
from lenet.training.loop import Functions, early_stopping


def test_the_last_validation_counts():
    errors = iter([0.5, 0.1, 0.3])
    functions = Functions(lambda index: 1.0, lambda: next(errors), lambda: 0.2, 4)
    result = early_stopping(functions, 3, observers=[KeepLast()])
    assert (result.best_validation_error, result.best_iteration) == (0.3, 11)
