"""Particles behind the volumes: their numbers, their assignment, and lists of selected ones.

`sources` reads files of RELION, cryoDRGN and cryoSPARC, `pickles` reads a pickle without running its code,
`star_rows` finds the rows of particles in a STAR file, and `subsets` writes those of some volumes without other
changes.
"""
