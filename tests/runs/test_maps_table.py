"""The table of many maps, and the tables of an array's tasks put together."""

import csv
import json
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from occupy_jit.errors import InputError, UsageError
from occupy_jit.runs.many_maps import array_task, maps_table

RECORD = {
    "input": {"shape_zyx": [10, 11, 12], "voxel_size_angstrom": 1.5}, "derived": {"lowpass_angstrom": 9.0},
    "results": {"full_scale": 0.25, "zero_level": 0.001, "noise_floor": 0.01, "noise_of_scale": 0.02,
                "visible_from": 0.11, "occupied_above_scale": 0.2, "occupied_volume_angstrom3": 1000.0,
                "mean_scale_of_occupied": 0.7},
    "verdicts": [{"code": "small-box", "sentence": "x"}, {"code": "inverted", "sentence": "y"},
                 {"code": "small-box", "sentence": "z"}],
}
PARTS = [{"part": "chain A", "kind": "model", "occupancy": 0.9, "error": 0.05},
         {"part": "chain-A", "kind": "model", "occupancy": 0.1, "error": None},
         {"part": "mask.mrc", "kind": "mask", "occupancy": 0.5, "error": 0.01}]


def _rows():
    return [maps_table.row(1, "d/a.map.gz", maps_table.DONE, record=RECORD, parts=PARTS),
            maps_table.row(2, "d/b, \"c\".mrc", maps_table.FAILED, 3, "no map, é\nsecond line"),
            maps_table.row(3, os.fsdecode(b"d/\xff.mrc"), maps_table.NOT_RUN)]


def _read(path):
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_wide_and_long(tmp_path):
    maps_table.write_table(str(tmp_path), _rows())
    wide, long = _read(tmp_path / "occupy_summary.csv"), _read(tmp_path / "occupy_summary_parts.csv")
    assert [r["status"] for r in wide] == ["done", "failed", "not run"]
    assert wide[0]["name"] == "a" and wide[0]["box_x"] == "12" and float(wide[0]["full_scale"]) == 0.25
    assert wide[0]["verdicts"] == "small-box;inverted" and float(wide[0]["mean_scale"]) == 0.7
    assert (wide[0]["occupancy_chain_A"], wide[0]["occupancy_chain_A_2"], wide[0]["error_mask.mrc"]) == (
        "0.9", "0.1", "0.01")
    assert wide[1]["message"] == "no map, é" and wide[1]["full_scale"] == "" and wide[1]["map"] == 'd/b, "c".mrc'
    assert [(r["name"], r["part"], r["occupancy"], r["error"]) for r in long] == [
        ("a", "chain A", "0.9", "0.05"), ("a", "chain-A", "0.1", ""), ("a", "mask.mrc", "0.5", "0.01")]
    found = json.loads((tmp_path / "occupy_summary.json").read_text())
    assert found["count"] == {"done": 1, "failed": 1, "not run": 1} and len(found["maps"][0]["parts"]) == 3
    assert maps_table.read_table(str(tmp_path / "occupy_summary.json"))[0] == _rows()


def test_a_name_like_a_formula_is_text_for_a_spreadsheet(tmp_path):
    rows = [maps_table.row(k, name, maps_table.DONE, record=RECORD, parts=PARTS)
            for k, name in enumerate(("=1+1.mrc", "-x.mrc", "@a.mrc", "+b.mrc", "plain.mrc"))]
    maps_table.write_table(str(tmp_path), rows)
    for table in ("occupy_summary.csv", "occupy_summary_parts.csv"):
        names = [(row["name"], row["map"]) for row in _read(tmp_path / table)]
        assert {cell[:1] for row in names for cell in row} == {"'", "p"}, table
    assert maps_table.read_table(str(tmp_path / "occupy_summary.json"))[0] == rows


def test_without_parts_there_is_no_table_of_them(tmp_path):
    maps_table.write_table(str(tmp_path), _rows()[1:])
    assert sorted(os.listdir(tmp_path)) == ["occupy_summary.csv", "occupy_summary.json"]


def test_pandas_reads_it_as_it_is(tmp_path):
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    maps_table.write_table(str(tmp_path), _rows())
    table = pandas.read_csv(tmp_path / "occupy_summary.csv")
    assert table["full_scale"].dtype == float and table["box_x"][0] == 12 and table["number"].tolist() == [1, 2, 3]
    long = pandas.read_csv(tmp_path / "occupy_summary_parts.csv")
    pivoted = long.pivot(index="name", columns="part", values="occupancy")
    assert pivoted.loc["a", "chain A"] == table["occupancy_chain_A"][0]


@pytest.mark.parametrize("content", ["{}", '{"occupy_jit": "1", "format": 1}',
                                     '{"occupy_jit": "1", "format": 1, "table": "occupy_summary", "maps": [3]}'])
def test_what_is_no_table(tmp_path, content):
    (tmp_path / "x.json").write_text(content)
    with pytest.raises(InputError):
        maps_table.read_table(str(tmp_path / "x.json"))


# Arrays --------------------------------------------------------------------------------------------------------------


def _environment(task, first, last, step=1, count=None):
    return {"SLURM_ARRAY_TASK_ID": str(task), "SLURM_ARRAY_TASK_MIN": str(first), "SLURM_ARRAY_TASK_MAX": str(last),
            "SLURM_ARRAY_TASK_STEP": str(step), "SLURM_ARRAY_JOB_ID": "42",
            "SLURM_ARRAY_TASK_COUNT": str(len(range(first, last + 1, step)) if count is None else count)}


@given(st.integers(0, 20), st.integers(1, 9), st.integers(1, 30), st.integers(0, 100))
def test_every_map_belongs_to_one_task(first, step, tasks, maps):
    last = first + step * (tasks - 1)
    shares = [array_task.from_environment(_environment(task, first, last, step)).share(maps)
              for task in range(first, last + 1, step)]
    assert sorted(index for share in shares for index in share) == list(range(maps))
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


@pytest.mark.parametrize("change, words", [
    ({"SLURM_ARRAY_TASK_ID": None}, "not a task of a SLURM array"),
    ({"SLURM_ARRAY_TASK_MIN": ""}, "not a number"),
    ({"SLURM_ARRAY_TASK_MAX": "-3"}, "not a number"),
    ({"SLURM_ARRAY_TASK_COUNT": "2"}, "gaps"),
    ({"SLURM_ARRAY_TASK_ID": "9"}, "gaps"),
])
def test_what_is_no_array(change, words):
    environment = {**_environment(3, 1, 7), **change}
    with pytest.raises(UsageError, match=words):
        array_task.from_environment({k: v for k, v in environment.items() if v is not None})


def _write_task(folder, task, maps, first=1, last=3):
    this = array_task.from_environment(_environment(task, first, last))
    rows = [maps_table.row(index + 1, maps[index], maps_table.DONE, record=RECORD) for index in this.share(len(maps))]
    maps_table.write_table(str(folder), rows, this.table_name, this.description(maps))


def test_tables_of_tasks_are_put_together_in_order(tmp_path):
    maps = [f"m{k}.mrc" for k in range(8)]
    for task in (3, 1, 2):
        _write_task(tmp_path, task, maps)
    found = array_task.collect(str(tmp_path))
    assert [r["map"] for r in found.rows] == maps and (found.missing_tasks, found.older) == ([], [])


def test_missing_tasks_and_tables_of_another_array(tmp_path):
    _write_task(tmp_path, 9, ["old.mrc"] * 20, last=9)
    os.utime(tmp_path / "occupy_summary_task00009.json", (1, 1))
    maps = [f"m{k}.mrc" for k in range(8)]
    _write_task(tmp_path, 1, maps)
    _write_task(tmp_path, 3, maps)
    found = array_task.collect(str(tmp_path))
    assert found.missing_tasks == [2] and [os.path.basename(p) for p in found.older] == [
        "occupy_summary_task00009.json"]
    assert [r["number"] for r in found.rows] == [1, 3, 4, 6, 7]


def test_nothing_to_collect(tmp_path):
    with pytest.raises(InputError, match="no table of a task"):
        array_task.collect(str(tmp_path))
    with pytest.raises(InputError, match="no such directory"):
        array_task.collect(str(tmp_path / "x"))
    maps_table.write_table(str(tmp_path), _rows(), "occupy_summary_task00001")
    with pytest.raises(InputError, match="not the table of a task"):
        array_task.collect(str(tmp_path))


def test_masks_and_parts_of_a_model_are_parts():
    record = {"results": {"targets": [{"mask": "/a/m.mrc", "occupancy": 0.5, "error": None}],
                          "parts": [{"part": "A/HEM201", "occupancy": 0.9, "se": 0.05},
                                    {"part": "=1+1", "occupancy": None, "se": None}]}}
    assert maps_table.parts_of(record) == [
        {"part": "m", "kind": "mask", "occupancy": 0.5, "error": None},
        {"part": "A/HEM201", "kind": "model", "occupancy": 0.9, "error": 0.05},
        {"part": maps_table.parts_of(record)[2]["part"], "kind": "model", "occupancy": None, "error": None}]
    assert not maps_table.parts_of(record)[2]["part"].startswith("="), "no formula for a spreadsheet"
    assert maps_table.parts_of({"results": None}) == []
