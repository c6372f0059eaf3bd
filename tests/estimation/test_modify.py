"""Modified maps, from the estimate of a map with known occupancies."""

import dataclasses

import numpy as np
import pytest

from occupy_jit.estimation.fourier import filters
from occupy_jit.estimation.modification import equalise
from occupy_jit.estimation.modification import modify as modification
from occupy_jit.modifications import requested
from occupy_jit.settings import Settings
from tests import naive, simulated
from tests.estimates import estimate


@pytest.fixture(scope="module")
def made():
    return simulated.complex_with_occupancies(5, seed=4, occupancies=(1.0, 0.6, 0.3), box=72)


@pytest.fixture(scope="module")
def found(made):
    return estimate(made.map, voxel_size=made.voxel_size)


@pytest.fixture(scope="module")
def noise(made, found):
    return modification.solvent_noise(made.map, found.quiet, made.voxel_size)


def modified(made, found, noise=None, **given):
    wanted = Settings(**given)
    (kind,) = requested(wanted)
    return modification.modified(made.map, found, wanted, kind, noise)


def heights(made, found, volume):
    """Mean height of each chain over its atoms, relative to the first."""
    atoms = volume[tuple(np.rint(made.atoms).astype(int).T)] - found.zero
    means = np.array([atoms[made.chain == number].mean() for number in range(len(made.occupancies))])
    return means / means[0]


def bits(volume):
    return np.ascontiguousarray(volume).view(np.int32)


@pytest.mark.parametrize("given", [{"amplify": True, "amplify_amount": 0.0}, {"amplify_gamma": 1.0},
                                   {"attenuate_gamma": 1.0}])
def test_nothing_to_do_is_the_input_bit_for_bit(made, found, given):
    assert np.array_equal(bits(modified(made, found, **given)), bits(made.map))
    signed = dataclasses.replace(made, map=made.map.copy())
    signed.map[::3] = -0.0
    assert np.array_equal(bits(modified(signed, found, **given)), bits(signed.map))


@pytest.mark.parametrize("given", [{"amplify": True}, {"amplify_gamma": 30.0}])
def test_amplification_equalises(made, found, given):
    before, after = heights(made, found, made.map), heights(made, found, modified(made, found, **given))
    assert before[1] == pytest.approx(0.6, abs=0.1) and before[2] == pytest.approx(0.3, abs=0.1)
    # most of what was lost is won back, and at .3 as much as the error of the scale allows: the scale there is too high
    # by that error, .2, at most
    assert 1 - after[1] < 0.5 * (1 - before[1])
    assert before[2] / naive.uncertain(before[2] + 0.2) < after[2] < before[2] / naive.uncertain(before[2])


def test_more_amount_is_more(made, found):
    """Occupancies rise with the amount, and fall below those of the input where it is negative."""
    ratios = [heights(made, found, modified(made, found, amplify=True, amplify_amount=a))
              for a in (-1.0, -0.5, 0.0, 0.5, 1.0)]
    for chain in (1, 2):
        assert np.all(np.diff([r[chain] for r in ratios]) > 0)
    assert np.allclose(ratios[2], heights(made, found, made.map))


@pytest.mark.parametrize("given", [{"amplify": True}, {"amplify": True, "amplify_amount": -1.0},
                                   {"amplify_gamma": 10.0}, {"attenuate_gamma": 10.0}, {"sigmoid_gamma": 10.0}])
def test_no_height_changes_its_sign(made, found, given):
    height = made.map - np.float32(found.zero)
    after = modified(made, found, plain_factors=True, **given) - np.float32(found.zero)
    rounding = 4 * np.finfo(np.float32).eps * np.abs(made.map).max()
    assert np.all((np.sign(height) * after) > -rounding)


def test_full_scale_keeps_its_value(made, found):
    full = found.scale == 1
    assert full.sum() > 100
    for given in ({"amplify": True}, {"amplify": True, "amplify_amount": -1.0}, {"attenuate_gamma": 5.0},
                  {"sigmoid_gamma": 3.0}):
        assert np.array_equal(modified(made, found, plain_factors=True, **given)[full], made.map[full])


def test_below_the_limit_nothing_is_done(made, found):
    after = modified(made, found, amplify=True, amplify_limit=0.5, plain_factors=True)
    low = found.scale < 0.5
    assert np.array_equal(after[low], made.map[low])
    assert not np.array_equal(after[~low], made.map[~low])


def test_excluded_solvent_is_zero(made, found):
    for given in ({"exclude_solvent": True}, {"exclude_solvent": True, "amplify": True}):
        after = modified(made, found, **given)
        assert np.all(after[found.confidence == 0] == 0)
        far = made.distance > 8
        # amplified, a rim about content of the lowest scales remains
        assert after[far].std() < (0.5 if "amplify" in given else 0.1) * made.map[far].std()
        after = modified(made, found, plain_factors=True, **given)
        sure = (found.confidence == 1) & (found.scale == 1)
        # rounding of the difference
        assert np.allclose(after[sure], made.map[sure] - found.zero, atol=1e-6)


def test_solvent_is_not_amplified(made, found):
    far = made.distance > 8
    for given in ({"amplify": True}, {"amplify_gamma": 30.0}):
        assert modified(made, found, **given)[far].std() < 1.1 * made.map[far].std()


def test_the_result_stays_in_the_range_of_the_input(made, found):
    after = modified(made, found, amplify=True)
    assert after.min() >= made.map.min() and after.max() <= made.map.max()
    excluded = modified(made, found, amplify=True, exclude_solvent=True)
    assert excluded.min() >= made.map.min() - found.zero and excluded.max() <= made.map.max() - found.zero
    sure = dataclasses.replace(found, confidence=np.ones_like(found.confidence))
    after = modified(made, sure, amplify=True)
    assert after.max() == made.map.max()  # it was clipped there: nothing else has exactly that value
    assert np.count_nonzero(after == made.map.max()) > 1


def test_the_output_can_be_filtered(made, found):
    """Nothing is left beyond the edge, two shells wide, of the low-pass, but for what clipping makes."""
    plain = modified(made, found, amplify=True)
    after = modified(made, found, amplify=True, lowpass_amplified_angstrom=8.0)
    frequency, power = filters.radial_spectrum(after, made.voxel_size)
    _, before = filters.radial_spectrum(plain, made.voxel_size)
    beyond = frequency > 1 / 8 + 2 / (72 * made.voxel_size)
    assert power[beyond].max() < 1e-4 * before[beyond].max()
    kept = frequency < 1 / 8 - 2 / (72 * made.voxel_size)
    assert np.allclose(power[kept], before[kept], rtol=1e-2)
    expected = naive.lowpass(plain, 8.0, made.voxel_size)
    assert np.abs(after - np.clip(expected, made.map.min(), made.map.max())).max() < 1e-5


def test_histogram_of_the_input_is_restored(made, found):
    plain, after = modified(made, found, amplify=True), modified(made, found, amplify=True, match_histogram=True)
    # Straight lines between 4096 ranks, and finer ones in the tails. The values of neighbouring ranks differ most
    # in the tail that amplification stretches: there by a twentieth of the standard deviation.
    order, unmatched, at = (np.sort(volume, axis=None) for volume in (made.map, plain, after))
    ranks = (np.linspace(0, 1, 1001) * (order.size - 1)).astype(int)
    # what was clipped is one value, whose ranks share their mean
    ranks = ranks[(unmatched[ranks] > unmatched[0]) & (unmatched[ranks] < unmatched[-1])]
    assert ranks.size > 950
    assert np.abs(order[ranks] - at[ranks]).max() < 0.05 * made.map.std()
    assert order[0] <= at[0] < order[1000] and order[-1000] < at[-1] <= order[-1]
    # where the unmatched one is off
    assert np.abs(order[ranks] - unmatched[ranks]).max() > 0.1 * made.map.std()
    # the order of the voxels is kept
    by_rank = after.reshape(-1)[np.argsort(plain, axis=None, kind="stable")]
    assert np.all(np.diff(by_rank) >= 0)


def test_equal_values_share_their_place_in_the_histogram():
    """Excluded solvent is one value, and becomes the mean of the ranks it takes, not the lowest of them."""
    rng = np.random.default_rng(0)
    reference = rng.standard_normal((20, 20, 20), dtype=np.float32)
    volume = np.where(np.abs(reference) < 1, np.float32(0), reference)
    after = modification.match_histogram(volume, reference)
    # between -1 and 1 the ranks are symmetric: their mean is 0 but for the sample
    assert abs(after[volume == 0].mean()) < 0.03
    assert np.abs(after - reference)[volume != 0].max() < 0.03
    assert np.allclose(modification.match_histogram(reference, reference), reference, atol=1e-5)


def test_noise_is_like_that_of_the_solvent(made, found, noise):
    quiet = np.stack([found.quiet.section(z) for z in range(len(made.map))])
    assert abs(noise.mean(dtype=np.float64)) < 1e-6 * noise.std()
    assert noise.std(dtype=np.float64) == pytest.approx(made.map[quiet].std(dtype=np.float64), rel=1e-5)
    # Spectrum of the noise that was added, which is known everywhere. A shell of n independent coefficients is known
    # to sqrt(2 / n) on each side; the window of the quiet voxels mixes neighbouring shells: those are averaged.
    true = made.map - made.signal
    frequency, wanted = filters.radial_spectrum(true * np.float32(noise.std() / true.std()), made.voxel_size)
    _, power = filters.radial_spectrum(noise, made.voxel_size)
    shells = np.arange(frequency.size)
    for first in range(4, 27, 4):  # up to the resolution of the map, at shell 28
        here = (shells >= first) & (shells < first + 4)
        number = (4 * np.pi * shells[here] ** 2 / 2).sum()
        assert power[here].mean() / wanted[here].mean() == pytest.approx(1, abs=0.1 + 5 * np.sqrt(4 / number))
    assert power[shells > 31].max() < 0.05 * wanted[4:27].mean()


def test_noise_is_the_same_in_every_run(made, found, noise):
    for threads in (1, 2):
        again = modification.solvent_noise(made.map, found.quiet, made.voxel_size, threads)
        assert np.array_equal(bits(again), bits(noise))
    flat = np.where(made.distance < 5, made.map, np.float32(0))
    result = estimate(flat, voxel_size=made.voxel_size)
    assert np.all(np.abs(modification.solvent_noise(flat, result.quiet, made.voxel_size)) < 1e-6)


def test_attenuation_is_refilled_with_noise(made, found, noise):
    """In a chain that attenuation takes away almost entirely the noise is that of solvent."""
    emptied = modified(made, found, attenuate_gamma=8.0)
    refilled = modified(made, found, noise, attenuate_gamma=8.0)
    weak = (found.scale > 0.1) & (found.scale < 0.5) & (found.confidence == 1)
    assert weak.sum() > 500
    assert emptied[weak].std() < 0.2 * noise.std()
    # f^2 of its own noise and 1 - f^2 of the new; of some 1000 correlated voxels the deviation is known to a tenth
    assert refilled[weak].std() == pytest.approx(noise.std(), rel=0.25)
    untouched = (found.confidence == 0) | (found.scale == 1)
    assert np.array_equal(refilled[untouched], made.map[untouched])


def test_the_sigmoid_turns_at_its_pivot(made, found):
    for pivot in (0.4, 0.6):
        wanted = Settings(sigmoid_gamma=3.0, pivot=pivot)
        (kind,) = requested(wanted)
        factor = modification.applied_factor(found, wanted, kind)
        acts = (found.confidence > 0) & (found.scale >= 0.05) & (found.scale < 1)
        below, above = acts & (found.scale < pivot - 1e-3), acts & (found.scale > pivot + 1e-3)
        assert below.sum() > 1000 and above.sum() > 1000
        assert np.all(factor[below] < 1) and np.all(factor[above] > 1)
        near = acts & (np.abs(found.scale - pivot) < 1e-3)
        assert near.any() and np.abs(factor[near] - 1).max() < 3 * 1e-3 / pivot + 1e-3


@pytest.mark.parametrize("given", [{"amplify": True}, {"amplify": True, "exclude_solvent": True},
                                   {"attenuate_gamma": 4.0}, {"sigmoid_gamma": 3.0}, {"exclude_solvent": True}])
def test_the_applied_factor_is_what_was_applied(made, found, given):
    wanted = Settings(plain_factors=True, **given)
    (kind,) = requested(wanted)
    factor = modification.applied_factor(found, wanted, kind)
    zero = 0.0 if wanted.exclude_solvent else found.zero
    expected = zero + (made.map.astype(np.float64) - found.zero) * factor
    after = modification.modified(made.map, found, wanted, kind)
    free = (after > after.min()) & (after < after.max())
    # factors reach 20, values 0.3
    assert np.abs(after - expected)[free].max() < 20 * np.abs(made.map).max() * 4 * np.finfo(np.float32).eps
    assert factor.min() >= 0


def test_the_subtraction_mask_is_what_is_taken_away(made, found):
    wanted = Settings(attenuate_gamma=4.0, sigmoid_gamma=3.0, amplify=True, plain_factors=True)
    kinds = requested(wanted)
    removed = modification.subtraction_mask(found, wanted, kinds)
    assert removed.dtype == np.float32 and np.all((removed >= 0) & (removed <= 1))
    kept = [modification.applied_factor(found, wanted, kind) for kind in kinds if kind.name != "amplify"]
    assert np.allclose(removed, 1 - np.minimum(1, np.minimum(*kept)), atol=1e-6)
    assert np.all(removed[found.scale == 1] == 0) and np.all(removed[found.confidence == 0] == 0)
    assert made.medians(removed)[2] > 0.8
    # amplification removes nothing
    assert not modification.subtraction_mask(found, wanted, kinds[:1]).any()
    negative = Settings(amplify=True, amplify_amount=-1.0)
    assert modification.subtraction_mask(found, negative, requested(negative)).max() > 0.5


def test_kinds_are_what_the_settings_ask_for():
    def names(**given):
        return [(kind.name, kind.prefix, kind.strength) for kind in requested(Settings(**given))]

    assert names() == []
    assert names(amplify=True, amplify_amount=0.3) == [("amplify", "out_", 0.3)]
    assert names(exclude_solvent=True) == [("exclude-solvent", "out_", 0.0)]
    assert names(amplify=True, exclude_solvent=True, sigmoid_gamma=3.0, attenuate_gamma=2.0, amplify_gamma=5.0) == [
        ("amplify", "out_", 1.0), ("amplify-gamma", "ampl_", 5.0), ("attenuate-gamma", "attn_", 2.0),
        ("sigmoid-gamma", "sigm_", 3.0)]


def test_bits_do_not_depend_on_threads_or_on_where_it_is_put(made, found, noise):
    wanted = Settings(amplify=True, lowpass_amplified_angstrom=5.0, match_histogram=True)
    (kind,) = requested(wanted)
    before = made.map.copy()
    one, two = (modification.modified(made.map, found, wanted, kind, thread_count=n) for n in (1, 2))
    assert np.array_equal(bits(one), bits(two))
    buffer = np.empty_like(made.map)
    assert modification.modified(made.map, found, wanted, kind, out=buffer) is buffer
    assert np.array_equal(bits(buffer), bits(one))
    assert np.array_equal(made.map, before)


@pytest.mark.slow
@pytest.mark.parametrize("signal_to_noise", [6, 3])
def test_amplified_content_without_solvent_has_no_bright_rim(signal_to_noise):
    """Far from every atom less than a tenth of the noise is left, also where the rest is amplified up to tenfold."""
    made = simulated.complex_with_occupancies(signal_to_noise, seed=2)
    wanted = Settings(amplify=True, exclude_solvent=True)
    found = estimate(made.map, wanted, voxel_size=made.voxel_size)
    result = modification.modified(made.map, found, wanted, requested(wanted)[0])
    far = made.distance > 8
    assert result[far].std() < 0.1 * made.map[far].std()
    # content is there: the full chains keep their height
    full = made.medians(result)[made.occupancies == 1]
    assert np.all(full > 0.7 * made.medians(made.map - found.zero)[made.occupancies == 1])


@pytest.mark.slow
def test_what_amplifies_goes_band_by_band_unless_plain_factors_are_asked_for(made, found):
    bands = equalise.measure(made.map, found)
    for given in ({"amplify": True}, {"amplify_gamma": 3.0}, {"sigmoid_gamma": 3.0}):
        wanted = Settings(**given)
        (kind,) = requested(wanted)
        by_bands = equalise.equalised(made.map, found, wanted, kind, bands, found.range)
        assert np.array_equal(modified(made, found, **given), by_bands)
        assert not np.array_equal(modified(made, found, plain_factors=True, **given), by_bands)
    for given in ({"amplify": True, "amplify_amount": -0.5}, {"attenuate_gamma": 3.0}, {"exclude_solvent": True}):
        assert np.array_equal(modified(made, found, **given), modified(made, found, plain_factors=True, **given))


def test_where_the_noise_is_not_known_plain_factors_are_used_and_said(made):
    flattened = np.where(made.distance < 8, made.map, np.float32(0))
    wanted = Settings(amplify=True)
    (kind,) = requested(wanted)
    found = estimate(flattened, wanted, voxel_size=made.voxel_size)
    assert "plain-factors" in dict(found.verdicts) and found.bands is None
    plain = Settings(amplify=True, plain_factors=True)
    assert np.array_equal(modification.modified(flattened, found, wanted, kind),
                          modification.modified(flattened, found, plain, kind))
    assert "plain-factors" not in dict(estimate(flattened, plain, voxel_size=made.voxel_size).verdicts)
    assert "plain-factors" not in dict(estimate(flattened, voxel_size=made.voxel_size).verdicts)


def test_what_the_estimate_measured_is_used(made):
    wanted = Settings(amplify=True)
    found = estimate(made.map, wanted, voxel_size=made.voxel_size)
    assert np.array_equal(found.bands.signal, equalise.measure(made.map, found).signal)
    assert not {"plain-factors", "nothing-to-equalise"} & set(dict(found.verdicts))
    for given in ({}, {"amplify": True, "plain_factors": True}, {"attenuate_gamma": 2.0}):
        assert estimate(made.map, Settings(**given), voxel_size=made.voxel_size).bands is None


def test_a_map_of_noise_has_nothing_to_equalise():
    made = simulated.complex_with_occupancies(0.1, seed=1, occupancies=(1.0, 0.5), box=64)
    found = estimate(made.map, Settings(amplify=True), voxel_size=made.voxel_size)
    assert found.bands.hopeless == ("nothing-to-equalise" in dict(found.verdicts))
    found = dataclasses.replace(found, confidence=np.zeros_like(found.confidence))
    found = dataclasses.replace(found, bands=equalise.prepare(made.map, found))
    assert found.bands.hopeless and "nothing-to-equalise" in dict(equalise.verdicts(found))
