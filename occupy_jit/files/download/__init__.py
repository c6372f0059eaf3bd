"""Entries of the EMDB, fetched with checks and resumed where a transfer broke off."""
