"""Gaussian smoothing: the sum it stands for, its symmetries, its edges."""

import itertools

import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from occupy_jit.kernels.grid.smoothing import smooth, smoothed_power
from occupy_jit.kernels.jit.decorator import threads
from tests import naive

pytestmark = pytest.mark.kernel

EPSILON = float(np.finfo(np.float32).eps)
shapes = st.tuples(*[st.integers(1, 14)] * 3)
sigmas = st.floats(0.3, 5)
compiled_only = pytest.mark.skipif(bool(numba.config.DISABLE_JIT), reason="numba is switched off")


def noise(shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape, dtype=np.float32)


def tolerance(sigma, largest):
    """Three passes of weights that sum to 1: each rounds once per term and once in the weight and the product."""
    return 3 * (int(3 * sigma + 0.5) + 5) * EPSILON * largest


@settings(deadline=None, max_examples=25)
@given(shapes, sigmas, st.integers(0, 99))
def test_agrees_with_the_sums_written_out(shape, sigma, seed):
    volume = noise(shape, seed)
    assert np.abs(smooth(volume, sigma) - naive.smooth(volume, sigma)).max() <= tolerance(sigma, np.abs(volume).max())


@settings(deadline=None, max_examples=25)
@given(shapes, sigmas, st.floats(-2, 2, width=32))
def test_power_agrees_with_the_sums_written_out(shape, sigma, centre):
    volume = noise(shape)
    squares = np.square(volume - np.float32(centre))
    result = smoothed_power(volume, centre, sigma)
    assert result.dtype == np.float32
    assert np.abs(result - naive.smooth(squares, sigma)).max() <= tolerance(sigma, squares.max())


@pytest.mark.parametrize("shape", [(9, 10, 11), (3, 40, 5), (2, 2, 700)])
@pytest.mark.parametrize("sigma", [0.4, 1.0, 1.3, 4.0])
def test_a_flipped_volume_gives_exactly_the_flipped_result(shape, sigma):
    volume = noise(shape)
    result = smoothed_power(volume, 0.1, sigma)
    for axes in itertools.chain.from_iterable(itertools.combinations(range(3), k) for k in (1, 2, 3)):
        assert np.array_equal(smoothed_power(np.flip(volume, axes), 0.1, sigma), np.flip(result, axes))


def test_permuted_axes_permute_the_result():
    volume = noise((9, 10, 11))
    result = smooth(volume, 1.4)
    for axes in itertools.permutations(range(3)):
        permuted = smooth(volume.transpose(axes), 1.4)
        assert np.abs(permuted - result.transpose(axes)).max() <= 2 * tolerance(1.4, np.abs(volume).max())


def test_follows_a_translation_exactly():
    volume = np.zeros((30, 31, 32), np.float32)
    volume[8:12, 9:13, 9:14] = noise((4, 4, 5))
    # far from the edges the same terms are added in the same order
    moved = np.roll(volume, (5, 6, 7), (0, 1, 2))
    assert np.array_equal(smooth(moved, 2.0), np.roll(smooth(volume, 2.0), (5, 6, 7), (0, 1, 2)))


@settings(deadline=None, max_examples=20)
@given(shapes, sigmas)
def test_power_is_never_negative_and_0_only_where_nothing_deviates(shape, sigma):
    volume = noise(shape)
    volume[0, 0, 0] = 5
    power = smoothed_power(volume, 0, sigma)
    assert power.min() > 0
    assert not smoothed_power(np.full(shape, 3.25, np.float32), 3.25, sigma).any()


@settings(deadline=None, max_examples=20)
@given(shapes, sigmas, st.integers(-20, 20))
def test_follows_scaling_by_powers_of_two_exactly(shape, sigma, exponent):
    volume = noise(shape)
    factor = np.float32(2.0**exponent)
    assert np.array_equal(smooth(volume * factor, sigma), smooth(volume, sigma) * factor)


@compiled_only
@pytest.mark.parametrize("shape", [(33, 35, 37), (1, 70, 70), (70, 1, 3)])
def test_bits_do_not_depend_on_the_number_of_threads(shape):
    volume = noise(shape)
    with threads(1):
        one = smoothed_power(volume, 0.2, 2.3)
    for number in (2, 3, 4):
        with threads(number):
            assert np.array_equal(smoothed_power(volume, 0.2, 2.3), one)


def test_output_may_be_the_input():
    volume = noise((9, 20, 11))
    expected = smoothed_power(volume, 0.5, 1.7)
    assert smoothed_power(volume, 0.5, 1.7, out=volume) is volume
    assert np.array_equal(volume, expected)


@pytest.mark.parametrize("dtype", [np.int8, np.uint16, np.float16, np.float64, ">f4"])
def test_any_real_type_and_layout(dtype):
    volume = np.rint(10 * noise((6, 7, 8))).clip(0)
    expected = smooth(volume, 1.0)
    assert np.array_equal(smooth(np.asfortranarray(volume.astype(dtype)), 1.0), expected)


def test_what_cannot_be_used_is_refused():
    volume = noise((4, 5, 6))
    for sigma in (0, -1, np.nan, np.inf):
        with pytest.raises(ValueError, match="sigma"):
            smooth(volume, sigma)
    with pytest.raises(TypeError):
        smooth(volume[0], 1.0)
    with pytest.raises(TypeError):
        smooth(volume + 1j, 1.0)
    with pytest.raises(ValueError, match="out"):
        smooth(volume, 1.0, out=np.empty((4, 5, 7), np.float32))


@pytest.mark.slow
@compiled_only
def test_inside_compiled_code():
    @numba.njit
    def caller(volume):
        return smooth(volume, 1.5)

    volume = noise((8, 9, 10))
    assert np.array_equal(caller(volume), smooth(volume, 1.5))
    with pytest.raises(numba.TypingError, match="C-contiguous float32"):
        caller(volume.astype(np.float64))


@compiled_only
def test_no_multiplication_is_fused_and_arithmetic_is_packed():
    from occupy_jit.kernels.grid import smoothing

    smooth(noise((4, 5, 6)), 1.0)
    flat = np.zeros(100, np.float32)
    compiled = numba.njit(smoothing._convolve.py_func, nogil=True, error_model="numpy")
    compiled(flat, 10, 1, flat[:3], flat[:50].copy())
    (assembly,) = compiled.inspect_asm().values()
    assert "fmadd" not in assembly and "fmla" not in assembly
    if "xmm" in assembly:
        assert "mulps" in assembly
