"""The workers of a dask cluster as a crew: each runs one map at a time, on files shared with this machine.

dask would move a task whose worker died to another worker, up to a number of times set by the scheduler,
and would count this against every queued task. So every task is given to one worker by name, one at a time: it is
then known during which map a worker died.
"""

import contextlib
import logging
import os
import queue
import threading
import time
from collections.abc import Callable, Hashable
from typing import Any

from occupy_jit.errors import OccupyError, UsageError, missing_packages
from occupy_jit.files.names.paths import shown
from occupy_jit.runs.workers.crew import Answer, Dead

_SECONDS_TO_CONNECT = 15
_PATIENCE = 600  # seconds without any worker
_LOOK = 1.0
_SILENCE = 60.0
"""Seconds to wait for an answer of the scheduler; a stopped one never answers."""


def quiet_distributed() -> Any:
    """Import the package `distributed` and switch its own messages off."""
    try:
        import distributed
    except ImportError:
        raise missing_packages("--cluster", "distributed") from None
    loud = [name for name in logging.root.manager.loggerDict if name.startswith("distributed.")]
    for name in ("distributed", "tornado.application", "asyncio", *loud):
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)  # this program reports what matters, in one line
    return distributed


def _connected(address: str) -> Any:
    """A client of the scheduler."""
    distributed = quiet_distributed()
    place = {"scheduler_file": address} if os.path.isfile(address) else {"address": address}
    try:
        # its own time limit ends with the connection, which the system accepts even for a stopped scheduler
        return _within(1.5 * _SECONDS_TO_CONNECT, lambda: distributed.Client(
            **place, timeout=_SECONDS_TO_CONNECT, set_as_default=False, name="occupy_jit"))
    except ValueError as error:
        raise UsageError(f"{shown(address)}: is neither the address of a dask scheduler (tcp://HOST:PORT) nor a "
                         f"scheduler file ({error})") from None
    except (OSError, TimeoutError) as error:
        raise OccupyError(f"{shown(address)}: no dask scheduler answers there ({words(error)}); check that it "
                          "runs, and its address") from None


def _within(seconds: float, function: Callable[[], Any]) -> Any:
    """Result or exception of a function in a separate thread; TimeoutError if it takes longer."""
    done: queue.SimpleQueue = queue.SimpleQueue()

    def call() -> None:
        try:
            done.put((function(), None))
        except BaseException as error:
            done.put((None, error))

    threading.Thread(target=call, name="dask", daemon=True).start()
    try:
        result, error = done.get(timeout=seconds)
    except queue.Empty:
        raise TimeoutError(f"no answer for {seconds:.0f} seconds") from None
    if error is not None:
        raise error
    return result


class DaskWorkers:
    """Workers of a running scheduler.

    Parameters
    ----------
    address : str
        Of the scheduler (tcp://HOST:8786), or the name of its scheduler file.
    """

    def __init__(self, address: str) -> None:
        self._begin(_connected(address), address, _PATIENCE)

    def _begin(self, client: Any, where: str, patience: float) -> None:
        self._client, self._where, self._patience = client, where, patience
        self._there, self._futures, self._finished = {}, {}, queue.SimpleQueue()
        self._new, self._gone = [], []
        self._looked, self._last_seen = 0.0, time.monotonic()

    def arrivals(self) -> list[str]:
        """Addresses of new workers."""
        self._look()
        new, self._new = self._new, []
        return new

    def _look(self) -> None:
        """Ask the scheduler for its workers now and then."""
        if self._client.status != "running":
            raise self._lost()
        now = time.monotonic()
        if now - self._looked < _LOOK:
            return
        try:
            there = self._client.sync(self._client.scheduler.ncores, callback_timeout=_SILENCE)
        except TimeoutError as error:
            raise self._lost(f"has not answered for {_SILENCE:.0f} seconds") from error
        except Exception as error:  # various exceptions with the same meaning
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

    def _lost(self, why: str = "is gone") -> OccupyError:
        return OccupyError(f"{shown(self._where)}: the dask scheduler {why}; finished maps are complete, and "
                           "--resume continues")

    def ahead(self, worker: str) -> int:
        """Number of tasks that a worker may hold: with several threads it would run two at the same time."""
        return 2 if self._there.get(worker) == 1 else 1

    def start(self, worker: str, tag: Hashable, function: Callable[..., Any], *arguments: Any) -> None:
        """Give a worker a task; `wait` returns the answer."""
        future = self._client.submit(function, *arguments, workers=[worker], allow_other_workers=False, pure=False)
        self._futures[worker, tag] = future
        future.add_done_callback(lambda done: self._finished.put((worker, tag, done)))

    def wait(self, seconds: float) -> list[Answer]:
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

    def _buried(self, worker: str, tag: Hashable) -> Answer:
        """The answer for a lost worker with all its tasks."""
        for key in [key for key in self._futures if key[0] == worker]:
            self._futures.pop(key).cancel()
        return Answer(worker, tag, None, Dead())

    def _answer(self, worker: str, tag: Hashable, future: Any) -> list[Answer]:
        """Answer of a finished future; none if it is no longer expected."""
        import distributed

        if self._futures.get((worker, tag)) is not future:
            return []
        if future.status == "cancelled" and self._client.status != "running":
            raise self._lost()
        while True:
            try:
                answer = Answer(worker, tag, future.result(timeout=_LOOK), None)
            except (TimeoutError, distributed.TimeoutError):
                self._look()
                if worker in self._gone:  # it died with its result, and `wait` reports this
                    return []
                continue
            except distributed.comm.CommClosedError:  # with the scheduler, or with the worker: this shows in a moment  # pyright: ignore[reportAttributeAccessIssue]
                time.sleep(_LOOK)
                if self._client.status != "running":
                    raise self._lost() from None
                continue
            except distributed.scheduler.KilledWorker:  # pyright: ignore[reportAttributeAccessIssue]
                answer = self._buried(worker, tag)
            except Exception as error:
                answer = Answer(worker, tag, None, error)
            self._futures.pop((worker, tag), None)
            return [answer]

    def close(self) -> None:
        """Leave the cluster; its workers continue."""
        with contextlib.suppress(Exception):
            self._client.close(timeout=5)


def words(error: BaseException) -> str:
    """Text of an error on one line."""
    return " ".join(str(error).split()) or type(error).__name__
