"""Transforms by sums are those of numpy, of any length, and undo each other."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from occupy_jit.estimation.fourier.filters import filter_radially, lowpass
from occupy_jit.kernels import direct_transform as direct

pytestmark = pytest.mark.kernel

EPSILON = float(np.finfo(np.float32).eps)
lengths = st.integers(1, 40) | st.sampled_from([97, 101, 122])


def kept(n, share):
    """How many frequencies are kept on either side: 0 to the highest, and negative ones."""
    low = min(int(share * (n // 2)), n // 2) + 1
    return low, min(low - 1, n - low)


def rounding(n):
    """Of a sum of n values around 1, four added at a time: n / 4 roundings of what has grown to at most sqrt(n)."""
    return EPSILON * (4 + n / 4) * np.sqrt(n)


@settings(deadline=None, max_examples=80)
@given(lengths, st.integers(1, 5), st.floats(0, 1), st.integers(0, 99))
def test_rows_are_transformed_as_by_numpy(n, count, share, seed):
    rows = np.random.default_rng(seed).standard_normal((count, n), dtype=np.float32)
    low, high = kept(n, share)
    axis = direct.tables(n, low, high)
    found = direct.forward_rows(rows, axis)
    wanted = np.fft.rfft(rows.astype(np.float64), axis=1)[:, :low]
    assert np.abs(found - wanted).max() <= 4 * rounding(n)
    back = np.empty_like(rows)
    direct.backward_rows(found, axis, back)
    filtered = np.fft.irfft(wanted, n, axis=1)
    assert np.abs(back - filtered).max() <= 8 * rounding(n)


@settings(deadline=None, max_examples=80)
@given(lengths, st.integers(1, 5), st.floats(0, 1), st.integers(0, 99))
def test_columns_are_transformed_as_by_numpy(n, width, share, seed):
    rng = np.random.default_rng(seed)
    slab = (rng.standard_normal((n, width)) + 1j * rng.standard_normal((n, width))).astype(np.complex64)
    low, high = kept(n, share)
    axis = direct.tables(n, low, high)
    found = direct.forward_columns(slab, axis)
    whole = np.fft.fft(slab.astype(np.complex128), axis=0)
    whole[low:n - high] = 0
    wanted = np.concatenate([whole[:low], whole[n - high:]])
    assert np.abs(found - wanted).max() <= 8 * rounding(n)
    back = np.empty_like(slab)
    direct.backward_columns(found, axis, back)
    assert np.abs(back - np.fft.ifft(whole, axis=0)).max() <= 16 * rounding(n)


def test_only_lengths_with_large_prime_factors_are_summed():
    assert [n for n in range(2, 60) if direct.is_faster(n, n // 6 + 1)] == [
        17, 19, 23, 29, 31, 34, 37, 38, 41, 43, 46, 47, 51, 53, 57, 58, 59]
    assert direct.is_faster(97, 17) and not direct.is_faster(9973, 1663)
    assert not any(direct.is_faster(n, n // 2 + 1) for n in (2 ** 9, 3 * 2 ** 7, 5 ** 4, 7 * 11 * 13))


@pytest.mark.parametrize("shape", [(17, 24, 19), (24, 17, 20), (34, 31, 16), (37, 17, 53)])
def test_sums_and_fast_transforms_may_meet_in_one_map(shape, monkeypatch):
    volume = np.random.default_rng(0).standard_normal(shape, dtype=np.float32)
    for cut in (4.0, 2.5, 1.0):
        by_sums = lowpass(volume, cut, 1.0) if cut > 2 else filter_radially(volume, lambda s: np.exp(-s), 1.0)
        with monkeypatch.context() as patch:
            patch.setattr(direct, "is_faster", lambda *_: False)
            fast = lowpass(volume, cut, 1.0) if cut > 2 else filter_radially(volume, lambda s: np.exp(-s), 1.0)
        assert not np.array_equal(by_sums, fast)
        # each axis there and back
        assert np.abs(by_sums - fast).max() <= 6 * EPSILON * (4 + max(shape) / 4)
