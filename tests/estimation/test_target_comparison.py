"""Regions in several maps on one scale: differences with errors that are neither too small nor blind."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from occupy_jit.estimation.comparison.masks import FEWEST_WINDOWS, compare_targets
from occupy_jit.estimation.regions.occupancy_in_masks import occupancy_of_masks
from occupy_jit.estimation.scale.estimate import measure_full_scale
from tests import classification
from tests.classification import BOX, VOXEL_SIZE
from tests.estimates import estimate
from tests.simulated import distance_to

NOISY = 2.0


def row(blocks, occupancy=0.5):
    return {"mask": "m", "occupancy": occupancy, "error": 0.1, "blocks": float(len(blocks)), "voxels": 1.0,
            "in_blocks": blocks}


blocks = st.dictionaries(st.tuples(*[st.integers(0, 4)] * 3), st.tuples(st.floats(0.01, 1), st.floats(-1, 1)),
                         min_size=4, max_size=30)


def normalised(found):
    total = sum(share for share, _ in found.values())
    return {place: (share / total, moved) for place, (share, moved) in found.items()}


@settings(deadline=None)
@given(blocks, blocks)
def test_the_error_is_the_double_sum_over_neighbours(first, second):
    first, second = normalised(first), normalised(second)
    places = sorted(first.keys() | second.keys())
    variance = taken = 0.0
    for p, q in itertools.product(places, places):
        weight = math.prod(max(0.0, 1 - abs(a - b) / 2) for a, b in zip(p, q, strict=True))
        moved = [first.get(place, (0, 0))[1] - second.get(place, (0, 0))[1] for place in (p, q)]
        share = [(first.get(place, (0, 0))[0] + second.get(place, (0, 0))[0]) / 2 for place in (p, q)]
        variance += weight * moved[0] * moved[1]
        taken += weight * share[0] * share[1]
    found, = compare_targets([[row(first, 0.8)], [row(second, 0.3)]], ["a", "b"])
    assert (found.more, found.less, found.difference) == ("a", "b", pytest.approx(0.5))
    if 1 / taken < FEWEST_WINDOWS:
        assert found.se is None and found.p is None and not found.significant
    else:
        assert found.se == pytest.approx(math.sqrt(max(variance, 0) / (1 - taken)), rel=1e-6, abs=1e-7)


@pytest.fixture(scope="module")
def measured():
    """Seven maps of the same complex, the last without most of a subunit, and the occupancies of the five subunits."""
    complex_ = classification.Complex()
    masks = []
    for subunit in range(5):
        distance = distance_to(complex_.atoms[complex_.subunit == subunit], BOX, 4 / VOXEL_SIZE) * VOXEL_SIZE
        masks.append((f"subunit {subunit}", (distance <= 3).astype(np.float32)))
    full = np.ones(5)
    maps = [complex_.map(full, NOISY, 300 + k) for k in range(6)]
    maps.append(complex_.map(np.array([1, 0.4, 1, 1, 1.0]), NOISY, 306))
    common = max(measure_full_scale(volume, voxel_size=VOXEL_SIZE).value for volume in maps)
    return [occupancy_of_masks(estimate(volume, voxel_size=VOXEL_SIZE, full_scale=common, with_confidence=False), masks)
            for volume in maps]


@pytest.mark.slow
def test_no_difference_is_made_up(measured):
    found = compare_targets(measured[:6], list("abcdef"), 0.03)
    assert len(found) == 75 and not any(row.significant for row in found)
    # were the errors too small by half, 33% of the p values would be below .05
    assert np.mean([row.p < 0.05 for row in found]) < 0.2
    # and were they too large by 3, hardly any difference would be larger than its error: 32% ought to be
    assert np.mean([row.difference > row.se for row in found]) > 0.05


def test_what_differs_is_found_and_is_the_surest(measured):
    found = compare_targets([measured[0], measured[6]], ["all", "without"], 0.03)
    assert (found[0].mask, found[0].more, found[0].less) == ("subunit 1", "all", "without")
    # three windows in a subunit of 34 Å: far beyond its error, and sure by itself, though not among five
    assert found[0].difference > 3 * found[0].se and found[0].p < 0.05
    assert all(row.difference < 3 * row.se and row.p > 0.05 for row in found[1:])
    assert found[0].difference == pytest.approx(0.6, abs=1.5 * found[0].se)
    assert found[0].p_corrected == pytest.approx(5 * found[0].p)
    turned = compare_targets([measured[6], measured[0]], ["without", "all"], 0.03)
    assert [row[:6] for row in turned if row.difference] == [row[:6] for row in found if row.difference]


def test_regions_without_an_occupancy_and_without_an_error():
    nothing = {**row({}, None), "in_blocks": None}
    small = {**row({}), "error": None, "in_blocks": None}
    assert compare_targets([[nothing], [small]], ["a", "b"]) == []
    found, = compare_targets([[small], [{**small, "occupancy": 0.1}]], ["a", "b"])
    assert (found.se, found.p, found.p_corrected, found.significant) == (None, None, None, False)
    assert found.difference == pytest.approx(0.4)
