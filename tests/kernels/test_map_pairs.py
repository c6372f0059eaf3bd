"""Kernels over two half maps against the formulas written out, and quantities that are known over cells only."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from occupy_jit.kernels import map_pairs as kernels
from occupy_jit.kernels.grid.binned import cell_of, cell_shape, sections_of_cells, values_between
from occupy_jit.kernels.grid.fields import field, part_of
from occupy_jit.kernels.grid.sphere import section_inside
from occupy_jit.kernels.jit.decorator import threads
from occupy_jit.kernels.standard_error import scale_error
from occupy_jit.kernels.voxelwise import scale_and_depth
from tests import naive

pytestmark = pytest.mark.kernel

EPSILON = float(np.finfo(np.float32).eps)
shapes = st.tuples(*[st.integers(1, 11)] * 3)
KINDS = (kernels.HALF_SUM, kernels.POWER_OF_HALF_DIFFERENCE, kernels.POWER, kernels.KNOWN)


def pair(shape, seed=0):
    rng = np.random.default_rng(seed)
    return [rng.standard_normal(shape, dtype=np.float32) for _ in range(2)]


def inside(shape):
    return np.array([section_inside(shape, z) for z in range(shape[0])])


@settings(deadline=None, max_examples=30)
@given(shapes, st.integers(0, 99), st.floats(0.25, 4, width=32))
def test_joined_halves_are_mean_and_half_difference(shape, seed, factor):
    one, two = pair(shape, seed)
    mean, difference = (one + np.float64(factor) * two) / 2, (one - np.float64(factor) * two) / 2
    kernels.join(one, two, factor)
    assert np.abs(one - mean).max() <= 4 * EPSILON * (1 + factor) * 4
    assert np.abs(two - difference).max() <= 4 * EPSILON * (1 + factor) * 4


def test_equal_values_leave_a_difference_of_exactly_0():
    one, _ = pair((5, 6, 7))
    two = one.copy()
    kernels.join(one, two)
    assert not two.any()


@settings(deadline=None, max_examples=30)
@given(shapes, st.integers(0, 99))
def test_the_share_of_zeros_is_that_of_the_sphere(shape, seed):
    volume = np.random.default_rng(seed).integers(0, 3, shape).astype(np.float32)
    assert kernels.share_of_zeros(volume) == (volume == 0)[inside(shape)].mean()


@settings(deadline=None, max_examples=30)
@given(shapes, st.integers(0, 99), st.booleans())
def test_sums_are_those_of_the_formula(shape, seed, on_cells):
    mean, difference = pair(shape, seed)
    power = np.random.default_rng(seed).random(cell_shape(shape) if on_cells else shape, dtype=np.float32)
    each = naive.at_voxels_of_cells(power, shape) if on_cells else power
    found = kernels.pair_sums(mean, difference, 0.5, power, 0.4)
    ball, quiet = inside(shape), inside(shape) & (each <= np.float32(0.4))
    m, d = mean.astype(np.float64) - 0.5, difference.astype(np.float64)
    one, two, rest = m + d, m - d, ball & ~quiet
    expected = [(one * two)[rest].sum(), (one**2)[rest].sum(), (two**2)[rest].sum(), (d**2)[quiet].sum(),
                (m**2)[quiet].sum(), (d**2)[ball].sum(), (m**2)[ball].sum()]
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)
    with threads(1):
        assert np.array_equal(kernels.pair_sums(mean, difference, 0.5, power, 0.4), found)


@settings(deadline=None, max_examples=40)
@given(shapes, st.integers(0, 99), st.sampled_from(KINDS), st.booleans())
def test_means_over_cells_are_those_of_the_formula(shape, seed, kind, masked):
    one, two = pair(shape, seed)
    known = np.random.default_rng(seed).random(shape) < 0.6 if masked else None
    found = kernels.pair_cells(one, two, kind, known)
    value = {kernels.HALF_SUM: (one + two) / 2, kernels.POWER_OF_HALF_DIFFERENCE: ((one - two) / 2)**2,
             kernels.POWER: one**2, kernels.KNOWN: np.ones(shape, np.float32)}[kind]
    wanted = naive.cell_mean(value if known is None else np.where(known, value, np.float32(0)))
    assert found.shape == cell_shape(shape)
    assert np.abs(found - wanted).max() <= 16 * EPSILON * max(np.abs(value).max(), 1)


@pytest.mark.parametrize("kind", KINDS)
def test_sections_and_flips_have_the_same_bits(kind):
    shape = (21, 10, 13)
    one, two = pair(shape)
    known = np.random.default_rng(1).random(shape) < 0.6
    whole = kernels.pair_cells(one, two, kind, known)
    pieces = np.empty_like(whole)
    for of_cells, voxels in sections_of_cells(shape[0], 3):
        kernels.pair_cells(one[voxels], two[voxels], kind, known[voxels], of_cells, shape[0], pieces[of_cells])
    assert np.array_equal(pieces, whole)
    for axes in itertools.combinations(range(3), 2):
        flipped = [np.ascontiguousarray(np.flip(a, axes)) for a in (one, two, known)]
        assert np.array_equal(kernels.pair_cells(*flipped[:2], kind, flipped[2]), np.flip(whole, axes))


@settings(deadline=None, max_examples=30)
@given(shapes, st.integers(0, 99), st.data())
def test_values_between_cells_are_straight_lines(shape, seed, data):
    cells = np.random.default_rng(seed).random(cell_shape(shape), dtype=np.float32)
    region = []
    for n in shape:
        first = data.draw(st.integers(0, n - 1))
        region.append(slice(first, data.draw(st.integers(first, n))))
    expected = cells.astype(np.float64)
    for axis, n in enumerate(shape):
        of = cell_of(n)
        at = np.bincount(of, np.arange(n)) / np.bincount(of)
        expected = np.apply_along_axis(lambda line, n=n, at=at: np.interp(np.arange(n), at, line), axis, expected)
    found = values_between(cells, shape, region)
    np.testing.assert_allclose(found, expected[tuple(region)], atol=8 * EPSILON)
    assert np.array_equal(part_of(cells, shape, tuple(region)), found)


@settings(deadline=None, max_examples=20)
@given(shapes, st.integers(0, 99))
def test_kernels_take_cells_as_they_take_the_values_between_them(shape, seed):
    maximum, _ = pair(shape, seed)
    cells = np.random.default_rng(seed).random(cell_shape(shape), dtype=np.float32)
    every = values_between(cells, shape)
    assert np.array_equal(scale_error(maximum, 0.1, cells, cells, 1.3, 0.1), scale_error(maximum, 0.1, every, every,
                                                                                         1.3, 0.1))
    depths = [np.empty_like(maximum) for _ in range(2)]
    scales = [scale_and_depth(maximum, 0.1, floor, 1.3, depth=depth, even=(0.5, 0.2))
              for floor, depth in zip((cells, every), depths, strict=True)]
    assert np.array_equal(*scales) and np.array_equal(*depths)
    expected = -(maximum.astype(np.float64) - 0.1) * 0.5 / np.maximum(every, 0.2)
    np.testing.assert_allclose(depths[0], expected, rtol=1e-5, atol=1e-6)


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="floor: shape"):
        field(np.zeros((3, 4, 5), np.float32), (8, 8, 8), "floor")
    assert part_of(0.5, (8, 8, 8), (slice(0, 2),) * 3) == 0.5
