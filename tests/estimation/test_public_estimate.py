"""`occupy_jit.estimate` as Python programs call it."""

import numpy as np
import pytest

import occupy_jit
from occupy_jit.estimation.scale.inputs import Masks, Wanted
from occupy_jit.estimation.scale.result import FullScale
from occupy_jit.settings import Settings
from tests import estimates, simulated

VOXEL_SIZE = 1.2


@pytest.fixture(scope="module")
def halves():
    volume = simulated.blobs((32, 30, 34), 5)
    rng = np.random.default_rng(1)
    return tuple((volume + rng.normal(0, 0.05, volume.shape)).astype(np.float32) for _ in range(2))


def same(one, two):
    assert np.array_equal(one.scale, two.scale) and np.array_equal(one.confidence, two.confidence)
    assert (one.full_scale, one.zero, one.floor) == (two.full_scale, two.zero, two.floor)
    assert one.half_maps == two.half_maps and one.verdicts == two.verdicts


def test_half_maps_are_a_pair_that_is_not_changed(halves):
    kept = [half.copy() for half in halves]
    found = occupy_jit.estimate(half_maps=halves, voxel_size=VOXEL_SIZE, wanted=Wanted(error=True))
    one, two = kept[0].copy(), kept[1].copy()
    factor = occupy_jit.join_half_maps(one, two)
    expected = estimates.estimate(one, voxel_size=VOXEL_SIZE, half_difference=two, half_factor=factor, with_error=True)
    same(found, expected)
    assert np.array_equal(found.error, expected.error)
    assert all(np.array_equal(half, before) for half, before in zip(halves, kept, strict=True))


def test_a_map_beside_its_half_maps(halves):
    mean = (halves[0] + halves[1]) / 2
    found = occupy_jit.estimate(mean, half_maps=halves, voxel_size=VOXEL_SIZE)
    assert found.half_maps.map_correlation > 0.99


@pytest.mark.parametrize(("half_maps", "error"), [
    (np.zeros((3, 4, 4, 4), np.float32), TypeError), (1, TypeError),
    ((np.zeros((8, 8, 8)), np.zeros((8, 8, 9))), ValueError), ((1, 2), TypeError)])
def test_half_maps_that_are_no_pair_are_refused(half_maps, error):
    with pytest.raises(error, match="half"):
        occupy_jit.estimate(half_maps=half_maps, voxel_size=VOXEL_SIZE)


def test_former_keywords_still_work_with_a_warning(halves):
    volume, mask = halves[0], halves[0] > np.median(halves[0])
    new = occupy_jit.estimate(volume, voxel_size=VOXEL_SIZE, masks=Masks(solvent=mask), wanted=Wanted(lowpass=False),
                              full_scale=FullScale(1.0, (4, 4, 4), 0, 0.0, 0.0, 1.0))
    with pytest.warns(DeprecationWarning, match="solvent_mask=, keep_lowpass=, strongest_corner="):
        old = occupy_jit.estimate(volume, voxel_size=VOXEL_SIZE, solvent_mask=mask, keep_lowpass=False,
                                  strongest_corner=(4, 4, 4), full_scale=1.0)
    same(new, old)
    assert old.lowpass is None
    with pytest.warns(DeprecationWarning), pytest.raises(ValueError, match="goes with"):
        occupy_jit.estimate(volume, voxel_size=VOXEL_SIZE, half_mean=volume)
    with pytest.raises(TypeError, match="unexpected keyword argument 'solvent'"):
        occupy_jit.estimate(volume, voxel_size=VOXEL_SIZE, solvent=mask)


def test_a_result_is_frozen(halves):
    found = occupy_jit.estimate(halves[0], Settings(), voxel_size=VOXEL_SIZE)
    with pytest.raises(AttributeError):
        found.scale = None
