"""The surface level: the same in the report, its pictures, the plot and ChimeraX."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from occupy_jit.estimation.scale.result import Result
    from occupy_jit.estimation.solvent.quiet_voxels import Quiet

SHARE_OF_FULL_SCALE = 0.25
"""Surface level above the zero level as a share of full scale, if noise allows it."""

LEAST_DEVIATIONS = 3.0
"""Smallest surface level, in standard deviations of the solvent of the unfiltered map."""

_SAMPLE = 1_000_000  # voxels: enough for a standard deviation within half a percent


class Thinned(NamedTuple):
    """A sparse sample of a map, kept while the estimate overwrites the map.

    Attributes
    ----------
    values : (mz, my, mx) float32 array
    step : int
        Step in voxels along each axis.
    """

    values: np.ndarray
    step: int


def thinned(volume: np.ndarray) -> Thinned:
    """A sample of about a million voxels of a (nz, ny, nx) float32 array, as a copy."""
    step = max(1, math.ceil((volume.size / _SAMPLE) ** (1 / 3)))
    return Thinned(volume[::step, ::step, ::step].copy(), step)


def solvent_noise(sample: Thinned, quiet: Quiet) -> tuple[float, float]:
    """Mean and standard deviation of a map in quiet solvent; (0, 0) if the sample has no quiet voxels.

    Parameters
    ----------
    sample : Thinned
        Of the drawn map.
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
    """The surface level: a quarter of full scale, but at least three standard deviations of solvent.

    Parameters
    ----------
    result : occupy_jit.estimation.scale.result.Result
    noise : (mean, standard deviation)
        Of the drawn map in solvent, from `solvent_noise`.
    """
    mean, deviation = noise
    return max(result.zero + SHARE_OF_FULL_SCALE * result.full_scale, mean + LEAST_DEVIATIONS * deviation)


def results(sample: Thinned, result: Result) -> dict[str, float]:
    """Noise of the drawn map, and its surface level, for the record."""
    noise = solvent_noise(sample, result.quiet)
    return {"noise_of_map": noise[1], "surface_level": first_level(result, noise)}
