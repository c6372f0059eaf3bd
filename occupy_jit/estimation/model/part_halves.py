"""What two half maps say of the parts of a model: either's answer, the noise, and whether the errors hold."""

from dataclasses import dataclass

import numpy as np

from occupy_jit.errors import InputError, UsageError
from occupy_jit.estimation.model.lattice import detail_used, fourier_crop
from occupy_jit.estimation.model.part_errors import block_scores, change_with

_IDENTICAL = 1e-8  # of the power of the map
_MEAN = 1e-3  # of the amplitude of the map: rounding of halves, or of their mean, stays far below
_SURE = 3.09  # normal deviate that chance exceeds once in a thousand times


@dataclass
class PartHalves:
    """What either half map says, and the noise that shows in their difference.

    Attributes
    ----------
    occupancy : ndarray (2, parts), float64
        Of either half, relative to its own full scale; gain, whitening and all else as for the whole map.
    se_noise : ndarray (parts,), float64
        Standard error of the whole map's occupancies by noise alone: what the error of the model adds is not in it.
    disagreement : float
        Half the difference of the answers in standard errors: root mean square over parts, correlations considered. It
        is noise alone, so it should not exceed 1.
    most : float
        Above it, it does so by more than chance (once in a thousand times).
    """

    occupancy: np.ndarray
    se_noise: np.ndarray
    disagreement: float
    most: float


def coarse_difference(volume, half_maps, half_difference, voxel_size):
    """Half of the difference of the half maps at the detail used; None without them.

    Parameters
    ----------
    volume : ndarray (z, y, x)
        Their mean.
    half_maps : pair of arrays or maps, or None
    half_difference : ndarray (z, y, x), or None
        Instead of them, on the grid of the map or at the detail used already.
    voxel_size : float or (3,)
        Å.

    Raises
    ------
    InputError
        They are the same map twice, or `volume` is not their mean.
    UsageError
        They are not two, or of another box.
    """
    if half_maps is not None:
        half_difference = _difference(np.asarray(volume), half_maps)
    if half_difference is None:
        return None
    voxel_size = np.broadcast_to(np.asarray(voxel_size, float), 3)
    spacing = voxel_size * np.array(volume.shape) / half_difference.shape
    return fourier_crop(half_difference, spacing, detail_used(voxel_size))[0]


def _difference(volume, half_maps):
    if len(half_maps) != 2:
        raise UsageError(f"half_maps: give two, not {len(half_maps)}")
    one, two = (np.asarray(getattr(half, "data", half), np.float32) for half in half_maps)
    if not one.shape == two.shape == volume.shape:
        raise UsageError(f"half_maps: their boxes {one.shape} and {two.shape} are not that of the map, {volume.shape}")
    difference, mean = (one - two) / 2, (one + two) / 2
    power = float(np.square(volume, dtype=float).mean())
    if float(np.square(difference, dtype=float).mean()) <= _IDENTICAL * power:
        raise InputError("half_maps: they are the same map twice; give the other half")
    if float(np.square(mean - volume, dtype=float).mean()) > _MEAN**2 * power:
        raise InputError("half_maps: the map is not their mean; give (half1 + half2) / 2, unmasked and unsharpened")
    return difference


def judge_halves(lattice, design, solution, result, weights):
    """What the halves say beside the solution for the whole map.

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
    scores = block_scores(design, lattice, solution.step, noise, n, with_offsets=True)
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
