"""Power in bands from one transform is that of bands filtered one by one, on the grid of cells and on all voxels."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from occupy_jit.estimation.fourier import band_power, filters
from occupy_jit.estimation.solvent.quiet_voxels import Quiet
from occupy_jit.kernels.grid import binned

SIGMA = 9.0


def noise(shape, seed=1):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def between(low, high):
    """A band with soft flanks from `low` to `high`, 1/Å."""
    width = (high - low) / 4
    return lambda s: np.clip((s - low) / width, 0, 1) * np.clip((high - s) / width, 0, 1)


def naive(volume, transfer, high, voxel_size):
    frequency = np.meshgrid(*[np.fft.fftfreq(n, voxel_size) for n in volume.shape], indexing="ij")
    s = np.sqrt(sum(f * f for f in frequency))
    return np.fft.ifftn(np.fft.fftn(volume.astype(float)) * np.where(s <= high, transfer(s), 0)).real


@settings(deadline=None)  # kernels compile in the first call
@given(st.tuples(*[st.integers(1, 23)] * 3), st.floats(0.05, 0.4), st.floats(0.3, 1.0), st.integers(1, 3))
def test_a_band_at_the_voxels_is_the_filtered_map(shape, of_nyquist, of_spectrum, threads):
    volume, high = noise(shape), of_nyquist / 1.5
    transfer = between(high / 3, high)
    spectrum = band_power.Spectrum(volume, 1.5, min(high / of_spectrum, 1.0), threads)
    found = spectrum.band(transfer, high).values()
    # float32 transforms of values near 1
    np.testing.assert_allclose(found, naive(volume, transfer, high, 1.5), atol=1e-5)


@settings(deadline=None)  # kernels compile in the first call
@given(st.tuples(*[st.integers(2, 11)] * 3), st.integers(1, 3))
def test_a_band_at_the_cells_is_the_filtered_map_half_a_voxel_on(half, threads):
    shape, high = tuple(2 * n for n in half), 0.24
    volume, transfer = noise(shape), between(0.05, high)
    found = band_power.Spectrum(volume, 1.0, 0.4, threads).band(transfer, high, on_cells=True).values()
    frequency = np.meshgrid(*[np.fft.fftfreq(n) for n in shape], indexing="ij")
    s = np.sqrt(sum(f * f for f in frequency))
    moved = np.fft.fftn(volume.astype(float)) * np.where(s <= high, transfer(s), 0)
    moved *= np.exp(np.pi * 1j * sum(frequency))
    np.testing.assert_allclose(found, np.fft.ifftn(moved).real[::2, ::2, ::2], atol=1e-5)


@pytest.mark.parametrize("shape", [(17, 12, 26), (16, 20, 24)])
def test_means_over_cells_of_a_band_come_by_sections_as_of_the_whole(shape):
    volume, transfer = noise(shape), between(0.1, 0.4)
    band = band_power.Spectrum(volume, 1.0, 0.4).band(transfer, 0.4)
    mean, square = band.on_cells()
    assert np.array_equal(mean, binned.cell_mean(band.values()))
    assert np.array_equal(square, binned.cell_power(band.values(), 0.0))


@pytest.mark.parametrize("shape", [(104, 112, 96), (105, 112, 95)])
@pytest.mark.parametrize(("low", "high"), [(0.05, 0.1), (0.12, 0.2), (0.25, 0.33)])
def test_smoothed_power_is_that_of_the_band_alone(shape, low, high):
    """Real content varies in power: a ball of noise in weaker noise."""
    volume, transfer = noise(shape), between(low, high)
    distance = np.sqrt(sum(x * x for x in np.ogrid[tuple(slice(-(n // 2), n - n // 2) for n in shape)]))
    volume[distance < 30] *= 3
    quiet = Quiet(binned.cell_mean((distance < 35).astype(np.float32)), 0.5, shape)
    spectrum = band_power.Spectrum(volume, 1.0, 0.33)
    assert spectrum.held_by_cells(high, SIGMA) == (shape[0] % 2 == 0 and high <= 0.2)
    power, variance = band_power.smoothed_power(spectrum, transfer, high, SIGMA, quiet)
    filtered = filters.filter_radially(volume, transfer, 1.0, high)
    expected = binned.smoothed_cells(binned.cell_power(filtered, 0.0), SIGMA)
    # three sigma off the faces: a Gaussian that is cut off there lets aliases through; a kernel for 9 voxels and one
    # for 4.5 cells are cut at other distances
    middle = (slice(14, -14),) * 3
    np.testing.assert_allclose(power[middle], expected[middle], rtol=3e-3)
    # cells and voxels differ at the rim of what is quiet: within the spread of a variance of independent samples
    samples = 4 * np.pi / 3 * (high**3 - low**3) * 4 * np.pi / 3 * (min(shape) ** 3 / 8 - 35**3)
    assert variance == pytest.approx(quiet.mean_and_deviation(filtered)[1] ** 2, rel=(2 / samples) ** 0.5)
    alone = band_power.smoothed_power(band_power.Spectrum(volume, 1.0, 0.33, 1), transfer, high, SIGMA, quiet)
    assert np.array_equal(alone[0], power) and alone[1] == variance


def test_the_grid_of_cells_is_taken_where_it_holds_the_square():
    spectrum = band_power.Spectrum(noise((16, 16, 16)), 1.0, 0.5)
    assert spectrum.held_by_cells(0.22, SIGMA) and not spectrum.held_by_cells(0.23, SIGMA)
    assert not band_power.Spectrum(noise((16, 16, 15)), 1.0, 0.5).held_by_cells(0.1, SIGMA)
