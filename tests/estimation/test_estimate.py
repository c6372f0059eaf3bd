"""The whole estimate: against the formulas, its symmetries, and what must not change it."""

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from occupy_jit.errors import InputError
from occupy_jit.estimation.scale import estimate as estimation
from occupy_jit.estimation.scale.ball import choose_ball
from occupy_jit.kernels.full_scale import full_scale_tau, largest_quantile
from occupy_jit.settings import Settings
from tests import naive, simulated
from tests.estimates import estimate

VOXEL_SIZE = 1.2
EPSILON = float(np.finfo(np.float32).eps)


def rounding(volume, largest=None):
    """Error of a filtered map: a rounding in each stage of the transforms, there and back, of the largest value."""
    return 4 * EPSILON * math.log2(volume.size) * float(largest or np.abs(volume).max())


def unit_of_scale(result):
    """How much S changes at most when M', f or x changes by 1: dS/dM' is at most 2 / x, dS/df too, dS/dx 1 / x."""
    return 2 / result.full_scale


def quiet_voxels(result):
    return np.stack([result.quiet.section(z) for z in range(len(result.scale))])


def assert_same_estimate(one, other, error, gain=1.0, turned=False):
    """Two estimates of one map but for errors of its values and for the `gain` of the second.

    A voxel on the threshold of quiet may fall on either side, and moves the levels by what is measured here. In a map
    that was `turned`, another one of the cubes that share the voxel at the quantile may be found first: it reads
    what it reads, and differs by less than the cube without an eighth of it does.
    """
    quiet, quiet_too = quiet_voxels(one), quiet_voxels(other)
    changed = np.count_nonzero(quiet != quiet_too) / np.count_nonzero(quiet)
    assert changed < 0.01
    moved = error + abs(one.zero - other.zero / gain) + abs(one.floor - other.floor / gain)
    assert moved < error + changed * 5 * (one.floor + one.noise) + error
    assert abs(one.full_scale_quantile - other.full_scale_quantile / gain) <= 2 * moved
    difference = abs(one.full_scale - other.full_scale / gain)
    # the part of the noise in the cube goes as sigma^2, which moves by twice its relative error
    share = 2 * moved * (1 + one.full_scale_quantile / one.noise)
    assert difference <= share + (one.full_scale_error if turned else 0)
    moved += difference
    # M', f and x move each by at most that
    unit = 4 * unit_of_scale(one) * moved + 8 * EPSILON
    assert np.abs(one.scale - other.scale).max() <= unit
    # the ramp of the confidence is one spread wide, which is at least 0.08 of that of M'
    ramp = 0.08 * max(one.scale_noise, 0.01) * one.full_scale
    gate = unit / 0.08
    assert np.abs(one.confidence - other.confidence).max() <= 8 * moved / ramp + gate + changed


@pytest.mark.parametrize("shape", [(24, 24, 24), (23, 25, 27), (20, 30, 25), (12, 16, 14), (13, 13, 40)])
def test_it_is_the_formulas(shape):
    volume = simulated.blobs(shape, seed=shape[0])
    found = estimate(volume, voxel_size=VOXEL_SIZE)
    expected, confidence, zero, floor, full = naive.estimate(volume, quiet_voxels(found), VOXEL_SIZE, 3.0, 7,
                                                             found.tile)
    error = rounding(volume)
    assert found.tile == min(shape) // 4  # 30 Å are 25 voxels: the box limits it
    assert abs(found.zero - zero) <= error
    assert abs(found.floor - floor) <= 2 * error
    assert abs(found.full_scale - full) <= 2 * error
    unit = 4 * unit_of_scale(found) * error + 8 * EPSILON
    assert np.abs(found.scale - expected).max() <= unit
    ramp = 0.08 * max(found.scale_noise, 0.01) * found.full_scale
    assert np.abs(found.confidence - confidence).max() <= 8 * error / ramp + unit / 0.08
    assert np.abs(found.lowpass - naive.lowpass(volume, 6 * VOXEL_SIZE, VOXEL_SIZE)).max() <= error
    # the comparison says something only where there is something
    assert (found.scale > 0.2).mean() > 0.005 and (found.scale < 0.2).mean() > 0.2


@pytest.mark.parametrize("shape", [(24, 24, 24), (20, 30, 25)])
def test_quiet_voxels_are_those_of_the_iteration(shape):
    volume = simulated.blobs(shape, seed=2)
    found = estimate(volume, voxel_size=VOXEL_SIZE)
    power, threshold = naive.find_quiet(found.lowpass, VOXEL_SIZE)
    assert np.allclose(found.quiet.power, power, rtol=1e-4, atol=1e-6 * power.max())
    # Six rounds of medians, each known within 2^-11 and half a rank, multiplied with at most 1 + 4 * 1.48.
    ordered = np.sort(power[naive.inscribed_sphere(shape)])
    gap = np.diff(ordered[np.searchsorted(ordered, threshold) // 3:np.searchsorted(ordered, threshold)]).max()
    assert abs(found.quiet.threshold - threshold) <= 7 * (2**-11 * threshold + gap)
    assert found.quiet_share == np.count_nonzero(quiet_voxels(found)) / naive.inscribed_sphere(shape).sum()


@pytest.mark.slow
@settings(deadline=None, max_examples=12)
@given(st.permutations(range(3)), st.tuples(*[st.booleans()] * 3), st.integers(0, 50))
def test_turned_and_mirrored_maps_give_the_same(axes, mirrored, seed):
    volume = simulated.blobs((24, 21, 30), seed)
    flips = [axis for axis in range(3) if mirrored[axis]]
    one = estimate(volume, voxel_size=VOXEL_SIZE)
    other = estimate(np.flip(volume.transpose(axes), flips), voxel_size=VOXEL_SIZE)

    def back(array):
        return np.flip(array, flips).transpose(np.argsort(axes))

    other = dataclasses.replace(other, scale=back(other.scale), confidence=back(other.confidence))
    other.quiet.power, other.quiet.shape = back(other.quiet.power), volume.shape
    assert_same_estimate(one, other, rounding(volume), turned=True)


def test_large_maps_are_mirrored_too():
    """Above a million voxels medians see every other voxel only: the same ones from either side."""
    rng = np.random.default_rng(0)
    volume = np.zeros((104, 101, 102), np.float32)
    middle = simulated.blobs((48, 48, 48), 3)
    volume[28:76, 26:74, 27:75] = middle
    volume += rng.normal(0, 0.05, volume.shape).astype(np.float32)
    one = estimate(volume, voxel_size=VOXEL_SIZE)
    other = estimate(volume[::-1, :, ::-1], voxel_size=VOXEL_SIZE)
    other = dataclasses.replace(other, scale=other.scale[::-1, :, ::-1], confidence=other.confidence[::-1, :, ::-1])
    other.quiet.power = other.quiet.power[::-1, :, ::-1]
    assert_same_estimate(one, other, rounding(volume), turned=True)


def test_cells_find_what_voxels_find(monkeypatch):
    """What lives on cells in a large map differs from the same voxel by voxel by less than what noise does to it."""
    made = np.zeros((104, 101, 102), np.float32)
    made[28:76, 26:74, 27:75] = simulated.blobs((48, 48, 48), 3)
    made += np.random.default_rng(0).normal(0, 0.05, made.shape).astype(np.float32)
    on_cells = estimate(made, voxel_size=VOXEL_SIZE)
    monkeypatch.setattr("occupy_jit.estimation.grids.LEAST_SIGMA", np.inf)
    on_voxels = estimate(made, voxel_size=VOXEL_SIZE)
    assert on_cells.quiet.on_cells and not on_voxels.quiet.on_cells
    assert on_cells.quiet_share == pytest.approx(on_voxels.quiet_share, abs=0.005)
    assert on_cells.floor == pytest.approx(on_voxels.floor, abs=0.05 * on_voxels.scale_noise * on_voxels.full_scale)
    assert np.abs(on_cells.scale - on_voxels.scale).max() < 0.1 * on_voxels.scale_noise
    a, b = on_cells.confidence > 0.5, on_voxels.confidence > 0.5
    assert 2 * np.count_nonzero(a & b) > 0.98 * (np.count_nonzero(a) + np.count_nonzero(b))


@pytest.mark.slow
@settings(deadline=None, max_examples=20)
@given(st.floats(-6, 6), st.floats(-10, 10), st.integers(0, 50))
def test_grey_scale_and_offset_do_not_matter(exponent, offset, seed):
    volume = simulated.blobs((24, 24, 24), seed)
    gain = 10.0**exponent
    one = estimate(volume, voxel_size=VOXEL_SIZE)
    changed = (gain * (volume.astype(np.float64) + offset)).astype(np.float32)
    other = estimate(changed, voxel_size=VOXEL_SIZE)
    other = dataclasses.replace(other, zero=other.zero - gain * offset)
    # the offset costs digits of the file, and of every step before the zero level is taken off
    assert_same_estimate(one, other, rounding(volume, np.abs(volume).max() + abs(offset)), gain)


def test_bits_do_not_depend_on_threads():
    volume = simulated.blobs((40, 41, 42), 1)
    for mode in ("occupancy", "resolution"):
        one, two = (estimate(volume, Settings(scale_mode=mode), voxel_size=VOXEL_SIZE, thread_count=n) for n in (1, 2))
        assert np.array_equal(one.scale, two.scale)
        assert np.array_equal(one.confidence, two.confidence)
        assert np.array_equal(one.lowpass, two.lowpass)
        assert (one.full_scale, one.zero, one.floor) == (two.full_scale, two.zero, two.floor)


def test_the_scale_does_not_depend_on_the_solvent_definition():
    volume = simulated.blobs((32, 32, 32), 1)
    z, y, x = np.indices(volume.shape) - 15.5
    mask = z * z + y * y + x * x < 11**2
    plain = estimate(volume, voxel_size=VOXEL_SIZE)
    for marks in (mask, ~mask, mask * 0.7 + 0.1):
        found = estimate(volume, voxel_size=VOXEL_SIZE, solvent_mask=marks)
        assert np.array_equal(found.scale, plain.scale)
        assert (found.full_scale, found.zero, found.floor) == (plain.full_scale, plain.zero, plain.floor)
        assert found.solvent_limit == plain.solvent_limit
        assert found.solvent.counts.sum() != plain.solvent.counts.sum()  # it was used


@pytest.mark.slow
@pytest.mark.parametrize("given", [{}, {"scale_mode": "resolution"}, {"lowpass_input_angstrom": 1.0},
                                   {"no_confidence": True}])
def test_what_is_kept_or_overwritten_does_not_change_the_bits(given):
    volume = simulated.blobs((32, 30, 34), 5)
    before = volume.copy()
    wanted = estimate(volume, Settings(**given), voxel_size=VOXEL_SIZE)
    assert np.array_equal(volume, before)
    for keep in (True, False):
        for sure in (True, False):
            for overwrite in (True, False):
                work = volume.copy()
                found = estimate(work, Settings(**given), voxel_size=VOXEL_SIZE, keep_lowpass=keep,
                                 with_confidence=sure, overwrite=overwrite)
                assert overwrite or np.array_equal(work, before)
                assert np.array_equal(found.scale, wanted.scale)
                assert np.array_equal(found.confidence, wanted.confidence) if sure else found.confidence is None
                assert np.array_equal(found.lowpass, wanted.lowpass) if keep else found.lowpass is None
                assert found.verdicts == wanted.verdicts or not sure


def test_any_type_and_layout_gives_the_same():
    volume = np.round(simulated.blobs((24, 22, 20), 4) * 40).astype(np.int16)
    wanted = estimate(volume.astype(np.float32), voxel_size=VOXEL_SIZE).scale
    for same in (volume, np.asfortranarray(volume), volume.astype(">f4"), volume.astype(np.float64),
                 np.repeat(volume, 2, axis=0)[::2]):
        assert np.array_equal(estimate(same, voxel_size=VOXEL_SIZE).scale, wanted)


@settings(deadline=None, max_examples=30)
@given(st.tuples(*[st.integers(8, 18)] * 3), st.integers(0, 99), st.sampled_from(["occupancy", "resolution"]))
def test_a_box_of_any_shape_gets_a_scale(shape, seed, mode):
    """From 8 voxels on; smaller ones are refused, see the tests of the Python interface."""
    volume = np.random.default_rng(seed).standard_normal(shape, dtype=np.float32)
    found = estimate(volume, Settings(scale_mode=mode), voxel_size=VOXEL_SIZE)
    for name in ("scale", "confidence"):
        values = getattr(found, name)
        assert values.shape == shape and values.dtype == np.float32
        assert np.all((values >= 0) & (values <= 1))
    # in noise alone, as here, nothing need reach full scale: the highest voxel reads what it reads
    source = volume if mode == "resolution" else found.lowpass
    highest = naive.scale(source.max(keepdims=True), found.zero, found.floor, found.full_scale).item()
    error = 32 * EPSILON * float(np.abs(source).max()) / found.full_scale
    assert found.scale.max() == pytest.approx(highest, abs=error)


def test_the_scale_reaches_full_scale_in_its_cube():
    volume = simulated.blobs((40, 40, 40), 1)
    found = estimate(volume, voxel_size=VOXEL_SIZE)
    cube = tuple(slice(c, c + found.tile) for c in found.full_scale_corner)
    assert found.scale[cube].max() == 1
    assert largest_quantile(found.lowpass, found.tile, found.tau)[1] == found.full_scale_corner


def test_a_known_full_scale_is_used():
    volume = simulated.blobs((30, 30, 30), 1)
    own = estimate(volume, voxel_size=VOXEL_SIZE)
    found = estimate(volume, voxel_size=VOXEL_SIZE, full_scale=own.full_scale)
    assert np.array_equal(found.scale, own.scale) and found.full_scale_corner is None
    doubled = estimate(volume, voxel_size=VOXEL_SIZE, full_scale=2 * own.full_scale)
    assert doubled.scale.max() < 1
    expected = naive.scale(naive.sliding_maximum(own.lowpass, 3.0, 7), own.zero, own.floor, 2 * own.full_scale)
    assert np.abs(doubled.scale - expected).max() < 16 * EPSILON


@pytest.mark.parametrize("given", [{}, {"scale_mode": "resolution"}, {"naive_normalisation": True}, {"tau": 0.8}])
def test_full_scale_alone_is_that_of_the_estimate(given):
    volume = simulated.blobs((30, 31, 32), 1)
    wanted = estimate(volume, Settings(**given), voxel_size=VOXEL_SIZE)
    found = estimation.measure_full_scale(volume, Settings(**given), voxel_size=VOXEL_SIZE)
    assert found[:6] == (wanted.full_scale, wanted.full_scale_corner, wanted.tile, wanted.zero, wanted.tau,
                         wanted.full_scale_quantile)


def test_resolution_mode_measures_the_unfiltered_map():
    volume = simulated.blobs((24, 22, 26), 6, noise=0.02)
    found = estimate(volume, Settings(scale_mode="resolution"), voxel_size=VOXEL_SIZE)
    expected, confidence, zero, floor, full = naive.estimate(volume, quiet_voxels(found), VOXEL_SIZE, 3.0, 7,
                                                             found.tile, on_raw_map=True)
    # no filter lies in between: only sums and the ratio are rounded
    assert found.zero == pytest.approx(zero, abs=EPSILON * 4)
    assert found.floor == pytest.approx(floor, rel=1e-5)
    assert found.full_scale == pytest.approx(full, rel=1e-6)
    assert np.abs(found.scale - expected).max() < 4 * unit_of_scale(found) * 4 * EPSILON + 16 * EPSILON
    assert np.abs(found.confidence - confidence).max() < 1e-3


def test_naive_normalisation_takes_the_maximum():
    volume = simulated.blobs((24, 24, 24), 1)
    found = estimate(volume, Settings(naive_normalisation=True), voxel_size=VOXEL_SIZE)
    wanted = full_scale_tau(123) * (float(found.lowpass.max()) - found.zero)
    assert found.full_scale == pytest.approx(wanted, rel=1e-6)
    assert found.full_scale_corner is None


def test_tau_and_tile_size_are_used():
    volume = simulated.blobs((40, 40, 40), 1)
    by_default = estimate(volume, voxel_size=VOXEL_SIZE)
    assert by_default.tau == pytest.approx(naive.tau_of(123), abs=1e-12)
    found = estimate(volume, Settings(tau=0.5, tile_size_angstrom=7.2), voxel_size=VOXEL_SIZE)
    assert (found.tau, found.tile) == (0.5, 6)
    value, corner = largest_quantile(found.lowpass, 6, 0.5)
    assert found.full_scale_corner == corner
    assert found.full_scale_quantile == pytest.approx(float(value) - found.zero, rel=1e-6)


def test_noise_floor_zero_is_the_plain_ratio_and_a_value_is_used():
    volume = simulated.blobs((24, 24, 24), 1)
    measured = estimate(volume, voxel_size=VOXEL_SIZE)
    plain = estimate(volume, Settings(noise_floor=0.0), voxel_size=VOXEL_SIZE)
    height = naive.sliding_maximum(measured.lowpass, 3.0, 7).astype(np.float64) - measured.zero
    assert np.abs(plain.scale - np.clip(height / measured.full_scale, 0, 1)).max() < 16 * EPSILON
    half = estimate(volume, Settings(noise_floor=measured.floor / 2), voxel_size=VOXEL_SIZE)
    assert half.floor == measured.floor / 2
    assert np.all(half.scale >= measured.scale) and np.all(half.scale <= plain.scale + 4 * EPSILON)
    # solvent reads what it reads: about nothing only with the floor
    quiet = quiet_voxels(measured)
    assert np.median(measured.scale[quiet]) < 0.01 < np.median(plain.scale[quiet])
    assert np.array_equal(half.confidence > 0.5, measured.confidence > 0.5)


def test_low_pass_and_kernel_follow_from_what_is_given():
    volume = simulated.blobs((24, 24, 24), 1)

    def of(**given):
        found = estimate(volume, Settings(**given), voxel_size=VOXEL_SIZE)
        return found.lowpass_angstrom, found.ball

    assert of() == (pytest.approx(7.2), choose_ball(7.2, VOXEL_SIZE))
    assert of(resolution_angstrom=5.0) == (5.0, choose_ball(5.0, VOXEL_SIZE))
    assert of(resolution_angstrom=5.0, lowpass_input_angstrom=9.6) == (9.6, choose_ball(9.6, VOXEL_SIZE))
    assert of(kernel_size=5)[1] == choose_ball(7.2, VOXEL_SIZE, size=5)


def test_a_map_object_brings_its_voxel_size():
    from occupy_jit.files.maps.maps import map_from_array

    volume = simulated.blobs((20, 20, 20), 1)
    found = estimate(map_from_array(volume, 1.5))
    assert found.voxel_size == 1.5
    assert np.array_equal(found.scale, estimate(volume, voxel_size=1.5).scale)


def test_what_cannot_be_used_is_refused():
    volume = simulated.blobs((16, 16, 16), 1)
    broken = volume.copy()
    broken[3, 4, 5] = np.nan
    broken[3, 4, 6] = np.inf
    for bad, message in ((broken, "2 voxels are NaN"), (np.full_like(volume, 2), "constant"),
                         (volume * np.float32(1e-20), "too little"), (volume * np.float32(1e20), "too much")):
        with pytest.raises(InputError, match=message):
            estimate(bad, voxel_size=VOXEL_SIZE)
        with pytest.raises(InputError, match=message):
            estimation.measure_full_scale(bad, voxel_size=VOXEL_SIZE)
    for size in (None, 0, -1.0, math.nan, math.inf):
        with pytest.raises(ValueError, match="voxel_size"):
            estimate(volume, voxel_size=size)
    for bad in (volume[0], volume * 1j, volume.tolist()):
        with pytest.raises(TypeError, match="volume"):
            estimate(bad, voxel_size=VOXEL_SIZE)
    with pytest.raises(ValueError, match="solvent mask"):
        estimate(volume, voxel_size=VOXEL_SIZE, solvent_mask=volume[:-1])
    with pytest.raises(InputError, match="everything or nothing"):
        estimate(volume, voxel_size=VOXEL_SIZE, solvent_mask=np.ones_like(volume))


def codes(volume, given=None, **options):
    found = estimate(volume, Settings(**(given or {})), voxel_size=VOXEL_SIZE, **options)
    for _, sentence in found.verdicts:
        assert len(sentence.splitlines()) == 1
    return {code for code, _ in found.verdicts} - {"kernel-large"}


@pytest.fixture(scope="module")
def particle():
    return simulated.complex_with_occupancies(4, seed=1, box=72, occupancies=(1.0, 0.5), atoms=500)


def test_an_ordinary_map_has_no_verdict(particle):
    assert codes(particle.map) == set()
    # few steps of grey are not a flattened solvent
    few = np.rint(particle.map / particle.map.std() * 6)
    assert codes(few.clip(-128, 127).astype(np.int8)) == set()


def test_flattened_solvent_is_told(particle):
    assert "solvent-flattened" in codes(np.where(particle.distance < 8, particle.map, 0))


def test_inverted_contrast_is_told(particle):
    assert "contrast-inverted" in codes(-particle.map)


def test_missing_solvent_is_told(particle):
    centre = np.rint(particle.atoms[particle.chain == 0].mean(axis=0)).astype(int)
    inside = tuple(slice(c - 12, c + 13) for c in centre)
    assert "no-solvent" in codes(particle.map[inside])


def test_noise_alone_is_told():
    for seed in range(3):
        noise = np.random.default_rng(seed).standard_normal((48, 48, 48), dtype=np.float32)
        assert codes(noise) == {"noise-dominates"}


def test_a_useless_noise_floor_is_told(particle):
    assert codes(particle.map, {"noise_floor": 100.0}) == {"noise-floor-ignored"}


def test_an_inverted_solvent_definition_is_told(particle):
    content = particle.distance < 5
    assert codes(particle.map, solvent_mask=content) == set()
    assert codes(particle.map, solvent_mask=~content) == {"solvent-def-inverted"}


def test_a_large_kernel_is_told():
    found = estimate(simulated.blobs((24, 24, 24)), voxel_size=VOXEL_SIZE)
    assert "kernel-large" in {code for code, _ in found.verdicts}


def test_a_known_range_is_taken_as_it_is_and_judged_all_the_same():
    volume = simulated.blobs((24, 25, 26), 3)
    looked = estimate(volume, voxel_size=VOXEL_SIZE)
    known = estimate(volume, voxel_size=VOXEL_SIZE, value_range=(float(volume.min()), float(volume.max())))
    assert known.range == looked.range and np.array_equal(known.scale, looked.scale)
    with pytest.raises(InputError, match="constant"):
        estimate(volume, voxel_size=VOXEL_SIZE, value_range=(1.0, 1.0))


def test_settings_that_are_none_are_refused_in_words():
    with pytest.raises(TypeError, match="must be occupy_jit.Settings.*not dict"):
        estimate(np.zeros((8, 8, 8), np.float32), {"tau": 0.9}, voxel_size=1.0)
