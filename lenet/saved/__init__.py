"""Networks on disk: runs, parameters, predictions, and pictures of what they learned."""
