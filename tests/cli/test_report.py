"""Reports from the whole command: when they are written, their content, and links to them."""

import json
import os
import re

import numpy as np
import pytest

from tests.classification import VOXEL_SIZE, Complex
from tests.command import run, write
from tests.reports.test_page import Tree, json_of
from tests.simulated import blobs


@pytest.fixture(scope="module")
def maps(tmp_path_factory):
    here = tmp_path_factory.mktemp("maps of a secret project")
    for number in range(2):
        write(here / f"map_{number}.mrc", blobs((48, 48, 48), seed=number, occupancies=(1.0, 0.3)), 1.5)
    (here / "cut off.mrc").write_bytes((here / "map_0.mrc").read_bytes()[:5000])
    return here


def reports(directory):
    return sorted(name for name in os.listdir(directory) if name.endswith(".html"))


def test_no_report_is_written_unless_asked_for(maps, tmp_path):
    ran = run("-i", maps / "map_0.mrc", "--output-dir", tmp_path)
    assert ran.returncode == 0 and reports(tmp_path) == []


def test_report_and_record_say_the_same(maps, tmp_path):
    ran = run("-i", maps / "map_0.mrc", "--report", "--amplify", "--output-dir", tmp_path)
    assert ran.returncode == 0, ran.stderr
    html = (tmp_path / "report_map_0.html").read_text()
    record = json.loads((tmp_path / "occupy_map_0.json").read_text())
    summary, core = json_of(html, "summary"), record["results"]["core"]
    assert summary["weaker_than_half"] == core["weaker_than_half"]
    assert summary["median_scale"] == core["median_scale"]
    assert summary["scale_of_08_or_more"] == core["scale_of_08_or_more"]
    assert summary["occupied_volume_angstrom3"] == record["results"]["occupied_volume_angstrom3"]
    tree = Tree(html)
    text = "".join(tree.texts)
    assert "Settings and options (3 given)" in text and text.count("output dir") == 1
    for entry in (record["input"], *record["outputs"]):
        assert os.path.basename(entry["path"]) in tree.texts
        assert entry["sha256"] is None or entry["sha256"] in tree.texts
    assert f"{record['results']['full_scale']:.6g}" in text and summary["sentence"] in text
    assert [v["id"] for v in json_of(html, "meta")["volumes"]] == ["input", "scale", "confidence", "modified"]
    bands = record["results"]["bands"]
    assert "Signal and noise by resolution" in text and text.count("Amplification of each resolution band") == 1
    assert len(bands) == 8 and tree.elements.count("svg") == 4
    assert core["weaker_than_half_at_least"] <= core["weaker_than_half"]
    assert core["noise_hides_parts"] == summary["noise_hides_parts"] == record["results"]["noise_hides_parts"]
    log = (tmp_path / "log_map_0.txt").read_text()
    assert f"scale {record['results']['visible_from']:.2f}" in log.split("visible from")[1].splitlines()[0]
    # one blob of two has 0.3 of the other
    assert 0.2 < core["weaker_than_half"] < 0.7


def test_occupancies_inside_masks_are_in_the_report(maps, tmp_path):
    mask = np.zeros((48, 48, 48), np.float32)
    mask[8:40, 8:40, 8:40] = 1
    write(tmp_path / "arm.mrc", mask, 1.5)
    dot = np.zeros_like(mask)
    dot[24, 24, 24] = 1
    write(tmp_path / "dot.mrc", dot, 1.5)
    ran = run("-i", maps / "map_0.mrc", "--report", "--target-mask", tmp_path / "arm.mrc", tmp_path / "dot.mrc",
              "--output-dir", tmp_path)
    assert ran.returncode == 0, ran.stderr
    tree = Tree((tmp_path / "report_map_0.html").read_text())
    results = json.loads((tmp_path / "occupy_map_0.json").read_text())["results"]
    told = [target for target in results["targets"] if target["occupancy"] is not None]
    assert told and "arm.mrc" in tree.texts
    for target in told:
        error = "" if target["error"] is None else f" ± {target['error']:.2f}"
        assert f"{target['occupancy']:.2f}{error}" in tree.texts
    assert f"± {results['full_scale_error']:.1%}" in "".join(tree.texts)


def test_paths_are_shown_only_when_asked_for(maps, tmp_path):
    for options, wanted in (((), False), (("--report-paths",), True)):
        ran = run("-i", maps / "map_0.mrc", "--report", "--output-dir", tmp_path, *options)
        assert ran.returncode == 0, ran.stderr
        html = (tmp_path / "report_map_0.html").read_text()
        assert (str(maps) in html) is wanted and ("secret" in html) is wanted
        assert (str(tmp_path) in html) is wanted


def test_a_run_without_record_has_a_report(maps, tmp_path):
    ran = run("-i", maps / "map_0.mrc", "--report", "--no-json", "--output-dir", tmp_path)
    assert ran.returncode == 0 and reports(tmp_path) == ["report_map_0.html"]
    assert "--rerun" not in (tmp_path / "report_map_0.html").read_text()


def test_the_demo_writes_one_and_says_how_to_open_it(tmp_path):
    ran = run("--demo", "--output-dir", tmp_path)
    assert ran.returncode == 0, ran.stderr
    assert reports(tmp_path) == ["report_emd_11007_demo.html"]
    assert f"{tmp_path / 'report_emd_11007_demo.html'}  opens in any browser" in ran.stdout
    without = tmp_path / "without"
    ran = run("--demo", "--no-report", "--output-dir", without)
    assert ran.returncode == 0 and reports(without) == [] and "browser" not in ran.stdout


def test_a_rerun_writes_the_report_again(maps, tmp_path):
    assert run("-i", maps / "map_0.mrc", "--report", "--output-dir", tmp_path / "first").returncode == 0
    ran = run("--rerun", tmp_path / "first" / "occupy_map_0.json", "--output-dir", tmp_path / "second")
    assert ran.returncode == 0, ran.stderr
    first, second = ((tmp_path / d / "report_map_0.html").read_text() for d in ("first", "second"))
    assert json_of(first, "summary") == json_of(second, "summary")


def test_an_index_leads_to_the_reports_of_many_maps(maps, tmp_path):
    ran = run("-i", maps / "map_0.mrc", maps / "cut off.mrc", maps / "map_1.mrc", "--report", "--output-dir", tmp_path)
    assert ran.returncode == 3 and f"{tmp_path / 'index.html'}  index of the reports" in ran.stdout
    assert reports(tmp_path) == ["index.html", "report_map_0.html", "report_map_1.html"]
    html = (tmp_path / "index.html").read_text()
    tree = Tree(html)
    links = [value for name, value in tree.attributes if name == "href" and value.startswith("./")]
    assert set(links) == {"./report_map_0.html", "./report_map_1.html"}
    text = "".join(tree.texts)
    assert "3 maps" in text and "1 failed" in text and "secret" not in html
    assert text.index("cut off.mrc") < text.index("map_0")
    for number in range(2):
        report = (tmp_path / f"report_map_{number}.html").read_text()
        assert json_of(report, "summary")["sentence"] in text
        assert ("href", "./index.html") in Tree(report).attributes


def test_there_is_no_index_where_there_are_no_reports(maps, tmp_path):
    (tmp_path / "other.mrc").write_bytes(b"no map")
    (tmp_path / "out").mkdir()
    ran = run("-i", maps / "cut off.mrc", tmp_path / "other.mrc", "--report", "--output-dir", tmp_path / "out")
    assert ran.returncode == 3 and "0 of 2 maps done" in ran.stdout and "index of the reports" not in ran.stdout
    assert not (tmp_path / "out" / "index.html").exists()


def test_the_index_of_an_array_is_written_when_it_is_collected(maps, tmp_path):
    paths = [maps / "map_0.mrc", maps / "cut off.mrc", maps / "map_1.mrc"]
    for task in (1, 2):
        environment = {"SLURM_ARRAY_TASK_ID": str(task), "SLURM_ARRAY_TASK_MIN": "1", "SLURM_ARRAY_TASK_MAX": "2"}
        run("-i", *paths, "--report", "--array", "--output-dir", tmp_path, env=environment)
        assert not (tmp_path / "index.html").exists()
    ran = run("--collect", tmp_path)
    assert ran.returncode == 3 and f"{tmp_path / 'index.html'}  index of the reports" in ran.stdout
    html = (tmp_path / "index.html").read_text()
    tree = Tree(html)
    assert [value for name, value in tree.attributes if name == "href" and value.startswith("./")].count(
        "./report_map_0.html") == 2
    assert "1 failed" in "".join(tree.texts) and "secret" not in html


def test_an_index_that_would_overwrite_an_input_is_refused(tmp_path):
    os.rename(write_map(tmp_path / "a.mrc"), tmp_path / "index.html")
    os.symlink(tmp_path / "index.html", tmp_path / "b.mrc")
    write_map(tmp_path / "a.mrc")
    before = (tmp_path / "index.html").read_bytes()
    ran = run("-i", tmp_path / "a.mrc", tmp_path / "b.mrc", "--report", "--output-dir", tmp_path)
    assert ran.returncode == 2 and "index.html" in ran.stderr and "would overwrite the input" in ran.stderr
    assert (tmp_path / "index.html").read_bytes() == before


def write_map(path):
    write(path, blobs((32, 32, 32)), 1.5)
    return path


def test_a_dry_run_names_the_report(maps, tmp_path):
    ran = run("-i", maps / "map_0.mrc", "--report", "--output-dir", tmp_path, "--dry-run")
    assert ran.returncode == 0 and "report_map_0.html  report" in ran.stdout and reports(tmp_path) == []


def test_maps_on_one_scale_have_a_page_of_the_classes(tmp_path):
    for number, volume in enumerate(Complex().classes()[:2], 1):
        write(tmp_path / f"run_class{number}.mrc", volume, VOXEL_SIZE)
    out = tmp_path / "out"
    ran = run("-i", tmp_path / "run_class1.mrc", tmp_path / "run_class2.mrc", "--common-scale", "--report",
              "--output-dir", out)
    assert ran.returncode == 0, ran.stderr
    assert reports(out) == ["classes_run.html", "report_run_class1.html", "report_run_class2.html"]
    tree = Tree((out / "classes_run.html").read_text())
    record = json.loads((out / "occupy_run.json").read_text())
    text = "".join(tree.texts)
    for row in record["classes"]:
        assert f"{row['mean_scale_in_union']:.2f}" in tree.texts
    largest = max(record["differences"], key=lambda row: row["volume_angstrom3"])
    assert f"{largest['volume_angstrom3'] / 1000:,.1f}" in tree.texts
    assert {value for name, value in tree.attributes if name == "href" and value.startswith("./")} == {
        "./report_run_class1.html", "./report_run_class2.html"}
    assert text.count("of the strongest region of all maps") == 2
    report = Tree((out / "report_run_class1.html").read_text())
    assert ("href", "./classes_run.html") in report.attributes


def test_a_hostile_file_name_is_text(tmp_path):
    name = "<img src=x onerror=alert(1)>&'\"{{7*7}}.mrc"
    write(tmp_path / name, blobs((32, 32, 32)), 1.5)
    ran = run("-i", tmp_path / name, "--report", "--output-dir", tmp_path / "out")
    assert ran.returncode == 0, ran.stderr
    (report,) = reports(tmp_path / "out")
    tree = Tree((tmp_path / "out" / report).read_text())
    assert not any(key.startswith("on") for key, _ in tree.attributes) and tree.elements.count("img") == 2
    assert any("onerror=alert(1)" in text for text in tree.texts)


def test_a_map_that_fills_the_box_and_one_without_content_have_reports(tmp_path):
    rng = np.random.default_rng(0)
    write(tmp_path / "noise.mrc", rng.normal(size=(40, 40, 40)).astype(np.float32), 1.0)
    write(tmp_path / "full.mrc", (rng.normal(size=(40, 40, 40)) + 5 * blobs((40, 40, 40))).astype(np.float32), 1.0)
    for name in ("noise", "full"):
        ran = run("-i", tmp_path / f"{name}.mrc", "--report", "--no-confidence", "--output-dir", tmp_path / name)
        assert ran.returncode == 0, ran.stderr
        html = (tmp_path / name / f"report_{name}.html").read_text()
        assert re.search(r"<h1>.+</h1>", html)
