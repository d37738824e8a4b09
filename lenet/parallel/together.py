"""How the ranks of a training begin and end together."""

from lenet.training.watch import StopOnSignals


class RankCoordinator(StopOnSignals):
    """Lets all ranks of a ``world``, see ``lenet.parallel.ranks``, start from the parameters and
    the result of rank 0, which may have resumed a run, and stop after the same minibatch."""

    def __init__(self, world):
        super().__init__()
        self.world = world

    def model_built(self, model, datasets):
        self.world.begun = False
        self.world.check_same({"a dataset of checksum": datasets[0].fingerprint})
        # One rank of each host compiles; the others find compiled what they need.
        self.world.wait_for_turn()

    def training_begins(self, functions, n_epochs, result):
        super().training_begins(functions, n_epochs, result)
        self.world.end_turn()
        reached, values = self.world.share(
            (vars(result), [variable.get_value(borrow=True) for variable in functions.state]))
        vars(result).update(reached)
        for variable, value in zip(functions.state, values):
            variable.set_value(value)
        self.world.begun = True

    def wants_to_stop(self):
        return self.world.agree_to_stop(self.signal is not None)
