"""Occupancy inside masks: right, with an error that repeated noise confirms."""

import numpy as np
import pytest

from occupy_jit.estimation.estimate import estimate
from occupy_jit.estimation.masked_occupancy import occupancy_of_masks
from occupy_jit.settings import Settings
from tests import simulated

REPEATS = 12
# Of 12 normal numbers the standard deviation is known to 1 / sqrt(2 * 11) = 0.21 of it. The stated error is meant to
# be right within a factor of two: this is two and a half deviations more.
FACTOR = 2 * (1 + 2.5 * 0.21)


@pytest.fixture(scope="module", params=[6.0, 1.5])
def repeated(request):
    """One complex under different noise of one spectrum."""
    made = simulated.complex_with_occupancies(request.param, seed=0)
    noise = made.map - made.signal
    amplitude = np.abs(np.fft.rfftn(noise))
    # the smooth amplitude of shells, so that new phases and amplitudes have the same spectrum
    axes = [np.fft.fftfreq(84)[:, None, None], np.fft.fftfreq(84)[:, None], np.fft.rfftfreq(84)]
    shell = np.rint(84 * np.sqrt(sum(a * a for a in axes))).astype(int)
    power = np.bincount(shell.ravel(), (amplitude**2).ravel()) / np.bincount(shell.ravel())
    smooth = np.sqrt(power[shell])
    rng = np.random.default_rng(3)
    maps = []
    for _ in range(REPEATS):
        other = np.fft.irfftn(np.fft.rfftn(rng.standard_normal(noise.shape)) * smooth, noise.shape, axes=(0, 1, 2))
        maps.append((made.signal + other * (noise.std() / other.std())).astype(np.float32))
    return made, [estimate(m, voxel_size=made.voxel_size, with_confidence=False) for m in maps]


def masks_of(made):
    masks = []
    for number in range(len(made.occupancies)):
        near = simulated.distance_to(made.atoms[made.chain == number], 84, 4 / made.voxel_size) * made.voxel_size <= 3
        masks.append((f"chain {number}", near.astype(np.float32)))
    middle = made.atoms[made.chain == 2].mean(axis=0)
    squared = sum((i - m) ** 2 for i, m in zip(np.indices(made.map.shape), middle, strict=True))
    masks.append(("small ball", squared <= 9))
    masks.append(("soft", np.exp(-squared / 18)))
    masks.append(("a voxel or two", squared <= 0.8))
    masks.append(("solvent", made.distance > 10))
    return masks


def test_the_spread_over_noise_agrees_with_the_stated_error(repeated):
    made, results = repeated
    masks = masks_of(made)[1:]
    tables = [occupancy_of_masks(result, masks) for result in results]
    for index, (name, mask) in enumerate(masks):
        rows = [table[index] for table in tables]
        assert {row["mask"] for row in rows} == {name}
        assert rows[0]["voxels"] == pytest.approx(np.sum(mask, dtype=np.float64), rel=1e-6)
        occupancies = np.array([row["occupancy"] for row in rows])
        errors = np.array([row["error"] for row in rows])
        ratio = occupancies.std(ddof=1) / errors.mean()
        assert 1 / FACTOR < ratio < FACTOR, name
        # each run alone would have said about the same
        assert errors.max() < 3 * errors.min()


def test_medians_are_near_the_occupancies(repeated):
    """The mean over a mask of 3 Å includes its surface and reads less; the median over atoms is tested elsewhere."""
    made, results = repeated
    rows = occupancy_of_masks(results[0], masks_of(made)[:5])
    assert np.all(np.diff([row["occupancy"] for row in rows][1:]) < 0)
    for row, occupancy in zip(rows, made.occupancies, strict=True):
        assert row["median"] == pytest.approx(occupancy, abs=0.1 + 3 * row["error"])
        assert row["independent"] >= 1


@pytest.fixture(scope="module")
def found():
    return estimate(simulated.blobs((30, 28, 26), 1), voxel_size=1.2)


def test_the_occupancy_is_the_weighted_mean(found):
    rng = np.random.default_rng(0)
    weight = rng.random(found.scale.shape)
    (row,) = occupancy_of_masks(found, [("m", weight)])
    assert row["occupancy"] == pytest.approx((weight * found.scale).sum() / weight.sum(), rel=1e-5)
    assert row["median"] == pytest.approx(np.median(found.scale[weight > 0.5]), rel=1e-6)
    (doubled,) = occupancy_of_masks(found, [("m", weight / 2)])
    assert doubled["occupancy"] == pytest.approx(row["occupancy"], rel=1e-5)
    assert doubled["error"] == pytest.approx(row["error"], rel=1e-4)
    assert doubled["median"] is None


def test_more_noise_is_more_error():
    mask = simulated.blobs((30, 30, 30), 1, noise=0) > 0.5
    errors = []
    for noise in (0.2, 0.4, 0.8):
        found = estimate(simulated.blobs((30, 30, 30), 1, noise=noise), voxel_size=1.2)
        errors.append(occupancy_of_masks(found, [("m", mask)])[0]["error"])
    # four times the noise is four times the error, but for where the maximum lies
    assert errors[0] < errors[1] < errors[2]
    assert 2 < errors[2] / errors[0] < 8


def test_a_given_full_scale_has_no_error_of_its_own():
    volume = simulated.blobs((30, 30, 30), 1)
    own = estimate(volume, voxel_size=1.2)
    given = estimate(volume, voxel_size=1.2, full_scale=own.full_scale)
    mask = simulated.blobs((30, 30, 30), 1, noise=0, occupancies=(0.0, 0.5)) > 0.2
    (with_own,), (with_given,) = (occupancy_of_masks(r, [("m", mask)]) for r in (own, given))
    assert with_own["occupancy"] == with_given["occupancy"]
    assert 0 < with_given["error"] < with_own["error"]


def test_nothing_and_everything(found):
    empty, full, negative = occupancy_of_masks(found, [("e", np.zeros(found.scale.shape)),
                                                       ("f", np.ones(found.scale.shape)),
                                                       ("n", np.full(found.scale.shape, -1.0))])
    assert empty["occupancy"] is None and empty["error"] is None and empty["voxels"] == 0
    assert negative["occupancy"] is None
    assert full["occupancy"] == pytest.approx(found.scale.mean(), rel=1e-5) and full["voxels"] == found.scale.size
    assert occupancy_of_masks(found, []) == []


def test_the_unfiltered_map_has_its_own_error():
    volume = simulated.blobs((30, 30, 30), 1)
    mask = simulated.blobs((30, 30, 30), 1, noise=0, occupancies=(0.0, 0.5)) > 0.2
    rows = [occupancy_of_masks(estimate(volume, Settings(scale_mode=mode), voxel_size=1.2), [("m", mask)])[0]
            for mode in ("occupancy", "resolution")]
    assert all(0 < row["error"] < 0.1 for row in rows)
    assert rows[0]["error"] != rows[1]["error"]


def test_what_cannot_be_used_is_refused(found):
    with pytest.raises(ValueError, match="shape"):
        occupancy_of_masks(found, [("m", np.ones((3, 3, 3)))])
    lean = estimate(simulated.blobs((20, 20, 20), 1), voxel_size=1.2, keep_lowpass=False)
    with pytest.raises(ValueError, match="keep_lowpass"):
        occupancy_of_masks(lean, [("m", np.ones((20, 20, 20)))])
