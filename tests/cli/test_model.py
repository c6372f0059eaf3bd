"""--model in the whole command: files, messages, errors."""

import csv
import json
import subprocess
import sys

import numpy as np
import pytest

pytest.importorskip("scipy")
gemmi = pytest.importorskip("gemmi")

import occupy_jit  # noqa: E402
from tests.command import ROOT, environment, listing, run, troubles, write  # noqa: E402
from tests.estimation.test_model_occupancy import OCCUPANCY, VOXEL, density, structure  # noqa: E402

pytestmark = pytest.mark.slow


def written(atoms, path, names=None):
    """The model as a file; `names` replaces those of chains."""
    model = gemmi.Model(1)
    chains = {name: gemmi.Chain((names or {}).get(name, name)) for name in OCCUPANCY}
    for number, residue in enumerate(atoms.residues):
        made = gemmi.Residue()
        made.name, made.seqid = "ALA", gemmi.SeqId(number + 1, " ")
        for i in np.flatnonzero(atoms.residue == number):
            atom = gemmi.Atom()
            atom.name, atom.element, atom.b_iso, atom.occ = f"C{i % 8}", gemmi.Element("C"), 20.0, 1.0
            atom.pos = gemmi.Position(*atoms.xyz[i])
            made.add_atom(atom)
        chains[residue.chain].add_residue(made)
    for chain in chains.values():
        model.add_chain(chain)
    whole = gemmi.Structure()
    whole.add_model(model)
    whole.make_mmcif_document().write_file(str(path))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A map of four chains, and its model as a file of coordinates."""
    here = tmp_path_factory.mktemp("modelled")
    atoms = structure()
    write(here / "map.mrc", density(atoms, OCCUPANCY, noise=0.3), VOXEL)
    written(atoms, here / "model.cif")
    return here


def test_table_model_attributes_and_report_say_the_same(folder, tmp_path):
    ran = run("-i", folder / "map.mrc", "--model", folder / "model.cif", "--report", "--output-dir", tmp_path)
    assert ran.returncode == 0, ran.stderr
    with open(tmp_path / "parts_map.csv", newline="") as file:
        rows = {row["part"]: row for row in csv.DictReader(file)}
    assert list(rows) == list(OCCUPANCY)
    for name, true in OCCUPANCY.items():
        assert abs(float(rows[name]["occupancy"]) - true) < 3 * float(rows[name]["se"])
    record = json.loads((tmp_path / "occupy_map.json").read_text())
    of_record = [row["occupancy"] for row in record["results"]["parts"]]
    assert of_record == [float(row["occupancy"]) for row in rows.values()]
    written = gemmi.read_structure(str(tmp_path / "model_map.cif"))
    for chain in written[0]:
        wanted = min(1.0, max(0.0, float(rows[chain.name]["occupancy"])))
        assert chain[0][0].occ == pytest.approx(wanted, abs=0.006)
    assert "occupancyFit" in (tmp_path / "parts_map.defattr").read_text()
    assert "parts_map.defattr" in (tmp_path / "chimX_map.cxc").read_text()
    html = (tmp_path / "report_map.html").read_text()
    assert "Occupancy of the parts of the model" in html
    for row in rows.values():
        assert f"{float(row['occupancy']):.2f} ± {float(row['se']):.2f}" in html


@pytest.mark.slow
def test_many_maps_on_two_grids_are_as_each_alone_whoever_runs_them(folder, tmp_path):
    """Common parts of the fits are kept from map to map, without effect on tables."""
    atoms = structure()
    paths = []
    for number, crop in enumerate((0, 2, 0, 2)):
        volume = density(atoms, {**OCCUPANCY, "B": 0.3 + 0.1 * number}, noise=0.3, seed=number)
        volume = np.ascontiguousarray(volume[:, :volume.shape[1] - crop])
        paths.append(write(tmp_path / f"m{number}.mrc", volume, VOXEL))
    model = ("--model", folder / "model.cif")
    for path in paths:
        assert run("-i", path, *model, "--output-dir", tmp_path / "alone").returncode == 0
    for name, more in (("one", ()), ("two", ("--jobs", "2"))):
        ran = run("-i", *paths, *model, *more, "--output-dir", tmp_path / name)
        assert ran.returncode == 0, ran.stderr
        for number in range(len(paths)):
            for file in (f"parts_m{number}.csv", f"parts_m{number}.json", f"model_m{number}.cif"):
                assert (tmp_path / name / file).read_bytes() == (tmp_path / "alone" / file).read_bytes(), (name, file)


def test_memory_for_what_is_kept_is_asked_for(folder, tmp_path):
    def asked(*maps):
        said = run("-i", *maps, "--model", folder / "model.cif", "--output-dir", tmp_path, "--dry-run").stdout
        return float(said.split("memory: about ")[1].split(" MB")[0])

    (tmp_path / "other.mrc").write_bytes((folder / "map.mrc").read_bytes())
    assert asked(folder / "map.mrc", tmp_path / "other.mrc") > asked(folder / "map.mrc")


@pytest.mark.slow
def test_half_maps_tell_what_either_says_and_the_noise(folder, tmp_path):
    atoms = structure()
    halves = [write(tmp_path / f"half{i}.mrc", density(atoms, OCCUPANCY, noise=0.6, seed=i), VOXEL) for i in (1, 2)]
    ran = run("--half-maps", *halves, "--model", folder / "model.cif", "--output-dir", tmp_path / "out")
    assert ran.returncode == 0, ran.stderr
    with open(tmp_path / "out" / "parts_half1.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    told = json.loads((tmp_path / "out" / "parts_half1.json").read_text())
    assert 0 < told["half_maps"]["disagreement"] < told["half_maps"]["disagreement_by_chance"]
    for row, of_record in zip(rows, told["parts"], strict=True):
        one, two, mean = (float(row[name]) for name in ("half1", "half2", "occupancy"))
        assert (of_record["half1"], of_record["half2"]) == (one, two)
        assert abs(one - two) / 2 < 4 * float(row["se_noise"]) < 4 * float(row["se"])
        assert abs((one + two) / 2 - mean) < 0.002  # rounding, and full scale of either half
    log = (tmp_path / "out" / "log_half1.txt").read_text()
    assert "parts in half maps" in log and f"halves {float(rows[0]['half1']):.3f}" in log
    # the same from Python, with the map that is their mean
    one, two = (occupy_jit.read_map(path) for path in halves)
    mean = occupy_jit.read_map(halves[0])
    mean.data[:] = (one.data + two.data) / 2
    found = occupy_jit.occupancy_of_parts(mean, folder / "model.cif", half_maps=(one, two))
    assert np.allclose(found.occupancy, [float(row["occupancy"]) for row in rows], atol=2e-4)
    assert np.allclose(found.halves.occupancy[1], [float(row["half2"]) for row in rows], atol=2e-4)
    # and beside them a map that was made of them
    beside = write(tmp_path / "sharp.mrc", 5 * mean.data + 1, VOXEL)
    ran = run("-i", beside, "--half-maps", *halves, "--model", folder / "model.cif", "--output-dir", tmp_path / "out")
    assert ran.returncode == 0, ran.stderr
    with open(tmp_path / "out" / "parts_sharp.csv", newline="") as file:
        for row, like in zip(csv.DictReader(file), rows, strict=True):
            for name in ("occupancy", "half1", "half2", "se_noise"):
                assert abs(float(row[name]) - float(like[name])) < 0.004


def test_chains_with_names_like_paths_formulas_and_commands_do_no_harm(folder, tmp_path):
    pytest.importorskip("matplotlib")
    names = {"A": "../../x", "B": "=1+1", "C": "<b>'\"$x$", "D": "x;exit"}
    written(structure(), tmp_path / "odd.cif", names)
    out = tmp_path / "deep" / "er" / "out"
    ran = run("-i", folder / "map.mrc", "--model", tmp_path / "odd.cif", "--report", "--plot", "--output-dir", out)
    assert ran.returncode == 0 and troubles(ran) == [], ran.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["deep", "odd.cif"]
    assert [path.name for path in (tmp_path / "deep" / "er").iterdir()] == ["out"]
    with open(out / "parts_map.csv", newline="") as file:
        parts = [row["part"] for row in csv.DictReader(file)]
    assert parts == [names["A"], "'" + names["B"], names["C"], names["D"]]
    assert [row["part"] for row in json.loads((out / "parts_map.json").read_text())["parts"]] == list(names.values())
    assert [chain.name for chain in gemmi.read_structure(str(out / "model_map.cif"))[0]] == list(names.values())
    # no residue can be named in ChimeraX: then no attributes are opened, as a file without any is refused there
    script = (out / "chimX_map.cxc").read_text()
    assert 'open "./model_map.cif"' in script and "defattr" not in script and "exit" not in script
    assert (out / "parts_map.defattr").read_text().splitlines() == ["attribute: occupancyFit", "recipient: residues"]
    html = (out / "report_map.html").read_text()
    assert "<b>'" not in html and "&lt;b&gt;" in html
    assert (out / "parts_map.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(("content", "said"), [
    (None, "no such file"), ("", "model"), ("data_x\nloop_\n_atom_site.id\n1\n", "model"), ("\0\1\2" * 500, "model")])
def test_a_model_that_cannot_be_used_is_refused_in_one_line(folder, tmp_path, content, said):
    model = tmp_path / "model.cif"
    if content is not None:
        model.write_text(content)
    out = tmp_path / "out"
    ran = run("-i", folder / "map.mrc", "--model", model, "--output-dir", out)
    assert ran.returncode == 3, ran.stderr
    assert len(ran.stderr.strip().splitlines()) == 1 and said in ran.stderr and "Traceback" not in ran.stderr
    assert not out.exists() or not list(out.iterdir())


@pytest.mark.parametrize(("given", "status", "said"), [
    (("--parts", "core"), 2, "NAME=CHAIN"),
    (("--parts", "core=A:9-1"), 2, "ends before it begins"),
    (("--parts", "core=A:1-x"), 2, "is not a range"),
    (("--parts", "a=A:1-4", "a=B:26-28"), 2, "two parts a"),
    (("--parts", "a=A:1-4", "b=A:4-6"), 2, "a has residue 4 of chain A already"),
    (("--parts", "B=A:1-4"), 2, "of that name"),
    (("--parts", "core=Q"), 3, "no chain Q"),
    (("--parts", "core=A:900-950"), 3, "chain A has residues 1 to 25"),
    (("--reference-part", "Q"), 3, "no part Q"),
    (("--assembly", "7"), 3, "no assembly 7"),
    (("--b-factors", "some"), 2, "--b-factors"),
])
def test_what_the_model_does_not_hold_is_told_before_anything_is_run(folder, tmp_path, given, status, said):
    out = tmp_path / "out"
    ran = run("-i", folder / "map.mrc", "--model", folder / "model.cif", *given, "--output-dir", out, "--dry-run")
    assert ran.returncode == status, ran.stderr
    assert len(ran.stderr.strip().splitlines()) <= 2 and said in ran.stderr and "Traceback" not in ran.stderr
    assert not out.exists() and not ran.stdout


def test_the_model_is_not_overwritten_by_its_copy_with_occupancies(folder, tmp_path):
    model = tmp_path / "model_map.cif"
    model.write_bytes((folder / "model.cif").read_bytes())
    before = listing(tmp_path)
    ran = run("-i", folder / "map.mrc", "--model", model, "--output-dir", tmp_path)
    assert ran.returncode == 2 and "would overwrite the input" in ran.stderr
    assert listing(tmp_path) == before


def test_linear_algebra_of_the_command_has_one_thread_from_the_start(folder):
    """Its sums are rounded otherwise by other numbers of threads, and a library reads the number when it is loaded."""
    code = ("import os, sys; from occupy_jit.cli import run, main; plain = run._run_map; seen = []\n"
            "run._run_map = lambda *given: seen.append('numpy' in sys.modules) or plain(*given)\n"
            f"status = main.main(['-i', {str(folder / 'map.mrc')!r}, '--dry-run', '--quiet'])\n"
            "print(status, seen, os.environ['OPENBLAS_NUM_THREADS'], os.environ['MKL_NUM_THREADS'])")
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True,
                         env=environment(OPENBLAS_NUM_THREADS="2"), cwd=ROOT)
    assert ran.stdout.splitlines()[-1] == "0 [False] 1 1", ran.stdout + ran.stderr


def test_an_atom_far_outside_of_the_map_asks_for_no_memory_and_is_told(folder, tmp_path):
    """Dummies of older programs stand at 9999, 9999, 9999."""
    text = (folder / "model.cif").read_text().splitlines()
    last = max(i for i, line in enumerate(text) if line.startswith(("ATOM", "HETATM")))
    document = gemmi.cif.read(str(folder / "model.cif"))
    names = [tag[len("_atom_site."):] for tag in document[0].find_mmcif_category("_atom_site.").tags]
    row = text[last].split()
    for name in ("Cartn_x", "Cartn_y", "Cartn_z"):
        row[names.index(name)] = "9999.000"
    row[names.index("label_atom_id")] = "CX"
    model = tmp_path / "dummy.cif"
    model.write_text("\n".join([*text[:last + 1], " ".join(row), *text[last + 1:]]) + "\n")
    said = []
    for path in (folder / "model.cif", model):
        ran = run("-i", folder / "map.mrc", "--model", path, "--dry-run", "--output-dir", tmp_path)
        said.append(next(line.split(" of ")[0] for line in ran.stdout.splitlines() if "memory" in line))
    assert said[0] == said[1]
    ran = run("-i", folder / "map.mrc", "--model", model, "--output-dir", tmp_path)
    assert ran.returncode == 0 and "1 atom of the model lies outside the map" in ran.stderr


def test_residues_have_a_table_of_their_own_that_is_told(folder, tmp_path):
    ran = run("-i", folder / "map.mrc", "--model", folder / "model.cif", "--residues", "--output-dir", tmp_path)
    assert ran.returncode == 0 and "residues_map.csv" in ran.stdout
    with open(tmp_path / "residues_map.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    told = json.loads((tmp_path / "parts_map.json").read_text())["residues"]
    assert list(rows[0]) == ["chain", "name", "number", "part", "occupancy", "se", "cc"]
    assert [[float(row[n]) for n in ("occupancy", "se", "cc")] for row in rows] == [
        [row[n] for n in ("occupancy", "se", "cc")] for row in told]
    assert len(rows) == len(structure().residues)


def test_names_of_3000_letters_are_drawn_without_a_warning(folder, tmp_path):
    pytest.importorskip("matplotlib")
    written(structure(), tmp_path / "long.cif", {"A": "A" * 3000, "B": "B", "C": "C", "D": "D"})
    ran = run("-i", folder / "map.mrc", "--model", tmp_path / "long.cif", "--plot", "--output-dir", tmp_path / "out")
    assert ran.returncode == 0 and troubles(ran) == [], ran.stderr
    assert (tmp_path / "out" / "parts_map.png").read_bytes().startswith(b"\x89PNG")
