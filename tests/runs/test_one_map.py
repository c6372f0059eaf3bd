"""A run on one map: plan in, outcome out, nothing printed."""

import gzip
import logging
import os
import pickle

import numpy as np
import pytest

from occupy_jit.errors import InputError
from occupy_jit.reports.chimerax import script_path
from occupy_jit.runs.one_map.run import measure_one, run_one
from occupy_jit.runs.plan.output_kinds import Role
from occupy_jit.runs.plan.plan import plan_map
from occupy_jit.settings import Options, Settings
from tests.command import listing, particle, values, write

SMALL = 32


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "a.mrc", particle(SMALL))
    return tmp_path


class Listener(logging.Handler):
    """Keeps what is said, and which files have their final names when it is."""

    def __init__(self, directory):
        super().__init__()
        self.directory, self.said = directory, []

    def emit(self, record):
        there = os.listdir(self.directory) if os.path.isdir(self.directory) else []
        self.said.append((record.printed, there))


def test_a_run_tells_everything_in_its_outcome_and_prints_nothing(here, capfd):
    plan = pickle.loads(pickle.dumps(plan_map("a.mrc", Settings(amplify=True), Options(output_dir="out"))))
    outcome = run_one(plan)
    assert capfd.readouterr() == ("", "")
    assert (outcome.path, outcome.status, outcome.kind, outcome.message) == ("a.mrc", 0, "done", "done")
    assert sorted(os.path.basename(output.path) for output in outcome.written) == sorted(os.listdir("out"))
    again = pickle.loads(pickle.dumps(outcome))
    assert again.record == outcome.record and again.verdicts == outcome.verdicts and again.written == outcome.written
    assert [line.logged for line in again.lines] == [line.logged for line in outcome.lines]
    assert again.record["results"]["full_scale"] > 0 and set(again.timings) >= {"read", "estimate", "write"}
    assert (here / "out" / "log_a.txt").read_text().count("wrote out/") == len(outcome.written)


def test_files_are_said_to_be_written_when_they_have_their_names(here):
    listener = Listener("out")
    outcome = run_one(plan_map("a.mrc", Settings(), Options(output_dir="out")), listener)
    told = [(text, there) for text, there in listener.said if text and text.startswith("wrote ")]
    assert len(told) == len(outcome.written)
    for text, there in told:
        assert os.path.basename(text.split("  ")[0]) in there
        assert not [name for name in there if name.startswith(".")]


def test_a_run_that_fails_at_the_end_says_of_no_file_that_it_is_written(here):
    (here / "out" / "log_a.txt").mkdir(parents=True)
    listener = Listener("out")
    outcome = run_one(plan_map("a.mrc", Settings(), Options(output_dir="out")), listener)
    assert outcome.status == 1 and "log_a.txt" in outcome.message and outcome.written == ()
    assert not [text for text, _ in listener.said if text and text.startswith("wrote ")]
    assert os.listdir("out") == ["log_a.txt"]


@pytest.mark.parametrize(("make", "status", "kind"), [
    (InputError("a.mrc: odd"), 3, "error"), (MemoryError(), 1, "error"), (ZeroDivisionError("x"), 1, "internal error")])
def test_whatever_happens_ends_in_an_outcome(make, status, kind, here, monkeypatch):
    def fails(*_, **__):
        raise make

    monkeypatch.setattr("occupy_jit.estimation.scale.estimate.run_estimate", fails)
    outcome = run_one(plan_map("a.mrc", Settings(), Options(output_dir="out")))
    assert (outcome.status, outcome.kind) == (status, kind)
    assert (outcome.traceback is not None) == (kind == "internal error")
    assert pickle.loads(pickle.dumps(outcome)).message == outcome.message
    assert any(line.logged and line.logged.startswith(f"{kind}: ") for line in outcome.lines)
    assert not os.path.exists("out")


def test_one_measure_is_that_of_the_whole_run(here):
    plan = plan_map("a.mrc", Settings(), Options(output_dir="out"), "first")
    measured = measure_one(plan)
    assert not os.path.exists("out")
    whole = run_one(plan)
    assert measured.full_scale.value == whole.record["results"]["full_scale"]
    common = run_one(plan.with_full_scale(2 * measured.full_scale.value))
    assert common.record["results"]["full_scale"] == 2 * measured.full_scale.value
    # of a group: what tells of the run is not its own
    assert sorted(os.listdir("out")) == ["scale_a.mrc"]


@pytest.mark.parametrize("extra", [b"", b"\0" * 64])
def test_the_plain_copy_is_the_input_unpacked(extra, here):
    content = (here / "a.mrc").read_bytes()
    (here / "b.map.gz").write_bytes(gzip.compress(content + extra))
    outcome = run_one(plan_map("b.map.gz", Settings(), Options(output_dir="out")))
    assert outcome.status == 0, outcome.message
    assert (here / "out" / "map_b.map").read_bytes() == content
    assert Role.PLAIN_COPY in [output.role for output in outcome.written]
    text = (here / "out" / "chimX_b.cxc").read_text()
    opened = [line.split('"')[1] for line in text.splitlines() if line.startswith("open ")]
    assert opened == ["./map_b.map", "./scale_b.mrc"] and "Left out" not in text and "color sample #1 map #2" in text
    assert script_path("b.map.gz", "out") not in opened
    # and it changes nothing else
    plain = run_one(plan_map("a.mrc", Settings(), Options(output_dir="plain")))
    assert plain.status == 0 and np.array_equal(values("plain/scale_a.mrc"), values("out/scale_b.mrc"))


def test_modified_maps_are_copies_enough(here):
    (here / "b.map.gz").write_bytes(gzip.compress((here / "a.mrc").read_bytes()))
    assert run_one(plan_map("b.map.gz", Settings(amplify=True), Options(output_dir="out"))).status == 0
    assert "out/map_b.map" not in listing(here)
