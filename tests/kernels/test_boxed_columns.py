"""Kernels for parts in boxes of their own, against loops that can be checked by eye."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from occupy_jit.kernels.model import boxed_columns

pytestmark = pytest.mark.kernel

SPACING = np.array([1.3, 1.0, 0.8])


def naive_gaussians(shape, positions, amplitudes, b_factors):
    """Every atom in the box and in its repeats."""
    out = np.zeros((amplitudes.shape[1], *shape))
    voxels = np.stack(np.indices(shape), -1)
    repeats = (np.stack(np.indices((5, 5, 5)), -1).reshape(-1, 3) - 2) * shape
    for position, amplitude, b in zip(positions, amplitudes, b_factors, strict=True):
        for repeat in repeats:
            square = (((voxels - position - repeat) * SPACING) ** 2).sum(-1)
            out += amplitude[:, None, None, None] * (4 * np.pi / b) ** 1.5 * np.exp(-4 * np.pi**2 * square / b)
    return out


@settings(deadline=None, max_examples=15)
@given(st.integers(0, 999))
def test_atoms_are_gaussians_in_a_box_that_repeats(seed):
    rng = np.random.default_rng(seed)
    shape = tuple(rng.integers(4, 12, 3))
    positions = rng.uniform(0, shape, (4, 3))
    amplitudes = rng.uniform(-1, 1, (4, 2)) * (rng.random((4, 2)) < 0.8)
    b = rng.uniform(30, 120, 4)
    there = boxed_columns.spread_gaussians(shape, positions, amplitudes, b, SPACING)
    # cut at 4.5 standard deviations: exp(-4.5^2 / 2) of the height of each
    height = (np.abs(amplitudes) * (4 * np.pi / b[:, None]) ** 1.5).sum()
    assert np.abs(there - naive_gaussians(shape, positions, amplitudes, b)).max() < 8 * np.exp(-(4.5**2) / 2) * height


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 999))
def test_filters_are_linear_between_the_entries_and_end(seed):
    rng = np.random.default_rng(seed)
    shape, step = tuple(rng.integers(2, 9, 3)), 0.07
    squares = tuple(np.sort(rng.uniform(0, 0.3, n)) for n in shape)
    tables = rng.standard_normal((9, 2)).astype(np.float32)
    transform = (rng.standard_normal(shape) + 1j * rng.standard_normal(shape)).astype(np.complex64)
    there = boxed_columns.filter_twice(transform, squares, tables, step)
    s = np.sqrt(squares[0][:, None, None] + squares[1][:, None] + squares[2])
    for k in (0, 1):
        factor = np.interp(s, np.arange(9) * step, tables[:, k]) * (s < 8 * step)
        assert np.allclose(there[k], transform * factor, atol=1e-4)


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 999))
def test_boxes_are_read_and_added_where_they_lie(seed):
    rng = np.random.default_rng(seed)
    shape = (9, 8, 7)
    size = rng.integers(3, 8, 3)
    corner = rng.integers(-3, 6, 3)
    box, slope = rng.standard_normal((2, *size)).astype(np.float32)
    grid = rng.standard_normal(shape).astype(np.float32)
    wanted, inside = grid.copy(), []
    for voxel in np.ndindex(*size):
        place = tuple(np.array(voxel) + corner)
        if all(0 <= p < n for p, n in zip(place, shape, strict=True)):
            wanted[place] += np.float32(0.7) * box[voxel]
            inside.append((place, voxel))
    boxed_columns.add_box(box, corner, 0.7, grid)
    assert np.allclose(grid, wanted, atol=1e-6)
    coordinates = np.array([place for place, _ in inside], np.int16).reshape(-1, 3)
    order = rng.permutation(len(inside))
    values = np.zeros((len(inside), 2), np.float32)
    boxed_columns.gather(box, slope, corner, coordinates, np.arange(len(inside), dtype=np.int32),
                      order.astype(np.int64), values)
    for (_, voxel), at in zip(inside, order, strict=True):
        assert tuple(values[at]) == (box[voxel], slope[voxel])
