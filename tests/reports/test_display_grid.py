"""Grids of bytes: what is cropped, how it is reduced, and that it comes back."""

import base64
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from occupy_jit.reports.page import display_grid
from occupy_jit.reports.page.display_grid import Grid


def naive_reduce(grid, volume):
    """Triangular weights as wide as two steps, one voxel after the other."""
    volume = volume[grid.crop].astype(np.float64)
    out = np.empty(grid.shape)
    weights = []
    for n, m in zip(volume.shape, grid.shape, strict=True):
        centre = np.minimum((np.arange(m) + 0.5) * grid.step - 0.5, n - 1)
        w = np.maximum(0, 1 - np.abs(np.arange(n) - centre[:, None]) / grid.step)
        weights.append(w / w.sum(1, keepdims=True))
    for z, y, x in np.ndindex(*grid.shape):
        w = weights[0][z][:, None, None] * weights[1][y][:, None] * weights[2][x]
        out[z, y, x] = (w * volume).sum()
    return out


@given(st.data())
@settings(max_examples=30, deadline=None)
def test_a_reduced_volume_is_the_naive_mean(data):
    shape = tuple(data.draw(st.integers(4, 14)) for _ in range(3))
    crop = tuple(slice(*sorted(data.draw(st.sets(st.integers(0, n), min_size=2, max_size=2)))) for n in shape)
    step = data.draw(st.floats(1.0, 5.0))
    full = [c.stop - c.start for c in crop]
    grid = Grid(crop, step, tuple(min(n, max(2, int(n / step))) for n in full))
    volume = np.random.default_rng(len(shape)).normal(size=shape).astype(np.float32)
    assert np.allclose(display_grid.reduce_to(grid, volume), naive_reduce(grid, volume), atol=1e-5)


def test_the_crop_is_the_content_and_a_margin():
    scale = np.zeros((60, 50, 40), np.float32)
    confidence = np.zeros_like(scale)
    scale[20:30, 10:20, 15:18] = 0.5
    confidence[20:30, 10:20, 15:18] = 1
    confidence[50, 40, 30] = 1  # no scale: nothing to see
    grid = display_grid.choose_grid(scale, confidence, 2.0)  # 8 Å are 4 voxels
    assert grid.crop == (slice(16, 34), slice(6, 24), slice(11, 22)) and grid.step == 1
    assert grid.shape == (18, 18, 11)
    assert grid.position((16, 6, 11)) == [0, 0, 0]
    assert grid.origin(2.0, (100.0, 0.0, 0.0)) == [122.0, 12.0, 32.0]


def test_the_crop_ends_at_the_box_and_is_all_of_it_without_content():
    full = np.ones((9, 10, 11), np.float32)
    assert display_grid.choose_grid(full, full, 1.0).shape == full.shape
    assert display_grid.choose_grid(0 * full, 0 * full, 1.0).shape == full.shape


def test_no_more_voxels_than_asked_for():
    full = np.ones((60, 60, 60), np.float32)
    grid = display_grid.choose_grid(full, full, 1.0, most_voxels=10_000)
    assert 5_000 < np.prod(grid.shape) <= 10_000
    # the middle of the grid is the middle of the box
    middle = [(n - 1) / 2 for n in grid.shape]
    assert np.allclose(grid.position((29.5, 29.5, 29.5)), middle, atol=1.0)


@given(st.floats(-5, 5), st.floats(0.1, 10))
def test_bytes_are_within_half_a_step(low, span):
    values = np.linspace(low, low + span, 777, dtype=np.float32)
    back = low + display_grid.to_bytes(values, low, low + span) / 255 * span
    assert np.abs(back - values).max() <= span / 255 / 2 * 1.01 + 1e-5
    assert list(display_grid.to_bytes(np.float32([low - span, low + 2 * span]), low, low + span)) == [0, 255]


def test_what_is_packed_comes_back():
    volume = np.random.default_rng(0).integers(0, 255, (5, 6, 7)).astype(np.uint8)
    raw = zlib.decompress(base64.b64decode(display_grid.packed(volume)))
    assert np.array_equal(np.frombuffer(raw, np.uint8).reshape(volume.shape), volume)


def test_solvent_loses_two_bits_and_weak_scale_is_empty():
    density = np.array([[[7, 7]]], np.uint8)
    display_grid.quieter_solvent(density, np.array([[[0.0, 0.9]]], np.float32))
    assert density.tolist() == [[[4, 7]]]
    scale = np.array([25, 26, 200], np.uint8)
    display_grid.drawn_scale(scale)
    assert scale.tolist() == [0, 26, 200]


@pytest.mark.parametrize("constant", [0.0, -1.0, 1e-30])
def test_a_range_of_densities_exists_whatever_the_map(constant):
    volume = np.full((3, 3, 3), constant, np.float32)
    low, high = display_grid.density_range(volume, np.ones_like(volume))
    assert high > 0 and low < high and np.isfinite([low, high]).all()
