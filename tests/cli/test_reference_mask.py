"""--reference-mask in the whole command: one map, several on one scale, and a repeated run."""

import json

import numpy as np
import pytest

from tests.command import particle, run, values, write


@pytest.fixture(scope="module")
def here(tmp_path_factory):
    folder = tmp_path_factory.mktemp("reference")
    write(folder / "a.mrc", particle())
    write(folder / "b.mrc", 0.5 * particle(seed=3))
    full, half = np.zeros((2, 48, 48, 48), np.float32)
    full[6:42, 6:42, 6:23] = 1
    half[6:42, 6:42, 27:42] = 1
    write(folder / "full.mrc", full)
    write(folder / "half.mrc", half)
    return folder


def record(folder, name="a"):
    return json.loads((folder / f"occupy_{name}.json").read_text())


def test_the_mask_sets_full_scale_and_is_told(here, tmp_path):
    ran = run("-i", here / "a.mrc", "--reference-mask", here / "full.mrc", "--target-mask", here / "full.mrc",
              "--report", "--output-dir", tmp_path)
    assert ran.returncode == 0, ran.stderr
    found = record(tmp_path)
    reference, target = found["results"]["reference"], found["results"]["targets"][0]
    assert target["occupancy"] == pytest.approx(1, abs=1e-5)
    assert reference["blocks"] == pytest.approx(target["blocks"], rel=1e-5)
    assert [entry["path"] for entry in found["also_read"]] == [str(here / "full.mrc")], "once, though it serves twice"
    said = next(line for line in (tmp_path / "log_a.txt").read_text().splitlines() if " full scale " in line)
    assert "full.mrc" in said and f"{reference['blocks']:.0f} blocks" in said
    assert "assumed to be fully occupied" in (tmp_path / "report_a.html").read_text()
    again = run("--rerun", tmp_path / "occupy_a.json", "--output-dir", tmp_path / "again", "--quiet")
    assert again.returncode == 0, again.stderr
    assert np.array_equal(values(tmp_path / "scale_a.mrc"), values(tmp_path / "again" / "scale_a.mrc"))


def test_a_weak_reference_is_told_and_the_rest_is_limited(here, tmp_path):
    ran = run("-i", here / "a.mrc", "--reference-mask", here / "half.mrc", "--output-dir", tmp_path)
    assert ran.returncode == 0 and "strongest part of the map" in ran.stderr + ran.stdout
    assert "reference-weak" in [verdict["code"] for verdict in record(tmp_path)["verdicts"]]
    scale = values(tmp_path / "scale_a.mrc")
    # parts of occupancy 1 are limited where those of .5 set full scale
    plain = tmp_path / "plain"
    run("-i", here / "a.mrc", "--output-dir", plain, "--quiet")
    assert (scale == 1).sum() > 5 * (values(plain / "scale_a.mrc") == 1).sum()


def test_several_maps_on_one_scale_take_the_largest_in_the_mask(here, tmp_path):
    ran = run("-i", here / "a.mrc", here / "b.mrc", "--common-scale", "--reference-mask", here / "full.mrc",
              "--output-dir", tmp_path)
    assert ran.returncode == 0, ran.stderr
    alone = tmp_path / "alone"
    run("-i", here / "a.mrc", "--reference-mask", here / "full.mrc", "--output-dir", alone, "--quiet")
    common = record(alone)["results"]["full_scale"]
    line = next(line for line in (ran.stdout + ran.stderr).splitlines() if "common full scale" in line)
    assert f"{common:.6g}" in line
    assert np.array_equal(values(alone / "scale_a.mrc"), values(tmp_path / "scale_a.mrc"))
    strong, weak = (np.median(values(tmp_path / f"scale_{name}.mrc")[values(here / "full.mrc") > 0]) for name in "ab")
    assert weak == pytest.approx(strong / 2, abs=0.1)
