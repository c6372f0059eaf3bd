"""Nucleic acid next to protein: with a mask of it, both read their occupancy on one scale."""

from dataclasses import replace

import numpy as np
import pytest

from occupy_jit.estimation.scale import composition
from occupy_jit.estimation.scale.ball import Ball
from occupy_jit.estimation.scale.estimate import measure_full_scale
from occupy_jit.estimation.scale.inputs import Masks
from occupy_jit.settings import Settings
from tests import simulated
from tests.estimates import estimate

TRUE = np.array([1.0, 1.0, 0.6, 0.6, 0.3])
NUCLEIC = np.array([True, False, True, False, False])


@pytest.fixture(scope="module")
def made():
    """Chains of which some are nucleic acid: all their density is that much stronger."""
    strength = np.where(NUCLEIC, composition.CONTRAST, 1) * TRUE
    return simulated.complex_with_occupancies(4.0, seed=4, occupancies=tuple(strength))


@pytest.fixture(scope="module")
def protein():
    """The same complex of protein alone, in the same noise."""
    return simulated.complex_with_occupancies(4.0, seed=4, occupancies=tuple(TRUE))


@pytest.fixture(scope="module")
def mask(made):
    """Within 5 Å of an atom of nucleic acid, where none of protein is nearer."""
    near = [simulated.distance_to(made.atoms[np.isin(made.chain, np.flatnonzero(chains))], 84, 8)
            for chains in (NUCLEIC, ~NUCLEIC)]
    return ((near[0] * made.voxel_size <= 5) & (near[0] <= near[1])).astype(np.float32)


def medians(made, mask=None, volume=None, **options):
    found = estimate(made.map if volume is None else volume, voxel_size=made.voxel_size, nucleic_mask=mask, **options)
    return made.medians(found.scale), found


def error(values):
    return np.sqrt(np.square(values - TRUE).mean())


def test_all_reads_as_in_a_complex_of_protein(made, protein, mask):
    without, of_protein, with_mask = medians(made)[0], medians(protein)[0], medians(made, mask)[0]
    partial = ~NUCLEIC & (TRUE < 1)
    lost = (without / of_protein)[partial]
    assert np.all(lost < 1 - 0.5 * (1 - 1 / composition.CONTRAST)), "protein is read against nucleic acid"
    # what is left is the edge of the mask, and that a narrower ball carries less across contacts
    assert np.abs(with_mask - of_protein).max() < 0.05
    assert error(with_mask) < error(of_protein)


@pytest.mark.parametrize("settings", [Settings(), Settings(noise_floor="local"), Settings(scale_mode="resolution")])
def test_it_is_the_same_with_half_maps_and_in_every_mode(made, mask, settings):
    half = simulated.noise_like(made, 3).astype(np.float32)
    for options in ({}, {"half_difference": half}):
        plain, before = medians(made, settings=settings, **options)
        values, found = medians(made, mask, settings=settings, **options)
        # nucleic acid and protein of one occupancy come closer by most of their ratio
        apart = [np.log(v[0] / v[1]) + np.log(v[2] / v[3]) for v in (plain, values)]
        assert abs(apart[1]) < 0.5 * apart[0]
        assert found.full_scale < before.full_scale
        if not options:
            alone = measure_full_scale(made.map, settings, voxel_size=made.voxel_size, masks=Masks(nucleic=mask))
            assert alone.value == found.full_scale


def test_nothing_that_was_given_is_changed(made, mask):
    volume, marked, half = made.map.copy(), mask.copy(), simulated.noise_like(made, 3).astype(np.float32)
    noise = half.copy()
    medians(made, marked, volume, half_difference=half, settings=Settings(scale_mode="resolution"))
    medians(made, marked, volume)
    assert np.array_equal(volume, made.map) and np.array_equal(marked, mask) and np.array_equal(half, noise)


def test_units_and_threads_do_not_matter(made, mask):
    _, one = medians(made, mask)
    _, other = medians(made, mask, (8 * made.map + 2).astype(np.float32))
    np.testing.assert_allclose(other.scale, one.scale, atol=2e-4)  # the tolerance is that of the low-pass
    _, alone = medians(made, mask, thread_count=1)
    assert np.array_equal(alone.scale, one.scale) and np.array_equal(alone.confidence, one.confidence)


def test_confidence_is_not_lost(made, mask):
    """Nucleic acid stands out of the noise by all of its contrast."""
    content = made.distance * made.voxel_size <= 3
    dice = []
    for marked in (None, mask):
        confidence = medians(made, marked)[1].confidence
        dice.append(2 * np.minimum(confidence, content).sum() / (confidence.sum() + content.sum()))
    assert dice[1] > dice[0] - 0.03


def test_no_bit_changes_where_nothing_is_marked():
    rng = np.random.default_rng(0)
    volume, mask = rng.normal(size=(2, 9, 10, 11)).astype(np.float32)
    mask[mask < 0.5] = 0
    zero = 0.3
    found = composition.as_protein(volume, zero, mask, copy=True)
    assert np.array_equal(found[mask == 0], volume[mask == 0])
    expected = zero + (volume - zero) * (1 - np.clip(mask, 0, 1) * (1 - 1 / composition.CONTRAST))
    np.testing.assert_allclose(found, expected, atol=1e-6)
    composition.as_nucleic(found, zero, mask)
    np.testing.assert_allclose(found, volume, atol=1e-6)


def test_the_ball_is_narrower_and_its_quantile_stays():
    ball = Ball(7, 3.0)
    found = composition.narrower(ball, 6.0, 1.0)
    assert (found.size, found.radius) == (5, 2.25) and found.voxels < ball.voxels
    assert found.tau == ball.tau
    # the median of the largest of n normal deviates, in a draw of them
    draws = np.random.default_rng(1).standard_normal((20_000, ball.voxels))
    ratio = np.median(draws.max(axis=1)) / np.median(draws[:, :found.voxels].max(axis=1))
    assert found.noise_of_default == pytest.approx(ratio, abs=0.01)
    assert ball.noise_of_default == 1


def test_a_ball_that_is_given_is_kept(made, mask):
    settings = Settings(kernel_radius=3.0)
    _, found = medians(made, mask, settings=settings)
    assert found.ball == medians(made, settings=settings)[1].ball
    narrow = medians(made, mask)[1].ball
    assert narrow.radius == composition.NARROW * medians(made)[1].ball.radius
    assert replace(narrow, draws=None) == Ball(narrow.size, narrow.radius)


def test_what_marks_nothing_or_has_another_shape_is_refused(made):
    with pytest.raises(composition.UnusableNucleicMask, match="empty"):
        medians(made, np.zeros_like(made.map))
    with pytest.raises(ValueError, match="shape"):
        medians(made, np.ones((3, 3, 3)))
