"""Volumes without a model: two passes over them, to blocks and their occupancies in each volume."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from occupy_jit.errors import InputError
from occupy_jit.estimation.states.blocks import DETAIL, BlockSearch, coarse_grid, to_coarse
from occupy_jit.estimation.states.ensemble import Ensemble
from occupy_jit.estimation.states.mean_volume import level_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from occupy_jit.estimation.states.blocks import Blocks

SE_OF_BLOCKS = 0.04
"""Error of the density that counts as full, and leakage between blocks: on simulated volumes with known
occupancies 0.03 to 0.05."""
_SHIFT_NOTICED, _FARTHEST_SHIFT = 0.5, 3.0  # details
_BETTER_SHIFTED, _LEAST_SCORE = 1.15, 3.5
_ATOMS = 1 / 17.5  # per Å^3, of protein


@dataclass
class FirstPass:
    """Mean and scatter of the volumes on the coarse grid.

    Attributes
    ----------
    voxel_size : float
        Å, of the volumes.
    """

    voxel_size: float
    count: int = 0
    _sum: Any = None
    _squares: Any = None

    def add(self, data: np.ndarray) -> None:
        """Add a volume, less its solvent and divided by its standard deviation; returns it on the coarse grid."""
        coarse = to_coarse(data, self.voxel_size)
        one = (coarse - np.float32(level_of(coarse))).astype(float) / max(float(coarse.std()), 1e-30)
        if self._sum is None:
            self._sum, self._squares = np.zeros(coarse.shape), np.zeros(coarse.shape)
        self._sum += one
        self._squares += one**2
        self.count += 1

    @property
    def mean(self) -> np.ndarray:
        """ndarray (z, y, x)."""
        return self._sum / self.count

    @property
    def spread(self) -> np.ndarray:
        """ndarray (z, y, x) : Standard deviation."""
        return np.sqrt(np.maximum(self._squares / self.count - self.mean**2, 0))


class SecondPass:
    """Volumes, compared with their mean and gathered for the search of blocks.

    Parameters
    ----------
    first : FirstPass
    shape : tuple of int
        Of the volumes.
    """

    def __init__(self, first: FirstPass, shape: tuple[int, ...]) -> None:
        self.voxel_size = first.voxel_size
        self.shape, self.spacing = coarse_grid(shape, first.voxel_size)
        self.search = BlockSearch(first.mean, first.spread, self.spacing)
        self._reference = np.fft.rfftn(np.where(self.search.content, first.mean, 0))
        axes = [np.fft.fftfreq(m, 1 / m) * step for m, step in zip(self.shape, self.spacing, strict=True)]
        self._axes = axes
        self._away = np.sqrt(axes[0][:, None, None] ** 2 + axes[1][None, :, None] ** 2 + axes[2] ** 2)

    def add(self, data: np.ndarray) -> np.ndarray:
        """Add a volume, unless it is not aligned with the others.

        Returns
        -------
        ndarray (3,)
            Å along x, y, z: shift that would improve the fit to the mean; 0 if the volume was added.

        Raises
        ------
        InputError
            It does not resemble the mean at any shift.
        """
        coarse = to_coarse(data, self.voxel_size)
        shift = self._shift(coarse - np.float32(level_of(coarse)))
        if not shift.any():
            self.search.add(coarse)
        return shift

    def _shift(self, coarse):
        score = np.fft.irfftn(np.fft.rfftn(coarse) * np.conj(self._reference), self.shape, axes=(0, 1, 2))
        near = self._away < _FARTHEST_SHIFT * DETAIL
        best = np.unravel_index(np.argmax(np.where(near, score, -np.inf)), score.shape)
        far = self._away > min(2 * _FARTHEST_SHIFT * DETAIL, 0.5 * self._away.max())
        chance = float(score[far].std())
        if not score[best] > _LEAST_SCORE * chance:
            raise InputError("does not resemble the mean of the volumes: it holds noise, or something else, or lies "
                             "elsewhere")
        shift = np.array([axis[index] for axis, index in zip(self._axes, best, strict=True)])
        moved = np.linalg.norm(shift) > _SHIFT_NOTICED * DETAIL
        return -shift[::-1] if moved and score[best] > max(_BETTER_SHIFTED * score[0, 0, 0], 0) else np.zeros(3)


def block_names(number: int) -> list[str]:
    """Names of blocks in tables."""
    return [f"block_{b + 1}" for b in range(number)]


def ensemble_of(volumes: Sequence[str], blocks: Blocks) -> Ensemble:
    """Occupancies of the blocks, as for the parts of a model.

    Parameters
    ----------
    volumes : list of str
        Names.
    blocks : occupy_jit.estimation.states.blocks.Blocks

    Returns
    -------
    Ensemble
    """
    n = blocks.n_blocks
    return Ensemble(list(volumes), block_names(n), blocks.volume * _ATOMS, blocks.occupancy,
                    np.hypot(blocks.noise, blocks.spill),
                    blocks.correlation, np.full(n, SE_OF_BLOCKS))
