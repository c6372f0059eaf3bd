"""The benchmark: every row appears, results are compared, absent peers are named. Nothing about time."""

import stat
import sys

import numba
import pytest

from bench import __main__ as bench
from bench.measure import Row, compare

compiled = pytest.mark.skipif(numba.config.DISABLE_JIT, reason="needs the compiler")


def table(text):
    lines = [line.strip("| \n").split(" | ") for line in text.splitlines() if line.startswith("|")]
    return [dict(zip(lines[0], cells, strict=True)) for cells in lines[2:]]


@compiled
def test_rows_in_this_process(capsys, monkeypatch):
    monkeypatch.delenv("OCCUPY_ORIGINAL", raising=False)
    assert bench.main(["--quick", "--repeats", "1", "--rows", "sliding,growth,lowpass,full-scale"]) == 0
    said = capsys.readouterr().out
    rows = table(said)
    assert {row["reached"] for row in rows} == {"-"}
    assert "original absent" in said and "load" in said and "numba" in said
    for radius in (1, 2, 3, 4):
        assert [row["peer"] for row in rows if row["what"].endswith(f"diameter {2 * radius + 1}")] == [
            "scipy.ndimage.maximum_filter", "skimage.morphology.dilation", "numpy.copyto"]
    for row in rows:
        # What has a peer that gives the same result has been compared with it.
        if row["peer"].startswith("scipy") and row["theirs"] != "absent":
            assert row["agrees"] == "yes"
        assert (row["theirs"] == "absent") == (row["ratio"] == "-")


@pytest.mark.slow
@compiled
def test_original_is_what_the_variable_says(capsys, monkeypatch, tmp_path):
    # Stands for the original: copies the map under the name of a scale map.
    script = tmp_path / "original"
    script.write_text(f"#!{sys.executable}\nimport sys, shutil\n"
                      "if '--version' in sys.argv:\n    print('imitation 7')\n"
                      "else:\n    shutil.copy(sys.argv[sys.argv.index('-i') + 1], 'scale_x.mrc')\n")
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("OCCUPY_ORIGINAL", f"'{script}'")
    assert bench.main(["--quick", "--repeats", "1", "--rows", "start-up,help"]) == 0
    said = capsys.readouterr().out
    assert "original imitation 7" in said
    first, *rest = table(said)
    assert first["peer"] == "original program" and first["theirs"] != "absent"
    assert first["agrees"].startswith("correlation")
    assert [row["what"] for row in rest] == ["OccuPy --help", "OccuPy --version"]


@pytest.mark.slow
@compiled
def test_rows_of_many_maps(capsys):
    pytest.importorskip("distributed", reason="dask is not installed")
    assert bench.main(["--quick", "--repeats", "1", "--rows", "many-maps"]) == 0
    rows = table(capsys.readouterr().out)
    assert [row["peer"] for row in rows] == ["--jobs 1", "--jobs 2"] and all(row["ratio"] != "-" for row in rows)


@pytest.mark.parametrize("ours, times_faster, goal, reached", [(2.0, False, 0.5, True), (2.0, False, 0.4, False),
                                                               (2.0, True, 2.0, True), (2.0, True, 3.0, False)])
def test_goals(ours, times_faster, goal, reached):
    row = compare("x", [(ours, 1.0)] * 3, "y", [(4.0, 8.0)] * 3, goal, times_faster)
    assert row.ratio == (2.0 if times_faster else 0.5)
    assert row.cpu_ratio == (8.0 if times_faster else 0.125)
    assert row.reached is reached
    assert len(bench.cells(row)) == len(bench.HEADINGS)


def test_disagreement_is_an_error(capsys, monkeypatch):
    monkeypatch.setitem(bench.GROUPS, "lowpass", lambda options: [Row("x", 1.0, "y", 1.0, 1.0, agrees=False)])
    assert bench.main(["--rows", "lowpass"]) == 1
    assert table(capsys.readouterr().out)[0]["agrees"] == "NO"


def test_unknown_rows_are_refused(capsys):
    with pytest.raises(SystemExit):
        bench.main(["--rows", "fastest"])
    assert "fastest" in capsys.readouterr().err
