"""Common outputs of several maps on one scale: tables, STAR file, ChimeraX script, record and log."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from occupy_jit import __version__
from occupy_jit.errors import OccupyError
from occupy_jit.files.names.paths import shown
from occupy_jit.files.output.transaction import Outputs, replaced
from occupy_jit.files.streams import open_input
from occupy_jit.reports.answer import of_maps
from occupy_jit.reports.record import write_record
from occupy_jit.runs.classes import ligands as class_ligands
from occupy_jit.runs.classes import parts as class_parts
from occupy_jit.runs.classes import targets as class_targets
from occupy_jit.runs.classes.group import position
from occupy_jit.runs.classes.references import write_references
from occupy_jit.runs.closing import to_open
from occupy_jit.runs.many_maps.report_index import write_class_page
from occupy_jit.runs.one_map import summary
from occupy_jit.runs.one_map.grid_shown import shown_grid
from occupy_jit.runs.one_map.writing import (
    make_directory,
    map_label,
    write_record_and_log,
    write_table,
)
from occupy_jit.runs.plan.output_kinds import Role

if TYPE_CHECKING:
    from occupy_jit.reports.runlog import RunLog
    from occupy_jit.runs.classes.group import Group
    from occupy_jit.settings import Options, Settings

_ROWS_SHOWN = 24


@contextlib.contextmanager
def marked_unfinished(group: Group, options: Options) -> Iterator[Any]:
    """Mark the record as unfinished while the files of classes appear one by one.

    The mark remains if the block ends with an exception, or the process ends, after the files of a class have appeared;
    if none have, an earlier record is restored.

    Parameters
    ----------
    group : occupy_jit.runs.classes.group.Group
    options : occupy_jit.settings.Options
    """
    path = group.path_of(Role.RECORD)
    if path is None:
        yield
        return
    make_directory(options.output_dir)
    before = None
    if os.path.exists(path):
        with open_input(path, "record") as file:
            before = file.read()
    with replaced(path, "w") as file:
        write_record(file, {"finished": False, "command_line": list(options.command_line),
                            "classes": [{"class": entry.label, "map": entry.path} for entry in group.usable]})
    try:
        yield
    except BaseException:
        if not any(entry.record for entry in group.classes):
            with contextlib.suppress(OSError, OccupyError):
                if before is None:
                    os.unlink(path)
                else:
                    with replaced(path) as file:
                        file.write(before)
        raise


def write_group(group: Group, settings: Settings, options: Options, log: RunLog) -> None:
    """Compare the classes, and write their common outputs.

    Parameters
    ----------
    group : occupy_jit.runs.classes.group.Group
        With finished classes.
    settings : occupy_jit.settings.Settings
    options : occupy_jit.settings.Options
    log : occupy_jit.reports.runlog.RunLog
    """
    with Outputs() as outputs:
        if group.on_mean:
            write_references(group, settings, options, outputs, log)
        with log.timed("compare"):
            means, union, differences = _compare(group, outputs)
        targets = class_targets.compare(group)
        parts = class_parts.compare(group, options, log)
        rows = _rows(group, means, parts)
        _show(rows, differences, union, group.common, _noise_unknown(group), log)
        if targets:
            class_targets.show(targets, log)
            write_table(outputs, group.path_of(Role.CLASS_TARGETS), targets)
        if parts is not None:
            class_parts.show(parts, log)
            class_parts.write(group, parts, outputs)
        ligands = [] if parts is None else class_ligands.rows_of(group, parts)
        class_ligands.show(group, ligands, log)
        class_ligands.write(group, ligands, outputs)
        names = _write_star(group, outputs, log)
        write_table(outputs, group.path_of(Role.CLASS_TABLE), rows)
        write_table(outputs, group.path_of(Role.DIFFERENCE_TABLE), differences)
        _write_chimerax(group, options, outputs, log)
        write_class_page(group, rows, differences, union, parts, targets, options, outputs)
        written = [(output.path, output.description) for output in group.outputs]
        log.files(written)
        record = _record(group, settings, options, log, {
            "classes": rows, "union_volume_angstrom3": union, "differences": differences, "star_references": names,
            **({"target_differences": targets} if targets else {}),
            **({} if parts is None else class_parts.record_of(parts)), **class_ligands.record_of(group, ligands)})
        write_record_and_log(group, outputs, record, log)
    log.wrote(written)
    log.closing(_sentence(group, parts, targets, differences), to_open(group.outputs))


def _sentence(group, parts, targets, differences):
    """The main result for all classes: the parts or masks that vary most, or the two classes that differ most."""
    number, kind = len(group.usable), "maps" if group.model is None else "classes"
    if parts is not None:
        return of_maps([(label, None, [{"part": name, "occupancy": float(o), "error": float(s)} for name, o, s, n
                                       in zip(parts.names, occupancy, se, parts.atoms, strict=True) if n])
                        for label, occupancy, se in zip(parts.classes, parts.occupancy, parts.se, strict=True)],
                       kind)
    if targets:
        differing = dict.fromkeys(os.path.basename(row["mask"]) for row in targets if row["significant"])
        if differing:
            return f"Masks whose occupancy differs between the {number} {kind}: {', '.join(list(differing)[:8])}."
        return f"No mask differs in occupancy between the {number} {kind} by more than its error."
    largest = max(differences, key=lambda row: row["volume_angstrom3"], default=None)
    if largest is None or not largest["volume_angstrom3"]:
        return f"No two of the {number} {kind} differ in scale beyond their noise." if number > 1 else ""
    return (f"Of the {number} {kind}, {largest['more']} and {largest['less']} differ most: {largest['more']} has more "
            f"density in {largest['share_of_union']:.1%} of their union.")


def _compare(group, outputs):
    """Mean scales, volume of the union in Å^3, and differences as rows; also writes the standard deviation."""
    import numpy as np

    from occupy_jit.estimation.comparison import scales as comparison
    from occupy_jit.files.maps.reading import view_map
    from occupy_jit.files.maps.writing import write_map

    usable, common = group.usable, group.common
    header = usable[0].plan.header
    found = [entry.record["results"] for entry in usable]
    noises = []
    for entry, results in zip(usable, found, strict=True):
        path = entry.plan.path_of(Role.NOISE_ERROR)
        noises.append(comparison.NoiseOfScale(results["noise_floor"] / common, results["noise_of_content"])
                      if path is None else view_map(path))
    occupied = [results["occupied_above_scale"] for results in found]
    scales = [view_map(entry.plan.path_of(Role.SCALE)) for entry in usable]
    path = group.path_of(Role.SCALE_SPREAD)
    spread = None if path is None else np.empty(header.shape, np.float32)
    means, union, differences = comparison.compare(scales, noises, occupied, spread)
    if spread is not None:
        write_map(path, spread, header, map_label(f"{Role.SCALE_SPREAD.value} over {len(usable)} classes"),
                  outputs=outputs)
    voxel = header.voxel_size ** 3
    start = position(header)

    def place(xyz):
        return None if xyz is None else [s + v * header.voxel_size for s, v in zip(start, xyz, strict=True)]

    rows = [{"more": usable[d.more].label, "less": usable[d.less].label, "least_errors": d.errors,
             "smallest_counted": d.smallest, "share_of_union": d.share, "volume_angstrom3": d.voxels * voxel,
             "centre_xyz_angstrom": place(d.centre), "peak": d.peak, "peak_error": d.peak_error,
             "peak_xyz_angstrom": place(d.peak_at)}
            for d in differences]
    return dict(zip((entry.label for entry in usable), map(float, means), strict=True)), union * voxel, rows


def _rows(group, means, parts):
    """The table of classes: one dictionary each, also for those left out."""
    rows = []
    for entry in group.classes:
        found = entry.record["results"] if entry.record is not None and entry.problem is None else {}
        row = {
            "class": entry.label, "map": entry.path or entry.reference, "share_of_particles": entry.share,
            "resolution_angstrom": entry.resolution, "own_full_scale": None if entry.own is None else entry.own.value,
            "error_by_noise": found.get("noise_of_content"),
            "visible_from": found.get("visible_from"),
            "occupied_above_scale": found.get("occupied_above_scale"),
            "occupied_volume_angstrom3": found.get("occupied_volume_angstrom3"),
            "mean_scale_in_union": means.get(entry.label) if found else None,
        }
        for target in found.get("targets", ()):
            row[f"occupancy in {target['mask']}"] = target["occupancy"]
            row[f"error in {target['mask']}"] = target["error"]
        row |= class_parts.columns_of(parts, entry.label)
        row["status"], row["problem"] = entry.status, entry.problem
        rows.append(row)
    return rows


def _text(value, form):
    return "-" if value is None else format(value, form)


def _place(xyz):
    return "-" if xyz is None else ", ".join(f"{v:.0f}" for v in xyz)


def _noise_unknown(group):
    """Labels of the classes with masked solvent, whose noise is unknown."""
    return [entry.label for entry in group.usable if not entry.plan.halves
            if entry.record["results"]["solvent_flattened"]]


def _show(rows, differences, union, common, unknown, log):
    """Both tables, for the terminal and the log."""
    from occupy_jit.estimation.comparison.scales import FALSE_SHARE, LEAST_DIFFERENCE

    heading = ("class", "particles", "resolution", "own full scale", "noise of scale", "scale above", "volume Å^3",
               "mean scale in union")
    log.table("classes on one scale", [heading] + [
        (row["class"], _text(row["share_of_particles"], ".1%"),
         _text(row["resolution_angstrom"], ".2f"), _text(row["own_full_scale"], ".4g"),
         _text(row["error_by_noise"], ".3f"),
         _text(row["occupied_above_scale"], ".2f"),
         _text(row["occupied_volume_angstrom3"], ".0f"),
         "left out" if row["problem"] else _text(row["mean_scale_in_union"], ".3f")) for row in rows])
    log.say(f"full scale of all {common:.6g}; union of all classes {union:.0f} Å^3")
    if unknown:
        log.warning(f"the solvent of {', '.join(unknown)} was flattened, so the noise is unknown and differences of "
                    "the scale have no significance; use maps from before masking, or --half-maps auto")
    if not differences:
        return
    some = sorted((row for row in differences if row["volume_angstrom3"] > 0), key=lambda row: -row["volume_angstrom3"])
    if not some:
        log.say("no two classes differ in scale beyond their noise")
        return
    heading = ("more in", "than in", "volume Å^3", "of union", "centre x, y, z in Å", "largest",
               "at x, y, z in Å", "beyond")
    log.table("where the scale of two classes differs beyond their noise", [heading] + [
        (row["more"], row["less"], f"{row['volume_angstrom3']:.0f}", f"{row['share_of_union']:.1%}",
         _place(row["centre_xyz_angstrom"]), f"{row['peak']:.2f} ± {row['peak_error']:.2f}",
         _place(row["peak_xyz_angstrom"]), f"{row['least_errors']:.1f} se") for row in some[:_ROWS_SHOWN]])
    if len(some) > _ROWS_SHOWN:
        log.say(f"and {len(some) - _ROWS_SHOWN} smaller ones, in the table of differences")
    log.say(f"at most {FALSE_SHARE:.0%} of each volume differs by chance (false discovery rate); differences below "
            f"{LEAST_DIFFERENCE:g} are not reported; different grey scales, filters or masks of the maps also appear "
            "as differences")


def _write_star(group, outputs, log):
    """The STAR file with the modified maps as references; returns the names, by class."""
    path = group.path_of(Role.STAR)
    if path is None:
        return {}
    from occupy_jit.files.relion import star

    names = {}
    for entry in group.usable:
        names[entry.label] = star.reference_name(entry.modified, group.project)
    raw = star.with_references(group.model, [names.get(entry.label) for entry in group.classes])
    if any(re.search(r"\s", name) for name in names.values()):
        log.warning(f"{shown(path)}: names of the maps contain blanks, which RELION may not read; use another "
                    "--output-dir")
    for entry in group.classes:
        if entry.problem is not None:
            log.warning(f"{shown(path)}: {entry.label} keeps its old reference, "
                        f"{shown(entry.reference)}")
    with outputs.open(path) as file:
        file.write(raw)
    log.say(f"for the next classification, in {shown(os.path.abspath(group.project))}: --ref "
            f"{shown(star.reference_name(path, group.project))}")
    return names


def _write_chimerax(group, options, outputs, log):
    script = group.path_of(Role.CHIMERAX)
    if script is None:
        return
    from occupy_jit.reports import chimerax

    usable = group.usable
    directory = options.output_dir
    variance = group.path_of(Role.SCALE_SPREAD)
    classes = [chimerax.ShownClass(entry.label, entry.plan.path_of(Role.PLAIN_COPY) or entry.path,
                                   entry.plan.path_of(Role.SCALE), entry.modified,
                                   entry.record["results"]["surface_level"]) for entry in usable]
    for path in [variance, *(p for c in classes for p in (c.input_path, c.scale_path, c.modified_path))]:
        reason = None if path is None else chimerax.cannot_open(path, directory)
        if reason is not None:
            log.warning(f"{shown(path)} is left out of the ChimeraX script: {reason}")
    highest = group.brightest
    box = None
    if highest.own.corner is not None:
        header = highest.plan.header
        box = chimerax.cube(position(header), highest.own.corner, highest.own.tile, header.voxel_size)
    first = usable[0].record
    dust = chimerax.dust_size(first["derived"]["lowpass_angstrom"], first["input"]["voxel_size_angstrom"])
    text = chimerax.classes_script(group.name, classes, variance, version=__version__, directory=directory,
                                   full_scale_box=box, min_vis_scale=options.min_vis_scale,
                                   grid=shown_grid(highest.plan.header), dust=dust)
    with outputs.open(script, "w") as file:
        file.write(text)


def _record(group, settings, options, log, compared):
    """The record of all classes; each class also has its own record."""
    model = group.model
    highest = group.brightest
    inputs = {"relion_classes": None if model is None else os.path.abspath(model.path),
              "sha256": None if model is None else hashlib.sha256(model.raw).hexdigest(),
              "project": None if model is None else os.path.abspath(group.project),
              "maps": [None if entry.path is None else os.path.abspath(entry.path) for entry in group.classes]}
    found = {"common_full_scale": group.common, "common_full_scale_of": highest.label,
             "common_full_scale_corner_zyx": highest.own.corner}
    record = summary.framed(settings, options, group.outputs, {"inputs": inputs}, found, log.verdicts, log.warnings)
    record.update(timings={name: round(seconds, 4) for name, seconds in log.timings.items()}, **compared,
                  runs=[entry.record for entry in group.usable])
    return record
