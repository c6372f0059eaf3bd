"""The log keeps everything, and prints what the verbosity asks for, on any terminal."""

import io
import os
import re
import shlex
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from occupy_jit import __version__
from occupy_jit.cli.console import Console, showable
from occupy_jit.cli.gathering import Gathering, gathered
from occupy_jit.reports.runlog import RunLog, value_text
from tests.command import ROOT

QUIET, NORMAL, VERBOSE = -1, 0, 1


class Clock:
    """Time that passes when told."""

    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


def logged(level, encoding="utf-8", clock=None):
    """A log with something in every section, and what it printed."""
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding=encoding) for _ in range(2))
    log = RunLog(Console(level, out, err), clock or Clock())
    log.header(["OccuPy", "-i", "my map.mrc"], ["my map.mrc"])
    log.settings([("low-pass", 5.004, "derived from the voxel size"), ("tau", 0.9, "given"),
                  ("amplify", False, "default")])
    log.detail("a detail")
    log.results([("full scale", 12.3456789), ("radius", 3, "Å")])
    log.verdict("flattened", "The solvent was flattened.")
    log.warning("the header\nis odd")
    log.warning("the header\nis odd")
    with log.timed("filter"):
        pass
    log.show_timings()
    log.files([("scale_my map.mrc", "local scale")])
    log.wrote([("scale_my map.mrc", "local scale")])
    return log, *(stream.buffer.getvalue().decode(encoding) for stream in (out, err))


def test_the_log_is_complete_whatever_is_printed():
    texts = [re.sub(r"started.*", "", logged(level)[0].text()) for level in (QUIET, NORMAL, VERBOSE)]
    assert texts[0] == texts[1] == texts[2]
    for part in (f"OccuPy {__version__}: my map.mrc", "OccuPy -i 'my map.mrc'", "numpy " + np.__version__, "numba 0",
                 "a detail", "SETTINGS", "12.3457", "3 Å", "verdict flattened: The solvent was flattened.",
                 "warning: the header is odd", "filter", "wrote scale_my map.mrc  local scale"):
        assert texts[0].count(part) == 1, part
    assert re.search(r"started +20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d\d:\d\d\n", logged(QUIET)[0].text())


def test_what_is_printed_grows_with_the_level():
    quiet, normal, verbose = (logged(level)[1] for level in (QUIET, NORMAL, VERBOSE))
    assert quiet == ""
    assert set(normal.splitlines()) < set(verbose.splitlines())
    assert normal.splitlines() == [f"OccuPy {__version__}: my map.mrc", "  full scale  12.3457", "  radius      3 Å",
                                   "wrote scale_my map.mrc  local scale"]
    assert "a detail" in verbose and "command line" in verbose and "tau" in verbose


@pytest.mark.parametrize("level", [QUIET, NORMAL, VERBOSE])
def test_warnings_go_to_standard_error_once(level):
    log, out, err = logged(level)
    assert err == "OccuPy: warning: The solvent was flattened.\nOccuPy: warning: the header is odd\n"
    assert "odd" not in out and "flattened" not in out
    assert log.warnings == ["the header is odd"] and log.verdicts == [("flattened", "The solvent was flattened.")]


def test_default_streams_are_those_of_the_process(capsys):
    log = RunLog(Console())
    log.say("a line")
    log.warning("careful")
    assert capsys.readouterr() == ("a line\n", "OccuPy: warning: careful\n")


def test_columns_are_aligned():
    text = logged(QUIET)[0].text()
    rows = [line for line in text.splitlines() if re.search(r"(given|default|derived)", line)]
    assert [row.split() for row in rows] == [["low-pass", "5.004", "derived", "from", "the", "voxel", "size"],
                                             ["tau", "0.9", "given"], ["amplify", "no", "default"]]
    assert len({re.search("given|default|derived", row).start() for row in rows}) == 1
    assert len({re.search(r"5\.004|0\.9|no", row).start() for row in rows}) == 1


def test_a_setting_must_say_where_it_came_from():
    with pytest.raises(ValueError, match="tau"):
        RunLog().settings([("tau", 1, "somewhere")])


def test_stamps_are_seconds_since_the_start():
    clock = Clock()
    log = RunLog(clock=clock)
    log.say("first")
    clock.now += 2.345
    log.say("second")
    assert [line.split(None, 1) for line in log.text().splitlines()] == [["0.00", "first"], ["2.35", "second"]] or \
        log.text().splitlines()[1].split(None, 1) == ["2.34", "second"]  # 102.345 - 100 rounds either way


def test_times_of_one_name_add_up_even_if_it_fails():
    clock = Clock()
    log = RunLog(clock=clock)
    for _ in range(2):
        with pytest.raises(KeyError), log.timed("search"):
            clock.now += 1.5
            raise KeyError
    assert log.timings == {"search": 3.0}
    log.show_timings()
    assert re.search(r"search +3\.00 s\n", log.text()) and re.search(r"since the start +3\.00 s\n", log.text())


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252", "utf-8"])
def test_a_terminal_without_the_letter_gets_plain_ascii(encoding):
    log, out, _ = logged(NORMAL, encoding)
    assert ("3 Å" if encoding != "ascii" else "3 A") in out
    assert "3 Å" in log.text()  # the file is UTF-8


@settings(deadline=None)
@given(st.text(st.characters(exclude_categories=())), st.sampled_from(["ascii", "latin-1", "utf-8", "cp437", None,
                                                                       "no-such"]))
def test_any_text_can_be_shown(text, encoding):
    showable(text, encoding).encode("utf-8" if encoding in (None, "no-such") else encoding)


@settings(deadline=None)
@given(st.text(st.characters(exclude_categories=())))
def test_any_text_is_one_printable_line(text):
    log = RunLog(clock=Clock())
    log.say(text)
    log.files([(text, text)])
    log.text().encode("utf-8")
    lines = log.text().split("\n")
    assert len(lines) == 3 and lines[-1] == "" and all(line.isprintable() for line in lines)


def test_the_command_line_can_be_pasted_back():
    argv = ["OccuPy", "-i", "it's; a $map.mrc", "--tau", "0.5"]
    log = RunLog()
    log.header(argv)
    line, = (line for line in log.text().splitlines() if "command line" in line)
    assert shlex.split(line.split("command line", 1)[1]) == argv


class Broken(io.StringIO):
    def write(self, text):
        raise BrokenPipeError(32, "Broken pipe")


def test_a_stream_that_breaks_does_not_end_the_run():
    err = io.StringIO()
    log = RunLog(Console(VERBOSE, Broken(), err))
    log.say("one")
    log.say("two")
    log.warning("three")
    assert "two" in log.text() and "three" in err.getvalue()
    closed = io.StringIO()
    closed.close()
    RunLog(Console(VERBOSE, closed)).say("x")


@pytest.mark.parametrize("value, text", [(None, "-"), (True, "yes"), (np.bool_(False), "no"), (np.float32(0.1), "0.1"),
                                         (1234567.0, "1.23457e+06"), (np.int64(7), "7"), ((1, 2.5), "1, 2.5"),
                                         (np.array([1, 2]), "1, 2"), ("a\nb", "a b"), (float("nan"), "nan")])
def test_values_as_people_read_them(value, text):
    assert value_text(value) == text


def test_results_that_follow_on_results_stand_under_one_heading():
    log = RunLog(clock=Clock())
    log.results([("full scale", 1.5)])
    log.results([])
    log.results([("occupancy of A", 0.5)])
    log.say("something else")
    log.results([("occupancy of B", 0.25)])
    lines = log.text().splitlines()
    heads = [i for i, line in enumerate(lines) if line.endswith("RESULTS")]
    assert len(heads) == 2
    assert lines[heads[0] + 1].split() == ["full", "scale", "1.5"]
    assert lines[heads[0] + 2].split() == ["occupancy", "of", "A", "0.5"]
    assert lines[heads[1] + 1].split() == ["occupancy", "of", "B", "0.25"]


@pytest.mark.parametrize("zone", ["AAA25", "AAA-24:59:59BBB", "Nowhere/None", ":", "<+99>99", ""])
def test_odd_time_zones(zone):
    script = ("from occupy_jit.reports.runlog import RunLog\nlog = RunLog()\nlog.header(['OccuPy'])\n"
              "print([line.logged for line in log.lines if line.logged and 'started' in line.logged][0])")
    ran = subprocess.run([sys.executable, "-c", script], env={**os.environ, "TZ": zone, "PYTHONPATH": ROOT},
                         capture_output=True, text=True)
    assert ran.returncode == 0 and re.search(r"started +20\d\d-\d\d-\d\dT", ran.stdout), ran.stderr


def test_a_warning_names_its_map_once(capsys):
    log = RunLog(Console(-1), about="a.mrc")
    log.warning("the header is odd")
    log.warning("a.mrc: its axes, too")
    log.verdict("flattened", "the solvent was flattened")
    assert capsys.readouterr() == ("", "OccuPy: warning: a.mrc: the header is odd\nOccuPy: warning: a.mrc: its axes, "
                                   "too\nOccuPy: warning: a.mrc: the solvent was flattened\n")


def test_what_many_maps_share_is_told_once_and_of_errors_the_first(capsys):
    listener = Gathering(Console(-1))
    with gathered(listener):
        for number in range(25):
            log = RunLog(listener, about=f"m{number}.mrc")
            if number < 5:
                log.verdict("flattened", f"{60 + number}% of the voxels are equal")
            if number in (7, 8):
                log.warning(f"the file is {number} bytes too long")
            if number == 9:
                log.warning("odd")
            if number > 9:
                log.error(f"m{number}.mrc: no such file")
    out, err = capsys.readouterr()
    lines = err.splitlines()
    assert out == "" and lines[:10] == [f"OccuPy: error: m{number}.mrc: no such file" for number in range(10, 20)]
    assert lines[10:] == [
        "OccuPy: warning: 5 maps (m0.mrc, m1.mrc, m2.mrc and 2 more): 60% of the voxels are equal",
        "OccuPy: warning: 2 maps (m7.mrc, m8.mrc): the file is 7 bytes too long",
        "OccuPy: warning: m9.mrc: odd", "OccuPy: error: and 5 more maps that cannot be used"]
