"""File names: half maps found by name, and names that may be written."""
