"""Jobs of the CCP-EM Pipeliner, in a project of it, as a user runs them."""

import configparser
import importlib.util
import json
import os
import subprocess
import sys

import pytest

from tests.command import ROOT, SECONDS, environment, particle, write
from tests.data_folder import FOLDER

pytestmark = pytest.mark.skipif(importlib.util.find_spec("pipeliner") is None,
                                reason="ccpem-pipeliner is not installed (extra pipeliner)")

# Runs a job in the foreground, and prints what came of it.
RUN = """
import json, os, sys
from pipeliner.api.manage_project import PipelinerProject
from pipeliner.project_graph import ProjectGraph
project = PipelinerProject(make_new_project=True)
job = project.run_job(json.loads(sys.argv[1]), run_in_foreground=True)
shown = [vars(one) for one in job.create_results_display()]
with ProjectGraph(read_only=True) as graph:  # what the project knows, with what was found after the run
    outputs = {node.name: node.type for node in graph.find_process(job.output_dir).output_nodes}
print("ANSWER" + json.dumps({
    "directory": job.output_dir,
    "status": sorted(name for name in os.listdir(job.output_dir) if name.startswith("PIPELINER_JOB")),
    "inputs": {node.name: node.type for node in job.input_nodes},
    "outputs": outputs, "shown": shown}))
"""


def setup_section(name):
    config = configparser.ConfigParser(delimiters=("=",))
    config.optionxform = str
    config.read(os.path.join(ROOT, "setup.cfg"), encoding="utf-8")
    return dict(line.split(" = ") for line in config["options.entry_points"][name].strip().splitlines())


@pytest.fixture
def project(tmp_path):
    """A project beside a place that says what this tree would say if it were installed."""
    installed = tmp_path / "installed"
    info = installed / "occupy_jit_of_the_test-0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: occupy_jit_of_the_test\nVersion: 0\n")
    jobs = setup_section("ccpem_pipeliner.jobs")
    (info / "entry_points.txt").write_text("[ccpem_pipeliner.jobs]\n" + "".join(
        f"{name} = {target}\n" for name, target in jobs.items() if name not in already_installed()))
    (installed / "OccuPy").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m occupy_jit "$@"\n')
    (installed / "OccuPy").chmod(0o755)
    folder = tmp_path / "project"
    folder.mkdir()
    return folder


def already_installed():
    from importlib.metadata import entry_points

    return {point.name for point in entry_points(group="ccpem_pipeliner.jobs")}


def run_job(project, label, **options):
    installed = str(project.parent / "installed")
    settings = environment()
    settings["PYTHONPATH"] = os.pathsep.join([ROOT, installed])
    settings["PATH"] = os.pathsep.join([installed, settings["PATH"]])
    settings["MPLCONFIGDIR"] = str(project.parent)
    ran = subprocess.run([sys.executable, "-c", RUN, json.dumps({"_rlnJobTypeLabel": label, **options})], cwd=project,
                         env=settings, capture_output=True, text=True, timeout=SECONDS)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    answer = json.loads(ran.stdout.rpartition("ANSWER")[2])
    assert answer["status"] == ["PIPELINER_JOB_EXIT_SUCCESS"], ran.stdout + ran.stderr
    for name in answer["outputs"]:
        assert (project / name).stat().st_size > 0
    return answer


def test_local_scale(project):
    write(project / "map.mrc", particle())
    answer = run_job(project, "occupy.postprocess.local_scale", input_map="map.mrc", amplify="Yes", nr_threads="1")
    names = {os.path.basename(name): kind for name, kind in answer["outputs"].items()}
    assert set(names) == {"scale_map.mrc", "out_map.mrc", "log_map.txt"}
    assert names["scale_map.mrc"].startswith("Image3D") and names["out_map.mrc"].startswith("DensityMap")
    assert list(answer["inputs"]) == ["map.mrc"]
    report = [one for one in answer["shown"] if one["dobj_type"] == "html"]
    assert len(report) == 1 and report[0]["html_file"].endswith("report_map.html")
    assert [one["dobj_type"] for one in answer["shown"]].count("mapmodel") == 2


def test_occupancy_of_a_model(project):
    pytest.importorskip("gemmi")
    pytest.importorskip("scipy")
    from tests.cli.test_model import written
    from tests.estimation.test_model_occupancy import OCCUPANCY, VOXEL, density, structure

    write(project / "map.mrc", density(structure(), OCCUPANCY, noise=0.3), VOXEL)
    written(structure(), project / "model.cif")
    answer = run_job(project, "occupy.atomic_model_validation.occupancy", input_map="map.mrc", model="model.cif",
                     nr_threads="1")
    table = next(one for one in answer["shown"] if one["dobj_type"] == "table")
    at = table["headers"].index("occupancy")
    found = {row[0]: float(row[at]) for row in table["table_data"]}
    for name, occupancy in OCCUPANCY.items():
        assert found[name] == pytest.approx(occupancy, abs=0.1)
    assert any(name.endswith("model_map.cif") for name in answer["outputs"])


@pytest.mark.slow
def test_half_maps_are_given_both_or_not_at_all(project):
    write(project / "map.mrc", particle())
    with pytest.raises(AssertionError, match="both half maps, or none"):
        run_job(project, "occupy.postprocess.local_scale", input_map="map.mrc", half_map_1="map.mrc")


@pytest.mark.slow
@pytest.mark.test_data
def test_a_map_of_the_emdb(project):
    os.symlink(FOLDER / "maps" / "emd_11007.map" if (FOLDER / "maps").is_dir() else FOLDER / "data/maps/emd_11007.map",
               project / "emd_11007.map")
    answer = run_job(project, "occupy.postprocess.local_scale", input_map="emd_11007.map", amplify="Yes")
    assert {os.path.basename(name) for name in answer["outputs"]} == {
        "scale_emd_11007.mrc", "out_emd_11007.map", "log_emd_11007.txt"}


@pytest.mark.slow
def test_states_of_volumes(project):
    pytest.importorskip("gemmi")
    pytest.importorskip("scipy")
    from tests.cli.test_model import written
    from tests.estimation.test_model_occupancy import VOXEL, density, structure

    atoms = structure()
    volumes = []
    for number in range(6):  # C is there in the first three
        occupancy = {"A": 1.0, "B": 1.0, "C": float(number < 3), "D": 1.0}
        volumes.append(f"vol_{number}.mrc")
        write(project / volumes[-1], density(atoms, occupancy, noise=0.3, seed=number), VOXEL)
    written(atoms, project / "model.cif")
    answer = run_job(project, "occupy.heterogeneity.states", volumes=":::".join(volumes), model="model.cif",
                     nr_threads="1")
    assert set(volumes) < set(answer["inputs"])
    tables = {one["title"]: one for one in answer["shown"] if one["dobj_type"] == "table"}
    assert len(tables["States"]["table_data"]) == 2
    page = next(one for one in answer["shown"] if one["dobj_type"] == "html")
    assert page["title"] == "States" and os.path.basename(page["html_file"]) == "states.html"
    assert len(tables["State of every volume"]["table_data"]) == 6
    assert {os.path.basename(name) for name in answer["outputs"]} == {
        "mean_all.mrc", "mean_state1.mrc", "mean_state2.mrc"}
