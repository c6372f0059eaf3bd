"""Conditions on volumes, for ``--select``."""
