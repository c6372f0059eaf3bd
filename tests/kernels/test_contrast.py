"""The contrast without noise: its kernels are its formulas on arrays, and the formulas undo each other."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from occupy_jit.estimation.scale import contrast
from occupy_jit.kernels import contrast as kernels

pytestmark = pytest.mark.kernel
heights = st.floats(2 ** -10, 1024, width=32)


@settings(deadline=None)
@given(heights, st.floats(0, 1024, width=32))
def test_kernels_are_the_formulas(height, floor):
    height, floor = np.float32(height), np.float32(floor)
    share = kernels.noise_share(height, floor, np.float32(1))
    assert share == pytest.approx(float(contrast.noise_share(height, floor)), rel=1e-6, abs=1e-30)
    if height > floor:
        # rounding of three operations on numbers up to the height
        free = kernels.noise_free(height, floor)
        assert free == pytest.approx(float(contrast.noise_free_maximum(height, floor)), abs=4e-7 * float(height))


@settings(deadline=None)
@given(st.floats(0, 1e3), st.floats(0, 1e3))
def test_noise_that_is_added_is_taken_off(free, floor):
    found = contrast.noise_free_maximum(contrast.maximum_with_noise(free, floor), floor)
    assert found == pytest.approx(free, abs=1e-13 * (free + floor) * 10)


@settings(deadline=None)
@given(st.floats(0.01, 10), st.floats(0, 10))
def test_the_slope_is_that_of_the_formula(height, floor):
    step = 1e-6 * height
    if height - step > floor:
        rise = contrast.noise_free_maximum(height + step, floor) - contrast.noise_free_maximum(height - step, floor)
        assert rise / (2 * step) == pytest.approx(1 + contrast.noise_share(height, floor), rel=1e-4)
