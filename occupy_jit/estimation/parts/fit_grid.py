"""The grid that a model is fitted on: the map at the detail used, cut out around the atoms, and voxels near them."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from occupy_jit.estimation.threads import threads_allowed
from occupy_jit.kernels.model.atoms import distance_to_atoms
from occupy_jit.kernels.model.radial import shell_products, times_radial

FINEST_DETAIL = 4.0
"""Å. Finer detail depends on errors of the model more than on its occupancies."""
_VOXELS_PER_DETAIL = 2.8
_LEAST_VOXELS = 2.4
MASK_RADIUS = 0.6
"""In details: largest distance of fit voxels from an atom."""
_COARSEST = 7.5  # details (30 Å)
_EDGE = 0.4  # width of the band's upper edge, in 1/detail
_RESOLVED, _UNRESOLVED = 6.0, 9.0
"""Å. Up to the first detail, shells separate gain, whitening and offsets; from the second on they do not."""
_GUARD = 4.0
_BLOCK = 3.0


def detail_used(voxel_size: Any) -> float:
    """Finest fitted detail, in Å: 4, or the finest in a map of these voxels."""
    return max(FINEST_DETAIL, _LEAST_VOXELS * float(np.max(voxel_size)))


def fourier_crop(volume: np.ndarray, voxel_size: np.ndarray, detail: float) -> tuple[np.ndarray, np.ndarray]:
    """The map on a coarser grid, about `detail` / 2.8 per voxel, by cutting its Fourier transform.

    Parameters
    ----------
    volume : ndarray (z, y, x), float32
    voxel_size : ndarray (3,)
        Along z, y, x in Å.
    detail : float

    Returns
    -------
    coarse : ndarray (z, y, x), float32
    spacing : ndarray (3,), float64
    """
    import scipy.fft as fft

    n = np.array(volume.shape)
    length = n * voxel_size
    new = np.array([min(int(a), fft.next_fast_len(int(np.ceil(size * _VOXELS_PER_DETAIL / detail)), real=True))
                    for a, size in zip(n, length, strict=True)])
    if (new == n).all():
        return np.ascontiguousarray(volume, np.float32), length / n
    half = fft.rfft(np.asarray(volume, np.float32), axis=2, workers=threads_allowed())[:, :, :new[2] // 2 + 1]
    for axis in (1, 0):
        half = fft.fft(half, axis=axis, workers=threads_allowed())
        half = np.take(half, np.rint(np.fft.fftfreq(new[axis]) * new[axis]).astype(int), axis=axis)
    if new[2] < n[2] and new[2] % 2 == 0:
        half[:, :, -1] = half[:, :, -1].real
    coarse = fft.irfftn(half, tuple(new), workers=threads_allowed())
    return np.ascontiguousarray(coarse * np.float32(np.prod(new / n))), length / new


def soft_step(s: np.ndarray, centre: float, width: float) -> np.ndarray:
    """1 below the centre, 0 above it, a raised cosine over `width`."""
    return 0.5 + 0.5 * np.cos(np.pi * np.clip((s - centre) / width + 0.5, 0, 1))


@dataclass
class Lattice:
    """The fixed properties of the grid during a fit.

    Attributes
    ----------
    data : ndarray (z, y, x), float32
    spacing : ndarray (3,), float64
        Å along z, y, x.
    corner : ndarray (3,), int64
        First voxel [z, y, x] on the coarse map's grid.
    detail : float
        Å.
    distance : ndarray (z, y, x), float32
        To the nearest atom, up to 1.5 details.
    fit_index : ndarray (z, y, x), int32
        Number of a fit voxel, else -1.
    n_fit : int
    block : ndarray (n_fit,), int32
        Cube of 3 details that contains each fit voxel.
    n_blocks : int
    s : ndarray (shells,), float64
        Frequencies of the radial tables, 1/Å.
    band : ndarray (shells,), float64
        Which of them are fitted: 0..1.
    transform : ndarray, complex64
        Of `data`.
    resolved : float
        1 if the detail separates gain, whitening and offsets, 0 if it is too coarse.
    cut : callable
        Cuts the same box out of another coarse map.
    noise : ndarray, complex64, or None
        Transform of half of the difference of half maps.
    place, shell, in_shell
        For every coefficient its position in the radial tables and the nearest shell; number of coefficients per shell.
    """

    data: np.ndarray
    spacing: np.ndarray
    corner: np.ndarray
    detail: float
    distance: np.ndarray
    fit_index: np.ndarray
    n_fit: int
    block: np.ndarray
    n_blocks: int
    s: np.ndarray
    band: np.ndarray
    transform: np.ndarray
    resolved: float
    cut: Callable[..., Any]
    place: np.ndarray
    shell: np.ndarray
    in_shell: np.ndarray
    noise: np.ndarray | None = None

    def transform_of(self, coarse: np.ndarray) -> np.ndarray:
        """Transform of another map on the same coarse grid, cut out like this one."""
        import scipy.fft as fft

        return fft.rfftn(self.cut(coarse), workers=threads_allowed())

    def holding(self, coarse: np.ndarray) -> "Lattice":
        """The same grid for another map.

        Parameters
        ----------
        coarse : ndarray (z, y, x), float32
            On the coarse grid of which this one is a part.

        Returns
        -------
        Lattice
            Without noise of half maps.
        """
        import scipy.fft as fft

        data = self.cut(coarse)
        return replace(self, data=data, transform=fft.rfftn(data, workers=threads_allowed()), noise=None)

    def spread(self, values: np.ndarray) -> np.ndarray:
        """Transform of the grid with the values of the fit voxels, 0 elsewhere."""
        import scipy.fft as fft

        grid = np.zeros(self.data.shape, np.float32)
        grid[self.fit_index >= 0] = values
        return fft.rfftn(grid, workers=threads_allowed())

    def filtered(self, table: np.ndarray, transform: np.ndarray | None = None) -> np.ndarray:
        """The map times a radial function of Fourier space, on the whole grid."""
        import scipy.fft as fft

        transform = self.transform if transform is None else transform
        return fft.irfftn(times_radial(transform, self.place, table), self.data.shape, workers=threads_allowed())

    def at_fit_voxels(self, table: np.ndarray, transform: np.ndarray | None = None) -> np.ndarray:
        """The same at the fit voxels (float64)."""
        return self.filtered(table, transform)[self.fit_index >= 0].astype(np.float64)

    def power(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """Sums of the product of two transforms over the shells."""
        return shell_products(first, second, self.shell, self.data.shape[2], len(self.s))


def make_lattice(coarse: np.ndarray, spacing: np.ndarray, positions: np.ndarray, detail: float) -> Lattice:
    """Cut the surroundings of the atoms out of the coarse map, and set up shells, mask and blocks.

    Parameters
    ----------
    coarse, spacing
        From `fourier_crop`.
    positions : ndarray (atoms, 3), float64
        In voxels [z, y, x] of the coarse map; only atoms inside it.
    detail : float
        Å.

    Returns
    -------
    Lattice
    """
    import scipy.fft as fft

    cut, corner = _cutter(coarse, spacing, positions, detail)
    data = cut(coarse)
    shape: tuple[int, ...] = data.shape
    distance = distance_to_atoms(shape, positions - corner, spacing, 1.5 * detail)
    mask = distance <= MASK_RADIUS * detail
    n_fit = int(np.count_nonzero(mask))
    fit_index = np.full(shape, -1, np.int32)
    fit_index[mask] = np.arange(n_fit, dtype=np.int32)
    cubes = [((np.arange(n) + c) * step // (_BLOCK * detail)).astype(np.int64)
             for n, c, step in zip(shape, corner, spacing, strict=True)]
    cubes = [c - c.min() for c in cubes]
    number = (cubes[0][:, None, None] * (cubes[1][-1] + 1) + cubes[1][None, :, None]) * (cubes[2][-1] + 1) + cubes[2]
    used, block = np.unique(number[mask], return_inverse=True)
    step = 1 / max(float((shape * spacing).max()), 15 * detail)  # pyright: ignore[reportAttributeAccessIssue]
    s = np.arange(0, (1 + _EDGE / 2) / detail + 3 * step, step)
    resolved = float(np.clip((_UNRESOLVED - detail) / (_UNRESOLVED - _RESOLVED), 0, 1))
    low = resolved / (_COARSEST * detail)
    # The edge is soft so that the functions about atoms are compact: a sharp one rings beyond the reach of the columns.
    band = soft_step(s, 1 / detail, _EDGE / detail)
    if low > 0:
        band *= 1 - soft_step(s, low, 0.9 * low)
    axes = [fft.fftfreq(shape[0], spacing[0]), fft.fftfreq(shape[1], spacing[1]), fft.rfftfreq(shape[2], spacing[2])]  # pyright: ignore[reportGeneralTypeIssues]
    place = np.sqrt(axes[0][:, None, None] ** 2 + axes[1][None, :, None] ** 2 + axes[2] ** 2).astype(np.float32)
    place /= np.float32(step)
    shell = np.minimum(np.rint(place), len(s) - 1).astype(np.int16)
    transform = fft.rfftn(data, workers=threads_allowed())
    lattice = Lattice(data, spacing, corner, detail, distance, fit_index, n_fit, block.ravel().astype(np.int32),
                      len(used), s, band, transform, resolved, cut, place, shell, np.ones(len(s)))
    ones = np.ones_like(transform)
    lattice.in_shell = np.maximum(lattice.power(ones, ones), 1)
    return lattice


def _cutter(coarse, spacing, positions, detail):
    """Function that cuts the box of the atoms, with a fading margin, out of a map, and the first voxel of the box.

    If the box is not much smaller than the map, the whole map is used. The mean is subtracted first, because it
    must not become a step at the fading margin.
    """
    import scipy.fft as fft

    shape = np.array(coarse.shape)
    margin = np.ceil(_GUARD * detail / spacing)
    low = np.floor(positions.min(0) - margin).astype(int)
    high = np.ceil(positions.max(0) + margin).astype(int) + 1
    size = np.array([fft.next_fast_len(int(n), real=True) for n in high - low])
    solvent = distance_to_atoms(coarse.shape, positions, spacing, 2 * detail) >= 2 * detail

    def level(volume):
        return np.float32(np.median(volume[solvent])) if solvent.any() else np.float32(0)

    if size.prod() > 0.7 * coarse.size:
        return lambda volume: volume - level(volume), np.zeros(3, int)
    low = low - (size - (high - low)) // 2
    source = [slice(max(0, a), min(n, a + m)) for a, m, n in zip(low, size, shape, strict=True)]
    target = [slice(s.start - a, s.stop - a) for s, a in zip(source, low, strict=True)]
    fade = np.ceil(2 * detail / spacing).astype(int)

    def cut(volume):
        out = np.zeros(size, np.float32)
        out[tuple(target)] = volume[tuple(source)] - level(volume)
        for axis, n in enumerate(size):
            edge = np.minimum(np.arange(n), np.arange(n)[::-1])
            ramp = 0.5 - 0.5 * np.cos(np.pi * np.clip((edge + 0.5) / fade[axis], 0, 1))
            out *= ramp.astype(np.float32).reshape([-1 if i == axis else 1 for i in range(3)])
        return out

    return cut, low
