"""A chain that is blurred and one that is partly there are told apart; what cannot be told is refused."""

import numpy as np
import pytest

from occupy_jit.errors import InputError, UsageError
from occupy_jit.estimation import flexibility_bands as bands
from occupy_jit.settings import Settings
from tests import simulated
from tests.estimates import estimate

SEPARATE = Settings(separate_flexibility=True)
BLUR = 100.0
FULL, PARTIAL, FLEXIBLE = [0, 1], 3, [5, 6]


@pytest.fixture(scope="module")
def made():
    """Two full chains, one of occupancy .5, and two full ones blurred by 100 Å^2, on a ring with gaps between them."""
    occupancies = np.array([1.0, 1.0, 0.0, 0.5, 0.0, 0.0, 0.0, 0.0])
    whole = simulated.complex_with_occupancies(8.0, seed=6, occupancies=occupancies, box=96)
    one = simulated.complex_with_occupancies(8.0, seed=6, occupancies=np.eye(8)[FLEXIBLE].sum(0), box=96)
    frequency = [np.fft.fftfreq(n, whole.voxel_size) for n in whole.signal.shape[:2]]
    frequency = np.meshgrid(*frequency, np.fft.rfftfreq(whole.signal.shape[2], whole.voxel_size), indexing="ij")
    squared = sum(f * f for f in frequency)
    blurred = np.fft.irfftn(np.fft.rfftn(one.signal) * np.exp(-BLUR * squared / 4), one.signal.shape, axes=(0, 1, 2))
    noise = [whole.map - whole.signal, one.map - one.signal]
    return whole, (whole.signal + blurred).astype(np.float32), [n / n.std() * noise[0].std() for n in noise]


def halves(made):
    whole, signal, noise = made
    one, two = (np.ascontiguousarray(signal + np.float32(2**0.5) * n, np.float32)
                for n in (noise[0], np.flip(noise[0], 0)))
    return (one + two) / 2, (one - two) / 2


def run(made, volume=None, settings=SEPARATE, **options):
    whole, signal, noise = made
    volume = (signal + noise[0]).astype(np.float32) if volume is None else volume
    return estimate(volume, settings, voxel_size=whole.voxel_size, with_confidence=False, **options)


@pytest.fixture(scope="module")
def found(made):
    return run(made)


def of_chains(made, volume):
    return made[0].medians(volume)


@pytest.mark.parametrize("of_halves", [False, True])
def test_blur_and_occupancy_are_told_apart(made, found, of_halves):
    if of_halves:
        volume, difference = halves(made)
        found = run(made, volume, half_difference=difference)
    b_factor = of_chains(made, found.flexibility.b_factor)
    # .4 to .9 of a difference is found, as the window mixes neighbours
    assert b_factor[FLEXIBLE].min() > 0.4 * BLUR
    assert np.abs(b_factor[FULL]).max() < 0.2 * BLUR
    assert b_factor[PARTIAL] < b_factor[FLEXIBLE].min() / 2
    scale, occupancy = of_chains(made, found.scale), of_chains(made, found.flexibility.occupancy)
    assert np.all(scale[FLEXIBLE] <= occupancy[FLEXIBLE]) and occupancy.max() <= 1
    assert occupancy[PARTIAL] == pytest.approx(scale[PARTIAL], abs=0.05)
    # of two chains of random atoms one may read 1 as it is
    assert (1 - occupancy[FLEXIBLE]).sum() < 0.8 * (1 - scale[FLEXIBLE]).sum()


def test_solvent_is_neither(made, found):
    solvent = (made[0].distance > 10) & (found.scale < found.solvent_limit)
    assert np.all(found.flexibility.b_factor[solvent] == 0)
    np.testing.assert_allclose(found.flexibility.occupancy[solvent], found.scale[solvent], atol=1e-6)


def test_units_axes_and_threads_do_not_matter(made, found):
    whole, signal, noise = made
    volume = (signal + noise[0]).astype(np.float32)
    other = run(made, (4 * volume + 1).astype(np.float32))
    turned = run(made, np.ascontiguousarray(volume.transpose(1, 2, 0)))
    flipped = run(made, np.ascontiguousarray(volume[:, ::-1]))
    alone = run(made, volume, thread_count=1)
    content = found.scale > 1.5 * found.solvent_limit
    for b, occupancy in ((other.flexibility.b_factor, other.flexibility.occupancy),
                         (turned.flexibility.b_factor.transpose(2, 0, 1),
                          turned.flexibility.occupancy.transpose(2, 0, 1)),
                         (flipped.flexibility.b_factor[:, ::-1], flipped.flexibility.occupancy[:, ::-1])):
        # float32 transforms, summed in another order, in logarithms of powers over a span of s^2 of .08
        assert np.abs(b - found.flexibility.b_factor)[content].max() < 0.1
        assert np.abs(occupancy - found.flexibility.occupancy)[content].max() < 1e-3
    assert np.array_equal(alone.flexibility.b_factor, found.flexibility.b_factor)
    assert np.array_equal(alone.flexibility.occupancy, found.flexibility.occupancy)


def test_the_map_itself_is_not_changed_and_nothing_else_is(made, found):
    plain = run(made, settings=Settings())
    assert plain.flexibility is None
    assert np.array_equal(plain.scale, found.scale) and plain.full_scale == found.full_scale


def test_it_is_relative_to_the_reference_mask(made):
    """Where the blurred chains are taken for the measure, all others are sharper: that is told."""
    whole = made[0]
    atoms = whole.atoms[np.isin(whole.chain, FLEXIBLE)]
    mask = simulated.distance_to(atoms, 96, 6 / whole.voxel_size) * whole.voxel_size <= 3
    found = run(made, reference_mask=mask)
    b_factor = of_chains(made, found.flexibility.b_factor)
    assert np.abs(b_factor[FLEXIBLE]).max() < 25 < -b_factor[FULL].max()
    assert "flexibility-reference" in dict(found.verdicts)


def test_flattened_solvent_is_told(made):
    whole, signal, noise = made
    masked = np.where(whole.distance < 6, signal + noise[0], 0).astype(np.float32)
    assert "flexibility-noise-unknown" in dict(run(made, masked).verdicts)
    assert "flexibility-noise-unknown" not in dict(run(made).verdicts)


def test_bands_follow_the_voxel_size():
    assert len(bands.bands_of(1.0)) == 6 and len(bands.bands_of(2.0)) == 4 and len(bands.bands_of(2.8)) == 3
    with pytest.raises(InputError, match=r"2\.88 Å"):
        bands.bands_of(3.0)
    # against sums over shells
    s = np.linspace(1 / 8, 1 / 6, 20001)
    assert bands.mean_square_frequency(8, 6) == pytest.approx((s**4).sum() / (s**2).sum(), rel=1e-3)
    assert bands.share_below(8, 6, 7) == pytest.approx((s[s < 1 / 7] ** 2).sum() / (s**2).sum(), rel=1e-3)
    assert bands.share_below(8, 6, 9) == 0 and bands.share_below(8, 6, 5) == 1


def test_what_cannot_be_told_is_refused(made):
    from occupy_jit.estimation.fourier.filters import lowpass

    whole, signal, noise = made
    # noise as fine as ever, but signal to 9 Å only
    coarse = (lowpass(signal, 9, whole.voxel_size) + noise[0]).astype(np.float32)
    with pytest.raises(InputError, match="too little detail"):
        run(made, coarse)
    with pytest.raises(InputError, match="voxels of"):
        estimate(made[1], SEPARATE, voxel_size=3.0)
    for options in ({"full_scale": 1.0}, {"keep_lowpass": False}, {"overwrite": True}):
        with pytest.raises(ValueError, match="separate_flexibility"):
            run(made, **options)
    for contradiction in ({"scale_mode": "resolution"}, {"naive_normalisation": True}):
        with pytest.raises(UsageError, match="separate_flexibility"):
            Settings(separate_flexibility=True, **contradiction)
