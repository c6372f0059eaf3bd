"""States of a complex, from many volumes.

A volume (a class, or a volume decoded from a latent space) is a row of occupancies with errors. `common_scale` puts the
volumes on one scale, `groups` divides them into states, `composition` describes each state, `order` finds relations
between parts, and `continuum` tests whether there are states at all. `prepared_fit` fits many volumes with one model at
a fraction of the cost of single fits; `blocks` finds parts without a model.
"""
