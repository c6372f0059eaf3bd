"""Noise that a whole region shares, which differences between its blocks cannot show.

Noise of reconstructions is correlated over long distances: it is strongest at low resolution, with waves longer than a
block of 15 Å, or than the region. The correlation of blocks at each distance is measured on a lattice of blocks, in
half of the difference of half maps, or else in the quiet voxels of the map.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from occupy_jit.estimation.sections import Sections

if TYPE_CHECKING:
    from occupy_jit.estimation.solvent.quiet_voxels import Quiet

_LEAST_FILLED = 0.3  # share of a block's voxels that must be known


class CommonNoise:
    """Covariance of the noise of blocks at each distance.

    Parameters
    ----------
    noise : (nz, ny, nx) float32 array, or occupy_jit.estimation.sections.Sections
        A sample of the noise of the low-passed map, around 0.
    edge : int
        Of the blocks in voxels; they begin at the first voxel of the box.
    known : callable, optional
        From the number of a section to a mask of the voxels with noise alone, (ny, nx) array of bool; all voxels if
        None.
    """

    def __init__(self, noise: np.ndarray, edge: int, known: Callable[..., Any] | None = None) -> None:
        shape = noise.shape
        self._edge = edge
        self._lattice = tuple(-(-n // edge) for n in shape)
        self._padded = tuple(2 * n for n in self._lattice)
        total, count = np.zeros((2, *self._lattice))
        for z in range(shape[0]):
            inside = np.ones(shape[1:], bool) if known is None else known(z)
            count[z // edge] += _in_blocks(inside.astype(np.float64), edge)  # pyright: ignore[reportIndexIssue]
            total[z // edge] += _in_blocks(np.where(inside, noise[z:z + 1][0], 0).astype(np.float64), edge)  # pyright: ignore[reportIndexIssue]
        filled = count >= _LEAST_FILLED * edge ** 3
        means = np.where(filled, total / np.maximum(count, 1), 0.0)
        products, pairs = self._with_itself(means), self._with_itself(filled.astype(np.float64))
        self._covariance = np.where(pairs > 0.5, products / np.maximum(pairs, 1), 0.0)

    def _with_itself(self, lattice):
        """Sum of products of blocks at each distance."""
        spectrum = np.fft.rfftn(lattice, self._padded, (0, 1, 2))
        return np.fft.irfftn(np.square(np.abs(spectrum)), self._padded, (0, 1, 2))

    def variance(self, blocks: np.ndarray, weights: np.ndarray) -> float:
        """Part of the variance of the mean over a region that differences between its blocks cannot show.

        This is the mean covariance of different blocks of the region, weighted by both weights: with V the variance and
        K the mean covariance of blocks, the variance of a mean over n blocks is ``V / n + (1 - 1/n) K``, and their
        differences show ``(V - K) / n``.

        Parameters
        ----------
        blocks : (n,) int array
            Numbers of the blocks in the lattice, row by row; they may be repeated.
        weights : (n,) array

        Returns
        -------
        float
            In units of the map, squared; never negative.
        """
        lattice = np.bincount(blocks, weights, np.prod(self._lattice)).reshape(self._lattice)
        share = np.maximum(self._with_itself(lattice / max(lattice.sum(), 1e-300)), 0)
        share[0, 0, 0] = 0
        apart = share.sum()
        return max(float((share * self._covariance).sum() / apart), 0.0) if apart > 1e-9 else 0.0


def _in_blocks(section, edge):
    """Sums over squares."""
    rows = np.add.reduceat(section, np.arange(0, section.shape[0], edge), axis=0)
    return np.add.reduceat(rows, np.arange(0, section.shape[1], edge), axis=1)


def of_solvent(lowpassed: np.ndarray, zero: float, quiet: Quiet, edge: int) -> CommonNoise:
    """Common noise from the quiet voxels of one map.

    Parameters
    ----------
    lowpassed : (nz, ny, nx) float32 array
    zero : float
        Zero level.
    quiet : occupy_jit.estimation.solvent.quiet_voxels.Quiet
    edge : int
        Of the blocks in voxels.

    Returns
    -------
    CommonNoise
    """
    return CommonNoise(Sections(lowpassed.shape, lambda first, last: lowpassed[first:last] - np.float32(zero)), edge,
                       quiet.section)
