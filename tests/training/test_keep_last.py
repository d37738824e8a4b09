"""lenet.training.keep_last: the network of the last epoch is the one that is kept."""

from lenet.training.keep_last import KeepLast
from lenet.training.loop import Functions, early_stopping


def test_the_last_validation_counts():
    errors = iter([0.5, 0.1, 0.3])
    functions = Functions(lambda index: 1.0, lambda: next(errors), lambda: 0.2, 4)
    result = early_stopping(functions, 3, observers=[KeepLast()])
    assert (result.best_validation_error, result.best_iteration) == (0.3, 11)


def test_the_last_of_several_validations_an_epoch_counts_and_patience_does_not_end_it():
    errors = iter([0.4, 0.1, 0.2, 0.3])
    functions = Functions(lambda index: 1.0, lambda: next(errors), lambda: 0.2, 4)
    # A patience of 4 minibatches has it validated after every second one.
    result = early_stopping(functions, 2, patience=4, observers=[KeepLast()])
    assert (result.best_validation_error, result.best_iteration, result.stopped) == (
        0.3, 7, "n_epochs")
