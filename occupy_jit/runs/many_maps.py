"""Several maps, one after the other: one bad map does not stop the others."""

import os
import traceback

from occupy_jit.errors import UsageError, explain
from occupy_jit.files.paths import file_identity, shown
from occupy_jit.reports.runlog import RunLog
from occupy_jit.runs import one_map as pipeline


def run(maps, settings, options, dry_run=False):
    """Run maps and say, where there are several, how each one went.

    Parameters
    ----------
    maps : list of str
    settings : occupy_jit.settings.Settings
    options : occupy_jit.runs.one_map.Options
    dry_run : bool
        Only check and say what would be done.

    Returns
    -------
    int
        0, or the worst exit status of any map.

    Raises
    ------
    OccupyError
        Where there is one map and it fails, or where nothing can be run at all.
    """
    refuse_same_names(maps, settings, options)
    if options.plot:
        check_matplotlib()
    pipeline.check_directory(options.output_dir)
    if len(maps) == 1:
        _one(maps[0], settings, options, dry_run)
        return 0
    outcomes = []
    for path in maps:
        try:
            _one(path, settings, options, dry_run)
            outcomes.append((path, 0, "done"))
        except Exception as error:  # whatever one map brings up, the others still run
            if isinstance(error, BrokenPipeError):
                raise
            status, kind, message = explain(error)
            outcomes.append((path, status, message))
            RunLog(options.verbosity).error(message, kind)
            if kind != "error" and options.verbosity > 0:
                traceback.print_exc()
    _table(outcomes, options)
    return max(status for _, status, _ in outcomes)


def _one(path, settings, options, dry_run):
    plan = pipeline.plan(path, settings, options)
    if dry_run:
        pipeline.describe(plan)
        return
    log = RunLog(options.verbosity)
    log.header(options.command_line, [path])
    pipeline.run_map(plan, settings, options, log)


def refuse_same_names(maps, settings, options):
    """Raise UsageError where two maps would write the same files, or one would overwrite another's input."""
    inputs = {file_identity(path): path for path in (*pipeline.masks(options), *maps)}
    writers = {}
    for path in maps:
        outputs = pipeline.planned_outputs(path, settings, options)[1]
        for role, output in outputs.items():
            if output in writers:
                raise UsageError(f"{shown(path)} and {shown(writers[output])} would both write {shown(output)}; run "
                                 "them with different --output-dir")
            overwritten = inputs.get(file_identity(output))
            if overwritten is not None:
                raise UsageError(f"{shown(output)}: the {role} of {shown(path)} would overwrite the input "
                                 f"{shown(overwritten)}; use another -o or --output-dir")
        writers.update(dict.fromkeys(outputs.values(), path))


def check_matplotlib():
    """Raise UsageError now, and not after the work, if plots cannot be made."""
    import importlib.util

    if importlib.util.find_spec("matplotlib") is None:
        raise UsageError('--plot needs matplotlib; install it with: pip install "occupy_jit[plot]"')


def _table(outcomes, options):
    failed = [row for row in outcomes if row[1]]
    if options.verbosity < 0 and not failed:
        return
    width = max(len(shown(os.path.basename(path))) for path, _, _ in outcomes)
    print(f"\n{len(outcomes) - len(failed)} of {len(outcomes)} maps done")
    for path, status, text in outcomes:
        print(f"  {shown(os.path.basename(path)):{width}}  {status}  {text.splitlines()[0]}")
