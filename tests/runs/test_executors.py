"""Many tasks at once: which results come back, and what happens when workers die."""

import collections
import functools
import os
import signal
import subprocess
import sys
import textwrap
import time

import pytest

from occupy_jit.errors import OccupyError
from occupy_jit.runs.workers.crew import Answer, Dead, Lost
from occupy_jit.runs.workers.distribute import distribute
from occupy_jit.runs.workers.processes import Processes
from tests.command import ROOT


class FakeCrew:
    """Workers that do what they hold one after the other, a task at each look, or die as a script says.

    Parameters
    ----------
    waves : list of list of str
        Who arrives at each call.
    dies : callable
        ``dies(worker, function, arguments)``.
    ahead : int
    """

    def __init__(self, waves, dies=lambda *a: False, ahead=1):
        self.waves, self.dies, self.most = list(waves), dies, ahead
        self.answers, self.closed = [], False
        self.held, self.did = collections.defaultdict(list), collections.defaultdict(list)

    def arrivals(self):
        return self.waves.pop(0) if self.waves else []

    def ahead(self, worker):
        return self.most

    def start(self, worker, tag, function, *arguments):
        self.held[worker].append((tag, function, arguments))
        assert len(self.held[worker]) <= self.most

    def wait(self, seconds):
        answers, self.answers = self.answers, []
        for gone, *_ in answers:
            self.held.pop(gone, None)
        for worker, queue in list(self.held.items()):
            if not queue:
                continue
            tag, function, arguments = queue.pop(0)
            self.did[worker].append(arguments)
            if self.dies(worker, function, arguments):
                del self.held[worker]
                answers.append(Answer(worker, tag, None, Dead()))
                continue
            try:
                answers.append(Answer(worker, tag, function(*arguments), None))
            except Exception as error:
                answers.append(Answer(worker, tag, None, error))
        return answers

    def close(self):
        self.closed = True


def double(task):
    return 2 * task


@pytest.mark.parametrize("ahead", [1, 2])
def test_every_task_is_done_once(ahead):
    crew = FakeCrew([["a"], [], ["b", "c"]], ahead=ahead)
    assert dict(distribute(double, range(20), crew)) == {k: 2 * k for k in range(20)}
    assert sum(len(did) for did in crew.did.values()) == 20 + 3 and crew.closed
    assert list(distribute(double, [], FakeCrew([["a"]]))) == []


def test_what_a_dead_worker_held_besides_is_not_blamed():
    """Two deaths of a worker that held two tasks each time: only the one that it was at is given up."""
    crew = FakeCrew([["a"], ["b"], ["c"]], dies=lambda worker, function, arguments: arguments == (0,), ahead=2)
    results = dict(distribute(double, range(9), crew))
    assert isinstance(results.pop(0), Lost) and results == {k: 2 * k for k in range(1, 9)}


def test_a_task_whose_worker_dies_is_tried_once_more():
    def dies(worker, function, arguments):
        return arguments == (3,) and sum(did.count((3,)) for did in crew.did.values()) == 1

    crew, said = FakeCrew([["a"], ["b"]], dies), []
    assert dict(distribute(double, range(6), crew, say=said.append)) == {k: 2 * k for k in range(6)}
    assert sum(arguments == (3,) for did in crew.did.values() for arguments in did) == 2
    assert any("died" in line for line in said)


def test_a_task_that_kills_two_workers_is_given_up_and_the_others_are_done():
    crew = FakeCrew([["a"], ["b"], ["c"], ["d"]], dies=lambda worker, function, arguments: arguments == (3,))
    results = dict(distribute(double, range(6), crew))
    assert isinstance(results.pop(3), Lost)
    assert results == {k: 2 * k for k in range(6) if k != 3}
    assert sum(arguments == (3,) for did in crew.did.values() for arguments in did) == 2


def test_a_worker_that_dies_idle_takes_nothing_with_it():
    crew = FakeCrew([["a", "b"]])
    stream = distribute(double, range(8), crew)
    first = [next(stream)]
    crew.answers.append(Answer("b", None, None, Dead()))
    assert dict(first + list(stream)) == {k: 2 * k for k in range(8)}


def test_workers_that_cannot_be_used():
    crew = FakeCrew([["a", "b"]])
    said = []

    def prepare():
        return "does not see the files" if len(crew.did["b"]) == 1 and not crew.did["x"] and not said else None

    assert dict(distribute(double, range(3), crew, prepare, said.append)) == {0: 0, 1: 2, 2: 4}
    assert any("does not see the files" in line for line in said)
    with pytest.raises(OccupyError, match="no worker can be used.*no files"):
        list(distribute(double, range(3), FakeCrew([["a"]]), lambda: "no files"))


def test_workers_that_die_while_they_start_are_not_started_for_ever():
    crew = FakeCrew([["a"], ["b"], ["c"], ["d"]], dies=lambda *a: True)
    with pytest.raises(OccupyError, match="died during its start"):
        list(distribute(double, range(3), crew))
    assert len(crew.did) == 2


def test_an_exception_is_the_tasks_own():
    def fails(task):
        return 1 // task

    results = dict(distribute(fails, [0, 1], FakeCrew([["a"]])))
    assert results[1] == 1 and "ZeroDivisionError" in results[0].reason


# Real processes ------------------------------------------------------------------------------------------------------


def kill_the_first_time(marker):
    """A task that kills its process where the file is not there yet."""
    if marker is not None:
        try:
            os.close(os.open(marker, os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            return "second"
        os.kill(os.getpid(), signal.SIGKILL)
    return "first"


def always_kill(task):
    if task == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return task


def variable(name):
    return os.environ.get(name)


def arrive_with_another(folder):
    """A preparation that lasts until two processes are there: the first could do everything before the second comes."""
    open(os.path.join(folder, str(os.getpid())), "w").close()
    deadline = time.monotonic() + 100
    while len(os.listdir(folder)) < 2 and time.monotonic() < deadline:
        time.sleep(0.01)


def process_number_after_a_while(task):
    time.sleep(0.1)
    return os.getpid()


def test_processes_are_others_and_as_many(tmp_path):
    together = functools.partial(arrive_with_another, str(tmp_path))
    found = dict(distribute(process_number_after_a_while, range(12), Processes(2), together))
    assert len(found) == 12 and len(set(found.values())) == 2 and os.getpid() not in found.values()


def test_processes_take_the_environment():
    crew = Processes(1, environment={"OCCUPY_TEST_VARIABLE": "7"})
    found = dict(distribute(variable, ["OCCUPY_TEST_VARIABLE"], crew))
    assert found == {0: "7"}


def test_a_killed_process_costs_its_task_one_retry(tmp_path):
    tasks = [None, str(tmp_path / "marker"), None, None]
    assert dict(distribute(kill_the_first_time, tasks, Processes(2, one_first=True))) == {
        0: "first", 1: "second", 2: "first", 3: "first"}


def test_a_task_that_kills_every_process_is_given_up():
    results = dict(distribute(always_kill, range(5), Processes(2)))
    assert isinstance(results.pop(1), Lost) and results == {0: 0, 2: 2, 3: 3, 4: 4}


@pytest.mark.slow
@pytest.mark.parametrize("signum", [signal.SIGKILL, signal.SIGTERM])
@pytest.mark.parametrize("moment", ["at work", "giving names"])
def test_processes_end_with_their_parent(tmp_path, signum, moment):
    """Otherwise every run that is killed would leave processes behind that wait for ever."""
    script = tmp_path / "parent.py"
    script.write_text(textwrap.dedent("""
        import contextlib, os, sys, time
        from occupy_jit.files.output.signals import signals_wait
        from occupy_jit.runs.workers.distribute import distribute
        from occupy_jit.runs.workers.processes import Processes

        def slow(folder):
            names = sys.argv[2] == "giving names"
            with signals_wait() if names else contextlib.nullcontext():
                open(os.path.join(folder, f"pid-{os.getpid()}"), "w").close()
                time.sleep(1 if names else 120)

        if __name__ == "__main__":
            list(distribute(slow, [sys.argv[1]] * 40, Processes(2)))
    """))
    said = tmp_path / "stderr"
    words = [sys.executable, str(script), str(tmp_path), moment]
    with (open(said, "w") as stderr,
          subprocess.Popen(words, stderr=stderr, env={**os.environ, "PYTHONPATH": ROOT}) as parent):
        deadline = time.monotonic() + 100
        while len(found := list(tmp_path.glob("pid-*"))) < 2 and time.monotonic() < deadline:
            time.sleep(0.05)
        parent.send_signal(signum)
    pids = [int(path.name[4:]) for path in found]
    assert len(pids) == 2
    deadline = time.monotonic() + 100
    while any(map(_alive, pids)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(map(_alive, pids))
    time.sleep(0.3)  # for a last word of anybody
    assert said.read_text() == ""


def test_a_signal_while_the_parent_gives_names_does_not_wait_for_the_processes(tmp_path):
    """It becomes an exception there, which ends the loop over results: what the processes do may last for hours."""
    script = tmp_path / "parent.py"
    script.write_text(textwrap.dedent("""
        import os, signal, sys, time
        from occupy_jit.files.output.signals import install_signal_handlers, signals_wait
        from occupy_jit.runs.workers.distribute import distribute
        from occupy_jit.runs.workers.processes import Processes

        def work(seconds):
            time.sleep(seconds)

        if __name__ == "__main__":
            install_signal_handlers()
            for _ in distribute(work, [0, 1000, 1000], Processes(2)):
                with signals_wait():
                    os.kill(os.getpid(), signal.SIGTERM)
    """))
    ran = subprocess.run([sys.executable, str(script)], env={**os.environ, "PYTHONPATH": ROOT}, capture_output=True,
                         text=True, timeout=120)
    assert (ran.returncode, ran.stdout, ran.stderr) == (143, "", "")


def _alive(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_a_stopped_process_does_not_hold_the_end(tmp_path):
    """Who waits for the end of what the run prints would wait for a process that is stopped, too."""
    script = tmp_path / "parent.py"
    script.write_text(textwrap.dedent("""
        import os, signal, sys, time
        from occupy_jit.files.output.signals import install_signal_handlers
        from occupy_jit.runs.workers.distribute import distribute
        from occupy_jit.runs.workers.processes import Processes

        def work(folder):
            open(os.path.join(folder, f"pid-{os.getpid()}"), "w").close()
            os.kill(os.getpid(), signal.SIGSTOP)

        if __name__ == "__main__":
            install_signal_handlers("ended")
            list(distribute(work, [sys.argv[1]] * 4, Processes(2)))
    """))
    with subprocess.Popen([sys.executable, str(script), str(tmp_path)], env={**os.environ, "PYTHONPATH": ROOT},
                          stderr=subprocess.PIPE, text=True) as parent:
        deadline = time.monotonic() + 100
        while len(list(tmp_path.glob("pid-*"))) < 2 and time.monotonic() < deadline:
            time.sleep(0.05)
        time.sleep(0.5)
        parent.send_signal(signal.SIGTERM)
        assert parent.communicate(timeout=30)[1] == "ended"
    assert parent.returncode == 143
