"""Noise that a whole region has in common: seen in noise itself, and what blocks alone cannot tell."""

import numpy as np
import pytest

from occupy_jit.estimation.noise.common_noise import CommonNoise
from occupy_jit.estimation.regions.occupancy_in_masks import occupancy_of_masks
from tests import simulated
from tests.estimates import estimate

EDGE = 4


def long_waves(shape, seed, waves=10.0):
    """Noise smooth over some blocks."""
    frequency = np.meshgrid(*[np.fft.fftfreq(n) for n in shape[:2]], np.fft.rfftfreq(shape[2]), indexing="ij")
    white = np.fft.rfftn(np.random.default_rng(seed).standard_normal(shape))
    noise = np.fft.irfftn(white * np.exp(-2 * (np.pi * waves) ** 2 * sum(f * f for f in frequency)), shape,
                          axes=(0, 1, 2))
    return (noise / noise.std()).astype(np.float32)


def region(shape, seed):
    """Blocks of a lattice, some of them twice, and weights."""
    rng = np.random.default_rng(seed)
    lattice = tuple(-(-n // EDGE) for n in shape)
    blocks = rng.integers(0, np.prod(lattice), 9)
    return lattice, np.concatenate([blocks, blocks[:3]]), rng.random(12)


@pytest.mark.parametrize("shape", [(12, 9, 14), (5, 20, 8)])
@pytest.mark.parametrize("masked", [False, True])
def test_it_is_the_mean_covariance_of_different_blocks(shape, masked):
    noise = long_waves(shape, 1, 3.0)
    known = np.random.default_rng(2).random(shape) < 0.6 if masked else np.ones(shape, bool)
    lattice, blocks, weights = region(shape, 3)
    found = CommonNoise(noise, EDGE, known.__getitem__ if masked else None).variance(blocks, weights)
    means = {}
    for place in np.ndindex(*lattice):
        cube = tuple(slice(i * EDGE, (i + 1) * EDGE) for i in place)
        if known[cube].sum() >= 0.3 * EDGE**3:
            means[place] = noise[cube][known[cube]].mean(dtype=float)
    sums, pairs = {}, {}
    for a, x in means.items():
        for b, y in means.items():
            apart = tuple(np.subtract(a, b))
            sums[apart], pairs[apart] = sums.get(apart, 0) + x * y, pairs.get(apart, 0) + 1
    places = [np.unravel_index(block, lattice) for block in blocks]
    total = weight = 0
    for a, v in zip(places, weights, strict=True):
        for b, w in zip(places, weights, strict=True):
            apart = tuple(np.subtract(a, b))
            if any(apart):
                total += v * w * sums.get(apart, 0) / max(pairs.get(apart, 0), 1)
                weight += v * w
    assert found == pytest.approx(max(total / weight, 0), abs=1e-7)


def test_what_is_the_same_everywhere_is_common_and_white_noise_is_not():
    shape = (24, 24, 24)
    _, blocks, weights = region(shape, 1)
    assert CommonNoise(np.full(shape, -0.2, np.float32), EDGE).variance(blocks, weights) == pytest.approx(0.04)
    white = np.random.default_rng(1).standard_normal(shape).astype(np.float32)
    assert CommonNoise(white, EDGE).variance(blocks, weights) < 0.3 / EDGE**3
    assert CommonNoise(white, EDGE).variance(blocks[:1], weights[:1]) == 0  # one block has nothing in common


def test_with_it_the_error_of_a_mean_is_right():
    """Over many samples of noise with long waves: the spread of the mean of a region, and what its blocks show."""
    shape, edge = (32, 32, 32), 4
    cube = np.array([(z * 8 + y) * 8 + x for z in (3, 4) for y in (3, 4, 5) for x in (2, 3, 4)])
    means, shown, common = [], [], []
    for seed in range(60):
        noise = long_waves(shape, seed, 6.0)
        blocks = noise.reshape(8, edge, 8, edge, 8, edge).mean((1, 3, 5)).ravel()[cube]
        means.append(blocks.mean())
        shown.append(blocks.var(ddof=1) / len(cube))
        common.append(CommonNoise(noise, edge).variance(cube, np.ones(len(cube))))
    truth = np.mean(np.square(means))
    assert np.mean(shown) < truth / 3
    # of 60 samples a variance is known within a fifth; few long waves in the box make each estimate uncertain
    assert np.mean(shown) + np.mean(common) == pytest.approx(truth, rel=0.5)


@pytest.mark.parametrize("of_halves", [False, True])
def test_errors_of_masks_hold_it(of_halves, monkeypatch):
    """Beside what blocks show and neighbours bring in: long waves in the noise are in the error of a mask."""
    made = simulated.complex_with_occupancies(6.0, seed=3)
    atoms = made.atoms[made.chain < 2]
    mask = (simulated.distance_to(atoms, 84, 6) * made.voxel_size <= 3).astype(np.float32)
    noise = made.map - made.signal + 0.5 * made.signal.std() * long_waves(made.map.shape, 5, 12.0)
    options = {"half_difference": np.ascontiguousarray(noise[::-1], np.float32)} if of_halves else {}
    found = estimate((made.signal + noise).astype(np.float32), voxel_size=made.voxel_size, with_confidence=False,
                     **options)
    seen, variance = [], CommonNoise.variance
    monkeypatch.setattr(CommonNoise, "variance", lambda *given: seen.append(variance(*given)) or seen[-1])
    (row,) = occupancy_of_masks(found, [("full", mask)])
    monkeypatch.setattr(CommonNoise, "variance", lambda *given: 0.0)
    (plain,) = occupancy_of_masks(found, [("full", mask)])
    assert row["occupancy"] == plain["occupancy"] and seen[0] > 0
    # of full content the level moves as the reading does, and by (f / M')^2 more, which is below .3 here
    more = (row["error"]**2 - plain["error"]**2) * found.full_scale**2
    assert 0.8 * seen[0] < more < 1.3**2 * seen[0]
