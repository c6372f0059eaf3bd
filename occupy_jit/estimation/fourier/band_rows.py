"""Bands of a map from one transform, section by section and only in the requested rows.

If several bands of a map are needed only at its content, transforming back a whole volume for each band would
mostly produce unused voxels. The transform is kept in memory; a band is
transformed back along z for its own columns, along y for the sections with content, and along x, the
most expensive axis, for the rows with content. Results are used at once, so that no volume of a band is held.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from occupy_jit.estimation.fourier import pruned_transform as pruned
from occupy_jit.kernels.grid.arguments import as_volume

if TYPE_CHECKING:
    from occupy_jit.estimation.fourier.pruned_transform import Workers


class BandRows:
    """Transform of a map that can be transformed back band by band.

    Parameters
    ----------
    volume : (nz, ny, nx) array, real
    voxel_size : float
        Å.
    highest_frequency : float
        In 1/Å; higher frequencies are left out. The lower, the less memory and time.
    workers : occupy_jit.estimation.fourier.pruned_transform.Workers

    Notes
    -----
    Memory: 8 bytes for each coefficient that is kept (half of them, because the map is real). While a band is
    transformed back, 8 bytes for each of its columns and each requested section.
    """

    def __init__(self, volume: np.ndarray, voxel_size: float, highest_frequency: float, workers: Workers) -> None:
        volume = as_volume(volume)
        self._shape, self._voxel_size, self._workers = volume.shape, voxel_size, workers
        self._axes = [pruned.Axis(n, voxel_size, highest_frequency) for n in volume.shape]
        pruned.keep_freed_memory()
        self._half = pruned.transform_slices(volume, self._axes, workers)

        def along_z(slab, ky):
            np.fft.fft(slab, axis=0, out=slab)

        pruned.for_each_column_plane(self._half, self._axes, highest_frequency, along_z, workers)

    def each_section(self, transfer: Callable[..., Any], highest_frequency: float, first: int, rows: np.ndarray,
                     use: Callable[..., Any]) -> None:
        """Transform a band back and pass on its sections one by one, in any order and from several threads.

        Parameters
        ----------
        transfer : callable
            From frequencies in 1/Å to real factors, elementwise: the band.
        highest_frequency : float
            In 1/Å; the band is taken as 0 beyond it.
        first : int
            First section of `rows`.
        rows : (sections, ny) bool array
            Requested rows of each section. Sections without any are skipped.
        use : callable
            ``use(z, which, values)`` with the index z of a section, those of its rows, and the rows themselves:
            (n,) int64 and (n, nx) float32 arrays.
        """
        n_y, n_x = self._shape[1:]
        axes = [pruned.Axis(n, self._voxel_size, highest_frequency) for n in self._shape]
        columns = self._back_along_z(transfer, highest_frequency, axes, first, first + len(rows))
        y_axis, x_axis = axes[1:]

        def task(index):
            which = np.flatnonzero(rows[index])
            if which.size == 0:
                return
            part = np.zeros((n_y, x_axis.low), np.complex64)
            part[:y_axis.low] = columns[index, :y_axis.low]
            part[n_y - y_axis.high:] = columns[index, y_axis.low:]
            np.fft.ifft(part, axis=0, out=part)
            # whole half spectra: numpy transforms several rows at a time only if it need not pad
            spectrum = np.zeros((which.size, n_x // 2 + 1), np.complex64)
            spectrum[:, :x_axis.low] = part[which]
            values = np.empty((which.size, n_x), np.float32)
            np.fft.irfft(spectrum, n_x, axis=1, out=values)
            use(first + index, which, values)

        self._workers.map(task, range(len(rows)))

    def _back_along_z(self, transfer, highest_frequency, axes, first, last):
        """The band after the transform along z, in the sections first ... last - 1: (sections, ky, kx) complex64."""
        z_axis, y_axis, x_axis = axes
        out = np.zeros((last - first, y_axis.low + y_axis.high, x_axis.low), np.complex64)
        n_z, kept = self._shape[0], self._half.shape[1]

        def task(ky):
            mirrored = 0 < ky <= y_axis.high
            from_planes = [ky, kept - ky] if mirrored else [ky]
            to_planes = [ky, out.shape[1] - ky] if mirrored else [ky]
            distance = np.hypot(ky * y_axis.step, x_axis.frequencies)
            columns = int(np.count_nonzero(distance <= highest_frequency * (1 + 1e-9)))
            if columns == 0:
                return
            frequency = pruned.frequencies(axes, ky, columns)
            factor = np.asarray(transfer(frequency), np.float32)
            factor[frequency > highest_frequency * (1 + 1e-9)] = 0
            slab = np.zeros((n_z, len(from_planes), columns), np.complex64)
            for i, plane in enumerate(from_planes):
                source = self._half[:, plane, :columns]
                np.multiply(source[:z_axis.low], factor, out=slab[:z_axis.low, i])
                if z_axis.high:
                    np.multiply(source[n_z - z_axis.high:], factor[z_axis.high:0:-1], out=slab[n_z - z_axis.high:, i])
            np.fft.ifft(slab, axis=0, out=slab)
            for i, plane in enumerate(to_planes):
                out[:, plane, :columns] = slab[first:last, i]

        self._workers.map(task, range(y_axis.low))
        return out
