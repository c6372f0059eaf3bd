"""--half-maps in the whole command: standard error maps, and errors."""

import csv
import gzip
import json
import shutil

import mrcfile
import numpy as np
import pytest

from tests import classification
from tests.command import listing, particle, run, run_here, values, write


@pytest.fixture(scope="module")
def halves(tmp_path_factory):
    """Two half maps of one particle: the same signal with independent noise."""
    here = tmp_path_factory.mktemp("halves")
    signal = particle(noise=0.0)
    random = np.random.default_rng(7)
    for number in (1, 2):
        noise = random.normal(0, 0.1, signal.shape).astype(np.float32)
        write(here / f"run_half{number}_class001_unfil.mrc", signal + noise)
    write(here / "small.mrc", particle(32))
    return here


def names(halves):
    return [halves / f"run_half{number}_class001_unfil.mrc" for number in (1, 2)]


def test_scale_and_error_are_those_of_both(halves, tmp_path):
    one, two = names(halves)
    given = run("--half-maps", one, two, "--output-dir", tmp_path / "given", "--report", "--quiet")
    found = run("-i", one, "--half-maps", "auto", "--output-dir", tmp_path / "found", "--quiet")
    assert given.returncode == found.returncode == 0, given.stderr + found.stderr
    for prefix in ("scale_", "sd_"):
        a, b = (values(tmp_path / folder / f"{prefix}{one.name}") for folder in ("given", "found"))
        assert np.array_equal(a, b)
    scale, error = (values(tmp_path / "given" / f"{prefix}{one.name}") for prefix in ("scale_", "sd_"))
    assert np.isfinite(error).all() and error.min() >= 0
    html = (tmp_path / "given" / f"report_{one.stem}.html").read_text()
    assert 'id="volume-error"' in html, "the report shows the error"
    content = scale > 0.5
    assert content.any() and 0.005 < np.median(error[content]) < 0.3


def test_what_are_no_halves_is_refused_in_one_line(halves, tmp_path):
    one, two = names(halves)
    for arguments, status in ((("--half-maps", one, one), 3), (("--half-maps", one, halves / "small.mrc"), 3),
                              (("-i", halves / "small.mrc", "--half-maps", "auto"), 3), (("--half-maps", one), 2),
                              (("-i", one, "--half-maps", one, two), 2),
                              (("-i", one, two, "--half-maps", one, two), 2),
                              (("-i", halves / "small.mrc", "--half-maps", one, two), 3),
                              (("-i", two, "--half-maps", one, halves / "missing.mrc"), 3),
                              (("--relion-classes", "run_it001_model.star", "--half-maps", one, two), 2),
                              (("--half-maps", one, two, "--save-error=yes"), 2),
                              (("--common-scale", "-i", two, "--half-maps", one, two), 2)):
        ran = run_here(*arguments, "--output-dir", tmp_path / "out")
        assert ran.returncode == status, (arguments, ran.stderr)
        said = [line for line in ran.stderr.splitlines() if line.startswith("OccuPy: ")]
        assert len(said) == 1 and "Traceback" not in ran.stderr, ran.stderr
        assert not (tmp_path / "out").exists()


@pytest.fixture(scope="module")
def beside(tmp_path_factory):
    """A map of twice the grey scale beside its half maps, one of them compressed, and half maps of another map."""
    here = tmp_path_factory.mktemp("beside_half1")  # the name of the folder does not count
    signal = particle(noise=0.0)
    random = np.random.default_rng(7)
    halves = [signal + random.normal(0, 0.1, signal.shape).astype(np.float32) for _ in range(2)]
    write(here / "EMD_1.mrc", halves[0] + halves[1] + np.float32(5))
    for number, half in enumerate(halves, 1):
        write(here / f"EMD_1_HALF_MAP_{number}.MRC", half)
        with open(here / f"EMD_1_HALF_MAP_{number}.MRC", "rb") as plain, \
                gzip.open(here / f"emd_2_half_map_{number}.map.gz", "wb") as packed:
            packed.write(plain.read())
    write(here / "other.mrc", particle(noise=0.1))
    return here


def test_a_map_beside_its_half_maps_keeps_its_grey_scale(beside, tmp_path):
    path, one, two = (beside / name for name in ("EMD_1.mrc", "EMD_1_HALF_MAP_1.MRC", "EMD_1_HALF_MAP_2.MRC"))
    given = run("-i", path, "--half-maps", one, two, "--amplify", "--amplify-amount", "0", "--output-dir",
                tmp_path / "given", "--quiet")
    found = run("-i", path, "--half-maps", "auto", "--output-dir", tmp_path / "found", "--quiet")
    assert given.returncode == found.returncode == 0, given.stderr + found.stderr
    scale = values(tmp_path / "given" / "scale_EMD_1.mrc")
    assert np.array_equal(scale, values(tmp_path / "found" / "scale_EMD_1.mrc"))
    # the map is what is modified
    assert np.array_equal(values(tmp_path / "given" / "out_EMD_1.mrc"), values(path))
    record = json.loads((tmp_path / "given" / "occupy_EMD_1.json").read_text())
    assert record["results"]["half_maps"]["map_correlation"] > 0.99
    assert record["results"]["zero_level"] == pytest.approx(5, abs=0.1)
    assert {entry["path"] for entry in record["also_read"]} == {str(one), str(two)}
    mean = run("--half-maps", one, two, "--output-dir", tmp_path / "mean", "--quiet")
    assert mean.returncode == 0, mean.stderr
    assert np.abs(values(tmp_path / "mean" / "scale_EMD_1_HALF_MAP_1.mrc") - scale).max() < 0.02
    again = run("--rerun", tmp_path / "given" / "occupy_EMD_1.json", "--output-dir", tmp_path / "again", "--quiet")
    assert again.returncode == 0, again.stderr
    assert np.array_equal(values(tmp_path / "again" / "scale_EMD_1.mrc"), scale)


def test_compressed_half_maps_are_found_by_name(beside, tmp_path):
    ran = run("-i", beside / "emd_2_half_map_2.map.gz", "--half-maps", "auto", "--output-dir", tmp_path)
    assert ran.returncode == 0, ran.stderr
    assert (tmp_path / "sd_emd_2_half_map_2.mrc").exists()


def test_half_maps_that_no_name_tells_are_asked_for(beside, tmp_path):
    """Two pairs lie beside the map, and neither has its name."""
    ran = run_here("-i", beside / "other.mrc", "--half-maps", "auto", "--output-dir", tmp_path / "out")
    assert ran.returncode == 3 and "2 pairs are beside it" in ran.stderr and "H1 H2" in ran.stderr
    ran = run_here("-i", tmp_path / "none.mrc", "--half-maps", "auto")
    assert ran.returncode == 3


def test_half_maps_of_different_grey_scale_are_brought_to_one(halves, tmp_path):
    one, two = names(halves)
    write(tmp_path / "a_half1.mrc", values(one))
    write(tmp_path / "a_half2.mrc", 3 * values(two))
    ran = run("--half-maps", tmp_path / "a_half1.mrc", tmp_path / "a_half2.mrc", "--output-dir", tmp_path)
    assert ran.returncode == 0, ran.stderr
    assert "3.0" in ran.stdout + ran.stderr and "scaled to the first" in ran.stdout + ran.stderr
    plain = run("--half-maps", one, two, "--output-dir", tmp_path, "--quiet")
    assert plain.returncode == 0
    scales = [values(tmp_path / name) for name in ("scale_a_half1.mrc", f"scale_{one.name}")]
    assert np.abs(scales[0] - scales[1]).max() < 0.02


def test_other_grids_are_refused(halves, tmp_path):
    """Half maps with another voxel size or start: one line with the file name."""
    one, two = names(halves)
    shifted = tmp_path / "shifted_half2.mrc"
    write(tmp_path / "coarse_half2.mrc", values(two), 2.5)
    shutil.copy(two, shifted)
    with mrcfile.open(shifted, "r+") as file:
        file.header.origin.x = 30.0
    for wrong in ("coarse_half2.mrc", "shifted_half2.mrc"):
        ran = run_here("--half-maps", one, tmp_path / wrong, "--output-dir", tmp_path / "out")
        assert ran.returncode == 3 and wrong in ran.stderr and "Traceback" not in ran.stderr, ran.stderr
        ran = run_here("-i", one, "--half-maps", tmp_path / wrong, two, "--output-dir", tmp_path / "out")
        assert ran.returncode == 3 and wrong in ran.stderr, ran.stderr
        assert not (tmp_path / "out").exists()


HALF = "Class3D/job012/run_it025_half{}_class{:03d}.mrc"


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """Three classes, of which two have half maps; the third has none."""
    root = tmp_path_factory.mktemp("project")
    random = np.random.default_rng(3)
    signals = [particle(noise=0.0), particle(noise=0.0), particle(noise=0.0)]
    signals[1][:, :, 24:] *= 0.3
    maps = []
    for number, signal in enumerate(signals, 1):
        pair = [(signal + random.normal(0, 0.1, signal.shape)).astype(np.float32) for _ in (1, 2)]
        maps.append((pair[0] + pair[1]) / 2)
        if number < 3:
            (root / HALF).parent.mkdir(parents=True, exist_ok=True)
            for half, data in enumerate(pair, 1):
                write(root / HALF.format(half, number), data, 1.5)
    classification.write_project(root, maps, voxel_size=1.5, box=48)
    return root


def test_classes_with_half_maps_are_compared_with_the_noise_that_these_show(project, tmp_path):
    maps = [project / f"Class3D/job012/run_it025_class{k:03d}.mrc" for k in (1, 2)]
    ran = run("-i", *maps, "--common-scale", "--half-maps", "auto", "--output-dir", tmp_path)
    assert ran.returncode == 0, ran.stderr
    scales, errors, noises = ([values(tmp_path / f"{prefix}_run_it025_class{k:03d}.mrc") for k in (1, 2)]
                              for prefix in ("scale", "sd", "noise"))
    for scale, error, noise in zip(scales, errors, noises, strict=True):
        assert (noise > 0).all() and (noise <= error * 1.0001).all()
        # noise alone is nearly the same everywhere; what differs from place to place at equal occupancy grows with it
        assert (error - noise)[scale > 0.8].mean() > (error - noise)[scale < 0.1].mean()
    with open(tmp_path / "classdiff_run_it025.csv", newline="") as file:
        differences = {(row["more"][-1], row["less"][-1]): row for row in csv.DictReader(file)}
    more = differences["1", "2"]
    # what class 2 lacks lies at x above 24 voxels
    assert float(more["centre_x_angstrom"]) > 36 and 0.2 < float(more["peak"]) < 0.5
    at = tuple(round(float(more[f"peak_{axis}_angstrom"]) / 1.5) for axis in "zyx")
    assert float(more["peak_error"]) == pytest.approx(np.hypot(noises[0][at], noises[1][at]), rel=1e-5)
    # the cut through the particle is sharp, and low-passed dips below on its far side
    assert float(differences["2", "1"]["volume_angstrom3"]) < 0.2 * float(more["volume_angstrom3"])


def test_a_class_without_half_maps_is_left_out_and_the_others_run(project, tmp_path):
    star = project / "Class3D/job012/run_it025_model.star"
    ran = run("--relion-classes", star, "--half-maps", "auto", "--no-amplify", "--output-dir", tmp_path, "--quiet")
    assert ran.returncode == 3 and "Traceback" not in ran.stderr
    (line,) = [line for line in ran.stderr.splitlines() if "error" in line]
    assert "class 3" in line and "none of its name is beside it" in line and "leave --half-maps out" in line
    assert {name for name in listing(tmp_path) if name.startswith("sd_")} == {
        f"sd_run_it025_class{k:03d}.mrc" for k in (1, 2)}


def test_half_maps_of_several_maps_are_not_named_on_the_command_line(halves, tmp_path):
    one, two = names(halves)
    ran = run_here("-i", one, two, "--common-scale", "--half-maps", one, two, "--output-dir", tmp_path / "out")
    assert ran.returncode == 2 and "--half-maps auto" in ran.stderr and not (tmp_path / "out").exists()
