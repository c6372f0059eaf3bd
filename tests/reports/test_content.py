"""What of a map is drawn: pieces, their rim, and what is left of noise; all against what is known of a map."""

from collections import deque

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from occupy_jit.interface import estimate
from occupy_jit.reports import content
from occupy_jit.reports.page import pictures
from occupy_jit.runs.one_map.shown_level import first_level, solvent_noise, thinned
from tests.simulated import complex_with_occupancies

NEIGHBOURS = [(1, 0, 0), (-1, 0, 0), (0, 1, 0), (0, -1, 0), (0, 0, 1), (0, 0, -1)]


def naive_sizes(on):
    """One voxel after the other, and from it to all that it hangs together with."""
    out = np.zeros(on.shape, int)
    seen = ~on
    for start in np.ndindex(*on.shape):
        if seen[start]:
            continue
        piece, queue = [], deque([start])
        seen[start] = True
        while queue:
            place = queue.popleft()
            piece.append(place)
            for step in NEIGHBOURS:
                near = tuple(a + b for a, b in zip(place, step, strict=True))
                if all(0 <= v < n for v, n in zip(near, on.shape, strict=True)) and not seen[near]:
                    seen[near] = True
                    queue.append(near)
        out[tuple(np.transpose(piece))] = len(piece)
    return out


@given(arrays.arrays(bool, arrays.array_shapes(min_dims=3, max_dims=3, max_side=7)))
@settings(max_examples=80, deadline=None)
def test_sizes_of_pieces_are_those_found_voxel_by_voxel(on):
    assert np.array_equal(content.piece_sizes(on), naive_sizes(on))


def test_a_long_winding_piece_is_one():
    spiral = np.zeros((3, 41, 41), bool)
    for ring in range(0, 20, 2):  # rings, each joined to the next in one place, in the next section and back
        spiral[1, ring:41 - ring, ring] = spiral[1, ring:41 - ring, 40 - ring] = True
        spiral[1, ring, ring:41 - ring] = spiral[1, 40 - ring, ring:41 - ring] = True
        spiral[1, 20, ring:ring + 3] = True
    assert (content.piece_sizes(spiral)[spiral] == spiral.sum()).all()


def test_islands_go_and_small_pieces_alone_stay():
    on = np.zeros((30, 30, 30), bool)
    on[5:20, 5:20, 5:20] = True
    on[25, 25, 25:29] = True  # 4 of 3379: less than one in 500
    assert np.array_equal(content.without_islands(on), naive_sizes(on) > 4)
    dots = np.zeros((60, 60, 60), bool)
    dots[::4, ::4, ::4] = True
    assert np.array_equal(content.without_islands(dots), dots)
    assert not content.without_islands(np.zeros((3, 3, 3), bool)).any()


@pytest.mark.parametrize("rim", [0.4, 1, 2.3, 3])
def test_content_fades_over_the_rim_and_no_further(rim):
    confidence = np.zeros((36, 36, 36), np.float32)
    confidence[8:28, 8:28, 8:28] = 1
    confidence[2:4, 2:4, 2:4] = 1  # an island
    seen = content.visibility(confidence, rim)
    line, steps = seen[8:28, 18, 18], int(np.ceil(rim))
    assert np.allclose(line[:steps + 1], np.arange(1, steps + 2) / (steps + 1)) and np.allclose(line, line[::-1])
    assert (line[steps:-steps] == 1).all() and seen[confidence == 0].max() == seen[:5, :5, :5].max() == 0


def test_a_section_of_a_large_volume_is_that_of_the_whole():
    """Pieces are found on every third voxel; of the edges of content, which are voxel for voxel, nothing may change."""
    z, y, x = np.indices((70, 66, 60))
    confidence = (0.9 * ((z - 33) ** 2 + (y - 30) ** 2 + 1.5 * (x - 28) ** 2 < 400)).astype(np.float32)
    confidence[30:36, 58:63, 52:58] = 1  # an island in the section
    whole, scale = content.visibility(confidence, 2.0), np.random.default_rng(0).random(confidence.shape, np.float32)
    filled = content.with_rim_filled(scale, whole)
    assert whole[:, 58:63, 52:58].max() == 0 < whole.max()
    for most in (confidence.size, confidence.size // 8, confidence.size // 27):
        section, seen = content.section_of(scale, confidence, 33, 2.0, most)
        # doubt fades, too: nine tenths of what lies inside are seen
        assert np.array_equal(seen, (whole * confidence)[33]) and seen.max() == np.float32(0.9)
        assert np.array_equal(section[seen > 0], filled[33][seen > 0])


def naive_fill(scale, seen):
    """Voxel by voxel, the deepest first."""
    out = scale.copy()
    for level in sorted({value for value in seen.flat if 0 < value < 1}, reverse=True):
        taken, alone = np.zeros(seen.shape, bool), []
        for place in zip(*np.nonzero(seen == level), strict=True):
            around = tuple(slice(max(0, v - 1), v + 2) for v in place)
            best = np.where(seen[around] > level, out[around], 0).max()
            out[place] = max(out[place], best)
            taken[place] = best > 0
            alone += [] if best > 0 else [place]
        for place in alone:
            around = tuple(slice(max(0, v - 1), v + 2) for v in place)
            out[place] = max(out[place], np.where(taken[around], out[around], 0).max())
    return out


@given(st.integers(0, 2**32 - 1), st.sampled_from([(5, 6, 7), (1, 4, 9), (8, 3, 5)]))
@settings(max_examples=40, deadline=None)
def test_the_rim_is_filled_as_voxel_by_voxel(seed, shape):
    rng = np.random.default_rng(seed)
    scale, seen = rng.random(shape, np.float32), rng.integers(0, 4, shape).astype(np.float32) / 3
    assert np.array_equal(content.with_rim_filled(scale, seen), naive_fill(scale, seen))


def test_the_rim_of_a_strong_part_is_not_weak_and_a_weak_part_stays_weak():
    """Two boxes, full and a quarter, whose scale falls off within the rim."""
    edge = np.minimum(np.arange(40), np.arange(40)[::-1]) - 8  # how deep in content along an axis
    depth = np.minimum(np.minimum(edge[:, None, None], edge[:, None]), edge) + 1
    own = np.where(np.arange(40) < 20, 1.0, 0.25)
    scale = (own * np.clip(depth / 4, 0, 1)).astype(np.float32)
    seen = content.visibility((depth > 0).astype(np.float32), 3)
    shown = content.with_rim_filled(scale, seen)
    drawn = seen > 0
    # farther than the rim from the other part each has its own scale up to its edge
    assert (shown[..., :17][drawn[..., :17]] == 1).all() and (shown[..., 23:][drawn[..., 23:]] == 0.25).all()
    assert (scale[..., :17][drawn[..., :17]] < 0.6).any()


def test_nothing_fades_where_nothing_is_known():
    half = np.full((20, 20, 20), 0.8, np.float32)
    assert (content.visibility(half, 3) == 1).all()  # beyond the box the map goes on
    assert (content.visibility(np.zeros((9, 9, 9), np.float32), 3) == 1).all()


@pytest.fixture(scope="module")
def noisy():
    """A map as noisy as what it shows, and the estimate of it."""
    made = complex_with_occupancies(signal_to_noise=2.0, seed=4)
    return made, estimate(made.map, voxel_size=made.voxel_size)


def reach(found):
    """How far from an atom a picture may show something, Å.

    A ball over the low-passed map reaches so far, and that of a peak of noise may touch it.
    """
    return 2 * found.ball.radius * found.voxel_size + found.lowpass_angstrom / 2


def test_solvent_of_a_noisy_map_is_not_painted(noisy, monkeypatch):
    made, found = noisy
    outside = made.distance > reach(found)
    seen = content.visibility(found.confidence, found.ball.radius)
    surface = content.cleaned(made.map, seen, found.zero)
    low = found.zero + 0.25 * found.full_scale
    # a wall of noise, of which not one voxel in a hundred is left
    before, after = ((volume[outside] > low).mean() for volume in (made.map, surface))
    assert before > 0.05 and after < before / 100
    level = first_level(found, solvent_noise(thinned(made.map), found.quiet))
    assert (made.map[outside] > level).sum() > 100 and not (surface[outside] > level).any()
    monkeypatch.setattr(pictures, "_trimmed", lambda picture: picture)
    for axis, picture in enumerate(pictures.three_views(surface, found.scale, level)):
        check_view((picture < 255).any(-1), axis, made, reach(found))


def check_view(painted, axis, made, far):
    """A view along an axis, first row on top, shows nothing farther than `far` Å from atoms, and full chains."""
    painted, zoom = painted[::-1], len(painted) // len(made.map)
    near = np.kron((made.distance <= far).any(axis), np.ones((zoom, zoom), bool))
    # a voxel more, as its edge lies between voxels
    shown = np.zeros_like(near)
    for dy in (-zoom, 0, zoom):
        for dx in (-zoom, 0, zoom):
            shown |= np.roll(near, (dy, dx), (0, 1))
    assert not (painted & ~shown).any(), axis
    full = made.atoms[made.occupancies[made.chain] == 1]
    place = np.rint(np.delete(full, axis, axis=1)).astype(int) * zoom + zoom // 2
    assert painted[tuple(place.T)].mean() > 0.9, axis


def test_no_colour_of_solvent_at_edges_that_lie_one_before_the_other():
    """A ball before a wall, both at full scale: nothing between them is there, so that nothing is red."""
    z, y, x = np.indices((40, 40, 40))
    ball = (z - 32) ** 2 + (y - 20) ** 2 + (x - 20) ** 2 < 49
    density = np.where(ball | (z < 8), 1.0, 0.0).astype(np.float32)
    density = sum(np.roll(density, s, a) for a in range(3) for s in (-1, 0, 1)) / np.float32(9)
    scale = (density > 0.3).astype(np.float32)
    picture = pictures.three_views(density, scale, 0.5)[0].astype(int)
    painted = (picture < 255).any(-1)
    assert (picture[painted][:, 2] >= picture[painted][:, 0]).all()
