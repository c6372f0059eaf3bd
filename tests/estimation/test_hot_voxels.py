"""Voxels that are far above all others, and alone: found, replaced and told; signal is left as it is."""

import numpy as np
import pytest

import occupy_jit
from occupy_jit.estimation.scale.hot_voxels import repair
from tests.command import particle

VOXEL = 1.5


@pytest.fixture(scope="module")
def clean():
    """A map, and its estimate."""
    volume = particle()
    return volume, occupy_jit.estimate(volume, voxel_size=VOXEL)


@pytest.mark.parametrize("places, factor", [
    ([(5, 5, 5)], 1000), ([(5, 5, 5)], -1000), ([(0, 0, 47)], 1000), ([(24, 24, 24)], 1e5), ([(5, 40, 8)], 50),
    ([(5, 5, 5), (5, 5, 6)], 1000), ([(z, 9, 30) for z in range(48)], 300),
    (list(np.ndindex(2, 2, 2)), 300), ([(5, 5, 5), (40, 8, 8), (8, 24, 40), (20, 3, 44)], 200)])
def test_the_estimate_does_not_follow_hot_voxels(clean, places, factor):
    volume, wanted = clean
    spoilt = volume.copy()
    for place in places:
        spoilt[place] = factor * volume.max()
    kept = spoilt.copy()
    found = occupy_jit.estimate(spoilt, voxel_size=VOXEL)
    assert np.array_equal(spoilt, kept), "the user's array is the user's"
    assert [code for code, _ in found.verdicts if code == "hot-voxels"] == ["hot-voxels"]
    assert found.full_scale == pytest.approx(wanted.full_scale, rel=0.02)
    assert np.abs(found.scale - wanted.scale).max() < 0.3 and np.abs(found.scale - wanted.scale).mean() < 0.005
    assert repair(spoilt) == len(places)
    others = np.ones(volume.shape, bool)
    others[tuple(np.transpose(places))] = False
    assert np.array_equal(spoilt[others], volume[others]) and np.abs(spoilt).max() <= np.abs(volume).max()


def test_a_ladder_of_hot_voxels(clean):
    volume = clean[0].copy()
    for number, place in enumerate([(5, 5, 5), (40, 8, 8), (8, 24, 40), (20, 3, 44), (44, 44, 20)]):
        volume[place] = 10.0 ** (number + 1) * volume.max()
    assert repair(volume) == 5


@pytest.mark.parametrize("make", [
    lambda: particle(), lambda: particle(noise=0), lambda: particle(noise=1.0), lambda: -particle(),
    lambda: np.random.default_rng(1).normal(size=(40, 40, 40)).astype(np.float32),
    lambda: np.where(particle(noise=0) > 0.1, particle(), 0).astype(np.float32),
    lambda: (particle(noise=0) > 0.1).astype(np.float32)],
    ids=["map", "clean", "poor", "dark", "noise", "masked", "mask"])
def test_maps_without_hot_voxels_are_left_as_they_are(make):
    volume = make()
    before = volume.copy()
    assert repair(volume) == 0 and np.array_equal(volume, before)


def test_a_heavy_atom_at_the_limit_of_resolution_is_signal(clean):
    """Two voxels to a period of the finest detail, 50 times as heavy as all others: half as high one voxel away."""
    volume = clean[0].copy()
    z, y, x = np.indices(volume.shape)
    for offset in (0.0, 0.5):
        squares = (z - 10 - offset) ** 2 + (y - 12) ** 2 + (x - 30) ** 2
        atom = volume + 50 * volume.max() * np.exp(-np.log(2) * squares).astype(np.float32)
        assert repair(atom) == 0
