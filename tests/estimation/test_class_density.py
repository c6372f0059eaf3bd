"""Classes that share one density: equal power, no noise of their own, and true differences."""

from dataclasses import replace

import numpy as np
import pytest

from occupy_jit.estimation.classes_on_mean import classes_on_mean, mean_map
from occupy_jit.estimation.fourier import filters
from occupy_jit.estimation.scale.estimate import measure_full_scale
from occupy_jit.settings import Settings
from tests import classification
from tests.classification import VOXEL_SIZE
from tests.estimates import estimate

SETTINGS = Settings(amplify=True, amplify_amount=-0.5)
# the first subunit is whole in one class, and missing in half of what the other is made of
OCCUPANCIES = np.array([[1.0, 1.0, 1.0, 0.6, 1.0], [0.5, 1.0, 1.0, 0.6, 1.0]])


@pytest.fixture(scope="module")
def made():
    """The complex, two noisy maps of it, their scales, the mean, and the references made of it."""
    complex_ = classification.Complex()
    maps = [complex_.map(row, 2.0, seed) for seed, row in enumerate(OCCUPANCIES)]
    full = max(measure_full_scale(volume, voxel_size=VOXEL_SIZE)[0] for volume in maps)
    scales = [estimate(volume, voxel_size=VOXEL_SIZE, full_scale=full).scale for volume in maps]
    mean = mean_map(iter(maps), [1, 1])
    return complex_, maps, scales, mean, full, references(mean, scales, full)


def references(mean, scales, full, settings=SETTINGS):
    return [data.copy() for data in classes_on_mean(mean, scales, [1] * len(scales), settings, VOXEL_SIZE, full)]


def test_the_mean_is_that_of_all(made):
    _, maps, _, mean, _, _ = made
    assert np.allclose(mean, np.mean(maps, axis=0), atol=4 * np.finfo(np.float32).eps * np.abs(maps).max())


@pytest.mark.parametrize("weights", [[1, 3], [0.9997, 0.0003], [0, 2]])
def test_the_mean_has_the_weights_of_the_particles(made, weights):
    maps = made[1]
    wanted = np.average(maps, axis=0, weights=weights)
    assert np.allclose(mean_map(iter(maps), weights), wanted, atol=1e-6 * np.abs(maps).max())


def test_every_shell_has_the_same_power_in_all_classes(made):
    powers = [filters.radial_spectrum(data, VOXEL_SIZE)[1] for data in made[5]]
    # within a shell, where power is steep, the gain is interpolated between the centres of shells
    assert np.all(np.abs(powers[0] / powers[1] - 1) < 0.05)
    plain = [filters.radial_spectrum(data, VOXEL_SIZE)[1] for data in made[1]]
    assert np.max(np.abs(plain[0] / plain[1] - 1)) > 0.1, "there was something to do"


def test_noise_that_each_class_has_of_its_own_is_gone_and_the_difference_is_not(made):
    complex_, maps, _, _, _, found = made
    true = complex_.signals[0]
    own, shared = maps[0] - maps[1], found[0] - found[1]
    inside = np.abs(true) > 0.1 * np.abs(true).max()
    outside = np.ones(true.shape, bool)
    outside[tuple(slice(a, b) for a, b in zip(np.argwhere(np.abs(true) > 0.01 * np.abs(true).max()).min(axis=0) - 6,
                                              np.argwhere(np.abs(true) > 0.01 * np.abs(true).max()).max(axis=0) + 7,
                                              strict=True))] = False
    def contrast(difference):
        """Difference where there is one, over that elsewhere."""
        return difference[inside].std() / difference[outside].std()
    print(f"contrast of the difference: own maps {contrast(own):.2f}, shared density {contrast(shared):.2f}")
    assert contrast(shared) > 3 * contrast(own)
    assert np.corrcoef(shared[inside], true[inside])[0, 1] > np.corrcoef(own[inside], true[inside])[0, 1]


def test_classes_that_are_alike_are_the_mean(made):
    _, _, scales, mean, full, _ = made
    for data in references(mean, [scales[0]] * 3, full):
        # a transform there and back
        assert np.allclose(data, mean, atol=1e-5 * np.abs(mean).max())


@pytest.mark.parametrize("noise", [30, *(pytest.param(noise, marks=pytest.mark.slow) for noise in (8, 100))])
def test_a_class_of_noise_with_hardly_any_particles_spoils_nothing(made, noise, share=3e-4):
    """With the weights of their particles references are what they are without it."""
    complex_, maps, scales, mean, full, found = made
    junk = complex_.map(np.zeros(5), 1 / noise, 77)
    weights = [0.5, 0.5 - share, share]
    with_junk = mean_map(iter([*maps, junk]), weights)
    made_with = list(data.copy() for data in classes_on_mean(
        with_junk, [*scales, np.ones_like(mean)], weights, SETTINGS, VOXEL_SIZE, full))
    for signal, without, data in zip(np.tensordot(OCCUPANCIES, complex_.signals, 1), found, made_with, strict=False):
        wanted, got = (np.corrcoef(signal.ravel(), one.ravel())[0, 1] for one in (without, data))
        assert got > wanted - 0.02


def test_the_order_of_the_classes_is_of_no_account(made):
    _, _, scales, mean, full, found = made
    for a, b in zip(references(mean, scales[::-1], full), found[::-1], strict=True):
        assert np.allclose(a, b, atol=1e-5 * np.abs(mean).max())


def test_the_number_of_threads_changes_nothing(made):
    _, _, scales, mean, full, found = made
    on_one = classes_on_mean(mean, scales, [1, 1], SETTINGS, VOXEL_SIZE, full, thread_count=1)
    for a, b in zip(on_one, found, strict=True):
        assert np.array_equal(a, b)


def test_scaling_the_maps_scales_the_references(made):
    _, _, scales, mean, full, found = made
    for a, b in zip(references(4 * mean, scales, 4 * full), found, strict=True):
        assert np.allclose(a, 4 * b, atol=1e-5 * np.abs(b).max())


def test_solvent_is_excluded_filtered_and_matched_on_request(made):
    _, _, scales, mean, full, found = made
    excluded = references(mean, scales, full, replace(SETTINGS, exclude_solvent=True))
    # in sections without content most voxels are sure to be solvent, and what the filter of shells spreads is small
    assert np.median(np.abs(excluded[0][:4])) < 0.1 * np.median(np.abs(found[0][:4]))
    filtered = references(mean, scales, full, replace(SETTINGS, lowpass_amplified_angstrom=12.0))
    assert np.allclose(filtered[1], filters.lowpass(found[1], 12.0, VOXEL_SIZE), atol=1e-5 * np.abs(mean).max())
    matched = references(mean, scales, full, replace(SETTINGS, match_histogram=True))
    assert np.allclose(np.sort(matched[1], axis=None)[::1000], np.sort(mean, axis=None)[::1000],
                       atol=0.01 * np.ptp(mean))
