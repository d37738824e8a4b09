"""Many trainings on one machine or many, with Dask's ``distributed``."""
