"""Train a model: compiled functions of a minibatch, the early-stopping loop, its report."""
