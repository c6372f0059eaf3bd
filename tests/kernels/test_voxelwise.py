"""Kernels of scale, confidence and modification against the formulas."""

import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from occupy_jit.kernels import voxelwise as kernels
from occupy_jit.kernels.grid.binned import cell_shape
from tests import naive

pytestmark = pytest.mark.kernel

SHAPES = hnp.array_shapes(min_dims=3, max_dims=3, min_side=1, max_side=7)
UNIT = st.floats(0, 1, width=32)
FACTORS = {
    kernels.AMPLIFY_AMOUNT: (lambda a, t: lambda s: max(0.0, 1 + a * (1 / s - 1)), st.floats(-1, 1)),
    kernels.AMPLIFY_GAMMA: (lambda g, t: lambda s: s ** (1 / g - 1), st.floats(1, 50)),
    kernels.ATTENUATE_GAMMA: (lambda g, t: lambda s: s ** (g - 1), st.floats(1, 10)),
}


def sigmoid(gamma, pivot):
    """s(S) / S with m found from s(pivot) = pivot by bisection."""
    def value(s, m):
        return 0.0 if s == 0 else 1 / (1 + ((m * (1 - s)) / (s * (1 - m))) ** gamma)
    low, high = 1e-9, 1 - 1e-9
    for _ in range(200):
        m = (low + high) / 2
        low, high = (m, high) if value(pivot, m) > pivot else (low, m)
    return lambda s: value(s, m) / s


def volumes(shape, low, high):
    return hnp.arrays(np.float32, shape, elements=st.floats(low, high, width=32))


@settings(deadline=None, max_examples=50)
@given(st.data())
def test_scale_is_the_formula(data):
    maximum = data.draw(volumes(data.draw(SHAPES), -5, 5))
    zero = data.draw(st.floats(-1, 1))
    full = data.draw(st.floats(0.5, 4))
    floor = full * data.draw(st.one_of(st.just(0.0), st.floats(0, 2)))
    found = kernels.scale_and_depth(maximum, zero, floor, full)
    expected = naive.scale(maximum, np.float32(zero), np.float32(floor), np.float32(full))
    # four roundings, of numbers no larger than M', with a slope of at most 2
    assert np.all(np.abs(found - expected) <= 8 * np.finfo(np.float32).eps * 6 / full)
    assert found.dtype == np.float32
    assert np.all((found >= 0) & (found <= 1))
    m = maximum - np.float32(zero)
    assert np.all(found[m <= np.float32(floor)] == 0)
    # full scale is what noise-free content reads: with noise M' stands higher there
    assert np.all(found[m >= np.float32((full + np.hypot(full, 2 * floor)) / 2) * np.float32(1.00001)] == 1)


def test_scale_is_accurate_and_monotone_over_its_range():
    maximum = np.linspace(0, 2, 40_000, dtype=np.float32).reshape(10, 40, 100)
    found = kernels.scale_and_depth(maximum, 0.0, 0.2, 1.7)
    expected = naive.scale(maximum, 0.0, np.float32(0.2), np.float32(1.7))
    assert np.abs(found - expected).max() < 8 * np.finfo(np.float32).eps
    # single roundings may swap neighbours, no more
    assert np.diff(found.reshape(-1)).min() > -3e-7


def test_without_a_floor_the_scale_is_the_plain_ratio():
    maximum = np.linspace(0.01, 1, 1000, dtype=np.float32).reshape(10, 10, 10)
    assert np.allclose(kernels.scale_and_depth(maximum, 0.0, 0.0, 1.0), maximum, rtol=1e-6)


def test_depth_is_the_capped_height_turned_over():
    maximum = np.linspace(-1, 3, 60, dtype=np.float32).reshape(3, 4, 5)
    depth = np.empty_like(maximum)
    kernels.scale_and_depth(maximum, 0.5, 0.1, 2.0, cap=1.0, depth=depth)
    assert np.array_equal(depth, -np.minimum(maximum - np.float32(0.5), np.float32(1)))


def test_levels_that_make_no_scale_are_refused():
    volume = np.zeros((2, 2, 2), np.float32)
    for floor, full in ((0.1, 0.0), (-0.1, 1.0), (0.0, -1.0), (np.nan, 1.0), (0.1, np.nan)):
        with pytest.raises(ValueError, match="full scale"):
            kernels.scale_and_depth(volume, 0.0, floor, full)


@settings(deadline=None, max_examples=50)
@given(st.data())
def test_confidence_is_monotone_and_bounded(data):
    n = data.draw(st.integers(2, 40))
    evidence = np.sort(data.draw(hnp.arrays(np.float32, n, elements=st.floats(-10, 10, width=32)))).reshape(1, 1, n)
    scale = np.full_like(evidence, data.draw(UNIT))
    low = data.draw(st.floats(-5, 5))
    hedge = data.draw(st.floats(0.25, 8))
    high = low + data.draw(st.floats(0.1, 5))
    rising = kernels.confidence_from_evidence(evidence, scale, low, high, (0.1, 0.3), hedge).reshape(-1)
    assert np.all(np.diff(rising) >= 0)
    assert np.all((rising >= 0) & (rising <= 1))
    falling = kernels.confidence_from_evidence(-evidence, scale, -low, -high, (0.1, 0.3), hedge).reshape(-1)
    assert np.allclose(rising, falling, atol=1e-5)  # the same ramp, rounded from the other side
    by_scale = kernels.confidence_from_evidence(np.full_like(evidence, high), np.abs(evidence) / 10, low, high,
                                                (0.1, 0.3), hedge).reshape(-1)
    order = np.argsort(np.abs(evidence.reshape(-1)))
    assert np.all(np.diff(by_scale[order]) >= 0)


@settings(deadline=None, max_examples=30)
@given(st.data())
def test_doubt_is_where_confidence_is_at_most_one_half(data):
    shape = data.draw(SHAPES)
    scale = data.draw(hnp.arrays(np.float32, shape, elements=UNIT))
    evidence = data.draw(hnp.arrays(np.float32, cell_shape(shape), elements=st.floats(-3, 3, width=32)))
    sure = kernels.confidence_from_evidence(evidence, scale, 1.0, -1.0, (0.1, 0.3))
    region = []
    for n in shape:
        start = data.draw(st.integers(0, n))
        region.append(slice(start, data.draw(st.integers(start, n))))
    found = kernels.doubt_between_cells(evidence, scale, (1.0, -1.0, 0.1, 0.3), tuple(region))
    assert found.dtype == np.float32 and np.array_equal(found, sure[tuple(region)] <= 0.5)


def test_doubt_is_refused_on_another_grid():
    with pytest.raises(ValueError, match="does not go with"):
        kernels.doubt_between_cells(np.zeros((3, 3, 3), np.float32), np.zeros((4, 4, 4), np.float32), (1, 0, 0.1, 0.2),
                                    (slice(0, 4),) * 3)


@settings(deadline=None, max_examples=100)
@given(st.data())
def test_modification_is_the_formula(data):
    shape = data.draw(SHAPES)
    volume = data.draw(volumes(shape, -10, 10))
    scale = data.draw(hnp.arrays(np.float32, shape, elements=UNIT))
    confidence = data.draw(hnp.arrays(np.float32, shape, elements=UNIT))
    zero = float(np.float32(data.draw(st.floats(-1, 1))))
    kind = data.draw(st.sampled_from([*FACTORS, kernels.SIGMOID_GAMMA]))
    pivot = data.draw(st.floats(0.1, 0.9))
    if kind == kernels.SIGMOID_GAMMA:
        strength = data.draw(st.floats(1, 8))
        factor = sigmoid(strength, pivot)
    else:
        make, strengths = FACTORS[kind]
        strength = data.draw(strengths)
        factor = make(strength, pivot)
    limit = float(np.float32(data.draw(st.floats(0.01, 1))))
    exclude = data.draw(st.booleans())
    found = kernels.modify(volume, scale, confidence, zero, kind, strength, limit, pivot, exclude)
    for index in np.ndindex(*shape):
        s = float(scale[index])
        if abs(s - limit) < 1e-6:
            continue
        expected = naive.modify(volume[index], s, float(confidence[index]), zero, factor, limit, exclude)
        # f is a power of up to 50 of a value known to a few roundings, times a height of up to 11 / 0.01
        largest = max(1.0, factor(s) if s >= limit else 1.0)
        assert abs(found[index] - expected) < 2e-4 * largest


@settings(deadline=None, max_examples=30)
@given(st.data())
def test_nothing_to_do_returns_the_input_bit_for_bit(data):
    shape = data.draw(SHAPES)
    volume = data.draw(volumes(shape, -1e6, 1e6))
    scale = data.draw(hnp.arrays(np.float32, shape, elements=UNIT))
    confidence = data.draw(hnp.arrays(np.float32, shape, elements=UNIT))
    zero = data.draw(st.floats(-1e3, 1e3))
    for kind, strength in ((kernels.AMPLIFY_AMOUNT, 0.0), (kernels.AMPLIFY_GAMMA, 1.0), (kernels.ATTENUATE_GAMMA, 1.0)):
        assert np.array_equal(kernels.modify(volume, scale, confidence, zero, kind, strength), volume)


@settings(deadline=None, max_examples=100)
@given(st.floats(1 / 1024, 1, width=32), st.floats(-1, 1), st.floats(1, 50), st.floats(0.05, 0.95))
def test_the_factor_never_changes_sign_and_leaves_full_scale(scale, amount, gamma, pivot):
    s = np.float32(scale)
    ratio = np.float32(kernels.sigmoid_ratio(pivot, gamma))
    for kind, strength in ((kernels.AMPLIFY_AMOUNT, amount), (kernels.AMPLIFY_GAMMA, gamma),
                           (kernels.ATTENUATE_GAMMA, gamma), (kernels.SIGMOID_GAMMA, gamma)):
        f = kernels.factor(s, kind, np.float32(strength), ratio, np.float32(0.05))
        assert f >= 0
        assert kernels.factor(np.float32(1), kind, np.float32(strength), ratio, np.float32(0.05)) == 1
        if s < np.float32(0.05):
            assert f == 1


def test_refilled_noise_restores_the_variance():
    rng = np.random.default_rng(5)
    shape = (30, 30, 30)
    volume = rng.standard_normal(shape, dtype=np.float32)
    noise = rng.standard_normal(shape, dtype=np.float32)
    scale = np.full(shape, 0.5, np.float32)
    sure = np.ones(shape, np.float32)
    found = kernels.modify(volume, scale, sure, 0.0, kernels.ATTENUATE_GAMMA, 3.0, noise=noise)
    # of N normal numbers the standard deviation is known to 1 / sqrt(2 N)
    assert abs(found.std() - 1) < 5 / np.sqrt(2 * volume.size)
    assert found.std() > 3 * kernels.modify(volume, scale, sure, 0.0, kernels.ATTENUATE_GAMMA, 3.0).std()


def test_the_result_is_clipped_to_the_range():
    volume = np.array([[[-4.0, 1.0, 4.0]]], np.float32)
    sure, low = np.ones_like(volume), np.full_like(volume, 0.1)
    found = kernels.modify(volume, low, sure, 0.0, kernels.AMPLIFY_AMOUNT, 1.0, value_range=(-5.0, 6.0))
    assert np.array_equal(found, np.array([[[-5, 6, 6]]], np.float32))


def test_shapes_must_agree():
    with pytest.raises(ValueError, match="shapes differ"):
        kernels.modify(np.zeros((2, 2, 2), "f"), np.zeros((2, 2, 3), "f"), np.zeros((2, 2, 2), "f"), 0.0, 0, 1.0)


@pytest.mark.skipif(numba.config.DISABLE_JIT, reason="the JIT is off: there is no compiled code to call from")
def test_threads_and_callers_do_not_change_the_bits():
    from occupy_jit.kernels.jit.decorator import threads

    rng = np.random.default_rng(0)
    volume = rng.standard_normal((41, 37, 53), dtype=np.float32)
    scale = rng.random(volume.shape, dtype=np.float32)
    confidence = rng.random(volume.shape, dtype=np.float32)

    @numba.njit
    def caller(a, s, c):
        return kernels_modify(a, s, c, 0.1, 0, 1.0)

    kernels_modify = kernels.modify
    results = []
    for number in (1, 2):
        with threads(number):
            results.append(kernels.modify(volume, scale, confidence, 0.1, 0, 1.0))
    results.append(caller(volume, scale, confidence))
    assert np.array_equal(results[0], results[1])
    assert np.array_equal(results[0], results[2])
