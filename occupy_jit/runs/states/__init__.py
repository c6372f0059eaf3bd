"""A run on many volumes of one complex: they are fitted with one model, divided into states, and written about.

`volumes` says which maps are volumes of one grid, `mean_map` averages them, `fitting` fits each, here or by workers,
`collected` takes what an earlier run has fitted instead. `tables`, `state_maps` and `states_record` write; `run` is
the order of all this.
"""
