"""Outputs that appear under their names only when complete, even after signals and errors."""
