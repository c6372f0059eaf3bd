"""The line that shows progress on a terminal."""

import io

import pytest

from occupy_jit.cli.console import Console
from occupy_jit.cli.progress import ProgressLine, duration
from occupy_jit.reports.runlog import RunLog


class Terminal(io.StringIO):
    def isatty(self):
        return True

    def visible(self):
        """What a reader sees of the last line."""
        line = [" "] * 400
        for part in self.getvalue().split("\r"):
            line[:len(part)] = part
        return "".join(line).rstrip()


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture(autouse=True)
def terminal_type(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")


def test_maps_with_the_time_that_is_left():
    terminal, clock = Terminal(), Clock()
    line = ProgressLine(terminal, clock=clock)
    line.maps(0, 0, 100)
    clock.now = 10.0
    line.maps(19, 1, 100)
    assert terminal.visible() == "19 of 100 maps done, 1 failed, 40 s left"
    line.maps(20, 1, 100)
    assert terminal.visible().startswith("19 of"), "not more often than anybody can read"
    line.maps(99, 1, 100)
    assert terminal.visible() == "99 of 100 maps done, 1 failed", "nothing remains of a longer line"
    line.clear()
    assert terminal.visible() == "" and terminal.getvalue().endswith("\r")


def test_steps_only_after_longer_than_a_person_waits():
    terminal, clock = Terminal(), Clock()
    line = ProgressLine(terminal, clock=clock)
    line.step("model: parts")
    clock.now = 4.0
    line.step("model: occupancies, turn 1 of at most 10")
    assert terminal.getvalue() == ""
    clock.now = 12.0
    line.step("model: occupancies, turn 2 of at most 10")
    assert terminal.visible() == "model: occupancies, turn 2 of at most 10, 12 s"
    line.step("")
    assert terminal.visible() == ""
    clock.now = 14.0
    line.step("something else")
    assert terminal.visible() == "", "time began anew"


def test_a_step_is_shown_by_the_console_and_is_in_no_log(monkeypatch):
    terminal, clock, out = Terminal(), Clock(), io.StringIO()
    console = Console(0, out, terminal)
    monkeypatch.setattr(console._progress, "_clock", clock)
    log = RunLog(console)
    for clock.now in (0.0, 6.0):
        log.step("model: parts")
    assert terminal.visible() == "model: parts, 6 s"
    log.say("a line")
    assert terminal.visible() == "" and out.getvalue() == "a line\n", "the line makes room"
    log.step()
    assert "model" not in log.text() and len(log.lines) == 1
    quiet = Terminal()
    silent = Console(-1, out, quiet)
    monkeypatch.setattr(silent._progress, "_clock", clock)
    log = RunLog(silent)
    for clock.now in (10.0, 20.0):
        log.step("model: parts")
    assert quiet.getvalue() == ""


def test_a_download():
    terminal = Terminal()
    line = ProgressLine(terminal, clock=Clock())
    line.download("emd_1.map.gz", 2_000_000, 2_000_000)
    assert terminal.visible() == f"emd_1.map.gz: [{'#' * 30}] 2.0 of 2.0 MB"
    line.clear()
    line.download("emd_1.map.gz", 5_000_000, None)


@pytest.mark.parametrize("stream, wanted", [(io.StringIO(), True), (Terminal(), False)])
def test_nothing_without_a_terminal(stream, wanted):
    line = ProgressLine(stream, wanted)
    line.maps(1, 0, 2)
    line.download("x", 1, 2)
    line.step("x")
    line.clear()
    assert stream.getvalue() == ""


def test_a_terminal_that_goes_away_ends_the_printing_only():
    class Gone(Terminal):
        def write(self, text):
            raise OSError("gone")

    line = ProgressLine(Gone(), clock=Clock())
    line.maps(1, 0, 2)
    line.maps(2, 0, 2)
    line.clear()


@pytest.mark.parametrize("seconds, text", [(0, "0 s"), (99.4, "99 s"), (100, "2 min"), (5939, "99 min"),
                                           (7260, "2 h 1 min"), (36000, "10 h 0 min")])
def test_durations(seconds, text):
    assert duration(seconds) == text
