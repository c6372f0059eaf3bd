"""The sliding maximum by sections is that of the whole volume."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from occupy_jit.kernels.jit.decorator import threads
from occupy_jit.kernels.sliding_ball_maximum import sliding_maximum
from occupy_jit.kernels.sliding_sections import maxima_of_sections, overwrite_with_maximum

pytestmark = pytest.mark.kernel

shapes = st.tuples(*[st.integers(1, 12)] * 3)
balls = st.sampled_from([(0.5, 1), (1.0, 3), (1.5, None), (2.4, 5), (3.0, 7), (3.0, 3), (4.5, 9), (6.0, None)])


@settings(deadline=None, max_examples=40)
@given(shapes, balls, st.integers(1, 14), st.integers(0, 99))
def test_sections_together_are_the_whole(shape, ball, sections, seed):
    volume = np.random.default_rng(seed).standard_normal(shape, dtype=np.float32)
    wanted = sliding_maximum(volume, *ball)
    pieces = [slice(start, min(start + sections, len(volume))) for start in range(0, len(volume), sections)]
    found = [piece.copy() for piece in maxima_of_sections(volume, *ball, pieces)]
    assert np.array_equal(np.concatenate(found), wanted)
    minima = [piece.copy() for piece in maxima_of_sections(volume, *ball, pieces, np.negative)]
    assert np.array_equal(np.concatenate(minima), sliding_maximum(-volume, *ball))
    assert overwrite_with_maximum(volume, *ball, sections) is volume
    assert np.array_equal(volume, wanted)


@pytest.mark.parametrize("number", [1, 2])
def test_large_sections_are_put_in_place_by_two_threads(monkeypatch, number):
    monkeypatch.setattr("occupy_jit.kernels.sliding_sections._WORTH_A_THREAD", 0)
    volume = np.random.default_rng(1).standard_normal((31, 9, 10), dtype=np.float32)
    wanted = sliding_maximum(volume, 2.4, 5)
    with threads(number):
        overwrite_with_maximum(volume, 2.4, 5, 7)
    assert np.array_equal(volume, wanted)
