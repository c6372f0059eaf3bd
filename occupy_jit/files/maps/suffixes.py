"""How the names of maps end."""

MAP_SUFFIXES = (".mrc", ".map", ".ccp4", ".rec")
COMPRESSED_SUFFIXES = (".gz", ".bz2")
