"""Train a model: compiled functions, the early-stopping loop, and what watches it."""
