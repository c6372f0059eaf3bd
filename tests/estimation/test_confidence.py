"""Confidence: where it is, what it withdraws from, and how it follows the evidence."""

import numpy as np
import pytest

from occupy_jit.estimation.scale import confidence
from occupy_jit.settings import Settings
from tests import naive, simulated
from tests.estimates import estimate


@pytest.fixture(scope="module")
def made():
    return simulated.complex_with_occupancies(3, seed=2, occupancies=(1.0, 0.6, 0.3), box=72)


@pytest.fixture(scope="module")
def found(made):
    return estimate(made.map, voxel_size=made.voxel_size)


def test_it_covers_content_and_leaves_solvent(made, found):
    """A particle mask at 3 Å from the atoms is covered, far solvent is not."""
    mask, far = made.distance <= 3, made.distance > 10
    inside = naive.inscribed_sphere(made.map.shape)
    assert found.confidence[mask].mean() > 0.85
    assert found.confidence[far & inside].mean() < 0.01
    assert np.all(made.medians(found.confidence) == 1)


def test_noise_alone_is_not_content():
    for seed in range(3):
        noise = np.random.default_rng(seed).standard_normal((48, 48, 48), dtype=np.float32)
        found = estimate(noise, voxel_size=1.2)
        # evidence starts two deviations above its median: a fortieth of a normal distribution, less the gate
        assert found.confidence.mean() < 0.025


def test_it_is_withdrawn_from_the_lowest_scales(found):
    low, high = confidence.GATE
    assert np.all(found.confidence[found.scale <= low] == 0)
    between = (found.scale > low) & (found.scale < high)
    assert np.all(found.confidence[between] <= (found.scale[between] - low) / (high - low) + 1e-5)
    assert between.any() and found.confidence[between].max() > 0.5


def test_hedging_is_a_power(made, found):
    for power in (0.5, 2.0, 3.5):
        hedged = estimate(made.map, Settings(hedge_confidence=power), voxel_size=made.voxel_size)
        assert np.array_equal(hedged.scale, found.scale)
        assert np.allclose(hedged.confidence, found.confidence.astype(np.float64) ** power, atol=1e-6)
    partial = (found.confidence > 0) & (found.confidence < 1)
    assert partial.mean() > 0.01


def test_it_can_be_switched_off(made, found):
    certain = estimate(made.map, Settings(no_confidence=True), voxel_size=made.voxel_size)
    assert np.all(certain.confidence == 1) and np.array_equal(certain.scale, found.scale)


def test_flattened_solvent_has_no_spread_and_still_a_confidence(made):
    """The share of full scale that stands in for the spread keeps division by zero away."""
    flat = np.where(made.distance < 4, made.signal, 0).astype(np.float32)
    found = estimate(flat, voxel_size=made.voxel_size)
    assert np.all(np.isfinite(found.confidence))
    assert found.confidence[made.distance <= 2].mean() > 0.9
    assert found.confidence[made.distance > 11].max() < 0.5


def test_cap_level():
    assert confidence.cap_level(1.0, 0.5, 10.0) == 1.0 + confidence.CAP * 0.5
    assert confidence.cap_level(0.0, 0.0, 10.0) > 0
