"""The value at full scale: exact, the same however the map lies or is scaled, whatever the number of threads."""

import math

import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numba.core.errors import TypingError

from occupy_jit.kernels import cube_counts, full_scale
from occupy_jit.kernels.full_scale import full_scale_tau, largest_quantile, tile_edge
from occupy_jit.kernels.jit import decorator as _jit
from tests import naive

compiled = pytest.mark.skipif(numba.config.DISABLE_JIT, reason="needs the compiler")


def make_volume(seed, shape, kind):
    rng = np.random.default_rng(seed)
    if kind == "real":
        return rng.standard_normal(shape).astype(np.float32)
    if kind == "ties":
        return rng.integers(-2, 3, shape).astype(np.float32)
    if kind == "constant":
        return np.full(shape, rng.integers(-1, 2), np.float32)
    # Nothing but one bright corner of the box each: cubes that differ are few and at the border.
    volume = np.zeros(shape, np.float32)
    volume[tuple(slice(rng.integers(0, n), None) for n in shape)] = rng.standard_normal()
    return volume


@st.composite
def searches(draw):
    """A volume, an edge of which at least one cube fits, and tau."""
    shape = draw(st.tuples(*[st.integers(1, 14)] * 3))
    edges = [w for w in range(1, min(shape) + 1) if naive.largest_quantile(np.zeros(shape), w, 0)[1] is not None]
    kind = draw(st.sampled_from(["real", "ties", "constant", "step"]))
    volume = make_volume(draw(st.integers(0, 2**32)), shape, kind)
    tau = draw(st.floats(0, 1) | st.sampled_from([0.0, 0.5, 26 / 27, 0.7, 1.0]))
    return volume, draw(st.sampled_from(edges)), tau


@settings(deadline=None, max_examples=150)
@given(searches())
def test_equals_sorting_every_cube(search):
    value, corner = largest_quantile(*search)
    assert (value, corner) == naive.largest_quantile(*search)
    assert value.dtype == np.float32


@pytest.mark.parametrize("shape, edge", [((24, 31, 26), 9), ((40, 26, 25), 12), ((9, 27, 30), 5)])
@pytest.mark.parametrize("kind", ["real", "ties"])
def test_equals_sorting_every_cube_where_the_coarse_grid_is_coarser(shape, edge, kind):
    # Edges above 8 are searched first on every second voxel, boxes above are uneven multiples of that.
    volume = make_volume(1, shape, kind)
    for tau in (0.02, 0.5, 0.97):
        assert largest_quantile(volume, edge, tau) == naive.largest_quantile(volume, edge, tau)


def test_box_without_a_voxel_inside_its_sphere_uses_those_about_the_centre():
    volume = np.arange(24, dtype=np.float32).reshape(1, 4, 6)
    assert largest_quantile(volume, 1, 0.5) == (volume[0, 2, 3], (0, 2, 3))


@settings(deadline=None, max_examples=40)
@given(searches(), st.permutations(range(3)), st.tuples(*[st.sampled_from([1, -1])] * 3))
def test_value_does_not_depend_on_how_the_map_lies(search, axes, signs):
    volume, edge, tau = search
    turned = volume.transpose(axes)[tuple(slice(None, None, sign) for sign in signs)]
    assert largest_quantile(turned, edge, tau)[0] == largest_quantile(volume, edge, tau)[0]


@settings(deadline=None, max_examples=40)
@given(searches(), st.integers(-20, 20))
def test_power_of_two_scales_the_value_exactly_and_keeps_the_cube(search, exponent):
    volume, edge, tau = search
    factor = np.float32(2.0**exponent)
    value, corner = largest_quantile(volume, edge, tau)
    assert largest_quantile(volume * factor, edge, tau) == (value * factor, corner)


@settings(deadline=None, max_examples=40)
@given(searches(), st.integers(0, 2**32))
def test_raising_voxels_never_lowers_the_value(search, seed):
    volume, edge, tau = search
    raised = volume + np.abs(make_volume(seed, volume.shape, "ties"))
    assert largest_quantile(raised, edge, tau)[0] >= largest_quantile(volume, edge, tau)[0]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["real", "ties", "constant"])
def test_the_number_of_threads_changes_nothing(kind, monkeypatch):
    slabs = set()

    def launch(kernel, *arguments):
        slabs.add(arguments[-2].size - 1)
        return _jit.launch(kernel, *arguments)

    # Slabs may be as small as they like here, so that a small box is cut at all.
    monkeypatch.setattr(cube_counts, "WORK_PER_SLAB", 1)
    monkeypatch.setattr(cube_counts, "launch", launch)
    shape, edge = ((12, 13, 11), 3) if numba.config.DISABLE_JIT else ((60, 52, 57), 6)
    volume = make_volume(3, shape, kind)
    answers = set()
    for number in (1, 2, 3, 7, 64):
        answers.add(full_scale.search(volume, edge, 0.9, number))
    assert len(answers) == 1
    assert max(slabs) > 3


@compiled
def test_counts_beyond_16_bits():
    # 44^3 voxels in a cube, 44^2 in a plane of it: every running sum must hold its largest count.
    volume = np.ones((80, 80, 80), np.float32)
    volume[40, 40, 40] = 2
    assert largest_quantile(volume, 44, 1.0)[0] == 2
    assert largest_quantile(volume, 44, 0.0)[0] == 1
    volume[:, :, :40] = 3
    assert largest_quantile(volume, 44, 0.6)[0] == 3


def test_a_rank_that_rounding_hides():
    # 7 of 343 elements lie below the one meant, though in floating point the product is less than 7.
    tau = 7 / 343
    assert tau * 343 < 7
    volume = np.zeros((13, 13, 13), np.float32)
    volume[3:10, 3:10, 3:10] = np.arange(1, 344).reshape(7, 7, 7)
    assert largest_quantile(volume, 7, tau) == (8, (3, 3, 3))


@pytest.mark.slow
@compiled
def test_inside_compiled_code():
    @numba.njit
    def caller(volume, edge, tau):
        return largest_quantile(volume, edge, tau)

    for kind in ("real", "ties"):
        volume = make_volume(5, (20, 22, 24), kind)
        assert caller(volume, 5, 0.9) == largest_quantile(volume, 5, 0.9)
    with pytest.raises(TypingError, match="float32"):
        caller(volume.astype(np.float64), 5, 0.9)
    with pytest.raises(ValueError, match="edge"):
        caller(volume, 30, 0.9)


def test_any_real_dtype_and_layout():
    volume = make_volume(6, (9, 10, 11), "ties")
    expected = largest_quantile(volume, 3, 0.8)
    for dtype in (np.int8, np.int32, np.float16, np.float64, ">f4"):
        assert largest_quantile(volume.astype(dtype), 3, 0.8) == expected
    assert largest_quantile(np.asfortranarray(volume), 3, 0.8) == expected
    padded = np.zeros((9, 20, 22), np.float32)
    padded[:, ::2, ::2] = volume
    before = padded.copy()
    assert largest_quantile(padded[:, ::2, ::2], np.int16(3), np.float32(0.8)) == expected
    assert np.array_equal(padded, before)


@pytest.mark.parametrize("arguments, error, word", [
    (([[[1.0]]], 1, 0.5), TypeError, "volume"),
    ((np.zeros((4, 4)), 1, 0.5), TypeError, "dimensions"),
    ((np.zeros((4, 4, 4), complex), 1, 0.5), TypeError, "real"),
    ((np.zeros((4, 4, 4)), 1.5, 0.5), TypeError, "edge"),
    ((np.zeros((4, 4, 4)), 1, "0.5"), TypeError, "tau"),
    ((np.zeros((4, 4, 4)), 1, None), TypeError, "tau"),
    ((np.zeros((4, 4, 4)), 0, 0.5), ValueError, "edge"),
    ((np.zeros((4, 4, 4)), 10**4, 0.5), ValueError, "1290"),
    ((np.zeros((4, 4, 4)), 4, 0.5), ValueError, "fits"),
    ((np.zeros((4, 0, 4)), 1, 0.5), ValueError, "fits"),
    ((np.zeros((4, 4, 4)), 1, 1.01), ValueError, "tau"),
    ((np.zeros((4, 4, 4)), 1, -0.01), ValueError, "tau"),
    ((np.zeros((4, 4, 4)), 1, math.nan), ValueError, "tau"),
])
def test_what_cannot_be_searched_is_refused(arguments, error, word):
    with pytest.raises(error, match=word):
        largest_quantile(*arguments)


@given(st.integers(1, 10**6))
def test_tau_is_the_fixed_point(n_v):
    tau = full_scale_tau(n_v)
    assert 0.5 <= tau < 1
    # A tau off by one rounding, 1.1e-16, moves the sum by the derivative times that; a few roundings more in the power.
    assert abs(tau**n_v + tau - 1) <= 4 * 2.3e-16 * (n_v * tau ** (n_v - 1) + 1)
    assert full_scale_tau(n_v + 1) > tau


def test_tau_of_one_voxel_is_the_median_and_none_is_refused():
    assert full_scale_tau(1) == 0.5
    assert full_scale_tau(2) == pytest.approx((math.sqrt(5) - 1) / 2, abs=1e-15)
    for n_v in (0, math.nan):
        with pytest.raises(ValueError, match="n_v"):
            full_scale_tau(n_v)


@settings(deadline=None)
@given(st.tuples(*[st.integers(1, 60)] * 3), st.floats(0.01, 30), st.floats(0.1, 500))
def test_tile_edge_keeps_its_limits(shape, voxel_size, tile):
    edge = tile_edge(shape, voxel_size, tile)
    most = max(1, min(shape) // 4)
    assert 1 <= edge <= most
    if 5 <= edge < most:
        # At a size of exactly n + 1/2 either neighbour is right; the quotient has one rounding.
        assert edge == 5 or abs(edge - tile / voxel_size) <= 0.5
        assert edge + 0.5 >= tile / voxel_size
    assert edge >= min(5, most)


@settings(deadline=None, max_examples=60)
@given(st.tuples(*[st.integers(1, 9)] * 3) | st.tuples(st.integers(1, 12), st.integers(1, 40), st.integers(1, 40)))
def test_a_cube_of_tile_edge_always_fits(shape):
    volume = np.zeros(shape, np.float32)
    assert largest_quantile(volume, tile_edge(shape, 1e-3), 0.9)[0] == 0


def test_tile_edge_examples():
    assert tile_edge((240, 240, 240), 1.3) == 23
    assert tile_edge((240, 240, 240), 1.0, 12.5) == 13
    assert tile_edge((64, 64, 64), 1.0) == 16
    assert tile_edge((240, 240, 240), 20.0) == 5
    assert tile_edge((1, 1, 1), 1.0) == 1
    assert tile_edge((1, 8, 8), 5e-324) == 1
    box = (8, 8, 8)
    for arguments in ((box, 0), (box, 1, -1), (box, math.nan), ((8, 8, 0), 1), ((8, 8), 1)):
        with pytest.raises(ValueError, match="expected"):
            tile_edge(*arguments)
