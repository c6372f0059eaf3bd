"""Equalising band by band, against its formulas and on a map with known occupancies."""

import dataclasses
import itertools
from types import SimpleNamespace
from unittest import mock

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from occupy_jit.estimation import grids
from occupy_jit.estimation.modification import equalise
from occupy_jit.estimation.modification.neighbourhood import Neighbourhood, scale_in_force, smoothing_voxels
from occupy_jit.estimation.scale.ball import choose_ball
from occupy_jit.modifications import requested
from occupy_jit.settings import Settings
from tests import naive, simulated
from tests.estimates import estimate

EPSILON = float(np.finfo(np.float32).eps)
VOXEL = 1.3
BALL = SimpleNamespace(radius=1.0, size=3)  # the boxes are small


def bands_of(signal, noise=1.0, voxel_size=VOXEL, variance=None):
    ones = np.ones(equalise.BANDS)
    return equalise.Bands(signal * ones, noise * ones, voxel_size, np.zeros(1), np.zeros(1), np.zeros(1), variance)


def kind_of(settings):
    (kind,) = requested(settings)
    return kind


def random_case(shape, seed=0):
    """A rough map, and scale and confidence that have nothing to do with it."""
    rng = np.random.default_rng(seed)
    volume = rng.standard_normal(shape).astype(np.float32)
    scale = rng.random(shape, dtype=np.float32)
    confidence = np.clip(rng.random(shape) * 2 - 0.5, 0, 1).astype(np.float32)
    result = SimpleNamespace(scale=scale, confidence=confidence, zero=0.1, range=(-1e9, 1e9), voxel_size=VOXEL,
                             ball=BALL)
    return volume, result


def changed(case, function):
    """The same case with every volume flipped, permuted ..."""
    volume, result = case
    return np.ascontiguousarray(function(volume)), SimpleNamespace(**{
        **vars(result), "scale": np.ascontiguousarray(function(result.scale)),
        "confidence": np.ascontiguousarray(function(result.confidence))})


def run(case, bands, settings, **given):
    """With every band, whether it is worth it or not."""
    with mock.patch.object(equalise, "_NEGLIGIBLE", 0.0):
        return equalise.equalised(*case, settings, kind_of(settings), bands, **given)


def tolerance(volume, gain):
    """Of a sum over bands: transforms as in test_fourier, every band times up to `gain`; and tables of 1024 steps.

    Between two entries of 1/S linear interpolation is off by at most f'' h^2 / 8 = 2 / S^3 / 8 / 1024^2.
    """
    rounding = 10 * EPSILON * (1 + np.log2(volume.size)) * np.sqrt(np.mean(np.square(volume)))
    return equalise.BANDS * rounding * gain + 2 * gain**3 / 8 / 1024**2 * np.abs(volume).max()


# The bands -----------------------------------------------------------------------------------------------------------


def test_the_bands_add_up_to_the_map_and_lie_where_they_should():
    frequency = np.linspace(0, 1.7 * 0.5 / VOXEL, 400)
    shares = np.array([equalise.response(band, frequency, VOXEL) for band in range(equalise.BANDS)])
    assert np.allclose(shares.sum(axis=0), 1, atol=1e-12)
    assert np.all((shares >= 0) & (shares <= 1)) and np.count_nonzero(shares, axis=0).max() == 2
    bands = bands_of(1.0)
    for band, share in enumerate(shares):
        expected = [naive.band_response(band, equalise.BANDS, f, VOXEL) for f in frequency]
        assert np.allclose(share, expected, atol=1e-12)
        assert np.all(share[frequency > bands.highest_frequency(band)] == 0)
        assert equalise.response(band, bands.edges[band:band + 2].mean(), VOXEL) == 1
        if band:
            assert equalise.response(band, bands.edges[band], VOXEL) == pytest.approx(0.5)


@hypothesis_settings(deadline=None, max_examples=100)
@given(st.just(0.0) | st.floats(1e-9, 100), st.just(0.0) | st.floats(1e-9, 100), st.floats(0.01, 1))
def test_the_factor_lies_between_1_and_the_plain_one(signal, noise, scale):
    factor = float(bands_of(signal, noise).factor(0, scale))
    assert 1 - 1e-12 <= factor <= 1 / scale * (1 + 1e-12)
    # expected power, signal and noise together, is the one of full parts
    e2 = equalise.SCALE_ERROR ** 2
    assert factor**2 * ((scale**2 + e2) * signal + noise) == pytest.approx((1 + e2) * signal + noise, rel=1e-9,
                                                                           abs=1e-12) or signal == 0
    assert bands_of(signal, noise).factor(0, 1.0) == 1
    assert bands_of(signal, 0.0).factor(0, scale) <= (1 / equalise.SCALE_ERROR) * np.sqrt(1 + e2)
    assert bands_of(0.0, noise).factor(0, scale) == 1


def test_what_says_most_and_what_cannot_be_equalised():
    noise = 10.0 ** np.arange(-4, 4)
    bands = bands_of(1.0, noise)
    lowest, other = bands.most_telling()
    assert lowest == 0 and other == int(np.argmin(np.abs(np.sqrt((1.04 + noise) / (0.29 + noise)) - 1.5)))
    assert not bands.hopeless
    assert bands_of(1.0, 11.0).hopeless and bands_of(0.0, 0.0).hopeless
    assert np.all(np.isinf(bands_of(0.0, 1.0).noise_over_signal))


def test_a_band_without_effect_is_left_out():
    settings = Settings(amplify=True)

    def changing(signal, noise):
        bands = bands_of(np.array(signal), np.array(noise))
        return list(equalise.changing_bands(bands, equalise.gains(bands, kind_of(settings), settings), 0.05))

    # no signal at all; hardly any of the map's; far below its noise: none of them changes anything
    assert changing([1, 1, 1, 1, 0, 1e-6, 1e-5, 0], [1, 1, 1, 1, 1, 0, 1, 0]) == [0, 1, 2, 3]
    assert changing([0] * 8, [1] * 8) == []
    assert changing([1] * 8, [0] * 8) == list(range(8))


# The map -------------------------------------------------------------------------------------------------------------


@pytest.mark.slow
@hypothesis_settings(deadline=None, max_examples=15)
@given(st.tuples(*[st.integers(5, 17)] * 3), st.integers(0, 99),
       st.sampled_from([(Settings(amplify=True), lambda s: 1.0),
                        (Settings(amplify=True, amplify_amount=0.4),
                         lambda s: np.log(1 + 0.4 * (1 / s - 1)) / -np.log(np.minimum(s, 1 - 1e-9))),
                        (Settings(amplify_gamma=3.0), lambda s: 1 - 1 / 3),
                        (Settings(amplify=True, amplify_limit=0.3), lambda s: 1.0)]))
def test_the_result_is_the_formula(shape, seed, wanted):
    settings, exponent = wanted
    volume, result = random_case(shape, seed)
    rng = np.random.default_rng(seed)
    bands = bands_of(0.2 + rng.random(equalise.BANDS), 10 ** rng.uniform(-2, 1, equalise.BANDS))
    neighbourhood = naive.neighbourhood_scale(result.scale, 1.0, 3, 1.0)
    expected = naive.equalised(volume, neighbourhood, result.confidence, result.zero, bands.signal, bands.noise, VOXEL,
                               exponent, settings.amplify_limit)
    found = run((volume, result), bands, settings)
    at_limit = np.abs(neighbourhood - settings.amplify_limit) < 1e-5
    assert np.abs(found - expected)[~at_limit].max(initial=0) < tolerance(volume, 20)


@pytest.mark.parametrize("given", [{"amplify": True}, {"amplify_gamma": 4.0}, {"sigmoid_gamma": 3.0, "pivot": 0.4},
                                   {"amplify": True, "amplify_amount": 0.6, "exclude_solvent": True}])
def test_without_noise_it_is_the_plain_modification_at_the_scale_of_the_neighbourhood(given):
    settings = Settings(**given)
    volume, result = random_case((17, 24, 21))
    found = run((volume, result), bands_of(1.0, 0.0), settings)
    neighbourhood = naive.neighbourhood_scale(result.scale, 1.0, 3, 1.0)
    plain = equalise.plain_factor(neighbourhood.reshape(-1), kind_of(settings), settings).reshape(volume.shape)
    # of the scale as far as it is known: the same power of it
    with np.errstate(divide="ignore", invalid="ignore"):
        power = np.log(plain) / -np.log(neighbourhood)
    factor = np.where((plain > 1) & (neighbourhood < 1), naive.uncertain(neighbourhood) ** -power, plain)
    factor[neighbourhood < settings.amplify_limit] = 1
    height, c = volume.astype(np.float64) - result.zero, result.confidence
    expected = c * factor * height if settings.exclude_solvent else result.zero + height * (1 + c * (factor - 1))
    assert np.abs(found - expected).max() < tolerance(volume, factor.max())


def test_equal_bands_are_the_plain_form_with_their_factor():
    """With the same noise over signal in every band the bands need not be told apart: one factor for the map."""
    settings, case = Settings(amplify=True), random_case((16, 21, 19))
    volume, result = case
    factor = np.sqrt(3.04 / (naive.neighbourhood_scale(result.scale, 1.0, 3, 1.0) ** 2 + 2.04))
    expected = volume + result.confidence * (factor - 1) * (volume - result.zero)
    assert np.abs(run(case, bands_of(1.0, 2.0), settings) - expected).max() < tolerance(volume, 2)


@pytest.mark.parametrize("given", [{"amplify": True, "amplify_amount": 0.0}, {"amplify_gamma": 1.0}])
def test_nothing_to_do_is_the_input_bit_for_bit(given):
    volume, result = random_case((12, 15, 11))
    volume[0] = -0.0
    found = run((volume, result), bands_of(1.0, 0.1), Settings(**given))
    assert np.array_equal(found.view(np.int32), volume.view(np.int32))


@pytest.mark.slow
@hypothesis_settings(deadline=None, max_examples=6)
@given(st.tuples(*[st.integers(6, 15)] * 3), st.integers(0, 99))
def test_flips_and_permutations_of_the_axes_go_through(shape, seed):
    settings, case = Settings(amplify=True), random_case(shape, seed)
    bands = bands_of(1.0, 10.0 ** np.linspace(-2, 1, equalise.BANDS))
    straight = run(case, bands, settings)
    for axes in itertools.permutations(range(3)):
        assert np.abs(run(changed(case, lambda v, a=axes: v.transpose(a)), bands, settings)
                      - straight.transpose(axes)).max() < tolerance(case[0], 20)
    for axis in range(3):
        assert np.abs(run(changed(case, lambda v, a=axis: np.flip(v, a)), bands, settings)
                      - np.flip(straight, axis)).max() < tolerance(case[0], 20)


def test_local_noise_is_followed():
    """Where the variance is v times the mean, the factor is that of v times the noise."""
    settings, case = Settings(amplify=True), random_case((18, 20, 16))
    volume, result = case
    variance = np.exp2(np.random.default_rng(3).uniform(-3, 3, volume.shape)).astype(np.float32)
    found = run(case, bands_of(1.0, 0.5, variance=variance), settings)
    s = np.maximum(naive.neighbourhood_scale(result.scale, 1.0, 3, 1.0), 0.01)
    noise = 0.5 * variance.astype(np.float64)
    factor = np.sqrt((1.04 + noise) / (s**2 + 0.04 + noise))
    expected = volume + result.confidence * (factor - 1) * (volume - result.zero)
    # Rows lie half an octave apart: linear interpolation of ln f, whose second derivative in ln v is at most 1/8 (a
    # logistic curve's, twice 1/2 of 1/10), leaves (ln 2 / 2)^2 / 8 / 8 of f.
    assert np.abs(found - expected).max() < tolerance(volume, 20) + (np.log(2) / 2) ** 2 / 64 * factor.max() * 5
    even = run(case, bands_of(1.0, 0.5, variance=np.ones_like(volume)), settings)
    assert np.abs(even - run(case, bands_of(1.0, 0.5), settings)).max() < 1e-5


def test_the_scale_in_force_is_on_the_level_of_the_scale(made, found):
    bands = equalise.measure(made.map, found)
    scale = scale_in_force(found, bands)
    weight = np.where(found.scale > equalise.CONTENT_SCALE, found.confidence, 0) * np.square(found.scale, dtype=float)
    assert 0.5 < bands.reading < 1
    assert np.all((scale >= 0) & (scale <= 1))
    # what is cut off at 1 is a few hundredths
    assert (weight * scale).sum() / (weight * found.scale).sum() == pytest.approx(1, abs=0.05)
    assert np.allclose(np.minimum(Neighbourhood(found.scale, found.ball).sections() / np.float32(bands.reading), 1),
                       scale, atol=1e-6)


def test_parts_of_the_neighbourhood_are_parts_of_the_whole():
    scale = np.random.default_rng(0).random((40, 17, 19), dtype=np.float32)
    ball = SimpleNamespace(radius=3.0, size=7)
    whole = Neighbourhood(scale, ball).sections()
    assert np.abs(whole - naive.neighbourhood_scale(scale, 3.0, 7, 3.0)).max() < 50 * EPSILON
    for first, last in ((0, 5), (13, 14), (20, 40)):
        assert np.array_equal(Neighbourhood(scale, ball).sections(first, last), whole[first:last])


# With an estimate ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module", params=[5.0, pytest.param(2.0, marks=pytest.mark.slow)])
def made(request):
    return simulated.complex_with_occupancies(request.param, seed=4, occupancies=(1.0, 0.6, 0.3), box=72)


@pytest.fixture(scope="module")
def found(made):
    return estimate(made.map, voxel_size=made.voxel_size)


def test_noise_and_signal_are_those_that_were_made(made, found):
    """Noise within a tenth, signal of the full chain within a fifth, in the bands in which both are."""
    bands = equalise.measure(made.map, found)
    noise = equalise.filters.radial_spectrum(made.map - made.signal, made.voxel_size)[1]
    noise = equalise._in_bands(noise, bands.frequency, made.voxel_size)
    resolved = np.arange(1, 6)  # up to 3 Å; the lowest band holds a few dozen coefficients
    assert np.allclose(bands.noise[resolved], noise[resolved], rtol=0.15)
    # power of the map without noise in the content, whose mean square of occupancy is that of the scale
    mask = equalise._content(found)
    weight, scale = equalise._mean_squares(mask, found.scale)
    power = equalise.filters.radial_spectrum(mask * made.signal, made.voxel_size)[1] / weight / scale
    signal = equalise._in_bands(power, bands.frequency, made.voxel_size)
    assert np.allclose(bands.signal[resolved], signal[resolved], rtol=0.2)
    assert np.all(bands.signal >= 0)


def test_a_sample_of_the_noise_replaces_that_of_solvent(made, found):
    """What half maps give: noise of the map, also inside content; of a map whose noise is even it is the same."""
    noise = made.map - made.signal
    by_sample = equalise.measure(made.map, found, noise=noise)
    by_solvent = equalise.measure(made.map, found)
    # In the content some hundred coefficients tell of a band, and the quietest voxels are those with the least noise.
    assert np.allclose(by_sample.noise[1:6], by_solvent.noise[1:6], rtol=0.4)
    assert by_sample.noise[1:6].sum() == pytest.approx(by_solvent.noise[1:6].sum(), rel=0.25)
    elsewhere = equalise.measure(made.map, found, noise=2 * noise)
    assert np.allclose(elsewhere.noise, 4 * by_sample.noise)
    assert by_sample.reading == by_solvent.reading
    variance = np.full_like(noise, 7.0)
    even = equalise.measure(made.map, found, noise=noise, noise_variance=variance)
    assert np.allclose(even.noise_variance, 1, rtol=1e-5)
    assert np.array_equal(even.noise, by_sample.noise)


def test_a_large_map_is_equalised_on_cells_as_voxel_by_voxel(made, found, monkeypatch):
    """What the grid changes is far less than what noise does to the scale, and hardly any of what is gained."""
    settings, kind = Settings(amplify=True), kind_of(Settings(amplify=True))
    outcomes = []
    for large in (grids._LARGE, 0):
        monkeypatch.setattr(grids, "_LARGE", large)
        bands = equalise.measure(made.map, found)
        equalised = equalise.equalised(made.map, found, settings, kind, bands)
        outcomes.append((bands, scale_in_force(found, bands), equalised))
    (bands, scale, out), (bands_on_cells, scale_on_cells, out_on_cells) = outcomes
    assert not np.array_equal(scale, scale_on_cells)
    sure = found.confidence > 0.5
    assert np.sqrt(np.square(scale - scale_on_cells)[sure].mean()) < 0.25 * found.scale_noise
    assert np.array_equal(bands.noise, bands_on_cells.noise)
    assert np.allclose(bands.signal, bands_on_cells.signal, rtol=0.01)
    assert (out - out_on_cells).std() < 0.03 * (out - made.map).std()


def test_the_result_may_take_the_place_of_the_confidence(made, found):
    settings, bands = Settings(amplify=True), equalise.measure(made.map, found)
    wanted = run((made.map, found), bands, settings)
    spent = dataclasses.replace(found, confidence=found.confidence.copy())
    assert run((made.map, spent), bands, settings, out=spent.confidence) is spent.confidence
    assert np.array_equal(spent.confidence, wanted)
    assert not np.array_equal(found.confidence, wanted)


def test_offset_and_scaling_go_through(made, found):
    settings = Settings(amplify=True)
    before = run((made.map, found), equalise.measure(made.map, found), settings)
    moved = made.map * np.float32(8) + np.float32(3)
    again = estimate(moved, voxel_size=made.voxel_size)
    after = run((moved, again), equalise.measure(moved, again), settings)
    # values up to 12 are known to EPSILON * 12, and gains reach 10; the scale moves by as little
    assert np.abs(after - (8 * before + 3)).max() < 2e-3 * np.abs(8 * before).max()


def test_it_agrees_better_than_the_input_and_than_plain_factors(made, found):
    from occupy_jit.kernels import voxelwise

    settings = Settings(amplify=True)
    bands = equalise.measure(made.map, found)
    new = run((made.map, found), bands, settings)
    plain = voxelwise.modify(made.map, found.scale, found.confidence, found.zero, voxelwise.AMPLIFY_AMOUNT, 1.0)
    truth = simulated.complex_with_occupancies(5.0, seed=4, occupancies=(1.0, 1.0, 1.0), box=72).signal
    mask = made.distance <= 3

    def agreement(volume):
        return np.corrcoef(volume[mask], truth[mask])[0, 1]

    assert agreement(new) > agreement(made.map) + 0.01
    assert agreement(new) > agreement(plain) + 0.01
    far = made.distance > 8
    assert new[far].std() < 1.04 * made.map[far].std()


def test_bits_do_not_depend_on_threads_and_nothing_but_out_is_written(made, found):
    settings = Settings(amplify=True, exclude_solvent=True)
    volume, scale, confidence = made.map.copy(), found.scale.copy(), found.confidence.copy()
    limits = (found.range[0] - found.zero, found.range[1] - found.zero)
    one, two = (run((made.map, found), equalise.measure(made.map, found, thread_count=n), settings, thread_count=n,
                    value_range=limits) for n in (1, 2))
    assert np.array_equal(one, two)
    buffer = np.empty_like(made.map)
    bands = equalise.measure(made.map, found)
    assert run((made.map, found), bands, settings, value_range=limits, out=buffer) is buffer
    assert np.array_equal(buffer, one)
    for before, after in ((volume, made.map), (scale, found.scale), (confidence, found.confidence)):
        assert np.array_equal(before, after)
    assert one.min() >= np.float32(limits[0]) and one.max() <= np.float32(limits[1])


def test_where_there_is_no_confidence_nothing_changes(made, found):
    none = dataclasses.replace(found, confidence=np.zeros_like(found.confidence))
    bands = equalise.measure(made.map, none)
    assert np.all(bands.signal == 0)
    assert np.array_equal(run((made.map, none), bands_of(1.0, 0.0, made.voxel_size), Settings(amplify=True)), made.map)


def test_the_ball_of_the_scale_sets_how_smooth_it_becomes():
    assert smoothing_voxels(choose_ball(7.2, 1.2)) == 3.0
    assert smoothing_voxels(SimpleNamespace(radius=0.0)) == 0.5
