"""Density near the model that no part explains: found in the residual, and fitted along with the parts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from occupy_jit.estimation.parts.scattering import scattering_curves
from occupy_jit.files.models.residue_names import PROTEIN
from occupy_jit.kernels.model.atoms import distance_to_atoms

if TYPE_CHECKING:
    from occupy_jit.estimation.parts.atoms import Atoms
    from occupy_jit.estimation.parts.columns import Design
    from occupy_jit.estimation.parts.fit_grid import Lattice
    from occupy_jit.estimation.parts.gauss_newton import State

_LEAST_SCORE = 3.5  # standard deviations of the matched filter
_EXPECTED_SCORE = 2.5
"""At possible positions of absent side-chain atoms: about 15 times as likely as elsewhere, which for a carbon of 2.7
standard deviations lowers the threshold by ln(15) / 2.7."""
_NEAREST, _FARTHEST = 0.4, 1.5  # details (1.6 and 6 Å): from the atoms of the model
_APART = 0.55  # details (2.2 Å)
_MOST = 0.3  # per atom
_GROUP = 3.5  # details (14 Å): edge of the cubes whose pseudo-atoms share one weight
_NEIGHBOURS = [(z, y, x) for z in (-1, 0, 1) for y in (-1, 0, 1) for x in (-1, 0, 1) if (z, y, x) != (0, 0, 0)]


def carbon_curve(lattice: Lattice) -> np.ndarray:
    """Scattering of the carbon of a pseudo-atom: (1, shells)."""
    atom, ice = scattering_curves([("C", PROTEIN)], lattice.s)
    return atom - ice


def residual_map(design: Design, lattice: Lattice, state: State) -> np.ndarray:
    """The whitened map less the whitened fit, on the whole grid."""
    fit = design.on_grid(state.gain * state.whitening * lattice.band, state.offset, state.occupancy)
    return lattice.filtered(state.whitening * lattice.band) - fit


def find_pseudo_atoms(residual: np.ndarray, lattice: Lattice, state: State, distance: np.ndarray, atoms: Atoms
                     ) -> tuple[np.ndarray, np.ndarray]:
    """Peaks of the residual after matched filters for a carbon, sharp and as mobile as the most mobile parts.

    Parameters
    ----------
    residual : ndarray (z, y, x), float32
    lattice : Lattice
    state : State
    distance : ndarray (z, y, x), float32
        To the nearest atom or pseudo-atom.
    atoms : Atoms
        Of the model.

    Returns
    -------
    voxels : ndarray (n, 3), int
        [z, y, x], best first.
    amplitude : ndarray (n,)
        In carbons, half of the result of the filter: the fit of their groups finds the rest.
    """
    import scipy.fft as fft

    transform = fft.rfftn(residual)
    curve = carbon_curve(lattice)[0] * state.gain * state.whitening * lattice.band
    near = lattice.fit_index >= 0
    offsets = sorted({0.0, float(np.round(np.clip(np.percentile(state.offset, 90), 0, 300)))})
    score = amplitude = None
    for b in offsets:
        filter_ = curve * np.exp(-b * lattice.s**2 / 4)
        square = float((lattice.in_shell * filter_**2).sum() / lattice.data.size)
        response = lattice.filtered(filter_, transform)
        z = response / np.sqrt(square)
        z /= max(1.0, 1.4826 * float(np.median(np.abs(z[near]))))
        if score is None:
            score, amplitude = z, response / square
        else:
            amplitude = np.where(z > score, response / square, amplitude)  # pyright: ignore[reportCallIssue]
            score = np.maximum(score, z)
    detail = lattice.detail
    voxels = np.argwhere((score > _EXPECTED_SCORE) & (distance > _NEAREST * detail)
                         & (lattice.distance < _FARTHEST * detail))
    voxels = voxels[_is_peak(score, voxels)]
    voxels = voxels[(score[tuple(voxels.T)] > _LEAST_SCORE) | _expected(voxels, atoms, lattice)]
    voxels = voxels[np.argsort(-score[tuple(voxels.T)], kind="stable")][:max(20, int(_MOST * len(atoms.part)))]
    voxels = voxels[_far_apart(voxels * lattice.spacing, _APART * detail)]
    return voxels, 0.5 * np.clip(amplitude[tuple(voxels.T)], 0, 1.5)


def _is_peak(score, voxels):
    """Whether none of the 26 neighbours (the box repeats) is higher."""
    here = score[tuple(voxels.T)]
    peak = np.ones(len(voxels), bool)
    for step in _NEIGHBOURS:
        other = (voxels + step) % score.shape
        peak &= here >= score[tuple(other.T)]
    return peak


def _expected(voxels, atoms, lattice):
    """Whether an absent side-chain atom may be here: within 1.5 times its scatter, and half a detail, of its
    position."""
    from scipy.spatial import cKDTree

    if not len(atoms.absent):
        return np.zeros(len(voxels), bool)
    reach = 1.5 * atoms.scatter + 0.5 * lattice.detail
    near = cKDTree(voxels * lattice.spacing).query_ball_point(atoms.absent * lattice.spacing, reach)
    expected = np.zeros(len(voxels), bool)
    expected[np.unique(np.concatenate([np.array(found, int) for found in near]))] = True
    return expected


def _far_apart(points, least):
    """Take points in order, without those closer than `least` to an earlier one."""
    from scipy.spatial import cKDTree

    taken = np.ones(len(points), bool)
    if len(points):
        tree = cKDTree(points)
        for i, others in enumerate(tree.query_ball_point(points, least)):
            if taken[i]:
                taken[[j for j in others if j > i]] = False
    return taken


def groups_of(points: np.ndarray, owner: np.ndarray, detail: float) -> np.ndarray:
    """Number of the group of every pseudo-atom: one per cube and nearest large part."""
    cube = np.column_stack([np.floor(points / (_GROUP * detail)).astype(np.int64), owner])
    return np.unique(cube, axis=0, return_inverse=True)[1].ravel()


def distance_to_columns(design: Design, lattice: Lattice) -> np.ndarray:
    """Distance of every voxel to the nearest atom or pseudo-atom."""
    return distance_to_atoms(lattice.data.shape, design.positions, lattice.spacing, _FARTHEST * lattice.detail)
