"""The noise floor of solvent nearby: it follows noise that differs from place to place, and nothing of content."""

import numpy as np
import pytest

from occupy_jit.errors import UsageError
from occupy_jit.estimation.noise.solvent_nearby import nearby_noise
from occupy_jit.estimation.scale.ball import choose_ball
from occupy_jit.estimation.scale.estimate import measure_full_scale
from occupy_jit.estimation.solvent.quiet_voxels import find_quiet
from occupy_jit.kernels.sliding_ball_maximum import sliding_maximum
from occupy_jit.settings import Settings
from tests import naive, simulated
from tests.estimates import estimate

LOCAL = Settings(noise_floor="local")


@pytest.fixture(scope="module")
def made():
    return simulated.complex_with_occupancies(3.0, seed=2)


@pytest.fixture(scope="module")
def uneven(made):
    """The noise three times as strong at one end."""
    ramp = np.linspace(0.5, 1.5, made.map.shape[0])[:, None, None]
    return (made.signal + ramp * (made.map - made.signal)).astype(np.float32), ramp


def run(volume, made, settings=LOCAL, **options):
    return estimate(volume, settings, voxel_size=made.voxel_size, with_confidence=False, **options)


def inputs(volume, voxel_size):
    ball = choose_ball(6 * voxel_size, voxel_size)
    quiet = find_quiet(volume, voxel_size)
    return volume, sliding_maximum(volume, ball.radius, ball.size), quiet.mean_and_deviation(volume)[0], quiet, ball


@pytest.mark.parametrize(("voxel_size", "tolerance"), [(6.0, 2e-5), (2.5, 0.02)])
def test_it_is_the_mean_over_quiet_voxels_with_quiet_balls(voxel_size, tolerance):
    """Voxel by voxel where voxels are large; on coarser grids means over cells stand for narrow Gaussians.

    There the voxels differ more at which the next wider window begins to be asked.
    """
    volume = simulated.blobs((40, 36, 44), 3, noise=0.2)
    source, maximum, zero, quiet, ball = inputs(volume, voxel_size)
    found = nearby_noise(source, maximum, zero, quiet, ball, voxel_size)
    calm = np.array([quiet.section(z) for z in range(len(volume))])
    mask = naive.sliding_maximum(1.0 - calm, ball.radius, ball.size) < 0.5
    assert mask.sum() > 0.2 * calm.sum()
    wanted = [np.zeros(volume.shape), np.zeros(volume.shape)]
    missing = np.ones(volume.shape, bool)
    for step in range(4):
        sigma = 20 / voxel_size * 1.6**step
        weight = naive.smooth(mask.astype(float), sigma)
        here = missing & (weight > 0.02)
        for out, values in zip(wanted, ((source - zero) ** 2, maximum - zero), strict=True):
            out[here] = (naive.smooth(mask * values.astype(float), sigma) / np.maximum(weight, 1e-9))[here]
        missing &= ~here
    for out, values in zip(wanted, ((source - zero) ** 2, maximum - zero), strict=True):
        out[missing] = values[mask].mean(dtype=float)  # far from all solvent
    height = (maximum - zero)[calm].astype(float)
    wanted[1] *= max(np.median(height), 0) / height.mean()
    for of, expected in zip((found.variance, found.floor), wanted, strict=True):
        away = np.abs(of / expected - 1)
        assert np.quantile(away, 0.9) < tolerance and away.max() < (tolerance if voxel_size > 5 else 0.1)
    assert found.maximum_variance is None


def test_it_follows_the_noise(made, uneven):
    volume, ramp = uneven
    local, plain = run(volume, made, with_error=True), run(volume, made, Settings(), with_error=True)
    low, high = slice(12, 24), slice(60, 72)
    floor = local.floor_map
    # a window of 20 Å on a ramp over 100 Å, of solvent inside the sphere only: it flattens at the ends
    assert 1.3 < floor[high].mean() / floor[low].mean() < 1.1 * ramp[high].mean() / ramp[low].mean()
    solvent = made.distance > 10
    differ = [abs(np.median(r.scale[high][solvent[high]]) - np.median(r.scale[low][solvent[low]]))
              for r in (local, plain)]
    assert differ[0] < differ[1] / 2
    # and so does the error in solvent
    error = [r.error[high][solvent[high]].mean() / r.error[low][solvent[low]].mean() for r in (local, plain)]
    assert error[0] > 1.4 > 1.2 > error[1]


def test_even_noise_reads_as_before_and_content_does_not_lift_it(made):
    local, plain = run(made.map, made), run(made.map, made, Settings())
    assert local.floor_is_local and not plain.floor_is_local
    # spread of the mean of noise in a window
    assert np.abs(local.floor_map / plain.floor - 1).max() < 0.35
    assert local.floor == pytest.approx(plain.floor, rel=0.1)
    assert np.abs(made.medians(local.scale) - made.medians(plain.scale)).max() < 0.03
    assert local.floor_map[made.distance < 3].mean() == pytest.approx(plain.floor, rel=0.2)


def test_units_axes_and_threads_do_not_matter(made, uneven):
    one = run(uneven[0], made)
    other = run((8 * uneven[0] + 2).astype(np.float32), made)
    np.testing.assert_allclose(other.scale, one.scale, atol=2e-4)
    turned = run(np.ascontiguousarray(uneven[0].transpose(2, 0, 1)), made)
    np.testing.assert_allclose(turned.scale, one.scale.transpose(2, 0, 1), atol=2e-4)
    flipped = run(np.ascontiguousarray(uneven[0][:, ::-1]), made)
    np.testing.assert_allclose(flipped.scale[:, ::-1], one.scale, atol=2e-4)
    alone = run(uneven[0], made, thread_count=1)
    assert np.array_equal(alone.scale, one.scale) and alone.full_scale == one.full_scale


def test_several_maps_measure_it_alike(made, uneven):
    alone = measure_full_scale(uneven[0], LOCAL, voxel_size=made.voxel_size)
    assert alone.value == run(uneven[0], made).full_scale
    assert alone.value != measure_full_scale(uneven[0], voxel_size=made.voxel_size).value


def test_masked_maps_and_noise_alone_stay_finite(made):
    masked = np.where(made.distance < 6, made.map, 0).astype(np.float32)
    shell = np.where(made.distance < 11, made.map, 0).astype(np.float32)
    noise = np.random.default_rng(1).standard_normal((40, 40, 40)).astype(np.float32)
    for volume in (masked, shell, noise):
        found = run(volume, made, with_error=True)
        assert np.isfinite(found.scale).all() and found.scale.min() >= 0 and found.scale.max() <= 1
        assert np.isfinite(found.error).all() and found.error.min() >= 0
        assert np.min(found.floor_map) >= 0


def test_half_maps_tell_more_and_are_asked_first(made):
    difference = np.ascontiguousarray((made.map - made.signal)[::-1])
    local = run(made.map, made, half_difference=difference.copy())
    plain = run(made.map, made, Settings(), half_difference=difference.copy())
    assert np.array_equal(local.scale, plain.scale)


@pytest.mark.parametrize("mode", ["occupancy", "resolution"])
def test_the_scale_mode_is_kept(made, mode):
    found = run(made.map, made, Settings(scale_mode=mode, noise_floor="local"))
    assert found.floor_is_local and np.isfinite(found.scale).all()


def test_other_words_are_refused():
    with pytest.raises(UsageError, match="auto, local, or a number"):
        Settings(noise_floor="near")
