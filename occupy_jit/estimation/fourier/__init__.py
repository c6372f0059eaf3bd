"""Filters and band power in Fourier space, with transforms pruned to the band that is kept."""
