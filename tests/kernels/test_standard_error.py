"""Standard error of the scale against the formula, and local noise floors in the scale."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from occupy_jit.kernels.jit.decorator import threads
from occupy_jit.kernels.standard_error import scale_error
from occupy_jit.kernels.voxelwise import scale_and_depth
from tests import naive

SHAPES = st.tuples(*[st.integers(1, 8)] * 3)


@settings(deadline=None, max_examples=50)
@given(SHAPES, st.integers(0, 99), st.booleans(), st.booleans(), st.floats(0, 0.1))
def test_error_is_the_formula(shape, seed, everywhere, of_map, structure):
    rng = np.random.default_rng(seed)
    maximum = rng.uniform(-1, 3, shape).astype(np.float32)
    floor, variance = (rng.random(shape, dtype=np.float32) if everywhere else 0.4 for _ in range(2))
    with threads(2):
        found = scale_error(maximum, 0.25, floor, variance, 1.3, structure, of_map)
    full = [np.broadcast_to(np.float32(a), shape) for a in (floor, variance)]
    expected = naive.scale_error(maximum, 0.25, *full, 1.3, structure, of_map)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
    if of_map is False and structure == 0:
        assert found.max() <= 2 * np.sqrt(full[1].max()) / 1.3 * (1 + 1e-5)  # the slope is at most 2


@settings(deadline=None, max_examples=30)
@given(SHAPES, st.integers(0, 99))
def test_a_local_floor_is_that_of_each_voxel(shape, seed):
    rng = np.random.default_rng(seed)
    maximum, floor = rng.uniform(-1, 3, shape).astype(np.float32), rng.random(shape, dtype=np.float32)
    found = scale_and_depth(maximum, 0.1, floor, 1.3)
    for at in np.ndindex(shape):
        one = scale_and_depth(maximum[at].reshape(1, 1, 1), 0.1, float(floor[at]), 1.3)
        assert found[at] == one.item()
    assert np.array_equal(scale_and_depth(maximum, 0.1, np.full(shape, 0.3, np.float32), 1.3),
                          scale_and_depth(maximum, 0.1, 0.3, 1.3))


def test_what_does_not_fit_is_refused():
    volume = np.zeros((2, 3, 4), np.float32)
    with pytest.raises(ValueError, match="floor: shape"):
        scale_error(volume, 0, volume[:1], 1, 1, 0)
    with pytest.raises(ValueError, match="floor"):
        scale_and_depth(volume, 0, volume - 1, 1)
