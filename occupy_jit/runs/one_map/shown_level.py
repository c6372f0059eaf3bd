"""The density at which a map is first drawn: the same in the report, its pictures, the plot and ChimeraX."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from occupy_jit.estimation.scale.result import Result
    from occupy_jit.estimation.solvent.quiet_voxels import Quiet

SHARE_OF_FULL_SCALE = 0.25
"""Density of the first surface above the zero level, where noise allows it."""

LEAST_DEVIATIONS = 3.0
"""Standard deviations of the solvent of the map as it is drawn, without a low-pass: no first surface lies below."""

_SAMPLE = 1_000_000  # voxels: enough for a standard deviation within half a percent


class Thinned(NamedTuple):
    """Every few voxels of a map, kept while the estimate overwrites the map.

    Attributes
    ----------
    values : (mz, my, mx) float32 array
    step : int
        Voxels from one to the next along each axis.
    """

    values: np.ndarray
    step: int


def thinned(volume: np.ndarray) -> Thinned:
    """A sample of about a million voxels of a (nz, ny, nx) float32 array, as a copy."""
    step = max(1, math.ceil((volume.size / _SAMPLE) ** (1 / 3)))
    return Thinned(volume[::step, ::step, ::step].copy(), step)


def solvent_noise(sample: Thinned, quiet: Quiet) -> tuple[float, float]:
    """Mean and standard deviation of a map in quiet solvent; (0, 0) where no voxel of the sample is quiet.

    Parameters
    ----------
    sample : Thinned
        Of the map as it is drawn.
    quiet : occupy_jit.estimation.solvent.quiet_voxels.Quiet

    Returns
    -------
    mean, deviation : float
    """
    step = sample.step
    found = np.concatenate([section[quiet.section(k * step)[::step, ::step]]
                            for k, section in enumerate(sample.values)]).astype(np.float64)
    return (float(found.mean()), float(found.std())) if found.size else (0.0, 0.0)


def first_level(result: Result, noise: tuple[float, float]) -> float:
    """Density of the first surface: a quarter of full scale, but at least three standard deviations of solvent.

    Parameters
    ----------
    result : occupy_jit.estimation.scale.result.Result
    noise : (mean, standard deviation)
        Of the map as it is drawn, in solvent: `solvent_noise`.
    """
    mean, deviation = noise
    return max(result.zero + SHARE_OF_FULL_SCALE * result.full_scale, mean + LEAST_DEVIATIONS * deviation)


def results(sample: Thinned, result: Result) -> dict[str, float]:
    """Noise of the map as it is drawn, and the density of its first surface, for the record."""
    noise = solvent_noise(sample, result.quiet)
    return {"noise_of_map": noise[1], "surface_level": first_level(result, noise)}
