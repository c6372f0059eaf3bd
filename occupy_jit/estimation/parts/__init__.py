"""Occupancy of the parts of an atomic model, fitted jointly to the map, with errors."""
