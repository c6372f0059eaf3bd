"""Counts, order statistics, moments and the threshold of quiet voxels: exact, or as near as derived."""

import itertools
import math

import numba
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from occupy_jit.kernels.grid.sphere import sphere_row
from occupy_jit.kernels.jit.decorator import threads
from occupy_jit.kernels.moments import moments, quiet_moments, sums_above, volume_range
from occupy_jit.kernels.quantiles import histogram, power_threshold, quantile, quiet_median
from tests import naive

pytestmark = pytest.mark.kernel

shapes = st.tuples(*[st.integers(1, 9)] * 3)
values = st.floats(-(2.0**100), 2.0**100, width=32)
volumes = arrays(np.float32, shapes, elements=values)
compiled_only = pytest.mark.skipif(bool(numba.config.DISABLE_JIT), reason="numba is switched off")


def noise(shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape, dtype=np.float32)


def chosen(volume, inside):
    return volume[naive.inscribed_sphere(volume.shape)] if inside else volume.ravel()


@settings(deadline=None, max_examples=60)
@given(st.tuples(*[st.integers(1, 30)] * 3))
def test_rows_of_the_inscribed_sphere(shape):
    rows = np.zeros(shape, bool)
    for z, y in np.ndindex(shape[:2]):
        first, last = sphere_row(z, y, *shape)
        rows[z, y, first:max(first, last)] = True
    assert np.array_equal(rows, naive.inscribed_sphere(shape))


@settings(deadline=None, max_examples=60)
@given(volumes, st.booleans(), st.sampled_from([np.nan, np.inf, -np.inf]), st.integers(0, 3))
def test_range_ignores_and_counts_what_is_not_finite(volume, inside, odd, number):
    volume.ravel()[:number] = odd
    part = chosen(volume, inside)
    finite = part[np.isfinite(part)]
    expected = (finite.min(initial=np.inf), finite.max(initial=-np.inf), part.size - finite.size)
    assert volume_range(volume, inside) == expected


@settings(deadline=None, max_examples=60)
@given(volumes, st.booleans(), values, values, st.integers(1, 40))
def test_histogram_is_numpys(volume, inside, low, high, bins):
    assume(low < high)
    expected, _ = np.histogram(chosen(volume, inside).astype(np.float64), bins, (low, high))
    counts = histogram(volume, low, high, bins, inside)
    assert counts.dtype == np.int64
    assert np.array_equal(counts, expected)


def test_values_on_edges_go_where_numpy_puts_them():
    # tenths are no binary fractions: products and quotients of them round to the wrong side of an edge here and there
    edges = np.linspace(-0.3, 0.7, 11)
    near = np.concatenate([np.nextafter(edges.astype(np.float32), np.float32(side)) for side in (-9, 9)])
    volume = np.concatenate([edges.astype(np.float32), near, [-0.5, 0.9, np.nan]]).astype(np.float32)[None, None]
    for bins in (10, 5, 100):
        expected, _ = np.histogram(volume[~np.isnan(volume)].astype(np.float64), bins, (-0.3, 0.7))
        assert np.array_equal(histogram(volume, -0.3, 0.7, bins), expected)


def test_histogram_of_selected_voxels():
    volume, other = noise((9, 10, 11)), noise((9, 10, 11), 1)
    limit = np.float32(0.3)
    expected, _ = np.histogram(volume[(other <= limit)].astype(np.float64), 20, (-2, 2))
    assert np.array_equal(histogram(volume, -2, 2, 20, where=other, limit=limit), expected)


@settings(deadline=None, max_examples=40)
@given(volumes, st.booleans(), st.lists(st.floats(0, 1), min_size=1, max_size=4))
def test_quantile_is_an_element_of_the_sorted_voxels(volume, inside, fractions):
    ordered = np.sort(chosen(volume, inside))
    assume(ordered.size)
    expected = [ordered[min(len(ordered) - 1, int(f * len(ordered)))] for f in fractions]
    assert quantile(volume, fractions, inside) == expected
    assert quantile(volume, fractions[0], inside) == expected[0]


def test_quantile_of_equal_voxels():
    for value in (0.0, -1.5, 1e-40, 3e38):
        volume = np.full((5, 6, 7), value, np.float32)
        assert quantile(volume, [0, 0.5, 1]) == [np.float32(value)] * 3


@settings(deadline=None, max_examples=40)
@given(shapes, values, st.integers(0, 99), st.floats(-1, 2, width=32))
def test_quiet_median_is_numpys(shape, zero, seed, limit):
    volume, power = noise(shape, seed), noise(shape, seed + 1)
    quiet = volume[naive.inscribed_sphere(shape) & (power <= np.float32(limit))]
    result = quiet_median(volume, zero, power, limit)
    if quiet.size == 0:
        assert math.isnan(result)
    else:
        assert result == np.median((quiet - np.float32(zero)).astype(np.float64))


@settings(deadline=None, max_examples=40)
@given(shapes, st.integers(0, 99), st.floats(-1, 2, width=32), st.sampled_from([0.0, 1e4, -3e6]))
def test_quiet_mean_and_deviation(shape, seed, limit, offset):
    volume, power = noise(shape, seed) + np.float32(offset), noise(shape, seed + 1)
    quiet = volume[naive.inscribed_sphere(shape) & (power <= np.float32(limit))].astype(np.float64)
    mean, deviation, count = quiet_moments(volume, power, limit)
    assert count == quiet.size
    if count == 0:
        assert math.isnan(mean) and math.isnan(deviation)
        return
    # float64 sums of deviations of order 10 (at most) from a value in the map, whatever the offset
    assert abs(mean - quiet.mean()) <= 1e-12 + 4e-16 * abs(offset)
    # squares of at most 100, each with a relative error of some 1e-16, a few hundred of them
    assert abs(deviation**2 - quiet.var()) <= 1e-10


def mixture(seed, shape=(40, 40, 40)):
    """What smoothed squares of a map look like: noise of one power nearly everywhere, and a loud part in the middle."""
    generator = np.random.default_rng(seed)
    power = generator.chisquare(20, shape) / 20
    loud = sum((i - 19.5) ** 2 for i in np.indices(shape)) < 9**2
    power[loud] *= generator.uniform(1, 300, np.count_nonzero(loud))
    return power.astype(np.float32)


# A median m is off by at most a bin, 2^-11 of its value (and by the few voxels of a bin). The median d of the
# deviations is off by what m is and what a bin near m + d is, 2^-11 (2 m + d); so t = m + 5.9 d by
# 2^-11 (m + 11.9 m + 5.9 d), less than 13 t 2^-11. An iteration passes on less than a third of the error it was
# given, as few voxels lie near t: altogether 1.5 times that.
THRESHOLD_TOLERANCE = 20 * 2.0**-11


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("scale", [1, 1e-12, 3e9])
def test_threshold_agrees_with_sorting(seed, scale):
    power = mixture(seed) * np.float32(scale)
    expected = naive.power_threshold(power, naive.inscribed_sphere(power.shape))
    assert power_threshold(power) == pytest.approx(expected, rel=THRESHOLD_TOLERANCE)


@settings(deadline=None, max_examples=20)
@given(st.floats(1e-3, 1e3), st.integers(0, 5))
def test_threshold_follows_the_scale(factor, seed):
    power = mixture(seed, (20, 20, 20))
    # Dividing by the mean leaves only what the multiplication rounds: a voxel in a bin at most next to its own. Far
    # less than a bin: 2^-24 of the voxels' values, and a few of 4000 voxels that cross an edge.
    scaled = power_threshold(power * np.float32(factor)) / factor
    assert scaled == pytest.approx(power_threshold(power), rel=1e-4)


def test_threshold_with_a_mean_of_exactly_one():
    power = np.ones((12, 12, 12), np.float32)
    assert power_threshold(power) == pytest.approx(1, rel=THRESHOLD_TOLERANCE)
    power[::2] = 0.5
    power[1::2] = 1.5
    assert power_threshold(power) == pytest.approx(power_threshold(power * 8) / 8, rel=1e-12)


@pytest.mark.parametrize("share", [0.5, 0.7, 1.0])
def test_threshold_of_a_flattened_solvent_is_0(share):
    power = mixture(0)
    power.ravel()[np.random.default_rng(1).random(power.size) < share + 0.02] = 0
    assert power_threshold(power) == 0
    quiet = naive.inscribed_sphere(power.shape) & (power <= 0)
    assert quiet_moments(power, power, 0.0) == (0, 0, np.count_nonzero(quiet))


def test_threshold_where_the_solvent_is_far_below_the_mean():
    power = mixture(3)
    loud = power > 3
    power[~loud] *= 1e-9
    expected = naive.power_threshold(power, naive.inscribed_sphere(power.shape))
    assert power_threshold(power) == pytest.approx(expected, rel=THRESHOLD_TOLERANCE)


def test_flips_and_permutations_change_nothing():
    volume, power = noise((12, 13, 14)), mixture(1, (12, 13, 14))
    t = power_threshold(power)
    counts, median = histogram(volume, -2, 2, 50, True), quiet_median(volume, 0.1, power, t)
    for axes in itertools.permutations(range(3)):
        v, p = (np.flip(a.transpose(axes), 1) for a in (volume, power))
        assert np.array_equal(histogram(v, -2, 2, 50, True), counts)
        assert quiet_median(v, 0.1, p, t) == median
        assert volume_range(v, True) == volume_range(volume, True)


@compiled_only
def test_results_do_not_depend_on_the_number_of_threads():
    volume, power = noise((33, 30, 31)), mixture(2, (33, 30, 31))

    def everything():
        t = power_threshold(power)
        return (t, volume_range(volume), quantile(volume, [0.1, 0.9], True), quiet_moments(volume, power, t),
                quiet_median(volume, 0.2, power, t), histogram(volume, -3, 3, 100).tolist())

    with threads(1):
        one = everything()
    for number in (2, 3, 4):
        with threads(number):
            assert everything() == one


@pytest.mark.parametrize("dtype", [np.int8, np.uint16, np.float16, np.float64, ">f4"])
def test_any_real_type_and_layout(dtype):
    volume = np.rint(10 * noise((6, 7, 8))).clip(0)
    other = np.asfortranarray(volume.astype(dtype))
    assert np.array_equal(histogram(other, 0, 20, 7), histogram(volume, 0, 20, 7))
    assert quantile(other, 0.7) == quantile(volume, 0.7)


def test_what_cannot_be_used_is_refused():
    volume = noise((4, 5, 6))
    for low, high, bins in ((1, 1, 5), (2, 1, 5), (0, np.inf, 5), (0, 1, 0)):
        with pytest.raises(ValueError, match="histogram"):
            histogram(volume, low, high, bins)
    with pytest.raises(ValueError, match="fractions"):
        quantile(volume, 1.1)
    with pytest.raises(ValueError, match="no voxel"):
        quantile(volume, 0.5, where=volume, limit=-1e9)
    with pytest.raises(ValueError, match="size"):
        quiet_moments(volume, volume[1:], 1.0)
    with pytest.raises(TypeError):
        volume_range(volume[0])


@pytest.mark.slow
@compiled_only
def test_inside_compiled_code():
    @numba.njit
    def caller(volume):
        return histogram(volume, -2.0, 2.0, 30, True), histogram(volume, -1.0, 1.0, 7)

    volume = noise((8, 9, 10))
    sphere, box = caller(volume)
    assert np.array_equal(sphere, histogram(volume, -2, 2, 30, True))
    assert np.array_equal(box, histogram(volume, -1, 1, 7))
    with pytest.raises(numba.TypingError, match="C-contiguous float32"):
        caller(volume.astype(np.float64))


@pytest.mark.parametrize("width", [1, 15, 16, 17, 50])
def test_rows_of_any_length_are_summed_whole(width):
    volume = noise((3, 4, width), 2)
    wide = volume.astype(np.float64)
    found = moments(volume)
    assert (found.minimum, found.maximum, found.non_finite) == (volume.min(), volume.max(), 0)
    assert abs(found.mean - wide.mean()) <= 1e-13 and abs(found.deviation - wide.std()) <= 1e-12
    chosen = volume[volume > 0.25]
    count, total, largest = sums_above(volume, 0.25)
    assert (count, largest) == (chosen.size, volume.max()) and abs(total - chosen.sum(dtype=np.float64)) <= 1e-12


@settings(deadline=None, max_examples=30)
@given(arrays(np.float32, shapes, elements=st.floats(0, 1, width=32)),
       st.floats(0, 1, width=32))
def test_sums_above_are_those_of_numpy(volume, threshold):
    count, total, largest = sums_above(volume, threshold)
    chosen = volume[volume > np.float32(threshold)]
    assert count == chosen.size
    # float64 sums of values of at most 1
    assert abs(total - chosen.sum(dtype=np.float64)) <= 1e-12 * volume.size
    assert largest == volume.max()


def every_other(n):
    """Indices at an even distance, in steps of one voxel, from the middle (or the two in the middle)."""
    return [i for i in range(n) if (abs(2 * i - (n - 1)) // 2) % 2 == 0]


@settings(deadline=None, max_examples=30)
@given(volumes, st.integers(0, 99))
def test_thin_statistics_are_those_of_every_other_voxel_from_the_centre(volume, seed):
    power = np.abs(noise(volume.shape, seed))
    grid = np.ix_(*(every_other(n) for n in volume.shape))
    inside = naive.inscribed_sphere(volume.shape)[grid]
    quiet = volume[grid][inside & (power[grid] <= 1)]
    assume(quiet.size)
    assert quiet_median(volume, 0.0, power, 1.0, thin=True) == np.median(quiet.astype(np.float64))
    mean, _, count = quiet_moments(volume, power, 1.0, thin=True)
    assert count == quiet.size
    # sums of float64 differences from the voxel in the middle, which need not be quiet
    assert abs(mean - quiet.mean(dtype=np.float64)) <= 1e-12 * np.abs(volume.astype(np.float64)).max() * quiet.size
    flipped = volume[::-1, ::-1, ::-1], power[::-1, ::-1, ::-1]
    assert quiet_median(flipped[0], 0.0, flipped[1], 1.0, thin=True) == np.median(quiet.astype(np.float64))


@settings(deadline=None, max_examples=30)
@given(volumes)
def test_moments_are_those_of_numpy(volume):
    wide = volume.astype(np.float64)
    lowest, highest, mean, deviation, not_finite = moments(volume)
    assert (lowest, highest, not_finite) == (volume.min(), volume.max(), 0)
    # float64 sums of deviations of at most twice the largest value; their squares lose half of the digits
    largest = np.abs(wide).max()
    assert abs(mean - wide.mean()) <= 1e-13 * volume.size * largest
    assert abs(deviation - wide.std()) <= 1e-6 * largest
    odd = volume.copy()
    odd[-1, -1, -1] = np.nan
    assert moments(odd)[4] == 1
