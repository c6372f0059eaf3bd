"""Tables as text: what spreadsheets and other programs read is what was found, and no formula."""

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from occupy_jit.files.output.transaction import Outputs
from occupy_jit.reports.table import csv_of_cells, csv_text, harmless, rounded
from occupy_jit.runs.one_map.writing import write_table


def _read(text):
    return list(csv.DictReader(io.StringIO(text)))


@given(st.text())
def test_no_text_is_a_formula_or_breaks_a_line(text):
    """A spreadsheet takes a cell that begins with = + - @, a tab or a carriage return for a formula."""
    found = harmless(text)
    assert not found.startswith(("=", "+", "-", "@", "\t", "\r")) and len(found.splitlines()) <= 1
    assert found.encode("utf-8").decode() == found


@given(st.text(st.characters(categories=("L", "N", "Zs"), exclude_characters="\u2028\u2029\xa0")))
def test_names_of_letters_and_digits_stay_as_they_are(text):
    assert harmless(text) == text or not text.isprintable()


@given(st.lists(st.dictionaries(st.sampled_from("abcd"), st.one_of(st.none(), st.integers(), st.floats(allow_nan=False),
                                                                 st.text())), min_size=1, max_size=5))
def test_every_value_is_read_back_from_its_column(rows):
    found = _read(csv_text(rows, first=("b",)))
    if any(rows):
        assert list(found[0])[0] == "b"
    for row, cells in zip(rows, found, strict=False):
        for name, cell in cells.items():
            value = row.get(name)
            assert cell == ("" if value is None else str(value)) or isinstance(value, str) and cell == harmless(value)


def test_rounded_numbers():
    rows = rounded([{"part": "a", "occupancy": 0.123456, "cc": float("nan"), "p": 0.00012345, "full": True,
                     "x": 1.23456}])
    assert rows == [{"part": "a", "occupancy": 0.1235, "cc": None, "p": 0.000123, "full": True, "x": 1.23456}]


@pytest.mark.parametrize("name", ["=HYPERLINK(1).mrc", "+x.mrc", "-x.mrc", "@x.mrc"])
def test_tables_of_masks_and_classes_hold_no_formula(tmp_path, name):
    """Names of masks and classes come from file names, and a table of them is opened by a click."""
    with Outputs() as outputs:
        write_table(outputs, str(tmp_path / "t.csv"),
                    [{"mask": name, "more": name, "peak_xyz_angstrom": (-1.0, 2.0, 3.0), "difference": -0.25}])
    row, = _read((tmp_path / "t.csv").read_text())
    assert row == {"mask": "'" + name, "more": "'" + name, "peak_x_angstrom": "-1.0", "peak_y_angstrom": "2.0",
                   "peak_z_angstrom": "3.0", "difference": "-0.25"}


def test_numbers_that_are_text_already_stay_numbers():
    assert csv_of_cells(("a", "=b"), [("-0.25", "-x"), (None, "+1e-5")]) == "a,'=b\n-0.25,'-x\n,+1e-5\n"
