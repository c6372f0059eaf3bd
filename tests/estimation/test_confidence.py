"""Confidence: its place, its absence in solvent, and its dependence on evidence."""

import numpy as np
import pytest

from occupy_jit.estimation.scale import ball, confidence
from occupy_jit.estimation.scale.ball import EVIDENCE_NOISE, default_lowpass, evidence_lowpass
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


@pytest.mark.parametrize("voxel_size", [0.8, 1.2, 1.5])
def test_six_voxels_of_low_pass_serve_the_confidence_at_any_noise(voxel_size):
    assert evidence_lowpass(default_lowpass(voxel_size), voxel_size, 0.9) is None


@pytest.mark.parametrize("voxel_size", [1.6, 2.2, 3.0, 4.0, 6.5])
def test_the_wider_low_pass_begins_with_the_one_of_the_scale_and_grows_with_noise_to_seven_voxels(voxel_size):
    used = default_lowpass(voxel_size)
    assert evidence_lowpass(used, voxel_size, EVIDENCE_NOISE) is None
    grown = [evidence_lowpass(used, voxel_size, EVIDENCE_NOISE * factor) for factor in (1.0001, 1.1, 1.3, 2, 6)]
    assert grown[0] == pytest.approx(used, rel=1e-3) and grown == sorted(grown)
    assert grown[-1] == pytest.approx(7 * voxel_size)


@pytest.fixture(scope="module")
def coarse():
    """Noise of three quarters of the signal, voxels of 3 Å."""
    return simulated.complex_with_occupancies(0.75, seed=3, occupancies=(1.0, 0.6, 0.4), box=34, voxel_size=3.0,
                                              resolution_angstrom=6.5)


def overlap(found, made):
    """Dice coefficient with a mask at 4 Å from the atoms."""
    there, mask = found.confidence > 0.5, made.distance <= 4
    return 2 * (there & mask).sum() / (there.sum() + mask.sum())


def test_noisy_coarse_maps_are_judged_after_a_wider_low_pass(coarse, monkeypatch):
    """It overlaps content better, leaves the scale as it is, and solvent without confidence."""
    found = estimate(coarse.map, voxel_size=coarse.voxel_size)
    assert found.facts.evidence_lowpass_angstrom > found.lowpass_angstrom == 9.0
    monkeypatch.setattr(ball, "EVIDENCE_NOISE", np.inf)
    before = estimate(coarse.map, voxel_size=coarse.voxel_size)
    assert before.facts.evidence_lowpass_angstrom is None
    assert np.array_equal(found.scale, before.scale) and found.full_scale == before.full_scale
    assert overlap(found, coarse) > overlap(before, coarse) + 0.03
    far = (coarse.distance > 11) & naive.inscribed_sphere(coarse.map.shape)
    assert found.confidence[far].mean() < 0.02


def test_a_coarse_map_with_little_noise_needs_no_other_low_pass():
    made = simulated.complex_with_occupancies(20, seed=3, occupancies=(1.0, 0.6, 0.4), box=34, voxel_size=3.0,
                                              resolution_angstrom=6.5)
    assert estimate(made.map, voxel_size=3.0).facts.evidence_lowpass_angstrom is None


def test_halves_give_the_wider_low_pass_their_local_noise(coarse):
    """Noise that differs from place to place is no content: the solvent stays without confidence."""
    z = np.linspace(0.4, 1.6, len(coarse.map), dtype=np.float32)[:, None, None]
    halves = [coarse.signal + simulated.noise_like(coarse, seed) * z for seed in (1, 2)]
    found = estimate((halves[0] + halves[1]) / 2, voxel_size=3.0, half_difference=(halves[0] - halves[1]) / 2)
    assert found.floor_is_local and found.facts.evidence_lowpass_angstrom > 9
    far = (coarse.distance > 11) & naive.inscribed_sphere(coarse.map.shape)
    assert found.confidence[far].mean() < 0.03
    assert found.confidence[coarse.distance <= 3].mean() > 0.5


@pytest.mark.parametrize("signal_to_noise", [pytest.param(1.0, marks=pytest.mark.slow), 1.5])
def test_a_noisy_box_without_solvent_is_found_out_after_the_wider_low_pass(signal_to_noise, monkeypatch):
    """The middle of a complex alone: its quiet voxels are content, which the low-pass of the scale does not show."""
    made = simulated.complex_with_occupancies(signal_to_noise, seed=1, occupancies=(1,) * 7, box=44, voxel_size=3.0,
                                              resolution_angstrom=6.5, atoms=700)
    low, high = made.atoms.min(0), made.atoms.max(0)
    middle, half = (low + high) / 2, 0.35 * (high - low)
    cut = np.ascontiguousarray(made.map[tuple(map(slice, (middle - half).astype(int), (middle + half).astype(int)))])
    assert estimate(cut, voxel_size=3.0).facts.solvent_missing
    assert not estimate(made.map, voxel_size=3.0).facts.solvent_missing
