"""What a training went through: a row for each validation."""

from lenet.training.loop import Observer

COLUMNS = ("epoch", "cost", "validation", "test")


class History(Observer):
    """Writes down the cost and the errors, and leaves them in ``result.rows``.

    Attributes
    ----------
    rows : list of dicts
        epoch, counted from 1; cost, the mean since the row before; validation and test, errors as
        fractions; test is None unless the validation error was the best so far.
    """

    def training_begins(self, functions, n_epochs, result):
        self.rows = []
        self.cost_sum, self.n_costs = 0.0, 0  # of the minibatches since the last row

    def minibatch_ends(self, result):
        self.cost_sum += result.cost
        self.n_costs += 1

    def validated(self, epoch, minibatch, error):
        self.rows.append({"epoch": epoch, "cost": self.cost_sum / self.n_costs,
                          "validation": error, "test": None})
        self.cost_sum, self.n_costs = 0.0, 0

    def improved(self, epoch, minibatch, error):
        self.rows[-1]["test"] = error

    def training_ends(self, result):
        # Of two observers, only one may know what an earlier process did.
        if len(self.rows) > len(result.rows):
            result.rows = [{name: row[name] for name in COLUMNS} for row in self.rows]
