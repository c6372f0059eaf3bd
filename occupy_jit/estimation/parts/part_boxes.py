"""Columns of parts from Fourier transforms, each in its own box."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np

from occupy_jit.estimation.parts.scattering import ICE_DENSITY, VOLUME, WIDTHS, form_factor
from occupy_jit.estimation.threads import threads_allowed
from occupy_jit.kernels.model import boxed_columns as kernels

if TYPE_CHECKING:
    from occupy_jit.estimation.parts.fit_grid import Lattice
    from occupy_jit.kernels.model.columns import Pattern

_MARGIN = 3.0
"""In details: margin of the box around the atoms of a part. The box is periodic."""
_BLUR = 10.0
"""In squares of the detail: B factor of the Gaussians that represent atoms, divided out afterwards. At 1.43 Å per
voxel and 4 Å of detail the error of the grid is 0.4% at the edge of the band."""
_LARGEST_GAIN = 8.0  # exponent


class PartBoxes:
    """Transforms of the scattering of parts, and of the ice that each kind of molecule displaces in them.

    Parameters
    ----------
    lattice : Lattice
    positions : ndarray (atoms, 3), float64
        In voxels [z, y, x] of the lattice.
    weights : ndarray (atoms,)
    types : ndarray (atoms,), int
        Index into `kinds`.
    b_factors : ndarray (atoms,)
    start : ndarray (parts + 1,), int
        First atom of every part.
    kinds : list of (element, kind)
    apart : kind, optional
        The ice displaced by this kind is also kept separately.
    """

    def __init__(self, lattice: Lattice, positions: np.ndarray, weights: np.ndarray, types: np.ndarray,  # noqa: PLR0913 (each array of the atoms by itself)
                 b_factors: np.ndarray, start: np.ndarray, kinds: list[tuple[Any, ...]], apart: Any = None) -> None:
        self.lattice = lattice
        classes = [("atom", 0), ("atom", 1)] + [("ice", kind) for kind in sorted(VOLUME)]
        factors = np.array([[w for w in form_factor(element)] + [ICE_DENSITY * VOLUME[k] * (k == kind)
                                                                for k in sorted(VOLUME)] for element, kind in kinds])
        amplitudes = factors[types] * weights[:, None]

        def made(part):
            own = slice(start[part], start[part + 1])
            return self._transformed(positions[own], amplitudes[own], b_factors[own], classes, apart)

        with ThreadPoolExecutor(threads_allowed()) as pool:
            self.boxes = list(pool.map(made, range(len(start) - 1)))

    def __len__(self) -> int:
        return len(self.boxes)

    def _transformed(self, positions, amplitudes, b_factors, classes, apart):
        """Corner, shape, squares of frequencies, transform, and transform of the separate ice, of one part."""
        import scipy.fft as fft

        lattice = self.lattice
        if not len(positions):
            return None
        margin = np.ceil(_MARGIN * lattice.detail / lattice.spacing)
        low = np.floor(positions.min(0) - margin).astype(np.int64)
        high = np.ceil(positions.max(0) + margin).astype(np.int64) + 1
        shape = tuple(fft.next_fast_len(int(n), real=True) for n in high - low)
        axes = [fft.fftfreq(n, d) ** 2 for n, d in zip(shape[:2], lattice.spacing, strict=False)]
        axes.append(fft.rfftfreq(shape[2], lattice.spacing[2]) ** 2)
        square = axes[0][:, None, None] + axes[1][None, :, None] + axes[2]
        blur = _BLUR * lattice.detail**2
        used = np.flatnonzero(amplitudes.any(0))
        spread = kernels.spread_gaussians(shape, positions - low, amplitudes[:, used], b_factors + blur,
                                          lattice.spacing)
        total, ice = 0, None
        for k, grid in zip(used, spread, strict=True):
            what, which = classes[k]
            b = WIDTHS[which] if what == "atom" else 4 * np.pi * VOLUME[which] ** (2 / 3)
            sharpened = np.exp(np.minimum(blur * square / 4, _LARGEST_GAIN) - b * square / 4).astype(np.float32)
            transform = fft.rfftn(grid) * sharpened
            total = total + (transform if what == "atom" else -transform)
            if what == "ice" and which == apart:
                ice = transform
        return low, shape, tuple(axes), total, ice

    def _tables(self, transfer, offset):
        s = self.lattice.s
        table = transfer * np.exp(-offset * s * s / 4)
        return np.stack([table, -s * s / 4 * table], 1).astype(np.float32)

    def _filtered(self, part, tables, only_ice=False):
        """Transforms of the column of a part and of its derivative, or of its ice alone, and the shape of its box."""
        _, shape, frequencies, transform, ice = self.boxes[part]
        return kernels.filter_twice(ice if only_ice else transform, frequencies, tables, self.lattice.s[1]), shape

    def fill(self, pattern: Pattern, coordinates: np.ndarray, transfer: np.ndarray, offsets: np.ndarray,
             values: np.ndarray) -> None:
        """Write the columns and their derivatives to their places in `values`."""
        import scipy.fft as fft

        def task(part):
            entries = slice(pattern.column_start[part], pattern.column_start[part + 1])
            if self.boxes[part] is None or entries.start == entries.stop:
                return
            filtered, shape = self._filtered(part, self._tables(transfer, offsets[part]))
            box, slope = fft.irfftn(filtered, shape, axes=(1, 2, 3))
            kernels.gather(box, slope, self.boxes[part][0], coordinates, pattern.voxel[entries], pattern.place[entries],
                           values)

        largest_first = sorted(range(len(self)), key=lambda k: -np.prod(self.boxes[k][1]) if self.boxes[k] else 0)
        with ThreadPoolExecutor(threads_allowed()) as pool:
            list(pool.map(task, largest_first))

    def add_to(self, grid: np.ndarray, transfer: np.ndarray, offsets: np.ndarray, occupancy: np.ndarray,
               only_ice: bool = False) -> None:
        """Add the parts times their occupancies to a grid, in the order of the parts."""
        import scipy.fft as fft

        def image(part):
            tables = self._tables(transfer, offsets[part])
            tables[:, 1] = 0
            filtered, shape = self._filtered(part, tables, only_ice)
            return fft.irfftn(filtered[0], shape)

        parts = [k for k in range(len(self)) if self.boxes[k] and not (only_ice and self.boxes[k][4] is None)]
        # few at a time: all boxes together may be much larger than the map
        with ThreadPoolExecutor(threads_allowed()) as pool:
            for first in range(0, len(parts), 8):
                some = parts[first:first + 8]
                for part, box in zip(some, pool.map(image, some), strict=True):
                    kernels.add_box(box, self.boxes[part][0], float(occupancy[part]), grid)
