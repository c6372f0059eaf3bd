"""Filters and spectra that depend on the distance to the origin of Fourier space only.

A low-pass needs only its band: every axis is transformed, cut to the band, and only what
remains passes to the next axis; the inverse works the same way. With the default low-pass, at a third of the Nyquist
frequency, the data between both directions are a ninth of the map, and the transforms
cost about half of full ones.

The passes over the axes are in `pruned_transform`.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from occupy_jit.errors import UsageError
from occupy_jit.estimation.fourier import pruned_transform as pruned
from occupy_jit.estimation.sections import Sections
from occupy_jit.kernels import direct_transform
from occupy_jit.kernels.grid.arguments import as_volume


def lowpass(volume: np.ndarray, resolution_angstrom: float, voxel_size: float, threads: int | None = None,
            out: np.ndarray | None = None, gain: Callable[..., Any] | None = None) -> np.ndarray:
    """Low-pass filter with a soft radial edge centred on 1 / `resolution_angstrom`.

    The edge is a raised cosine two Fourier shells wide, 2 / (min(shape) voxel_size) in 1/Å; a shell is one of the
    shortest axis. The mean of the map is kept.

    Parameters
    ----------
    volume : ndarray (z, y, x), real
    resolution_angstrom : float
        On an axis of n voxels the edge lies at Fourier index n voxel_size / resolution_angstrom.
        At or below 2 `voxel_size` (the Nyquist limit) the map is not filtered, and a copy is returned.
    voxel_size : float
        In Å.
    threads : int, optional
        By default as many as may run here (`occupy_jit.machine.threads`). The result does not depend on it, bit for
        bit.
    out : ndarray (z, y, x), float32, C-contiguous, optional
        Array for the result. It may be `volume` itself.
    gain : callable, optional
        Function from frequencies in 1/Å to further factors of the transform.

    Returns
    -------
    ndarray (z, y, x), float32
        `out` if it was given.

    Raises
    ------
    UsageError
        If the resolution or the voxel size is not a positive number.
    TypeError, ValueError
        If `volume` or `out` is not a suitable array.
    """
    resolution = _positive(resolution_angstrom, "low-pass resolution")
    voxel_size = _positive(voxel_size, "voxel size")
    volume = as_volume(volume)
    if resolution <= 2 * voxel_size and gain is not None:
        return filter_radially(volume, gain, voxel_size, threads=threads, out=out)
    if resolution <= 2 * voxel_size:
        out = _output(out, volume.shape)
        np.copyto(out, volume)
        return out
    width = 2 / (min(volume.shape) * voxel_size)
    start = highest_frequency_of(resolution, voxel_size, volume.shape) - width

    def raised_cosine(frequency):
        edge = 0.5 + 0.5 * np.cos(np.pi * np.clip((frequency - start) / width, 0, 1))
        edge[frequency == 0] = 1  # at a resolution near the size of the box the edge would reach the mean
        return edge if gain is None else edge * gain(frequency)

    return filter_radially(volume, raised_cosine, voxel_size, start + width, threads=threads, out=out)


def highest_frequency_of(resolution_angstrom: float, voxel_size: float, shape: tuple[int, int, int]) -> float:
    """Frequency in 1/Å beyond which `lowpass` sets a map of this shape to 0."""
    if resolution_angstrom <= 2 * voxel_size:
        return np.inf
    return 1 / resolution_angstrom + 1 / (min(shape) * voxel_size)


def filter_radially(volume: np.ndarray, transfer: Callable[..., Any], voxel_size: float,
                    highest_frequency: float | None = np.inf, threads: int | None = None,
                    out: np.ndarray | None = None) -> np.ndarray:
    """Multiply the Fourier transform of `volume` by a function of the distance to the origin.

    Parameters
    ----------
    volume : ndarray (z, y, x), real
    transfer : callable
        Function from frequencies in 1/Å (float64 array) to real factors, elementwise. Several threads may call it.
    voxel_size : float
        In Å.
    highest_frequency : float, optional
        In 1/Å; beyond it the factor is 0. The lower, the faster.
    threads, out
        As in `lowpass`.

    Returns
    -------
    ndarray (z, y, x), float32
        `out` if it was given.

    Notes
    -----
    Beside the input and the output, memory holds the band: 8 bytes for each of its coefficients (half the
    band of Fourier space, because the map is real), and some MB for each thread.
    """
    voxel_size = _positive(voxel_size, "voxel size")
    volume = as_volume(volume)
    out = _output(out, volume.shape)
    if volume.size == 0:
        return out
    axes = [pruned.Axis(n, voxel_size, highest_frequency).prefer_sums() for n in volume.shape]
    z_axis = axes[0]

    def along_z(slab, ky):
        frequency = pruned.frequencies(axes, ky, slab.shape[2])
        factor = np.asarray(transfer(frequency), dtype=np.float32)
        factor[frequency > highest_frequency] = 0
        if z_axis.sums is not None:
            flat = slab.reshape(len(slab), -1)
            kept = direct_transform.forward_columns(flat, z_axis.sums).reshape(-1, *slab.shape[1:])
            kept[:z_axis.low] *= factor[:, None]
            kept[z_axis.low:] *= factor[z_axis.high:0:-1, None]
            direct_transform.backward_columns(kept.reshape(len(kept), -1), z_axis.sums, flat)
            return
        spectrum = np.fft.fft(slab, axis=0)
        spectrum[z_axis.low:z_axis.n - z_axis.high] = 0
        spectrum[:z_axis.low] *= factor[:, None]
        if z_axis.high:
            spectrum[z_axis.n - z_axis.high:] *= factor[z_axis.high:0:-1, None]
        np.fft.ifft(spectrum, axis=0, out=slab)

    pruned.keep_freed_memory()
    with pruned.Workers(threads) as workers:
        band = pruned.transform_slices(volume, axes, workers)
        pruned.for_each_column_plane(band, axes, highest_frequency, along_z, workers)
        pruned.transform_slices_back(band, axes, out, workers)
    return out


def radial_spectrum(volume: Any, voxel_size: float, threads: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Power of a map in shells of Fourier space.

    Parameters
    ----------
    volume : ndarray (z, y, x), real, or occupy_jit.estimation.sections.Sections
    voxel_size : float
        In Å.
    threads : int, optional
        As in `lowpass`.

    Returns
    -------
    frequency : ndarray (shells,), float64
        Centres of the shells in 1/Å: multiples of 1 / (min(shape) voxel_size), from 0 to the Nyquist frequency.
    power : ndarray (shells,), float64
        Mean of |F|^2 / volume.size over each shell: white noise of variance v has v in every shell, so
        that white noise of variance 1 filtered with sqrt(power) has the spectrum of the map.
    """
    voxel_size = _positive(voxel_size, "voxel size")
    volume = volume if isinstance(volume, Sections) else as_volume(volume)
    axes = [pruned.Axis(n, voxel_size, np.inf) for n in volume.shape]
    whole = axes[2]
    step = 1 / (min(volume.shape) * voxel_size)
    shells = min(volume.shape) // 2 + 1
    # All but the planes kx = 0 and kx = nx / 2 stand for two coefficients each: the other half of Fourier space mirrors
    # them.
    n_x = volume.shape[2]
    multiplicity = np.full(n_x // 2 + 1, 2.0)
    multiplicity[0] = 1
    if n_x % 2 == 0:
        multiplicity[-1] = 1

    def along_z(slab, ky):
        x_axis = axes[2]
        shell = np.rint(pruned.frequencies(axes, ky, slab.shape[2]) / step).astype(np.intp)
        shell = np.concatenate([shell, shell[axes[0].high:0:-1]])
        shell = np.broadcast_to(shell[:, None], slab.shape).ravel()
        spectrum = np.fft.fft(slab, axis=0)
        weight = np.broadcast_to(multiplicity[x_axis.first:x_axis.first + x_axis.low], slab.shape)
        power = (spectrum.real.astype(np.float64) ** 2 + spectrum.imag.astype(np.float64) ** 2) * weight
        return tuple(np.bincount(shell, w.ravel(), minlength=shells)[:shells] for w in (power, weight))

    pruned.keep_freed_memory()
    with pruned.Workers(threads) as workers:
        parts = []
        # in two halves: the transform of all columns would take as much memory as the map
        for columns in np.array_split(np.arange(n_x // 2 + 1), 2):
            if columns.size:
                axes = (*axes[:2], whole.part(int(columns[0]), int(columns[-1]) + 1))
                band = pruned.transform_slices(volume, axes, workers)
                parts += pruned.for_each_column_plane(band, axes, np.inf, along_z, workers)
                del band
    power, weight = (np.sum([part[i] for part in parts], axis=0) for i in (0, 1))
    return np.arange(shells) * step, power / weight / volume.size


def radial_cross_spectrum(first: np.ndarray, second: np.ndarray, voxel_size: float, highest_frequency: float = np.inf,
                          threads: int | None = None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Cross power of two maps in shells of Fourier space.

    Parameters
    ----------
    first, second : ndarray (z, y, x), real, or occupy_jit.estimation.sections.Sections
        Of one shape.
    voxel_size : float
        In Å.
    highest_frequency : float
        In 1/Å; higher shells are left out. The lower, the faster.
    threads : int, optional
        As in `lowpass`.

    Returns
    -------
    frequency : ndarray (shells,), float64
        As in `radial_spectrum`.
    cross : ndarray (shells,), float64
        Mean of ``Re(F_first conj F_second) / volume.size`` over each shell.
    power : ndarray (shells,), float64
        The same of ``|F_second|^2``.
    """
    voxel_size = _positive(voxel_size, "voxel size")
    first, second = (part if isinstance(part, Sections) else as_volume(part) for part in (first, second))
    shape, n_x = first.shape, first.shape[2]
    step = 1 / (min(shape) * voxel_size)
    # a shell reaches half a step beyond its centre
    shells = int(min(min(shape) // 2, np.ceil(highest_frequency / step))) + 1
    reach = (shells + 0.5) * step
    axes = [pruned.Axis(n, voxel_size, reach) for n in shape]
    whole = axes[2]
    multiplicity = np.full(n_x // 2 + 1, 2.0)
    multiplicity[0] = 1
    if n_x % 2 == 0:
        multiplicity[-1] = 1

    def along_z(slab, ky):
        x_axis, z_axis = axes[2], axes[0]
        y_high = band_of_second.shape[1] - ky
        planes = [ky] if slab.shape[1] == 1 else [ky, y_high]
        other = np.stack([band_of_second[:, plane, :slab.shape[2]] for plane in planes], axis=1)
        one, two = (np.fft.fft(part, axis=0) for part in (slab, other))
        kept = np.r_[0:z_axis.low, z_axis.n - z_axis.high:z_axis.n]
        one, two = one[kept], two[kept]
        shell = np.rint(pruned.frequencies(axes, ky, slab.shape[2]) / step).astype(np.intp)
        shell = np.concatenate([shell, shell[z_axis.high:0:-1]])
        shell = np.broadcast_to(np.minimum(shell, shells)[:, None], one.shape).ravel()
        weight = np.broadcast_to(multiplicity[x_axis.first:x_axis.first + slab.shape[2]], one.shape)
        cross = (one.real.astype(np.float64) * two.real + one.imag.astype(np.float64) * two.imag) * weight
        power = (two.real.astype(np.float64) ** 2 + two.imag.astype(np.float64) ** 2) * weight
        return tuple(np.bincount(shell, w.ravel(), minlength=shells + 1)[:shells] for w in (cross, power, weight))

    pruned.keep_freed_memory()
    with pruned.Workers(threads) as workers:
        parts = []
        for columns in np.array_split(np.arange(whole.low), 2):
            if columns.size:
                axes = (*axes[:2], whole.part(int(columns[0]), int(columns[-1]) + 1))
                band_of_second = pruned.transform_slices(second, axes, workers)
                band = pruned.transform_slices(first, axes, workers)
                parts += [part for part in pruned.for_each_column_plane(band, axes, np.inf, along_z, workers) if part]
                del band, band_of_second
    cross, power, weight = (np.sum([part[i] for part in parts], axis=0) for i in range(3))
    return np.arange(shells) * step, cross / weight / first.size, power / weight / first.size


def _output(out, shape):
    if out is None:
        return np.empty(shape, np.float32)
    if not (isinstance(out, np.ndarray) and out.dtype == np.float32 and out.shape == shape and out.flags.c_contiguous):
        raise ValueError(f"out: expected a C-contiguous float32 array of shape {shape}")
    return out


def _positive(value, name):
    value = float(value)
    if not (np.isfinite(value) and value > 0):
        raise UsageError(f"{name}: expected a positive number in Å, got {value:g}")
    return value
