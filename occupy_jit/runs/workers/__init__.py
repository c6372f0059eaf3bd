"""Workers for many maps: this process, processes beside it, or workers of a dask cluster."""
