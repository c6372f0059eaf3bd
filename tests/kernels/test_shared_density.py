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


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_the_formula(data):
    shape = data.draw(SHAPES)
    mean, confidence = data.draw(volumes(shape, -5, 5)), data.draw(volumes(shape, 0, 1))
    scales = [data.draw(volumes(shape, 0, 1)) for _ in range(data.draw(st.integers(1, 3)))]
    zero, amount = (np.float32(data.draw(st.floats(low, high, width=32))) for low, high in ((-1, 1), (-1, 0)))
    limit, exclude = 0.125, data.draw(st.booleans())
    lowered = np.zeros(shape, np.float32)
    for scale in scales:
        assert kernels.add_lowered(scale, amount, 1 / len(scales), lowered) is lowered
    expected = naive.lowered(scales, amount).mean(axis=0)
    assert np.allclose(lowered, expected, rtol=0, atol=8 * EPS)  # sums of at most three numbers up to 1
    for scale in scales:
        found = kernels.shared_density(mean, scale, lowered, confidence, zero, amount, limit, exclude)
        wanted = naive.shared_density(mean, scale, lowered, confidence, zero, amount, limit, exclude)
        # a ratio of at most 1 / limit, whose numerator is rounded in units of 1, times a height of at most 6
        assert found.dtype == np.float32 and np.allclose(found, wanted, rtol=0, atol=8 * EPS * 6 / limit)


@settings(deadline=None, max_examples=30)
@given(st.data())
def test_the_mean_of_the_classes_stays(data):
    shape = data.draw(SHAPES)
    mean, confidence = data.draw(volumes(shape, -5, 5)), data.draw(volumes(shape, 0, 1))
    scales = [data.draw(volumes(shape, 0, 1)) for _ in range(3)]
    amount = np.float32(data.draw(st.floats(-1, 0, width=32)))
    lowered = np.zeros(shape, np.float32)
    for scale in scales:
        kernels.add_lowered(scale, amount, 1 / 3, lowered)
    found = sum(kernels.shared_density(mean, scale, lowered, confidence, 0.0, amount).astype(float)
                for scale in scales) / 3
    assert np.allclose(found, mean, rtol=0, atol=16 * EPS * 5 / 0.05)


def test_alike_classes_are_the_mean_bit_for_bit():
    mean, scale = np.random.default_rng(1).random((2, 5, 6, 7), dtype=np.float32)
    lowered = kernels.add_lowered(scale, -0.5, 1.0, np.zeros_like(scale))
    assert np.array_equal(kernels.shared_density(mean, scale, lowered, np.ones_like(mean), 0.3, -0.5), mean)


def test_shapes_that_differ_are_refused():
    one, other = np.zeros((2, 3, 4), np.float32), np.zeros((2, 3, 5), np.float32)
    with pytest.raises(ValueError, match="shapes differ"):
        kernels.add_lowered(one, -0.5, 1.0, other)
    with pytest.raises(ValueError, match="shapes differ"):
        kernels.shared_density(one, one, other, one, 0.0, -0.5)
