"""Executors: they run the plans of several maps in this process, in processes beside it, or on a cluster."""

import functools
import logging
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Protocol

from occupy_jit.errors import OccupyError, UsageError
from occupy_jit.files.names.paths import shown
from occupy_jit.machine import free_memory
from occupy_jit.machine.threads import thread_count
from occupy_jit.reports.runlog import RunLog
from occupy_jit.runs import warmup
from occupy_jit.runs.one_map.outcome import Outcome, failed
from occupy_jit.runs.one_map.writing import make_directory
from occupy_jit.runs.plan.plan import Plan
from occupy_jit.runs.workers.crew import Crew, Lost
from occupy_jit.settings import Options

Work = Callable[[Plan, logging.Handler | None], Outcome]
"""`run_one` or `measure_one` of `occupy_jit.runs.one_map.run`."""


class Executor(Protocol):
    """Runs plans and yields their outcomes in order of completion."""

    def __call__(self, work: Work, plans: Sequence[Plan], listener: logging.Handler | None = None
                 ) -> Iterator[Outcome]:
        """Run the work on every plan; the listener receives the lines of every log, at the latest with the outcome."""
        ...


def in_turn(work: Work, plans: Sequence[Plan], listener: logging.Handler | None = None) -> Iterator[Outcome]:
    """Run plans one after the other in this process: the simplest executor.

    Parameters
    ----------
    work : callable
    plans : sequence of Plan
    listener : logging.Handler, optional
        Gets the lines of every log while they are written.

    Yields
    ------
    Outcome
    """
    for plan in plans:
        yield work(plan, listener)


def executor_for(options: Options, say: Callable[[str], None] | None = None) -> Executor:
    """The executor for the options: this process, several processes, or a cluster.

    Parameters
    ----------
    options : Options
        Uses ``cluster``, ``cluster_jobs``, ``jobs`` and ``threads``.
    say : callable, optional
        Called with a line during waiting.

    Returns
    -------
    Executor
    """
    if options.cluster is not None:
        return dask(options.cluster, options.cluster_jobs, say)
    if options.jobs > 1:
        return processes(options.jobs, options.threads, say)
    return in_turn


def processes(jobs: int, threads: int | None = None, say: Callable[[str], None] | None = None) -> Executor:
    """Executor that runs several maps at once in processes of this machine, which share its threads.

    Parameters
    ----------
    jobs : int
        Number of processes.
    threads : int, optional
        Of all processes together; all available ones if None.
    say : callable, optional
        Called with a line if the processes must compile the kernels.

    Returns
    -------
    Executor
    """
    def execute(work: Work, plans: Sequence[Plan], listener: logging.Handler | None = None) -> Iterator[Outcome]:
        from occupy_jit.kernels.jit import cache
        from occupy_jit.runs.workers.processes import Processes

        _check_memory_of_all(plans, jobs)
        number = min(jobs, len(plans))
        share = max(1, thread_count(threads) // max(1, number))
        if say is not None:
            warmup.announce_compiling(say)
        crew = Processes(number, one_first=cache.is_cold(), environment={"NUMBA_NUM_THREADS": str(share)})
        yield from _outcomes(work, plans, crew, warmup.ready, listener)

    return execute


def _check_memory_of_all(plans: Sequence[Plan], jobs: int) -> None:
    """Raise UsageError if the largest maps that may run at once would need more memory than available."""
    there = free_memory.available()
    needs = sorted((plan.memory_bytes for plan in plans), reverse=True)
    if there is None or sum(needs[:jobs]) <= there or len(needs) < 2:
        return
    fitting = next((number for number in range(jobs, 0, -1) if sum(needs[:number]) <= there), 0)
    advice = (f"{fitting} at once would fit" if fitting else "even the largest alone does not fit; ask for more "
                                                             "memory, or use a smaller box")
    raise UsageError(f"{min(jobs, len(needs))} maps at once need about {sum(needs[:jobs]) / 1e9:.1f} GB of memory, "
                     f"{there / 1e9:.1f} GB are available; {advice}")


def dask(address: str, jobs: int | None = None, say: Callable[[str], None] | None = None) -> Executor:
    """Executor that runs maps on the workers of a dask cluster.

    File names in the plans must be absolute, because a worker has its own current directory.

    Parameters
    ----------
    address : str
        Of the scheduler, or the name of its scheduler file, or "slurm" to start workers as SLURM jobs.
    jobs : int, optional
        Number of SLURM jobs.
    say : callable, optional
        Called with a line during waiting.

    Returns
    -------
    Executor
    """
    def execute(work: Work, plans: Sequence[Plan], listener: logging.Handler | None = None) -> Iterator[Outcome]:
        from occupy_jit.runs.workers.probe import Probe, check_worker

        if not plans:
            return
        folder = plans[0].options.output_dir
        make_directory(folder)
        inputs = sorted({os.path.dirname(path) for plan in plans for path in (plan.path, *plan.also_read)})
        with Probe(folder, inputs) as probe:
            crew = _crew_of_cluster(address, jobs, say or (lambda line: None))
            yield from _outcomes(work, plans, crew, functools.partial(check_worker, *probe.arguments), listener)

    return execute


def _crew_of_cluster(address: str, jobs: int | None, say: Callable[[str], None]) -> Crew:
    if address == "slurm":
        from occupy_jit.runs.workers.slurm import SlurmWorkers

        assert jobs is not None, "the command line asks for their number"
        return SlurmWorkers(jobs, say)
    from occupy_jit.runs.workers.dask import DaskWorkers

    return DaskWorkers(address)


def _outcomes(work: Work, plans: Sequence[Plan], crew: Crew, prepare: Callable[[], str | None],
              listener: logging.Handler | None) -> Iterator[Outcome]:
    """Outcomes in order of completion; the lines of each log go to the listener in one piece."""
    from occupy_jit.runs.workers.distribute import distribute

    # a worker that runs one map does not need the list of all maps
    sent = [replace(plan, options=replace(plan.options, input_map=())) for plan in plans]
    for index, result in distribute(work, sent, crew, prepare, RunLog(listener).warning):
        if isinstance(result, Lost):
            plan = plans[index]
            error = OccupyError(f"{shown(plan.path)}: {result.reason}; run it alone to see how much it needs")
            yield failed(plan.path, error, RunLog(listener), plan.label)
            continue
        if listener is not None:
            for line in result.lines:
                if line.levelno >= listener.level:
                    listener.handle(line)
        yield result
