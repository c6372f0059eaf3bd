"""Atomic models that are unlike what one expects: used with a word about it, or refused in one line."""

import gzip

import numpy as np
import pytest

gemmi = pytest.importorskip("gemmi")
pytest.importorskip("scipy")

from occupy_jit.errors import InputError  # noqa: E402
from occupy_jit.estimation.parts.selection import chains_and_ligands  # noqa: E402
from occupy_jit.files.models.reading import read_model  # noqa: E402
from occupy_jit.files.models.writing import with_occupancies  # noqa: E402
from tests.files.test_models import HEAD, rows, write  # noqa: E402

ATOMS = ("N", "CA", "C", "O", "CB")


def structure(chains=("A",), length=8, first=1, change=None):
    """A structure of alanines as gemmi has it; `change` may alter each atom, or add others to its residue."""
    model = gemmi.Model(1)
    for c, name in enumerate(chains):
        chain = gemmi.Chain(name)
        for r in range(length):
            residue = gemmi.Residue()
            residue.name, residue.seqid = "ALA", gemmi.SeqId(first + r, " ")
            for j, atom_name in enumerate(ATOMS):
                atom = gemmi.Atom()
                atom.name, atom.element, atom.occ, atom.b_iso = atom_name, gemmi.Element(atom_name[0]), 1.0, 20.0
                atom.pos = gemmi.Position(3.8 * r, 1.4 * j, 30.0 * c)
                for one in [atom] if change is None else change(atom):
                    residue.add_atom(one)
            chain.add_residue(residue)
        model.add_chain(chain)
    whole = gemmi.Structure()
    whole.add_model(model)
    return whole


def both(whole, folder):
    """The same structure from an mmCIF and from a PDB file."""
    whole.make_mmcif_document().write_file(str(folder / "m.cif"))
    whole.write_pdb(str(folder / "m.pdb"))
    return [read_model(folder / name) for name in ("m.cif", "m.pdb")]


def like(atom, **changes):
    other = atom.clone()
    for name, value in changes.items():
        setattr(other, name, value)
    return other


def test_numbers_above_9999_and_chains_of_four_letters(tmp_path):
    for model in both(structure(first=9996), tmp_path):
        assert chains_and_ligands(model)[0] == ["A"]
        assert [r.number for r in model.residues] == [str(9996 + i) for i in range(8)]
    whole = structure(("AAAA", "AAAB"))
    whole.make_mmcif_document().write_file(str(tmp_path / "long.cif"))
    assert chains_and_ligands(read_model(tmp_path / "long.cif"))[0] == ["AAAA", "AAAB"]


def test_hydrogens_and_deuterium_are_left_out_with_a_word_and_keep_their_occupancies(tmp_path):
    def hydrogenated(atom):
        return [atom, like(atom, name="H" + atom.name[-1], element=gemmi.Element("H"), occ=0.7),
                like(atom, name="D" + atom.name[-1], element=gemmi.Element("D"), occ=0.3)]

    for model in both(structure(change=hydrogenated), tmp_path):
        assert len(model) == 40 and "80 hydrogens are left out" in model.remarks
        again = gemmi.make_structure_from_block(gemmi.cif.read_string(with_occupancies(model, np.full(40, 0.5)))[0])
        assert [round(atom.occ, 2) for atom in again[0][0][0]] == [0.5, 0.7, 0.3] * 5


def test_three_alternates_keep_their_shares_and_anisotropic_factors_stay(tmp_path):
    def split(atom):
        atom.aniso = gemmi.SMat33f(0.2, 0.3, 0.4, 0, 0, 0)
        if atom.name != "CB":
            return [atom]
        return [like(atom, altloc=label, occ=share) for label, share in (("A", 0.5), ("B", 0.3), ("C", 0.2))]

    for model in both(structure(change=split), tmp_path):
        assert any("alternates" in remark for remark in model.remarks)
        assert model.weight.sum() == pytest.approx(40)
        again = gemmi.make_structure_from_block(gemmi.cif.read_string(with_occupancies(model, np.full(56, 0.6)))[0])
        first = list(again[0][0][0])
        assert [round(atom.occ, 2) for atom in first] == [0.6] * 4 + [0.3, 0.18, 0.12]
        assert all(atom.aniso.u33 == pytest.approx(0.4, abs=1e-3) for atom in first)


def test_of_two_models_the_first_is_used(tmp_path):
    whole = structure()
    other = structure(("B",))[0]
    other.num = 2
    whole.add_model(other)
    for model in both(whole, tmp_path):
        assert chains_and_ligands(model)[0] == ["A"] and any("2 models" in remark for remark in model.remarks)
        again = gemmi.make_structure_from_block(gemmi.cif.read_string(with_occupancies(model, np.full(40, 0.5)))[0])
        assert [again[i][0][0][0].occ for i in (0, 1)] == [0.5, 1.0]


def test_truncated_files_are_refused_however_they_are_packed(tmp_path):
    whole = structure(length=40)
    whole.make_mmcif_document().write_file(str(tmp_path / "m.cif"))
    whole.write_pdb(str(tmp_path / "m.pdb"))
    for name in ("m.cif", "m.pdb"):
        text = (tmp_path / name).read_bytes()
        packed = gzip.compress(text)
        cut = text[:text.index(b"\n", len(text) // 2) + 13]  # in the middle of a line
        for broken in (cut, packed[:len(packed) // 2], packed[:-4], packed[:20] + b"\0" * 20 + packed[40:]):
            with pytest.raises(InputError) as caught:
                read_model(write(tmp_path, broken, "broken"))
            assert "\n" not in str(caught.value) and "broken: " in str(caught.value)


def test_a_pdb_file_without_an_end_may_have_been_cut(tmp_path):
    whole = structure()
    whole.write_pdb(str(tmp_path / "m.pdb"))
    text = (tmp_path / "m.pdb").read_bytes()
    assert not read_model(tmp_path / "m.pdb").remarks
    model = read_model(write(tmp_path, text[:text.index(b"\n", len(text) // 2) + 1], "cut.pdb"))
    assert any("no END" in remark for remark in model.remarks)


def test_waters_by_the_hundred_thousand_change_nothing(tmp_path):
    text = HEAD + "".join(rows(*[("A", n, "?", "ALA") for n in range(1, 9)]))
    alone = read_model(write(tmp_path, text))
    waters = "".join(f"HETATM {n} O O . HOH W {n} ? {n % 97}.5 {n % 89}.5 {n % 83}.5 1.00 30.00 1\n"
                     for n in range(100_000))
    model = read_model(write(tmp_path, text + waters, "w.cif"))
    assert model.remarks == ["100000 waters are left out"]
    assert np.array_equal(model.xyz, alone.xyz) and model.residues == alone.residues
    assert with_occupancies(model, np.full(len(model), 0.5)).endswith(waters.encode())


def test_rows_that_are_not_lines_are_written_all_the_same(tmp_path):
    lines = rows(("A", 1, "?", "ALA"), ("A", 2, "?", "ALA"))
    for text in (HEAD + "".join(lines[:7]) + "\n# between\n" + "".join(lines[7:]),
                 HEAD + " ".join("".join(lines).split()) + "\n",
                 (HEAD + "".join(lines)).replace("_atom_site.occupancy\n", "").replace(" 1.00 ", " ")):
        model = read_model(write(tmp_path, text))
        again = read_model(write(tmp_path, with_occupancies(model, np.linspace(0.05, 1, 12)), "again.cif"))
        assert np.array_equal(again.xyz, model.xyz)
        table = gemmi.cif.read_string(again.text)[0].find_values("_atom_site.occupancy")
        assert [float(value) for value in table] == pytest.approx(np.linspace(0.05, 1, 12), abs=0.006)


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_everything_else_stays_byte_for_byte(tmp_path, end):
    lines = rows(("A", 1, "?", "ALA"), ("B", 2, "?", "ALA"))
    title = "data_x\n_struct.title\n;a title\nof two lines 1.00\n;"
    text = ("# a comment 'with quotes\n" + HEAD.replace("data_x", title)
            + "".join(lines) + "#\nloop_\n_other.occupancy\n1.00\n0.50\n").replace("\n", end)
    model = read_model(write(tmp_path, text))
    new = with_occupancies(model, np.full(12, 0.25)).decode()
    changed = [i for i, (a, b) in enumerate(zip(text.split(end), new.split(end), strict=True)) if a != b]
    first = text.split(end).index(lines[0].rstrip())
    assert changed == list(range(first, first + 12))
    assert new == text.replace(" 1.00  20.00", " 0.25  20.00")


def test_letters_beyond_ascii(tmp_path):
    text = HEAD + "".join(rows(*[("'Å'", n, "?", "ALA") for n in range(1, 9)]))
    model = read_model(write(tmp_path, text))
    assert chains_and_ligands(model)[0] == ["Å"]
    with pytest.raises(InputError, match="m.cif"):
        read_model(write(tmp_path, text.encode("latin-1")))


def test_a_name_that_is_no_name_of_a_file(tmp_path):
    with pytest.raises(InputError) as caught:
        read_model(tmp_path / "two\nlines.cif")
    assert "\n" not in str(caught.value)
    with pytest.raises(InputError, match="directory"):
        read_model(tmp_path)
