"""Decay of contrast with resolution, from its power in bands: sums over the bands, B factor and occupancy.

All quantities vary slowly and are kept on the grid of cells (`occupy_jit.kernels.grid.binned`); only the last step is
a pass over all voxels. Every cell and voxel is computed from its own values, so the bits do not depend
on the number of threads.
"""

import math

import numpy as np
from numba import prange

from occupy_jit.kernels.grid.arguments import as_volume
from occupy_jit.kernels.grid.binned import cell_shape, value_row, weights_between
from occupy_jit.kernels.grid.fields import flat
from occupy_jit.kernels.jit.decorator import kernel, launch

PRIOR_B = 120.0
"""Standard deviation of the prior of relative B factors, Å^2."""

LOWEST_B, HIGHEST_B = -250.0, 400.0
"""Limits of relative B factors, Å^2."""

SPREAD = 0.05
"""Standard deviation of the logarithm of an amplitude from differences in content (without noise)."""

_BLIND = 1e-3  # weight of a band without significant signal
_UNEVEN = 0.05  # relative uncertainty of the noise of one map
_TINY = 1e-12
_BLOCK = 1 << 13


@kernel
def _add_block(power, noises, of_map, reference, x, samples, sums, start):
    one = noises.shape[0] == 1
    for i in range(power.shape[0]):
        c, v = float(power[i]), float(noises[0] if one else noises[i])
        signal = max(c, 0.0)
        if of_map:
            variance = (2 * v * v + 4 * signal * v + 2 * signal * signal) / samples + (_UNEVEN * v) ** 2
        else:
            variance = (v * v + 2 * v * signal + 2 * signal * signal) / samples
        deviation = math.sqrt(variance)
        if c > deviation:
            weight = 1 / (variance / (4 * c * c) + SPREAD * SPREAD)
        else:
            weight = _BLIND
        level = 0.5 * math.log(max(c, deviation, _TINY * reference) / reference)
        at = start + i
        sums[0, at] += np.float32(weight)
        sums[1, at] += np.float32(weight * x)
        sums[2, at] += np.float32(weight * x * x)
        sums[3, at] += np.float32(weight * level)
        sums[4, at] += np.float32(weight * level * x)


@kernel(parallel=True)
def _add(power, noises, of_map, reference, x, samples, sums):
    n = power.shape[0]
    for block in prange((n + _BLOCK - 1) // _BLOCK):
        start = block * _BLOCK
        stop = min(n, start + _BLOCK)
        _add_block(power[start:stop], noises if noises.shape[0] == 1 else noises[start:stop], of_map, reference, x,
                   samples, sums, start)


@kernel(parallel=True)
def _slope(sums, prior, out):
    n = out.shape[0]
    for block in prange((n + _BLOCK - 1) // _BLOCK):
        for i in range(block * _BLOCK, min(n, (block + 1) * _BLOCK)):
            w, x, xx, y, xy = (float(sums[0, i]), float(sums[1, i]), float(sums[2, i]), float(sums[3, i]),
                               float(sums[4, i]))
            slope = (xy - x * y / w) / (max(xx - x * x / w, 0.0) + prior)
            out[i] = min(max(-4 * slope, LOWEST_B), HIGHEST_B)


@kernel
def _occupancy_row(scale, b_factor, least, powers, squares, rest, total, out):
    for i in range(scale.shape[0]):
        if not scale[i] >= least:
            b_factor[i] = np.float32(0)
        left = rest
        for k in range(powers.shape[0]):
            left += powers[k] * math.exp(-0.5 * squares[k] * float(b_factor[i]))
        out[i] = np.float32(min(float(scale[i]) / math.sqrt(left / total), 1.0))


@kernel(parallel=True)
def _separated(cells, lower, of_lower, of_upper, scale, least, powers, squares, rest, b_factor):
    total = rest
    for k in range(powers.shape[0]):
        total += powers[k]
    for z in prange(scale.shape[0]):
        scratch = np.empty(cells.shape[2], np.float32)
        for y in range(scale.shape[1]):
            value_row(cells, z, y, lower, of_lower, of_upper, scratch, b_factor[z, y])
            _occupancy_row(scale[z, y], b_factor[z, y], least, powers, squares, rest, total, scale[z, y])


def add_band_to_slope(sums: np.ndarray, power: np.ndarray, noise: float | np.ndarray, reference: float,
                      square_frequency: float, samples: float, of_map: bool) -> None:
    """Add a band to the sums for the line fit through logarithms of amplitudes.

    ``L = ln(C / C_reference) / 2`` with weight ``1 / (var C / (4 C^2) + 0.05^2)`` if C exceeds its deviation, else
    0.001. With n independent samples and v the noise, of two half maps ``var C = (v^2 + 2 v C + 2 C^2) / n``; of one
    map, whose noise is known from solvent only, ``(2 v^2 + 4 v C + 2 C^2) / n + (0.05 v)^2``.

    Parameters
    ----------
    sums : (5, nz, ny, nx) float32 array
        Of w, w x, w x^2, w L and w L x, with ``x = square_frequency``; added to.
    power : (nz, ny, nx) float32 array
        Power C of the signal around each place.
    noise : float or (nz, ny, nx) float32 array
        Power v of the noise: of one half map, or of the map.
    reference : float
        C of the reference, positive.
    square_frequency : float
        s^2 in 1/Å^2, less a value common to all bands that keeps the sums small.
    samples : float
        n, at least 1.
    of_map : bool
        Whether this is one map, not two halves.

    Raises
    ------
    ValueError
        If shapes do not go together or the reference is not positive.
    """
    power = as_volume(power, "power")
    if sums.shape != (5, *power.shape) or sums.dtype != np.float32:
        raise ValueError(f"sums: expected float32 of shape {(5, *power.shape)}, got {sums.dtype} of {sums.shape}")
    if not (reference > 0 and samples >= 1):
        raise ValueError(f"reference {reference} must be positive, and samples {samples} at least 1")
    launch(_add, power.reshape(-1), flat(noise, power.shape, "noise"), bool(of_map), float(reference),
           float(square_frequency), float(samples), sums.reshape(5, -1))


def relative_b_factor(sums: np.ndarray) -> np.ndarray:
    """Relative B factor: -4 times the slope of L over s^2, with a prior of deviation `PRIOR_B`.

    ``-4 S_xy / (S_xx + (4 / 120)^2)``, limited to `LOWEST_B` and `HIGHEST_B`: an amplitude that falls as
    ``exp(-B s^2 / 4)`` has the slope -B/4. Without significant signal in any band the prior gives 0.

    Parameters
    ----------
    sums : (5, nz, ny, nx) float32 array
        From `add_band_to_slope`, at least once.

    Returns
    -------
    (nz, ny, nx) float32 array
        Å^2; above 0 where the map is less sharp than the reference.
    """
    out = np.empty(sums.shape[1:], np.float32)
    launch(_slope, np.ascontiguousarray(sums, np.float32).reshape(5, -1), (4 / PRIOR_B) ** 2, out.reshape(-1))
    return out


def occupancy_without_flexibility(scale: np.ndarray, cells: np.ndarray, powers: np.ndarray,
                                  square_frequencies: np.ndarray, rest: float, least: float = 0.0
                                 ) -> tuple[np.ndarray, np.ndarray]:
    """Scale divided by the contrast of the reference after blur with the local B factor, at most 1.

    ``att = sqrt((P_rest + sum_b P_b exp(-B s_b^2 / 2)) / (P_rest + sum_b P_b))``: B lowers the power in each band.

    Parameters
    ----------
    scale : (nz, ny, nx) float32 array
        Not limited to 1; overwritten with the result.
    cells : float32 array
        Relative B factor, Å^2, on the grid of cells (`occupy_jit.kernels.grid.binned`) of the scale.
    powers : (n,) array
        P_b: power of the reference in each band after the low-pass.
    square_frequencies : (n,) array
        s_b^2, 1/Å^2.
    rest : float
        Power of the reference outside of all bands.
    least : float
        Largest scale of solvent: B is 0 at lower scales, which have no content.

    Returns
    -------
    occupancy, b_factor : (nz, ny, nx) float32 arrays

    Raises
    ------
    ValueError
        If shapes do not go together, or there is no power.
    """
    scale = as_volume(scale, "scale")
    cells = as_volume(cells, "cells")
    powers, squares = (np.array(a, np.float64) for a in (powers, square_frequencies))
    if cells.shape != cell_shape(scale.shape) or powers.shape != squares.shape or powers.ndim != 1:
        raise ValueError(f"cells of {cells.shape}, {powers.size} powers and {squares.size} frequencies do not go with "
                         f"a scale of {scale.shape}")
    if not (rest >= 0 and powers.min(initial=0) >= 0 and rest + powers.sum() > 0):
        raise ValueError("powers: expected none below 0, and a sum above")
    b_factor = np.empty_like(scale)
    launch(_separated, cells, *weights_between(scale.shape), scale, np.float32(least), powers, squares,
           float(rest), b_factor)
    return scale, b_factor
