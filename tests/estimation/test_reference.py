"""Full scale from a reference mask: the mask's own occupancy is 1, whatever the map's units, axes or threads."""

import numpy as np
import pytest

from occupy_jit.errors import InputError
from occupy_jit.estimation.regions.occupancy_in_masks import occupancy_of_masks
from occupy_jit.estimation.regions.reading import reader_of
from occupy_jit.estimation.regions.weighted_median import FEWEST_BLOCKS
from occupy_jit.estimation.scale.errors import relative_error_of_full_scale
from occupy_jit.estimation.scale.estimate import measure_full_scale
from occupy_jit.estimation.scale.inputs import Masks
from occupy_jit.settings import Settings
from tests import simulated
from tests.estimates import estimate


@pytest.fixture(scope="module")
def made():
    return simulated.complex_with_occupancies(3.0, seed=4, occupancies=(1.0, 1.0, 0.6, 0.6, 0.1))


def around(made, chains, angstrom=3.0):
    atoms = made.atoms[np.isin(made.chain, chains)]
    return (simulated.distance_to(atoms, 84, 6 / made.voxel_size) * made.voxel_size <= angstrom).astype(np.float32)


@pytest.fixture(scope="module")
def masks(made):
    """Of the full chains, and of those at .6: one alone is too small."""
    return [around(made, chains) for chains in ((0, 1), (2, 3))]


def run(made, mask, volume=None, **options):
    return estimate(made.map if volume is None else volume, voxel_size=made.voxel_size, with_confidence=False,
                    reference_mask=mask, **options)


def halves(made):
    rng = np.random.default_rng(5)
    half = (made.map - made.signal) * rng.choice([-1, 1], made.map.shape)
    return np.ascontiguousarray(half, np.float32)


def test_it_is_what_the_mask_reads_without_noise(made, masks):
    found = run(made, masks[0])
    assert found.full_scale_corner is None and found.reference.blocks >= FEWEST_BLOCKS
    searched = estimate(made.map, voxel_size=made.voxel_size, with_confidence=False)
    assert found.reference.searched == searched.full_scale
    assert found.full_scale == pytest.approx(reader_of(searched).read(masks[0]).value, rel=1e-5)


@pytest.mark.parametrize("of_halves", [False, True])
def test_the_reference_itself_reads_1(made, masks, of_halves):
    soft = masks[0] * np.float32(0.5)
    found = run(made, soft, half_difference=halves(made) if of_halves else None, with_error=True)
    (row,) = occupancy_of_masks(found, [("reference", soft)])
    assert row["occupancy"] == pytest.approx(1, abs=1e-5)
    assert row["blocks"] == pytest.approx(found.reference.blocks, rel=1e-5)
    assert row["error"] == pytest.approx(found.full_scale_error / found.full_scale, rel=1e-4)
    assert relative_error_of_full_scale(found) > row["error"]
    assert np.all(found.error > 0)
    # what differs from place to place at equal occupancy is measured in the mask
    content = soft > 0
    assert np.median(found.error[content] / np.maximum(found.scale[content], 0.1)) < 0.5


def test_units_axes_and_threads_do_not_matter(made, masks):
    one = run(made, masks[0])
    # a sum of some float32 digits less where a constant is added; the tolerance is that of the low-pass
    other = run(made, masks[0], (8 * made.map + 2).astype(np.float32))
    assert other.full_scale == pytest.approx(8 * one.full_scale, rel=1e-4)
    np.testing.assert_allclose(other.scale, one.scale, atol=2e-4)
    # what noise adds is told from another draw of noise here: its error holds that
    turned = run(made, np.ascontiguousarray(masks[0].transpose(2, 0, 1)),
                 np.ascontiguousarray(made.map.transpose(2, 0, 1)))
    assert turned.full_scale == pytest.approx(one.full_scale, abs=one.full_scale_error)
    alone = run(made, masks[0], thread_count=1)
    assert alone.full_scale == one.full_scale and np.array_equal(alone.scale, one.scale)


def test_a_part_that_is_not_the_strongest_is_told_and_the_rest_limited(made, masks):
    assert "reference-weak" not in dict(run(made, masks[0]).verdicts)
    weak = run(made, masks[1])
    sentence = dict(weak.verdicts)["reference-weak"]
    assert f"{weak.full_scale / weak.reference.searched:.2f}" in sentence
    # everything is read on that part's scale
    assert np.all(made.medians(weak.scale)[:2] == 1)
    assert made.medians(weak.scale)[2:4].mean() == pytest.approx(1, abs=0.1)


def test_several_maps_measure_it_alike(made, masks):
    for settings in (Settings(), Settings(noise_floor=0.0), Settings(scale_mode="resolution")):
        found = estimate(made.map, settings, voxel_size=made.voxel_size, with_confidence=False, reference_mask=masks[0])
        alone = measure_full_scale(made.map, settings, voxel_size=made.voxel_size, masks=Masks(reference=masks[0]))
        assert alone.value == found.full_scale and alone.corner is None


@pytest.mark.parametrize("of_halves", [False, True])
def test_what_holds_too_little_is_refused(made, of_halves):
    options = {"half_difference": halves(made)} if of_halves else {}
    small = np.zeros(made.map.shape, np.float32)
    centre = np.rint(made.atoms[made.chain == 0].mean(axis=0)).astype(int)
    small[tuple(slice(c - 2, c + 3) for c in centre)] = 1
    with pytest.raises(InputError, match="independent blocks"):
        run(made, small, **options)
    for nothing in (np.zeros_like(small), -np.ones_like(small)):
        with pytest.raises(InputError, match="nothing stands above solvent"):
            run(made, nothing, **options)


def test_what_contradicts_itself_is_refused(made, masks):
    with pytest.raises(ValueError, match="shape"):
        run(made, np.ones((3, 3, 3)))
    with pytest.raises(ValueError, match="give one of them"):
        run(made, masks[0], full_scale=1.0)
