"""Entries of the EMDB, downloaded with checks, resuming interrupted transfers."""
