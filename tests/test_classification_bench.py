"""The benchmark of classifications: its particles, its table, and, where RELION is, that it gains."""

import shutil

import numpy as np
import pytest

from bench import classification as bench

_MISSING = [name for name in bench.PROGRAMS if shutil.which(name) is None]


@pytest.mark.parametrize("name", bench.COMPLEXES)
def test_a_complex_is_built_alike_every_time_and_fits_its_box(name):
    what = bench.COMPLEXES[name]
    (full, partial), diameter = bench.build(what)
    assert np.array_equal(bench.build(what)[0][0], full)
    assert diameter < (what.box - 4) * bench.VOXEL_SIZE
    inside = full > 0.1 * full.max()
    assert np.sqrt((full[inside] ** 2).mean()) == pytest.approx(1)
    # what the second composition lacks is where it was put, and nothing else changes
    difference = full - partial
    centres = np.array([what.centres[k] for k in what.missing]) / bench.VOXEL_SIZE + what.box // 2
    places = np.argwhere(np.abs(difference) > 0.2 * full.max())
    distance = np.linalg.norm(places[:, None] - centres, axis=2)
    radius = max(what.radii[k] for k in what.missing) / bench.VOXEL_SIZE
    assert places.size and distance.min(axis=1).max() < radius + 2
    assert np.unique(distance.argmin(axis=1)).size == len(what.missing)


def test_rows_of_the_table():
    found = [[[0.5, 0.6], [0.7, 0.9]], [[0.6, 0.6], [0.7, 0.5]]]
    # gains of .2 and .1 with an error of .05; then of .3 and -.1, which is a loss, with one of .2
    assert bench.summary("x", found) == ("| x | 2 | 0.550 0.700 +0.150 ± 0.050 | 0.600 0.700 +0.100 ± 0.200 | 1 |")
    assert bench.heading(2).splitlines()[0].count("|") == bench.summary("x", found).count("|")


@pytest.mark.slow
@pytest.mark.relion
@pytest.mark.skipif(bool(_MISSING), reason=f"RELION is not installed ({', '.join(_MISSING)} missing)")
def test_classes_that_were_written_here_are_found_sooner(tmp_path):
    pytest.importorskip("gemmi")
    what = bench.COMPLEXES["ring of five"]
    bench.make_particles(tmp_path, what, what.noise[1], 400)
    found = np.array([bench.one_seed(tmp_path, seed, 2) for seed in (1, 2)])
    print(bench.summary("ring of five, 400 particles", found))
    assert (found >= 0.5).all() and (found <= 1).all()
    # the same particles, the same start, the same seeds: the mean of two is not lower than as they are
    assert found[:, 1, -1].mean() >= found[:, 0, -1].mean()
