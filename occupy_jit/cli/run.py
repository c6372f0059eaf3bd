"""From a parsed command line to runs: which maps, with what options, and what is said at the end."""

import os
import sys

from occupy_jit.errors import InputError
from occupy_jit.files.paths import shown
from occupy_jit.files.signals import install_signal_handlers
from occupy_jit.machine.threads import thread_count
from occupy_jit.runs import warmup


def run(namespace, settings):
    """Do what the command line asks for.

    Parameters
    ----------
    namespace : argparse.Namespace
        From `occupy_jit.cli.parser.parse`.
    settings : occupy_jit.settings.Settings

    Returns
    -------
    int
        Exit status: the worst of all maps.
    """
    install_signal_handlers("OccuPy: error: interrupted; nothing incomplete was left\n")
    # numba starts as many threads as the machine has processors unless it is told before it is loaded
    os.environ.setdefault("NUMBA_NUM_THREADS", str(thread_count(namespace.threads)))
    announce = print if namespace.verbosity >= 0 else None
    if namespace.warm_up:
        return _warm_up(announce)
    if not namespace.dry_run:
        warmup.start(announce)
    from occupy_jit.runs import one_map as pipeline

    if namespace.rerun:
        namespace, settings = _recorded(namespace)
    options = _options(namespace, pipeline.Options)
    if namespace.relion_classes or namespace.common_scale:
        from occupy_jit.runs import classification as classes

        return classes.run(namespace.relion_classes, namespace.input_map, settings, options, namespace.dry_run)
    from occupy_jit.runs import many_maps as batch

    maps = [demo_map()] if namespace.demo else namespace.input_map
    status = batch.run(maps, settings, options, namespace.dry_run)
    if namespace.demo and status == 0 and namespace.verbosity >= 0 and not namespace.dry_run:
        _explain_demo(options)
    return status


def demo_map():
    """Path of the map that ships with the package."""
    return os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "demo", "emd_11007_demo.mrc")


def _options(namespace, options_class):
    return options_class(
        output_dir=namespace.output_dir, output_map=namespace.output_map, voxel_size=namespace.voxel_size,
        solvent_def=namespace.solvent_def, target_masks=tuple(namespace.target_mask or ()),
        save_all_maps=namespace.save_all_maps, plot=namespace.plot, chimerax=namespace.save_chimerax,
        json=namespace.json, save_solvent_def=namespace.save_solvent_def,
        subtraction_mask=namespace.subtraction_mask, min_vis_scale=namespace.min_vis_scale,
        threads=namespace.threads, verbosity=namespace.verbosity,
        command_line=("OccuPy", *namespace.command_line), given=namespace.given)


def _warm_up(announce):
    import time

    from occupy_jit.kernels.jit import cache as _cache

    start = time.perf_counter()
    warmup.load(announce)
    if announce is not None:
        announce(f"kernels are ready after {time.perf_counter() - start:.1f} s; kept in "
                 f"{_cache.places()[1] or 'memory only, as no directory can be written to'}")
    return 0


def _recorded(namespace):
    """Namespace and settings of an earlier run, from its record."""
    from occupy_jit.cli import parser
    from occupy_jit.reports.record import read_record

    record = read_record(namespace.rerun)
    try:
        star, maps, digests = _recorded_inputs(record)
        recorded_settings, recorded_options = record["settings"], record["options"]
    except (KeyError, TypeError, AttributeError):
        raise InputError(f"{shown(namespace.rerun)}: is no record of a run; give the occupy_NAME.json of a run"
                         ) from None
    damaged = InputError(f"{shown(namespace.rerun)}: settings or options in it are not those of this version; "
                         "run the map again with -i")
    if not (all(isinstance(path, str) for path in (*maps, *digests))
            and isinstance(recorded_settings, dict) and isinstance(recorded_options, dict)):
        raise damaged
    for path, digest in digests.items():
        if not os.path.exists(path):
            raise InputError(f"{shown(path)}: the input of the recorded run does not exist any more; put it "
                             "back")
        if digest is not None and _sha256(path) != digest:
            raise InputError(f"{shown(path)}: has changed since the recorded run (its checksum differs); put "
                             "the original back, or run it with -i")
    try:
        settings = parser.settings_from(namespace, recorded_settings)
    except TypeError:
        raise damaged from None
    translated = {"target_masks": "target_mask", "chimerax": "save_chimerax"}
    for name, value in recorded_options.items():
        attribute = translated.get(name, name)
        if not hasattr(namespace, attribute) or not _plausible(attribute, value):
            raise damaged
        if attribute not in namespace.given:
            setattr(namespace, attribute, value)
    if star is None:
        namespace.input_map, namespace.common_scale = maps, len(maps) > 1
    else:
        namespace.relion_classes = star
    namespace.given = frozenset(namespace.given | set(record.get("given", ())))
    return namespace, settings


def _recorded_inputs(record):
    """STAR file or None, maps, and the checksum of each file that a recorded run has read."""
    if "inputs" not in record:
        entry = record["input"]
        return None, [entry["path"]], {entry["path"]: entry["sha256"]}
    entry = record["inputs"]
    digests = {run["input"]["path"]: run["input"]["sha256"] for run in record["runs"]}
    star = entry["relion_classes"]
    if star is not None:
        digests[star] = entry["sha256"]
    return star, [path for path in entry["maps"] if path is not None], digests


_TEXT_OPTIONS = ("output_dir", "output_map", "solvent_def")
_NUMBER_OPTIONS = ("voxel_size", "save_solvent_def", "min_vis_scale", "threads")


def _plausible(option, value):
    """Whether a recorded value can be that of an option: a record may have been edited."""
    if option == "target_mask":
        return isinstance(value, list) and all(isinstance(item, str) for item in value)
    if option == "output_dir" and value is None:
        return False
    kinds = (str,) if option in _TEXT_OPTIONS else (int, float) if option in _NUMBER_OPTIONS else (bool,)
    return value is None or isinstance(value, kinds)


def _sha256(path):
    from occupy_jit.files.checksum import Checksum

    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError as error:
        raise InputError(f"{shown(path)}: cannot be read: {error.strerror}; check the file") from error
    try:
        return Checksum(descriptor, path).hexdigest()
    finally:
        os.close(descriptor)


def _explain_demo(options):
    where = os.path.abspath(options.output_dir)
    print(f"""
The demo map is EMD-11007 (EMDB, CC0), made smaller. To look at the result:
  chimerax {os.path.join(where, 'chimX_emd_11007_demo.cxc')}
  {os.path.join(where, 'log_emd_11007_demo.txt')}  tells what was measured
Next: OccuPy -i your_map.mrc --amplify --plot""", file=sys.stdout)
