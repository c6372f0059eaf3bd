"""Ligands in the whole command: the table, record, log, ChimeraX files, and malicious names of parts."""

import csv
import json

import numpy as np
import pytest

pytest.importorskip("scipy")
gemmi = pytest.importorskip("gemmi")

from tests.command import run, write  # noqa: E402
from tests.estimation.ligand_maps import ligand_map, with_ligands  # noqa: E402
from tests.estimation.test_model_occupancy import VOXEL  # noqa: E402

COLUMNS = ["part", "occupancy", "low", "high", "call", "detection_limit", "dB", "displaced_angstrom",
           "relative_to_chain"]
TRUE = {"A/LIG900": 1.0, "B/LIG901": 0.6, "C/LIG902": 0.0, "D/LIG903": 1.0}


def save(model, path, names=None):
    """The model as a file, its ligands as such; `names` replaces those of chains."""
    whole, first = gemmi.Structure(), gemmi.Model(1)
    chains = {}
    for number, residue in enumerate(model.residues):
        made = gemmi.Residue()
        made.name = "ALA" if residue.polymer else "LIG"
        made.seqid = gemmi.SeqId(residue.number)
        made.entity_type = gemmi.EntityType.Polymer if residue.polymer else gemmi.EntityType.NonPolymer
        for i in np.flatnonzero(model.residue == number):
            atom = gemmi.Atom()
            atom.name, atom.element, atom.b_iso, atom.occ = f"C{i % 50}", gemmi.Element("C"), 20.0, 1.0
            atom.pos = gemmi.Position(*model.xyz[i])
            made.add_atom(atom)
        chains.setdefault(residue.chain, gemmi.Chain((names or {}).get(residue.chain, residue.chain)))
        chains[residue.chain].add_residue(made)
    for chain in chains.values():
        first.add_chain(chain)
    whole.add_model(first)
    whole.assign_subchains()
    whole.ensure_entities()
    whole.make_mmcif_document().write_file(str(path))


def rows_of(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    here = tmp_path_factory.mktemp("ligands")
    model = with_ligands(0)
    write(here / "map.mrc", ligand_map(model, TRUE, noise=0.4), VOXEL)
    save(model, here / "model.cif")
    done = run("-i", here / "map.mrc", "--model", here / "model.cif", "--report", "--output-dir", here / "out")
    assert done.returncode == 0, done.stderr
    return here, done.stdout


def test_the_table_says_what_is_there(ran):
    rows = rows_of(ran[0] / "out" / "ligands_map.csv")
    assert list(rows[0])[:9] == COLUMNS
    assert [row["part"] for row in rows] == list(TRUE)
    for row in rows:
        assert float(row["low"]) <= TRUE[row["part"]] <= float(row["high"])
        assert row["call"] == ("present" if TRUE[row["part"]] else "absent")
        assert 0 < float(row["detection_limit"]) < 0.35
        assert (row["dB"] == "") == (row["displaced_angstrom"] == "") == (row["call"] == "absent")
        assert row["remark"] == "" and row["chain"] == row["part"][0] and row["copies"] == "LIG"
    parts = {row["part"]: row["occupancy"] for row in rows_of(ran[0] / "out" / "parts_map.csv")}
    assert all(parts[row["part"]] == row["occupancy"] for row in rows)


def test_record_log_and_attributes_say_the_same(ran):
    here, said = ran
    rows = rows_of(here / "out" / "ligands_map.csv")
    results = json.loads((here / "out" / "occupy_map.json").read_text())["results"]
    for row, told in zip(rows, results["ligands"], strict=True):
        assert float(row["occupancy"]) == told["occupancy"] and row["call"] == told["call"]
        assert len(told["shift_xyz_angstrom"]) == 3
        assert f"ligand {row['part']}  {told['occupancy']:.2f} ({told['low']:.2f} to {told['high']:.2f})" in said
        assert f"occupancy of {row['part']}" not in said
    (copies,) = results["ligand_copies"]
    assert copies["sites"] == list(TRUE) and not copies["equal"] and "copies of LIG" in said
    attributes = (here / "out" / "ligands_map.defattr").read_text()
    for name in ("ligandOccupancy", "ligandLow", "ligandHigh", "ligandLimit"):
        assert f"attribute: {name}\n" in attributes
    assert attributes.count("/B:901\t") == 4
    html = (here / "out" / "report_map.html").read_text()
    assert html.count('<svg class="site"') == len(rows)
    assert all(f"<strong>{row['part']}</strong>" in html for row in rows)


def test_the_script_visits_every_site(ran):
    script = (ran[0] / "out" / "ligands_map.cxc").read_text()
    for number, name in enumerate(TRUE, 1):
        chain, residue = name.split("/LIG")
        assert f"view #90/{chain}:{residue} pad" in script and f"view name site{number}" in script
    assert "alias ligandtour view site1" in script and 'open "./model_map.cif" id 90' in script


def test_names_that_mean_harm_do_none(ran, tmp_path):
    save(with_ligands(0), tmp_path / "odd.cif", {"A": "=1+1", "B": "x;exit", "C": "a'$b", "D": "../d"})
    done = run("-i", ran[0] / "map.mrc", "--model", tmp_path / "odd.cif", "--report", "--output-dir", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    assert not any(row["part"][:1] in "=+-@" for row in rows_of(tmp_path / "out" / "ligands_map.csv"))
    commands = [line for line in (tmp_path / "out" / "ligands_map.cxc").read_text().splitlines() if line[:1] != "#"]
    assert commands and not any("exit" in line or "label" in line for line in commands)


def test_without_ligands_there_is_no_table(ran, tmp_path):
    model = with_ligands(0)
    alone = tmp_path / "alone.cif"
    save(model, alone)
    text = gemmi.read_structure(str(alone))
    text.remove_ligands_and_waters()
    text.make_mmcif_document().write_file(str(alone))
    done = run("-i", ran[0] / "map.mrc", "--model", alone, "--output-dir", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    assert not list((tmp_path / "out").glob("ligands_*")) and "table of ligands" not in done.stdout


@pytest.mark.slow
def test_classes_tell_how_many_sites_are_filled_and_whether_together(tmp_path):
    model = with_ligands(0)
    save(model, tmp_path / "model.cif")
    for number, occupancy in ((1, 1.0), (2, 0.0)):
        volume = ligand_map(model, dict.fromkeys(TRUE, occupancy), noise=0.4, seed=10 + number)
        write(tmp_path / f"run_class00{number}.mrc", number * volume, VOXEL)
    done = run("-i", tmp_path / "run_class001.mrc", tmp_path / "run_class002.mrc", "--common-scale", "--model",
               tmp_path / "model.cif", "--output-dir", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    rows = rows_of(tmp_path / "out" / "ligands_run.csv")
    assert list(rows[0])[:10] == ["class", *COLUMNS]
    labels = ("run_class001", "run_class002")
    assert [(row["class"], row["part"]) for row in rows] == [(label, part) for label in labels for part in TRUE]
    assert {row["call"] for row in rows[:4]} == {"present"} and {row["call"] for row in rows[4:]} == {"absent"}
    assert rows_of(tmp_path / "out" / "ligands_run_class002.csv")[0]["class"] == "run_class002"
    record = json.loads((tmp_path / "out" / "occupy_run.json").read_text())
    assert [row["occupancy"] for row in record["class_ligands"]] == [float(row["occupancy"]) for row in rows]
    (filled,) = record["ligand_filling"]
    # all or none of four sites, in halves: a variance of 4, where independent sites have one of up to 1
    assert filled["filled_together"] and filled["variance_between_classes"] == pytest.approx(4, abs=0.5)
    assert filled["variance_of_independent_sites"] == pytest.approx(1, abs=0.05)
    assert filled["observed"] == [0.5, 0, 0, 0, 0.5] and filled["binomial"][2] == pytest.approx(6 / 16, abs=0.02)
    assert "particles fill their sites together" in done.stdout


@pytest.mark.slow
def test_ligands_of_states_are_read_from_the_means_of_their_volumes(tmp_path):
    """Table of two states that differ in two ligands, on the scale of the states."""
    model = with_ligands(0)
    truth = [{"A/LIG900": 1.0, "B/LIG901": 1.0, "C/LIG902": 0.0, "D/LIG903": 1.0},
             {"A/LIG900": 1.0, "B/LIG901": 0.0, "C/LIG902": 1.0, "D/LIG903": 1.0}]
    for k in range(8):
        write(tmp_path / f"v{k}.mrc", ligand_map(model, truth[k % 2], noise=0.4, seed=k) * np.float32(1 + k), VOXEL)
    save(model, tmp_path / "model.cif")
    done = run("-i", *(tmp_path / f"v{k}.mrc" for k in range(8)), "--model", tmp_path / "model.cif", "--states", "2",
               "--report", "--output-dir", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    state = {row["map"]: row["state"] for row in rows_of(tmp_path / "out" / "states_volumes.csv")}
    assert len({state[f"v{k}.mrc"] for k in (0, 2, 4, 6)}) == len({state[f"v{k}.mrc"] for k in (1, 3, 5, 7)}) == 1
    rows = rows_of(tmp_path / "out" / "states_ligands.csv")
    assert list(rows[0])[:5] == ["state", *COLUMNS[:4]] and len(rows) == 8
    for row in rows:
        true = truth[0 if row["state"] == state["v0.mrc"] else 1][row["part"]]
        # an interval of 95%, here taken twice as wide: eight are looked at
        width = float(row["high"]) - float(row["low"])
        assert float(row["low"]) - width / 2 <= true <= float(row["high"]) + width / 2, row
        assert row["call"] == "present" if true else not row["call"].startswith("present"), row
    record = json.loads((tmp_path / "out" / "occupy_states.json").read_text())
    assert [(row["state"], row["part"]) for row in record["ligands"]] == [(int(r["state"]), r["part"]) for r in rows]
    assert record["report"] == "states.html"
