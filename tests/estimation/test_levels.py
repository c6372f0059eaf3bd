"""The ball, the quiet voxels and full scale."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from occupy_jit.estimation.scale import contrast, full_scale, strongest_cube
from occupy_jit.estimation.scale.ball import Ball, choose_ball
from occupy_jit.estimation.scale.full_scale import NoiseLevel
from occupy_jit.estimation.solvent.quiet_voxels import Quiet, find_quiet
from occupy_jit.kernels.full_scale import full_scale_tau, largest_quantile
from occupy_jit.kernels.grid.sphere import voxels_in_sphere
from occupy_jit.settings import Settings
from tests import naive, simulated

SHAPES = st.tuples(*[st.integers(1, 9)] * 3)


@pytest.mark.parametrize(("lowpass", "size", "radius"), [
    (2.0, 3, 1.0), (3.0, 3, 1.5), (4.0, 5, 2.0), (5.0, 5, 2.5), (6.0, 7, 3.0), (7.0, 7, 3.5), (8.0, 9, 4.0),
    (9.5, 9, 4.5), (12.0, 9, 4.5), (1e6, 9, 4.5), (0.5, 3, 1.0),
])
def test_the_ball_follows_from_the_low_pass(lowpass, size, radius):
    """2 floor(d / 2p) + 1 within 3 to 9, and d / 2p, at most half of that."""
    for voxel_size in (1.0, 1.3):
        ball = choose_ball(lowpass * voxel_size, voxel_size)
        assert ball.size == size
        assert ball.radius == pytest.approx(radius)


def test_the_ball_reaches_3_angstrom_at_fine_voxels():
    assert choose_ball(6.0, 0.5) == Ball(13, 6.0) and choose_ball(60.0, 0.5) == Ball(13, 6.5)


@pytest.mark.parametrize("meant", [4, 6, 8])
def test_a_low_pass_that_misses_by_rounding_is_what_was_meant(meant):
    exact = choose_ball(float(meant), 1.0)
    for almost in (meant - 1e-4, meant + 1e-4, 1.1 * meant / 1.1):
        assert choose_ball(almost, 1.0) == exact
        assert choose_ball(almost, 1.0).voxels == exact.voxels
    assert choose_ball(meant - 0.1, 1.0).size == exact.size - 2


@pytest.mark.parametrize(("size", "voxels"), [(1, 1), (3, 7), (5, 33), (7, 123), (9, 257)])
def test_a_size_alone_is_the_ball_of_that_diameter(size, voxels):
    """The numbers of whole-number points in balls of radius 0, 1, 2, 3, 4."""
    for lowpass in (2.0, 6.0, 20.0):
        assert choose_ball(lowpass, 1.0, size=size).voxels == voxels


@pytest.mark.parametrize(("radius", "size", "voxels"), [(0.4, 1, 1), (1.0, 3, 7), (1.5, 3, 19), (1.8, 3, 27),
                                                        (2.5, 5, 81), (3.0, 7, 123), (5.0, 11, 515)])
def test_a_radius_alone_is_the_whole_ball(radius, size, voxels):
    ball = choose_ball(6.0, 1.0, radius=radius)
    assert (ball.size, ball.voxels) == (size, voxels) == (size, len(naive.ball_offsets(radius)))


def test_size_and_radius_together_are_a_ball_in_a_box():
    ball = choose_ball(6.0, 1.0, size=3, radius=3.0)
    assert (ball.size, ball.radius, ball.voxels) == (3, 3.0, 27)


@settings(deadline=None, max_examples=100)
@given(SHAPES)
def test_voxels_in_the_sphere_are_counted(shape):
    assert voxels_in_sphere(shape) == naive.inscribed_sphere(shape).sum() > 0


@settings(deadline=None, max_examples=25)
@given(SHAPES, st.integers(0, 99))
def test_quiet_voxels_alone(shape, seed):
    rng = np.random.default_rng(seed)
    power, volume = rng.random(shape, dtype=np.float32), rng.standard_normal(shape, dtype=np.float32)
    found = Quiet(power, 0.5, shape)
    chosen = naive.inscribed_sphere(shape) & (power <= 0.5)
    assert np.array_equal(found.alone(volume, 0.25), np.where(chosen, volume - np.float32(0.25), np.float32(0)))
    mean, deviation, count = found.mean_and_deviation(volume)
    assert count == chosen.sum()
    if count:
        assert mean == pytest.approx(volume[chosen].mean(dtype=np.float64), abs=1e-6)
        assert deviation == pytest.approx(volume[chosen].std(dtype=np.float64), abs=1e-6)
        assert found.median(volume, 0.0) == pytest.approx(np.median(volume[chosen]), abs=1e-6)


def test_quiet_voxels_keep_away_from_content():
    """They are solvent: none near the atoms, and their moments are those of the noise."""
    made = simulated.complex_with_occupancies(4, seed=3)
    found = find_quiet(made.map, made.voxel_size)
    quiet = np.stack([found.section(z) for z in range(len(made.map))])
    noise = (made.map - made.signal)[quiet]
    assert np.count_nonzero(made.distance[quiet] < 3) < 0.02 * quiet.sum()
    assert np.count_nonzero(quiet) > 0.7 * np.count_nonzero(naive.inscribed_sphere(made.map.shape))
    mean, deviation, _ = found.mean_and_deviation(made.map)
    # a twentieth of the noise: what the weakest chain adds at its rim
    assert deviation == pytest.approx(noise.std(), rel=0.05)
    assert abs(mean - noise.mean()) < 0.05 * deviation


def test_the_strongest_cube_has_the_largest_quantile():
    volume = simulated.blobs((30, 28, 32), 1)
    ball = choose_ball(6.0, 1.0)
    found = full_scale.full_scale(volume, NoiseLevel(0.1, 0.0), ball, 5.0, Settings())
    assert (found.tile, found.tau, found.zero) == (6, full_scale_tau(123), 0.1)
    wanted, where = largest_quantile(volume, found.tile, found.tau)
    assert found.quantile == pytest.approx(float(wanted) - 0.1, abs=1e-6) and found.corner == where
    half = full_scale.full_scale(volume, NoiseLevel(0.1, 0.0), ball, 5.0, Settings(tau=0.5))
    assert half.value == half.quantile < found.value
    known = full_scale.full_scale(volume, NoiseLevel(0.1, 0.3), ball, 5.0, Settings(), known=2.5)
    assert known[:6] == (2.5, None, 6, 0.1, found.tau, 2.5)
    plain = full_scale.full_scale(volume, NoiseLevel(0.1, 0.3), ball, 5.0, Settings(tau=0.9, naive_normalisation=True))
    assert plain.value == plain.quantile == pytest.approx(0.9 * (float(volume.max()) - 0.1)) and plain.corner is None


def test_full_scale_is_what_the_strongest_cube_reads():
    """As the formula has it, whatever the noise, and wherever the cube lies: at the wall of the box, too."""
    volume = simulated.blobs((30, 28, 32), 1)
    maximum = naive.sliding_maximum(volume, 3.0, 7)
    ball = choose_ball(6.0, 1.0)
    for noise in (0.0, 0.02, 0.05, 10.0):
        found = full_scale.full_scale(volume, NoiseLevel(0.1, noise), ball, 5.0, Settings())
        assert found.value == pytest.approx(
            naive.level_of_cube(volume, maximum, 0.1, found.corner, found.tile, noise, found.quantile, 0.5), rel=1e-6)
    for corner in ((0, 0, 0), (24, 22, 26), (0, 11, 26)):
        contents = strongest_cube.contents(volume, 0.1, ball, corner, 6)
        assert np.array_equal(contents.maximum, maximum[tuple(slice(c, c + 6) for c in corner)].astype(float) - 0.1)
    nothing = strongest_cube.Contents(np.zeros((2, 2, 2)), np.zeros((2, 2, 2)))
    assert strongest_cube.level(nothing, 0.7, 0.1) == 0.7


def test_even_content_lies_above_full_scale_by_what_the_strongest_cube_does():
    volume = np.zeros((40, 40, 40), np.float32)
    volume[10:30, 10:30, 10:30] = 2
    # balls of 19 and 123 voxels, and one as wide as with voxels of 4 Å
    for low_pass, voxel_size, of_quantile in ((3.0, 1.0, 0.0), (6.0, 1.0, 0.5), (9.0, 3.0, 0.0), (12.0, 4.0, 0.5)):
        ball = choose_ball(low_pass, voxel_size)
        found = full_scale.full_scale(volume, NoiseLevel(0.0, 0.0), ball, voxel_size, Settings())
        level = (1 - of_quantile) * strongest_cube.OF_STRONGEST + of_quantile
        assert found.value == pytest.approx(2 * level)


def test_a_given_quantile_is_free_of_noise():
    """Without noise it is the quantile itself; else the formula, and never less than what 5 % of signal leaves."""
    volume = simulated.blobs((30, 28, 32), 1)
    ball = choose_ball(6.0, 1.0)
    clean = full_scale.full_scale(volume, NoiseLevel(0.1, 0.0), ball, 5.0, Settings(tau=0.97))
    assert clean.value == clean.quantile
    cube = volume[tuple(slice(c, c + clean.tile) for c in clean.corner)]
    for noise in (0.05, 0.2, 10.0):
        found = full_scale.full_scale(volume, NoiseLevel(0.1, noise), ball, 5.0, Settings(tau=0.97))
        assert (found.quantile, found.corner) == (clean.quantile, clean.corner)
        assert found.value == pytest.approx(naive.without_noise(clean.quantile, cube, 0.1, noise), rel=1e-6)
    for axes in ((0, 2, 1), (2, 1, 0)):
        turned = cube[::-1].transpose(axes)
        assert full_scale.without_noise(1.0, turned, 0.1, 0.05) == full_scale.without_noise(1.0, cube, 0.1, 0.05)
    assert full_scale.without_noise(0.7, np.full((5, 5, 5), 0.8), 0.1, 0.2) == 0.7  # no variance to take any of


def test_full_scale_of_gaussian_content_stays_under_noise():
    """What the formula is derived from: Gaussian content of one spread, more and more noise, the same full scale."""
    rng = np.random.default_rng(5)
    content, noise = rng.normal(1, 0.5, (2, 40, 40, 40))
    quantile = 1 + 0.5 * 1.6449
    for level in (0.0, 0.4, 0.8):
        cube = content + level * (noise - 1) / 0.5
        found = full_scale.without_noise(np.quantile(cube, 0.95), cube, 0.0, level)
        # the quantile of 64000 values is known within 0.01 of their spread
        assert found == pytest.approx(quantile, abs=4 * 0.01 * np.hypot(0.5, level))


@settings(deadline=None, max_examples=100)
@given(st.floats(0, 1e3, allow_subnormal=False), st.floats(0, 1e3, allow_subnormal=False))
def test_the_noise_free_maximum_undoes_the_noise(clean, floor):
    """Of the form that it was derived from; the root cannot tell less than a rounding of the larger one."""
    height = (clean + np.hypot(clean, 2 * floor)) / 2
    assert contrast.noise_free_maximum(height, floor) == pytest.approx(clean, abs=1e-14 * (clean + floor) * 10)
    assert contrast.noise_free_maximum(floor, floor) == 0
    assert contrast.noise_free_maximum(-1.0, 0.0) == 0


def test_solvent_hardly_reaches_its_limit():
    assert full_scale.solvent_limit(0.1, 0.05, 0.1, 1.0) == pytest.approx(0.3 - 0.1**2 / 0.3)
    assert full_scale.solvent_limit(0.1, 0.05, 0.0, 1.0) == pytest.approx(0.3)
    assert full_scale.solvent_limit(0.1, 5.0, 0.1, 1.0) == 1.0
