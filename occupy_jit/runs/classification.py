"""Several maps on one common scale: the classes of a 3D classification, or maps that are given together.

Zero level and noise floor are each map's own, the full scale is the largest of all, so that occupancies can be
compared between them. Two passes: the first measures the full scale of each map, the second runs each map with the
common one. What compares the classes is then taken from the scale maps that were written, slab by slab, so that no
more than one map is ever in memory.
"""

import csv
import io
import os
import platform
import re
from dataclasses import asdict, dataclass, replace
from statistics import median

from occupy_jit import modifications as kinds_
from occupy_jit.errors import InputError, OccupyError, UsageError, explain
from occupy_jit.files.outputs import Outputs
from occupy_jit.files.paths import file_identity, shown
from occupy_jit.machine.threads import thread_count
from occupy_jit.reports.runlog import RunLog
from occupy_jit.runs import many_maps as batch
from occupy_jit.runs import one_map as pipeline
from occupy_jit.runs import warmup

# A class whose own full scale is this many times that of the others may be an artefact that darkens them all.
_SUSPICIOUS_RATIO = 1.5
_ROWS_SHOWN = 24


@dataclass
class _Class:
    """One map of the group and what becomes of it."""

    label: str
    path: str | None
    reference: str | None = None  # its name in the STAR file
    share: float | None = None
    resolution: float | None = None
    plan: pipeline.Plan | None = None
    own: object = None  # full scale of its own, an `estimation.FullScale`
    record: dict | None = None
    status: int = 0
    problem: str | None = None

    def fails(self, error, log):
        """Leave the class out, with one line that says why."""
        self.status, kind, self.problem = explain(error)
        log.error(f"{self.label}: {self.problem}; left out", kind)


@dataclass
class _Group:
    """All classes, and the files that tell of them together."""

    name: str
    classes: list
    outputs: dict  # role -> path
    model: object = None  # the STAR file, as `files.star` reads it
    project: str = os.curdir
    notes: tuple = ()
    brightest: _Class | None = None  # whose full scale is that of all

    @property
    def usable(self):
        """list : The classes that nothing is wrong with."""
        return [entry for entry in self.classes if not entry.status]


def run(star_path, maps, settings, options, dry_run=False):
    """Run the classes of a classification, or several maps, on one common scale.

    Parameters
    ----------
    star_path : str or None
        run_itNNN_model.star of RELION; its classes are modified with ``amplify`` unless another modification, or
        none, was asked for.
    maps : list of str or None
        Maps, where there is no STAR file.
    settings : occupy_jit.settings.Settings
    options : occupy_jit.runs.one_map.Options
    dry_run : bool
        Only check and say what would be done.

    Returns
    -------
    int
        0, or the worst exit status of any class.

    Raises
    ------
    OccupyError
        No class can be used, or what all of them share cannot be read or written.
    """
    log = RunLog(options.verbosity)
    notes = []
    if star_path is not None and not settings.amplify and "amplify" not in options.given and not any(
            (settings.amplify_gamma, settings.attenuate_gamma, settings.sigmoid_gamma)):
        settings = replace(settings, amplify=True)
        notes.append(f"no modification was given: --amplify is on, with amount {settings.amplify_amount:g} "
                     "(--no-amplify for the scale alone)")
    if options.plot:
        batch.check_matplotlib()
    pipeline.check_directory(options.output_dir)
    group = _maps_group(maps, options) if star_path is None else _star_group(star_path, settings, options)
    if not dry_run:
        log.header(options.command_line, [star_path] if star_path is not None else maps)
    for note in (*notes, *group.notes):
        log.say(note)
    _plan(group, settings, options, log)
    if dry_run:
        _describe(group)
        return _status(group)
    group.brightest = _measure(group, settings, options, log)
    common = group.brightest.own.value
    for entry in group.usable:
        log.say(f"{entry.label}: {shown(entry.path)}")
        try:
            # what concerns all classes is written once, for all of them
            entry.record = pipeline.run_map(entry.plan, settings, options, log, full_scale=common)
        except Exception as error:  # whatever one map brings up, the others still run
            entry.fails(error, log)
    _require_usable(group)
    _finish(group, settings, options, common, log)
    return _status(group)


def _status(group):
    return max(entry.status for entry in group.classes)


def _require_usable(group):
    if not group.usable:
        worst = _status(group)
        kind = next((k for k in (InputError, UsageError) if k.exit_status == worst), OccupyError)
        raise kind(f"{group.name}: none of the {len(group.classes)} classes can be used; see the lines above")


# Which classes -------------------------------------------------------------------------------------------------------


def _star_group(star_path, settings, options):
    from occupy_jit.files import star

    model = star.read_classes(star_path)
    found = star.locate(model)
    classes = [_Class(f"class {entry.number}", path, entry.reference, entry.share, entry.resolution)
               for entry, path in zip(model.classes, found.paths, strict=True)]
    notes = [f"maps of {len(classes)} class{'es' if len(classes) > 1 else ''}: found from "
             f"{shown(os.path.abspath(found.project))} ({found.why}), the first as "
             f"{shown(next(path for path in found.paths if path))}"]
    if found.elsewhere is not None:
        notes.append(f"maps of the same names, but other ones, are in {shown(os.path.abspath(found.elsewhere))}: not "
                     "taken")
    if len(classes) == 1:
        notes.append("there is one class: nothing to compare it with")
    outputs = _outputs(model.stem, len(classes), options)
    if kinds_.requested(settings):
        outputs["STAR file"] = os.path.join(options.output_dir, f"out_{model.stem}_model.star")
    return _Group(model.stem, classes, outputs, model, found.project, tuple(notes))


def _maps_group(maps, options):
    from occupy_jit.runs.names import names_for

    stems = [names_for(path, options.output_dir).stem for path in maps]
    classes = [_Class(stem, path) for stem, path in zip(stems, maps, strict=True)]
    name = common_name(stems)
    return _Group(name, classes, _outputs(name, len(classes), options))


def common_name(stems):
    """What the names of several maps begin with: run_it025 for run_it025_class001 and run_it025_class002.

    Parameters
    ----------
    stems : sequence of str

    Returns
    -------
    str
        The first of them if they have next to nothing in common.
    """
    name = os.path.commonprefix(stems)
    rest = [stem[len(name):] for stem in stems]
    if any(text[:1].isdigit() for text in rest):
        name = name.rstrip("0123456789")
    if any(text[:1].isalnum() for text in rest):
        name = name.rstrip(" _-.")
        name = re.sub(r"[ _.-]*class$", "", name)
    return name if len(name) > 1 else stems[0]


def _outputs(name, number, options):
    def path(prefix, suffix):
        return os.path.join(options.output_dir, f"{prefix}{name}{suffix}")

    outputs = {"table of classes": path("classes_", ".csv")}
    if number > 1:
        outputs["table of differences"] = path("classdiff_", ".csv")
        outputs["standard deviation of scale"] = path("classvar_", ".mrc")
    if options.chimerax:
        outputs["ChimeraX script"] = path("chimX_", ".cxc")
    if options.json:
        outputs["record"] = path("occupy_", ".json")
    outputs["log"] = path("log_", ".txt")
    return outputs


def _plan(group, settings, options, log):
    """Check every class as far as its header tells, and leave out what cannot be used."""
    for entry in group.classes:
        try:
            if entry.path is None:
                raise InputError(f"{shown(entry.reference)}: the map is missing")
            if entry.share == 0:
                raise InputError(f"{shown(entry.path)}: no particles belong to it (_rlnClassDistribution is 0)")
            entry.plan = pipeline.plan(entry.path, settings, options)
            for role in ("ChimeraX script", "record", "log"):  # one of each, for all classes
                entry.plan.outputs.pop(role, None)
        except InputError as error:
            entry.fails(error, log)
    _require_one_grid(group, log)
    _require_usable(group)
    batch.refuse_same_names([entry.path for entry in group.usable], settings, options)
    _require_safe_names(group, options)
    if group.model is not None and "STAR file" in group.outputs:
        from occupy_jit.files import star

        for entry in group.usable:  # fails now, and not after the work, where a name is impossible
            star.reference_name(_modified(entry, settings), group.project)


def _require_one_grid(group, log):
    """Leave out the classes whose grid is not that of the most."""
    from occupy_jit.files import mrc_header

    def same(a, b):
        return (a.shape == b.shape and mrc_header.same_voxel_size(a.voxel_size, b.voxel_size)
                and mrc_header.same_position(_position(a), _position(b), a.voxel_size))

    usable = group.usable
    if not usable:
        return
    reference = max(usable, key=lambda entry: sum(same(entry.plan.header, other.plan.header) for other in usable))
    for entry in usable:
        a, b = entry.plan.header, reference.plan.header
        if not same(a, b):
            entry.fails(InputError(f"{shown(entry.path)}: {_grid(a)} differ from {_grid(b)} of {reference.label}, so "
                                   "they have no common grid; resample it (ChimeraX: volume resample)"), log)


def _position(header):
    from occupy_jit.files import mrc_header

    return mrc_header.position(header.record, header.axis_order, header.voxel_size)


def _grid(header):
    size = " x ".join(str(n) for n in reversed(header.shape))
    return f"{size} voxels of {header.voxel_size:.4g} Å at {', '.join(f'{v:.4g}' for v in _position(header))}"


def _require_safe_names(group, options):
    """Nothing that is written for all classes may have the name of an input or of another output."""
    inputs = [entry.path for entry in group.classes if entry.path] + pipeline.masks(options)
    if group.model is not None:
        inputs.append(group.model.path)
    taken = {file_identity(path): path for path in inputs}
    written = {path for entry in group.usable for path in entry.plan.outputs.values()}
    for role, path in group.outputs.items():
        if file_identity(path) in taken:
            raise UsageError(f"{shown(path)}: the {role} would overwrite an input; use another --output-dir")
        if path in written:
            raise UsageError(f"{shown(path)}: two outputs would have this name; rename the inputs")


def _modified(entry, settings):
    """Name of the modified map of a class that the new STAR file names, None without a modification."""
    requested = kinds_.requested(settings)
    return entry.plan.outputs[requested[0].name] if requested else None


def _describe(group):
    """What a run would do, for --dry-run."""
    for entry in group.usable:
        pipeline.describe(entry.plan)
    print(f"{group.name}: for all classes")
    for role, path in group.outputs.items():
        print(f"  would write {shown(path)}  {role}")


# First pass ----------------------------------------------------------------------------------------------------------


def _measure(group, settings, options, log):
    """Measure the full scale of every class; returns the class where it is largest, the first of equals."""
    from occupy_jit.estimation import estimate as estimation
    from occupy_jit.files.map_reading import read_map

    warmup.start()
    workers = thread_count(options.threads)
    for entry in group.usable:
        try:
            pipeline.check_memory(entry.plan)
            with log.timed("read"):
                volume = read_map(entry.path, options.voxel_size, may_be_constant=True)
            if volume.minimum == volume.maximum:
                raise InputError(f"{shown(entry.path)}: every value is {volume.minimum:g}: no particles belong to it, "
                                 "or the file is no map")
            warmup.wait()
            with log.timed("measure full scale"):
                entry.own = estimation.measure_full_scale(volume, settings, overwrite=True, thread_count=workers)
            del volume
            log.detail(f"{entry.label}: full scale of its own {entry.own.value:.6g}")
        except Exception as error:  # whatever one map brings up, the others still run
            entry.fails(error, log)
    _require_usable(group)
    highest = max(group.usable, key=lambda entry: entry.own.value)
    if not highest.own.value > 0:
        raise InputError(f"{group.name}: nothing stands above solvent in any class; is the contrast inverted?")
    log.say(f"common full scale {highest.own.value:.6g}, of {highest.label}")
    others = [entry.own.value for entry in group.usable if entry is not highest]
    if others and highest.own.value > _SUSPICIOUS_RATIO * median(others) > 0:
        ratio = highest.own.value / median(others)
        log.verdict("full-scale-of-one", f"{highest.label} alone sets full scale, {ratio:.1f} times the median of the "
                    "others: leave it out (-i with --common-scale) if it is no better class")
    return highest


# What compares the classes -------------------------------------------------------------------------------------------


def _finish(group, settings, options, common, log):
    """Compare the classes and write what tells of all of them."""
    with Outputs() as outputs:
        with log.timed("compare"):
            means, union, differences = _compare(group, outputs, common)
        rows = _rows(group, means)
        _show(rows, differences, union, common, log)
        names = {}
        if "STAR file" in group.outputs:
            names = _write_star(group, settings, outputs, log)
        _write_csv(outputs, group.outputs["table of classes"], rows)
        if "table of differences" in group.outputs:
            _write_csv(outputs, group.outputs["table of differences"], differences)
        if "ChimeraX script" in group.outputs:
            _write_chimerax(group, settings, options, common, outputs, log)
        for role, path in group.outputs.items():
            log.wrote(path, role)
        if "record" in group.outputs:
            from occupy_jit.reports.record import write_record

            record = _record(group, settings, options, common, log)
            record.update(classes=rows, union_volume_angstrom3=union, differences=differences, star_references=names,
                          runs=[entry.record for entry in group.usable])
            with outputs.open(group.outputs["record"], "w") as file:
                write_record(file, record)
        log.show_timings()
        with outputs.open(group.outputs["log"], "w") as file:
            file.write(log.text())


def _compare(group, outputs, common):
    """Mean scales, volume of the union in Å^3, and differences as rows; writes the standard deviation."""
    import numpy as np

    from occupy_jit.estimation import comparison
    from occupy_jit.files.map_reading import view_map
    from occupy_jit.files.map_writing import write_map

    usable = group.usable
    header = usable[0].plan.header
    found = [entry.record["results"] for entry in usable]
    limits = [[comparison.difference_limit((a["noise_floor"] / common, b["noise_floor"] / common),
                                           (a["noise_of_scale"], b["noise_of_scale"])) for b in found] for a in found]
    occupied = [results["occupied_above_scale"] for results in found]
    scales = [view_map(entry.plan.outputs["scale"]) for entry in usable]
    role = "standard deviation of scale"
    spread = np.empty(header.shape, np.float32) if role in group.outputs else None
    means, union, differences = comparison.compare(scales, limits, occupied, spread)
    if spread is not None:
        write_map(group.outputs[role], spread, header, f"{pipeline.PROGRAM}: {role} over {len(usable)} classes",
                  outputs=outputs)
    voxel = header.voxel_size ** 3
    start = _position(header)

    def place(xyz):
        return None if xyz is None else [s + v * header.voxel_size for s, v in zip(start, xyz, strict=True)]

    rows = [{"more": usable[d.more].label, "less": usable[d.less].label, "smallest_counted": d.limit,
             "volume_angstrom3": d.voxels * voxel,
             "mass_kda": d.voxels * voxel * pipeline.DALTON_PER_CUBIC_ANGSTROM / 1000,
             "centre_xyz_angstrom": place(d.centre), "peak": d.peak, "peak_xyz_angstrom": place(d.peak_at)}
            for d in differences]
    return dict(zip((entry.label for entry in usable), map(float, means), strict=True)), union * voxel, rows


def _rows(group, means):
    """The table of classes: one dictionary for each, also for those that were left out."""
    rows = []
    for entry in group.classes:
        found = entry.record["results"] if entry.record is not None and not entry.status else {}
        row = {
            "class": entry.label, "map": entry.path or entry.reference, "share_of_particles": entry.share,
            "resolution_angstrom": entry.resolution, "own_full_scale": None if entry.own is None else entry.own.value,
            "occupied_above_scale": found.get("occupied_above_scale"),
            "occupied_volume_angstrom3": found.get("occupied_volume_angstrom3"),
            "occupied_mass_kda": found.get("occupied_mass_kda"),
            "mean_scale_in_union": means.get(entry.label) if found else None,
        }
        for target in found.get("targets", ()):
            row[f"occupancy in {target['mask']}"] = target["occupancy"]
            row[f"error in {target['mask']}"] = target["error"]
        row["status"], row["problem"] = entry.status, entry.problem
        rows.append(row)
    return rows


def _text(value, form):
    return "-" if value is None else format(value, form)


def _place(xyz):
    return "-" if xyz is None else ", ".join(f"{v:.0f}" for v in xyz)


def _show(rows, differences, union, common, log):
    """Both tables, for the terminal and the log."""
    heading = ("class", "particles", "resolution", "own full scale", "scale above", "volume Å^3", "kDa",
               "mean scale in union")
    log.table("classes on one scale", [heading] + [
        (row["class"], _text(row["share_of_particles"], ".1%"),
         _text(row["resolution_angstrom"], ".2f"), _text(row["own_full_scale"], ".4g"),
         _text(row["occupied_above_scale"], ".2f"),
         _text(row["occupied_volume_angstrom3"], ".0f"), _text(row["occupied_mass_kda"], ".1f"),
         "left out" if row["status"] else _text(row["mean_scale_in_union"], ".3f")) for row in rows])
    log.say(f"full scale of all {common:.6g}; union of all classes {union:.0f} Å^3")
    if not differences:
        return
    some = sorted((row for row in differences if row["volume_angstrom3"] > 0), key=lambda row: -row["volume_angstrom3"])
    if not some:
        log.say("no two classes differ in scale by more than their noise")
        return
    heading = ("more in", "than in", "volume Å^3", "kDa", "centre x, y, z in Å", "largest", "at x, y, z in Å")
    log.table("where the scale of two classes differs by more than their noise", [heading] + [
        (row["more"], row["less"], f"{row['volume_angstrom3']:.0f}", f"{row['mass_kda']:.1f}",
         _place(row["centre_xyz_angstrom"]), f"{row['peak']:.2f}", _place(row["peak_xyz_angstrom"]))
        for row in some[:_ROWS_SHOWN]])
    if len(some) > _ROWS_SHOWN:
        log.say(f"and {len(some) - _ROWS_SHOWN} smaller ones, in the table of differences")


def _write_csv(outputs, path, rows):
    """Rows as CSV; places become three columns."""
    flat = []
    for row in rows:
        cells = {}
        for name, value in row.items():
            if name.endswith("_xyz_angstrom"):
                for axis, part in zip("xyz", value or (None, None, None), strict=True):
                    cells[name.replace("xyz", axis)] = part
            else:
                cells[name] = value
        flat.append(cells)
    names = dict.fromkeys(name for cells in flat for name in cells)
    text = io.StringIO()
    writer = csv.DictWriter(text, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(flat)
    with outputs.open(path, "w") as file:
        file.write(text.getvalue())


def _write_star(group, settings, outputs, log):
    """The STAR file with the modified maps as references; returns the names, by class."""
    from occupy_jit.files import star

    names = {}
    for entry in group.usable:
        names[entry.label] = star.reference_name(_modified(entry, settings), group.project)
    raw = star.with_references(group.model, [names.get(entry.label) for entry in group.classes])
    if any(re.search(r"\s", name) for name in names.values()):
        log.warning(f"{shown(group.outputs['STAR file'])}: the names of the maps hold blanks, which RELION may not "
                    "read; use another --output-dir")
    for entry in group.classes:
        if entry.status:
            log.warning(f"{shown(group.outputs['STAR file'])}: {entry.label} keeps its old reference, "
                        f"{shown(entry.reference)}")
    with outputs.open(group.outputs["STAR file"]) as file:
        file.write(raw)
    log.say(f"for the next classification, in {shown(os.path.abspath(group.project))}: --ref "
            f"{shown(star.reference_name(group.outputs['STAR file'], group.project))}")
    return names


def _write_chimerax(group, settings, options, common, outputs, log):
    from occupy_jit import __version__
    from occupy_jit.reports import chimerax

    usable = group.usable
    directory = options.output_dir
    variance = group.outputs.get("standard deviation of scale")
    classes = [chimerax.ShownClass(entry.label, entry.path, entry.plan.outputs["scale"], _modified(entry, settings),
                                   entry.own.zero + pipeline.SHOWN_LEVEL * common) for entry in usable]
    for path in [variance, *(p for c in classes for p in (c.input_path, c.scale_path, c.modified_path))]:
        reason = None if path is None else chimerax.cannot_open(path, directory)
        if reason is not None:
            log.warning(f"{shown(path)} is left out of the ChimeraX script: {reason}")
    highest = group.brightest
    box = None
    if highest.own.corner is not None:
        header = highest.plan.header
        box = chimerax.cube(_position(header), highest.own.corner, highest.own.tile, header.voxel_size)
    text = chimerax.classes_script(group.name, classes, variance, version=__version__, directory=directory,
                                   full_scale_box=box, min_vis_scale=options.min_vis_scale)
    with outputs.open(group.outputs["ChimeraX script"], "w") as file:
        file.write(text)


def _record(group, settings, options, common, log):
    """What concerns all classes; what concerns one is the record of its own run."""
    import hashlib

    model = group.model
    highest = group.brightest
    return {
        "command_line": list(options.command_line),
        "inputs": {"relion_classes": None if model is None else os.path.abspath(model.path),
                   "sha256": None if model is None else hashlib.sha256(model.raw).hexdigest(),
                   "project": None if model is None else os.path.abspath(group.project),
                   "maps": [None if entry.path is None else os.path.abspath(entry.path) for entry in group.classes]},
        "settings": asdict(settings),
        "given": sorted(options.given),
        "options": {name: value for name, value in asdict(options).items()
                    if name not in ("command_line", "given", "verbosity")},
        "common_full_scale": common,
        "common_full_scale_of": highest.label,
        "common_full_scale_corner_zyx": highest.own.corner,
        "warnings": list(log.warnings),
        "verdicts": [{"code": code, "sentence": sentence} for code, sentence in log.verdicts],
        "outputs": [{"role": role, "path": path} for role, path in group.outputs.items()],
        "versions": {"python": platform.python_version()},
        "timings": {name: round(seconds, 4) for name, seconds in log.timings.items()},
    }
