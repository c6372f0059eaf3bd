"""--separate-flexibility in the whole command: outputs, messages, and early errors."""

import json

import numpy as np
import pytest

from tests.command import listing, particle, run, values, write


@pytest.fixture(scope="module")
def here(tmp_path_factory):
    folder = tmp_path_factory.mktemp("flexibility")
    write(folder / "a.mrc", particle(noise=0.02))
    write(folder / "coarse.mrc", particle(), 3.5)
    return folder


def test_both_maps_are_written_and_told(here, tmp_path):
    ran = run("-i", here / "a.mrc", "--separate-flexibility", "--report", "--output-dir", tmp_path)
    assert ran.returncode == 0, ran.stderr
    scale, occupancy, b_factor = (values(tmp_path / f"{prefix}_a.mrc") for prefix in ("scale", "occ", "flex"))
    assert occupancy.min() >= 0 and occupancy.max() <= 1 and np.isfinite(b_factor).all()
    content = scale > 0.5
    # both halves of the particle are as sharp
    assert abs(np.median(b_factor[content])) < 25 and np.abs(occupancy - scale)[content].mean() < 0.1
    assert b"A^2" in (tmp_path / "flex_a.mrc").read_bytes()[:1024]
    record = json.loads((tmp_path / "occupy_a.json").read_text())
    found = record["results"]["flexibility"]
    assert sum(band["used"] for band in found["bands"]) >= 3 and "nucleic acid" in found["remark"]
    assert found["remark"] in (tmp_path / "log_a.txt").read_text()
    script = (tmp_path / "chimX_a.cxc").read_text()
    (line,) = [line for line in script.splitlines() if line.startswith("alias occflex ")]
    number = next(line.split()[1] for line in script.splitlines() if line.startswith("#   #") and "flex_a.mrc" in line)
    assert f"map {number} palette" in line and "; key " in line and "Å" in script
    assert 'id="volume-b_factor"' in (tmp_path / "report_a.html").read_text()


def test_without_it_nothing_of_it_is_there(here, tmp_path):
    assert run("-i", here / "a.mrc", "--output-dir", tmp_path, "--quiet").returncode == 0
    assert not [name for name in listing(tmp_path) if name.startswith(("occ_", "flex_"))]
    assert "occflex" not in (tmp_path / "chimX_a.cxc").read_text()


def test_what_cannot_be_told_is_refused_before_anything_is_written(here, tmp_path):
    blurred = particle(noise=0.0)
    spectrum = np.fft.rfftn(blurred)
    frequencies = np.meshgrid(*[np.fft.fftfreq(48, 1.5)] * 2, np.fft.rfftfreq(48, 1.5), indexing="ij")
    spectrum *= np.exp(-sum(f * f for f in frequencies) * 600)
    noise = 0.02 * np.random.default_rng(1).normal(size=blurred.shape)
    blurred = np.fft.irfftn(spectrum, s=blurred.shape, axes=(0, 1, 2)) + noise
    write(tmp_path / "blurred.mrc", blurred.astype(np.float32))
    flag, out = "--separate-flexibility", tmp_path / "out"
    for arguments, status, said in (
            (("-i", here / "coarse.mrc"), 3, "3.5 Å"), (("-i", here / "coarse.mrc", "--dry-run"), 3, "3.5 Å"),
            (("-i", tmp_path / "blurred.mrc"), 3, "blurred.mrc"),
            (("-i", here / "a.mrc", here / "coarse.mrc", "--common-scale"), 2, "common scale"),
            (("-i", here / "a.mrc", "--scale-mode", "resolution"), 2, "--scale-mode"),
            (("-i", here / "a.mrc", "--naive-normalisation"), 2, "--naive-normalisation")):
        ran = run(*arguments, flag, "--output-dir", out)
        assert ran.returncode == status, (arguments, ran.stderr)
        lines = [line for line in ran.stderr.splitlines() if line.startswith("OccuPy: ")]
        assert len(lines) == 1 and said in lines[0] and "Traceback" not in ran.stderr, ran.stderr
        assert not out.exists()
