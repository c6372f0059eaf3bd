"""Kernels of classes that share one density, against the formula."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from occupy_jit.kernels import shared_density as kernels
from tests import naive

pytestmark = pytest.mark.kernel

SHAPES = hnp.array_shapes(min_dims=3, max_dims=3, min_side=1, max_side=7)
EPS = np.finfo(np.float32).eps


def volumes(shape, low, high):
    return hnp.arrays(np.float32, shape, elements=st.floats(low, high, width=32))


def drawn(data):
    """Mean map, confidence, scales of some classes, and their mean."""
    shape = data.draw(SHAPES)
    mean, confidence = data.draw(volumes(shape, -5, 5)), data.draw(volumes(shape, 0, 1))
    scales = [data.draw(volumes(shape, 0, 1)) for _ in range(data.draw(st.integers(1, 3)))]
    return mean, confidence, scales, np.mean(scales, axis=0, dtype=np.float32)


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_the_formula(data):
    mean, confidence, scales, mean_scale = drawn(data)
    zero, amount = (np.float32(data.draw(st.floats(low, high, width=32))) for low, high in ((-1, 1), (-1, 0)))
    limit, exclude = 0.125, data.draw(st.booleans())
    for scale in scales:
        found = kernels.shared_density(mean, scale, mean_scale, confidence, zero, amount, limit, exclude)
        wanted = naive.shared_density(mean, scale, mean_scale, confidence, zero, amount, limit, exclude)
        # The lowered scale, a difference of numbers up to 1, carries an error of 2 eps; up to the bound of 8 the gain
        # magnifies that by 8^2 / ((1 - a) S0), and so the ratio by that times |S / S0 - 1|, at most 1 / limit, and
        # the height, at most 6.
        assert found.dtype == np.float32 and np.allclose(found, wanted, rtol=0, atol=2 * EPS * 64 / limit / limit * 6)


@settings(deadline=None, max_examples=30)
@given(st.data())
def test_it_is_the_ratio_of_lowered_scales(data):
    mean, confidence, scales, mean_scale = drawn(data)
    scales = [np.float32(0.6) + np.float32(0.4) * scale for scale in scales]  # never lowered to nothing
    mean_scale = np.mean(scales, axis=0, dtype=np.float32)
    amount = np.float32(data.draw(st.floats(-0.75, 0, width=32)))
    lowered = [scale + amount * (1 - scale) for scale in scales]
    for scale, part in zip(scales, lowered, strict=True):
        found = kernels.shared_density(mean, scale, mean_scale, np.ones_like(mean), 0.0, amount)
        assert np.allclose(found, mean * part / np.mean(lowered, axis=0), rtol=0, atol=64 * EPS * 5)


@settings(deadline=None, max_examples=30)
@given(st.data())
def test_the_mean_of_the_classes_stays(data):
    mean, confidence, scales, _ = drawn(data)
    scales = [np.float32(0.5) + np.float32(0.06) * scale for scale in scales]  # eight times the difference is below 1
    mean_scale = np.mean(scales, axis=0, dtype=np.float32)
    amount = np.float32(data.draw(st.floats(-1, 0, width=32)))
    found = np.mean([kernels.shared_density(mean, scale, mean_scale, confidence, 0.0, amount) for scale in scales],
                    axis=0, dtype=float)
    assert np.allclose(found, mean, rtol=0, atol=64 * EPS * 5)


def test_alike_classes_are_the_mean_bit_for_bit():
    mean, scale = np.random.default_rng(1).random((2, 5, 6, 7), dtype=np.float32)
    assert np.array_equal(kernels.shared_density(mean, scale, scale, np.ones_like(mean), 0.3, -0.5), mean)


def test_a_higher_scale_is_never_less_density():
    scale = np.linspace(0, 1, 1000, dtype=np.float32).reshape(10, 10, 10)
    one = np.ones_like(scale)
    for amount in (-1.0, -0.75, -0.1, 0.0):
        for mean_scale in (0.06, 0.3, 0.43, 0.9, 1.0):
            found = kernels.shared_density(one, scale, one * np.float32(mean_scale), one, 0.0, amount).reshape(-1)
            assert np.diff(found).min() >= 0 and found.min() >= 0


def test_what_cannot_be_used_is_refused():
    one, other = np.zeros((2, 3, 4), np.float32), np.zeros((2, 3, 5), np.float32)
    with pytest.raises(ValueError, match="shapes differ"):
        kernels.shared_density(one, one, other, one, 0.0, -0.5)
    with pytest.raises(ValueError, match="amount"):
        kernels.shared_density(one, one, one, one, 0.0, 0.5)
