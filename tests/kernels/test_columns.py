"""Kernels over atoms and columns, against loops that can be checked by eye."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from occupy_jit.kernels.model import atoms, columns, radial

pytestmark = pytest.mark.kernel

SPACING = np.array([1.3, 1.0, 0.8])
ENTRIES, PER_SQUARE = 200, 198 / 2.5**2


def tables(rng, rows):
    made = rng.standard_normal((rows, ENTRIES, 2)).astype(np.float32)
    made[:, -2:] = 0
    return made


def naive_spread(shape, positions, weights, rows, made):
    out = np.zeros((*shape, 2))
    for voxel in np.ndindex(shape):
        for p, w, r in zip(positions, weights, rows, strict=True):
            place = (((np.array(voxel) - p) * SPACING) ** 2).sum() * PER_SQUARE
            if place <= ENTRIES - 2:
                out[voxel] += w * made[r, min(int(place + 0.5), ENTRIES - 1)]
    return out


def case(seed, n=6, shape=(6, 7, 9)):
    rng = np.random.default_rng(seed)
    return rng, shape, rng.uniform(-2, np.array(shape) + 1, (n, 3))


@settings(deadline=None, max_examples=15)
@given(st.integers(0, 999))
def test_distances_are_those_to_the_nearest_atom(seed):
    _, shape, positions = case(seed)
    there = atoms.distance_to_atoms(shape, positions, SPACING, 3.0)
    voxels = np.stack(np.indices(shape), -1)[..., None, :]
    wanted = np.sqrt((((voxels - positions) * SPACING) ** 2).sum(-1)).min(-1)
    assert np.allclose(there, np.minimum(wanted, 3.0), atol=1e-5)


@settings(deadline=None, max_examples=15)
@given(st.integers(0, 999))
def test_atoms_are_spread_as_their_tables_say(seed):
    rng, shape, positions = case(seed)
    weights, rows, made = rng.uniform(0.2, 1, 6), rng.integers(0, 3, 6), tables(rng, 3)
    there = atoms.spread_atoms(shape, positions, weights, rows, made, PER_SQUARE, SPACING)
    wanted = naive_spread(shape, positions, weights, rows, made)
    # an entry at the middle between two may be rounded either way: of random numbers few voxels may differ
    differ = np.abs(there - wanted).max(-1) > 1e-4
    assert differ.mean() < 0.03


@settings(deadline=None, max_examples=15)
@given(st.integers(0, 999))
def test_columns_and_products_agree_with_a_dense_matrix(seed):
    rng, shape, positions = case(seed, 9)
    start = np.array([0, 3, 3, 7, 9])  # one part has no atoms
    mask = rng.random(shape) < 0.6
    fit = np.full(shape, -1, np.int32)
    fit[mask] = np.arange(mask.sum())
    weights, rows, made = rng.uniform(0.2, 1, 9), rng.integers(0, 3, 9).astype(np.int32), tables(rng, 3)
    pattern = columns.column_pattern(fit, int(mask.sum()), positions, start, SPACING, 2.5)
    values = columns.fill_columns(pattern, fit, positions, weights, rows, start, made, PER_SQUARE, SPACING)
    dense = np.zeros((2, int(mask.sum()), 4))
    row = np.repeat(np.arange(mask.sum()), np.diff(pattern.row_start))
    for k in (0, 1):
        dense[k, row, pattern.column] = values[:, k]
    for part in range(4):
        own = slice(start[part], start[part + 1])
        alone = atoms.spread_atoms(shape, positions[own], weights[own], rows[own], made, PER_SQUARE, SPACING)
        assert np.allclose(dense[:, :, part].T, alone[mask], atol=1e-4)
    factors, residual = rng.standard_normal((4, 2)), rng.standard_normal(int(mask.sum()))
    assert np.allclose(columns.combine(pattern, values, factors), dense[0] @ factors[:, 0] + dense[1] @ factors[:, 1])
    assert np.allclose(columns.project(pattern, values, residual), np.stack([d.T @ residual for d in dense], 1))
    first, other = columns.neighbours(pattern)
    products = columns.normal_products(pattern, values, first, other)
    full = np.einsum("avi,bvj->ijab", dense, dense)
    for i in range(4):
        near = other[first[i]:first[i + 1]]
        assert np.allclose(products[first[i]:first[i + 1]], full[i, near])
        rest = np.setdiff1d(np.arange(i, 4), near)
        assert not full[i, rest].any(), "pairs that are left out share no voxel"


def test_shell_sums_count_both_halves():
    rng = np.random.default_rng(1)
    for n_x in (7, 8):
        volume = rng.standard_normal((5, 6, n_x)).astype(np.float32)
        half = np.fft.rfftn(volume).astype(np.complex64)
        total = radial.shell_products(half, half, np.zeros(half.shape, np.int16), n_x, 1)
        assert np.isclose(total[0], (np.abs(np.fft.fftn(volume)) ** 2).sum(), rtol=1e-5)


def test_density_at_atoms_is_linear_between_voxels():
    z, y, x = np.indices((5, 6, 7)).astype(np.float32)
    volume = 2 * z - y + 3 * x
    places = np.array([[0.5, 1.25, 2.0], [4, 5, 6], [-0.1, 0, 0]])
    assert np.allclose(atoms.density_at(volume, places), [1 - 1.25 + 6, 8 - 5 + 18, 0])


def test_errors_of_blocks_are_those_of_dense_inverses():
    sparse = pytest.importorskip("scipy.sparse")
    from occupy_jit.kernels.model.block_errors import block_errors

    rng = np.random.default_rng(2)
    n = 30
    band = np.abs(np.subtract.outer(np.arange(n), np.arange(n))) < 4
    normal = band * 0.3 + np.diag(rng.uniform(3, 4, n))
    scores = rng.standard_normal((n, n)) * band
    meat = scores @ scores.T  # a wider band than the matrix has
    a, b = sparse.csr_matrix(normal), sparse.csr_matrix(meat)
    there = block_errors(a.indptr, a.indices, a.data, b.indptr, b.indices, b.data)
    for i in range(n):
        near = np.flatnonzero(band[i])
        inverse = np.linalg.inv(normal[np.ix_(near, near)])[list(near).index(i)]
        wanted = max(inverse[list(near).index(i)], inverse @ meat[np.ix_(near, near)] @ inverse)
        assert np.isclose(there[i], np.sqrt(wanted))


def test_blocks_are_bounded_and_keep_what_matters_most():
    """An unknown of more neighbours than a block holds: those that it is coupled to the most, whatever their order."""
    sparse = pytest.importorskip("scipy.sparse")
    from occupy_jit.kernels.model import block_errors as kernels

    rng = np.random.default_rng(3)
    n = 3 * kernels.MOST
    factors = rng.standard_normal((n, 12)) * 10.0 ** rng.uniform(-2, 0, (n, 1))
    normal = factors @ factors.T + np.eye(n)
    a, b = sparse.csr_matrix(normal), sparse.csr_matrix(np.eye(n))
    there = kernels.block_errors(a.indptr, a.indices, a.data, b.indptr, b.indices, b.data, 5, 40)
    assert there.shape == (35,)
    for i in range(5, 40):
        coupling = np.abs(normal[i]) / np.sqrt(np.diag(normal))
        coupling[i] = np.inf
        near = np.sort(np.argsort(-coupling)[:kernels.MOST])
        own = list(near).index(i)
        inverse = np.linalg.inv(normal[np.ix_(near, near)])[own]
        assert np.isclose(there[i - 5], np.sqrt(max(inverse[own], inverse @ inverse)))


def test_conjugate_gradients_solve_as_a_factorisation_does():
    sparse = pytest.importorskip("scipy.sparse")
    from occupy_jit.errors import OccupyError
    from occupy_jit.estimation.parts.residues import _solved

    rng = np.random.default_rng(4)
    scores = sparse.random(300, 200, 0.05, random_state=4, data_rvs=rng.standard_normal)
    matrix = (scores.T @ scores * 1000 + sparse.identity(200) * 4).tocsr()
    right = rng.standard_normal(200)
    assert np.allclose(_solved(matrix, right, np.ones(200)), np.linalg.solve(matrix.toarray(), right), rtol=1e-6)
    with pytest.raises(OccupyError, match="--residues"):
        _solved(sparse.csr_matrix(np.ones((2, 2))), np.array([1.0, -1.0]), np.zeros(2))
