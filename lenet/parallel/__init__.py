"""One training on many processes; the only room that knows MPI."""
