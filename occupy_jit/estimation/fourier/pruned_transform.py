"""Fourier transforms of volumes, axis by axis, that compute only a band of frequencies.

Every axis is transformed, cut to the band, and only the rest passes to the next axis; the inverse works the same way.

The transforms are numpy's: one-dimensional, row by row, so that the bits of a result depend neither on
the number of threads nor on how the rows are grouped, and without importing another library for it
(loading scipy.fft takes longer than filtering a map of 256 voxels an edge). Axes with a large prime factor can be
transformed by sums instead, see `occupy_jit.kernels.direct_transform`.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np

from occupy_jit.estimation.threads import threads_allowed
from occupy_jit.kernels import direct_transform as direct

if TYPE_CHECKING:
    from occupy_jit.estimation.sections import Sections

BLOCK_VOXELS = 1 << 17  # voxels handled per task: a few hundred kB, which stay in a core's own cache


class Axis:
    """The part of one axis that is kept: the first `low` and the last `high` coefficients of the transform.

    For x, which is half an axis, `part` keeps a range only: `low` coefficients from `first` on.
    """

    first = 0
    sums = None

    def __init__(self, n: int, voxel_size: float, highest_frequency: float) -> None:
        self.n = n
        self.step = 1 / (n * voxel_size)
        # the tolerance keeps a coefficient that rounding moves beyond the limit
        self.top = int(min(n // 2, np.floor(highest_frequency / self.step * (1 + 1e-9))))
        self.low = self.top + 1
        self.high = min(self.top, n - self.low)

    def prefer_sums(self) -> Axis:
        """Use transforms by sums if they are faster; returns the axis."""
        if direct.is_faster(self.n, self.low):
            self.sums = direct.tables(self.n, self.low, self.high)
        return self

    @property
    def frequencies(self) -> np.ndarray:
        """Frequencies of the indices 0 ... top, in 1/Å."""
        return (self.first + np.arange(self.low)) * self.step

    def part(self, first: int, last: int) -> Axis:
        """The same axis with only the indices first ... last - 1."""
        part = copy.copy(self)
        part.first, part.low, part.high = first, last - first, 0
        return part


def frequencies(axes: Sequence[Any], ky: int, columns: int) -> np.ndarray:
    """Distance to the origin in 1/Å for kz = 0 ... top and kx = 0 ... columns - 1 at the index ky."""
    z_axis, y_axis, x_axis = axes
    y = ky * y_axis.step
    return np.sqrt((z_axis.frequencies ** 2)[:, None] + (y * y + x_axis.frequencies[:columns] ** 2))


def transform_slices(volume: np.ndarray | Sections, axes: Sequence[Any], workers: Workers) -> np.ndarray:
    """Transform x and y of every slice, cut to the band: complex64 (nz, y low + high, x low)."""
    n_z, n_y, n_x = volume.shape
    _, y_axis, x_axis = axes
    band = np.empty((n_z, y_axis.low + y_axis.high, x_axis.low), np.complex64)
    rows = max(1, BLOCK_VOXELS // (n_y * n_x))

    def task(z):
        part = volume[z:z + rows]
        if x_axis.sums is None:
            part = np.fft.rfft(part, axis=2)[:, :, x_axis.first:x_axis.first + x_axis.low]
        else:
            part = direct.forward_rows(part.reshape(-1, n_x), x_axis.sums).reshape(-1, n_y, x_axis.low)
        if y_axis.sums is None:
            part = np.fft.fft(part, axis=1)
            band[z:z + rows, :y_axis.low] = part[:, :y_axis.low]
            band[z:z + rows, y_axis.low:] = part[:, n_y - y_axis.high:]
            return
        for i, section in enumerate(part):
            band[z + i] = direct.forward_columns(np.ascontiguousarray(section), y_axis.sums)

    workers.map(task, range(0, n_z, rows))
    return band


def transform_slices_back(band: np.ndarray, axes: list[Axis], out: np.ndarray, workers: Workers) -> None:
    """Inverse transform, with zeros outside the band."""
    n_z, n_y, n_x = out.shape
    _, y_axis, x_axis = axes
    rows = max(1, BLOCK_VOXELS // (n_y * n_x))

    def task(z):
        part = np.zeros((min(rows, n_z - z), n_y, x_axis.low), np.complex64)
        # A whole half spectrum: numpy transforms several rows at a time only where it has nothing to pad.
        spectrum = after_y = part
        if x_axis.sums is None:
            spectrum = np.zeros((len(part), n_y, n_x // 2 + 1), np.complex64)
            after_y = spectrum[:, :, :x_axis.low]
        if y_axis.sums is None:
            part[:, :y_axis.low] = band[z:z + rows, :y_axis.low]
            part[:, n_y - y_axis.high:] = band[z:z + rows, y_axis.low:]
            np.fft.ifft(part, axis=1, out=after_y)
        else:
            for i, section in enumerate(part):
                direct.backward_columns(band[z + i], y_axis.sums, section)
                after_y[i] = section
        if x_axis.sums is None:
            np.fft.irfft(spectrum, n_x, axis=2, out=out[z:z + rows])
        else:
            direct.backward_rows(spectrum.reshape(-1, x_axis.low), x_axis.sums, out[z:z + rows].reshape(-1, n_x))

    workers.map(task, range(0, n_z, rows))


def for_each_column_plane(band: np.ndarray, axes: Sequence[Any], highest_frequency: float,
                          along_z: Callable[..., Any], workers: Workers) -> list[Any]:
    """Call along_z(slab, ky) for every ky >= 0 and return what it returned.

    `slab` is a contiguous copy (nz, 1 or 2, columns) of the planes of the band at ky and -ky, which share their
    distances to the origin. The function may change it in place. Columns wholly beyond the highest frequency
    are left out and set to 0.
    """
    _, y_axis, x_axis = axes

    def task(ky):
        planes = [ky, band.shape[1] - ky] if 0 < ky <= y_axis.high else [ky]
        frequency = np.hypot(ky * y_axis.step, x_axis.frequencies)
        columns = int(np.count_nonzero(frequency <= highest_frequency * (1 + 1e-9)))
        result = None
        if columns:
            slab = np.stack([band[:, plane, :columns] for plane in planes], axis=1)
            result = along_z(slab, ky)
        for i, plane in enumerate(planes):
            if columns:
                band[:, plane, :columns] = slab[:, i]
            band[:, plane, columns:] = 0
        return result

    return workers.map(task, range(y_axis.low))


class Workers:
    """Threads that share the tasks of a loop; numpy's transforms release the interpreter's lock."""

    def __init__(self, threads: int | None) -> None:
        threads = threads_allowed() if threads is None else threads
        self.pool = ThreadPoolExecutor(threads) if threads > 1 else None

    def __enter__(self) -> Workers:
        return self

    def __exit__(self, *exception: Any) -> None:
        if self.pool is not None:
            self.pool.shutdown()

    def map(self, task: Callable[..., Any], items: range) -> list[Any]:
        """Results of a task for every item, in order."""
        return list(map(task, items) if self.pool is None else self.pool.map(task, items))


def keep_freed_memory() -> None:
    """Stop the C library from returning memory to the system after every row.

    numpy's transforms allocate and free a small buffer for every row. If that buffer lies at the top of the heap,
    glibc may return its pages at once and fault them in again for the next row, which made transforms
    four times slower. Once a larger block has been freed glibc raises the threshold for this (mallopt(3),
    M_MMAP_THRESHOLD: at most 32 MB counts). The block is never touched, so that it costs no memory;
    elsewhere this does nothing.
    """
    block = np.empty(30 << 20, np.uint8)
    del block
