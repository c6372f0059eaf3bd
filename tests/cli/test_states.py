"""--states in the whole command: files, messages, errors."""

import base64
import csv
import json
import os
import signal
import subprocess
import time
import zlib

import numpy as np
import pytest

pytest.importorskip("scipy")
pytest.importorskip("gemmi")

import occupy_jit  # noqa: E402
from tests.cli.test_model import written  # noqa: E402
from tests.command import SECONDS, command, environment, run, write  # noqa: E402
from tests.estimation.test_model_occupancy import VOXEL, density, structure  # noqa: E402

pytestmark = pytest.mark.slow

STATES = [{"A": 1.0, "B": 1.0, "C": 1.0, "D": 1.0}, {"A": 1.0, "B": 1.0, "C": 0.0, "D": 1.0},
          {"A": 1.0, "B": 0.0, "C": 0.0, "D": 1.0}]
NUMBERS = [4, 3, 2]


def table(path):
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Nine volumes of three states, each with its own grey scale and noise, and the model."""
    here = tmp_path_factory.mktemp("ensemble")
    atoms = structure()
    rng = np.random.default_rng(0)
    (here / "volumes").mkdir()
    truth = {}
    for number, state in enumerate(np.repeat(range(3), NUMBERS)):
        volume = density(atoms, STATES[state], noise=0.3, seed=number)
        name = f"vol_{number}.mrc"
        write(here / "volumes" / name, volume * np.float32(10 ** rng.uniform(-1, 1)) + np.float32(rng.normal()), VOXEL)
        truth[name] = int(state) + 1
    written(atoms, here / "model.cif")
    (here / "truth.json").write_text(json.dumps(truth))
    return here


@pytest.fixture(scope="module")
def done(folder, tmp_path_factory):
    out = tmp_path_factory.mktemp("states")
    ran = run("-i", folder / "volumes", "--model", folder / "model.cif", "--states", "--report", "--plot",
              "--output-dir", out)
    assert ran.returncode == 0, ran.stderr
    return out, ran


def test_pictures_of_the_states_are_written_and_told_of(done):
    out, ran = done
    log = (out / "log_states.txt").read_text()
    for name in ("states_heatmap.png", "states_graph.png"):
        content = (out / name).read_bytes()
        assert content.startswith(b"\x89PNG") and content.endswith(b"IEND\xaeB`\x82")
        assert f"{name}  " in log and name in ran.stdout


def test_the_page_says_what_the_record_says(done):
    import re

    out, _ = done
    html = (out / "states.html").read_text(encoding="utf-8")
    record = json.loads((out / "occupy_states.json").read_text())
    told = json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', html, re.DOTALL)[1])
    assert told["volumes"] == [volume["map"] for volume in record["volumes"]]
    assert told["state"] == [volume["state"] - 1 for volume in record["volumes"]]
    meta = json.loads(re.search(r'<script type="application/json" id="meta">(.*?)</script>', html, re.DOTALL)[1])
    assert meta["count"] == len(record["states"]) and meta["layers"] == 1
    # what is shown of a part: its scale is high where it is present, low where it is absent
    packed = dict(re.findall(r'<script type="text/plain" id="volume-(\w+)">([^<]*)</script>', html))
    volume = {name: np.frombuffer(zlib.decompress(base64.b64decode(text)), np.uint8) for name, text in packed.items()}
    for k, state in enumerate(record["states"]):
        for number, part in enumerate(record["parts"], 1):
            inside = np.percentile(volume[f"scale{k}"][volume["layer0"] == number] / 255, 80)
            assert inside > 0.6 if part["part"] in state["present"] else inside < 0.4, (k, part["part"], inside)
    assert f"{len(record['states'])} states." in html and "parts of an atomic model" in html


def test_states_parts_order_and_graph_are_those_of_the_volumes(folder, done):
    out, ran = done
    truth = json.loads((folder / "truth.json").read_text())
    assert {row["map"]: int(row["state"]) for row in table(out / "states_volumes.csv")} == truth
    assert [int(row["volumes"]) for row in table(out / "states.csv")] == NUMBERS
    for row in table(out / "states_parts.csv"):
        true = STATES[int(row["state"]) - 1][row["part"]]
        assert abs(float(row["occupancy"]) - true) < 3 * float(row["se"])
        assert row["call"] == ("present" if true else "absent")
    assert [(row["part"], row["other"], row["relation"]) for row in table(out / "states_order.csv")] == [
        ("C", "B", "only with")]
    graph = {(row["from"], row["to"]): (row["adds"], row["loses"]) for row in table(out / "states_graph.csv")}
    assert graph == {("3", "2"): ("B", ""), ("2", "1"): ("C", "")}
    assert "3 states" in ran.stdout and "all parts present" in ran.stdout and "without B, C" in ran.stdout


def test_record_and_tables_say_the_same(done):
    out, _ = done
    record = json.loads((out / "occupy_states.json").read_text())
    matrix = [[float(row[part["part"]]) for part in record["parts"]] for row in table(out / "occupancies.csv")]
    np.testing.assert_allclose(record["occupancy"]["of_volumes"], matrix, atol=1e-5)
    assert record["kind"] == "states" and [state["share"] for state in record["states"]] == pytest.approx(
        [4 / 9, 3 / 9, 2 / 9], abs=1e-5)
    assert [state["absent"] for state in record["states"]] == [[], ["C"], ["B", "C"]]
    for row in table(out / "errors.csv"):
        assert all(float(row[name]) > 0 for name in "ABCD")


def test_mean_maps_are_on_one_grey_scale(folder, done):
    """Noise falls with the number of volumes, and common density is the same in the means of all states."""
    out, _ = done
    atoms = structure()
    means = [occupy_jit.read_map(str(out / f"mean_state{s}.mrc")).data for s in (1, 2, 3)]
    one = density(atoms, {"A": 1.0, "B": 0.0, "C": 0.0, "D": 1.0})
    inside = np.abs(one) > 0.5 * one.max()
    for mean in means[1:]:
        slope = (mean[inside] @ means[0][inside]) / (means[0][inside] @ means[0][inside])
        assert slope == pytest.approx(1, abs=0.05)


@pytest.mark.slow
def test_several_workers_give_the_same_bits(folder, done, tmp_path):
    out, _ = done
    ran = run("-i", folder / "volumes", "--model", folder / "model.cif", "--states", "--output-dir", tmp_path,
              "--jobs", "2")
    assert ran.returncode == 0, ran.stderr
    for name in ("states.csv", "states_parts.csv", "occupancies.csv", "errors.csv", "mean_state1.mrc"):
        assert (tmp_path / name).read_bytes() == (out / name).read_bytes(), name


@pytest.mark.slow
def test_workers_of_a_cluster_give_the_same_bits(folder, done, tmp_path):
    pytest.importorskip("distributed", reason="dask is not installed")
    from tests.runs.test_dask_workers import Cluster

    cluster = Cluster(tmp_path)
    try:
        cluster.worker()
        cluster.worker()
        cluster.wait_for(2)
        # names relative to a directory that the workers do not have as their own
        ran = run("-i", "volumes", "--model", "model.cif", "--states", "--cluster", cluster.file, "--output-dir",
                  tmp_path / "out", cwd=folder)
    finally:
        cluster.close()
    assert ran.returncode == 0, ran.stderr
    for name in ("states.csv", "states_parts.csv", "occupancies.csv", "errors.csv", "mean_all.mrc", "mean_state1.mrc"):
        assert (tmp_path / "out" / name).read_bytes() == (done[0] / name).read_bytes(), name


@pytest.mark.slow
def test_a_run_that_was_killed_goes_on(folder, done, tmp_path):
    """Killed immediately, as for lack of memory; finished fits are not repeated, and the tables are the same."""
    words = ("-i", str(folder / "volumes"), "--model", str(folder / "model.cif"), "--states", "--output-dir",
             str(tmp_path), "--jobs", "2")
    child = subprocess.Popen(command(*words), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment(),
                             start_new_session=True)
    deadline = time.monotonic() + SECONDS
    while not list(tmp_path.glob("states_fit_*.npz")) and time.monotonic() < deadline and child.poll() is None:
        time.sleep(0.01)
    os.killpg(child.pid, signal.SIGKILL)
    child.wait()
    # a run that is quicker than the look at it is done, and nothing of it is kept
    kept = len(list(tmp_path.glob("states_fit_*.npz")))
    ran = run(*words, "--resume")
    assert ran.returncode == 0 and f"{kept} of 2 pieces are fitted already" in ran.stdout, ran
    for name in ("states.csv", "states_parts.csv", "occupancies.csv", "errors.csv", "mean_state1.mrc"):
        assert (tmp_path / name).read_bytes() == (done[0] / name).read_bytes(), name
    assert not list(tmp_path.glob("states_fit_*"))


def test_a_run_goes_on_from_the_pieces_that_are_fitted(folder, done, tmp_path):
    from occupy_jit.cli.parser import parse
    from occupy_jit.runs.states import run as states

    out, _ = done
    names = sorted(str(path) for path in (folder / "volumes").iterdir())
    words = ["--model", str(folder / "model.cif"), "--states", "--output-dir", str(tmp_path)]

    def killed(work, tasks, listener=None):
        yield work(tasks[0], listener)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        states.run(parse(["-i", *names, *words])[1], executor=killed)
    assert len(list(tmp_path.glob("states_fit_*.npz"))) == 1 and not list(tmp_path.glob("states*.csv"))
    asked = []

    def counting(work, tasks, listener=None):
        for task in tasks:
            asked.extend(task.paths)
            yield work(task, listener)

    assert states.run(parse(["-i", *names, *words, "--resume"])[1], executor=counting) == 0
    assert asked == names[8:]
    assert (tmp_path / "occupancies.csv").read_bytes() == (out / "occupancies.csv").read_bytes()
    assert not list(tmp_path.glob("states_fit_*"))


@pytest.mark.slow
def test_states_of_an_earlier_run_are_found_without_the_maps(folder, done, tmp_path):
    import shutil

    shutil.copytree(folder / "volumes", tmp_path / "volumes")
    ran = run("-i", tmp_path / "volumes", "--model", folder / "model.cif", "--report", "--output-dir",
              tmp_path / "out")
    assert ran.returncode == 0, ran.stderr
    shutil.rmtree(tmp_path / "volumes")
    assert "states.html" not in (tmp_path / "out" / "index.html").read_text()
    ran = run("--collect", tmp_path / "out", "--states", "--report", "--plot")
    assert (tmp_path / "out" / "states_heatmap.png").exists() and (tmp_path / "out" / "states_graph.png").exists()
    page = (tmp_path / "out" / "states.html").read_text()
    assert all(f'"./report_vol_{k}.html"' in page for k in range(9))
    assert 'href="./states.html"' in (tmp_path / "out" / "index.html").read_text()
    assert ran.returncode == 0, ran.stderr
    assert "no mean maps" in page
    # with the means of the same states beside the tables the page shows them, with those of others it does not
    for name in ("occupy_states.json", "mean_state1.mrc", "mean_state2.mrc", "mean_state3.mrc"):
        shutil.copy(done[0] / name, tmp_path / "out")
    for _ in range(2):  # the record keeps them, too
        assert run("--collect", tmp_path / "out", "--states", "--report").returncode == 0
        page = (tmp_path / "out" / "states.html").read_text()
        assert "no mean maps" not in page and page.count('type="text/plain" id="volume-state') == 3
    told = json.loads((tmp_path / "out" / "occupy_states.json").read_text())
    told["volumes"][0]["state"] = 2
    (tmp_path / "out" / "occupy_states.json").write_text(json.dumps(told))
    assert run("--collect", tmp_path / "out", "--states", "--report").returncode == 0
    assert "no mean maps" in (tmp_path / "out" / "states.html").read_text()
    truth = json.loads((folder / "truth.json").read_text())
    assert {row["map"]: int(row["state"]) for row in table(tmp_path / "out" / "states_volumes.csv")} == truth


def test_damaged_and_other_volumes_are_left_out_with_a_word(folder, tmp_path):
    import shutil

    maps = tmp_path / "volumes"
    shutil.copytree(folder / "volumes", maps)
    (maps / "vol_1.mrc").write_bytes((maps / "vol_1.mrc").read_bytes()[:20000])
    write(maps / "other.mrc", np.random.default_rng(0).standard_normal((32, 32, 32)).astype(np.float32), VOXEL)
    noise = np.random.default_rng(1).standard_normal(occupy_jit.read_map(str(maps / "vol_0.mrc")).data.shape)
    write(maps / "noise.mrc", noise.astype(np.float32), VOXEL)
    ran = run("-i", maps, "--model", folder / "model.cif", "--states", "--output-dir", tmp_path / "out")
    assert ran.returncode == 1, ran.stderr
    for name, word in (("vol_1.mrc", "left out"), ("other.mrc", "32 x 32 x 32"), ("noise.mrc", "does not resemble")):
        assert any(name in line and word in line for line in ran.stderr.splitlines()), (name, ran.stderr)
    truth = json.loads((folder / "truth.json").read_text())
    del truth["vol_1.mrc"]
    assert {row["map"]: int(row["state"]) for row in table(tmp_path / "out" / "states_volumes.csv")} == truth
    left = json.loads((tmp_path / "out" / "occupy_states.json").read_text())["left_out"]
    assert {item["map"].rsplit("/")[-1] for item in left} == {"vol_1.mrc", "other.mrc", "noise.mrc"}


def test_volumes_that_are_not_aligned_are_refused_or_left_out(folder, tmp_path):
    maps = tmp_path / "volumes"
    maps.mkdir()
    for number, path in enumerate(sorted((folder / "volumes").iterdir())):
        moved = 4 if number == 3 else 0
        write(maps / path.name, np.roll(occupy_jit.read_map(str(path)).data, moved, axis=2), VOXEL)
    ran = run("-i", maps, "--model", folder / "model.cif", "--states", "--output-dir", tmp_path / "out")
    assert ran.returncode == 1, ran.stderr
    assert any("vol_3.mrc" in line and "not aligned" in line for line in ran.stderr.splitlines()), ran.stderr


@pytest.mark.parametrize("words, status, told", [
    (["-i", "{v}/vol_0.mrc", "{v}/vol_1.mrc", "--model", "{m}", "--states"], 3, "at least 3 volumes"),
    (["-i", "{v}", "--model", "{m}", "--states", "0"], 2, "at least 1"),
    (["-i", "{v}", "--model", "{m}", "--states", "--array"], 2, "--collect"),
    (["-i", "{v}", "--model", "{m}", "--states", "20"], 2, "20 states of 9 volumes"),
    (["--collect", "{v}", "--states"], 3, "no table of maps"),
    (["-i", "{v}/vol_0.mrc", "{v}/vol_0.mrc", "{v}/vol_0.mrc", "--model", "{m}", "--states"], 3, "the same map"),
])
def test_what_cannot_be_is_said_in_one_line(folder, tmp_path, words, status, told):
    words = [word.format(v=folder / "volumes", m=folder / "model.cif") for word in words]
    ran = run(*words, *([] if "--collect" in words else ["--output-dir", tmp_path / "out"]))
    assert ran.returncode == status, ran.stderr
    last = [line for line in ran.stderr.splitlines() if "error" in line]
    assert len(last) == 1 and told in last[0], ran.stderr
    assert not list((tmp_path / "out").glob("states*")) if (tmp_path / "out").exists() else True


@pytest.mark.slow
def test_python_finds_the_same_in_arrays_and_in_files(folder, done):
    out, _ = done
    paths = sorted(str(path) for path in (folder / "volumes").iterdir())
    found = occupy_jit.states(paths, model=str(folder / "model.cif"))
    truth = json.loads((folder / "truth.json").read_text())
    assert found.state.tolist() == list(truth.values())
    matrix = [[float(row[name]) for name in found.parts] for row in table(out / "occupancies.csv")]
    np.testing.assert_allclose(found.occupancy, matrix, atol=1e-4)
    volumes = [occupy_jit.read_map(path) for path in paths]
    again = occupy_jit.states([volume.data for volume in volumes], model=str(folder / "model.cif"),
                              voxel_size=volumes[0].voxel_size, position=volumes[0].position)
    np.testing.assert_allclose(again.occupancy, found.occupancy, atol=1e-4)
    with pytest.raises(occupy_jit.errors.InputError, match="volume 3: "):
        occupy_jit.states([v.data if k != 2 else np.roll(v.data, 5, 0) for k, v in enumerate(volumes)],
                          model=str(folder / "model.cif"), voxel_size=volumes[0].voxel_size,
                          position=volumes[0].position)


def test_particles_of_the_states_and_of_a_query(folder, tmp_path):
    import pickle

    from occupy_jit.files.particles.star_rows import read_rows
    from tests.files.test_particles import star

    truth = list(json.loads((folder / "truth.json").read_text()).values())
    labels = np.random.default_rng(0).integers(0, 9, 500)
    with open(tmp_path / "labels.pkl", "wb") as file:
        pickle.dump(labels.astype(np.int32), file)
    (tmp_path / "particles.star").write_bytes(star([1] * 500))
    ran = run("-i", folder / "volumes", "--model", folder / "model.cif", "--states", "--output-dir", tmp_path / "out",
              "--particles", tmp_path / "labels.pkl", tmp_path / "particles.star", "--select", "B>0.5 and C<0.5")
    assert ran.returncode == 0, ran.stderr
    states = table(tmp_path / "out" / "states.csv")
    of_particle = np.array(truth)[labels]
    assert [int(row["particles"]) for row in states] == [int((of_particle == s).sum()) for s in (1, 2, 3)]
    own = np.bincount(labels, minlength=9).tolist()
    assert [int(row["particles"]) for row in table(tmp_path / "out" / "states_volumes.csv")] == own
    record = json.loads((tmp_path / "out" / "occupy_states.json").read_text())
    assert [volume["particles"] for volume in record["volumes"]] == own
    whole = read_rows(str(tmp_path / "particles.star")).rows
    for s in (1, 2, 3):
        chosen = np.flatnonzero(of_particle == s)
        assert np.load(tmp_path / "out" / f"particles_state{s}.npy").tolist() == chosen.tolist()
        assert read_rows(str(tmp_path / "out" / f"particles_state{s}.star")).rows == [whole[k] for k in chosen]
    assert (tmp_path / "out" / "particles_selected.star").read_bytes() == (
        tmp_path / "out" / "particles_state2.star").read_bytes()
    assert {row["state"] for row in table(tmp_path / "out" / "selected.csv")} == {"2"}
    assert "of the particles" in ran.stdout


@pytest.mark.parametrize("words, status, told", [
    (["--select", "X>1"], 3, "there is no part X"), (["--select", "A>"], 2, "not a number"),
    (["--particles", "none.csv"], 3, "no such file"),
])
def test_wrong_queries_and_particles_are_said_before_anything_is_written(folder, tmp_path, words, status, told):
    ran = run("-i", folder / "volumes", "--model", folder / "model.cif", "--states", "--output-dir", tmp_path / "out",
              *words)
    assert ran.returncode == status and told in ran.stderr, ran.stderr
    assert not (tmp_path / "out").exists()
