"""From a parsed command line to runs: which maps, with what options, and what is said at the end."""

import os
import sys

from occupy_jit.errors import InputError, OccupyError, UsageError
from occupy_jit.files import atomic


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
    atomic.install_signal_handlers()
    if namespace.warm_up:
        return _warm_up(namespace)
    from occupy_jit import pipeline

    if namespace.rerun:
        namespace, settings = _recorded(namespace)
    options = _options(namespace, pipeline.Options)
    if namespace.relion_classes or namespace.common_scale:
        from occupy_jit import classes

        return classes.run(namespace.relion_classes, namespace.input_map, settings, options, namespace.dry_run)
    from occupy_jit import batch

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


def _warm_up(namespace):
    import time

    from occupy_jit import warmup
    from occupy_jit.kernels import _cache

    start = time.perf_counter()
    if namespace.verbosity >= 0:
        print("compiling the kernels; this takes some seconds, once for every version and kind of machine", flush=True)
    warmup.load()
    if namespace.verbosity >= 0:
        places = [str(place) for place in _cache.places()]
        print(f"done in {time.perf_counter() - start:.1f} s; kept in {places[0] if places else 'memory only'}")
    return 0


def _recorded(namespace):
    """Namespace and settings of an earlier run, from its record."""
    from occupy_jit.cli import parser
    from occupy_jit.files.record import read_record

    record = read_record(namespace.rerun)
    try:
        path, digest = record["input"]["path"], record["input"]["sha256"]
        recorded_settings, recorded_options = record["settings"], record["options"]
    except (KeyError, TypeError):
        raise InputError(f"{atomic.shown(namespace.rerun)}: is no record of a run on one map; give the "
                         "occupy_NAME.json of a run") from None
    if not os.path.exists(path):
        raise InputError(f"{atomic.shown(path)}: the input of the recorded run does not exist any more; put it back")
    if digest is not None and _sha256(path) != digest:
        raise InputError(f"{atomic.shown(path)}: has changed since the recorded run (its checksum differs); put the "
                         "original back, or run it with -i")
    settings = parser.settings_from(namespace, recorded_settings)
    translated = {"target_masks": "target_mask", "chimerax": "save_chimerax"}
    for name, value in recorded_options.items():
        attribute = translated.get(name, name)
        if attribute not in namespace.given and hasattr(namespace, attribute):
            setattr(namespace, attribute, value)
    namespace.input_map = [path]
    namespace.given = frozenset(namespace.given | set(record.get("given", ())))
    return namespace, settings


def _sha256(path):
    import hashlib

    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() if hasattr(hashlib, "file_digest") else hashlib.sha256(
            file.read()).hexdigest()


def _explain_demo(options):
    where = os.path.abspath(options.output_dir)
    print(f"""
The demo map is EMD-11007 (EMDB, CC0), made smaller. To look at the result:
  chimerax {os.path.join(where, 'chimX_emd_11007_demo.cxc')}
  {os.path.join(where, 'log_emd_11007_demo.txt')}  tells what was measured
Next: OccuPy -i your_map.mrc --amplify --plot""", file=sys.stdout)


__all__ = ["demo_map", "run", "OccupyError", "UsageError"]
