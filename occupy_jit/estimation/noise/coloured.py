"""Reproducible noise with a given spectrum."""

from __future__ import annotations

import numpy as np

from occupy_jit.estimation.fourier import filters


def coloured_noise(sample: np.ndarray, voxel_size: float, seed: int, thread_count: int | None = None) -> np.ndarray:
    """White noise with a fixed seed and the radial spectrum of a sample.

    Parameters
    ----------
    sample : (nz, ny, nx) float32 array
        Noise, 0 where it is unknown. Overwritten.
    voxel_size : float
        Å.
    seed : int
    thread_count : int, optional
        Never changes the result.

    Returns
    -------
    (nz, ny, nx) float32 array
        `sample` itself, with mean 0.
    """
    frequency, power = filters.radial_spectrum(sample, voxel_size, threads=thread_count)
    amplitude = np.sqrt(np.maximum(power, 0))
    np.random.default_rng(seed).standard_normal(dtype=np.float32, out=sample)
    filters.filter_radially(sample, lambda s: np.interp(s, frequency, amplitude), voxel_size, threads=thread_count,
                            out=sample)
    sample -= sample.mean(dtype=np.float64).astype(np.float32)
    return sample
