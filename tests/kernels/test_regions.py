"""The scale on peaks and what a mask covers, against loops over the voxels."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from occupy_jit.kernels import regions
from occupy_jit.kernels.jit.decorator import threads
from tests import naive

SHAPES = st.tuples(*[st.integers(1, 9)] * 3)


@settings(deadline=None, max_examples=50)
@given(SHAPES, st.integers(0, 99), st.booleans(), st.floats(0, 1))
def test_scale_on_peaks_is_the_formula(shape, seed, everywhere, floor):
    rng = np.random.default_rng(seed)
    lowpass = rng.standard_normal(shape, dtype=np.float32)
    maximum = lowpass + rng.random(shape, dtype=np.float32)
    floors = np.full(shape, floor, np.float32) * rng.random(shape, dtype=np.float32) if everywhere else floor
    found = regions.scale_on_peaks(lowpass, maximum, 0.25, floors, 0.7)
    expected, sure = naive.scale_on_peaks(lowpass, maximum, 0.25, np.broadcast_to(np.float32(floors), shape), 0.7)
    # four roundings of numbers no larger than 6
    assert np.all((np.abs(found - expected) <= 8 * np.finfo(np.float32).eps * 6 / 0.7) | ~sure)
    assert np.array_equal(regions.scale_on_peaks(lowpass, maximum, 0.25, floors, 0.7, out=maximum), found)


@settings(deadline=None, max_examples=50)
@given(SHAPES, st.integers(0, 99), st.integers(1, 5))
def test_covered_samples_are_those_of_a_loop(shape, seed, edge):
    rng = np.random.default_rng(seed)
    mask = rng.uniform(-1, 1.5, shape)
    samples = rng.uniform(-1, 1, shape).astype(np.float32)
    with threads(2):
        found = regions.covered(mask, samples, edge)
    for one, other in zip(found, naive.covered(mask, samples, edge), strict=True):
        assert np.array_equal(one, other)


def test_what_does_not_fit_is_refused():
    volume, other = np.zeros((2, 3, 4), np.float32), np.zeros((2, 3, 5), np.float32)
    for call in (lambda: regions.covered(other, volume, 2), lambda: regions.scale_on_peaks(volume, other, 0, 0, 1),
                 lambda: regions.scale_on_peaks(volume, volume, 0, other, 1)):
        with pytest.raises(ValueError, match="shape"):
            call()
    with pytest.raises(ValueError, match="full scale"):
        regions.scale_on_peaks(volume, volume, 0, 0, 0.0)
