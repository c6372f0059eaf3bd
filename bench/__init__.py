"""Speed of the program and its kernels against others with the same function: ``python -m bench``.

Each module has a function ``rows(options)`` that yields a `measure.Row` as soon as it is measured. Peers are optional:
scipy, scikit-image, and the original program if the environment variable OCCUPY_ORIGINAL has its command.
"""
