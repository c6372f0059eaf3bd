"""Bands transformed back row by row, against the whole transform."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from occupy_jit.estimation.fourier.band_rows import BandRows
from occupy_jit.estimation.fourier.pruned_transform import Workers
from tests.estimation.test_fourier import frequencies, noise, tolerance


def transfer(frequency):
    return np.cos(3 * np.asarray(frequency)) + 0.5


def rows_of(volume, voxel_size, highest, rows, pieces=1, threads=1, kept=np.inf):
    """The rows that are asked for, 0 elsewhere."""
    out = np.zeros_like(volume)

    def use(z, which, values):
        out[z, which] = values

    with Workers(threads) as workers:
        transform = BandRows(volume, voxel_size, kept, workers)
        for part in np.array_split(np.arange(volume.shape[0]), pieces):
            if part.size:
                transform.each_section(transfer, highest, int(part[0]), rows[part], use)
    return out


@settings(deadline=None, max_examples=60)
@given(st.tuples(*[st.integers(1, 17)] * 3), st.floats(0.02, 0.9), st.integers(0, 99), st.integers(1, 3))
def test_rows_are_those_of_the_whole_transform(shape, share, seed, pieces):
    voxel_size, volume = 1.3, noise(shape, seed)
    rows = np.random.default_rng(seed).random(shape[:2]) < 0.6
    highest = share / voxel_size
    distance = frequencies(shape, voxel_size)
    if np.any(np.abs(distance - highest) < 1e-6):
        highest += 2e-6
    factor = np.where(distance <= highest, transfer(distance), 0)
    expected = np.fft.irfftn(np.fft.rfftn(volume.astype(np.float64)) * factor, shape, axes=(0, 1, 2))
    found = rows_of(volume, voxel_size, highest, rows, pieces)
    assert np.abs(found - expected * rows[..., None]).max() <= tolerance(volume)
    # what lies beyond the band is not needed for it
    again = rows_of(volume, voxel_size, highest, rows, kept=highest * 1.001)
    assert np.abs(again - found).max() <= tolerance(volume)


@pytest.mark.parametrize("shape", [(24, 31, 40), (40, 25, 18)])
def test_bits_depend_neither_on_threads_nor_on_pieces(shape):
    volume, rows = noise(shape), np.ones(shape[:2], bool)
    one = rows_of(volume, 1.0, 0.3, rows)
    for pieces, threads in ((1, 2), (3, 1), (2, 2)):
        assert np.array_equal(rows_of(volume, 1.0, 0.3, rows, pieces, threads), one)
    some = np.random.default_rng(1).random(shape[:2]) < 0.3
    assert np.array_equal(rows_of(volume, 1.0, 0.3, some), one * some[..., None])
