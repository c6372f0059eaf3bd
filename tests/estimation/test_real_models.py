"""A real map with its model in other forms: what is fitted is the same."""

import gzip

import numpy as np
import pytest

gemmi = pytest.importorskip("gemmi")
pytest.importorskip("scipy")

import occupy_jit  # noqa: E402
from tests.data_folder import FOLDER  # noqa: E402

pytestmark = pytest.mark.test_data


@pytest.fixture(scope="module")
def haemoglobin():
    """Map, document of the model, and its parts as they are fitted."""
    volume = occupy_jit.read_map(FOLDER / "data" / "maps" / "emd_3488_MASKED.mrc")
    text = gzip.decompress((FOLDER / "data" / "pairs" / "5ni1_updated.cif.gz").read_bytes()).decode()
    return volume, text, fitted(volume, text, None)


def fitted(volume, text, folder, name="m.cif"):
    if folder is None:
        return occupy_jit.occupancy_of_parts(volume, FOLDER / "data" / "pairs" / "5ni1_updated.cif.gz")
    (folder / name).write_text(text)
    return occupy_jit.occupancy_of_parts(volume, folder / name)


def changed(text, fn):
    document = gemmi.cif.read_string(text)
    table = document[0].find_mmcif_category("_atom_site.")
    names = [tag[len("_atom_site."):] for tag in table.tags]
    rows = fn([dict(zip(names, row, strict=True)) for row in table])
    table.loop.set_all_values([[row[name] for row in rows] for name in names])
    return document.as_string()


def test_placeholders_of_occupancy_0_far_away_do_not_count(haemoglobin, tmp_path):
    volume, text, as_it_is = haemoglobin

    def placeholders(rows):
        for row in rows:
            if row["label_asym_id"] == "A" and int(row["auth_seq_id"]) <= 70:
                row.update(occupancy="0.00", Cartn_x=f"{float(row['Cartn_x']) + 16:.3f}")
        return rows

    found = fitted(volume, changed(text, placeholders), tmp_path)
    # 1.02 as it is; half of its atoms are left, which say as much with a larger error
    assert abs(found.occupancy[0] - as_it_is.occupancy[0]) < found.se[0]
    assert found.atoms[0] < 0.6 * as_it_is.atoms[0]
    assert any("525 atoms of occupancy 0" in warning for warning in found.warnings)


def test_a_haem_of_two_names_is_one_part(haemoglobin, tmp_path):
    volume, text, as_it_is = haemoglobin

    def of_two(rows):
        more = []
        for row in rows:
            if row["label_comp_id"] == "HEM" and row["auth_asym_id"] == "A":
                more += [row | {"label_alt_id": "A", "occupancy": "0.60"},
                         row | {"label_alt_id": "B", "occupancy": "0.40", "label_comp_id": "HEC"}]
            else:
                more.append(row)
        return more

    found = fitted(volume, changed(text, of_two), tmp_path)
    assert found.names[4] == "A/HEM201+HEC201" and len(found) == 8
    assert np.abs(found.occupancy - as_it_is.occupancy).max() < 0.01


def test_a_pdb_of_one_letter_without_elements_is_the_same_model(haemoglobin, tmp_path):
    volume, text, as_it_is = haemoglobin
    structure = gemmi.make_structure_from_block(gemmi.cif.read_string(text)[0])
    structure.remove_waters()
    lines = [line[:12] + line[12:16].strip().ljust(4) + line[16:21] + "A" + line[22:66]
             if line.startswith(("ATOM", "HETATM")) else line for line in structure.make_pdb_string().splitlines()]
    found = fitted(volume, "\n".join(lines) + "\n", tmp_path, "m.pdb")
    assert [name for name in found.names if "/" not in name] == ["A", "A2", "A3", "A4"] and len(found) == 8
    assert np.abs(np.sort(found.occupancy) - np.sort(as_it_is.occupancy)).max() < 0.002
