"""Atomic models from files as people have them, and back."""

import gzip

import numpy as np
import pytest

pytest.importorskip("gemmi")
pytest.importorskip("scipy")

from occupy_jit.errors import InputError, UsageError  # noqa: E402
from occupy_jit.estimation.parts.selection import chains_and_ligands, cut_out  # noqa: E402
from occupy_jit.files.models.reading import read_model  # noqa: E402
from occupy_jit.files.models.writing import with_occupancies  # noqa: E402

HEAD = """data_x
loop_
_atom_site.group_PDB
_atom_site.id
_atom_site.type_symbol
_atom_site.label_atom_id
_atom_site.label_alt_id
_atom_site.label_comp_id
_atom_site.auth_asym_id
_atom_site.auth_seq_id
_atom_site.pdbx_PDB_ins_code
_atom_site.Cartn_x
_atom_site.Cartn_y
_atom_site.Cartn_z
_atom_site.occupancy
_atom_site.B_iso_or_equiv
_atom_site.pdbx_PDB_model_num
"""


def rows(*residues):
    """Lines of atoms of residues (chain, number, insertion code, name)."""
    lines, n = [], 0
    for i, (chain, number, code, name) in enumerate(residues):
        for j, atom in enumerate(("N", "CA", "C", "O", "CB", "O5'")):
            n += 1
            quoted = f'"{atom}"' if "'" in atom else atom
            lines.append(f"ATOM {n} {atom[0]} {quoted} . {name} {chain} {number} {code} {3.8 * i:.3f} {1.4 * j:.3f} "
                         "0.500 1.00  20.00 1\n")
    return lines


def write(folder, text, name="m.cif"):
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_without_entities_a_chain_stays_one_part(tmp_path):
    model = read_model(write(tmp_path, HEAD + "".join(rows(
        *[("LONG", n, "?", "ALA") for n in (998, 999, 1000, 10001)], ("LONG", 10001, "A", "GLY"),
        ("LONG", 10050, "?", "SER"), ("B", 1, "?", "G"), ("B", 2, "?", "HEM")))))
    names, part = chains_and_ligands(model)
    assert names == ["LONG", "B", "B/HEM2"]
    assert np.bincount(part).tolist() == [36, 6, 6]


def test_parts_are_cut_out_by_number_and_insertion_code(tmp_path):
    model = read_model(write(tmp_path, HEAD + "".join(rows(
        *[("A", n, "?", "ALA") for n in (-2, 9, 10)], ("A", 10, "B", "ALA"), ("A", 11, "?", "ALA"),
        ("C", 1, "?", "ALA")))))
    names, part = chains_and_ligands(model)
    names, part = cut_out(model, names, part, ["x=A:-2-10,C:1"])
    assert dict(zip(names, np.bincount(part), strict=True)) == {"A": 6, "x": 30}
    names, part = cut_out(model, *chains_and_ligands(model), ["x=A:10B-11"])
    assert dict(zip(names, np.bincount(part), strict=True)) == {"A": 18, "C": 6, "x": 12}
    for wrong, error in (("A", UsageError), ("x=", UsageError), ("=A", UsageError), ("x=A:", UsageError),
                         ("x=A:1,,C", UsageError), ("x=:1-2", UsageError), ("x=A:ten", UsageError),
                         ("x=A:9-3", UsageError), ("C=A:9", UsageError), ("x=Q:1", InputError),
                         ("x=A:90-95", InputError)):
        with pytest.raises(error, match="--parts"):
            cut_out(model, *chains_and_ligands(model), [wrong])
    with pytest.raises(UsageError, match="x has residue 9 of chain A already"):
        cut_out(model, *chains_and_ligands(model), ["x=A:9-10", "y=C,A:-2-9"])
    with pytest.raises(UsageError, match="two parts x"):
        cut_out(model, *chains_and_ligands(model), ["x=A:9", "x=C"])
    names, part = cut_out(model, *chains_and_ligands(model), ["x=A", "C=C:1"])  # all of them: nothing is left over
    assert names == ["C", "x"]


def test_hydrogens_waters_ions_further_models_and_unknown_elements_are_left_out(tmp_path):
    lines = rows(("A", 1, "?", "ALA"), ("A", 2, "?", "ALA"))
    more = ["ATOM 90 H H . ALA A 1 ? 0 0 0 1 1 1\n", "ATOM 91 D D . ALA A 1 ? 0 0 0 1 1 1\n",
            "HETATM 92 O O . HOH A 9 ? 0 0 0 1 1 1\n", "HETATM 93 MG MG . MG A 10 ? 0 0 0 1 1 1\n",
            "ATOM 94 Qq X1 . ALA A 1 ? 0 0 0 1 1 1\n", "ATOM 95 C CB . ALA A 2 ? ? 0 0 1 1 1\n",
            "ATOM 96 C CB . ALA A 1 ? 0 0 0 1 1 2\n"]
    model = read_model(write(tmp_path, HEAD + "".join(lines + more)))
    assert len(model) == 12
    said = " ".join(model.remarks)
    for word in ("waters", "ions", "unknown elements", "2 models", "usable coordinates"):
        assert word in said


def test_alternates_count_with_their_share_and_keep_it(tmp_path):
    lines = rows(("A", 1, "?", "ALA"))
    for label, share in (("A", 0.5), ("B", 0.25), ("C", 0.25)):
        lines.append(f"ATOM 5{label} C CG {label} ALA A 1 ? 1 1 1 {share} 20 1\n")
    path = write(tmp_path, HEAD + "".join(lines))
    model = read_model(path)
    assert np.allclose(model.weight[-3:], [0.5, 0.25, 0.25])
    text = with_occupancies(model, np.full(len(model), 0.6)).decode()
    assert [line.split()[-3] for line in text.splitlines()[-3:]] == ["0.30", "0.15", "0.15"]


def test_only_occupancies_change_in_the_text(tmp_path):
    text = HEAD + "".join(rows(("A", 1, "?", "ALA"), ("A", 2, "?", "ALA"))) + "#\n# something after it, 'quoted'\n"
    path = write(tmp_path, gzip.compress(text.encode()), "m.cif.gz")
    model = read_model(path)
    new = with_occupancies(model, np.array([1.4] * 6 + [0.123] * 6)).decode()
    assert new == "".join(line if "ALA A 2" not in line else line.replace(" 1.00 ", " 0.12 ")
                          for line in text.splitlines(keepends=True))


def test_a_pdb_file_is_read_and_written_as_mmcif(tmp_path):
    line = "ATOM  {:5d}  {:<3s} ALA A{:4d}    {:8.3f}{:8.3f}{:8.3f}  1.00 20.00           {}\n"
    atoms = [("N", "N"), ("CA", "C"), ("C", "C"), ("O", "O"), ("CB", "C")]
    text = "".join(line.format(5 * r + i, name, r, 3.8 * r, i, 0, element)
                   + f"ANISOU{5 * r + i:5d}  {name:<3s} ALA A{r:4d}     1000   1000   1000      0      0      0\n"
                   for r in range(1, 8) for i, (name, element) in enumerate(atoms))
    model = read_model(write(tmp_path, text, "m.pdb"))
    assert len(model) == 35 and chains_and_ligands(model)[0] == ["A"]
    again = read_model(write(tmp_path, with_occupancies(model, np.full(35, 0.5)), "again.cif"))
    assert np.allclose(again.xyz, model.xyz)
    assert b" 0.50 " in again.text


@pytest.mark.parametrize("text, word", [
    (b"", "empty"), (b"\x1f\x8b\x08broken", "cut short"), (b"MAP \0\0\0", "binary data"), (b"hello\n", "no atoms"),
    (HEAD.encode(), "m.cif"), (b"data_x\n_cell.length_a 1\n", "no atoms"),
    ((HEAD + "ATOM 1 C CA\n").encode(), "m.cif"),
    ((HEAD + "".join(r for r in rows(*[("A", n, "?", "ALA") for n in range(9)]) if " CA " in r)).encode(), "trace"),
    ((HEAD + "HETATM 92 O O . HOH A 9 ? 0 0 0 1 1 1\n").encode(), "no atoms left"),
])
def test_what_cannot_be_used_is_refused_in_words(tmp_path, text, word):
    with pytest.raises(InputError, match=word):
        read_model(write(tmp_path, text))


def test_a_missing_file_and_an_absent_assembly(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        read_model(tmp_path / "absent.cif")
    with pytest.raises(InputError, match="--assembly names"):
        read_model(write(tmp_path, HEAD + "".join(rows(("A", 1, "?", "ALA")))), assembly="7")
