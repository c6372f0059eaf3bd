"""--model in the whole command: what is written, what is shown, what is refused."""

import csv
import json

import numpy as np
import pytest

pytest.importorskip("scipy")
gemmi = pytest.importorskip("gemmi")

from tests.command import listing, run, write  # noqa: E402
from tests.estimation.test_model_occupancy import OCCUPANCY, VOXEL, density, structure  # noqa: E402


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A map of four chains, and its model as a file of coordinates."""
    here = tmp_path_factory.mktemp("modelled")
    atoms = structure()
    write(here / "map.mrc", density(atoms, OCCUPANCY, noise=0.3), VOXEL)
    model = gemmi.Model(1)
    chains = {name: gemmi.Chain(name) for name in OCCUPANCY}
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
    whole.make_mmcif_document().write_file(str(here / "model.cif"))
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
    (("--parts", "core=A:1-x"), 2, "no range"),
    (("--parts", "a=A:1-4", "a=B:26-28"), 2, "two parts a"),
    (("--parts", "a=A:1-4", "b=A:4-6"), 2, "a has residue 4 of chain A already"),
    (("--parts", "B=A:1-4"), 2, "of that name"),
    (("--parts", "core=Q"), 3, "no chain Q"),
    (("--parts", "core=A:900-950"), 3, "from 1 to 25"),
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
