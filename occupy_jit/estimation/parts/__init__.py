"""Occupancy of the parts of an atomic model, fitted together to the map, with errors."""
