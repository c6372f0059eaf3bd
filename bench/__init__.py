"""How fast the program and its kernels are, beside others that do the same: ``python -m bench``.

Each module has a function ``rows(options)`` that yields a `measure.Row` as soon as it is measured. Peers are optional:
scipy, scikit-image, and the original program where the environment variable OCCUPY_ORIGINAL says how to call it.
"""
