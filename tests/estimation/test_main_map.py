"""A map beside its half maps: sharpened, on another grey scale, flattened, or not theirs at all."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from occupy_jit.errors import InputError
from occupy_jit.estimation.fourier import filters
from occupy_jit.estimation.noise import halves_of_other_map
from occupy_jit.settings import Settings
from tests import simulated
from tests.estimates import estimate

B_FACTOR, GREY, OFFSET = 60.0, 3.7, 11.0


@pytest.fixture(scope="module")
def made():
    return simulated.complex_with_occupancies(3.0, seed=1)


@pytest.fixture(scope="module")
def halves(made):
    return simulated.half_maps(made)


def sharpened(volume, made):
    """As a program that makes maps of half maps might do it."""
    return filters.filter_radially(volume, lambda s: GREY * np.exp(B_FACTOR * s * s / 4), made.voxel_size)


def run(volume, halves, made, **options):
    one, two = halves
    return estimate(volume, voxel_size=made.voxel_size, half_mean=(one + two) / 2, half_difference=(one - two) / 2,
                    with_error=True, **options)


@settings(deadline=None, max_examples=15)
@given(st.tuples(*[st.integers(4, 13)] * 3), st.integers(0, 99))
def test_cross_spectrum_is_that_of_whole_transforms(shape, seed):
    rng = np.random.default_rng(seed)
    first, second = (rng.standard_normal(shape, dtype=np.float32) for _ in range(2))
    frequency, cross, power = filters.radial_cross_spectrum(first, second, 1.3)
    along = np.meshgrid(*[np.fft.fftfreq(n, 1.3) for n in shape], indexing="ij")
    place = np.sqrt(sum(f**2 for f in along)) * min(shape) * 1.3
    shell = np.rint(place).astype(int)
    tied = place[np.abs(place % 1 - 0.5) < 1e-6]  # between two shells, either may have it
    sure = ~np.isin(np.arange(frequency.size), [np.floor(tied), np.ceil(tied)])
    one, two = np.fft.fftn(first), np.fft.fftn(second)
    for found, product in ((cross, one * two.conj()), (power, two * two.conj())):
        expected = [product.real[shell == k].mean() / first.size for k in range(frequency.size)]
        np.testing.assert_allclose(found[sure], np.array(expected)[sure], rtol=1e-4, atol=1e-4)
    low = filters.radial_cross_spectrum(first, second, 1.3, 0.15)
    for part, whole in zip(low, (frequency, cross, power), strict=True):
        np.testing.assert_allclose(part, whole[:part.size], rtol=1e-4, atol=1e-5)


def test_the_gain_is_the_filter(made, halves):
    mean = (halves[0] + halves[1]) / 2
    gain = halves_of_other_map.gain(sharpened(mean, made) + OFFSET, mean, made.voxel_size, 1 / 7.2)
    shells = gain.frequency[1:-1]
    # within a shell the filter itself changes
    change = np.exp(B_FACTOR / 4 * 2 * shells * (shells[1] - shells[0]))
    assert np.all(np.abs(np.log(gain(shells) / (GREY * np.exp(B_FACTOR * shells**2 / 4)))) <= np.log(change) / 2 + 1e-3)


def test_a_sharpened_map_has_the_scale_of_sharpened_halves(made, halves):
    sharp = [sharpened(half, made) for half in halves]
    expected = estimate((sharp[0] + sharp[1]) / 2, voxel_size=made.voxel_size, with_error=True,
                        half_difference=(sharp[0] - sharp[1]) / 2)
    found = run((sharp[0] + sharp[1]) / 2 + np.float32(OFFSET), halves, made)
    assert found.verdicts == expected.verdicts == ()
    assert found.half_maps.map_correlation > 0.999 and found.half_maps.map_flattened < 0.01
    # gains of shells are straight lines between shells, not the filter
    assert np.abs(found.scale - expected.scale).max() < 0.02
    assert found.zero == pytest.approx(expected.zero + OFFSET, abs=0.02 * expected.full_scale)
    assert found.full_scale == pytest.approx(expected.full_scale, rel=0.01)
    assert found.range == (float((sharp[0] / 2 + sharp[1] / 2 + np.float32(OFFSET)).min()),) + found.range[1:]
    np.testing.assert_allclose(np.median(found.error), np.median(expected.error), rtol=0.03)


@pytest.mark.parametrize("mode", ["occupancy", "resolution"])
def test_working_space_changes_nothing(made, halves, mode):
    mean, difference = (halves[0] + halves[1]) / 2, (halves[0] - halves[1]) / 2
    volume = sharpened(mean, made) + np.float32(OFFSET)
    kept = [a.copy() for a in (volume, mean, difference)]
    options = {"voxel_size": made.voxel_size, "with_error": True, "with_confidence": False,
               "settings": Settings(scale_mode=mode)}
    first = estimate(volume, half_mean=mean, half_difference=difference, **options)
    for now, before in zip((volume, mean, difference), kept, strict=True):
        assert np.array_equal(now, before)
    second = estimate(volume, half_mean=mean, half_difference=difference, overwrite=True, overwrite_halves=True,
                      keep_lowpass=False, **options)
    assert np.array_equal(first.scale, second.scale) and np.array_equal(first.error, second.error)


def test_a_flattened_map_takes_its_noise_from_the_halves(made, halves):
    mean = (halves[0] + halves[1]) / 2
    sharp = sharpened(mean, made) + np.float32(OFFSET)
    whole = run(sharp, halves, made)
    flattened = run(np.where(made.distance < 6, sharp, np.float32(OFFSET)), halves, made)
    assert [code for code, _ in flattened.verdicts] == ["map-flattened"]
    assert flattened.half_maps.map_flattened > 0.5
    assert flattened.noise > 0 and flattened.floor > 0
    assert np.abs(made.medians(flattened.scale) - made.medians(whole.scale)).max() < 0.05
    alone = estimate(np.where(made.distance < 6, sharp, np.float32(OFFSET)), voxel_size=made.voxel_size)
    assert "solvent-flattened" in {code for code, _ in alone.verdicts}  # what halves mend


def test_what_was_changed_by_more_than_a_filter_is_told(made, halves):
    mean = (halves[0] + halves[1]) / 2
    changed = mean + 2.2 * filters.lowpass(simulated.noise_like(made, 5).astype(np.float32), 7.2, made.voxel_size)
    found = run(changed.astype(np.float32), halves, made)
    assert "half-maps-of-another" in {code for code, _ in found.verdicts}
    correlation = found.half_maps.map_correlation
    assert halves_of_other_map.LEAST_CORRELATION < correlation < halves_of_other_map.GOOD_CORRELATION


@pytest.mark.slow
@pytest.mark.parametrize("wrong", ["other hand", "another molecule", "shifted far"])
def test_half_maps_of_another_map_are_refused(made, halves, wrong):
    mean = (halves[0] + halves[1]) / 2
    volume = {"other hand": mean[::-1], "shifted far": np.roll(mean, 12, 1),
              "another molecule": simulated.complex_with_occupancies(3.0, seed=8).map[:, ::-1, ::-1]}[wrong]
    with pytest.raises(InputError, match="these are the half maps of another map"):
        run(np.ascontiguousarray(volume, np.float32), halves, made)


def test_what_does_not_go_together_is_refused(made, halves):
    with pytest.raises(ValueError, match="shape"):
        estimate(halves[0], voxel_size=made.voxel_size, half_mean=halves[1][1:], half_difference=halves[0])
