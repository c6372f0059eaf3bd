"""Kernels for atomic models: spreading atoms, columns of the fit, radial sums, block errors."""
