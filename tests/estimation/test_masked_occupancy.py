"""Occupancy inside masks: right whatever the mask's width, with an error that repeated noise confirms."""

import numpy as np
import pytest

from occupy_jit.estimation.regions.occupancy_in_masks import LEAK, occupancy_of_masks, with_leak
from occupy_jit.estimation.regions.reading import DEPTH_ANGSTROM, DEPTH_POWER, reader_of
from occupy_jit.estimation.regions.response import ReadMap, draw_noise, measure_response
from occupy_jit.estimation.regions.weighted_median import Median, block_edge, weighted_median
from occupy_jit.estimation.scale.errors import STANDARD, relative_error_of_full_scale
from occupy_jit.kernels.grid import fields
from occupy_jit.kernels.grid.smoothing import smooth
from tests import naive, simulated
from tests.estimates import estimate


@pytest.fixture(scope="module", params=[6.0, 3.0])
def made(request):
    return simulated.complex_with_occupancies(request.param, seed=0)


@pytest.fixture(scope="module")
def result(made):
    return estimate(made.map, voxel_size=made.voxel_size, with_confidence=False)


def masks_of(made, angstrom):
    """Around each chain, what is nearest to it."""
    near = np.stack([simulated.distance_to(made.atoms[made.chain == number], 84, 12 / made.voxel_size)
                     for number in range(len(made.occupancies))]) * made.voxel_size
    nearest = near.argmin(axis=0)
    return [(f"chain {number}", (nearest == number) & (distance <= angstrom)) for number, distance in enumerate(near)]


@pytest.mark.slow
def test_the_width_of_the_mask_hardly_matters(made, result):
    for angstrom in (3, 6):
        rows = occupancy_of_masks(result, masks_of(made, angstrom))
        found = np.array([row["occupancy"] for row in rows])
        # twice what the medians over atoms are within in this complex: chains touch, and the walls of masks cut them
        assert np.abs(found - made.occupancies).max() < 0.13
    plain = [result.scale[mask].mean() for _, mask in masks_of(made, 6)]
    assert np.abs(found - made.occupancies).max() < np.abs(plain - made.occupancies).max() / 2


@pytest.mark.slow
def test_errors_cover_what_noise_does(made):
    """The same chains under other noise: medians spread no more than their errors say, which hold structure too."""
    rng = np.random.default_rng(3)
    noise = (made.map - made.signal).ravel()
    masks = masks_of(made, 3)
    tables = []
    for _ in range(6):
        shift = rng.integers(20, 60, 3)
        other = np.roll(noise.reshape(made.map.shape), shift, (0, 1, 2))
        found = estimate((made.signal + other).astype(np.float32), voxel_size=made.voxel_size, with_confidence=False)
        tables.append(occupancy_of_masks(found, masks))
    told = 0
    for rows in zip(*tables, strict=True):
        spread = np.std([row["occupancy"] for row in rows], ddof=1)
        if any(row["error"] is None for row in rows):
            continue
        told += 1
        stated = np.hypot(np.mean([row["error"] for row in rows]),
                          rows[0]["occupancy"] * relative_error_of_full_scale(found))
        # of six numbers the spread is known within a third; that of chains that read 1 whatever the noise is none
        assert spread < 2 * stated
        assert 0 < spread or all(row["occupancy"] == 1 for row in rows)
    assert told >= 2


def test_weights_overlaps_and_order_do_not_matter(made, result):
    masks = masks_of(made, 3)
    rows = occupancy_of_masks(result, masks)
    halved = occupancy_of_masks(result, [(name, mask * np.float32(0.5)) for name, mask in reversed(masks)])
    for one, other in zip(rows, reversed(halved), strict=True):
        assert other["occupancy"] == pytest.approx(one["occupancy"], rel=1e-6)
        assert other["blocks"] == pytest.approx(one["blocks"], rel=1e-6)
        assert (other["error"] is None) == (one["error"] is None) == (one["blocks"] < 3)
        if one["error"] is not None:
            assert other["error"] == pytest.approx(one["error"], rel=1e-6)
        assert other["voxels"] == pytest.approx(one["voxels"] / 2, rel=1e-6)
    # a mask that holds two chains reads something between them
    both = masks[0][1] | masks[3][1]
    (row,) = occupancy_of_masks(result, iter([("both", both)]))
    assert rows[3]["occupancy"] <= row["occupancy"] <= rows[0]["occupancy"]


def slowly_read(result, mask):
    """Median of the maximum inside of the mask, at the peaks there, and the weight of every voxel.

    Voxels deep in the mask weigh more than its rim.
    """
    height = result.lowpass.astype(float) - result.zero
    inside = mask > 0
    maximum = naive.sliding_maximum(np.where(inside, height, height.min()).astype(np.float32), result.ball.radius,
                                    result.ball.size)
    mask = np.clip(mask, 0, 1).astype(np.float32)
    weight = mask * smooth(mask, DEPTH_ANGSTROM / result.voxel_size) ** DEPTH_POWER * (height > maximum / 2)
    return weighted_median([(maximum[inside], weight[inside], np.zeros(inside.sum(), int))]).value, weight


@pytest.mark.slow
def test_it_is_what_the_peaks_inside_of_the_mask_read_at_the_response_of_the_map(made, result):
    name, mask = masks_of(made, 3)[2]
    soft = mask * np.linspace(0.3, 1, mask.shape[0])[:, None, None].astype(np.float32)
    read_map = ReadMap(result.lowpass, result.zero, result.floor, result.quiet, None, result.ball, result.voxel_size)
    response = measure_response(read_map, draw_noise(read_map))
    for wanted in (mask, soft):
        level = response.level(slowly_read(result, wanted)[0], result.floor)
        (row,) = occupancy_of_masks(result, [(name, wanted)])
        full = result.full_scale
        assert row["occupancy"] == pytest.approx(min(level / full, 1), abs=1e-4)


@pytest.mark.slow
def test_with_halves_the_noise_is_that_around_the_region(made):
    """The floor around the peaks of the mask is the unit of what is read there."""
    difference = np.ascontiguousarray((made.map - made.signal)[::-1, :, ::-1])
    difference *= np.linspace(0.5, 1.5, 84, dtype=np.float32)
    found = estimate(made.map, voxel_size=made.voxel_size, with_confidence=False, half_difference=difference)
    name, mask = masks_of(made, 3)[2]
    reading, weight = slowly_read(found, mask)
    floors = fields.part_of(found.floor_map, made.map.shape, (slice(None),) * 3)
    floor = float(np.average(floors, weights=weight))
    assert abs(floor / found.floor - 1) > 0.02
    read_map = ReadMap(found.lowpass, found.zero, found.floor_map, found.quiet, found.half_difference, found.ball,
                       found.voxel_size)
    response = measure_response(read_map, draw_noise(read_map))
    (row,) = occupancy_of_masks(found, [(name, mask)])
    full = found.full_scale
    assert row["occupancy"] == pytest.approx(min(response.level(reading, floor) / full, 1), abs=1e-4)


@pytest.mark.parametrize("voxel_size", [1.2, 2.2])
def test_whole_chains_read_1_at_any_voxel_size(voxel_size):
    """By a quantile of the map in the strongest cube they would be 1.1 in coarse voxels."""
    made = simulated.complex_with_occupancies(
        6.0, seed=2, box=round(50 / voxel_size) * 2, voxel_size=voxel_size, occupancies=(1.0, 1.0, 1.0, 0.5),
        resolution_angstrom=max(3, 2.2 * voxel_size))
    found = estimate(made.map, voxel_size=voxel_size, with_confidence=False)
    reader = reader_of(found)
    levels = []
    for chain in range(4):
        distance = simulated.distance_to(made.atoms[made.chain == chain], len(made.map), 6 / voxel_size) * voxel_size
        levels.append(reader.read(distance <= 3).value / found.full_scale)
    # chains differ by their structure, as the three full ones do
    spread = np.std(levels[:3], ddof=1)
    assert np.mean(levels[:3]) == pytest.approx(1, abs=0.025 + 2 * spread / np.sqrt(3))
    assert levels[3] == pytest.approx(0.5, abs=0.025 + LEAK + 2 * spread)


def test_the_error_holds_what_neighbours_bring_in(made, result):
    """Of blocks alone it is less, but not for a full part; a clean weak chain is off by no more than three of it."""
    plain = [Median(value, 0.003, 9.0) for value in (-0.1, 0.0, 0.4, 1.0, 1.2)]
    added = [np.sqrt(with_leak(median).error ** 2 - 0.003**2) for median in plain]
    assert added == pytest.approx([LEAK, LEAK, 0.6 * LEAK, 0, 0], abs=1e-9)
    assert with_leak(Median(0.2, None, 1.5)).error is None
    clean = estimate((made.signal + 1e-3 * (made.map - made.signal)).astype(np.float32), voxel_size=made.voxel_size,
                     with_confidence=False)
    rows = occupancy_of_masks(clean, masks_of(made, 3))
    for row, occupancy in zip(rows, made.occupancies, strict=True):
        if row["error"] is not None and occupancy < 1:
            wide = np.hypot(row["error"], occupancy * relative_error_of_full_scale(clean))
            assert abs(row["occupancy"] - occupancy) < 3 * wide


def test_small_masks_have_no_error_and_empty_ones_nothing(result):
    edge = block_edge(result.voxel_size)
    small = np.zeros(result.scale.shape, np.int8)
    corner = tuple(slice(3 * edge, 4 * edge) for _ in range(3))
    small[corner] = 1
    rows = occupancy_of_masks(result, [("small", small), ("empty", np.zeros(small.shape)),
                                       ("negative", np.full(small.shape, -1.0))])
    assert rows[0]["error"] is None and rows[0]["blocks"] == pytest.approx(1) and rows[0]["occupancy"] is not None
    assert [row["occupancy"] for row in rows[1:]] == [None, None]
    assert occupancy_of_masks(result, []) == []


def test_solvent_reads_about_nothing(made, result):
    (row,) = occupancy_of_masks(result, [("solvent", made.distance > 10)])
    assert row["occupancy"] < 0.1


def test_full_scale_has_an_error_that_a_given_one_has_not(made, result):
    assert 0 < result.full_scale_error < 0.15 * result.full_scale
    assert relative_error_of_full_scale(result) >= STANDARD
    given = estimate(made.map, voxel_size=made.voxel_size, with_confidence=False, full_scale=result.full_scale)
    assert given.full_scale_error == 0 and relative_error_of_full_scale(given) == STANDARD


def test_what_cannot_be_used_is_refused(result):
    with pytest.raises(ValueError, match="shape"):
        occupancy_of_masks(result, [("m", np.ones((3, 3, 3)))])
    lean = estimate(simulated.blobs((20, 20, 20), 1), voxel_size=1.2, keep_lowpass=False)
    with pytest.raises(ValueError, match="keep_lowpass"):
        occupancy_of_masks(lean, [("m", np.ones((20, 20, 20)))])
