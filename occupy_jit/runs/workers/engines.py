"""Executors for `occupy_jit.runs.many_maps.run.run_all` that use other processes, here or elsewhere."""

import os
from dataclasses import replace

from occupy_jit.errors import OccupyError, UsageError
from occupy_jit.files.names.paths import shown
from occupy_jit.machine import free_memory
from occupy_jit.machine.threads import thread_count
from occupy_jit.reports.runlog import RunLog
from occupy_jit.runs import warmup
from occupy_jit.runs.one_map.outcome import failed
from occupy_jit.runs.one_map.writing import make_directory
from occupy_jit.runs.workers.distribute import Lost, Processes, distribute


def processes(jobs, threads=None, say=None):
    """Executor that runs several maps at once in processes of this machine, which share its threads.

    Parameters
    ----------
    jobs : int
        Number of processes.
    threads : int, optional
        Of all together; what this process may use if None.
    say : callable, optional
        Called with a line where the processes have to compile the kernels.

    Returns
    -------
    callable
    """
    def execute(work, plans, listener=None):
        from occupy_jit.kernels.jit import cache

        _check_memory_of_all(plans, jobs)
        number = min(jobs, len(plans))
        share = max(1, thread_count(threads) // max(1, number))
        if say is not None:
            warmup.announce_compiling(say)
        crew = Processes(number, one_first=cache.is_cold(), environment={"NUMBA_NUM_THREADS": str(share)})
        yield from _outcomes(work, plans, crew, warmup.ready, listener)

    return execute


def _check_memory_of_all(plans, jobs):
    """Raise UsageError where the largest maps that may run at once would need more memory than there is."""
    there = free_memory.available()
    needs = sorted((plan.memory_bytes for plan in plans), reverse=True)
    if there is None or sum(needs[:jobs]) <= there or len(needs) < 2:
        return
    fitting = next((number for number in range(jobs, 0, -1) if sum(needs[:number]) <= there), 0)
    advice = (f"{fitting} at once would fit" if fitting else "not even the largest alone fits; ask for more memory, or "
              "use a smaller box")
    raise UsageError(f"{min(jobs, len(needs))} maps at once need about {sum(needs[:jobs]) / 1e9:.1f} GB of memory, "
                     f"{there / 1e9:.1f} GB are available; {advice}")


def dask(address, jobs=None, say=None):
    """Executor that hands the maps to the workers of a dask cluster.

    Names of files in the plans must be absolute: a worker has a current directory of its own.

    Parameters
    ----------
    address : str
        Of the scheduler, or the name of its scheduler file, or "slurm" to start workers as SLURM jobs.
    jobs : int, optional
        Number of SLURM jobs.
    say : callable, optional
        Called with one line of what is waited for.

    Returns
    -------
    callable
    """
    def execute(work, plans, listener=None):
        import functools

        from occupy_jit.runs.workers import dask as dask_workers

        if not plans:
            return
        folder = plans[0].options.output_dir
        make_directory(folder)
        inputs = sorted({os.path.dirname(path) for plan in plans for path in (plan.path, *plan.also_read)})
        with dask_workers.Probe(folder, inputs) as probe:
            crew = (dask_workers.SlurmWorkers(jobs, say or (lambda line: None)) if address == "slurm"
                    else dask_workers.DaskWorkers(address))
            check = functools.partial(dask_workers.check_worker, *probe.arguments)
            yield from _outcomes(work, plans, crew, check, listener)

    return execute


def _outcomes(work, plans, crew, prepare, listener):
    """Outcomes as they come; the lines of their logs go to the listener, each log in one piece."""
    # the list of all maps is no business of a worker that runs one of them
    sent = [replace(plan, options=replace(plan.options, input_map=())) for plan in plans]
    for index, result in distribute(work, sent, crew, prepare, RunLog(listener).warning):
        if isinstance(result, Lost):
            plan = plans[index]
            error = OccupyError(f"{shown(plan.path)}: {result.reason}; what it needs is told by a run on it alone")
            yield failed(plan.path, error, RunLog(listener), plan.label)
            continue
        if listener is not None:
            for line in result.lines:
                if line.levelno >= listener.level:
                    listener.handle(line)
        yield result
