"""The plain ratio of the sliding maximum to full scale."""

import mrcfile
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from occupy_jit.occupancy import get_map_occupancy
from tests import naive, simulated

EPSILON = float(np.finfo(np.float32).eps)


def ball(radius, edge):
    offsets = np.indices((edge,) * 3) - edge // 2
    return (offsets**2).sum(axis=0) <= radius**2


@pytest.fixture(scope="module")
def volume():
    return simulated.blobs((28, 24, 26), 2)


@pytest.mark.parametrize(("kernel", "radius", "size"), [
    (5, 2.0, 5), (np.int64(7), 3.0, 7), (1, 0.5, 1), (2.5, 2.5, 5), (np.float32(1.5), 1.5, 3), (3.0, 3.0, 7),
    (ball(2, 5), 2.0, 5), (ball(2, 5).astype(float) * 3, 2.0, 5), (ball(1.5, 7), 1.5, 7), (ball(9, 3), 3.0**0.5, 3),
])
def test_it_is_the_ratio(volume, kernel, radius, size):
    occ, full = get_map_occupancy(volume, kernel, verbose=False)
    tau = naive.tau_of(len(naive.ball_offsets(radius, size)))
    wanted, _ = naive.largest_quantile(volume, 6, tau)
    assert isinstance(full, float) and full == wanted
    assert occ.dtype == np.float32 and occ.shape == volume.shape
    expected = np.clip(naive.sliding_maximum(volume, radius, size) / np.float64(full), 0, 1)
    assert np.abs(occ - expected).max() <= 2 * EPSILON
    assert occ.max() == 1 and occ.min() >= 0


def test_cubes_of_twelve_voxels_define_full_scale():
    """A quarter of the box below 48 voxels, 12 from there on."""
    rng = np.random.default_rng(0)
    big = rng.random((50, 49, 51), dtype=np.float32)
    from occupy_jit.kernels.full_scale import full_scale_tau, largest_quantile

    assert get_map_occupancy(big, 7, verbose=False)[1] == largest_quantile(big, 12, full_scale_tau(123))[0]


@settings(deadline=None, max_examples=15)
@given(st.floats(-6, 6), st.permutations(range(3)), st.tuples(*[st.booleans()] * 3))
def test_grey_scale_and_orientation_do_not_matter(exponent, axes, mirrored):
    volume = simulated.blobs((16, 14, 18), 3)
    flips = [axis for axis in range(3) if mirrored[axis]]
    wanted, full = get_map_occupancy(volume, 3, verbose=False)
    turned, same = get_map_occupancy(np.flip(volume.transpose(axes), flips), 3, verbose=False)
    assert same == full and np.array_equal(turned, np.flip(wanted.transpose(axes), flips))
    gain = np.float32(10.0**exponent)
    scaled, more = get_map_occupancy(volume * gain, 3, verbose=False)
    assert more == pytest.approx(full * float(gain), rel=2 * EPSILON)
    assert np.abs(scaled - wanted).max() < 8 * EPSILON  # both values and their ratio are rounded


def test_masks_and_threshold(volume):
    plain, full = get_map_occupancy(volume, 5, verbose=False)
    rng = np.random.default_rng(1)
    mask = rng.random(volume.shape)
    masked, same = get_map_occupancy(volume, 5, sol_mask=mask, verbose=False)
    assert same == full
    assert np.array_equal(masked, np.where(mask > 0.5, plain, np.float32(0)))
    assert np.array_equal(get_map_occupancy(volume, 5, sol_mask=mask > 0.5, verbose=False)[0], masked)
    maximum = naive.sliding_maximum(volume, 2.0, 5)
    cut, _ = get_map_occupancy(volume, 5, sol_threshold=full / 6, verbose=False)
    assert np.array_equal(cut, np.where(maximum < full / 6, np.float32(0), plain))
    assert 0.05 < (cut == 0).mean() < 0.95


def test_the_input_is_left_alone_and_of_any_type():
    whole = np.round(simulated.blobs((20, 20, 20), 2) * 50)
    wanted, full = get_map_occupancy(whole.astype(np.float32), 5, verbose=False)
    for same in (whole.astype(np.int16), np.asfortranarray(whole), whole.astype(">f4"), whole.astype(np.float64)):
        before = same.copy()
        occ, other = get_map_occupancy(same, 5, verbose=False)
        assert other == full and np.array_equal(occ, wanted) and np.array_equal(same, before)


def test_it_says_what_it_found_only_if_asked(volume, capsys):
    get_map_occupancy(volume, 7, verbose=False)
    assert capsys.readouterr().out == ""
    _, full = get_map_occupancy(volume, 7)
    printed = capsys.readouterr().out
    assert len(printed.splitlines()) == 1
    assert f"tau {naive.tau_of(123):.4f}" in printed and f"{full:.6g}" in printed and "[z, y, x]" in printed


def test_it_can_be_saved(volume, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    occ, _ = get_map_occupancy(volume, 5, save_occ_map=True, verbose=False)
    get_map_occupancy(volume, 5, save_occ_map="mine.mrc", verbose=False)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine.mrc", "occupancy.mrc"]
    for name in ("occupancy.mrc", "mine.mrc"):
        with mrcfile.open(tmp_path / name) as file:
            assert np.array_equal(file.data, occ)
            assert file.voxel_size.x == 1
    get_map_occupancy(volume, 5, verbose=False)
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize(("kernel", "error"), [
    (4, ValueError), (0, ValueError), (-3, ValueError), (0.0, ValueError), (-1.5, ValueError), (np.nan, ValueError),
    (np.inf, ValueError), (1e9, ValueError), (10**9 + 1, ValueError), (None, TypeError), ("ball", TypeError),
    (True, TypeError), (np.ones((3, 3)), ValueError), (np.ones((4, 4, 4)), ValueError),
    (np.zeros((3, 3, 3)), ValueError), (np.ones((3, 3, 5)), ValueError), (np.eye(3)[None].repeat(3, 0), ValueError),
])
def test_what_is_no_ball_is_refused(volume, kernel, error):
    with pytest.raises(error, match="occ_kernel"):
        get_map_occupancy(volume, kernel, verbose=False)


def test_what_cannot_be_used_is_refused(volume):
    broken = volume.copy()
    broken[0, 0, 0] = np.nan
    with pytest.raises(ValueError, match="NaN"):
        get_map_occupancy(broken, 5, verbose=False)
    with pytest.raises(ValueError, match="nothing stands above 0"):
        get_map_occupancy(-np.abs(volume), 5, verbose=False)
    with pytest.raises(ValueError, match="sol_mask"):
        get_map_occupancy(volume, 5, sol_mask=volume[1:], verbose=False)
    for bad in (volume[0], volume * 1j, np.array([["a"]])):
        with pytest.raises(TypeError):
            get_map_occupancy(bad, 5, verbose=False)


def test_a_blob_of_half_the_density_reads_half():
    volume = simulated.blobs((48, 48, 48), 3, noise=0.0)
    whole = simulated.blobs((48, 48, 48), 3, noise=0.0, occupancies=(1.0, 0.0))
    half = volume - whole
    occ, _ = get_map_occupancy(volume, 7, verbose=False)
    full_core, half_core = whole > 0.7 * whole.max(), half > 0.7 * half.max()
    assert np.median(occ[full_core]) == 1
    # within what two blobs of twelve random peaks each differ by
    assert np.median(occ[half_core]) == pytest.approx(half[half_core].mean() / whole[full_core].mean(), abs=0.15)
