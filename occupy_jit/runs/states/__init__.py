"""A run on many volumes of one complex: fits with one model, division into states, and outputs.

`volumes` selects volumes on one grid, `mean_map` averages them, `fitting` fits each, here or in workers,
and `collected` uses the fits of an earlier run instead. `tables`, `state_maps` and `states_record` write; `run` is
the sequence of these steps.
"""
