"""The sliding maximum: exact, blind to direction and position, the same however it is called and cut."""

import concurrent.futures
import re

import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numba.core.errors import TypingError

from occupy_jit.kernels import sliding_ball_maximum as module
from occupy_jit.kernels.jit.decorator import threads
from occupy_jit.kernels.sliding_ball_maximum import ball_voxels, sliding_maximum, sliding_maximum_serial
from tests import naive

compiled = pytest.mark.skipif(numba.config.DISABLE_JIT, reason="needs the compiler")

# Interpreted kernels visit every voxel in Python.
LONGEST, EXAMPLES = (5, 8) if numba.config.DISABLE_JIT else (14, 60)


def make_volume(seed, shape, kind="real"):
    rng = np.random.default_rng(seed)
    if kind == "ties":
        return rng.integers(-2, 3, shape).astype(np.float32)
    if kind == "points":
        return np.where(rng.random(shape) < 0.03, 1, -np.inf).astype(np.float32)
    return rng.standard_normal(shape).astype(np.float32)


shapes = st.tuples(*[st.integers(1, LONGEST)] * 3)
volumes = st.builds(make_volume, st.integers(0, 2**32), shapes, st.sampled_from(["real", "ties", "points"]))
radii = st.sampled_from([0.5, 1, 2**0.5, 3**0.5, 2, 2.5, 3, 3.5, 4, 5, 15.5]) | st.floats(0.1, 8)
sizes = st.none() | st.integers(0, 6).map(lambda half: 2 * half + 1)


@given(volumes, radii, sizes)
@settings(deadline=None, max_examples=EXAMPLES)
def test_equals_naive_on_any_shape(volume, radius, size):
    before = volume.copy()
    expected = naive.sliding_maximum(volume, radius, size)
    np.testing.assert_array_equal(sliding_maximum(volume, radius, size), expected)
    np.testing.assert_array_equal(sliding_maximum_serial(volume, radius, size), expected)
    np.testing.assert_array_equal(volume, before)


@pytest.mark.slow
@compiled
@pytest.mark.parametrize("radius, size", [(0.5, None), (1, None), (2, None), (2.9, 5), (3, None), (3.5, 7), (4, None),
                                          (4.4, 9), (7.3, None), (9, 3), (15.5, None)])
@pytest.mark.parametrize("shape", [(40, 37, 30), (5, 70, 331), (1, 34, 700), (70, 1, 21)])
def test_equals_scipy_where_there_are_many_blocks(shape, radius, size):
    ndimage = pytest.importorskip("scipy.ndimage")
    volume = make_volume(1, shape)
    reach = int(radius) if size is None else min(int(radius), size // 2)
    z, y, x = np.ogrid[-reach:reach + 1, -reach:reach + 1, -reach:reach + 1]
    ball = z * z + y * y + x * x <= radius * radius
    assert ball_voxels(radius, size) == ball.sum()
    # scipy repeats the nearest voxel to the letter: this also tests that ignoring the outside is the same.
    expected = ndimage.maximum_filter(volume, footprint=ball, mode="nearest")
    np.testing.assert_array_equal(sliding_maximum(volume, radius, size), expected)
    np.testing.assert_array_equal(sliding_maximum_serial(volume, radius, size), expected)


@given(shapes, radii, sizes, st.integers(0, 2**32), st.tuples(*[st.integers(1, 9)] * 3), st.integers(1, 3))
@settings(deadline=None, max_examples=EXAMPLES)
def test_does_not_depend_on_how_the_volume_is_cut(shape, radius, size, seed, parts, planes):
    # Most volumes of tests fit into one block; here they are cut to pieces, some thinner than the ball.
    volume = make_volume(seed, shape)
    cut, terms = module.plan(shape, float(radius), 0 if size is None else size, 1)
    deep, down, across = (min(p, n) for p, n in zip(parts, shape, strict=True))
    cut = cut._replace(deep=deep, down=down, across=across, planes=planes)
    out = np.empty_like(volume)
    module._serial_blocks(volume.reshape(-1), out.reshape(-1), cut, terms)
    np.testing.assert_array_equal(out, naive.sliding_maximum(volume, radius, size))


@given(st.floats(0.1, 12) | st.integers(1, 12), sizes)
@settings(deadline=None, max_examples=30)
def test_number_of_voxels(radius, size):
    assert ball_voxels(radius, size) == len(naive.ball_offsets(radius, size))


def test_radii_that_mean_a_voxel_include_it():
    assert [ball_voxels(r) for r in (0.5, 1, 2, 3, 4)] == [1, 7, 33, 123, 257]
    # Computed from lengths in Å they arrive with an error of rounding.
    assert [ball_voxels(np.nextafter(r, 0)) for r in (1.0, 3.0)] == [7, 123]
    assert ball_voxels(2.99) < 123
    assert ball_voxels(100, 3) == 27


@given(volumes, radii, sizes, st.permutations(range(3)), st.tuples(*[st.booleans()] * 3))
@settings(deadline=None, max_examples=EXAMPLES)
def test_moves_with_permutations_and_flips_of_axes(volume, radius, size, order, flipped):
    def move(array):
        return np.ascontiguousarray(np.flip(array.transpose(order), [i for i in range(3) if flipped[i]]))
    expected = move(sliding_maximum(volume, radius, size))
    np.testing.assert_array_equal(sliding_maximum(move(volume), radius, size), expected)


@given(st.integers(0, 2**32), st.floats(0.5, 4), st.tuples(*[st.integers(0, 5)] * 3))
@settings(deadline=None, max_examples=EXAMPLES // 2)
def test_moves_with_translations(seed, radius, shift):
    # All that is above the background lies so far inside that neither the ball nor the shift brings it to an edge.
    volume = np.zeros((24, 23, 26), np.float32)
    volume[6:-11, 6:-11, 6:-11] = np.abs(make_volume(seed, (7, 6, 9)))
    if numba.config.DISABLE_JIT:
        radius = min(radius, 1.5)
    moved = sliding_maximum(np.roll(volume, shift, (0, 1, 2)), radius)
    np.testing.assert_array_equal(moved, np.roll(sliding_maximum(volume, radius), shift, (0, 1, 2)))


@given(volumes, radii, sizes, st.integers(0, 2**32))
@settings(deadline=None, max_examples=EXAMPLES)
def test_is_a_dilation(volume, radius, size, seed):
    other = make_volume(seed, volume.shape)
    of_volume, of_other = sliding_maximum(volume, radius, size), sliding_maximum(other, radius, size)
    # Commutes with the maximum, hence monotone; never below its input; larger balls give larger results.
    of_larger = sliding_maximum(np.maximum(volume, other), radius, size)
    np.testing.assert_array_equal(of_larger, np.maximum(of_volume, of_other))
    assert (of_larger >= of_volume).all()
    assert (of_volume >= volume).all()
    assert (sliding_maximum(volume, radius + 0.7, size) >= of_volume).all()


@given(volumes, st.floats(0.5, 5))
@settings(deadline=None, max_examples=EXAMPLES // 2)
def test_commutes_with_increasing_functions(volume, radius):
    # Doubling is exact, so are the bits.
    np.testing.assert_array_equal(sliding_maximum(2 * volume, radius), 2 * sliding_maximum(volume, radius))


@compiled
@pytest.mark.parametrize("radius", [1, 3, 6.5])
def test_number_of_threads_does_not_matter(radius):
    volume = make_volume(3, (50, 41, 37))
    results = []
    for number in (1, 2):
        with threads(number):
            results.append(sliding_maximum(volume, radius).tobytes())
    assert results[0] == results[1] == sliding_maximum_serial(volume, radius).tobytes()


@compiled
def test_serial_form_runs_in_several_host_threads():
    volume = make_volume(4, (30, 40, 50))
    expected = sliding_maximum(volume, 3)
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        for result in pool.map(lambda _: sliding_maximum_serial(volume, 3), range(8)):
            np.testing.assert_array_equal(result, expected)


@pytest.mark.slow
@compiled
def test_can_be_called_from_compiled_code():
    @numba.njit
    def call(volume, radius, out):
        return (sliding_maximum(volume, radius), sliding_maximum(volume, radius, 3, out),
                sliding_maximum_serial(volume, 2, None), ball_voxels(radius), ball_voxels(radius, size=3))

    volume = make_volume(5, (7, 9, 8))
    out = np.empty_like(volume)
    whole, boxed, serial, n, m = call(volume, 2.5, out)
    np.testing.assert_array_equal(whole, naive.sliding_maximum(volume, 2.5))
    np.testing.assert_array_equal(out, naive.sliding_maximum(volume, 2.5, 3))
    np.testing.assert_array_equal(boxed, out)
    np.testing.assert_array_equal(serial, naive.sliding_maximum(volume, 2))
    assert (n, m) == (ball_voxels(2.5), 27)
    for radius in (-1.0, np.nan):
        with pytest.raises(ValueError, match="radius"):
            call(volume, radius, out)


@compiled
@pytest.mark.parametrize("wrong", [np.zeros((3, 3, 3)), np.zeros((3, 3), np.float32),
                                   np.asfortranarray(np.zeros((3, 4, 5), np.float32))])
def test_compiled_code_must_pass_float32_volumes(wrong):
    @numba.njit
    def call(volume):
        return sliding_maximum(volume, 2.0)

    with pytest.raises(TypingError, match="volume"):
        call(wrong)


@pytest.mark.parametrize("function", [sliding_maximum, sliding_maximum_serial])
def test_converts_what_is_not_contiguous_float32(function):
    volume = make_volume(6, (4, 5, 6))
    expected = naive.sliding_maximum(volume, 1.5)
    for other in (volume.astype(np.float64), np.asfortranarray(volume), np.repeat(volume, 2, axis=2)[:, :, ::2],
                  volume.astype(">f4")):
        result = function(other, 1.5)
        assert result.dtype == np.float32 and result.flags.c_contiguous
        np.testing.assert_array_equal(result, expected)
    counts = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    np.testing.assert_array_equal(function(counts, 1), naive.sliding_maximum(counts.astype(np.float32), 1))
    out = np.empty_like(volume)
    assert function(volume, np.float32(1.5), out=out) is out
    np.testing.assert_array_equal(out, expected)


def test_empty_volumes_stay_empty():
    assert sliding_maximum(np.zeros((3, 0, 2), np.float32), 2).shape == (3, 0, 2)


def test_radii_beyond_the_volume_give_its_maximum():
    volume = make_volume(7, (3, 4, 2))
    assert (sliding_maximum(volume, 1e9) == volume.max()).all()


@pytest.mark.parametrize("error, arguments", [
    (TypeError, ([[[1.0]]], 1)),
    (TypeError, (np.zeros((2, 2, 2), complex), 1)),
    (TypeError, (np.zeros((2, 2)), 1)),
    (TypeError, (np.zeros((2, 2, 2)), "1")),
    (TypeError, (np.zeros((2, 2, 2)), 1, 3.0)),
    (TypeError, (np.zeros((2, 2, 2)), 1, None, np.zeros((2, 2, 2)))),
    (ValueError, (np.zeros((2, 2, 2)), 1, None, np.zeros((2, 2, 3), np.float32))),
    (ValueError, (np.zeros((2, 2, 2)), 0)),
    (ValueError, (np.zeros((2, 2, 2)), -1.0)),
    (ValueError, (np.zeros((2, 2, 2)), np.nan)),
    (ValueError, (np.zeros((2, 2, 2)), np.inf)),
    (ValueError, (np.zeros((2, 2, 2)), 1, 0)),
    (ValueError, (np.zeros((2, 2, 2)), 1, 4)),
    (ValueError, (np.zeros((2, 2, 2)), 1, -3)),
])
def test_refuses_what_it_cannot_use(error, arguments):
    with pytest.raises(error):
        sliding_maximum(*arguments)


def test_refuses_to_work_in_place():
    volume = np.zeros((3, 3, 3), np.float32)
    with pytest.raises(ValueError, match="shares memory"):
        sliding_maximum(volume, 1, out=volume)


@compiled
def test_inner_loops_are_packed_maxima():
    # A loop that turned scalar would be right but an order of magnitude slower, and no other test would notice.
    # Compiled afresh, for kernels that come from the cache bring no assembly.
    fresh = numba.njit(module.maximum_of.py_func, nogil=True, error_model="numpy")
    volume, offsets = np.zeros(300, np.float32), np.array([64, 128])
    fresh(volume, 0, volume, 192, 0, offsets, 0, 2, 64)
    (assembly,) = fresh.inspect_asm().values()
    if not re.search(r"\bv?maxss\b", assembly):
        pytest.skip("not an x86 processor")
    # 64 floats are at least 4 registers, 16 at least 1.
    assert len(re.findall(r"\bv?maxps\b", assembly)) >= 5
    assert not re.search(r"gather|scatter", assembly)


@given(st.integers(0, 200), st.integers(0, 5), st.integers(0, 2**32))
@settings(deadline=None, max_examples=EXAMPLES)
def test_maximum_of_pieces(n, number, seed):
    # By itself it is called with a few lengths only; what lies around the target must stay as it was.
    rng = np.random.default_rng(seed)
    source, target = rng.standard_normal(500).astype(np.float32), np.zeros(n + 20, np.float32)
    first, base, *offsets = rng.integers(0, 100, number + 2)
    offsets = np.array([-7, *offsets, -7])
    module.maximum_of(target, 10, source, first, base, offsets, 1, number + 1, n)
    pieces = [source[first:first + n]] + [source[base + o:base + o + n] for o in offsets[1:-1]]
    np.testing.assert_array_equal(target[10:n + 10], np.max(pieces, axis=0))
    assert not target[:10].any() and not target[n + 10:].any()
