"""States of a complex: what many volumes of it are made of.

A volume (a class, or what a latent space was decoded to) is a row of occupancies with errors. `common_scale` brings
the volumes to one scale, `groups` finds which of them are one state, `composition` says what a state holds, `order`
what follows from the states, `continuum` whether there are states at all. `prepared_fit` fits many volumes with one
model for a fraction of what single fits cost; `blocks` finds parts where there is no model.
"""
