"""The workers of a dask cluster as a crew: each does one map at a time, on files that it shares with this machine.

dask would move a task whose worker died to another one by itself, up to a number of times that the scheduler sets,
and would blame every task that was queued there. So every task is given to one worker by name, one at a time: it is
known which map a worker died over.
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
"""Seconds that the scheduler may take to answer; one that is stopped takes for ever."""


def quiet_distributed() -> Any:
    """The package `distributed`, imported, with its own messages off."""
    try:
        import distributed
    except ImportError:
        raise missing_packages("--cluster", "distributed") from None
    loud = [name for name in logging.root.manager.loggerDict if name.startswith("distributed.")]
    for name in ("distributed", "tornado.application", "asyncio", *loud):
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)  # what matters is told by this program, in one line
    return distributed


def _connected(address: str) -> Any:
    """A client of the scheduler."""
    distributed = quiet_distributed()
    place = {"scheduler_file": address} if os.path.isfile(address) else {"address": address}
    try:
        # its own limit ends where a scheduler takes the connection, as the system does for one that is stopped
        return _within(1.5 * _SECONDS_TO_CONNECT, lambda: distributed.Client(
            **place, timeout=_SECONDS_TO_CONNECT, set_as_default=False, name="occupy_jit"))
    except ValueError as error:
        raise UsageError(f"{shown(address)}: is neither the address of a dask scheduler (tcp://HOST:PORT) nor a "
                         f"scheduler file ({error})") from None
    except (OSError, TimeoutError) as error:
        raise OccupyError(f"{shown(address)}: no dask scheduler answers there ({words(error)}); check that it "
                          "runs, and its address") from None


def _within(seconds: float, function: Callable[[], Any]) -> Any:
    """What a function returns, or raises, in a thread of its own; TimeoutError if it takes longer."""
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
    """Workers of a scheduler that runs somewhere.

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
        """Addresses of workers that are new."""
        self._look()
        new, self._new = self._new, []
        return new

    def _look(self) -> None:
        """Ask the scheduler, now and then, which workers there are."""
        if self._client.status != "running":
            raise self._lost()
        now = time.monotonic()
        if now - self._looked < _LOOK:
            return
        try:
            there = self._client.sync(self._client.scheduler.ncores, callback_timeout=_SILENCE)
        except TimeoutError as error:
            raise self._lost(f"has not answered for {_SILENCE:.0f} seconds") from error
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

    def _lost(self, why: str = "is gone") -> OccupyError:
        return OccupyError(f"{shown(self._where)}: the dask scheduler {why}; finished maps are complete, and "
                           "--resume continues")

    def ahead(self, worker: str) -> int:
        """Number of tasks that a worker may hold: one with several threads would do two at the same time."""
        return 2 if self._there.get(worker) == 1 else 1

    def start(self, worker: str, tag: Hashable, function: Callable[..., Any], *arguments: Any) -> None:
        """Give a worker something to do; the answer comes out of `wait`."""
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
        """The answer of a worker that is gone, with all that it held."""
        for key in [key for key in self._futures if key[0] == worker]:
            self._futures.pop(key).cancel()
        return Answer(worker, tag, None, Dead())

    def _answer(self, worker: str, tag: Hashable, future: Any) -> list[Answer]:
        """What a finished future says: one answer, or none where it is not waited for any more."""
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
                if worker in self._gone:  # it died with its result, and `wait` tells
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
        """Leave the cluster; the workers stay."""
        with contextlib.suppress(Exception):
            self._client.close(timeout=5)


def words(error: BaseException) -> str:
    """What an error says, on one line."""
    return " ".join(str(error).split()) or type(error).__name__
