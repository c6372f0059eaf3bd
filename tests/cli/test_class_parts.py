"""--model with maps on one scale, in the whole command: tables, record, page, and malicious names of parts."""

import csv
import json

import pytest

pytest.importorskip("scipy")
pytest.importorskip("gemmi")

from tests.cli.test_model import folder  # noqa: E402, F401
from tests.command import run, write  # noqa: E402
from tests.estimation.test_model_occupancy import OCCUPANCY, VOXEL, density, structure  # noqa: E402

OTHER = {**OCCUPANCY, "B": 0.0}


def rows_of(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def ran(folder, tmp_path_factory):  # noqa: F811
    """Two maps that differ in one chain, run together: (output directory, output of the command)."""
    here = tmp_path_factory.mktemp("classes")
    write(here / "run_class001.mrc", density(structure(), OCCUPANCY, noise=0.3), VOXEL)
    write(here / "run_class002.mrc", 2 * density(structure(), OTHER, noise=0.3, seed=1), VOXEL)
    done = run("-i", here / "run_class001.mrc", here / "run_class002.mrc", "--common-scale", "--model",
               folder / "model.cif", "--parts", "@SUM(1)=C:51-62", "--report", "--plot", "--output-dir", here / "out")
    assert done.returncode == 0, done.stderr
    return here / "out", done.stdout


def test_the_part_that_differs_is_named_and_no_other(ran):
    out, said = ran
    differences = rows_of(out / "classpartdiff_run.csv")
    assert len(differences) == 5
    sure = [row for row in differences if row["significant"] == "1"]
    assert [(row["part"], row["more"], row["less"]) for row in sure] == [("B", "run_class001", "run_class002")]
    assert abs(float(sure[0]["difference"]) - 0.6) < 3 * float(sure[0]["se"])
    assert "parts that differ between classes" in said and "occupancy 1, in all classes: A, D" in said
    assert "corrected for 5 comparisons (Holm, family-wise error rate 5%)" in said


def test_long_and_wide_table_and_record_say_the_same(ran):
    out, _ = ran
    long = {(row["class"], row["part"]): row for row in rows_of(out / "classparts_run.csv")}
    assert {row["reference"] for (_, part), row in long.items() if part in "AD"} == {"1"}
    for wide, truth in zip(rows_of(out / "classes_run.csv"), (OCCUPANCY, OTHER), strict=True):
        for part, occupancy in truth.items():
            row = long[wide["class"], part]
            assert wide[f"occupancy of {part}"] == row["occupancy"] and wide[f"error of {part}"] == row["se"]
            assert abs(float(row["occupancy"]) - occupancy) < 3 * float(row["se"])
    record = json.loads((out / "occupy_run.json").read_text())["class_parts"]
    assert record["reference"] == ["A", "D"] and record["correction"] == "Holm" and record["comparisons"] == 5
    assert [row["occupancy"] for row in record["parts"]] == [float(row["occupancy"]) for row in long.values()]


def test_the_page_shows_the_parts_and_the_chart_is_there(ran):
    out, _ = ran
    html = (out / "classes_run.html").read_text()
    assert "Parts of the model in the classes" in html and "Parts that differ between classes" in html
    row = rows_of(out / "classpartdiff_run.csv")[0]
    assert f"{float(row['difference']):.3f} ± {float(row['se']):.3f}" in html
    assert (out / "classparts_run.png").read_bytes().startswith(b"\x89PNG")


def test_a_part_named_like_a_formula_is_text_in_every_table(ran):
    out, _ = ran
    for name in ("classparts_run.csv", "classpartdiff_run.csv"):
        cells = [cell for row in rows_of(out / name) for cell in row.values()]
        assert "'@SUM(1)" in cells and not any(cell[:1] in tuple("=@+") for cell in cells)
    assert not any(column[:1] in "=@+-" for column in rows_of(out / "classes_run.csv")[0])
