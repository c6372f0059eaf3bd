"""Cells of two voxels: means, flips, and values between them."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from occupy_jit.kernels.grid.binned import (
    between,
    cell_count,
    cell_mean,
    cell_mean_of_box,
    cell_of,
    cell_power,
    cell_shape,
    sections,
    sections_of_cells,
    values_between,
    voxels_of,
)
from tests import naive

pytestmark = pytest.mark.kernel

EPSILON = float(np.finfo(np.float32).eps)
shapes = st.tuples(*[st.integers(1, 12)] * 3)


def noise(shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape, dtype=np.float32)


@pytest.mark.parametrize("n", [*range(1, 40), 255, 256, 257])
def test_every_voxel_has_a_cell_and_a_flip_has_the_flipped_cells(n):
    cells = cell_of(n)
    assert cells[0] == 0 and cells[-1] == cell_count(n) - 1
    assert set(np.diff(cells)) <= {0, 1}
    sizes = np.bincount(cells)
    assert sizes.max() <= 2 and (sizes == 1).sum() <= (0 if n % 2 == 0 else 3)
    assert np.array_equal(cells[::-1], cell_count(n) - 1 - cells)


@settings(deadline=None, max_examples=40)
@given(shapes, st.floats(-2, 2, width=32), st.integers(0, 99))
def test_agrees_with_the_means_written_out(shape, centre, seed):
    volume = noise(shape, seed)
    for found, of in ((cell_power(volume, centre), np.square(volume - np.float32(centre))),
                      (cell_mean(volume), volume)):
        wanted = naive.cell_mean(of)
        assert found.shape == cell_shape(shape) == wanted.shape
        assert np.abs(found - wanted).max() <= 8 * EPSILON * np.abs(of).max()


@settings(deadline=None, max_examples=40)
@given(shapes, st.floats(-2, 2, width=32), st.floats(-1, 2, width=32), st.data())
def test_a_box_of_cells_with_a_cap_is_that_part_of_the_means_written_out(shape, centre, cap, data):
    volume = noise(shape, 1)
    box = []
    for n in cell_shape(shape):
        start = data.draw(st.integers(0, n))
        box.append(slice(start, data.draw(st.integers(start, n))))
    capped = np.minimum(volume - np.float32(centre), np.float32(cap))
    found = cell_mean(volume, centre=centre, cap=cap, box=tuple(box))
    assert np.abs(found - naive.cell_mean(capped)[tuple(box)]).max(initial=0) <= 8 * EPSILON * np.abs(capped).max()
    assert np.array_equal(cell_power(volume, centre, tuple(box)), cell_power(volume, centre)[tuple(box)])
    part = volume[tuple(voxels_of(n, cells) for n, cells in zip(shape, box, strict=True))]
    assert np.array_equal(cell_mean_of_box(part, tuple(box), shape), cell_mean(volume)[tuple(box)])


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 40), st.integers(1, 9), st.data())
def test_going_through_some_planes_of_cells_meets_each_of_their_voxels_once(n, at_a_time, data):
    start = data.draw(st.integers(0, cell_count(n) - 1))
    planes = slice(start, data.draw(st.integers(start, cell_count(n))))
    met = list(sections_of_cells(n, at_a_time, planes))
    wanted = np.flatnonzero((cell_of(n) >= planes.start) & (cell_of(n) < planes.stop))
    assert [i for _, voxels in met for i in range(voxels.start, voxels.stop)] == wanted.tolist()
    assert [i for cells, _ in met for i in range(cells.start, cells.stop)] == list(range(planes.start, planes.stop))


@pytest.mark.parametrize("shape", [(9, 10, 11), (3, 40, 5), (8, 7, 14), (1, 2, 3)])
def test_a_flipped_volume_gives_exactly_the_flipped_cells(shape):
    volume = noise(shape)
    result = cell_power(volume, 0.1)
    for axes in itertools.chain.from_iterable(itertools.combinations(range(3), k) for k in (1, 2, 3)):
        assert np.array_equal(cell_power(np.flip(volume, axes), 0.1), np.flip(result, axes))


@pytest.mark.parametrize("n", [*range(1, 30), 256])
def test_values_between_cells_follow_a_straight_line(n):
    """Inside, a line through the cells is met exactly; beyond the outermost cells their value goes on."""
    lower, of_lower, of_upper = between(n)
    cells = cell_of(n)
    at = np.bincount(cells, weights=np.arange(n)) / np.bincount(cells)
    upper = np.minimum(lower + 1, cell_count(n) - 1)
    found = of_lower * at[lower] + of_upper * at[upper]
    assert np.allclose(found, np.clip(np.arange(n), at[0], at[-1]), atol=n * EPSILON)
    weights = np.zeros((n, cell_count(n)), np.float32)
    np.add.at(weights, (np.arange(n), lower), of_lower)
    np.add.at(weights, (np.arange(n), upper), of_upper)
    assert np.array_equal(weights[::-1, ::-1], weights)


@settings(deadline=None, max_examples=40)
@given(shapes, st.integers(0, 99))
def test_values_between_cells_are_those_of_each_axis_in_turn(shape, seed):
    cells = noise(cell_shape(shape), seed)
    wanted = cells.astype(np.float64)
    for axis, n in enumerate(shape):
        lower, of_lower, of_upper = between(n)
        upper = np.minimum(lower + 1, cell_count(n) - 1)
        weights = [w.reshape([-1 if a == axis else 1 for a in range(3)]) for w in (of_lower, of_upper)]
        wanted = weights[0] * np.take(wanted, lower, axis) + weights[1] * np.take(wanted, upper, axis)
    found = values_between(cells, shape)
    assert found.shape == shape and np.abs(found - wanted).max() <= 16 * EPSILON * np.abs(cells).max()
    with pytest.raises(ValueError, match="do not go"):
        values_between(cells, (shape[0] + 4, *shape[1:]))


@settings(deadline=None, max_examples=30)
@given(shapes, st.integers(0, 99), st.data())
def test_sections_between_cells_are_those_of_the_whole_box_on_any_thread(shape, seed, data):
    cells = noise(cell_shape(shape), seed)
    first = data.draw(st.integers(0, shape[0]))
    last = data.draw(st.integers(first, shape[0]))
    for alone in (False, True):
        found = values_between(cells, shape, sections(first, last), alone=alone)
        assert np.array_equal(found, values_between(cells, shape)[first:last])
