"""MRC maps: recognition, checks, reading, writing; axes and position in space."""
