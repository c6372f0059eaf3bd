"""What regions read in noise: the curve that is measured on a map is that of content of known occupancies."""

import numpy as np
import pytest

from occupy_jit.estimation.regions.reading import Reader
from occupy_jit.estimation.regions.response import (
    SHARES,
    ReadMap,
    Response,
    cut_to,
    draw_noise,
    measure_response,
    strongest_content,
)
from tests import simulated
from tests.estimates import estimate


def made_with(occupancies, signal_to_noise=2.0, seed=5):
    return simulated.complex_with_occupancies(signal_to_noise, seed=seed, occupancies=occupancies)


def read_map(made, volume=None, **options):
    found = estimate(made.map if volume is None else volume, voxel_size=made.voxel_size, with_confidence=False,
                     **options)
    return ReadMap(found.lowpass, found.zero, found.floor_map, found.quiet, found.half_difference, found.ball,
                   found.voxel_size)


def around(made, chains, angstrom=3.0):
    atoms = made.atoms[np.isin(made.chain, chains)]
    return simulated.distance_to(atoms, 84, 6 / made.voxel_size) * made.voxel_size <= angstrom


@pytest.mark.slow
def test_weak_chains_read_their_occupancy_and_absent_ones_nothing():
    """Over draws of noise, which would lift the absent chain by more than a tenth."""
    made = made_with((1.0, 1.0, 0.5, 0.25, 0.0))
    masks = [around(made, [number]) for number in range(5)]
    rows, plain = [], []
    for seed in range(4):
        of = read_map(made, (made.signal + simulated.noise_like(made, 100 + seed)).astype(np.float32))
        reader = Reader(of)
        rows.append([reader.read(mask).value for mask in masks])
        unlifted = Reader(of)
        unlifted._response = Response(0.0, np.ones(1), np.zeros(1))
        plain.append([unlifted.read(mask).value for mask in masks])
    rows, plain = (np.array(a) / np.mean(a, axis=0)[:2].mean() for a in (rows, plain))
    spread = rows.std(axis=0, ddof=1) / np.sqrt(len(rows))
    # chains of one occupancy differ by their structure, as the two full ones do
    structure = abs(rows[:, 0].mean() - rows[:, 1].mean()) + 0.05
    assert np.all(np.abs(rows.mean(axis=0) - made.occupancies) < 2.5 * spread + structure)
    assert plain[:, 4].mean() > 0.1 + rows[:, 4].mean()


@pytest.mark.slow
@pytest.mark.parametrize("signal_to_noise", [1.5, 3.0])
def test_the_curve_is_that_of_content_in_noise_of_one_strength(signal_to_noise):
    """Signal at shares of its occupancy, in noise that the map did not hold, reads what the curve says."""
    made = made_with((1.0, 1.0, 1.0, 1.0), signal_to_noise)
    of = read_map(made)
    response = measure_response(of, draw_noise(of))
    assert np.all(np.diff(response.readings) >= 0) and np.all(np.diff(response.levels) > 0)
    strong, box = strongest_content(of)
    full = []
    for share in SHARES:
        readings = []
        for seed in range(3):
            noise = simulated.noise_like(made, 50 + seed)
            other = read_map(made, (share * made.signal + noise).astype(np.float32))
            highest = other.maximum(other.volume)[box] - other.zero
            height = other.volume[box] - other.zero
            readings.append(np.median(highest[strong & (height > highest / 2)]))
        full.append(response.level(float(np.mean(readings)), of.floor))
    found = np.array(full) / full[-1]
    # strong places were chosen in the map's own noise, and draws differ
    assert np.abs(found - SHARES).max() < 0.08


def test_a_level_is_a_reading_without_noise():
    response = Response(1.2, np.array([1.0, 2.0, 4.0]), np.array([0.0, 1.5, 3.75]))
    assert response.level(0.5, 1.0) == 0 and response.level(1.2, 1.0) == 0
    assert response.level(2.4, 1.0) == pytest.approx(1.8)
    assert response.level(4.8, 2.0) == pytest.approx(3.6)
    # beyond the curve noise adds its square over the level, and there is no step
    assert response.level(4.8 + 1e-9, 1.0) == pytest.approx(4.5)
    assert response.level(48.0, 1.0) == pytest.approx(1.2 * (40 - 1 / 40))
    assert response.level(0.7, 0.0) == 0.7


def test_maps_without_noise_or_content_have_a_response():
    made = made_with((1.0, 0.5))
    clean = read_map(made, made.signal, settings=None)
    assert measure_response(clean, draw_noise(clean)).level(1.0, clean.floor) == pytest.approx(1, abs=0.01)
    noise = simulated.noise_like(made, 3).astype(np.float32)
    empty = read_map(made, noise)
    response = measure_response(empty, draw_noise(empty))
    level = Reader(empty).read(around(made, [0])).value
    assert 0 <= level < empty.floor and response.of_noise > 1
    flat = ReadMap(np.zeros((20, 20, 20), np.float32), 0.0, 0.0, None, None, empty.ball, 1.2)
    assert measure_response(flat, draw_noise(flat)).level(0.3, 0.0) == 0.3


def test_neither_threads_nor_units_matter():
    made = made_with((1.0, 0.3))
    of = read_map(made)
    one, two = (measure_response(of, draw_noise(of, threads)) for threads in (1, 2))
    assert one.of_noise == two.of_noise and np.array_equal(one.readings, two.readings)
    assert np.array_equal(one.levels, two.levels)
    eightfold = ReadMap(8 * of.volume, 8 * of.zero, 8 * of.floor, of.quiet, None, of.ball, of.voxel_size)
    other = measure_response(eightfold, draw_noise(eightfold))
    np.testing.assert_allclose(other.readings, one.readings, rtol=1e-4)


def test_a_box_holds_all_of_a_mask():
    mask = np.zeros((30, 20, 25), np.float32)
    mask[11:14, 5, 24] = 0.5
    part, box = cut_to(mask, 2, 4)
    assert [(s.start, s.stop) for s in box] == [(8, 16), (0, 8), (20, 25)]
    assert part.sum() == mask.sum()
    assert cut_to(np.zeros((3, 4, 5)), 1)[0].shape == (3, 4, 5)
