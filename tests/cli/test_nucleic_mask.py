"""--nucleic-mask in the whole command: one map, several on one scale, a repeated run, and masks that cannot be used."""

import json

import numpy as np
import pytest

from tests.command import particle, run, values, write


@pytest.fixture(scope="module")
def here(tmp_path_factory):
    folder = tmp_path_factory.mktemp("nucleic")
    mask = np.zeros((48, 48, 48), np.float32)
    mask[6:42, 6:42, 6:23] = 1
    # the strong half is nucleic acid now
    write(folder / "a.mrc", particle() * (1 + 0.33 * mask))
    write(folder / "b.mrc", 0.5 * particle(seed=3))
    write(folder / "rna.mrc", mask)
    write(folder / "none.mrc", np.zeros_like(mask))
    return folder


def test_the_mask_evens_out_and_is_told(here, tmp_path):
    plain = tmp_path / "plain"
    assert run("-i", here / "a.mrc", "--output-dir", plain, "--quiet").returncode == 0
    ran = run("-i", here / "a.mrc", "--nucleic-mask", here / "rna.mrc", "--report", "--output-dir", tmp_path)
    assert ran.returncode == 0, ran.stderr
    record, before = (json.loads((folder / "occupy_a.json").read_text()) for folder in (tmp_path, plain))
    assert record["results"]["full_scale"] < before["results"]["full_scale"]
    assert [entry["path"] for entry in record["also_read"]] == [str(here / "rna.mrc")]
    said = next(line for line in (tmp_path / "log_a.txt").read_text().splitlines() if "nucleic acid " in line)
    assert "rna.mrc" in said and "1.33" in said
    assert "1.33, the contrast of nucleic" in (tmp_path / "report_a.html").read_text()
    again = run("--rerun", tmp_path / "occupy_a.json", "--output-dir", tmp_path / "again", "--quiet")
    assert again.returncode == 0, again.stderr
    assert np.array_equal(values(tmp_path / "scale_a.mrc"), values(tmp_path / "again" / "scale_a.mrc"))


def test_several_maps_on_one_scale_take_it_into_account(here, tmp_path):
    alone = tmp_path / "alone"
    assert run("-i", here / "a.mrc", "--nucleic-mask", here / "rna.mrc", "--output-dir", alone, "--quiet"
               ).returncode == 0
    ran = run("-i", here / "a.mrc", here / "b.mrc", "--common-scale", "--nucleic-mask", here / "rna.mrc",
              "--output-dir", tmp_path)
    assert ran.returncode == 0, ran.stderr
    assert np.array_equal(values(alone / "scale_a.mrc"), values(tmp_path / "scale_a.mrc"))


def test_an_empty_mask_is_refused_by_name(here, tmp_path):
    ran = run("-i", here / "a.mrc", "--nucleic-mask", here / "none.mrc", "--output-dir", tmp_path)
    assert ran.returncode == 3 and "none.mrc: the nucleic-acid mask is empty" in ran.stderr
    assert not list(tmp_path.glob("scale_*"))
