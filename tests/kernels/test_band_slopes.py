"""Sums over bands, the line through them and what follows for the scale: against loops that can be read."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from occupy_jit.kernels import band_slopes as kernels
from occupy_jit.kernels.grid.binned import cell_shape, value_row, weights_between
from occupy_jit.kernels.jit.decorator import threads
from tests import naive

pytestmark = pytest.mark.kernel

SHAPES = st.tuples(*[st.integers(1, 7)] * 3)
X = (0.004, 0.01, 0.02, 0.035, 0.055, 0.085)


def bands_of(shape, seed, number, local):
    """Powers with signal, without, and below 0; noise of one map or around each place."""
    random = np.random.default_rng(seed)
    bands = []
    for x in X[:number]:
        power = random.normal(0.5, 1, shape).astype(np.float32)
        noise = random.uniform(0, 1, shape).astype(np.float32) if local else float(random.uniform(0, 1))
        bands.append((power, noise, float(random.uniform(0.1, 3)), x - 0.03, float(random.uniform(1, 900))))
    return bands


def summed(bands, of_map):
    sums = np.zeros((5, *bands[0][0].shape), np.float32)
    for power, noise, reference, x, samples in bands:
        kernels.add_band_to_slope(sums, power, noise, reference, x, samples, of_map)
    return sums


@settings(deadline=None, max_examples=60)
@given(SHAPES, st.integers(0, 2**32), st.integers(1, 6), st.booleans(), st.booleans())
def test_the_slope_is_that_of_a_weighted_line(shape, seed, number, local, of_map):
    bands = bands_of(shape, seed, number, local)
    found = kernels.relative_b_factor(summed(bands, of_map))
    expected = naive.relative_b_factor(bands, of_map)
    # sums in float32: weights up to 400, logarithms up to 14, x up to .06; the prior .0011 bounds the division
    error = 4 * 6 * 2.0**-23 * 400 * 14 * 0.06 / (4 / kernels.PRIOR_B) ** 2
    assert np.abs(found - expected).max() <= 2 * error + 1e-3


@settings(deadline=None, max_examples=60)
@given(SHAPES, st.integers(0, 2**32), st.integers(0, 5))
def test_the_occupancy_is_the_scale_over_what_blur_leaves(shape, seed, number):
    random = np.random.default_rng(seed)
    scale = random.uniform(0, 1.3, shape).astype(np.float32)
    cells = random.uniform(-250, 400, cell_shape(shape)).astype(np.float32)
    powers, squares = random.uniform(0, 2, number), random.uniform(0, 0.09, number)
    rest, least = float(random.uniform(0.01, 2)), float(random.uniform(0, 0.5))
    between = np.empty(shape, np.float32)
    ways = weights_between(shape)
    for z, y in np.ndindex(shape[:2]):
        value_row(cells, z, y, *ways, np.empty(cells.shape[2], np.float32), between[z, y])
    wanted, kept = naive.occupancy_without_flexibility(scale, between, powers, squares, rest, np.float32(least))
    found, b_factor = kernels.occupancy_without_flexibility(scale.copy(), cells, powers, squares, rest, least)
    np.testing.assert_allclose(found, wanted, rtol=1e-6, atol=1e-7)
    np.testing.assert_array_equal(b_factor, kept.astype(np.float32))
    assert found.min() >= 0 and found.max() <= 1


def test_one_band_and_no_signal_leave_the_prior():
    power = np.full((2, 3, 4), 2.0, np.float32)
    sums = summed([(power, 0.1, 1.0, 0.02, 50)], True)
    rounding = np.finfo(np.float32).eps * float(np.abs(sums[4]).max())  # of sums that cancel, four of them rounded
    assert np.abs(kernels.relative_b_factor(sums)).max() <= 4 * 4 * rounding / (4 / 120) ** 2
    nothing = [(np.zeros_like(power), 1.0, 1.0, x, 50.0) for x in X]
    # all bands the same blind weight and level
    assert np.abs(kernels.relative_b_factor(summed(nothing, False))).max() < 0.1


def test_a_known_fall_is_found():
    """Signal without noise, that falls by 80 Å^2: six bands outweigh the prior, each known to .05."""
    powers = [np.full((3, 3, 3), np.exp(-80 * x / 2), np.float32) for x in X]
    found = kernels.relative_b_factor(summed([(p, 0.0, 1.0, x, 1e6) for p, x in zip(powers, X, strict=True)], False))
    spread = 400 * np.var(X) * len(X)
    assert found == pytest.approx(80 * spread / (spread + (4 / 120) ** 2), rel=1e-3)


def test_bits_do_not_depend_on_threads():
    bands = bands_of((40, 33, 37), 3, 6, True)
    scale = np.random.default_rng(1).uniform(0, 1, (80, 66, 75)).astype(np.float32)
    made = []
    for number in (1, 2):
        with threads(number):
            sums = summed(bands, False)
            b = kernels.relative_b_factor(sums)
            cells = np.resize(b, cell_shape(scale.shape)).astype(np.float32)
            made.append((sums, b, *kernels.occupancy_without_flexibility(scale.copy(), cells, [1, 2], [0.01, 0.03], 1)))
    for one, two in zip(*made, strict=True):
        assert np.array_equal(one, two)


def test_what_cannot_be_used_is_refused():
    power = np.zeros((2, 2, 2), np.float32)
    with pytest.raises(ValueError, match="sums"):
        kernels.add_band_to_slope(np.zeros((5, 2, 2, 3), np.float32), power, 1.0, 1.0, 0.1, 5, True)
    for reference, samples in ((0.0, 5), (1.0, 0.5)):
        with pytest.raises(ValueError, match="positive"):
            kernels.add_band_to_slope(np.zeros((5, 2, 2, 2), np.float32), power, 1.0, reference, 0.1, samples, True)
    with pytest.raises(ValueError, match="do not go"):
        kernels.occupancy_without_flexibility(power, np.zeros((2, 2, 2), np.float32), [1.0], [0.1], 0.0)
    with pytest.raises(ValueError, match="powers"):
        kernels.occupancy_without_flexibility(power, np.zeros((1, 1, 1), np.float32), [0.0], [0.1], 0.0)
