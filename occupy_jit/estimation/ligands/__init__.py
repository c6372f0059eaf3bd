"""Ligands and other small parts of a model: present, absent or undecided."""
