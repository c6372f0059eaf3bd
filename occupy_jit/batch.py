"""Several maps, one after the other: one bad map does not stop the others."""

import os

from occupy_jit import pipeline
from occupy_jit.errors import OccupyError, UsageError
from occupy_jit.files.atomic import shown
from occupy_jit.files.runlog import RunLog


def run(maps, settings, options, dry_run=False):
    """Run maps and say, where there are several, how each one went.

    Parameters
    ----------
    maps : list of str
    settings : occupy_jit.settings.Settings
    options : occupy_jit.pipeline.Options
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
    refuse_same_names(maps, options)
    if options.plot:
        check_matplotlib()
    if not dry_run:
        pipeline.check_directory(options.output_dir)
    if len(maps) == 1:
        _one(maps[0], settings, options, dry_run)
        return 0
    outcomes = []
    for path in maps:
        try:
            _one(path, settings, options, dry_run)
            outcomes.append((path, 0, "done"))
        except OccupyError as error:
            outcomes.append((path, error.exit_status, str(error)))
            RunLog(options.verbosity).warning(str(error))
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


def refuse_same_names(maps, options):
    """Raise UsageError where two maps would write the same files."""
    from occupy_jit.naming import names_for

    seen = {}
    for path in maps:
        scale = names_for(path, options.output_dir).scale
        if scale in seen:
            raise UsageError(f"{shown(path)} and {shown(seen[scale])} would both write {shown(scale)}; run them with "
                             "different --output-dir")
        seen[scale] = path


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
