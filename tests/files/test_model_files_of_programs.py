"""Models as programs write them: what they leave out, repeat or call otherwise changes neither parts nor elements."""

import itertools

import numpy as np
import pytest

gemmi = pytest.importorskip("gemmi")
pytest.importorskip("scipy")

from occupy_jit.errors import InputError  # noqa: E402
from occupy_jit.estimation.parts.selection import chains_and_ligands  # noqa: E402
from occupy_jit.files.models.elements import guessed, of_standard_residue  # noqa: E402
from occupy_jit.files.models.reading import read_model  # noqa: E402
from occupy_jit.files.models.residue_names import NUCLEIC, PROTEIN, residue_kind  # noqa: E402
from occupy_jit.files.models.writing import with_occupancies  # noqa: E402

SERINE = (("N", "N", (0.0, 0.0, 0.0)), ("CA", "C", (1.46, 0.0, 0.0)), ("C", "C", (2.0, 1.42, 0.0)),
          ("O", "O", (1.3, 2.4, 0.0)), ("CB", "C", (2.0, -0.8, 1.2)), ("OG", "O", (3.4, -0.8, 1.2)))
HAEM = (*((f"C{name}", "C") for name in ("HA", "HB", "HC", "HD", "1A")), ("NA", "N"), ("NB", "N"), ("FE", "Fe"))
LENGTH = 8


def atom(name, element, place, occupancy=1.0, label="\0"):
    made = gemmi.Atom()
    made.name, made.element, made.occ, made.b_iso, made.altloc = name, gemmi.Element(element), occupancy, 20.0, label
    made.pos = gemmi.Position(*place)
    return made


def serines(chain, number, offset):
    """A serine whose bond to the next one is as long as a peptide's; residues are 3.3 Å apart along x and y."""
    residue = gemmi.Residue()
    residue.name, residue.seqid = "SER", gemmi.SeqId(number, " ")
    shift = np.array([(number - 1) * 2.0, (number - 1) * 2.75, 0.0]) + offset
    for name, element, place in SERINE:
        residue.add_atom(atom(name, element, np.array(place) + shift))
    chain.add_residue(residue)


def haem(chain, offset, name="HEM", number=201, occupancy=1.0, label="\0"):
    residue = gemmi.Residue()
    residue.name, residue.seqid, residue.het_flag = name, gemmi.SeqId(number, " "), "H"
    for i, (atom_name, element) in enumerate(HAEM):
        place = np.array([1.5 * (i % 3), 1.5 * (i // 3), 12.0]) + offset
        residue.add_atom(atom(atom_name, element, place, occupancy, label))
    chain.add_residue(residue)


def two_chains(names="AB"):
    """Two chains of serines, each with a haem."""
    model = gemmi.Model(1)
    for k, name in enumerate(names):
        chain, offset = gemmi.Chain(name), np.array([0.0, 0.0, 40.0 * k])
        for number in range(1, LENGTH + 1):
            serines(chain, number, offset)
        haem(chain, offset)
        model.add_chain(chain)
    whole = gemmi.Structure()
    whole.add_model(model)
    whole.setup_entities()
    return whole


def pdb_lines(whole=None):
    return (whole or two_chains()).make_pdb_string().splitlines()


def is_atom(line):
    return line.startswith(("ATOM", "HETATM"))


def read_lines(folder, lines, name="m.pdb"):
    path = folder / name
    path.write_text("\n".join(lines) + "\n")
    return read_model(path)


def parts_of(model):
    names, part = chains_and_ligands(model)
    return dict(zip(names, np.bincount(part, model.weight).tolist(), strict=True))


def told(model, *words):
    return any(all(word in remark for word in words) for remark in model.remarks)


FULL = {"A": 48, "A/HEM201": 8, "B": 48, "B/HEM201": 8}


def changed(fn):
    """The structure's table of atoms, its rows (dict) changed by a function, as mmCIF text."""
    document = two_chains().make_mmcif_document()
    table = document[0].find_mmcif_category("_atom_site.")
    names = [tag[len("_atom_site."):] for tag in table.tags]
    rows = fn([dict(zip(names, row, strict=True)) for row in table])
    table.loop.set_all_values([[row[name] for row in rows] for name in names])
    return document.as_string()


def read_changed(folder, fn):
    path = folder / "m.cif"
    path.write_text(changed(fn))
    return read_model(path)


# Occupancy 0 ----------------------------------------------------------------------------------------------------------


def test_atoms_of_occupancy_0_are_not_there_and_keep_their_0(tmp_path):
    def placeholders(rows):
        for row in rows:
            if row["auth_asym_id"] == "A" and row["label_comp_id"] == "SER" and int(row["auth_seq_id"]) < 4:
                row["occupancy"] = "0.00"
        return rows

    model = read_changed(tmp_path, placeholders)
    assert parts_of(model) == FULL | {"A": 30}
    assert told(model, "18 atoms of occupancy 0 are left out")
    again = gemmi.cif.read_string(with_occupancies(model, np.full(len(model), 0.5)))[0]
    assert [float(v) for v in again.find_values("_atom_site.occupancy")][:24] == [0.0] * 18 + [0.5] * 6


def test_where_all_occupancies_are_0_or_empty_they_say_nothing(tmp_path):
    model = read_changed(tmp_path, lambda rows: [row | {"occupancy": "0.00"} for row in rows])
    assert parts_of(model) == FULL and told(model, "all atoms have occupancy 0")
    lines = [line[:54] + " " * 6 + line[60:] if is_atom(line) else line for line in pdb_lines()]
    model = read_lines(tmp_path, lines)
    assert parts_of(model) == FULL and told(model, "112 atoms without an occupancy count as full")


def test_an_alternate_of_occupancy_0_leaves_the_other_whole(tmp_path):
    def doubled(rows):
        more = []
        for row in rows:
            more += [row | {"label_alt_id": "A", "occupancy": "1.00"}, row | {"label_alt_id": "B", "occupancy": "0"}] \
                if row["label_atom_id"] == "OG" else [row]
        return more

    model = read_changed(tmp_path, doubled)
    assert parts_of(model) == FULL and (model.weight == 1).all()


# Which molecule an atom belongs to ------------------------------------------------------------------------------------


@pytest.mark.parametrize("nothing", [".", "?"])
def test_what_authors_leave_out_is_what_the_file_says(tmp_path, nothing):
    model = read_changed(tmp_path, lambda rows: [row | {"auth_asym_id": nothing} for row in rows])
    assert sorted(parts_of(model).values()) == [8, 8, 48, 48]
    model = read_changed(tmp_path, lambda rows: [row | {"auth_seq_id": nothing, "label_seq_id": (
        row["auth_seq_id"] if row["label_comp_id"] == "SER" else nothing)} for row in rows])
    assert sorted(parts_of(model).values()) == [8, 8, 48, 48]
    assert [r.number for r in model.residues][:LENGTH] == [str(n) for n in range(1, LENGTH + 1)]
    model = read_changed(tmp_path, lambda rows: [row | {"auth_seq_id": nothing, "label_seq_id": nothing}
                                                 for row in rows])
    assert sorted(parts_of(model).values()) == [8, 8, 48, 48]
    assert len(model.residues) == 2 * LENGTH + 2


@pytest.mark.parametrize("label", [True, False])
def test_ligands_without_a_number_are_not_one(tmp_path, label):
    """By their second name, or, where they share it, by the names of atoms that come again."""
    def unnumbered(rows):
        for row in rows:
            if row["label_comp_id"] == "HEM":
                row.update(auth_seq_id=".", auth_asym_id="A")
                if not label:
                    row["label_asym_id"] = "H"
        return rows

    model = read_changed(tmp_path, unnumbered)
    assert parts_of(model) == {"A": 48, "B": 48, "A/HEM": 8, "A/HEM.2": 8}
    assert told(model, "repeated without alternates", "A/HEM") is not label


@pytest.mark.parametrize("ter", [True, False])
def test_chains_of_one_letter_end_at_ter_or_where_numbers_come_again(tmp_path, ter):
    lines = [line[:21] + "A" + line[22:] if is_atom(line) else line for line in pdb_lines()
             if ter or not line.startswith("TER")]
    assert sum(line.startswith("TER") for line in lines) == 2 * ter
    model = read_lines(tmp_path, lines)
    assert parts_of(model) == {"A": 48, "A/HEM201": 8, "A2": 48, "A2/HEM201": 8}
    assert told(model, "same name", "A2")
    # the deposited order: ligands at the end, and there all in one go
    ordered = [line for line in lines if not line.startswith(("HETATM", "END"))]
    ordered += [line for line in lines if line.startswith("HETATM")] + ["END"]
    assert sorted(parts_of(read_lines(tmp_path, ordered)).values()) == [8, 8, 48, 48]


def test_chains_without_a_letter_have_their_segments_name_or_end_at_ter(tmp_path):
    lines = pdb_lines()
    with_segments = [f"{line[:21]} {line[22:72]}PRO{line[21]}{line[76:]}" if is_atom(line) else line
                     for line in lines]
    assert parts_of(read_lines(tmp_path, with_segments)) == {"PROA": 48, "PROA/HEM201": 8, "PROB": 48,
                                                             "PROB/HEM201": 8}
    without = [line[:21] + " " + line[22:] if is_atom(line) else line for line in lines]
    model = read_lines(tmp_path, without)
    assert parts_of(model) == {"_": 48, "_/HEM201": 8, "_2": 48, "_2/HEM201": 8}
    written = tmp_path / "again.cif"
    written.write_bytes(with_occupancies(model, np.full(len(model), 0.5)))
    assert parts_of(read_model(written)) == parts_of(model)


def test_a_ter_inside_a_bonded_chain_and_a_free_amino_acid_end_nothing(tmp_path):
    lines = pdb_lines()
    middle = next(i for i, line in enumerate(lines) if is_atom(line) and line[21:26] == "A   4")
    assert parts_of(read_lines(tmp_path, [*lines[:middle], "TER", *lines[middle:]])) == FULL
    free = [line[:22] + " 300" + line[26:30] + f"{float(line[30:38]) - 30:8.3f}" + line[38:] for line in lines
            if is_atom(line) and line[21:26] == "A   1"]
    model = read_lines(tmp_path, [*lines[:-1], *free, "END"])
    assert {name for name in parts_of(model) if name[0] == "A"} == {"A", "A/HEM201"}


def test_numbers_that_go_on_over_all_molecules_and_names_of_four_letters(tmp_path):
    """As AMBER and CHARMM write them."""
    lines, number, last = [], 0, None
    for line in pdb_lines():
        if is_atom(line):
            number, last = number + (line[17:27] != last), line[17:27]
            line = f"{line[:21]} {number:4d}{line[26:66]}"
        lines.append("TER" if line.startswith("TER") else line)
    waters = [f"ATOM    900  OH2 TIP3W{n:4d}    {5.0 * n:8.3f}  60.000  60.000  1.00  0.00      WAT" for n in (1, 2)]
    model = read_lines(tmp_path, [*lines[:-1], *waters, "END"])
    assert sorted(parts_of(model).values()) == [8, 8, 48, 48] and told(model, "2 waters")


# Elements -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("width", [66, 78])
def test_elements_come_from_residues_where_the_file_has_none(tmp_path, width):
    """Names to the left: CA is no calcium, OG no oganesson, and the nitrogens of a haem no sodium."""
    expected = read_lines(tmp_path, pdb_lines()).element.tolist()
    left = [(line[:12] + line[12:16].strip().ljust(4) + line[16:66]).ljust(width) if is_atom(line) else line
            for line in pdb_lines()]
    model = read_lines(tmp_path, left)
    assert model.element.tolist() == expected and told(model, "without an element")
    aligned = [line[:66].ljust(width) if is_atom(line) else line for line in pdb_lines()]
    assert read_lines(tmp_path, aligned).element.tolist() == expected
    path = tmp_path / "m.cif"
    path.write_text("\n".join(line for line in changed(lambda rows: [row | {"type_symbol": "?"} for row in rows])
                              .splitlines()))
    assert read_model(path).element.tolist() == expected


def test_a_column_of_elements_that_holds_something_else(tmp_path):
    expected = read_lines(tmp_path, pdb_lines()).element.tolist()
    model = read_changed(tmp_path, lambda rows: [
        row | {"type_symbol": row["label_atom_id"][:2].capitalize()} for row in rows])
    assert model.element.tolist() == expected and told(model, "standard residues", "symbol")


def test_what_has_no_scattering_factor_is_left_out_with_a_word(tmp_path):
    def odd(rows):
        for row in rows:
            if row["label_atom_id"] == "FE":
                row["type_symbol"] = "Og"
        return rows

    model = read_changed(tmp_path, odd)
    assert parts_of(model) == FULL | {"A/HEM201": 7, "B/HEM201": 7}
    assert told(model, "2 atoms of unknown elements (Og) are left out")


@pytest.mark.parametrize(("residue", "name", "element"), [
    ("SER", "OG", "O"), ("ALA", "CA", "C"), ("MSE", "SE", "Se"), ("HSD", "CD2", "C"), ("GLU", "1HB", "H"),
    ("ADE", "O3*", "O"), ("DA5", "P", "P"), ("CYX", "SG", "S"), ("NALA", "HA", "H")])
def test_elements_of_standard_residues(residue, name, element):
    assert of_standard_residue(residue, name) == element


@pytest.mark.parametrize(("name", "residue", "element"), [
    ("CA", "CA", "Ca"), ("NA", "HEM", "N"), ("FE", "HEM", "Fe"), ("PA", "ATP", "P"), ("ZN", "ZN", "Zn"),
    ("CL1", "LIG", "Cl"), ("HO2", "LIG", "H"), ("NB", "HEM", "N"), ("CD", "LIG", "C"), ("X1", "LIG", "")])
def test_elements_from_names(name, residue, element):
    assert guessed(name, residue) == element


def test_old_names_and_those_of_simulations_are_protein_and_nucleic_acid():
    for name in ("ADE", "GUA", "CYT", "URA", "THY", "DA5", "RG3", "RU", "T", "A", "DG", "U5"):
        assert residue_kind(name).kind == NUCLEIC and residue_kind(name).standard, name
    for name in ("HSD", "HSE", "HSP", "HID", "HIE", "HIP", "CYX", "ASH", "GLH", "LYN", "NALA", "CHIE", "ALA"):
        assert residue_kind(name).kind == PROTEIN and residue_kind(name).standard, name
    for name in ("WAT", "HOH", "TIP3", "SOL", "TIP"):
        assert residue_kind(name).water, name
    assert not residue_kind("HEM").standard and not residue_kind("POPC").water


def test_old_nucleic_acid_is_a_chain(tmp_path):
    lines, names = [], ("P", "O5*", "C5*", "C4*", "O4*", "C3*", "O3*", "C1*")
    for number, name in enumerate(("ADE", "GUA", "CYT", "URA"), 1):
        for i, atom_name in enumerate(names):
            lines.append(f"ATOM  {8 * number + i:5d}  {atom_name:<3s} {name} A{number:4d}    "
                         f"{6.0 * number + i % 3:8.3f}{1.4 * i:8.3f}{0.0:8.3f}  1.00 20.00")
    model = read_lines(tmp_path, [*lines, "END"])
    assert parts_of(model) == {"A": 32} and (model.kind == NUCLEIC).all()
    assert model.element.tolist() == ["P", "O", "C", "C", "O", "C", "O", "C"] * 4


# One place, one part --------------------------------------------------------------------------------------------------


def with_second_haem(occupancies, shift, labels, name="HEC", number=201):
    whole = two_chains()
    chain = whole[0][0]
    del chain[LENGTH]
    haem(chain, np.zeros(3), "HEM", 201, occupancies[0], labels[0])
    haem(chain, np.array([shift, 0.0, 0.0]), name, number, occupancies[1], labels[1])
    whole.setup_entities()
    return whole


@pytest.mark.parametrize(("labels", "name", "number"), [
    ("AB", "HEC", 201), ("AB", "HEC", 301), ("\0\0", "HEC", 301), ("\0\0", "HEM", 301), ("AB", "HEM", 201)])
def test_ligands_at_one_place_are_one_part_with_their_shares(tmp_path, labels, name, number):
    whole = with_second_haem((0.6, 0.4), 0.3, labels, name, number)
    whole.make_mmcif_document().write_file(str(tmp_path / "m.cif"))
    whole.write_pdb(str(tmp_path / "m.pdb"))
    for file in ("m.cif", "m.pdb"):
        model = read_model(tmp_path / file)
        sizes = parts_of(model)
        (part,) = (text for text in sizes if text.startswith("A/"))
        assert len(sizes) == 4 and sizes[part] == pytest.approx(8)
        of_ligand = np.array([model.residues[r].part == part for r in model.residue])
        assert sorted(set(np.round(model.weight[of_ligand], 6))) == [0.4, 0.6]
        again = gemmi.cif.read_string(with_occupancies(model, np.full(len(model), 0.5)))[0]
        values = np.array([float(v) for v in again.find_values("_atom_site.occupancy")])
        assert sorted(np.unique(values)) == pytest.approx([0.2, 0.3, 0.5])


def test_neighbours_stay_parts_of_their_own(tmp_path):
    with_second_haem((1.0, 1.0), 6.0, "\0\0", "HEC", 301).make_mmcif_document().write_file(str(tmp_path / "m.cif"))
    assert parts_of(read_model(tmp_path / "m.cif")) == {"A": 48, "A/HEM201": 8, "A/HEC301": 8, "B": 48, "B/HEM201": 8}


def test_residues_of_two_names_at_one_number_share_it(tmp_path):
    """Serine of .7, glycine of .3: what the glycine lacks counts with the share of the serine."""
    def mixed(rows):
        more = []
        for row in rows:
            if row["label_comp_id"] == "SER" and row["auth_seq_id"] == "3" and row["auth_asym_id"] == "A":
                row = row | {"label_alt_id": "A", "occupancy": "0.70"}
                if row["label_atom_id"] not in ("CB", "OG"):
                    more.append(row | {"label_alt_id": "B", "occupancy": "0.30", "label_comp_id": "GLY"})
            more.append(row)
        return more

    model = read_changed(tmp_path, mixed)
    assert parts_of(model) == pytest.approx(FULL | {"A": 48 - 2 * 0.3})


def test_repeated_atoms_without_labels_at_one_place_are_alternates(tmp_path):
    def unlabelled(rows):
        return list(itertools.chain.from_iterable(
            [row | {"occupancy": "0.50"}, row | {"occupancy": "0.50", "Cartn_x": f"{float(row['Cartn_x']) + 0.4:.3f}"}]
            if row["label_atom_id"] in ("CB", "OG") else [row] for row in rows))

    model = read_changed(tmp_path, unlabelled)
    assert parts_of(model) == FULL and told(model, "same position without a label")


# Assemblies -----------------------------------------------------------------------------------------------------------


def assembly_text(rows, remove=()):
    """The structure with an assembly: rows of (operators, chains), without the chains of some names."""
    document = two_chains().make_mmcif_document()
    block = document[0]
    for category in ("_pdbx_struct_assembly.", "_pdbx_struct_assembly_gen.", "_pdbx_struct_oper_list."):
        block.find_mmcif_category(category).erase()
    block.set_pairs("_pdbx_struct_assembly.", {"id": "1"})
    loop = block.init_loop("_pdbx_struct_assembly_gen.", ["assembly_id", "oper_expression", "asym_id_list"])
    for operators, chains in rows:
        loop.add_row(["1", operators, chains])
    names = ["id", *(f"matrix[{i}][{j}]" for i in (1, 2, 3) for j in (1, 2, 3)),
             *(f"vector[{i}]" for i in (1, 2, 3))]
    loop = block.init_loop("_pdbx_struct_oper_list.", names)
    for k in (1, 2, 3):
        loop.add_row([str(k), "1", "0", "0", "0", "1", "0", "0", "0", "1", str(100 * (k - 1)), "0", "0"])
    table = block.find_mmcif_category("_atom_site.")
    columns = [tag[len("_atom_site."):] for tag in table.tags]
    kept = [row for row in ([*row] for row in table) if row[columns.index("label_asym_id")] not in remove]
    table.loop.set_all_values([list(values) for values in zip(*kept, strict=True)])
    return document.as_string()


def labels():
    return [r.subchain for chain in two_chains()[0] for r in chain]


def test_an_assembly_is_made_without_what_the_model_lacks(tmp_path):
    names = list(dict.fromkeys(labels()))
    path = tmp_path / "m.cif"
    path.write_text(assembly_text([("1,2", ",".join([*names, "W1", "W2"]))]))
    assert read_model(path).assemblies == {"1": 2}
    model = read_model(path, assembly="1")
    assert model.copies == 2 and sorted(parts_of(model).values()) == [8] * 4 + [48] * 4
    assert told(model, "the model lacks", "W1, W2")


def test_operators_add_up_over_rows_and_authors_names_will_do(tmp_path):
    path = tmp_path / "m.cif"
    path.write_text(assembly_text([("1", "A,B"), ("2", "A,B"), ("3", "A,B")]))
    assert read_model(path).assemblies == {"1": 3}
    model = read_model(path, assembly="1")
    assert model.copies == 3 and sorted(parts_of(model).values()) == [8] * 6 + [48] * 6


def test_an_assembly_of_nothing_that_is_there_is_refused_in_words(tmp_path):
    path = tmp_path / "m.cif"
    path.write_text(assembly_text([("1", "X,Y")]))
    with pytest.raises(InputError, match=r"assembly 1 cannot be made: the model has none of its chains \(X, Y\)"):
        read_model(path, assembly="1")
