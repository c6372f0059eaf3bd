"""The workers of a dask cluster as a crew: each does one map at a time, on files that it shares with this machine.

dask would move a task whose worker died to another one by itself, up to a number of times that the scheduler sets,
and would blame every task that was queued there. So every task is given to one worker by name, one at a time: it is
known which map a worker died over.
"""

import contextlib
import logging
import os
import queue
import socket
import sys
import time

from occupy_jit import __version__
from occupy_jit.errors import OccupyError, UsageError, missing_packages
from occupy_jit.files.names.paths import shown
from occupy_jit.files.output.signals import forget_interrupt, on_interrupt
from occupy_jit.files.output.transaction import write_error

_SECONDS_TO_CONNECT = 15
_PATIENCE = 600  # seconds without any worker
_LOOK = 1.0
_PROBE_SECONDS = 10  # network file systems show a new file late


def _distributed():
    try:
        import distributed
    except ImportError:
        raise missing_packages("--cluster", "distributed") from None
    loud = [name for name in logging.root.manager.loggerDict if name.startswith("distributed.")]
    for name in ("distributed", "tornado.application", "asyncio", *loud):
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)  # what matters is told by this program, in one line
    return distributed


class DaskWorkers:
    """Workers of a scheduler that runs somewhere.

    Parameters
    ----------
    address : str
        Of the scheduler (tcp://HOST:8786), or the name of its scheduler file.
    """

    def __init__(self, address):
        self._client = self._connect(address)
        self._patience = _PATIENCE
        self._setup(address)

    def _setup(self, where):
        self._where = where
        self._there, self._futures, self._finished = {}, {}, queue.SimpleQueue()
        self._new, self._gone = [], []
        self._looked, self._last_seen = 0.0, time.monotonic()

    @staticmethod
    def _connect(address):
        distributed = _distributed()
        place = {"scheduler_file": address} if os.path.isfile(address) else {"address": address}
        try:
            return distributed.Client(**place, timeout=_SECONDS_TO_CONNECT, set_as_default=False, name="occupy_jit")
        except ValueError as error:
            raise UsageError(f"{shown(address)}: is neither the address of a dask scheduler (tcp://HOST:PORT) nor a "
                             f"scheduler file ({error})") from None
        except (OSError, TimeoutError) as error:
            raise OccupyError(f"{shown(address)}: no dask scheduler answers there ({_words(error)}); check that it "
                              "runs, and its address") from None

    def arrivals(self):
        """Addresses of workers that are new."""
        self._look()
        new, self._new = self._new, []
        return new

    def _look(self):
        """Ask the scheduler, now and then, which workers there are."""
        if self._client.status != "running":
            raise self._lost()
        now = time.monotonic()
        if now - self._looked < _LOOK:
            return
        try:
            there = self._client.nthreads()
        except Exception as error:  # of many kinds, and all mean the same
            raise self._lost() from error
        self._looked = time.monotonic()
        self._new += sorted(there.keys() - self._there.keys())
        self._gone += sorted(self._there.keys() - there.keys())
        self._there = there
        if there:
            self._last_seen = now
        elif now - self._last_seen > self._patience:
            raise OccupyError(f"{shown(self._where)}: no worker for {self._patience:.0f} seconds; start some with: "
                              "dask worker ADDRESS")

    def _lost(self):
        return OccupyError(f"{shown(self._where)}: the dask scheduler is gone; every map that is finished is complete")

    def ahead(self, worker):
        """Number of tasks that a worker may hold: one with several threads would do two at the same time."""
        return 2 if self._there.get(worker) == 1 else 1

    def start(self, worker, tag, function, *arguments):
        """Give a worker something to do; the answer comes out of `wait`."""
        future = self._client.submit(function, *arguments, workers=[worker], allow_other_workers=False, pure=False)
        self._futures[worker, tag] = future
        future.add_done_callback(lambda done: self._finished.put((worker, tag, done)))

    def wait(self, seconds):
        """Answers, or an empty list after some seconds without any."""
        found = []
        try:
            found += self._answer(*self._finished.get(timeout=seconds))
            while True:
                found += self._answer(*self._finished.get_nowait())
        except queue.Empty:
            pass
        self._look()
        for worker in self._gone:
            found.append(self._buried(worker, None))
        self._gone = []
        return found

    def _buried(self, worker, tag):
        """The answer of a worker that is gone, with all that it held."""
        for key in [key for key in self._futures if key[0] == worker]:
            self._futures.pop(key).cancel()
        return worker, tag, None, _dead()

    def _answer(self, worker, tag, future):
        """What a finished future says: one answer, or none where it is not waited for any more."""
        import distributed

        if self._futures.get((worker, tag)) is not future:
            return []
        if future.status == "cancelled" and self._client.status != "running":
            raise self._lost()
        while True:
            try:
                answer = (worker, tag, future.result(timeout=_LOOK), None)
            except (TimeoutError, distributed.TimeoutError):
                self._look()
                if worker in self._gone:  # it died with its result, and `wait` tells
                    return []
                continue
            except distributed.comm.CommClosedError:  # with the scheduler, or with the worker: this shows in a moment
                time.sleep(_LOOK)
                if self._client.status != "running":
                    raise self._lost() from None
                continue
            except distributed.scheduler.KilledWorker:
                answer = self._buried(worker, tag)
            except Exception as error:
                answer = (worker, tag, None, error)
            self._futures.pop((worker, tag), None)
            return [answer]

    def close(self):
        """Leave the cluster; the workers stay."""
        with contextlib.suppress(Exception):
            self._client.close(timeout=5)


class SlurmWorkers(DaskWorkers):
    """Workers that SLURM starts as jobs, by dask-jobqueue and the user's own dask configuration.

    Parameters
    ----------
    jobs : int
    say : callable
        Called with one line.
    """

    def __init__(self, jobs, say):
        distributed = _distributed()
        try:
            from dask_jobqueue import SLURMCluster
        except ImportError:
            raise missing_packages("--cluster slurm", "dask-jobqueue") from None
        try:
            self._cluster = SLURMCluster()
        except (ValueError, TypeError) as error:
            raise UsageError("dask's configuration does not say what a job on SLURM is: write cores, memory, queue and "
                             f"walltime under jobqueue: slurm: into ~/.config/dask/jobqueue.yaml ({_words(error)})"
                             ) from None
        try:
            _require_accepted(self._cluster.job_script())
            self._client = distributed.Client(self._cluster, set_as_default=False, name="occupy_jit")
            self._submit(jobs)
        except BaseException:
            self._cluster.close(timeout=5)
            raise
        on_interrupt(self._cancel)
        self._patience = float("inf")  # a queue may be long
        self._setup("SLURM")
        say(f"submitted {jobs} job{'s' if jobs > 1 else ''} to SLURM; work begins when the first one starts")

    def _submit(self, jobs):
        self._cluster.scale(jobs=jobs)
        deadline = time.monotonic() + _SECONDS_TO_CONNECT
        while len(self.job_numbers()) < jobs:
            if time.monotonic() > deadline:
                raise OccupyError("SLURM takes no jobs; see what sbatch says to the script that "
                                  "dask_jobqueue.SLURMCluster().job_script() gives")
            time.sleep(0.1)

    def job_numbers(self):
        """list of str : Of the jobs that SLURM has taken."""
        return [str(job.job_id) for job in list(self._cluster.workers.values()) if getattr(job, "job_id", None)]

    def _cancel(self):
        """End the jobs where a signal ends this process."""
        import subprocess

        subprocess.run(["scancel", *self.job_numbers()], capture_output=True, timeout=5)

    def close(self):
        """End the jobs."""
        forget_interrupt(self._cancel)
        super().close()
        with contextlib.suppress(Exception):
            self._cluster.close(timeout=10)


def _require_accepted(script):
    """Raise OccupyError where SLURM would not take a job, with what it says."""
    import subprocess

    try:
        done = subprocess.run(["sbatch", "--test-only"], input=script, capture_output=True, text=True, timeout=60)
    except OSError as error:
        raise OccupyError(f"sbatch: {error.strerror}; workers on SLURM are submitted on a machine that has its commands"
                          ) from None
    except subprocess.TimeoutExpired:
        raise OccupyError("SLURM does not answer; try sinfo, and again later") from None
    if done.returncode:
        reason = done.stderr.strip().splitlines()[-1:] or ["no reason given"]
        raise OccupyError(f"SLURM refuses the jobs ({reason[0]}); correct jobqueue: slurm: in "
                          "~/.config/dask/jobqueue.yaml")


def _dead():
    from occupy_jit.runs.workers.distribute import Dead

    return Dead()


def _words(error):
    return " ".join(str(error).split()) or type(error).__name__


# What every worker does first ----------------------------------------------------------------------------------------


class Probe:
    """A small hidden file, for as long as the ``with`` block lasts, by which workers tell whether they share files.

    Parameters
    ----------
    directory : str
        Where outputs go; it exists.
    inputs : sequence of str
        Directories that inputs lie in.
    """

    def __init__(self, directory, inputs):
        self._token = os.urandom(16).hex()
        self._path = os.path.join(os.path.abspath(directory), f".occupy_probe-{self._token[:12]}")
        self._inputs = tuple(inputs)

    def __enter__(self):
        try:
            with open(self._path, "x") as file:
                file.write(self._token)
        except OSError as error:
            raise write_error(os.path.dirname(self._path), error) from error
        return self

    def __exit__(self, *exc):
        with contextlib.suppress(OSError):
            os.unlink(self._path)
        return False

    @property
    def arguments(self):
        """Of `check_worker`."""
        return self._path, self._token, self._inputs, __version__


def check_worker(path, token, inputs, version):
    """Done by a worker: whether it is of this version, sees the files, and can write; then it loads the kernels.

    Returns
    -------
    str or None
        What is wrong.
    """
    host = socket.gethostname()
    if version != __version__:
        return (f"({host}) has occupy_jit {__version__}, this program is {version}; start the workers from one "
                "installation")
    folder = os.path.dirname(path)
    if _waited_for(path) != token:
        return (f"({host}) does not see what is written to {shown(folder)} here; outputs must go to a file system that "
                "the workers share")
    for directory in inputs:
        if not os.path.isdir(directory):
            return f"({host}) does not see {shown(directory)}; inputs must be on a file system that the workers share"
    answer = f"{path}.{os.urandom(6).hex()}"
    try:
        with open(answer, "x"):
            pass
        os.unlink(answer)
    except OSError as error:
        return f"({host}) cannot write to {shown(folder)}: {error.strerror}"
    from occupy_jit.machine.heap import keep_freed_memory
    from occupy_jit.runs import warmup

    keep_freed_memory()
    _take_threads(worker_threads() or 1)
    warmup.ready()
    return None


def _take_threads(number):
    """Use the threads of this worker: dask tells every library to use one, as it expects a task on each of them."""
    os.environ["OMP_NUM_THREADS"] = str(number)
    if "numba" not in sys.modules:  # it would start one for every processor, and those that do nothing take time, too
        os.environ["NUMBA_NUM_THREADS"] = str(number)


def _waited_for(path):
    """Content of a small file; "" if it does not appear for a while."""
    deadline = time.monotonic() + _PROBE_SECONDS
    while True:
        try:
            with open(path) as file:
                return file.read()
        except OSError:
            if time.monotonic() > deadline or not os.path.isdir(os.path.dirname(path)):
                return ""
            time.sleep(0.5)


def worker_threads():
    """Threads that the dask worker which calls this has for itself; None outside of one."""
    try:
        from distributed import get_worker

        return max(1, get_worker().state.nthreads)
    except (ImportError, ValueError, AttributeError):
        return None
