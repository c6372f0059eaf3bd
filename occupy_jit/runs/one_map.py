"""One map: read, estimate, modify, write. Knows nothing of a command line."""

import os
import platform
from dataclasses import asdict, dataclass, field

from occupy_jit import __version__
from occupy_jit import modifications as kinds_
from occupy_jit.errors import InputError, OccupyError, UsageError
from occupy_jit.files.outputs import Outputs
from occupy_jit.files.paths import same_file, shown
from occupy_jit.machine.threads import thread_count
from occupy_jit.runs import memory_need as memory
from occupy_jit.runs import names as naming
from occupy_jit.runs import warmup
from occupy_jit.settings import Settings

PROGRAM = f"OccuPy {__version__}"

_MAP_SUFFIXES = (".mrc", ".map", ".ccp4", ".rec")
# Scale above which a voxel counts as occupied, and the level, as a share of full scale, of the first surfaces.
OCCUPIED = 0.2
SHOWN_LEVEL = 0.25
# Protein, 1.35 g/cm^3.
DALTON_PER_CUBIC_ANGSTROM = 0.813


@dataclass(frozen=True)
class Options:
    """What to read and to write, and how to run; what to compute is in `Settings`.

    Attributes
    ----------
    output_dir : str
    output_map : str or None
        Name of the modified map.
    voxel_size : float or None
        Å, instead of the header's.
    solvent_def : str or None
        Mask that marks what is not solvent.
    target_masks : tuple of str
    save_all_maps, plot, chimerax, json : bool
    save_solvent_def : float or None
        Scale above which the mask that is written is 1.
    subtraction_mask : bool
    min_vis_scale : float
    threads : int or None
    command_line : tuple of str
        As it was typed, for log and record.
    given : frozenset of str
        Names of the settings that the user gave.
    """

    output_dir: str = "."
    output_map: str | None = None
    voxel_size: float | None = None
    solvent_def: str | None = None
    target_masks: tuple = ()
    save_all_maps: bool = False
    plot: bool = False
    chimerax: bool = True
    json: bool = True
    save_solvent_def: float | None = None
    subtraction_mask: bool = False
    min_vis_scale: float = 0.2
    threads: int | None = None
    verbosity: int = 0
    command_line: tuple = ()
    given: frozenset = field(default_factory=frozenset)


@dataclass
class Plan:
    """Everything about one map that is known, and checked, before its data is read."""

    path: str
    header: object
    names: naming.Names
    outputs: dict  # role -> path
    memory_bytes: int


def plan(path, settings, options):
    """Check an input and say what will be written.

    Raises
    ------
    InputError
        If the input, or a mask, cannot be used.
    UsageError
        If an output would overwrite an input.
    """
    from occupy_jit.files.map_reading import read_header

    header = read_header(path, options.voxel_size)
    for mask in masks(options):
        if not os.path.exists(mask):
            raise InputError(f"{shown(mask)}: no such file; check the name of the mask")
    names, outputs = planned_outputs(path, settings, options)
    for role, output in outputs.items():
        for source in (path, *masks(options)):
            if same_file(output, source):
                raise UsageError(f"{shown(output)}: the {role} would overwrite an input; use another -o or "
                                 "--output-dir")
    needs = memory.needed(header.shape, settings, options)
    return Plan(path, header, names, outputs, needs)


def masks(options):
    """Names of all masks that `options` ask for."""
    return [mask for mask in (options.solvent_def, *options.target_masks) if mask is not None]


def planned_outputs(path, settings, options):
    """Names of the files that a run on `path` would write.

    Returns
    -------
    names : occupy_jit.runs.names.Names
    outputs : dict
        Role -> path.

    Raises
    ------
    UsageError
        If the name given for the modified map cannot be used, or two outputs would have one name.
    """
    names = naming.names_for(path, options.output_dir, options.output_map)
    kinds = kinds_.requested(settings)
    outputs = {"scale": names.scale}
    for kind in kinds:
        outputs[kind.name] = names.out if kind.prefix == "out_" else names.path(kind.prefix, ".mrc")
    if options.save_all_maps:
        outputs["low-passed map"] = names.path("lowpass_", ".mrc")
        outputs["confidence"] = names.path("conf_", ".mrc")
        for kind in kinds:
            outputs[f"factor of {kind.name}"] = names.path(f"factor_{kind.prefix}", ".mrc")
    if options.save_solvent_def is not None:
        outputs["solvent definition"] = names.path("solventdef_", ".mrc")
    if options.subtraction_mask:
        outputs["subtraction mask"] = names.path("subtraction_", ".mrc")
    if options.plot:
        outputs["plot"] = names.path("solModel_", ".png")
        outputs["slices"] = names.path("slices_", ".png")
    if options.chimerax:
        outputs["ChimeraX script"] = names.path("chimX_", ".cxc")
    if options.json:
        outputs["record"] = names.path("occupy_", ".json")
    outputs["log"] = names.path("log_", ".txt")
    if len(set(outputs.values())) < len(outputs):
        twice = next(p for p in outputs.values() if list(outputs.values()).count(p) > 1)
        raise UsageError(f"{shown(twice)}: two outputs would have this name; use another -o")
    return names, outputs


def _wants_confidence(options, kinds):
    return bool(kinds) or options.save_all_maps or options.plot or options.subtraction_mask


def check_memory(plan_):
    """Raise OccupyError if the run would need more memory than there is."""
    there = memory.available()
    if there is not None and plan_.memory_bytes > there:
        raise OccupyError(f"{shown(plan_.path)}: needs about {plan_.memory_bytes / 1e9:.1f} GB of memory, "
                          f"{there / 1e9:.1f} GB are available; ask for more memory, or use a smaller box")


def check_directory(directory):
    """Check, before any work, that the output directory is one or can be made; it is not made yet."""
    name = shown(directory)
    try:
        place = os.path.abspath(directory)
    except OSError as error:
        raise OccupyError(f"{name}: the current directory does not exist any more; change to another") from error
    while not os.path.lexists(place):
        place = os.path.dirname(place)
    if not os.path.isdir(place):
        inside = "" if place == os.path.abspath(directory) else f" in {shown(place)}, which is no directory"
        raise OccupyError(f"{name}: {'the output directory cannot be made' if inside else 'is not a directory'}{inside}"
                          "; choose another --output-dir")
    if not os.access(place, os.W_OK | os.X_OK):
        reason = "the file system is read-only" if os.statvfs(place).f_flag & os.ST_RDONLY else "no permission"
        raise OccupyError(f"{name}: cannot be written to: {reason}; choose another --output-dir")


def make_directory(directory):
    """Make the output directory, as late as there is something to put there: a refused input leaves none."""
    try:
        os.makedirs(directory, exist_ok=True)
    except OSError as error:
        raise OccupyError(f"{shown(directory)}: the output directory cannot be made: {error.strerror}; choose another "
                          "--output-dir") from error


def describe(plan_):
    """Print what a run would do: --dry-run."""
    nz, ny, nx = plan_.header.shape
    there = memory.available()
    print(f"{shown(plan_.path)}: {nx} x {ny} x {nz} voxels of {plan_.header.voxel_size:.4g} Å")
    print(f"  memory: about {plan_.memory_bytes / 1e6:.0f} MB"
          + ("" if there is None else f" of {there / 1e6:.0f} MB available"))
    for role, path in plan_.outputs.items():
        print(f"  would write {shown(path)}  {role}")


def run_map(plan_, settings, options, log, full_scale=None):
    """Run one map that `plan` has checked.

    Parameters
    ----------
    plan_ : Plan
    settings : occupy_jit.settings.Settings
    options : Options
    log : occupy_jit.reports.runlog.RunLog
    full_scale : float, optional
        Common to several maps; searched if not given.

    Returns
    -------
    dict
        The record of the run, as in the JSON file.

    Raises
    ------
    OccupyError
        Nothing is left under a final name then.
    """
    check_memory(plan_)
    workers = thread_count(options.threads)
    with log.timed("read"):
        volume, solvent_mask, target_masks = _read(plan_, options)
    for line in volume.warnings:
        log.warning(f"{shown(plan_.path)}: {line}")

    from occupy_jit.estimation.estimate import estimate

    kinds = kinds_.requested(settings)
    with log.timed("estimate"):
        result = estimate(volume, settings, solvent_mask=solvent_mask,
                          with_confidence=_wants_confidence(options, kinds),
                          keep_lowpass=options.save_all_maps or options.plot or bool(target_masks),
                          overwrite=not (kinds or options.plot), full_scale=full_scale, thread_count=workers)
    for code, sentence in result.verdicts:
        log.verdict(code, sentence)
    make_directory(options.output_dir)
    with Outputs() as outputs:
        writer = _Writer(plan_, volume, outputs, log, options.json)
        writer.map("scale", result.scale, "local scale")
        modified = _write_modified(settings, options, volume, result, kinds, writer, workers)
        results = _results(volume, result)
        if target_masks:
            from occupy_jit.estimation.masked_occupancy import occupancy_of_masks

            results["targets"] = occupancy_of_masks(result, target_masks)
        if options.plot:
            writer.plot(result)
            writer.slices(result, modified)
        if "ChimeraX script" in plan_.outputs:
            writer.chimerax(result, options)
        record = _record(plan_, settings, options, volume, result, results, workers)
        _log_all(log, record)
        writer.record_and_log(record)
    return record


def _read(plan_, options):
    """The map and its masks; kernels are loaded meanwhile, in a thread of their own."""
    warmup.start()
    from occupy_jit.files.map_reading import read_map, read_mask

    volume = read_map(plan_.path, options.voxel_size, checksum=options.json)
    solvent_mask = None if options.solvent_def is None else read_mask(options.solvent_def, volume).data
    targets = [(path, read_mask(path, volume).data) for path in options.target_masks]
    warmup.wait()
    return volume, solvent_mask, targets


class _Writer:
    """Writes the files of one run; all appear together at the end."""

    def __init__(self, plan_, volume, outputs, log, checksums):
        self._plan, self._volume, self._outputs, self._log = plan_, volume, outputs, log
        self._want_checksums = checksums
        self._checksums = {}

    def map(self, role, data, what):
        """Write a map under the name that was planned for this role."""
        from occupy_jit.files.map_writing import write_map

        path = self._plan.outputs[role]
        with self._log.timed("write"):
            self._checksums[path] = write_map(path, data, self._volume, f"{PROGRAM}: {what}", outputs=self._outputs,
                                              checksum=self._want_checksums)

    def plot(self, result):
        """Write solModel_<name>.png."""
        from occupy_jit.reports.plot import solvent_model_png

        model = result.solvent
        centres, mean_confidence = _confidence_by_density(result)
        with self._log.timed("plot"), self._outputs.open(self._plan.outputs["plot"]) as file:
            solvent_model_png(file, name=self._plan.names.stem, bin_edges=model.bin_edges, counts=model.counts,
                              gaussian=(model.amplitude, model.mean, model.sigma) if model.fitted else None,
                              edge=model.edge, zero=result.zero, floor=result.zero + result.floor,
                              full_scale=result.zero + result.full_scale, confidence_centres=centres,
                              confidence_values=mean_confidence,
                              verdicts=[sentence for _, sentence in result.verdicts], version=__version__)

    def slices(self, result, modified):
        """Write slices_<name>.png: the central slice of everything, side by side."""
        from occupy_jit.reports.plot import slices_png

        # the same grey values for input and modified maps: solvent is dark, full scale white
        low, high = result.zero - result.full_scale / 4, result.zero + result.full_scale
        panels = [("input", self._volume.data, "gray", low, high), ("local scale", result.scale, "viridis", 0, 1),
                  ("confidence", result.confidence, "viridis", 0, 1)]
        panels += [(name, data, "gray", low, high) for name, data in modified]
        with self._log.timed("plot"), self._outputs.open(self._plan.outputs["slices"]) as file:
            slices_png(file, panels, version=__version__)

    def chimerax(self, result, options):
        """Write chimX_<name>.cxc."""
        from occupy_jit.reports import chimerax

        planned = self._plan.outputs
        maps = [(path, role) for role, path in planned.items() if path.endswith(_MAP_SUFFIXES) and role != "scale"]
        roles = {kind.name for kind in _kinds()}
        others = [(path, chimerax.MODIFIED if role in roles else role) for path, role in maps]
        box = None
        if result.full_scale_corner is not None:
            box = chimerax.cube(self._volume.position, result.full_scale_corner, result.tile, result.voxel_size)
        for path in (self._plan.path, planned["scale"], *(path for path, _ in others)):
            reason = chimerax.cannot_open(path, self._plan.names.directory)
            if reason is not None:
                self._log.warning(f"{shown(path)} is left out of the ChimeraX script: {reason}")
        text = chimerax.script(self._plan.names.stem, self._plan.path, planned["scale"], others, version=__version__,
                               directory=self._plan.names.directory, full_scale_box=box,
                               level=result.zero + SHOWN_LEVEL * result.full_scale,
                               min_vis_scale=options.min_vis_scale)
        with self._outputs.open(planned["ChimeraX script"], "w") as file:
            file.write(text)

    def record_and_log(self, record):
        """Write occupy_<name>.json and log_<name>.txt, which name every other file, where they are planned."""
        planned = self._plan.outputs
        for role, path in planned.items():
            self._log.wrote(path, role)
        if self._want_checksums:
            with self._log.timed("checksums"):
                record["input"]["sha256"] = self._volume.checksum.hexdigest()
                for entry in record["outputs"]:
                    checksum = self._checksums.get(entry["path"])
                    entry["sha256"] = None if checksum is None else checksum.hexdigest()
            record["timings"] = {name: round(seconds, 4) for name, seconds in self._log.timings.items()}
        if "record" in planned:
            from occupy_jit.reports.record import write_record

            with self._outputs.open(planned["record"], "w") as file:
                write_record(file, record)
        if "log" in planned:
            self._log.show_timings()
            with self._outputs.open(planned["log"], "w") as file:
                file.write(self._log.text())


def _kinds():
    """One of every kind of modification, for their names."""
    return kinds_.requested(Settings(amplify=True, amplify_gamma=2.0, attenuate_gamma=2.0, sigmoid_gamma=2.0)
                                  ) + kinds_.requested(Settings(exclude_solvent=True))


def _write_modified(settings, options, volume, result, kinds, writer, workers):
    """Write every modified map, and the maps that say how they came about; returns their central slices, for --plot."""
    from occupy_jit.estimation import modify as modification

    if options.save_all_maps:
        writer.map("low-passed map", result.lowpass, "low-passed map")
        writer.map("confidence", result.confidence, "confidence")
    noise = None
    if any(kind.name == "attenuate-gamma" for kind in kinds) and not settings.exclude_solvent:
        noise = modification.solvent_noise(volume.data, result.quiet, result.voxel_size, workers)
    buffer, shown_map = None, []
    for kind in kinds:
        refill = noise if kind.name == "attenuate-gamma" else None
        buffer = modification.modified(volume.data, result, settings, kind, refill, buffer, workers)
        writer.map(kind.name, buffer, f"{kind.name} {kind.strength:g}"
                   + (", solvent excluded" if settings.exclude_solvent else ""))
        if options.plot:
            middle = buffer.shape[0] // 2
            shown_map.append((kind.name, buffer[middle:middle + 1].copy()))
        if options.save_all_maps:
            modification.applied_factor(result, settings, kind, buffer)
            writer.map(f"factor of {kind.name}", buffer, f"factor of {kind.name}")
    noise = buffer = None  # make room
    if options.save_solvent_def is not None:
        writer.map("solvent definition", (result.scale > options.save_solvent_def), "solvent definition: 1 is content")
    if options.subtraction_mask:
        writer.map("subtraction mask", modification.subtraction_mask(result, settings, kinds), "subtraction mask")
    return shown_map


def _confidence_by_density(result):
    """Mean of the confidence over the voxels of each bin of the histogram."""
    import numpy as np

    edges = result.solvent.bin_edges
    sums, counts = np.zeros(edges.size - 1), np.zeros(edges.size - 1)
    for low, sure in zip(result.lowpass, result.confidence, strict=True):
        where = np.clip(((low - edges[0]) / (edges[1] - edges[0])).astype(np.int32), 0, edges.size - 2).reshape(-1)
        sums += np.bincount(where, weights=sure.reshape(-1), minlength=sums.size)
        counts += np.bincount(where, minlength=sums.size)
    filled = counts > 0
    return result.solvent.centres[filled], sums[filled] / counts[filled]


def _results(volume, result):
    """What was found, in plain numbers, for log and record."""
    from occupy_jit.kernels.moments import sums_above

    voxel = result.voxel_size ** 3
    limit = max(OCCUPIED, result.solvent_limit)
    occupied, total, largest = sums_above(result.scale, limit)
    corner = result.full_scale_corner
    return {
        "full_scale": result.full_scale,
        "full_scale_corner_zyx": corner,
        "full_scale_tile": result.tile,
        "zero_level": result.zero,
        "noise_floor": result.floor,
        "noise_in_solvent": result.noise,
        "noise_of_scale": result.scale_noise,
        "quiet_share": result.quiet_share,
        "largest_scale": largest,
        "occupied_above_scale": limit,
        "occupied_volume_angstrom3": occupied * voxel,
        "occupied_mass_kda": occupied * voxel * DALTON_PER_CUBIC_ANGSTROM / 1000,
        "mean_scale_of_occupied": total / occupied if occupied else 0.0,
        "solvent_model": {
            "mean": result.solvent.mean, "sigma": result.solvent.sigma, "amplitude": result.solvent.amplitude,
            "edge": result.solvent.edge, "goodness": result.solvent.goodness, "fitted": result.solvent.fitted,
        },
    }


def _record(plan_, settings, options, volume, result, results, workers):
    import mrcfile
    import numba
    import numpy

    return {
        "command_line": list(options.command_line),
        "input": {"path": os.path.abspath(plan_.path), "sha256": None, "shape_zyx": volume.data.shape,
                  "voxel_size_angstrom": volume.voxel_size, "axis_order": volume.axis_order},
        "settings": asdict(settings),
        "given": sorted(options.given),
        "options": {name: value for name, value in asdict(options).items()
                    if name not in ("command_line", "given", "verbosity")},
        "derived": {"lowpass_angstrom": result.lowpass_angstrom, "kernel_size": result.ball.size,
                    "kernel_radius": result.ball.radius, "kernel_voxels": result.ball.voxels, "tau": result.tau,
                    "tile_voxels": result.tile, "threads": workers},
        "results": results,
        "verdicts": [{"code": code, "sentence": sentence} for code, sentence in result.verdicts],
        "warnings": list(volume.warnings),
        "outputs": [{"role": role, "path": path} for role, path in plan_.outputs.items()],
        "versions": {"python": platform.python_version(), "numpy": numpy.__version__, "numba": numba.__version__,
                     "mrcfile": mrcfile.__version__},
    }


def _log_all(log, record):
    """Settings and results, as rows of the log."""
    derived = record["derived"]
    given = set(record["given"])
    log.settings([(name, value, "given" if name in given else "default")
                  for name, value in record["settings"].items()]
                 + [(name, value, "derived") for name, value in derived.items()])
    found = record["results"]
    log.results([
        ("low-pass", derived["lowpass_angstrom"], "Å"),
        ("kernel", f"{derived['kernel_size']} voxels, radius {derived['kernel_radius']:g}"),
        ("full scale", found["full_scale"],
         "" if found["full_scale_corner_zyx"] is None else
         f"in the cube of {found['full_scale_tile']} voxels at [z, y, x] = {list(found['full_scale_corner_zyx'])}"),
        ("zero level", found["zero_level"]),
        ("noise floor", found["noise_floor"]),
        ("solvent model", f"mean {found['solvent_model']['mean']:.4g}, sigma {found['solvent_model']['sigma']:.4g}, "
                          f"up to {found['solvent_model']['edge']:.4g}"),
        ("occupied", f"{found['occupied_volume_angstrom3']:.0f} Å^3 above scale {found['occupied_above_scale']:.2f}, "
                     f"mean {found['mean_scale_of_occupied']:.2f}"),
    ])
    for target in found.get("targets", ()):
        log.results([(f"occupancy in {shown(target['mask'])}", f"{target['occupancy']:.3f} ± {target['error']:.3f}")])
