"""Filters and spectra that depend on the distance to the origin of Fourier space only.

A filter that keeps a low band needs only that band: every axis is transformed, cut to the band, and only what
is left goes on to the next axis; back the same way. With the default low-pass, at a third of the Nyquist
frequency, what lies between the two directions is a ninth of the map, and the transforms
cost about half of the whole ones.

The transforms are numpy's: one-dimensional, row by row, so that the bits of a result depend neither on
the number of threads nor on how the rows are grouped, and without importing another library for it
(loading scipy.fft takes longer than filtering a map of 256 voxels an edge).
"""

from concurrent.futures import ThreadPoolExecutor

import numpy as np

from occupy_jit.errors import UsageError
from occupy_jit.kernels.jit.decorator import as_volume
from occupy_jit.machine.threads import thread_count

_BLOCK_VOXELS = 1 << 17  # voxels handled per task: a few hundred kB, which stay in a core's own cache


def lowpass(volume, resolution_angstrom, voxel_size, threads=None, out=None):
    """Low-pass filter with a soft radial edge centred on 1 / `resolution_angstrom`.

    The edge is a raised cosine two Fourier shells wide, 2 / (min(shape) voxel_size) in 1/Å; a shell is one of the
    shortest axis. The mean of the map is kept.

    Parameters
    ----------
    volume : ndarray (z, y, x), real
    resolution_angstrom : float
        On an axis of n voxels the edge lies at Fourier index n voxel_size / resolution_angstrom.
        At or below 2 `voxel_size` (the Nyquist limit) nothing is filtered, and a copy is returned.
    voxel_size : float
        In Å.
    threads : int, optional
        By default as many as may run here (`occupy_jit.machine.threads`). The bits of the result do not depend on it.
    out : ndarray (z, y, x), float32, C-contiguous, optional
        Where to put the result. It may be `volume` itself.

    Returns
    -------
    ndarray (z, y, x), float32
        `out` if it was given.

    Raises
    ------
    UsageError
        If the resolution or the voxel size is not a positive number.
    TypeError, ValueError
        If `volume` or `out` is not an array that can be used.
    """
    resolution = _positive(resolution_angstrom, "low-pass resolution")
    voxel_size = _positive(voxel_size, "voxel size")
    volume = as_volume(volume)
    if resolution <= 2 * voxel_size:
        out = _output(out, volume.shape)
        np.copyto(out, volume)
        return out
    width = 2 / (min(volume.shape) * voxel_size)
    start = 1 / resolution - width / 2

    def raised_cosine(frequency):
        edge = 0.5 + 0.5 * np.cos(np.pi * np.clip((frequency - start) / width, 0, 1))
        edge[frequency == 0] = 1  # with a resolution near the size of the box the edge would reach the mean
        return edge

    return filter_radially(volume, raised_cosine, voxel_size, start + width, threads=threads, out=out)


def filter_radially(volume, transfer, voxel_size, highest_frequency=np.inf, threads=None, out=None):
    """Multiply the Fourier transform of `volume` by a function of the distance to the origin.

    Parameters
    ----------
    volume : ndarray (z, y, x), real
    transfer : callable
        From frequencies in 1/Å (float64 array) to real factors, elementwise. It may be called from several threads.
    voxel_size : float
        In Å.
    highest_frequency : float, optional
        In 1/Å; beyond it the factor is taken as 0 without asking. The lower, the faster.
    threads, out
        As in `lowpass`.

    Returns
    -------
    ndarray (z, y, x), float32
        `out` if it was given.

    Notes
    -----
    Besides the input and the output the band is held: 8 bytes for each of its coefficients (half the
    band of Fourier space, as the map is real), and some MB for each thread.
    """
    voxel_size = _positive(voxel_size, "voxel size")
    volume = as_volume(volume)
    out = _output(out, volume.shape)
    if volume.size == 0:
        return out
    axes = [_Axis(n, voxel_size, highest_frequency) for n in volume.shape]
    z_axis = axes[0]

    def along_z(slab, ky):
        frequency = _frequencies(axes, ky, slab.shape[2])
        factor = np.asarray(transfer(frequency), dtype=np.float32)
        factor[frequency > highest_frequency] = 0
        spectrum = np.fft.fft(slab, axis=0)
        spectrum[z_axis.low:z_axis.n - z_axis.high] = 0
        spectrum[:z_axis.low] *= factor[:, None]
        if z_axis.high:
            spectrum[z_axis.n - z_axis.high:] *= factor[z_axis.high:0:-1, None]
        np.fft.ifft(spectrum, axis=0, out=slab)

    _keep_freed_memory()
    with _Workers(threads) as workers:
        band = _transform_slices(volume, axes, workers)
        _for_each_column_plane(band, axes, highest_frequency, along_z, workers)
        _transform_slices_back(band, axes, out, workers)
    return out


def radial_spectrum(volume, voxel_size, threads=None):
    """Power of a map in shells of Fourier space.

    Parameters
    ----------
    volume : ndarray (z, y, x), real
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
    volume = as_volume(volume)
    axes = [_Axis(n, voxel_size, np.inf) for n in volume.shape]
    step = 1 / (min(volume.shape) * voxel_size)
    shells = min(volume.shape) // 2 + 1
    # All but the planes kx = 0 and kx = nx / 2 stand for two coefficients each: the half that is not held mirrors them.
    n_x = volume.shape[2]
    multiplicity = np.full(n_x // 2 + 1, 2.0)
    multiplicity[0] = 1
    if n_x % 2 == 0:
        multiplicity[-1] = 1

    def along_z(slab, ky):
        shell = np.rint(_frequencies(axes, ky, slab.shape[2]) / step).astype(np.intp)
        shell = np.concatenate([shell, shell[axes[0].high:0:-1]])
        shell = np.broadcast_to(shell[:, None], slab.shape).ravel()
        spectrum = np.fft.fft(slab, axis=0)
        weight = np.broadcast_to(multiplicity, slab.shape)
        power = (spectrum.real.astype(np.float64) ** 2 + spectrum.imag.astype(np.float64) ** 2) * weight
        return tuple(np.bincount(shell, w.ravel(), minlength=shells)[:shells] for w in (power, weight))

    _keep_freed_memory()
    with _Workers(threads) as workers:
        band = _transform_slices(volume, axes, workers)
        parts = _for_each_column_plane(band, axes, np.inf, along_z, workers)
    power, weight = (np.sum([part[i] for part in parts], axis=0) for i in (0, 1))
    return np.arange(shells) * step, power / weight / volume.size


class _Axis:
    """What is kept of one axis: in the order of the transform, the first `low` and the last `high` coefficients."""

    def __init__(self, n, voxel_size, highest_frequency):
        self.n = n
        self.step = 1 / (n * voxel_size)
        # the tolerance keeps a coefficient that lies on the limit but for rounding
        self.top = int(min(n // 2, np.floor(highest_frequency / self.step * (1 + 1e-9))))
        self.low = self.top + 1
        self.high = min(self.top, n - self.low)

    @property
    def frequencies(self):
        """Of the indices 0 ... top, in 1/Å."""
        return np.arange(self.low) * self.step


def _frequencies(axes, ky, columns):
    """Distance to the origin in 1/Å for kz = 0 ... top and kx = 0 ... columns - 1 at the index ky."""
    z_axis, y_axis, x_axis = axes
    y = ky * y_axis.step
    return np.sqrt((z_axis.frequencies ** 2)[:, None] + (y * y + x_axis.frequencies[:columns] ** 2))


def _transform_slices(volume, axes, workers):
    """Transform x and y of every slice, cut to the band: complex64 (nz, y low + high, x low)."""
    n_z, n_y, n_x = volume.shape
    _, y_axis, x_axis = axes
    band = np.empty((n_z, y_axis.low + y_axis.high, x_axis.low), np.complex64)
    rows = max(1, _BLOCK_VOXELS // (n_y * n_x))

    def task(z):
        part = np.fft.rfft(volume[z:z + rows], axis=2)
        part = np.fft.fft(part[:, :, :x_axis.low], axis=1)
        band[z:z + rows, :y_axis.low] = part[:, :y_axis.low]
        band[z:z + rows, y_axis.low:] = part[:, n_y - y_axis.high:]

    workers.map(task, range(0, n_z, rows))
    return band


def _transform_slices_back(band, axes, out, workers):
    """The way back, with zeros outside of the band."""
    n_z, n_y, n_x = out.shape
    _, y_axis, x_axis = axes
    rows = max(1, _BLOCK_VOXELS // (n_y * n_x))

    def task(z):
        part = np.zeros((min(rows, n_z - z), n_y, x_axis.low), np.complex64)
        part[:, :y_axis.low] = band[z:z + rows, :y_axis.low]
        part[:, n_y - y_axis.high:] = band[z:z + rows, y_axis.low:]
        # A whole half spectrum: numpy transforms several rows at a time only where it has nothing to pad.
        spectrum = np.zeros((len(part), n_y, n_x // 2 + 1), np.complex64)
        np.fft.ifft(part, axis=1, out=spectrum[:, :, :x_axis.low])
        np.fft.irfft(spectrum, n_x, axis=2, out=out[z:z + rows])

    workers.map(task, range(0, n_z, rows))


def _for_each_column_plane(band, axes, highest_frequency, along_z, workers):
    """Call along_z(slab, ky) for every ky >= 0 and return what it returned.

    `slab` is a contiguous copy (nz, 1 or 2, columns) of the planes of the band at ky and -ky, which share their
    distances to the origin. What it holds afterwards is put back. Columns wholly beyond the highest frequency
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


class _Workers:
    """Threads that share the tasks of a loop; numpy's transforms release the interpreter's lock."""

    def __init__(self, threads):
        threads = thread_count() if threads is None else threads
        self.pool = ThreadPoolExecutor(threads) if threads > 1 else None

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        if self.pool is not None:
            self.pool.shutdown()

    def map(self, task, items):
        return list(map(task, items) if self.pool is None else self.pool.map(task, items))


def _keep_freed_memory():
    """Stop the C library from handing back memory to the system after every row.

    numpy's transforms allocate and free a small buffer for every row. If that buffer lies at the top of the heap,
    glibc may return its pages at once and fault them in again for the next row, which made transforms
    four times slower. Once a larger block has been freed glibc raises the threshold for this (mallopt(3),
    M_MMAP_THRESHOLD: at most 32 MB counts). The block is never touched, so that it costs no memory;
    elsewhere this does nothing.
    """
    block = np.empty(30 << 20, np.uint8)
    del block


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
