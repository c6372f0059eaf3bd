"""Basic kernels on the voxel grid: cells of two voxels, fields, spheres, smoothing, arguments."""
