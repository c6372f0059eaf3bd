"""From settings and options to runs: maps, messages, and the exit status."""

from __future__ import annotations

import logging
import os
import sys
import warnings
from dataclasses import replace
from typing import TYPE_CHECKING

from occupy_jit.cli import many, parser
from occupy_jit.cli.gathering import Gathering, gathered
from occupy_jit.machine.threads import environment_number, thread_count
from occupy_jit.runs import warmup
from occupy_jit.runs.one_map.outcome import worst

if TYPE_CHECKING:
    from occupy_jit.cli.console import Console
    from occupy_jit.settings import Options, Settings


def run(settings: Settings, options: Options, console: Console) -> int:
    """Run the command line.

    Parameters
    ----------
    settings : occupy_jit.settings.Settings
    options : occupy_jit.settings.Options
    console : occupy_jit.cli.console.Console

    Returns
    -------
    int
        Exit status: the worst of all maps.
    """
    # numba starts as many threads as the machine has processors unless this is set before it is loaded, and cannot
    # be loaded with a wrong value
    if "numba" not in sys.modules:
        given = os.environ.get("NUMBA_NUM_THREADS")
        if given and not environment_number("NUMBA_NUM_THREADS"):
            warnings.warn(f"NUMBA_NUM_THREADS={given} is not a number of threads and is ignored", stacklevel=1)
        os.environ["NUMBA_NUM_THREADS"] = str(thread_count(options.threads))
    # otherwise waiting threads of OpenMP spin after every kernel, and take processors from working ones
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    # sums of linear algebra depend on the number of threads, and the matrices here are small
    os.environ.update(OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")
    if options.warm_up:
        return _warm_up(console)
    if options.collect:
        return _collect(options, console)
    if not options.dry_run and options.jobs == 1 and options.cluster is None:
        from occupy_jit.runs.plan.memory import wanted

        bare = not (options.rerun or options.relion_classes or options.common_scale or options.demo
                    or any(wanted(settings, options)))
        warmup.start(console.say, rest=bool(options.half_maps), bare=bare)
    if options.rerun:
        from occupy_jit.cli.rerun import repeated

        settings, options = repeated(settings, options)
        parser.check(options)
    options = many.with_maps(options, console)
    if options.states is not None:
        from occupy_jit.runs.states import run as states
        from occupy_jit.runs.workers.engines import executor_for

        return states.run(options, console, executor_for(options, console.say))
    if options.relion_classes or options.common_scale:
        return _run_group(settings, options, console)
    if len(options.input_map) > 1 or options.array:
        return many.run_maps(settings, options, console)
    return _run_map(settings, options, console)


def demo_map() -> str:
    """Path of the demo map."""
    return os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "demo", "emd_11007_demo.mrc")


def _run_map(settings, options, console):
    """One map."""
    from occupy_jit.runs.many_maps.run import plan_all, without_finished
    from occupy_jit.runs.one_map.run import run_one
    from occupy_jit.runs.plan.plan import described
    from occupy_jit.runs.workers.engines import executor_for

    if options.demo and "report" not in options.given:
        options = replace(options, report=True)
    maps = (demo_map(),) if options.demo else options.input_map
    plans, outcomes = plan_all(maps, settings, options, console)
    if options.dry_run:
        for plan in plans:
            console.write("\n".join(described(plan)))
        return worst(outcomes)
    if options.resume:
        planned = len(plans)
        finished, plans = without_finished(plans)
        outcomes += finished
        many.told_of_finished(len(finished), planned, console)
    outcomes += executor_for(options, console.say)(run_one, plans, console)
    if options.demo and not worst(outcomes):
        console.say("The demo map is EMD-11007 (EMDB, CC0), reduced in size. Next: OccuPy -i your_map.mrc --amplify "
                    "--report")
    return worst(outcomes)


def _collect(options, console):
    """Merge the tables of an array, and find states in them if requested."""
    if options.states is None:
        return many.collect(options.collect, console)
    from occupy_jit.runs.states import collected

    status = many.collect(options.collect, console) if collected.has_tasks(options.collect) else 0
    return max(status, collected.run(options, console))


def _run_group(settings, options, console):
    """Maps on one common scale."""
    from occupy_jit.runs.classes import run as classification
    from occupy_jit.runs.workers.engines import executor_for

    listener = console if console.level <= logging.DEBUG else Gathering(console)
    with gathered(listener):
        if not options.dry_run:
            return classification.run(settings, options, listener, executor_for(options, console.say))
        lines, status = classification.describe(settings, options, listener)
    console.write("\n".join(lines))
    return status


def _warm_up(console):
    import time

    from occupy_jit.kernels.jit import cache

    start = time.perf_counter()
    warmup.load(console.say)
    console.detail(*warmup.remarks())
    console.say(f"kernels are ready after {time.perf_counter() - start:.1f} s; kept in "
                f"{cache.kept_in() or 'memory only, because no directory is writable'}")
    return 0
