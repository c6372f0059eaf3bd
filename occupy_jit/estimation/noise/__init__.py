"""Local noise: from half maps, also those of another map, or from solvent nearby."""
