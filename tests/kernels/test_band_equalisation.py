"""Kernels that equalise band by band, against the formulas."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from occupy_jit.kernels import band_equalisation as kernels
from occupy_jit.kernels.jit.decorator import threads

pytestmark = pytest.mark.kernel

SHAPES = hnp.array_shapes(min_dims=3, max_dims=3, min_side=1, max_side=7)
EPSILON = float(np.finfo(np.float32).eps)


def volumes(shape, low, high):
    return hnp.arrays(np.float32, shape, elements=st.floats(low, high, width=32))


def interpolated(gains, scale, row=0.0):
    """A table at evenly spaced scales, and rows between two of which it is interpolated, in float64."""
    at = np.linspace(0, 1, gains.shape[1])
    low = min(int(row), gains.shape[0] - 1)
    high = min(low + 1, gains.shape[0] - 1)
    below, above = (np.interp(scale, at, gains[line].astype(np.float64)) for line in (low, high))
    return below + (row - low) * (above - below)


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_scale_weighted_by_power_is_the_ratio(data):
    shape = data.draw(SHAPES)
    cubes, squares = data.draw(volumes(shape, 0, 1)), data.draw(volumes(shape, 0, 1))
    found = kernels.power_weighted_scale(cubes, squares)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        expected = np.where(squares > 1e-12, np.clip(cubes / squares, 0, 1), 0)
    assert found.dtype == np.float32
    assert np.array_equal(found, expected)
    assert np.array_equal(kernels.power_weighted_scale(cubes, squares, out=squares), expected)


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_squares_and_cubes_are_those_of_minus_the_depth(data):
    depth = data.draw(volumes(data.draw(SHAPES), -1, 0))
    squares, cubes = kernels.squares_and_cubes(depth)
    assert np.array_equal(squares, depth * depth)
    assert np.array_equal(cubes, depth * depth * -depth)
    again, _ = kernels.squares_and_cubes(depth, out=depth)
    assert again is depth and np.array_equal(depth, squares)


@settings(deadline=None, max_examples=100)
@given(st.data())
def test_a_band_is_added_with_its_gain(data):
    shape = data.draw(SHAPES)
    band, total = data.draw(volumes(shape, -10, 10)), data.draw(volumes(shape, -10, 10))
    scale = data.draw(volumes(shape, 0, 1))
    table = data.draw(hnp.arrays(np.float32, (data.draw(st.sampled_from([1, 3])), data.draw(st.integers(2, 9))),
                                 elements=st.floats(-1, 20, width=32)))
    limit = data.draw(st.floats(0, 1, width=32))
    rows = data.draw(volumes(shape, 0, table.shape[0] - 1)) if table.shape[0] > 1 else None
    found = kernels.add_band(total.copy(), band, scale, table, limit, rows)
    for index in np.ndindex(*shape):
        s = float(scale[index])
        gain = 0.0 if s < limit or s == 0 else interpolated(table, s, 0.0 if rows is None else float(rows[index]))
        # a position among up to 9 entries is known to EPSILON of 9, and entries differ by up to 21
        expected = float(total[index]) + gain * float(band[index])
        assert abs(found[index] - expected) < 10 * 9 * 21 * EPSILON * 10


@settings(deadline=None, max_examples=40)
@given(st.data())
def test_rows_that_are_there_get_what_the_whole_would(data):
    shape = data.draw(SHAPES)
    band, scale = data.draw(volumes(shape, -10, 10)), data.draw(volumes(shape, 0, 1))
    table = np.linspace(9, 0, 17, dtype=np.float32)[None]
    whole = kernels.add_band(np.ones(shape, np.float32), band, scale, table, 0.1)
    which = np.array(data.draw(st.lists(st.integers(0, shape[1] - 1), unique=True).map(sorted)), np.int64)
    parts = np.ones(shape, np.float32)
    for z in range(shape[0]):
        kernels.add_band_rows(parts[z], band[z, which], which, scale[z], table, 0.1)
    assert np.array_equal(parts[:, which], whole[:, which])
    rest = np.setdiff1d(np.arange(shape[1]), which)
    assert np.all(parts[:, rest] == 1)


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_the_result_is_the_formula(data):
    shape = data.draw(SHAPES)
    volume, change = data.draw(volumes(shape, -10, 10)), data.draw(volumes(shape, -10, 10))
    confidence = data.draw(volumes(shape, 0, 1))
    zero, exclude = data.draw(st.floats(-1, 1, width=32)), data.draw(st.booleans())
    low, high = -data.draw(st.floats(0.5, 30, width=32)), data.draw(st.floats(0.5, 30, width=32))
    found = kernels.equalised(volume, change, confidence, zero, exclude, (low, high))
    v, d, c = (a.astype(np.float64) for a in (volume, change, confidence))
    expected = np.where(c > 0, np.clip(c * (v - zero + d) if exclude else v + c * d, low, high), 0 if exclude else v)
    assert np.abs(found - expected).max() < 8 * EPSILON * 21
    assert np.array_equal(kernels.equalised(volume, change, confidence, zero, exclude, (low, high), out=change), found)


@settings(deadline=None, max_examples=40)
@given(st.data())
def test_no_change_is_the_input_bit_for_bit(data):
    volume = data.draw(volumes(data.draw(SHAPES), -1e6, 1e6))
    volume.flat[0] = -0.0
    nothing, sure = np.zeros_like(volume), np.ones_like(volume)
    found = kernels.equalised(volume, nothing, sure, 0.5)
    assert np.array_equal(found.view(np.int32), volume.view(np.int32))
    total = kernels.add_band(np.zeros_like(volume), volume, sure, np.zeros((1, 5), np.float32))
    assert not total.any()


def test_noise_variances_find_their_rows():
    variance = np.array([[[0.0, 0.25, 0.5, 2 ** -0.5, 1.0, 2.0, 4.0, 100.0]]], np.float32)
    found = kernels.noise_position(variance, 9)
    assert np.allclose(found.reshape(-1), [0, 0, 2, 3, 4, 6, 8, 8], atol=1e-6)


def test_bits_do_not_depend_on_threads():
    rng = np.random.default_rng(0)
    shape = (41, 37, 53)
    volume, band = (rng.standard_normal(shape, dtype=np.float32) for _ in range(2))
    scale, confidence = (rng.random(shape, dtype=np.float32) for _ in range(2))
    table = np.linspace(9, 0, 1025, dtype=np.float32)
    results = []
    for number in (1, 2):
        with threads(number):
            around = kernels.power_weighted_scale(scale, confidence)
            change = kernels.add_band(np.zeros_like(volume), band, around, table)
            results.append(kernels.equalised(volume, change, confidence, 0.1))
    assert np.array_equal(*results)


def test_arrays_that_do_not_fit_are_refused():
    volume, other = np.zeros((2, 2, 2), np.float32), np.zeros((2, 2, 3), np.float32)
    for call in (lambda: kernels.add_band(volume, volume, other, np.zeros(3)),
                 lambda: kernels.add_band(volume, volume, volume, np.zeros(3), noise=other),
                 lambda: kernels.equalised(volume, other, volume), lambda: kernels.power_weighted_scale(volume, other)):
        with pytest.raises(ValueError, match="shapes differ"):
            call()
    for table in (np.zeros(1), np.zeros((1, 1)), np.zeros((1, 1, 3))):
        with pytest.raises(ValueError, match="gains"):
            kernels.add_band(volume, volume, volume, table)
