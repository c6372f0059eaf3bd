"""A real dask scheduler and real workers, some of which are killed."""

import contextlib
import functools
import os
import signal
import subprocess
import sys
import time

import pytest

from occupy_jit import __version__
from occupy_jit.errors import OccupyError, UsageError
from occupy_jit.runs.workers import dask as dask_workers
from occupy_jit.runs.workers import probe as probes
from occupy_jit.runs.workers.crew import Lost
from occupy_jit.runs.workers.distribute import distribute
from tests.command import ROOT

pytest.importorskip("distributed", reason="dask is not installed")


class Cluster:
    """A scheduler and workers as processes of their own, without the nannies that would start dead ones again."""

    def __init__(self, folder):
        self.file = str(folder / "scheduler.json")
        self.processes = []
        self.scheduler = self._begin("scheduler", "--port", "0", "--dashboard-address", ":0", "--scheduler-file",
                                     self.file)
        deadline = time.monotonic() + 60
        while not os.path.exists(self.file) and time.monotonic() < deadline:
            time.sleep(0.05)

    def _begin(self, *words, **environment):
        child = subprocess.Popen([sys.executable, "-m", "dask", *words], stdout=subprocess.DEVNULL,
                                 stderr=subprocess.DEVNULL, cwd=os.path.dirname(self.file),
                                 env={**os.environ, "PYTHONPATH": ROOT, **environment})
        self.processes.append(child)
        return child

    def worker(self, threads=1, **environment):
        return self._begin("worker", "--scheduler-file", self.file, "--nthreads", str(threads), "--no-nanny",
                           "--no-dashboard", "--death-timeout", "60", **environment)

    def wait_for(self, number):
        """Until so many workers are there."""
        from distributed import Client

        with Client(scheduler_file=self.file, set_as_default=False, timeout=60) as client:
            client.wait_for_workers(number, timeout=120)

    def close(self):
        for child in self.processes:
            child.kill()
            child.wait()


@pytest.fixture
def cluster(tmp_path):
    made = Cluster(tmp_path)
    yield made
    made.close()


def pid_of(task):
    time.sleep(0.05)
    return os.getpid()


def kill_once(marker):
    if marker is not None:
        with contextlib.suppress(FileExistsError):
            os.close(os.open(marker, os.O_CREAT | os.O_EXCL))
            os.kill(os.getpid(), signal.SIGKILL)
        return "second"
    time.sleep(0.02)
    return "first"


def kill_always(task):
    if task == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(0.02)
    return task


def sleep_long(folder):
    with open(os.path.join(folder, "started"), "w"):
        pass
    time.sleep(120)


def threads_here(task):
    return probes.worker_threads()


@pytest.mark.slow
def test_every_worker_takes_part_and_knows_its_threads(cluster):
    cluster.worker(1)
    cluster.worker(1)
    cluster.wait_for(2)
    found = dict(distribute(pid_of, range(60), dask_workers.DaskWorkers(cluster.file)))
    assert len(found) == 60 and len(set(found.values())) == 2
    assert dict(distribute(threads_here, [0], dask_workers.DaskWorkers(cluster.file))) == {0: 1}
    assert probes.worker_threads() is None


def test_a_killed_worker_costs_its_task_one_retry(cluster, tmp_path):
    cluster.worker()
    cluster.worker()
    tasks = [str(tmp_path / "marker") if k == 3 else None for k in range(8)]
    found = dict(distribute(kill_once, tasks, dask_workers.DaskWorkers(cluster.file)))
    assert found == {k: "second" if k == 3 else "first" for k in range(8)}


@pytest.mark.slow
def test_a_task_that_kills_two_workers_is_given_up_and_the_others_are_done(cluster):
    for _ in range(3):
        cluster.worker()
    found = dict(distribute(kill_always, range(8), dask_workers.DaskWorkers(cluster.file)))
    assert isinstance(found.pop(1), Lost) and found == {k: k for k in range(8) if k != 1}


def test_the_scheduler_is_lost(cluster, tmp_path):
    cluster.worker()
    stream = distribute(sleep_long, [str(tmp_path)], dask_workers.DaskWorkers(cluster.file),
                        say=lambda line: None)

    killed = []

    def kill_when_started():
        deadline = time.monotonic() + 100
        while not (tmp_path / "started").exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        cluster.scheduler.kill()
        killed.append(time.monotonic())

    import threading

    killer = threading.Thread(target=kill_when_started)
    killer.start()
    with pytest.raises(OccupyError, match="scheduler is gone") as caught:
        list(stream)
    killer.join()
    assert caught.value.exit_status == 1
    assert time.monotonic() - killed[0] < 60, "and not only after minutes"


def test_no_scheduler_and_no_address(monkeypatch):
    monkeypatch.setattr(dask_workers, "_SECONDS_TO_CONNECT", 1)
    with pytest.raises(OccupyError, match="no dask scheduler answers"):
        dask_workers.DaskWorkers("tcp://127.0.0.1:9")
    with pytest.raises(UsageError, match="neither the address"):
        dask_workers.DaskWorkers("no such protocol://x")


def test_a_cluster_without_workers_is_not_waited_for_for_ever(cluster, monkeypatch):
    monkeypatch.setattr(dask_workers, "_PATIENCE", 1)
    with pytest.raises(OccupyError, match="no worker for 1 seconds"):
        list(distribute(pid_of, [0], dask_workers.DaskWorkers(cluster.file)))


# What every worker checks first --------------------------------------------------------------------------------------


def test_workers_that_share_the_files_are_taken(tmp_path, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # and is given back
    with probes.Probe(str(tmp_path), [str(tmp_path)]) as probe:
        assert probes.check_worker(*probe.arguments) is None
    assert list(tmp_path.iterdir()) == [], "the probe leaves nothing"


def test_workers_that_do_not_share_the_files_say_so(tmp_path, monkeypatch):
    monkeypatch.setattr(probes, "_PROBE_SECONDS", 0)
    with probes.Probe(str(tmp_path), ["/no/such/place"]) as probe:
        path, token, inputs, version = probe.arguments
        assert "/no/such/place" in probes.check_worker(path, token, inputs, version)
        assert "does not see what is written" in probes.check_worker(path, "other", (), version)
        assert "does not see" in probes.check_worker(str(tmp_path / "x" / "y"), token, (), version)
        assert __version__ in probes.check_worker(path, token, (), "0.0")


def settings_of_worker(task):
    import numba

    from occupy_jit.machine.threads import thread_count

    return thread_count(), numba.config.NUMBA_NUM_THREADS


def test_a_worker_uses_the_threads_that_dask_gave_it_and_no_others(cluster, tmp_path):
    cluster.worker(1)
    with probes.Probe(str(tmp_path), []) as probe:
        check = functools.partial(probes.check_worker, *probe.arguments)
        found = dict(distribute(settings_of_worker, [0], dask_workers.DaskWorkers(cluster.file), check))
    assert found == {0: (1, 1)}


def test_a_worker_elsewhere_is_refused_by_name(cluster, tmp_path):
    """As where /tmp of a node is not /tmp of the login node: the check says so, once, and no map fails."""
    cluster.worker()
    said = []
    check = functools.partial(probes.check_worker, "/no/such/place/x", "token", (), __version__)
    with pytest.raises(OccupyError, match="no worker can be used.*file system that the workers share"):
        list(distribute(pid_of, range(5), dask_workers.DaskWorkers(cluster.file), check, said.append))
    assert len(said) == 1


def slowly(task):
    time.sleep(1)
    return task


@pytest.mark.slow
def test_a_scheduler_that_is_stopped_is_given_up(cluster, monkeypatch):
    """Before the work and in its middle: a bound, then the message; nothing hangs at the end either."""
    monkeypatch.setattr(dask_workers, "_SECONDS_TO_CONNECT", 3)
    monkeypatch.setattr(dask_workers, "_SILENCE", 3.0)
    cluster.worker()
    cluster.wait_for(1)
    crew = dask_workers.DaskWorkers(cluster.file)
    results = distribute(slowly, range(30), crew)
    assert next(results) == (0, 0)
    cluster.scheduler.send_signal(signal.SIGSTOP)
    begun = time.monotonic()
    with pytest.raises(OccupyError, match="has not answered for 3 seconds.*--resume continues"):
        list(results)
    with pytest.raises(OccupyError, match="no dask scheduler answers there"):
        dask_workers.DaskWorkers(cluster.file)
    assert time.monotonic() - begun < 60
