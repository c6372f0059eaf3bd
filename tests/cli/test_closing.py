"""Last lines of a run on the terminal: result and files to open."""

import json
import re

import pytest

from tests.command import particle, run, write

LOOK = "To look at the result:"


def last_lines(ran):
    """Lines of standard output from the sentence on, which stands before what to open."""
    assert ran.returncode == 0, ran.stderr
    lines = ran.stdout.splitlines()
    assert lines.count(LOOK) == 1
    return lines[lines.index(LOOK) - 1:]


def sentence_of(path):
    return json.loads(path.read_text())["results"]["sentence"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two maps in a directory whose name a shell would split."""
    here = tmp_path_factory.mktemp("closing") / "two maps"
    here.mkdir()
    for number in (0, 1):
        write(here / f"m{number}.mrc", particle(seed=number))
    return here


def test_a_plain_run_says_how_much_is_weak_and_what_to_open(folder):
    ran = run("-i", folder / "m0.mrc", "--report", "--output-dir", folder / "one")
    record = json.loads((folder / "one" / "occupy_m0.json").read_text())
    said = record["results"]["sentence"]
    assert last_lines(ran) == [
        said, LOOK, f"  {folder}/one/report_m0.html  opens in any browser",
        f"  chimerax '{folder}/one/chimX_m0.cxc'", f"  {folder}/one/log_m0.txt  lists all measurements"]
    assert said in (folder / "one" / "log_m0.txt").read_text()
    html = (folder / "one" / "report_m0.html").read_text()
    assert json.loads(html.split('id="summary">')[1].split("</script>")[0])["sentence"] == said


def test_only_what_is_there_is_named_and_the_core_is_in_every_record(folder):
    ran = run("-i", folder / "m0.mrc", "--no-save-chimerax", "--output-dir", folder / "bare")
    assert last_lines(ran)[2:] == [f"  {folder}/bare/log_m0.txt  lists all measurements"]
    plain = json.loads((folder / "bare" / "occupy_m0.json").read_text())["results"]
    ran = run("-i", folder / "m0.mrc", "--report", "--amplify", "--output-dir", folder / "more")
    assert ran.returncode == 0, ran.stderr
    assert plain["core"] == json.loads((folder / "more" / "occupy_m0.json").read_text())["results"]["core"]
    assert 0 <= plain["core"]["weaker_than_half"] <= 1 and plain["core"]["volume_angstrom3"] > 0


def test_quiet_is_quiet(folder):
    ran = run("-i", folder / "m0.mrc", "--quiet", "--output-dir", folder / "quiet")
    assert (ran.returncode, ran.stdout) == (0, "")


def test_many_maps_close_once(folder):
    ran = run("-i", folder / "m0.mrc", folder / "m1.mrc", "--report", "--output-dir", folder / "many")
    cores = {name: json.loads((folder / "many" / f"occupy_{name}.json").read_text())["results"]["core"]
             for name in ("m0", "m1")}
    hides = any(core["noise_hides_parts"] for core in cores.values())
    shares = {name: core["weaker_than_half" + "_at_least" * hides] for name, core in cores.items()}
    low, high = sorted(shares, key=shares.get)
    least, most = (f"{shares[name]:.0%}" for name in (low, high))
    said = (f"Of the core of each of the 2 maps, {'at least ' * hides}{least}" if least == most else
            f"Of the cores of the 2 maps, {'at least ' * hides}{least} ({low}) to {most} ({high})")
    assert last_lines(ran) == [f"{said} is below half of full scale.", LOOK,
                               f"  {folder}/many/index.html  opens in any browser",
                               f"  {folder}/many/occupy_summary.csv  has a row for each map"]


def test_an_array_and_what_collects_it_close_once(folder):
    out = folder / "array"
    for task in (1, 2):
        ran = run("-i", folder / "m0.mrc", folder / "m1.mrc", "--array", "--output-dir", out,
                  env={"SLURM_ARRAY_TASK_ID": str(task), "SLURM_ARRAY_TASK_MIN": "1", "SLURM_ARRAY_TASK_MAX": "2"})
        assert last_lines(ran)[2:] == [f"  {out}/occupy_summary_task{task:05d}.csv  has a row for each map"]
    ran = run("--collect", out)
    assert re.match(r"Of the cores? of (each of )?the 2 maps, .* is below half of full scale\.$", last_lines(ran)[0])
    assert last_lines(ran)[2:] == [f"  {out}/occupy_summary.csv  has a row for each map"]


def test_maps_on_one_scale_close_once(folder):
    ran = run("-i", folder / "m0.mrc", folder / "m1.mrc", "--common-scale", "--report", "--output-dir",
              folder / "common")
    lines = last_lines(ran)
    assert "2 maps" in lines[0]
    assert lines[2].startswith(f"  {folder}/common/classes_") and lines[2].endswith("opens in any browser")


@pytest.mark.slow
def test_with_a_model_the_parts_are_what_is_said(tmp_path):
    pytest.importorskip("scipy")
    pytest.importorskip("gemmi")
    from tests.cli.test_model import written
    from tests.estimation.test_model_occupancy import OCCUPANCY, VOXEL, density, structure

    atoms = structure()
    other = {**OCCUPANCY, "B": 0.0}
    for number, occupancies in enumerate((OCCUPANCY, other)):
        write(tmp_path / f"map{number}.mrc", density(atoms, occupancies, noise=0.3, seed=number), VOXEL)
    written(atoms, tmp_path / "model.cif")
    ran = run("-i", tmp_path / "map0.mrc", "--model", tmp_path / "model.cif", "--output-dir", tmp_path / "one")
    said = last_lines(ran)[0]
    assert said == sentence_of(tmp_path / "one" / "occupy_map0.json")
    results = json.loads((tmp_path / "one" / "occupy_map0.json").read_text())["results"]
    present = [row["part"] for row in results["parts"] if row["full"]]
    assert said.startswith(" and ".join(present) + " are present in all particles")
    for row in results["parts"]:
        assert row["full"] or f"{row['part']} in {100 * row['occupancy']:.0f} ± " in said
    ran = run("-i", tmp_path / "map0.mrc", tmp_path / "map1.mrc", "--model", tmp_path / "model.cif", "--output-dir",
              tmp_path / "two")
    assert last_lines(ran)[0].startswith("The part that varies between the 2 maps: B (")
