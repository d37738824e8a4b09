"""One training on many processes; the only room that imports MPI."""
