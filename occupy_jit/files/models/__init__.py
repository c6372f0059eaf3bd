"""Atomic models (mmCIF, PDB): reading what counts as atoms and parts, writing occupancies back."""
