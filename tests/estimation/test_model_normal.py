"""The step of the fit against dense algebra, and parts against the whole."""

import numpy as np
import pytest

pytest.importorskip("gemmi")
pytest.importorskip("scipy")

from occupy_jit.estimation.parts.columns import Design  # noqa: E402
from occupy_jit.estimation.parts.gauss_newton import Parts, State, offset_prior, solve_once  # noqa: E402
from occupy_jit.estimation.parts.normal import assemble, derivative_shares  # noqa: E402
from tests.estimation.test_model_columns import case  # noqa: E402, F401

OCCUPANCY, OFFSETS = np.array([1.0, 0.4, 0.02]), np.array([0.0, 30.0, -10.0])


def dense(design, values):
    """The columns and their derivatives as matrices (voxels, columns)."""
    pattern = design.pattern
    n_voxels = len(pattern.row_start) - 1
    row = np.repeat(np.arange(n_voxels), np.diff(pattern.row_start))
    made = np.zeros((2, n_voxels, design.n_columns))
    made[:, row, pattern.column] = values.T
    return made


@pytest.fixture(scope="module")
def with_groups(case):  # noqa: F811
    """Three parts and two groups of pseudo-atoms that have the offsets of parts, a filter, and what is known."""
    lattice, given = case
    rng = np.random.default_rng(8)
    design = Design(lattice, *given, boxes=3)
    places = given[0][:6] + rng.normal(0, 1.5, (6, 3))
    design = design.with_carbons(places, rng.uniform(0.5, 1, 6), np.array([0, 0, 0, 1, 1, 1]), np.array([2, 0]))
    parts = Parts(np.array([40.0, 30.0, 20.0]), np.array([False, False, True]), np.array([0, 1, 0]))
    return lattice, design, parts


def test_a_step_is_that_of_dense_least_squares(with_groups):
    lattice, design, parts = with_groups
    n = len(parts)
    occupancy = np.concatenate([OCCUPANCY, [0.7, 0.9]])
    state = State(occupancy, OFFSETS, np.exp(-5 * lattice.s), np.ones(len(lattice.s)), spread=20.0)
    y = lattice.at_fit_voxels(state.whitening * lattice.band)
    new, step = solve_once(design, lattice, y, state, parts)
    columns, slopes = dense(design, step.values)
    factors = occupancy.copy()
    factors[:n] = np.maximum(factors[:n], 0.05)  # an absent part keeps a little
    of_offset = np.stack([(slopes * factors)[:, design.owner == k].sum(1) for k in range(n)], 1)
    matrix = np.concatenate([columns[:, :n], of_offset, columns[:, n:]], 1)
    weights = np.concatenate([np.zeros(n), offset_prior(parts, 20.0, lattice.resolved), np.zeros(2)])
    drawn_to = np.array([0, 0, OFFSETS[0]])
    right = matrix.T @ (y - columns @ occupancy)
    right[n:2 * n] -= weights[n:2 * n] * (OFFSETS - drawn_to)
    normal = matrix.T @ matrix + np.diag(weights)
    wanted = np.linalg.solve(normal, right)
    found = np.concatenate([new.occupancy[:n] - OCCUPANCY, new.offset - OFFSETS, new.occupancy[n:] - occupancy[n:]])
    moved = np.concatenate([wanted[:n], np.clip(wanted[n:2 * n], -40, 40), wanted[2 * n:]])
    scale = np.concatenate([np.ones(n), np.full(n, 100.0), np.ones(2)])
    assert np.allclose(found / scale, moved / scale, atol=1e-4 * np.abs(moved / scale).max())
    # of parts and offsets, whatever the pseudo-atoms are
    assert np.allclose(step.covariance, np.linalg.inv(normal)[:2 * n, :2 * n], rtol=1e-3,
                       atol=1e-4 * np.abs(step.covariance).max())
    assert np.allclose(step.fit, columns @ occupancy + matrix @ moved, atol=1e-4 * np.abs(y).max())


def test_the_normal_matrix_is_the_dense_one(with_groups):
    lattice, design, parts = with_groups
    n = len(parts)
    values = design.values(lattice.band * np.exp(-5 * lattice.s), OFFSETS)
    columns, slopes = dense(design, values)
    share = derivative_shares(design, np.concatenate([OCCUPANCY, [0.7, 0.9]]), n)
    prior = np.arange(1.0, 1 + 2 * n)
    normal = assemble(design, design.products(values), share, n, prior)
    main, inner = np.concatenate([columns[:, :n], slopes @ share.toarray()], 1), columns[:, n:]
    size = np.abs(main.T @ main).max()
    assert np.allclose(normal.main, main.T @ main + np.diag(prior), atol=1e-6 * size)
    assert np.allclose(normal.cross.toarray(), main.T @ inner, atol=1e-6 * size)
    assert np.allclose(normal.inner.toarray(), inner.T @ inner, atol=1e-6 * size)


def test_parts_sum_to_the_whole(case):  # noqa: F811
    lattice, given = case
    transfer = lattice.band * np.exp(-5 * lattice.s)
    several = Design(lattice, *given, boxes=3)
    positions, weights, types, b, column, _, kinds = given
    whole = Design(lattice, positions, weights, types, b, np.zeros(len(column), int), np.arange(1), kinds, boxes=1)
    sums = several.fit(several.values(transfer, np.zeros(3)), np.ones(3))
    alone = whole.fit(whole.values(transfer, np.zeros(1)), np.ones(1))
    # a part's column ends 2.25 details from it: where none has ended yet
    everywhere = np.diff(several.pattern.row_start) == 3
    assert everywhere.sum() > 300
    # what grids of boxes of their own cannot hold is .4% at the edge of the band
    assert np.abs(sums - alone)[everywhere].max() < 0.004 * np.abs(alone).max()
