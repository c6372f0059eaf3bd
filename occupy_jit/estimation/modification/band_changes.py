"""Changes of a map by its resolution bands, some sections at a time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from occupy_jit.estimation.fourier.band_rows import BandRows
from occupy_jit.estimation.fourier.pruned_transform import Workers
from occupy_jit.estimation.modification.neighbourhood import scale_in_force
from occupy_jit.kernels import band_equalisation as kernels

if TYPE_CHECKING:
    from occupy_jit.estimation.modification.equalise import Bands
    from occupy_jit.estimation.scale.result import Result

_PARTS = 4  # small parts need little memory; each costs a transform along z


def changes(volume: np.ndarray, result: Result, bands: Bands, tables: np.ndarray, changing: np.ndarray, limit: float,
            thread_count: int | None = None) -> Iterator[tuple[Any, np.ndarray]]:
    """Yield parts of the box along z, with sum_j (f_j - 1) B_j in all rows with any confidence.

    Parameters
    ----------
    volume : (nz, ny, nx) float32 array
    result : occupy_jit.estimation.scale.result.Result
        With confidence.
    bands : occupy_jit.estimation.modification.equalise.Bands
    tables : (bands, noise variances, scales) float32 array
        Factors minus 1, see `occupy_jit.estimation.modification.equalise.gains`.
    changing : (n,) int array
        Bands that change.
    limit : float
        Scale below which nothing changes.
    thread_count : int, optional

    Yields
    ------
    part : slice
    change : (sections, ny, nx) float32 array
        Overwritten by the next part. Undefined where the confidence is 0.
    """
    n_z = volume.shape[0]
    rows = np.array([section.any(axis=1) for section in result.confidence])
    sections = np.flatnonzero(rows.any(axis=1))
    if sections.size == 0:
        yield slice(0, n_z), volume
        return
    first, last = int(sections[0]), int(sections[-1]) + 1
    for beside in (slice(0, first), slice(last, n_z)):
        yield beside, volume[beside]
    step = -(-(last - first) // _PARTS)
    change = np.empty((step, *volume.shape[1:]), np.float32)
    with Workers(thread_count) as workers:
        if changing.size:
            transform = BandRows(volume, result.voxel_size, bands.highest_frequency(changing[-1]), workers)
        for start in range(first, last, step):
            stop = min(last, start + step)
            total = change[:stop - start]
            total.fill(0)
            if changing.size:
                _add_bands(total, transform, changing, bands, rows[start:stop], start, result, tables, limit)
            yield slice(start, stop), total


def _add_bands(total, transform, changing, bands, rows, start, result, tables, limit):  # noqa: PLR0913 (the inner loop of `changes`, on what that shares)
    """Add the changes of the bands in the sections from `start` on."""
    stop = start + len(total)
    scale, noise = scale_in_force(result, bands, start, stop), None
    if bands.noise_variance is not None:
        noise = kernels.noise_position(bands.noise_variance[start:stop], kernels.NOISE_ROWS)
    for band in changing:
        _add_band(total, transform, band, bands, rows, start, scale, tables[band], limit, noise, result.zero)


def _add_band(total, transform, band, bands, rows, start, scale, table, limit, noise, zero):  # noqa: PLR0913 (the inner loop of `changes`, on what that shares)
    # the mean of the map, and with it the zero level, belongs to the lowest band
    offset = np.float32(zero if band == 0 else 0)

    def add(z, which, values):
        if offset:
            values -= offset
        kernels.add_band_rows(total[z - start], values, which, scale[z - start], table, limit,
                              None if noise is None else noise[z - start])

    transform.each_section(lambda frequency: bands.response(band, frequency), bands.highest_frequency(band), start,
                           rows, add)


