"""Local power of a map in resolution bands, from one forward transform.

Only the coefficients that any of the bands needs are kept. The result for a band is its power, smoothed with a
wide Gaussian, on the grid of cells (`occupy_jit.kernels.grid.binned`):

* If that grid can represent the square of the band after the Gaussian, the band is transformed back to the
  centres of the cells, an eighth of the points. With r points per Å and a band up to f, content of the square beyond
  r / 2 is aliased to r - s; because the square is 0 beyond 2 f, there are no aliases below r - 2 f.
* Otherwise it is transformed back to all voxels, some sections at a time if possible.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from occupy_jit.estimation.fourier import pruned_transform as pruned
from occupy_jit.kernels import direct_transform as direct
from occupy_jit.kernels.grid import binned
from occupy_jit.kernels.grid.arguments import as_volume
from occupy_jit.kernels.grid.smoothing import smooth

if TYPE_CHECKING:
    from occupy_jit.estimation.fourier.pruned_transform import Axis, Workers
    from occupy_jit.estimation.solvent.quiet_voxels import Quiet

_CLEAR = 0.45
"""Frequency, in 1 / sigma, below which no alias may fall: there the Gaussian leaves exp(-2 (pi 0.45)^2),
2%."""

_CELLS_AT_A_TIME = 8  # sections of cells


class Spectrum:
    """Fourier transform of a map up to a frequency.

    Parameters
    ----------
    volume : ndarray (z, y, x), real
    voxel_size : float
        Å.
    highest_frequency : float
        1/Å.
    threads : int, optional
        Never changes the result.
    """

    def __init__(self, volume: np.ndarray, voxel_size: float, highest_frequency: float, threads: int | None = None
                ) -> None:
        volume = as_volume(volume)
        self.shape, self.voxel_size, self.threads = volume.shape, voxel_size, threads
        self.axes = [pruned.Axis(n, voxel_size, highest_frequency).prefer_sums() for n in volume.shape]
        z_axis = self.axes[0]
        kept = z_axis.low + z_axis.high

        def along_z(slab, _):
            if z_axis.sums is not None:
                flat = slab.reshape(len(slab), -1)
                slab[:kept] = direct.forward_columns(flat, z_axis.sums).reshape(kept, *slab.shape[1:])
                return
            spectrum = np.fft.fft(slab, axis=0)
            slab[:z_axis.low] = spectrum[:z_axis.low]
            slab[z_axis.low:kept] = spectrum[z_axis.n - z_axis.high:]

        pruned.keep_freed_memory()
        with pruned.Workers(threads) as workers:
            band = pruned.transform_slices(volume, self.axes, workers)
            pruned.for_each_column_plane(band, self.axes, highest_frequency, along_z, workers)
        self.coefficients = band[:kept]

    def held_by_cells(self, highest_frequency: float, sigma_angstrom: float) -> bool:
        """Whether the grid of cells can represent the smoothed square of a band."""
        return (all(n % 2 == 0 for n in self.shape)
                and 1 / (2 * self.voxel_size) >= 2 * highest_frequency + _CLEAR / sigma_angstrom)

    def band(self, transfer: Callable[..., Any], highest_frequency: float, on_cells: bool = False) -> Band:
        """The map after a radial filter.

        Parameters
        ----------
        transfer : callable
            From frequencies in 1/Å to factors, elementwise.
        highest_frequency : float
            1/Å, at most that of the spectrum; beyond it the factor is 0.
        on_cells : bool
            At the centres of the cells instead of the voxels: for a box of even lengths and a frequency below the
            Nyquist limit of the cells.

        Returns
        -------
        Band
        """
        step = 2 if on_cells else 1
        axes = [pruned.Axis(n // step, step * self.voxel_size, highest_frequency).prefer_sums() for n in self.shape]
        z_axis, y_axis, x_axis = axes
        out = np.empty((z_axis.n, y_axis.low + y_axis.high, x_axis.low), np.complex64)
        # a transform of half the length divides by half as much; a cell lies half a voxel beyond its first one
        gain = step ** -3
        turn = [np.exp(np.pi * 1j * np.arange(axis.low) / n) if on_cells else np.ones(axis.low)
                for axis, n in zip(axes, self.shape, strict=True)]

        def task(ky):
            frequency = pruned.frequencies(axes, ky, x_axis.low)
            factor = np.asarray(transfer(frequency), np.float64)
            factor[frequency > highest_frequency * (1 + 1e-9)] = 0
            factor = factor * gain * turn[2]
            mirrored = 0 < ky <= y_axis.high
            for plane, source, of_y in [(ky, ky, turn[1][ky]), (-ky, -ky, turn[1][ky].conj())][:1 + mirrored]:
                self._along_z(out[:, plane], source, factor * of_y, turn[0][:, None], z_axis)

        with pruned.Workers(self.threads) as workers:
            workers.map(task, range(y_axis.low))
        return Band(out, axes, self.threads)

    def _along_z(self, out, plane, factor, turn, axis):
        """One plane of constant ky back along z."""
        low, high = axis.low, axis.high
        source = self.coefficients[:, plane, :factor.shape[1]]
        first = (source[:low] * (factor * turn)).astype(np.complex64)
        last = (source[len(source) - high:] * (factor * turn.conj())[high:0:-1]).astype(np.complex64)
        if axis.sums is not None:
            flat = np.empty(out.shape, np.complex64)
            direct.backward_columns(np.concatenate([first, last]), axis.sums, flat)
            out[:] = flat
            return
        spectrum = np.zeros(out.shape, np.complex64)
        spectrum[:low] = first
        spectrum[axis.n - high:] = last
        out[:] = np.fft.ifft(spectrum, axis=0)


class Band:
    """A band that is transformed back along z; x and y follow when sections are requested."""

    def __init__(self, columns: np.ndarray, axes: list[Axis], threads: int) -> None:
        self.columns, self.axes, self.threads = columns, axes, threads
        self.shape = tuple(axis.n for axis in axes)

    def sections(self, first: int, last: int, workers: Workers) -> np.ndarray:
        """Sections first ... last - 1: float32 array."""
        out = np.empty((last - first, *self.shape[1:]), np.float32)
        pruned.transform_slices_back(self.columns[first:last], self.axes, out, workers)
        return out

    def values(self) -> np.ndarray:
        """The whole band: float32 array."""
        with pruned.Workers(self.threads) as workers:
            return self.sections(0, self.shape[0], workers)

    def on_cells(self) -> tuple[np.ndarray, np.ndarray]:
        """Mean and mean square over each cell: float32 arrays."""
        mean, square = (np.empty(binned.cell_shape(self.shape), np.float32) for _ in range(2))
        n_z = self.shape[0]
        with pruned.Workers(self.threads) as workers:
            for those, voxels in binned.sections_of_cells(n_z, _CELLS_AT_A_TIME):
                part = self.sections(voxels.start, voxels.stop, workers)
                binned.cell_mean_of_sections(part, those, n_z, mean[those])
                binned.cell_mean_of_sections(part, those, n_z, square[those], squared=True)
        return mean, square


def smoothed_power(spectrum: Spectrum, transfer: Callable[..., Any], highest_frequency: float, sigma_angstrom: float,
                   quiet: Quiet | None = None) -> tuple[np.ndarray, float | None]:
    """Local power of a band on cells, and its variance over the quiet voxels.

    Parameters
    ----------
    spectrum : Spectrum
    transfer, highest_frequency
        As for `Spectrum.band`.
    sigma_angstrom : float
        Of the Gaussian.
    quiet : occupy_jit.estimation.solvent.quiet_voxels.Quiet, optional
        Without it there is no variance.

    Returns
    -------
    power : float32 array, of `cells.cell_shape`
    variance : float or None
    """
    sigma = sigma_angstrom / spectrum.voxel_size
    # quiet voxels must be known on the grid of the band
    coarse = spectrum.held_by_cells(highest_frequency, sigma_angstrom) and (quiet is None or quiet.on_cells)
    band = spectrum.band(transfer, highest_frequency, coarse)
    if coarse:
        values = band.values()
        variance = None if quiet is None else quiet.mean_and_deviation(values)[1] ** 2
        np.square(values, out=values)
        return smooth(values, sigma / 2, out=values), variance
    if quiet is None or quiet.on_cells:
        mean, power = band.on_cells()
        variance = None
        if quiet is not None:
            variance = quiet.mean_and_deviation(power)[0] - quiet.mean_and_deviation(mean)[0] ** 2
    else:
        values = band.values()
        variance = quiet.mean_and_deviation(values)[1] ** 2
        power = binned.cell_power(values, 0.0)
        del values
    return binned.smoothed_cells(power, sigma), variance
