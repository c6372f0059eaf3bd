"""Atomic models (mmCIF, PDB): reading atoms and parts, writing occupancies."""
