"""Equalisation of a map in frequency bands: mean scale of a neighbourhood, gains at this scale, and the result.

Each is one pass over memory; every voxel is computed from its own values only, so the bits depend neither on the number
of threads nor on the rows that are handled together.
"""

from typing import Any

import numpy as np
from numba import prange

from occupy_jit.kernels.grid.arguments import as_volume
from occupy_jit.kernels.jit.decorator import kernel, launch

NOISE_STEPS_PER_OCTAVE = 2
"""Rows of the gain tables per octave of noise variance."""

NOISE_ROWS = 8 * NOISE_STEPS_PER_OCTAVE + 1
"""Four octaves to each side."""

_BLOCK = 1 << 15
_TINY = np.float32(1e-12)  # a smaller mean square is that of a scale too low to be used


@kernel
def _powers_block(depth, squares, cubes):
    for i in range(depth.shape[0]):
        value = -depth[i]
        square = value * value
        cubes[i] = square * value
        squares[i] = square


@kernel
def _ratio_block(cubes, squares, out):
    for i in range(cubes.shape[0]):
        ratio = cubes[i] / squares[i] if squares[i] > _TINY else np.float32(0)
        ratio = ratio if ratio > np.float32(0) else np.float32(0)
        out[i] = ratio if ratio < np.float32(1) else np.float32(1)


@kernel(parallel=True)
def _powers(depth, squares, cubes):
    n = depth.shape[0]
    for block in prange((n + _BLOCK - 1) // _BLOCK):
        start = block * _BLOCK
        stop = min(n, start + _BLOCK)
        _powers_block(depth[start:stop], squares[start:stop], cubes[start:stop])


@kernel(parallel=True)
def _ratio(cubes, squares, out):
    n = cubes.shape[0]
    for block in prange((n + _BLOCK - 1) // _BLOCK):
        start = block * _BLOCK
        stop = min(n, start + _BLOCK)
        _ratio_block(cubes[start:stop], squares[start:stop], out[start:stop])


@kernel
def _in_table(position, last):
    """Index of the entry below a position in a table with last entry `last`, and weight of the next entry."""
    position = position if position > np.float32(0) else np.float32(0)
    position = position if position < np.float32(last) else np.float32(last)
    entry = min(int(position), last - 1)
    return entry, position - np.float32(entry)


@kernel
def _add_rows(band, rows, scale, noise, gains, limit, total):
    """`add_band` for rows of one section: band (n, nx), rows (n,), scale and total (ny, nx), noise like it or empty."""
    last = gains.shape[1] - 1
    uneven = noise.shape[0] > 0
    for i in range(rows.shape[0]):
        here, there, at = band[i], total[rows[i]], scale[rows[i]]
        for x in range(here.shape[0]):
            s = at[x]
            if s < limit or s <= np.float32(0):
                continue
            entry, share = _in_table(s * np.float32(last), last)
            if uneven:
                line, noise_share = _in_table(noise[rows[i], x], gains.shape[0] - 1)
            else:
                line, noise_share = 0, np.float32(0)
            row = gains[line]
            gain = row[entry] + share * (row[entry + 1] - row[entry])
            if noise_share > np.float32(0):
                row = gains[line + 1]
                gain += noise_share * (row[entry] + share * (row[entry + 1] - row[entry]) - gain)
            there[x] += gain * here[x]


@kernel(parallel=True)
def _add_sections(band, rows, scale, noise, gains, limit, total):
    uneven = noise.shape[0] > 0
    for z in prange(band.shape[0]):
        _add_rows(band[z], rows, scale[z], noise[z] if uneven else noise[:0].reshape((0, 0)), gains, limit, total[z])


@kernel
def _equalised_block(volume, change, confidence, zero, exclude, low, high, out):
    for i in range(volume.shape[0]):
        c = confidence[i]
        value = volume[i]
        if c <= np.float32(0):
            out[i] = np.float32(0) if exclude else value
            continue
        if exclude:
            result = c * (value - zero + change[i])
        else:
            # where nothing changes the value stays as it is; the test is for -0
            result = value if change[i] == np.float32(0) else value + c * change[i]
        result = low if result < low else result
        out[i] = high if result > high else result


@kernel(parallel=True)
def _equalised(volume, change, confidence, zero, exclude, low, high, out):
    n = volume.shape[0]
    for block in prange((n + _BLOCK - 1) // _BLOCK):
        start = block * _BLOCK
        stop = min(n, start + _BLOCK)
        _equalised_block(volume[start:stop], change[start:stop], confidence[start:stop], zero, exclude, low, high,
                         out[start:stop])


def squares_and_cubes(depth: np.ndarray, out: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Square and cube of minus every voxel: of the closed scale, if `depth` is the sliding maximum of minus the scale.

    Parameters
    ----------
    depth : (nz, ny, nx) float32 array
    out : array, optional
        Where the squares go; may be `depth` itself.

    Returns
    -------
    squares, cubes : (nz, ny, nx) float32 arrays
    """
    depth = as_volume(depth, "depth")
    squares, cubes = np.empty_like(depth) if out is None else out, np.empty_like(depth)
    launch(_powers, depth.reshape(-1), squares.reshape(-1), cubes.reshape(-1))
    return squares, cubes


def power_weighted_scale(smoothed_cubes: np.ndarray, smoothed_squares: np.ndarray, out: np.ndarray | None = None
                        ) -> np.ndarray:
    """Mean scale of a neighbourhood, weighted by its power: ``G(S^3) / G(S^2)``, G a smoothing.

    Parameters
    ----------
    smoothed_cubes, smoothed_squares : (nz, ny, nx) float32 arrays
    out : array, optional
        May be one of the two.

    Returns
    -------
    (nz, ny, nx) float32 array
        In [0, 1]; 0 where there is no scale nearby.
    """
    smoothed_cubes, smoothed_squares = as_volume(smoothed_cubes), as_volume(smoothed_squares)
    _same_shapes(smoothed_cubes, smoothed_squares)
    out = np.empty_like(smoothed_squares) if out is None else out
    launch(_ratio, smoothed_cubes.reshape(-1), smoothed_squares.reshape(-1), out.reshape(-1))
    return out


def add_band(total: np.ndarray, band: np.ndarray, scale: np.ndarray, gains: tuple[Any, ...] | np.ndarray,
             limit: float = 0.0, noise: np.ndarray | None = None) -> np.ndarray:
    """Add one band of a map, times the gain for the scale of each voxel, to a sum over bands.

    Parameters
    ----------
    total : (nz, ny, nx) float32 array
        The sum; it is changed.
    band, scale : (nz, ny, nx) float32 arrays
    gains : (scales,) or (noise variances, scales) float32 array
        Factor minus 1 at evenly spaced scales from 0 to 1, and at evenly spaced positions of `noise`, if that is given.
        In between it is interpolated linearly.
    limit : float
        Where the scale is lower, or 0, nothing is added.
    noise : (nz, ny, nx) float32 array, optional
        Row of the table that belongs to each voxel, may be fractional; see `noise_position`.

    Returns
    -------
    (nz, ny, nx) float32 array
        `total`.
    """
    band, scale, gains = as_volume(band, "band"), as_volume(scale, "scale"), _table(gains)
    _same_shapes(total, band, scale)
    if noise is None:
        noise = np.empty((0, 0, 0), np.float32)
    else:
        noise = as_volume(noise, "noise")
        _same_shapes(total, noise)
    rows = np.arange(band.shape[1])
    launch(_add_sections, band, rows, scale, noise, gains, np.float32(limit), total)
    return total


def add_band_rows(total: np.ndarray, band: np.ndarray, rows: np.ndarray, scale: np.ndarray, gains: np.ndarray,
                  limit: float = 0.0, noise: np.ndarray | None = None) -> None:
    """`add_band` for some rows of one section, on the calling thread, for transforms that return row by row.

    Parameters
    ----------
    total, scale : (ny, nx) float32 arrays
    band : (n, nx) float32 array
        Values of these rows.
    rows : (n,) int64 array
        Indices of the rows.
    gains : (noise variances, scales) float32 array
    limit : float
    noise : (ny, nx) float32 array, optional
    """
    noise = np.empty((0, 0), np.float32) if noise is None else noise
    _add_rows(band, rows, scale, noise, gains, np.float32(limit), total)


def noise_position(variance: np.ndarray, rows: int, out: np.ndarray | None = None) -> np.ndarray:
    """Row of the gain table (fractional) for a noise variance relative to that of the middle row.

    Rows are powers of 2 apart, `NOISE_STEPS_PER_OCTAVE` to each; the middle one has variance 1.

    Parameters
    ----------
    variance : (nz, ny, nx) float32 array
    rows : int
        Odd.
    out : array, optional

    Returns
    -------
    (nz, ny, nx) float32 array
        Between 0 and rows - 1.
    """
    middle = rows // 2
    out = np.maximum(variance, np.float32(2.0 ** (-middle / NOISE_STEPS_PER_OCTAVE)), out=out)
    np.log2(out, out=out)
    out *= np.float32(NOISE_STEPS_PER_OCTAVE)
    out += np.float32(middle)
    return np.clip(out, 0, rows - 1, out=out)


def equalised(volume: np.ndarray, change: np.ndarray, confidence: np.ndarray, zero: float = 0.0,
              exclude_solvent: bool = False, value_range: tuple[Any, ...] | None = None, out: np.ndarray | None = None
             ) -> np.ndarray:
    """Map plus the change of all bands, weighted by confidence.

    ::

        out = rho + c change                 solvent retained; the input bit for bit where the change is 0
        out = c (rho - b + change)           solvent excluded

    Parameters
    ----------
    volume, change, confidence : (nz, ny, nx) float32 arrays
    zero : float
        Zero level b.
    exclude_solvent : bool
    value_range : (low, high), optional
        Changed voxels are clipped to it.
    out : array, optional
        May be `change` itself.

    Returns
    -------
    (nz, ny, nx) float32 array
    """
    volume, change, confidence = as_volume(volume), as_volume(change, "change"), as_volume(confidence, "confidence")
    _same_shapes(volume, change, confidence)
    out = np.empty_like(volume) if out is None else out
    low, high = (-np.inf, np.inf) if value_range is None else value_range
    f = np.float32
    launch(_equalised, volume.reshape(-1), change.reshape(-1), confidence.reshape(-1), f(zero), bool(exclude_solvent),
           f(low), f(high), out.reshape(-1))
    return out


def _table(gains):
    gains = np.ascontiguousarray(gains, np.float32)
    gains = gains[None] if gains.ndim == 1 else gains
    if gains.ndim != 2 or gains.shape[1] < 2:
        raise ValueError(f"gains: expected a table of at least two scales, got shape {gains.shape}")
    return gains


def _same_shapes(*arrays):
    if len({array.shape for array in arrays}) > 1:
        raise ValueError("shapes differ: " + ", ".join(str(array.shape) for array in arrays))
