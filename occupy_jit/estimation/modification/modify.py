"""Modified maps, from a map, its scale and its confidence (section names as in the manual)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from occupy_jit.estimation.fourier import filters
from occupy_jit.estimation.modification import equalise
from occupy_jit.estimation.modification.neighbourhood import scale_in_force
from occupy_jit.estimation.noise.coloured import coloured_noise
from occupy_jit.kernels import voxelwise
from occupy_jit.kernels.grid.arguments import as_volume
from occupy_jit.kernels.jit.decorator import threads

if TYPE_CHECKING:
    from occupy_jit.estimation.scale.result import Result
    from occupy_jit.estimation.solvent.quiet_voxels import Quiet
    from occupy_jit.modifications import Modification
    from occupy_jit.settings import Settings

_NOISE_SEED = 20230913
_RANKS = 4096


def _factor(kind):
    """Number of a kind of factor in the kernel."""
    return getattr(voxelwise, kind.factor)


def modified(volume: np.ndarray, result: Result, settings: Settings, kind: Modification,
             noise: np.ndarray | None = None, out: np.ndarray | None = None, thread_count: int | None = None
            ) -> np.ndarray:
    """Apply one kind of modification: band by band where it amplifies, see `equalise`, else by plain factors.

    Parameters
    ----------
    volume : (nz, ny, nx) float32 array
        The unfiltered input map.
    result : occupy_jit.estimation.Result
        With confidence.
    settings : occupy_jit.settings.Settings
    kind : occupy_jit.modifications.Modification
    noise : (nz, ny, nx) float32 array, optional
        From `solvent_noise`: replaces density that f < 1 removes.
    out : array, optional
    thread_count : int, optional

    Returns
    -------
    (nz, ny, nx) float32 array
        Clipped to the range of the input: dividing by small scales makes a few spurious voxels beyond it.
    """
    volume = as_volume(volume)
    lowest, highest = result.range
    if settings.exclude_solvent:
        lowest, highest = min(lowest - result.zero, 0.0), max(highest - result.zero, 0.0)
    with threads(thread_count):
        if equalise.applies(result, settings, kind):
            bands = result.bands or equalise.measure(volume, result, thread_count=thread_count)
            out = equalise.equalised(volume, result, settings, kind, bands, (lowest, highest), out, thread_count)
        else:
            out = voxelwise.modify(volume, result.scale, result.confidence, result.zero, _factor(kind), kind.strength,
                                   settings.amplify_limit, settings.pivot, settings.exclude_solvent, noise,
                                   (lowest, highest), out)
        if settings.lowpass_amplified_angstrom is not None:
            filters.lowpass(out, settings.lowpass_amplified_angstrom, result.voxel_size, threads=thread_count, out=out)
            np.clip(out, lowest, highest, out=out)
    if settings.match_histogram:
        match_histogram(out, volume, out=out)
    return out


def match_histogram(volume: Any, reference: Any, out: Any = None) -> np.ndarray:
    """Transform the values of `volume` monotonically to the distribution of `reference`.

    The quantile functions of the two are sampled at evenly spaced ranks and at the extremes.

    Returns
    -------
    (nz, ny, nx) float32 array
    """
    out = np.empty_like(volume) if out is None else out
    fractions = np.linspace(0, 1, _RANKS + 1)
    # the tails contain the content: sample them more finely than the bulk
    tail = np.geomspace(1e-7, 1 / _RANKS, 64)
    fractions = np.unique(np.concatenate([fractions, tail, 1 - tail]))
    have = _quantiles(volume, fractions)
    want = _quantiles(reference, fractions)
    # a value shared by many voxels (excluded solvent) becomes the mean of the reference over its ranks
    have, first = np.unique(have, return_index=True)
    share = np.gradient(fractions)
    want = np.add.reduceat(want * share, first) / np.add.reduceat(share, first)
    for z in range(volume.shape[0]):
        out[z] = np.interp(volume[z], have, want)
    return out


def _quantiles(volume, fractions):
    ordered = np.sort(volume, axis=None)
    return ordered[np.minimum((fractions * (ordered.size - 1)).round().astype(np.int64), ordered.size - 1)].astype(
        np.float64)


def solvent_noise(volume: np.ndarray, quiet: Quiet, voxel_size: float, thread_count: int | None = None) -> np.ndarray:
    """Noise like that of the solvent: around 0, with the same standard deviation and radial spectrum.

    The spectrum is that of the quiet voxels, with 0 elsewhere. White noise with a fixed seed receives this
    spectrum, so the same map always gives the same noise.

    Parameters
    ----------
    volume : (nz, ny, nx) float32 array
        The unfiltered map.
    quiet : occupy_jit.estimation.solvent.quiet_voxels.Quiet
    voxel_size : float
        Å.
    thread_count : int, optional

    Returns
    -------
    (nz, ny, nx) float32 array
    """
    mean, deviation, count = quiet.mean_and_deviation(volume)
    if count == 0 or deviation == 0:
        return np.zeros(volume.shape, np.float32)
    noise = coloured_noise(quiet.alone(volume, mean), voxel_size, _NOISE_SEED, thread_count)
    # slice by slice: no volume of 64-bit numbers
    found = math.sqrt(np.mean([np.square(section, dtype=np.float64).mean() for section in noise]))
    noise *= np.float32(deviation / found if found > 0 else 0)
    return noise


def applied_factor(result: Result, settings: Settings, kind: Modification, out: Any = None) -> np.ndarray:
    """Plain factors of the height above the zero level: ``1 + c (f(S) - 1)``, or c f(S) without solvent.

    Returns
    -------
    (nz, ny, nx) float32 array
    """
    # for a height of 1 above a zero level of 0 the result is the factor itself
    out = np.empty_like(result.scale) if out is None else out
    out.fill(1)
    return voxelwise.modify(out, result.scale, result.confidence, 0.0, _factor(kind), kind.strength,
                          settings.amplify_limit, settings.pivot, settings.exclude_solvent, out=out)


def subtraction_mask(result: Any, settings: Settings, kinds: Any) -> np.ndarray:
    """Soft mask, in [0, 1], of the density that attenuation or the sigmoid removes, for particle subtraction.

    The largest share that any of `kinds` removes: ``c max(0, 1 - f(S))``, at the scale that the modification uses.

    Returns
    -------
    (nz, ny, nx) float32 array
    """
    removed = np.zeros_like(result.scale)
    for kind in kinds:
        if kind.removes:
            kept, scale = np.ones_like(removed), result.scale
            if result.bands is not None and equalise.applies(result, settings, kind):
                scale = scale_in_force(result, result.bands)
            voxelwise.modify(kept, scale, result.confidence, 0.0, _factor(kind), kind.strength,
                             settings.amplify_limit, settings.pivot, out=kept)
            np.subtract(1, kept, out=kept)
            np.maximum(removed, kept, out=removed)
    return np.clip(removed, 0, 1, out=removed)
