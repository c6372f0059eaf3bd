"""MRC maps: recognised, checked, read, written; their axes and position in space."""
