"""Outputs that appear under their names only when complete, also under signals and faults."""
