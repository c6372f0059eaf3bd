"""The level at which a map is first drawn: out of the noise, and the same number everywhere."""

import json
import re
from types import SimpleNamespace

import numpy as np
import pytest

from occupy_jit.runs.one_map import shown_level
from occupy_jit.runs.one_map.run import run_one
from occupy_jit.runs.plan.plan import plan_map
from occupy_jit.settings import Options, Settings
from tests.command import write
from tests.simulated import complex_with_occupancies


class AllQuiet:
    """A stand-in: solvent is where x is below 20."""

    def section(self, z):
        return np.broadcast_to(np.arange(120) < 20, (110, 120))


@pytest.mark.parametrize("shift", [0.0, -7.5])
def test_noise_is_that_of_the_quiet_voxels(shift):
    volume = np.random.default_rng(0).normal(shift, 0.3, (100, 110, 120)).astype(np.float32)
    volume[:, :, 20:] *= 5
    sample = shown_level.thinned(volume)
    assert sample.step == 2 and sample.values.size < volume.size / 7
    quiet = volume[:, :, :20]
    mean, deviation = shown_level.solvent_noise(sample, AllQuiet())
    # of n independent voxels a mean is known to sd / sqrt(n), a deviation to sd / sqrt(2 n); five of these
    n = quiet.size / 8
    assert abs(mean - quiet.mean()) < 5 * 0.3 / np.sqrt(n)
    assert abs(deviation - quiet.std()) < 5 * 0.3 / np.sqrt(2 * n)


def test_the_sample_is_a_copy():
    volume = np.zeros((8, 8, 8), np.float32)
    sample = shown_level.thinned(volume)
    volume += 1
    assert not sample.values.any()


def test_a_level_is_a_quarter_of_full_scale_or_three_deviations():
    result = SimpleNamespace(zero=0.5, full_scale=2.0)
    assert shown_level.first_level(result, (0.5, 0.1)) == 1.0
    assert shown_level.first_level(result, (0.5, 0.4)) == pytest.approx(1.7)
    # nothing above solvent, and no noise: still no level in solvent
    assert shown_level.first_level(SimpleNamespace(zero=0.5, full_scale=0.0), (0.5, 0.0)) == 0.5


@pytest.mark.parametrize("signal_to_noise", [8.0, 2.0])
def test_every_file_of_a_run_has_the_same_level_out_of_the_noise(signal_to_noise, tmp_path, monkeypatch):
    pytest.importorskip("jinja2")
    made = complex_with_occupancies(signal_to_noise, seed=4)
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "a.mrc", made.map, made.voxel_size)
    assert run_one(plan_map("a.mrc", Settings(), Options(output_dir="out", report=True))).status == 0
    found = json.loads((tmp_path / "out" / "occupy_a.json").read_text())["results"]
    level = found["surface_level"]
    script = (tmp_path / "out" / "chimX_a.cxc").read_text()
    assert float(re.search(r"volume #1 step 1 level (\S+)", script)[1]) == pytest.approx(level, rel=1e-6)
    # pieces of the size of noise are hidden, and stay hidden when the level changes
    assert re.search(r"^surface dust #1 size [\d.]+$", script, re.MULTILINE)
    html = (tmp_path / "out" / "report_a.html").read_text()
    meta = json.loads(re.search(r'id="meta">(.*?)</script>', html, re.DOTALL)[1])
    shown = next(volume for volume in meta["volumes"] if volume["id"] == "input")
    assert shown["level"] == level and f"The surface at density {level:.3g}" in html
    assert re.search(rf"surface level +{level:.6g} ", (tmp_path / "out" / "log_a.txt").read_text())
    # by what is known of the map: three deviations of its solvent, of which one voxel in 700 is above
    solvent = made.map[made.distance > 8]
    assert level > solvent.mean() + 2.98 * solvent.std() and (solvent > level).mean() < 0.002
    assert found["noise_of_map"] == pytest.approx(solvent.std(), rel=0.02)
    # the slider reaches below it, and begins between a quarter and three quarters of its way
    low, high = (np.log(v - shown["zero"]) for v in shown["levels"])
    assert shown["levels"][0] <= level / 2 and 0.25 <= (np.log(level - shown["zero"]) - low) / (high - low) <= 0.75
