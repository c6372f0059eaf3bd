"""Who does the work of many maps: this process, processes beside it, or workers of a dask cluster."""
