"""File names: half maps by name, and safe output names."""
