"""Solvent: the quiet voxels that show its level and noise, the model of its histogram, and a definition by mask."""
