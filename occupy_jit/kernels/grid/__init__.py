"""Kernels on the voxel grid that others build on: cells of two voxels, fields, spheres, smoothing, arguments."""
