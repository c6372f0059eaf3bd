"""Radial filters: what is kept, what is lost, and the symmetries of both."""

import itertools

import numpy as np
import pytest
import scipy.fft
from hypothesis import given, settings
from hypothesis import strategies as st

from occupy_jit.errors import UsageError
from occupy_jit.estimation.fourier.filters import filter_radially, lowpass, radial_spectrum
from occupy_jit.estimation.fourier.pruned_transform import BLOCK_VOXELS
from occupy_jit.estimation.sections import Sections

SHAPES = [(32, 32, 32), (31, 31, 31), (24, 31, 40), (30, 27, 25), (17, 64, 20)]
EPSILON = float(np.finfo(np.float32).eps)

shapes = st.tuples(*[st.integers(1, 21)] * 3)


def noise(shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape, dtype=np.float32)


def tolerance(volume):
    """Rounding of one float32 transform and its inverse.

    The error of a fast transform is, relative to the root mean square and in the root mean square, a small multiple of
    epsilon log2(N); a single voxel of these small boxes stays within ten times that.
    """
    return 10 * EPSILON * (1 + np.log2(volume.size)) * max(np.sqrt(np.mean(np.square(volume, dtype=np.float64))), 1e-30)


def frequencies(shape, voxel_size):
    axes = [scipy.fft.fftfreq(n, voxel_size) for n in shape[:2]] + [scipy.fft.rfftfreq(shape[2], voxel_size)]
    return np.sqrt(sum(f**2 for f in np.ix_(*axes)))


def full_lowpass(volume, resolution, voxel_size):
    """The definition: the whole transform in float64, times a raised cosine around 1 / resolution."""
    s = frequencies(volume.shape, voxel_size)
    width = 2 / (min(volume.shape) * voxel_size)
    edge = 0.5 + 0.5 * np.cos(np.pi * np.clip((s - 1 / resolution) / width + 0.5, 0, 1))
    edge[0, 0, 0] = 1
    return scipy.fft.irfftn(scipy.fft.rfftn(volume.astype(np.float64)) * edge, volume.shape)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("resolution", [2.05, 2.5, 3.0, 6.0, 9.0, 30.0, 500.0])
def test_agrees_with_the_whole_transform(shape, resolution):
    volume = noise(shape)
    expected = full_lowpass(volume, resolution * 1.3, 1.3)
    result = lowpass(volume, resolution * 1.3, 1.3)
    assert result.dtype == np.float32
    assert np.abs(result - expected).max() <= tolerance(volume)


@settings(deadline=None, max_examples=40)
@given(shapes, st.floats(2.01, 20), st.integers(0, 99))
def test_agrees_with_the_whole_transform_on_any_shape(shape, resolution, seed):
    volume = noise(shape, seed)
    assert np.abs(lowpass(volume, resolution, 1.0) - full_lowpass(volume, resolution, 1.0)).max() <= tolerance(volume)


def wave(shape, cycles):
    """A cosine with that many cycles over the box on each axis."""
    return np.cos(2 * np.pi * sum(c * i / n for c, i, n in zip(cycles, np.indices(shape), shape, strict=True)))


@pytest.mark.parametrize("shape", [(60, 60, 60), (61, 61, 61), (48, 61, 72), (45, 75, 60)])
@pytest.mark.parametrize("direction", [(0, 0, 1), (0, 1, 0), (1, 0, 0), (1, 1, 0), (0, 1, -1), (1, 1, 1)])
def test_what_is_coarser_than_the_resolution_survives_and_finer_does_not(shape, direction):
    # A wave of whole cycles along the direction, with a wavelength as near as can be to 6 voxels of 1.5 Å; a cut at
    # half the resolution, or at different ones along axes of different length, would fail this.
    voxel_size = 1.5
    per_voxel = 1 / 6 / np.linalg.norm(direction)
    cycles = [round(per_voxel * d * n) for d, n in zip(direction, shape, strict=True)]
    volume = wave(shape, cycles).astype(np.float32)
    wavelength = voxel_size / np.linalg.norm([c / n for c, n in zip(cycles, shape, strict=True)])
    # ratio 1.2 is 2 shells and more away from an edge that reaches one shell to each side in these boxes
    kept = lowpass(volume, wavelength / 1.2, voxel_size)
    lost = lowpass(volume, wavelength * 1.2, voxel_size)
    assert np.abs(kept - volume).max() <= tolerance(volume)
    assert np.abs(lost).max() <= tolerance(volume)
    # and exactly on the resolution half of it is left: the edge is centred there
    half = lowpass(volume, wavelength, voxel_size)
    assert np.abs(half - volume / 2).max() <= tolerance(volume)


@settings(deadline=None, max_examples=30)
@given(shapes, st.floats(2.1, 60), st.floats(-100, 100))
def test_keeps_the_mean(shape, resolution, offset):
    volume = noise(shape) + np.float32(offset)
    means = [v.mean(dtype=np.float64) for v in (volume, lowpass(volume, resolution, 1.0))]
    assert abs(means[0] - means[1]) <= tolerance(volume)


def test_is_linear():
    a, b = noise((20, 25, 30), 1), noise((20, 25, 30), 2)
    together = lowpass(3 * a - 2 * b, 5, 1)
    apart = 3 * lowpass(a, 5, 1) - 2 * lowpass(b, 5, 1)
    assert np.abs(together - apart).max() <= 5 * tolerance(a)


@pytest.mark.parametrize("shape", [(18, 18, 18), (15, 20, 25)])
def test_follows_flips_permutations_and_periodic_translations(shape):
    volume = noise(shape)
    result = lowpass(volume, 4.4, 1.1)
    for axes in itertools.permutations(range(3)):
        assert np.abs(lowpass(volume.transpose(axes), 4.4, 1.1) - result.transpose(axes)).max() <= 2 * tolerance(volume)
    for axis in range(3):
        assert np.abs(lowpass(np.flip(volume, axis), 4.4, 1.1) - np.flip(result, axis)).max() <= 2 * tolerance(volume)
    moved = lowpass(np.roll(volume, (3, -5, 7), (0, 1, 2)), 4.4, 1.1)
    assert np.abs(moved - np.roll(result, (3, -5, 7), (0, 1, 2))).max() <= 2 * tolerance(volume)


def test_filtering_twice_with_a_wider_filter_first_changes_nothing():
    volume = noise((32, 32, 32))
    assert np.abs(lowpass(lowpass(volume, 4, 1), 8, 1) - lowpass(volume, 8, 1)).max() <= 2 * tolerance(volume)


@pytest.mark.parametrize("shape", [(40, 40, 40), (31, 50, 27), (3, 300, 300)])
def test_bits_do_not_depend_on_the_number_of_threads(shape):
    volume = noise(shape)
    one = lowpass(volume, 5, 1, threads=1)
    for threads in (2, 3, 7):
        assert np.array_equal(one, lowpass(volume, 5, 1, threads=threads))
    spectra = [radial_spectrum(volume, 1, threads=t)[1] for t in (1, 3)]
    assert np.array_equal(*spectra)


@pytest.mark.parametrize("shape", [(40, 40, 40), (31, 50, 27), (3, 300, 300)])
def test_the_spectrum_of_a_volume_made_by_sections_is_that_of_the_volume(shape):
    volume = noise(shape)
    asked = []

    def make(first, last):
        asked.append(last - first)
        return volume[first:last].copy()

    found = radial_spectrum(Sections(shape, make), 1.3, threads=2)
    assert all(map(np.array_equal, found, radial_spectrum(volume, 1.3)))
    assert max(asked) * shape[1] * shape[2] <= max(BLOCK_VOXELS, shape[1] * shape[2])


@pytest.mark.parametrize("resolution", [0.5, 2.0])
def test_no_filter_at_or_beyond_the_nyquist_limit(resolution):
    volume = noise((10, 11, 12))
    result = lowpass(volume, resolution, 1.0)
    assert np.array_equal(result, volume)
    assert not np.shares_memory(result, volume)


def test_output_may_be_the_input():
    volume = noise((20, 21, 22))
    expected = lowpass(volume, 5, 1)
    assert lowpass(volume, 5, 1, out=volume) is volume
    assert np.array_equal(volume, expected)


@pytest.mark.parametrize("dtype", [np.int8, np.int16, np.uint16, np.float16, np.float64, ">f4"])
def test_any_real_type_and_layout(dtype):
    volume = np.rint(10 * noise((12, 14, 16))).astype(np.int8).clip(0)
    expected = lowpass(volume.astype(np.float32), 5, 1)
    assert np.array_equal(lowpass(np.asfortranarray(volume.astype(dtype)), 5, 1), expected)


@pytest.mark.parametrize("resolution", [0, -3, np.nan, np.inf])
def test_a_resolution_that_is_none_is_refused(resolution):
    with pytest.raises(UsageError, match="resolution"):
        lowpass(noise((4, 4, 4)), resolution, 1)
    with pytest.raises(UsageError, match="voxel size"):
        lowpass(noise((4, 4, 4)), 5, resolution)


def test_arrays_that_cannot_be_used_are_refused():
    with pytest.raises(TypeError):
        lowpass(noise((4, 4)), 5, 1)
    with pytest.raises(TypeError):
        lowpass(noise((4, 4, 4)) * 1j, 5, 1)
    with pytest.raises(ValueError, match="out"):
        lowpass(noise((4, 4, 4)), 5, 1, out=np.empty((4, 4, 4)))


def test_any_radial_function():
    # A Gaussian filter known in real space, too: a single voxel becomes a Gaussian of that width.
    volume = np.zeros((40, 40, 40), np.float32)
    volume[20, 20, 20] = 1
    sigma = 2.0
    result = filter_radially(volume, lambda s: np.exp(-2 * (np.pi * sigma * s) ** 2), 1.0)
    squared = sum((i - 20) ** 2 for i in np.indices(volume.shape))
    expected = np.exp(-squared / (2 * sigma**2)) / (2 * np.pi * sigma**2) ** 1.5
    # beyond Nyquist the transfer is exp(-20), and what wraps around is below that
    assert np.abs(result - expected).max() <= 1e-8


@pytest.mark.parametrize("shape", [(32, 32, 32), (31, 31, 31), (24, 31, 40)])
def test_spectrum_agrees_with_averages_over_shells(shape):
    volume = noise(shape)
    frequency, power = radial_spectrum(volume, 1.7)
    step = 1 / (min(shape) * 1.7)
    axes = [scipy.fft.fftfreq(n, 1.7) for n in shape]
    shell = np.rint(np.sqrt(sum(f**2 for f in np.ix_(*axes))) / step).astype(int).ravel()
    whole = (np.abs(scipy.fft.fftn(volume.astype(np.float64))) ** 2).ravel() / volume.size
    expected = (np.bincount(shell, whole) / np.bincount(shell))[: len(power)]
    assert np.allclose(frequency, np.arange(min(shape) // 2 + 1) * step)
    # each coefficient is right to float32 rounding of the transform
    assert np.allclose(power, expected, rtol=1e-4, atol=tolerance(volume))


def test_noise_filtered_with_the_root_of_a_spectrum_has_that_spectrum():
    shape = (48, 48, 48)
    target = lowpass(noise(shape, 1), 5, 1)
    frequency, power = radial_spectrum(target, 1)
    amplitude = np.sqrt(power)
    made = filter_radially(noise(shape, 2), lambda s: np.interp(s, frequency, amplitude), 1.0)
    _, again = radial_spectrum(made, 1)
    # the relative error of a mean of |F|^2 over n independent coefficients is n^-1/2; half of them are independent
    for shell in range(4, 9):
        coefficients = 4 * np.pi * shell**2 / 2
        assert abs(again[shell] / power[shell] - 1) <= 5 * np.sqrt(2 / coefficients)
