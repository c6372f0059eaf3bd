"""The files by which RELION follows an External job."""

import os
import shutil
import signal
import subprocess
import sys
import textwrap
import time

import pytest

from occupy_jit.errors import OccupyError, UsageError
from occupy_jit.runs.relion_job import ABORT_NOW, ABORTED, FAILURE, NODES, SUCCESS, ExternalJob
from tests.command import ROOT, in_time


@pytest.fixture
def handlers():
    """Signals are handled afterwards as before."""
    before = {signum: signal.getsignal(signum) for signum in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)}
    yield
    for signum, handler in before.items():
        signal.signal(signum, handler)


@pytest.fixture
def job(tmp_path, monkeypatch, handlers):
    monkeypatch.chdir(tmp_path)
    made = ExternalJob("External/job004/")
    made.begin()
    yield made
    made.end(1)  # nobody watches any more


def _files(job):
    return sorted(os.listdir(job.directory))


def test_success_with_its_nodes(job, tmp_path):
    job.end(0, [(str(tmp_path / "External/job004/scale_ref.mrc"), "local"), ("External/job004/out.mrc", "map")])
    assert _files(job) == [SUCCESS, NODES]
    text = (tmp_path / "External/job004" / NODES).read_text()
    words = text.split()
    assert words[:2] == ["data_output_nodes", "loop_"]
    assert words[-6:] == ["External/job004/scale_ref.mrc", "Image3D.mrc.localresmap", "12",
                          "External/job004/out.mrc", "DensityMap.mrc", "6"]


@pytest.mark.skipif(shutil.which("relion_star_printtable") is None, reason="RELION is not installed")
def test_relion_reads_the_nodes(job):
    job.end(0, [("External/job004/scale_ref.mrc", "local"), ("External/job004/mask.mrc", "mask")])
    done = subprocess.run(["relion_star_printtable", os.path.join(job.directory, NODES), "data_output_nodes",
                           "_rlnPipeLineNodeName", "_rlnPipeLineNodeType"], capture_output=True, text=True)
    assert done.stdout.split() == ["External/job004/scale_ref.mrc", "12", "External/job004/mask.mrc", "7"], done


def test_failure_has_no_nodes(job):
    job.end(3, [("External/job004/scale_ref.mrc", "local")])
    assert _files(job) == [FAILURE]


def test_a_name_that_relion_cannot_read_is_a_failure(job):
    with pytest.raises(OccupyError, match="blanks"):
        job.end(0, [("External/job004/scale of it.mrc", "local")])
    assert _files(job) == [FAILURE]


def test_what_an_earlier_run_left_is_removed(tmp_path, handlers):
    for name in (SUCCESS, FAILURE, ABORTED, NODES, ABORT_NOW, "scale_ref.mrc"):
        (tmp_path / name).touch()
    job = ExternalJob(str(tmp_path))
    job.begin()
    assert _files(job) == ["scale_ref.mrc"]
    job.end(0)


def test_the_first_end_counts(job):
    job.interrupted()
    job.end(0)
    assert _files(job) == [ABORTED]


def test_a_file_in_the_place_of_the_directory(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="not a directory"):
        ExternalJob(str(tmp_path / "file")).begin()


def test_abort_now_stops_even_a_computation_that_hears_no_signal(tmp_path):
    """A kernel runs for seconds, in which the interpreter handles no signal."""
    script = tmp_path / "job.py"
    script.write_text(textwrap.dedent("""
        import ctypes, sys
        from occupy_jit.files.output.transaction import Outputs
        from occupy_jit.files.output.signals import install_signal_handlers
        from occupy_jit.runs.relion_job import ExternalJob

        install_signal_handlers()
        ExternalJob(sys.argv[1]).begin()
        with Outputs() as outputs, outputs.open(sys.argv[1] + "/scale.mrc") as file:
            file.write(b"half")
            file.flush()
            libc = ctypes.CDLL(None)
            while True:  # restarted by nobody: one call that lasts, outside of the interpreter
                libc.sleep(60)
    """))

    @in_time
    def seconds(attempt):
        folder = tmp_path / f"job{attempt}"
        with subprocess.Popen([sys.executable, str(script), str(folder)],
                              env={**os.environ, "PYTHONPATH": ROOT}) as child:
            deadline = time.monotonic() + 100
            while not (folder.is_dir() and os.listdir(folder)) and time.monotonic() < deadline:
                time.sleep(0.02)
            (folder / ABORT_NOW).touch()
            start = time.monotonic()
            assert child.wait(100) == 143
            seconds = time.monotonic() - start
        assert os.listdir(folder) == [ABORTED]
        return seconds if seconds < 2 else None  # the machine may have been busy

    assert seconds < 2
