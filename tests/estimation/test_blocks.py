"""Blocks without a model: spheres that are present or absent in simulated volumes."""

import csv
import json

import numpy as np
import pytest

import occupy_jit
from occupy_jit.errors import InputError
from occupy_jit.estimation.states.blocks import SPILL, _shares, coarse_grid, soft_mask, spilled, to_coarse
from tests.command import run, write

VOXEL = 4.0
SHAPE = (48, 44, 52)
CENTRES = [(20, 20, 20), (20, 20, 33), (33, 20, 25), (20, 32, 22)]
RADII = [7.0, 5.5, 5.8, 5.5]
COMPOSITIONS = [(1, 1, 1, 1), (1, 1, 0, 0), (1, 0, 1, 0), (1, 1, 1, 0)]


def spheres():
    """Density of every block, smooth at its rim, exclusive."""
    z, y, x = np.indices(SHAPE)
    distance = [np.sqrt((z - c[0]) ** 2 + (y - c[1]) ** 2 + (x - c[2]) ** 2) - r
                for c, r in zip(CENTRES, RADII, strict=True)]
    nearest = np.argmin(distance, 0)
    return [np.clip(0.5 - d, 0, 1) * (nearest == b) for b, d in enumerate(distance)]


def volumes(number, noise, seed=0, compositions=COMPOSITIONS):
    """Volumes of alternating compositions, with noise of 12 Å and their own grey scale and level."""
    rng = np.random.default_rng(seed)
    parts = spheres()
    frequency = [np.fft.fftfreq(SHAPE[0], VOXEL), np.fft.fftfreq(SHAPE[1], VOXEL), np.fft.rfftfreq(SHAPE[2], VOXEL)]
    square = frequency[0][:, None, None] ** 2 + frequency[1][None, :, None] ** 2 + frequency[2] ** 2
    made, label = [], []
    for k in range(number):
        state = k % len(compositions)
        white = np.fft.rfftn(rng.standard_normal(SHAPE)) * np.exp(-100 * square)
        grain = np.fft.irfftn(white, SHAPE, axes=(0, 1, 2))
        volume = sum(o * part for o, part in zip(compositions[state], parts, strict=True))
        volume = volume + noise * grain / grain.std()
        made.append((volume * 10 ** rng.uniform(-1, 1) + rng.normal()).astype(np.float32))
        label.append(state)
    return made, np.array(label)


@pytest.mark.parametrize("number, noise", [(12, 0.1), (24, 0.4)])
def test_blocks_states_and_occupancies(number, noise):
    made, label = volumes(number, noise)
    found = occupy_jit.states(made, voxel_size=VOXEL)
    assert len(found.parts) == 4 and found.n_states == 4
    assert len(set(zip(label, found.state, strict=True))) == 4
    masks = [soft_mask(found.blocks, b, SHAPE) for b in range(4)]
    for b, part in enumerate(spheres()):
        dice = [2 * ((mask >= 0.5) & (part >= 0.5)).sum() / ((mask >= 0.5).sum() + (part >= 0.5).sum())
                for mask in masks]
        own = int(np.argmax(dice))
        # a density blurred by 4 Å is .15 of its full height 1.04 * 4 Å beyond the surface, where the mask ends
        assert dice[own] > 2 / (1 + ((RADII[b] + 1.1) / RADII[b]) ** 3) - 0.02
        truth = np.array(COMPOSITIONS)[label, b]
        z = (found.occupancy[:, own] - truth) / found.se[:, own]
        assert np.sqrt((z**2).mean()) < 2  # of a standard deviation of 1, and full scales that have errors of their own
    assert {tuple(sorted(mask.shape)) for mask in masks} == {tuple(sorted(SHAPE))}


def found_blocks(found):
    """For every true block the best Dice coefficient of the masks."""
    masks = [soft_mask(found.blocks, b, SHAPE) >= 0.5 for b in range(found.blocks.n_blocks)]
    return [max(2 * (mask & (part >= 0.5)).sum() / (mask.sum() + (part >= 0.5).sum()) for mask in masks)
            for part in spheres()]


def test_a_block_that_few_of_the_volumes_have_is_found():
    """In the mean it is a sixth of what it is where it is there, less than the noise of any voxel stands out by."""
    rare = [(1, 1, 1, 1), (1, 1, 0, 0), (1, 0, 1, 0), (1, 1, 1, 0), (1, 0, 0, 0), (1, 0, 1, 0)]
    made, label = volumes(48, 1.0, seed=2, compositions=rare)
    found = occupy_jit.states(made, voxel_size=VOXEL)
    assert found.n_states == 5
    assert len(set(zip([rare[k] for k in label], found.state, strict=True))) == 5
    assert min(found_blocks(found)) > 0.5


def test_solvent_of_a_decoder_which_varies_about_the_molecule_is_no_content():
    """Its noise is a tenth in the corners of the box, where volumes are compared with solvent.

    Of the fewest volumes that hold a block, four, it adds .04, well below the .15 where masks end.
    """
    made, label = volumes(16, 0.08, seed=5)
    axes = [(np.arange(n) - n / 2) / (n / 2) for n in SHAPE]
    radius = np.sqrt(axes[0][:, None, None] ** 2 + axes[1][None, :, None] ** 2 + axes[2] ** 2)
    quiet = np.where(radius < 0.9, 1.0, 0.1)
    made = [((volume - np.median(volume)) * quiet).astype(np.float32) for volume in made]
    found = occupy_jit.states(made, voxel_size=VOXEL)
    assert np.isfinite(found.occupancy).all() and found.n_states == 4
    assert (found.blocks.label >= 0).sum() < 2 * sum((part >= 0.5).sum() for part in spheres()) * VOXEL**3 / np.prod(
        found.blocks.spacing)


def test_blocks_less_dense_than_others_are_the_less_sure():
    """What spills over from blocks beside it is a larger share of what is there."""
    density = np.array([4.0, 2.0, 5.0])
    np.testing.assert_allclose(spilled(density), SPILL * np.array([1.25, 2.5, 1.0]))


def test_volumes_of_one_state_are_one_block():
    made, _ = volumes(12, 0.3, compositions=[(1, 1, 1, 1)])
    found = occupy_jit.states(made, voxel_size=VOXEL)
    assert found.n_states == 1 and found.blocks.n_blocks == 1


def test_a_volume_that_lies_elsewhere_and_one_of_noise_are_told():
    made, _ = volumes(8, 0.1)
    with pytest.raises(InputError, match="volume 4: is not aligned"):
        occupy_jit.states([np.roll(v, 3 * (k == 3), axis=2) for k, v in enumerate(made)], voxel_size=VOXEL)
    noise = np.random.default_rng(0).standard_normal(SHAPE).astype(np.float32)
    with pytest.raises(InputError, match="volume 9: does not resemble"):
        occupy_jit.states([*made, noise], voxel_size=VOXEL)
    with pytest.raises(InputError, match="contrast inverted|nothing stands|does not resemble"):
        occupy_jit.states([np.random.default_rng(k).standard_normal(SHAPE).astype(np.float32) for k in range(4)],
                          voxel_size=VOXEL)


def test_the_coarse_grid_holds_what_is_coarse():
    """A wave of 20 Å keeps its value at the places of the coarse voxels; one of 6 Å is gone."""
    n, voxel = 60, 2.0
    x = np.arange(n) * voxel
    for length, gain in ((20.0, 1.0), (6.0, 0.0)):
        wave = np.broadcast_to(np.cos(2 * np.pi * x / length), (n, n, n)).astype(np.float32)
        coarse = to_coarse(wave, voxel)
        shape, spacing = coarse_grid(wave.shape, voxel)
        expected = gain * np.cos(2 * np.pi * np.arange(shape[2]) * spacing[2] / length)
        np.testing.assert_allclose(coarse[3, 5], expected, atol=1e-4)


def test_shares_of_a_mixture_are_those_of_nonnegative_least_squares():
    optimize = pytest.importorskip("scipy.optimize")
    rng = np.random.default_rng(0)
    for _ in range(20):
        rows, wanted = rng.random((4, 15)), rng.random(15)
        np.testing.assert_allclose(_shares(rows, wanted), optimize.nnls(rows.T, wanted)[0], atol=1e-3)


def test_the_command_without_a_model(tmp_path):
    made, label = volumes(12, 0.2)
    (tmp_path / "volumes").mkdir()
    for k, volume in enumerate(made):
        write(tmp_path / "volumes" / f"vol_{k:03d}.mrc", volume, VOXEL)
    ran = run("-i", tmp_path / "volumes", "--states", "--output-dir", tmp_path / "out")
    assert ran.returncode == 0, ran.stderr
    with open(tmp_path / "out" / "states_volumes.csv", newline="") as file:
        states = [int(row["state"]) for row in csv.DictReader(file)]
    assert len(set(zip(label, states, strict=True))) == 4
    record = json.loads((tmp_path / "out" / "occupy_states.json").read_text())
    assert [row["block"] for row in record["blocks"]] == [f"block_{b}" for b in (1, 2, 3, 4)]
    for row in record["blocks"]:
        mask = occupy_jit.read_map(str(tmp_path / "out" / row["mask"]))
        assert mask.data.shape == SHAPE and mask.data.min() >= 0 and mask.data.max() == 1
