"""Particles behind the volumes: how many each stands for, which, and lists of those that were chosen.

`sources` reads what RELION, cryoDRGN and cryoSPARC write, `pickles` reads a pickle without running what it holds,
`star_rows` finds the rows of particles in a STAR file, `subsets` writes those of some volumes, with nothing else
changed.
"""
