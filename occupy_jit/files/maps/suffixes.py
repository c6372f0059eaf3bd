"""Suffixes of the names of maps."""

MAP_SUFFIXES = (".mrc", ".map", ".ccp4", ".rec")
COMPRESSED_SUFFIXES = (".gz", ".bz2")
