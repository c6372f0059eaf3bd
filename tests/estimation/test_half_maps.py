"""Half maps: noise where it is, errors that cover, and every way in which two maps are no good halves."""

import numpy as np
import pytest

from occupy_jit.errors import InputError
from occupy_jit.estimation.fourier.filters import filter_radially
from occupy_jit.estimation.modification.modify import modified
from occupy_jit.estimation.noise import half_maps
from occupy_jit.estimation.regions.occupancy_in_masks import occupancy_of_masks
from occupy_jit.kernels.grid.binned import cell_shape, values_between
from occupy_jit.modifications import requested
from occupy_jit.settings import Settings
from tests import simulated
from tests.estimates import estimate


@pytest.fixture(scope="module")
def made():
    return simulated.complex_with_occupancies(3.0, seed=1)


@pytest.fixture(scope="module")
def halves(made):
    return simulated.half_maps(made)


def run(one, two, made, **options):
    return estimate((one + two) / 2, voxel_size=made.voxel_size, half_difference=(one - two) / 2,
                    with_confidence=False, **options)


def everywhere(cells, made):
    """Values at every voxel of what is known over cells of two."""
    return values_between(cells, made.map.shape)


@pytest.fixture(scope="module")
def good(made, halves):
    return run(*halves, made, with_error=True)


def test_good_halves_are_silent(good):
    assert good.verdicts == ()
    assert good.half_maps.correlation > 0.75
    assert good.half_maps.ratio == pytest.approx(1, abs=0.02)
    assert 0.9 < good.half_maps.independence < 1.1


def test_occupancies_are_found(made, good):
    assert np.abs(made.medians(good.scale) - made.occupancies).max() < 0.13  # as from one map at this noise


def test_the_error_covers_atoms(made, halves, good):
    """Within one and two standard errors of what the same scale is without noise; full scale is left out."""
    at = tuple(np.rint(made.atoms).astype(int).T)
    clean = estimate(made.signal + 1e-4 * (made.map - made.signal), voxel_size=made.voxel_size, with_confidence=False)
    truth, found, error = clean.scale[at], good.scale[at], good.error[at]
    free = (found < 1) & (truth < 1)
    away = np.abs(found - truth * np.median(found[free] / np.maximum(truth[free], 0.05)))[free] / error[free]
    assert (away < 1).mean() > 0.6 and (away < 2).mean() > 0.9
    assert np.all(good.error > 0)


def test_order_does_not_matter(made, halves, good):
    other = run(*halves[::-1], made, with_error=True)
    assert np.abs(other.scale - good.scale).max() < 1e-5
    np.testing.assert_allclose(other.error, good.error, rtol=1e-3)
    assert other.half_maps.independence == pytest.approx(good.half_maps.independence, rel=1e-4)


def test_bits_do_not_depend_on_threads(made, halves, good):
    other = run(*halves, made, with_error=True, thread_count=1)
    assert np.array_equal(other.scale, good.scale) and np.array_equal(other.error, good.error)


def test_local_noise_is_seen_where_it_is(made):
    """Noise three times as strong on one side: the noise found follows, and solvent reads alike on both."""
    ramp = np.linspace(0.5, 1.5, made.map.shape[0])[:, None, None]
    one, two = ((made.signal + ramp * np.sqrt(2) * simulated.noise_like(made, seed)).astype(np.float32)
                for seed in (1, 2))
    local = run(one, two, made)
    plain = estimate((one + two) / 2, voxel_size=made.voxel_size, with_confidence=False)
    low, high = slice(12, 24), slice(60, 72)
    noise = np.sqrt(everywhere(local.local_noise.variance, made))
    # one sample of noise, averaged over 10 Å
    assert noise[high].mean() / noise[low].mean() == pytest.approx(ramp[high].mean() / ramp[low].mean(), rel=0.15)
    solvent = made.distance > 10
    differ = [abs(np.median(r.scale[high][solvent[high]]) - np.median(r.scale[low][solvent[low]]))
              for r in (local, plain)]
    assert differ[0] < differ[1] / 2


def test_regions_are_read_in_the_noise_that_the_halves_show(made, good):
    masks = [(str(n), simulated.distance_to(made.atoms[made.chain == n], 84, 4 / made.voxel_size)
              * made.voxel_size <= 3) for n in range(5)]
    rows = occupancy_of_masks(good, masks)
    assert np.abs(np.array([row["occupancy"] for row in rows]) - made.occupancies).max() < 0.15
    assert all(row["error"] is None or 0 < row["error"] < 0.15 for row in rows)


def test_one_map_has_an_error_too(made):
    found = estimate(made.map, voxel_size=made.voxel_size, with_confidence=False, with_error=True)
    assert np.all(found.error > 0) and found.half_maps is None
    assert estimate(made.map, voxel_size=made.voxel_size, with_confidence=False).error is None


@pytest.mark.parametrize("mode", ["occupancy", "resolution"])
def test_the_scale_mode_is_kept(made, halves, mode):
    found = run(*halves, made, settings=Settings(scale_mode=mode), with_error=True)
    assert np.all(np.isfinite(found.scale)) and np.all(np.isfinite(found.error))


def codes(one, two, made):
    return {code for code, _ in run(np.ascontiguousarray(one), np.ascontiguousarray(two), made).verdicts
            if code.startswith("half-maps")}


def test_the_same_map_twice_is_refused(made, halves):
    with pytest.raises(InputError, match="identical"):
        run(halves[0], halves[0].copy(), made)


@pytest.mark.parametrize("wrong", ["inverted", "other hand", "another molecule"])
def test_what_are_no_halves_is_refused(made, halves, wrong):
    other = simulated.complex_with_occupancies(3.0, seed=8)
    two = {"inverted": -halves[1], "other hand": halves[1][::-1],
           "another molecule": other.map[:, ::-1, ::-1]}[wrong]
    with pytest.raises(InputError, match="not two halves"):
        run(halves[0], np.ascontiguousarray(two, np.float32), made)


def test_another_grid_is_refused(made, halves):
    with pytest.raises(ValueError, match="shape"):
        estimate(halves[0], voxel_size=made.voxel_size, half_difference=halves[1][1:])


def test_a_half_with_the_whole_map_is_told(made, halves):
    assert "half-maps-dependent" in codes(halves[0], (halves[0] + halves[1]) / 2, made)


def test_common_noise_is_told(made, halves):
    common = np.sqrt(2) * simulated.noise_like(made, 3).astype(np.float32)
    mixed = [made.signal.astype(np.float32) + np.sqrt(0.5).astype(np.float32) * (half - made.signal.astype(np.float32))
             + np.sqrt(0.5).astype(np.float32) * common for half in halves]
    assert codes(*mixed, made) == {"half-maps-dependent"}


def test_what_halves_have_in_common_in_solvent_is_in_the_floor(made, halves):
    """Halves do not show it, and weak solvent would look like content. One map does: its floor is the measure."""
    signal = made.signal.astype(np.float32)
    common = simulated.noise_like(made, 3).astype(np.float32)
    mixed = [signal + np.sqrt(0.5).astype(np.float32) * (half - signal) + common for half in halves]
    found, plain = run(*mixed, made), estimate((mixed[0] + mixed[1]) / 2, voxel_size=made.voxel_size)
    # the square root keeps the order of values, so their median is the measured one, but for rounding
    assert found.floor == pytest.approx(plain.floor, rel=1e-3)
    assert found.local_noise.floor.min() > np.sqrt(0.4) * plain.floor  # half of the variance, and some of the rest
    away = made.distance > 8
    assert found.scale[away].mean() < 1.2 * plain.scale[away].mean()


def test_a_floor_that_lacks_nothing_stays():
    floor = np.linspace(0.5, 2, 27, dtype=np.float32).reshape(3, 3, 3)
    assert half_maps.with_common_part(floor, 1.0, 0.9) is floor
    more = half_maps.with_common_part(floor, 1.0, 1.25)
    np.testing.assert_allclose(np.square(more) - np.square(floor), 1.25 ** 2 - 1, rtol=1e-5)


def test_the_floor_of_solvent_holds_where_there_is_no_content():
    """Half of the box has content, half none; the floor of solvent is twice the one around each voxel."""
    shape = (40, 40, 40)
    maximum = np.full(shape, 1.0, np.float32)
    maximum[:20] = 1.5
    floor = np.full(cell_shape(shape), 1.0, np.float32)
    for zero in (0, -3):
        found = half_maps.solvent_floor_without_content(floor, maximum + np.float32(zero), zero, 2.0, voxel_size=5.0)
        np.testing.assert_allclose(found[:5], 1, rtol=1e-5)  # three sigma of two voxels from the border
        np.testing.assert_allclose(found[-5:], 2, rtol=1e-5)
        assert (np.diff(found, axis=0) >= -1e-5).all()
    unmeasured = half_maps.solvent_floor_without_content(np.zeros_like(floor), maximum, 0, 2.0, voxel_size=5.0)
    assert (unmeasured == 0).all()  # content in a place where no noise is seen
    lower = half_maps.solvent_floor_without_content(floor, maximum, 0, 0.5, voxel_size=5.0)
    np.testing.assert_array_equal(lower, floor)


def test_halo_of_halves_is_not_above_that_of_one_map(made, halves, uneven):
    """Even where noise falls towards the rim, and occupancies are found as well."""
    away = made.distance > 8
    for mean, difference in (((halves[0] + halves[1]) / 2, (halves[0] - halves[1]) / 2), uneven):
        plain = estimate(mean, voxel_size=made.voxel_size, with_confidence=False)
        found = estimate(mean, voxel_size=made.voxel_size, half_difference=difference.copy(), with_confidence=False)
        # 1 % of it: the median that the floor is scaled to is one of a sample of voxels
        assert found.scale[away].mean() < 1.01 * plain.scale[away].mean()
        assert np.abs(made.medians(found.scale) - made.occupancies).max() < 0.13  # as from one map at this noise


def test_other_grey_scales_are_told(made, halves):
    assert "half-maps-scaled" in codes(halves[0], 1.5 * halves[1], made)


def test_shifted_halves_are_told(made, halves):
    assert codes(halves[0], np.roll(halves[1], 2, 0), made) <= {"half-maps-differ"}


def test_tight_masks_are_told_and_round_ones_left_out(made, halves):
    tight = made.distance < 5
    assert "half-maps-masked" in codes(*(np.where(tight, half, 0) for half in halves), made)
    axis = np.arange(84) - 41.5
    sphere = axis[:, None, None] ** 2 + axis[:, None] ** 2 + axis**2 < 38**2
    masked = run(*(np.where(sphere, half, np.float32(0)) for half in halves), made)
    plain = run(*halves, made)
    assert masked.half_maps.equal_share > 0.02
    # near the mask's edge noise is known from inside it alone, and no lower
    inner = axis[:, None, None] ** 2 + axis[:, None] ** 2 + axis**2 < 30**2
    floors = [everywhere(found.local_noise.floor, made)[inner].mean() for found in (masked, plain)]
    ratio = floors[0] / floors[1]
    assert ratio == pytest.approx(1, abs=0.1)


@pytest.mark.parametrize("resolution", [7.5, 10.0])
def test_filtered_alike_is_harmless(made, halves, resolution):
    from occupy_jit.estimation.fourier.filters import lowpass

    assert codes(*(lowpass(half, resolution, made.voxel_size) for half in halves), made) == set()


def test_noise_that_is_opposed_is_told(made, halves):
    """More of it in the difference than in the mean: what one half has too much the other has too little."""
    noise = halves[0] - made.signal
    opposed = (made.signal - 0.4 * noise + np.sqrt(1 - 0.4**2) * (halves[1] - made.signal)).astype(np.float32)
    assert codes(halves[0], opposed, made) == {"half-maps-differ"}


@pytest.mark.parametrize("factor", [0.25, 0.9, 1.2, 3.0])
def test_halves_are_joined_on_one_grey_scale(made, halves, factor):
    """Beyond a quarter the second is brought to the first; within that it may be what makes them differ."""
    one, two = halves[0].copy(), (factor * halves[1]).astype(np.float32)
    multiplied = half_maps.join_half_maps(one, two)
    if 0.8 < factor < 1.25:
        assert multiplied == 1
        expected = halves[0] + factor * halves[1]
    else:
        assert multiplied == pytest.approx(1 / factor, rel=0.03)  # sampling noise of either half
        expected = halves[0] + multiplied * factor * halves[1]
    np.testing.assert_allclose(one, expected / 2, atol=1e-5)
    found = estimate(one, voxel_size=made.voxel_size, half_difference=two, half_factor=multiplied,
                     with_confidence=False)
    assert {code for code, _ in found.verdicts} == (set() if multiplied == 1 else {"half-maps-scaled"})
    assert found.half_maps.second_multiplied_with == multiplied
    assert found.half_maps.ratio == pytest.approx(factor * multiplied, rel=0.05)


def test_joining_keeps_what_was_masked_equal(made, halves):
    tight = made.distance < 5
    one, two = (np.where(tight, half, np.float32(0)) for half in (halves[0], 2 * halves[1]))
    half_maps.join_half_maps(one, two)
    assert not two[~tight].any()


def test_noise_over_cells_is_that_of_every_voxel(made, halves):
    """Against averages over 10 Å of what every voxel shows.

    A straight line over two voxels differs from a curve by at most an eighth of 2^2 times its second derivative, along
    each axis; and where the Gaussians are cut off, .3% of them, they hold different voxels.
    """
    from scipy.ndimage import gaussian_filter

    from occupy_jit.estimation.fourier.filters import lowpass
    from occupy_jit.estimation.noise.half_maps import WINDOW_ANGSTROM, local_noise
    from occupy_jit.estimation.scale.ball import choose_ball
    from occupy_jit.kernels.sliding_ball_maximum import sliding_maximum

    one, two = (lowpass(half, 7.2, made.voxel_size) for half in halves)
    ball = choose_ball(7.2, made.voxel_size)
    source, difference = (one + two) / 2, (one - two) / 2
    found = local_noise(source, difference, ball, made.voxel_size)
    highest = [sliding_maximum(volume, ball.radius, ball.size) for volume in (one, two, difference, -difference)]
    for values, of in ((found.floor, (highest[2] + highest[3]) / 2), (found.variance, difference**2),
                       (found.maximum_variance, (highest[0] - highest[1])**2 / 4)):
        every = gaussian_filter(of, WINDOW_ANGSTROM / made.voxel_size, truncate=3, mode="nearest")
        inner = (slice(26, -26),) * 3  # where the Gaussian reaches beyond the box, cells repeat two voxels, not one
        apart = np.abs(everywhere(values, made) - every)[inner]
        bent = sum(np.abs(np.diff(every, 2, axis)).max() for axis in range(3)) / 2
        assert apart.max() < bent + 0.003 * 2 * every.max()


# The noise that halves show, in confidence and bands ------------------------------------------------------------------


def falling(made):
    """Weights of noise that is three times as strong in the middle of the box as from half of its edge on."""
    n = made.map.shape[0]
    axis = np.arange(n) - (n - 1) / 2
    radius = np.sqrt(axis[:, None, None]**2 + axis[:, None]**2 + axis**2)
    return np.clip(1.5 - radius / (n / 2), 0.5, 1.5).astype(np.float32)


@pytest.fixture(scope="module")
def uneven(made):
    """Mean and half difference of halves with such noise."""
    one, two = (made.signal + falling(made) * np.sqrt(2) * 1.3 * simulated.noise_like(made, seed).astype(np.float32)
                for seed in (1, 2))
    return (one + two) / 2, (one - two) / 2


def amplified(mean, difference, made, settings):
    """Estimate and modified map; without a difference as from one map."""
    difference = None if difference is None else difference.copy()
    found = estimate(mean, settings, voxel_size=made.voxel_size, half_difference=difference)
    return found, modified(mean, found, settings, requested(settings)[0])


def test_confidence_and_amplification_follow_the_noise(made, uneven):
    """Where noise falls with the radius one threshold lets noise of the middle pass; measured noise does not."""
    settings = Settings(amplify=True)
    mean, difference = uneven
    (plain, out_plain), (halves, out_halves) = (amplified(mean, d, made, settings) for d in (None, difference))
    solvent, content = made.distance > 8, made.distance < 3
    noisy = solvent & (falling(made) > 1)
    assert halves.confidence[noisy].mean() < 0.5 * plain.confidence[noisy].mean()
    gains = [out[noisy].std() / mean[noisy].std() for out in (out_plain, out_halves)]
    assert abs(gains[1] - 1) < 0.5 * abs(gains[0] - 1)
    overlap = [2 * np.minimum(r.confidence, content).sum() / (r.confidence.sum() + content.sum())
               for r in (plain, halves)]
    assert overlap[1] > overlap[0]
    full = simulated.complex_with_occupancies(3.0, seed=1, occupancies=(1.0,) * 5).signal
    agreement = [np.corrcoef(out[content], full[content])[0, 1] for out in (mean, out_plain, out_halves)]
    assert agreement[2] > agreement[1] and agreement[2] > agreement[0]


def test_even_noise_measured_by_halves_changes_little(made, halves):
    settings = Settings(amplify=True)
    mean, difference = (halves[0] + halves[1]) / 2, (halves[0] - halves[1]) / 2
    (plain, out_plain), (local, out_local) = (amplified(mean, d, made, settings) for d in (None, difference))
    content = made.distance < 3
    assert np.corrcoef(out_plain[content], out_local[content])[0, 1] > 0.995
    assert np.abs(plain.confidence[content].mean() - local.confidence[content].mean()) < 0.05
    resolved = slice(1, 6)
    np.testing.assert_allclose(local.bands.noise[resolved], plain.bands.noise[resolved], rtol=0.4)
    variances = local.bands.noise_variance[:]
    assert variances.shape == made.map.shape and 0.5 < np.median(variances[content]) < 2


@pytest.mark.slow
def test_noise_of_the_bands_is_that_of_the_map_beside_its_halves(made, halves):
    """Sharpened and flattened: the solvent of the map tells nothing, the halves, at its spectrum, all."""
    mean, difference = (halves[0] + halves[1]) / 2, (halves[0] - halves[1]) / 2

    def sharper(volume):
        return filter_radially(volume, lambda s: 2 * np.exp(40 * s * s / 4), made.voxel_size)

    settings = Settings(amplify=True)
    expected = estimate(sharper(mean), settings, voxel_size=made.voxel_size, half_difference=sharper(difference))
    flattened = np.where(made.distance < 6, sharper(mean), np.float32(0))
    kept = difference.copy()
    found = estimate(flattened, settings, voxel_size=made.voxel_size, half_mean=mean, half_difference=difference)
    assert np.array_equal(difference, kept)
    np.testing.assert_allclose(found.bands.noise[1:6], expected.bands.noise[1:6], rtol=0.1)
    assert "plain-factors" not in {code for code, _ in found.verdicts}
    spent = estimate(flattened, settings, voxel_size=made.voxel_size, half_mean=mean, half_difference=difference,
                     overwrite_halves=True, with_error=True, keep_lowpass=False)
    assert np.array_equal(spent.bands.noise, found.bands.noise) and np.array_equal(spent.scale, found.scale)
    assert np.array_equal(spent.confidence, found.confidence)


def test_halves_that_were_masked_alike_still_tell_the_noise_of_the_bands(made, halves):
    tight = made.distance < 6
    one, two = (np.where(tight, half, np.float32(0)) for half in halves)
    found = estimate((one + two) / 2, Settings(amplify=True), voxel_size=made.voxel_size,
                     half_difference=(one - two) / 2)
    codes_found = {code for code, _ in found.verdicts}
    assert "plain-factors" not in codes_found and found.bands is not None and np.all(found.bands.noise[1:6] > 0)


def test_without_solvent_halves_are_not_said_to_depend_on_each_other(made, halves):
    """What solvent shows is the measure, and a box of content alone has none: content is no noise."""
    middle = tuple(slice(n // 2 - 14, n // 2 + 14) for n in made.map.shape)
    one, two = (np.ascontiguousarray(half[middle]) for half in halves)
    result = run(one, two, made)
    codes = [code for code, _ in result.verdicts]
    assert "no-solvent" in codes and "half-maps-dependent" not in codes
    assert result.half_maps.independence is None


def test_a_noise_floor_that_is_given_says_nothing_of_solvent(made, halves, good):
    result = run(*halves, made, settings=Settings(noise_floor=0.2 * good.floor))
    assert result.verdicts == ()


def test_halves_without_content_are_told_so():
    block = np.zeros((8, 8, 8), np.float32)
    block[2:6, 2:6, 2:6] = 5
    one, two = (block + 0.3 * np.random.default_rng(seed).standard_normal(block.shape).astype(np.float32)
                for seed in (1, 2))
    for pair, told in (((one, two), "stands out"), ((one, -one), "mean of the half maps is constant")):
        with pytest.raises(InputError, match=told):
            estimate((pair[0] + pair[1]) / 2, voxel_size=1.0, half_difference=(pair[0] - pair[1]) / 2)
