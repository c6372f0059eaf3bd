"""Draws of noise, and errors of regions from them: waves longer than a region are in them."""

import numpy as np
import pytest

from occupy_jit.estimation.regions.noise_draws import DRAWS, Drawn
from occupy_jit.estimation.regions.occupancy_in_masks import occupancy_of_masks
from tests import simulated
from tests.estimates import estimate


def long_waves(shape, seed, length):
    """Noise of variance 1 with waves of this length in voxels, periodic."""
    frequency = [np.fft.fftfreq(n) for n in shape[:2]] + [np.fft.rfftfreq(shape[2])]
    squared = sum(f.reshape([-1 if k == axis else 1 for k in range(3)]) ** 2 for axis, f in enumerate(frequency))
    spectrum = np.fft.rfftn(np.random.default_rng(seed).standard_normal(shape)) * np.exp(-squared * length**2)
    noise = np.fft.irfftn(spectrum, shape, axes=(0, 1, 2))
    return (noise / noise.std()).astype(np.float32)


def test_a_draw_is_the_noise_moved_and_brought_to_the_floor():
    noise = np.random.default_rng(0).standard_normal((10, 12, 14)).astype(np.float32)
    drawn = Drawn(noise, 2.0, 3.0)
    box = (slice(2, 9), slice(0, 12), slice(5, 14))
    floors = np.random.default_rng(1).uniform(1, 3, (7, 12, 9)).astype(np.float32)
    assert np.array_equal(drawn.window(0, box, 2.0), noise[box])
    for number in range(1, DRAWS):
        moved = np.roll(noise, [-int(number * step * n) for step, n in
                                zip((0.8191725134, 0.6710436067, 0.5497004779), noise.shape, strict=True)], (0, 1, 2))
        np.testing.assert_allclose(drawn.window(number, box, floors), moved[box] * floors / 2, rtol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("of_halves", [False, True])
def test_the_error_of_a_mask_is_what_occupancies_vary_by_in_noise_with_long_waves(of_halves):
    """Blocks of a region share such waves, and their differences do not show them."""
    made = simulated.complex_with_occupancies(6.0, seed=3)
    mask = (simulated.distance_to(made.atoms[made.chain < 2], 84, 6) * made.voxel_size <= 3).astype(np.float32)
    strength = 0.5 * made.signal.std()
    own = (made.map - made.signal).astype(np.float32)
    occupancies, errors = [], []
    for seed in range(10):
        noise = np.roll(own, 17 * seed, (0, 1, 2)) + strength * long_waves(own.shape, seed, 12.0)
        other = np.roll(own, 17 * seed + 40, (0, 1, 2)) + strength * long_waves(own.shape, seed + 50, 12.0)
        options = {"half_difference": np.ascontiguousarray(other, np.float32)} if of_halves else {}
        # below full occupancy, so that nothing is limited to 1; one full scale for all
        found = estimate((made.signal + noise).astype(np.float32), voxel_size=made.voxel_size, with_confidence=False,
                         full_scale=1.5 * estimate(made.map, voxel_size=made.voxel_size,
                                                   with_confidence=False).full_scale, **options)
        (row,) = occupancy_of_masks(found, [("part", mask)])
        occupancies.append(row["occupancy"])
        errors.append(row["error"])
    # a spread over 10 maps is known within a quarter, so twice that;
    # the leak of neighbours is in the errors only
    assert np.std(occupancies, ddof=1) / np.sqrt(np.mean(np.square(errors))) == pytest.approx(1, abs=0.5)
