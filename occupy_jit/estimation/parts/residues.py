"""Occupancy of every residue, with the gain, whitening and offsets of the fit of the parts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from occupy_jit.errors import OccupyError
from occupy_jit.estimation.parts.columns import Design
from occupy_jit.kernels.model.block_errors import block_errors
from occupy_jit.kernels.model.columns import combine, project

if TYPE_CHECKING:
    from collections.abc import Callable

    from occupy_jit.estimation.parts.atoms import Atoms
    from occupy_jit.estimation.parts.errors import Solution
    from occupy_jit.estimation.parts.fit_grid import Lattice
    from occupy_jit.files.models.reading import Residue
    from occupy_jit.kernels.model.columns import Pattern

_REACH = 1.75  # details (7 Å)
_STEP = 0.3  # standard deviation of the difference of neighbours in the chain
_FROM_PART = 0.5  # and of a residue from its part
_AT_A_TIME = 2000  # residues between two reports of progress
_EXACT, _MOST_STEPS = 1e-9, 5000


@dataclass
class ResidueOccupancies:
    """Occupancy of residues relative to full scale.

    Attributes
    ----------
    index : ndarray (n,), int
        Into the residues of the model.
    part : ndarray (n,), int
    occupancy, se, cc : ndarray (n,), float64
    """

    index: np.ndarray
    part: np.ndarray
    occupancy: np.ndarray
    se: np.ndarray
    cc: np.ndarray


def fit_residues(lattice: Lattice, atoms: Atoms, b_factors: np.ndarray, solution: Solution, design: Design,  # noqa: PLR0913 (the fit of the parts, and the residues)
                 reference: float, residues: list[Residue], say: Callable[[str], object]) -> ResidueOccupancies:
    """Joint least-squares fit of all residues, each restrained to its neighbours in the chain and to its part.

    Parameters
    ----------
    lattice : Lattice
    atoms : Atoms
    b_factors : ndarray (atoms,)
    solution : Solution
        Of the parts.
    design : Design
        Of the parts and pseudo-atoms.
    reference : float
        Full scale.
    residues : list of Residue
    say : callable
        Called with a sentence before every step.

    Returns
    -------
    ResidueOccupancies
    """
    import scipy.sparse as sparse

    state, n_parts = solution.state, len(solution.offset)
    index, column = np.unique(atoms.residue, return_inverse=True)
    column = column.ravel()
    n = len(index)
    part = np.zeros(n, int)
    part[column] = atoms.part
    of_part = solution.occupancy[part]
    fine = Design(lattice, atoms.positions, atoms.weights, atoms.types, b_factors, column, part, atoms.kinds,
                  _REACH * lattice.detail)
    values = fine.values(state.gain * state.whitening * lattice.band, solution.offset)
    y = solution.y - _of_pseudo_atoms(design, lattice, state, n_parts)
    products = fine.products(values)[:, 0, 0]
    first = np.repeat(np.arange(n), np.diff(fine.pair_start))
    off = first != fine.pair_other
    normal = sparse.csr_matrix((np.concatenate([products, products[off]]),
                                (np.concatenate([first, fine.pair_other[off]]),
                                 np.concatenate([fine.pair_other, first[off]]))), shape=(n, n))
    prior = _ties(index, part, residues, reference)
    matrix = (normal + prior).tocsr()
    right = project(fine.pattern, values, y)[:, 0] + of_part / (_FROM_PART * reference) ** 2
    occupancy = _solved(matrix, right, of_part)
    fit = combine(fine.pattern, values, np.stack([occupancy, np.zeros(n)], 1))
    meat = _scatter(fine, lattice, values, y - fit) + prior
    se = _errors(matrix, meat.tocsr(), say)
    voxels = np.diff(fine.pattern.column_start).astype(float)
    lift = _lift(occupancy, of_part, part, voxels)
    return ResidueOccupancies(index, part, occupancy * lift / reference, se * lift / reference,
                              correlations(fine.pattern, y, fit))


def _solved(matrix, right, guess):
    """Solution of a sparse positive definite system: conjugate gradients, preconditioned by the diagonal.

    A factorisation is not sparse at coarse detail, and its time grows with the third power of the residues. The prior
    of every residue keeps the number of steps bounded.

    Parameters
    ----------
    matrix : sparse (n, n)
    right, guess : ndarray (n,)

    Raises
    ------
    OccupyError
        It is not positive definite.
    """
    inverse = 1 / matrix.diagonal()
    x = guess.copy()
    residual = right - matrix @ x
    direction = inverse * residual
    rho = residual @ direction
    enough = _EXACT * np.sqrt(right @ (inverse * right))
    for _ in range(_MOST_STEPS):
        if np.sqrt(rho) <= enough:
            return x
        image = matrix @ direction
        curvature = direction @ image
        if not curvature > 0:
            break
        step = rho / curvature
        x += step * direction
        residual -= step * image
        preconditioned = inverse * residual
        rho, before = residual @ preconditioned, rho
        direction = preconditioned + rho / before * direction
    raise OccupyError("the occupancies of residues cannot be separated; leave out --residues")


def _of_pseudo_atoms(design, lattice, state, n_parts):
    """Contribution of the pseudo-atoms."""
    if design.n_columns == n_parts:
        return 0.0
    values = design.values(state.gain * state.whitening * lattice.band, state.offset)
    occupancy = state.occupancy.copy()
    occupancy[:n_parts] = 0
    return design.fit(values, occupancy)


def _ties(index, part, residues, reference):
    """The prior as a matrix: differences of neighbours, and from the part."""
    import scipy.sparse as sparse

    n = len(index)
    neighbours = np.flatnonzero((np.diff(index) == 1) & (part[1:] == part[:-1]))
    neighbours = np.array([i for i in neighbours
                           if residues[index[i]].polymer and residues[index[i + 1]].polymer], int)
    rows = np.tile(np.arange(len(neighbours)), 2)
    signs = np.repeat([1.0, -1.0], len(neighbours))
    steps = sparse.csr_matrix((signs, (rows, np.concatenate([neighbours, neighbours + 1]))), shape=(len(neighbours), n))
    return (steps.T @ steps / (_STEP * reference) ** 2 + sparse.identity(n) / (_FROM_PART * reference) ** 2).tocsr()


def _scatter(design, lattice, values, residual):
    """Sum over blocks of the outer products of the residues' scores, sparse."""
    import scipy.sparse as sparse

    of = np.repeat(np.arange(design.n_columns), np.diff(design.pattern.column_start))
    voxel = design.pattern.voxel
    scores = values[design.pattern.place, 0].astype(float) * residual[voxel]
    scores = sparse.csr_matrix((scores, (lattice.block[voxel], of)), shape=(lattice.n_blocks, design.n_columns))
    return scores.T @ scores


def _lift(occupancy, of_part, part, voxels):
    """Factor that brings the mean over each part to the occupancy of the part: columns of residues are shorter."""
    total = np.bincount(part, voxels * occupancy)
    mean = total / np.maximum(np.bincount(part, voxels), 1)
    factor = np.ones(len(mean))
    known = np.zeros(len(mean))
    known[part] = of_part
    usable = (mean > 0.2 * known) & (mean > 0)
    factor[usable] = np.clip(known[usable] / mean[usable], 0.8, 1.25)
    return factor[part]


def _errors(matrix, meat, say):
    """Standard errors from the inverse of the neighbour block of each residue, the larger of formula and sandwich."""
    for sparse in (matrix, meat):
        sparse.sum_duplicates()
        sparse.sort_indices()
    n = matrix.shape[0]
    out = np.empty(n)
    for first in range(0, n, _AT_A_TIME):
        say(f"model: errors of residues, {first} of {n}")
        last = min(first + _AT_A_TIME, n)
        out[first:last] = block_errors(matrix.indptr, matrix.indices, matrix.data, meat.indptr, meat.indices, meat.data,
                                       first, last)
    return out


def correlations(pattern: Pattern, y: np.ndarray, fit: np.ndarray) -> np.ndarray:
    """Correlation of map and fit over the fit voxels of every column; 0 without voxels."""
    n = len(pattern.column_start) - 1
    of = np.repeat(np.arange(n), np.diff(pattern.column_start))
    a, b = y[pattern.voxel], fit[pattern.voxel]
    count = np.maximum(np.bincount(of, minlength=n), 1)
    a = a - (np.bincount(of, a, n) / count)[of]
    b = b - (np.bincount(of, b, n) / count)[of]
    square = np.bincount(of, a * a, n) * np.bincount(of, b * b, n)
    return np.bincount(of, a * b, n) / np.sqrt(np.maximum(square, 1e-300))


