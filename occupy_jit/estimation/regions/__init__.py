"""Occupancy inside masks, with its standard error."""
