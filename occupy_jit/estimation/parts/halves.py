"""Parts of a model in two half maps: both results, the noise, and a check of the errors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from occupy_jit.errors import InputError, UsageError
from occupy_jit.estimation.noise.half_maps import join_half_maps
from occupy_jit.estimation.noise.halves_of_other_map import LEAST_CORRELATION
from occupy_jit.estimation.parts.errors import block_scores, change_with
from occupy_jit.estimation.parts.fit_grid import detail_used, fourier_crop
from occupy_jit.estimation.parts.gauss_newton import smooth_shells
from occupy_jit.kernels.model.radial import times_radial

if TYPE_CHECKING:
    from occupy_jit.estimation.parts.columns import Design
    from occupy_jit.estimation.parts.errors import Solution
    from occupy_jit.estimation.parts.fit_grid import Lattice
    from occupy_jit.estimation.parts.result import PartsResult

_IDENTICAL = 1e-8  # of the power of the map
_SURE = 3.09  # normal deviate that chance exceeds once in a thousand times


@dataclass
class PartHalves:
    """Results in both half maps, and the noise in their difference.

    Attributes
    ----------
    occupancy : ndarray (2, parts), float64
        Of each half map, relative to its own full scale; gain, whitening and offsets are those of the whole map.
    se_noise : ndarray (parts,), float64
        Standard error of the occupancies in the whole map by noise alone, without errors of the model.
    disagreement : float
        Half the difference of the results in standard errors: root mean square over parts, with correlations. It
        is noise alone, so it should not exceed 1.
    most : float
        Limit of `disagreement` that chance exceeds once in a thousand times.
    """

    occupancy: np.ndarray
    se_noise: np.ndarray
    disagreement: float
    most: float


class CoarseHalves(NamedTuple):
    """Half maps at the detail used.

    Attributes
    ----------
    difference : ndarray (z, y, x)
        Half of it.
    mean : ndarray (z, y, x) or None
        If the map is not their mean.
    """

    difference: np.ndarray
    mean: np.ndarray | None


def coarse_halves(shape: tuple[int, ...], voxel_size: float | tuple[Any, ...],
                  half_maps: tuple[np.ndarray, np.ndarray] | None = None, half_difference: np.ndarray | None = None,
                  half_mean: np.ndarray | None = None) -> CoarseHalves | None:
    """Half maps at the detail used; None without them.

    Parameters
    ----------
    shape : tuple of int
        Of the map.
    voxel_size : float or (3,)
        Å.
    half_maps : pair of arrays or maps, optional
    half_difference, half_mean : ndarray (z, y, x), optional
        Half of their difference instead, and their mean if the map is another, on the grid of the map or at the
        detail used already.

    Raises
    ------
    InputError
        They are identical.
    UsageError
        There are not two, or their box differs.
    """
    if half_maps is not None:
        half_mean, half_difference = _joined(shape, half_maps)
    if half_difference is None:
        return None
    voxel_size = np.broadcast_to(np.asarray(voxel_size, float), 3)  # pyright: ignore[reportAssignmentType]
    return CoarseHalves(*(None if volume is None else
                          fourier_crop(volume, voxel_size * np.array(shape) / volume.shape, detail_used(voxel_size))[0]  # pyright: ignore[reportOperatorIssue]
                          for volume in (half_difference, half_mean)))


def _joined(shape, half_maps):
    """Mean and half of the difference of two half maps."""
    if len(half_maps) != 2:
        raise UsageError(f"half_maps: give two, not {len(half_maps)}")
    one, two = (np.array(getattr(half, "data", half), np.float32, order="C") for half in half_maps)
    if not one.shape == two.shape == shape:
        raise UsageError(f"half_maps: their boxes {one.shape} and {two.shape} differ from the map's, {shape}")
    join_half_maps(one, two)
    if float(np.square(two, dtype=float).mean()) <= _IDENTICAL * float(np.square(one, dtype=float).mean()):
        raise InputError("half_maps: the two are identical; give the other half")
    return one, two


def noise_of(halves: CoarseHalves, lattice: Lattice) -> np.ndarray:
    """Transform of the noise of the map on the lattice.

    If the map was made from the half maps, sharpened or masked, they are scaled to it shell by shell.

    Raises
    ------
    InputError
        The map does not resemble the mean of the halves.
    """
    noise = lattice.transform_of(halves.difference)
    if halves.mean is None:
        return noise
    mean = lattice.transform_of(halves.mean)
    own = smooth_shells(lattice.power(mean, mean), lattice)
    gain = np.maximum(smooth_shells(lattice.power(lattice.transform, mean), lattice), 0) / np.maximum(own, 1e-30)
    one, two = lattice.at_fit_voxels(lattice.band), lattice.at_fit_voxels(lattice.band * gain, mean)
    agreement = float(np.corrcoef(one, two)[0, 1]) if two.any() else 0.0
    if not agreement >= LEAST_CORRELATION:
        raise InputError(f"the correlation of the map with the mean of the half maps is only {agreement:.2f} at the "
                         "model: these are the half maps of another map, or they are not aligned with it")
    return times_radial(noise, lattice.place, gain)


def judge_halves(lattice: Lattice, design: Design, solution: Solution, result: PartsResult, weights: np.ndarray
                ) -> PartHalves:
    """Results in the half maps beside the solution for the whole map.

    Parameters
    ----------
    lattice : Lattice
        With `noise`.
    design : Design
    solution : Solution
    result : PartsResult
        Of the whole map.
    weights : ndarray (parts,)
        Of the parts in full scale.

    Returns
    -------
    PartHalves
    """
    n = len(result)
    noise = lattice.at_fit_voxels(solution.state.whitening * lattice.band, lattice.noise)
    occupancy = solution.occupancy[:n]
    change = change_with(design, solution, noise, n)
    halves = np.array([_relative(occupancy + sign * change, weights) for sign in (1, -1)])
    full = float(weights @ occupancy)
    gradient = np.eye(n) / full - np.outer(occupancy / full**2, weights)
    scores = block_scores(design, lattice, solution.step, noise, n)
    in_blocks = scores @ solution.step.covariance[:, :n] @ gradient.T
    se_noise = np.sqrt(np.square(in_blocks).sum(0))
    known = result.atoms > 0
    apart = ((halves[0] - halves[1]) / 2)[known]
    told = result.covariance[np.ix_(known, known)].copy()
    told[np.diag_indices(len(told))] += np.maximum(result.se[known] ** 2 - np.diag(told), 0)
    disagreement = float(np.sqrt(apart @ np.linalg.solve(told, apart) / len(apart)))
    return PartHalves(halves, se_noise, disagreement, _most(len(apart)))


def _relative(occupancy, weights):
    return occupancy / float(weights @ occupancy)


def _most(n):
    """Root of chi square per degree of freedom that chance seldom exceeds (Wilson and Hilferty 1931)."""
    return float((1 - 2 / (9 * n) + _SURE * np.sqrt(2 / (9 * n))) ** 1.5)
