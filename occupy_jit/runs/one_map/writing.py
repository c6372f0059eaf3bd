"""The files of one map, exactly as planned."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from occupy_jit import PROGRAM, __version__
from occupy_jit.errors import OccupyError
from occupy_jit.files.names.paths import shown
from occupy_jit.modifications import requested
from occupy_jit.reports.table import csv_text
from occupy_jit.runs.one_map.grid_shown import shown_grid
from occupy_jit.runs.one_map.model_parts import script_lines
from occupy_jit.runs.one_map.summary import FACTOR_SCALES
from occupy_jit.runs.plan.memory import confidence_is_spent
from occupy_jit.runs.plan.output_kinds import FACTORS, MAPS, Role

if TYPE_CHECKING:
    import numpy as np

    from occupy_jit.estimation.scale.core import Core
    from occupy_jit.estimation.scale.result import Result
    from occupy_jit.files.maps.maps import Map
    from occupy_jit.files.output.transaction import Outputs
    from occupy_jit.modifications import Modification
    from occupy_jit.reports.runlog import RunLog
    from occupy_jit.runs.classes.group import Group
    from occupy_jit.runs.one_map.part_regions import Regions
    from occupy_jit.runs.plan.plan import Plan

_PIECE = 1 << 20


def map_label(what: str) -> str:
    """The label in the header of an output map."""
    return f"{PROGRAM} {__version__}: {what}"


def make_directory(directory: str) -> None:
    """Create the output directory as late as possible, so that a refused input leaves none."""
    try:
        os.makedirs(directory, exist_ok=True)
    except OSError as error:
        raise OccupyError(f"{shown(directory)}: the output directory cannot be made: {error.strerror}; choose another "
                          "--output-dir") from error


class Writer:
    """Writes the planned files of one run; all appear together at the end.

    Parameters
    ----------
    plan : occupy_jit.runs.plan.plan.Plan
    volume : occupy_jit.files.maps.maps.Map
        The input.
    outputs : occupy_jit.files.output.transaction.Outputs
    log : occupy_jit.reports.runlog.RunLog
    level : float
        Surface level.
    """

    def __init__(self, plan: Plan, volume: Map, outputs: Outputs, log: RunLog, level: float) -> None:
        self.plan, self.volume, self._level = plan, volume, level
        self._outputs, self.log = outputs, log
        self._checksums = {}
        self.report = self.report_summary = None

    def start_report(self, result: Result, core: Core | None, regions: Regions | None) -> None:
        """Begin the report, if planned; later results are added to it."""
        if self.plan.path_of(Role.REPORT) is None:
            return
        from occupy_jit.runs.one_map.reporting import MapReport

        with self.log.timed("report"):
            self.report = MapReport(self.plan, self.volume, result, core, regions)

    def map(self, role: Role, data: np.ndarray | None, what: str, modification: Modification | None = None) -> None:
        """Write a map under the planned name of this role."""
        path = self.plan.path_of(role, modification)
        if path is None:
            return
        from occupy_jit.files.maps.writing import write_map

        with self.log.timed("write"):
            self._checksums[path] = write_map(path, data, self.volume, map_label(what), outputs=self._outputs,
                                              checksum=self.plan.options.json)

    def plain_copy(self) -> None:
        """Write the input without its compression, piece by piece."""
        path = self.plan.path_of(Role.PLAIN_COPY)
        if path is None:
            return
        from occupy_jit.files.streams import Stream

        piece = memoryview(bytearray(_PIECE))
        with self.log.timed("write"), Stream(self.plan.path) as stream, self._outputs.open(path) as file:
            rest = self.plan.header.content_bytes
            while rest and (count := stream.fill(piece[:rest])):
                file.write(piece[:count])
                rest -= count

    def targets(self, results: dict[str, Any]) -> None:
        """Write targets_<name>.csv: the occupancy inside each mask, and in the last row the error of full scale."""
        if "targets" not in results:
            return
        rows = [*results["targets"], {"mask": "full scale", "occupancy": 1.0, "error": results["full_scale_error"]}]
        write_table(self._outputs, self.plan.path_of(Role.TARGET_TABLE),
                    [{"mask": row["mask"], "occupancy": row["occupancy"], "se": row["error"],
                      "blocks": row.get("blocks"), "voxels": row.get("voxels")} for row in rows])

    def plot(self, result: Result) -> None:
        """Write solModel_<name>.png."""
        path = self.plan.path_of(Role.PLOT)
        if path is None:
            return
        from occupy_jit.reports.plot import solvent_model_png

        model = result.solvent
        centres, mean_confidence = _confidence_by_density(result)
        with self.log.timed("plot"), self._outputs.open(path) as file:
            solvent_model_png(file, name=self.plan.names.stem, bin_edges=model.bin_edges, counts=model.counts,
                              gaussian=(model.amplitude, model.mean, model.sigma) if model.fitted else None,
                              edge=model.edge, zero=result.zero, floor=result.zero + result.floor,
                              full_scale=result.zero + result.full_scale, confidence_centres=centres,
                              confidence_values=mean_confidence, bands=_bands_drawn(result.bands),
                              verdicts=[sentence for _, sentence in result.verdicts], version=__version__)

    def slices(self, result: Result, modified: list[Any]) -> None:
        """Write slices_<name>.png: the central slices of all volumes, side by side."""
        path = self.plan.path_of(Role.SLICES)
        if path is None:
            return
        from occupy_jit.reports.plot import slices_png
        from occupy_jit.runs.one_map.slices import CAPTION, panels

        with self.log.timed("plot"), self._outputs.open(path) as file:
            slices_png(file, panels(self.volume.data, result, modified, self._level), caption=CAPTION,
                       version=__version__)

    def chimerax(self, result: Result) -> None:
        """Write chimX_<name>.cxc."""
        path = self.plan.path_of(Role.CHIMERAX)
        if path is None:
            return
        from occupy_jit.reports import chimerax

        plan = self.plan
        copy = plan.path_of(Role.PLAIN_COPY)
        source = plan.path if copy is None else copy
        others = [(output.path, chimerax.MODIFIED if output.role is Role.MODIFIED else output.what)
                  for output in plan.outputs if output.role in MAPS - {Role.SCALE, Role.PLAIN_COPY}]
        box = None
        if result.full_scale_corner is not None:
            box = chimerax.cube(self.volume.position, result.full_scale_corner, result.tile, result.voxel_size)
        scale = plan.path_of(Role.SCALE)
        for shown_map in (source, scale, *(path for path, _ in others)):
            reason = chimerax.cannot_open(shown_map, plan.names.directory)
            if reason is not None:
                self.log.warning(f"{shown(shown_map)} is left out of the ChimeraX script: {reason}")
        text = chimerax.script(plan.names.stem, source, scale, others, version=__version__,
                               directory=plan.names.directory, full_scale_box=box,
                               level=self._level,
                               min_vis_scale=plan.options.min_vis_scale,
                               grid=shown_grid(plan.header),
                               dust=chimerax.dust_size(result.lowpass_angstrom, result.voxel_size))
        text += script_lines(plan)
        with self._outputs.open(path, "w") as file:
            file.write(text)

    def record_and_log(self, record: dict[str, Any], workers: int) -> None:
        """Complete the record; write the report, the record and the log, which lists all other files, if planned."""
        self.log.files([(output.path, output.description) for output in self.plan.outputs])
        if self.plan.options.json:
            with self.log.timed("checksums"):
                record["input"]["sha256"] = self.volume.checksum.hexdigest()
                for entry in record["outputs"]:
                    checksum = self._checksums.get(entry["path"])
                    entry["sha256"] = None if checksum is None else checksum.hexdigest()
        if self.report is not None:
            with self.log.timed("report"):
                timings = {name: round(seconds, 4) for name, seconds in self.log.timings.items()}
                page, self.report_summary = self.report.render({**record, "timings": timings}, workers)
                with self._outputs.open(self.plan.path_of(Role.REPORT)) as file:
                    file.write(page)
        if self.plan.options.json:
            record["timings"] = {name: round(seconds, 4) for name, seconds in self.log.timings.items()}
        write_record_and_log(self.plan, self._outputs, record, self.log)


def write_table(outputs: Outputs, path: str, rows: list[dict[str, Any]]) -> None:
    """Write rows as CSV, if planned; positions become three columns."""
    if path is None:
        return
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
    with outputs.open(path, "w") as file:
        file.write(csv_text(flat))


def write_record_and_log(plan: Group | Plan, outputs: Outputs, record: dict[str, Any], log: RunLog) -> None:
    """Write the record and the log of a map or a group, as planned."""
    path = plan.path_of(Role.RECORD)
    if path is not None:
        from occupy_jit.reports.record import write_record

        with outputs.open(path, "w") as file:
            write_record(file, record)
    path = plan.path_of(Role.LOG)
    if path is not None:
        log.show_timings()
        with outputs.open(path, "w") as file:
            file.write(log.text())


def write_maps(writer: Writer, result: Result, workers: int) -> list[np.ndarray]:
    """Write the scale, every modified map, and the maps behind them.

    Returns
    -------
    list of (str, array)
        Name and central slice of each modified map, if planned.
    """
    from occupy_jit.estimation.modification import modify

    plan, settings = writer.plan, writer.plan.settings
    modifications = requested(settings)
    writer.map(Role.SCALE, result.scale, "local scale")
    writer.map(Role.ERROR, result.error, "standard error of the scale")
    if result.flexibility is not None:
        writer.map(Role.OCCUPANCY, result.flexibility.occupancy, "occupancy without flexibility")
        writer.map(Role.FLEXIBILITY, result.flexibility.b_factor, "relative B factor in A^2, above 0 less sharp")
    writer.map(Role.NOISE_ERROR, result.noise_error, "standard error of the scale by noise alone")
    writer.map(Role.LOWPASS, result.lowpass, "low-passed map")
    writer.map(Role.CONFIDENCE, result.confidence, "confidence")
    slices = _write_modified(writer, result, modifications, workers)
    if plan.path_of(Role.SOLVENT_DEFINITION) is not None:
        writer.map(Role.SOLVENT_DEFINITION, result.scale > plan.options.save_solvent_def,
                   "solvent definition: 1 is content")
    if plan.path_of(Role.SUBTRACTION_MASK) is not None:
        writer.map(Role.SUBTRACTION_MASK, modify.subtraction_mask(result, settings, modifications), "subtraction mask")
    return slices


def _write_modified(writer, result, modifications, workers):
    """Write the modified maps and their factors; returns slices, see `write_maps`."""
    from occupy_jit.estimation.modification import modify

    plan, settings, volume = writer.plan, writer.plan.settings, writer.volume
    excluded = ", solvent excluded" if settings.exclude_solvent else ""
    # common outputs of several maps are written for the group
    kinds = [kind for kind in modifications if plan.path_of(Role.MODIFIED, kind) is not None]
    refilling = [] if settings.exclude_solvent else [kind for kind in kinds if kind.refills]
    buffer, slices = None, []
    for kind in kinds:
        noise = None
        if kind in refilling:
            buffer = None  # making noise takes as much memory
            noise = modify.solvent_noise(volume.data, result.quiet, result.voxel_size, workers)
            refilling.remove(kind)
        if not (refilling or plan.options.target_mask):
            result.quiet.forget()  # no longer needed, and modifications need memory
        if confidence_is_spent(settings, plan.options):
            buffer = result.confidence
        buffer = modify.modified(volume.data, result, settings, kind, noise, buffer, workers)
        writer.map(Role.MODIFIED, buffer, f"{kind.name} {kind.strength:g}{excluded}", kind)
        if writer.report is not None:
            with writer.log.timed("report"):
                writer.report.add_modified(kind.name, buffer)
        if plan.path_of(Role.SLICES) is not None:
            middle = buffer.shape[0] // 2
            slices.append((kind.name, buffer[middle:middle + 1].copy()))
    for kind in modifications if plan.options.save_all_maps else ():
        _write_factors(writer, result, kind, buffer)
    return slices


def _write_factors(writer, result, kind, buffer):
    """Write the factors of a modification: one map, or those of two bands."""
    from occupy_jit.estimation.modification import equalise, modify
    from occupy_jit.estimation.modification.neighbourhood import scale_in_force

    settings = writer.plan.settings
    if not equalise.applies(result, settings, kind):
        modify.applied_factor(result, settings, kind, buffer)
        # if bands were planned, but the noise is unknown, it is the factor of all bands
        for role in FACTORS:
            writer.map(role, buffer, f"factor of {kind.name}", kind)
        if writer.plan.path_of(Role.FACTOR, kind) is None:
            writer.map(Role.NEIGHBOURHOOD, result.scale, "local scale")
        return
    scale = scale_in_force(result, result.bands)
    writer.map(Role.NEIGHBOURHOOD, scale, "scale of the neighbourhood")
    for role, band in zip((Role.FACTOR_LOWEST, Role.FACTOR_MIDDLE), result.bands.most_telling(), strict=True):
        equalise.applied_factor(result, settings, kind, result.bands, band, scale, buffer)
        writer.map(role, buffer, f"factor of {kind.name} in {result.bands.range_text(band)}", kind)


def _bands_drawn(bands):
    """Resolution bands for the plot; None without bands."""
    if bands is None:
        return None
    return {"frequency": bands.frequency, "signal": bands.signal_spectrum, "noise": bands.noise_spectrum,
            "edges": bands.edges, "factors": {f"{scale:g}": [float(bands.factor(band, scale))
                                                            for band in range(len(bands.signal))]
                                              for scale in FACTOR_SCALES}}


def _confidence_by_density(result):
    """Mean confidence of the voxels in each bin of the histogram."""
    import numpy as np

    edges = result.solvent.bin_edges
    sums, counts = np.zeros(edges.size - 1), np.zeros(edges.size - 1)
    for low, sure in zip(result.lowpass, result.confidence, strict=True):
        where = np.clip(((low - edges[0]) / (edges[1] - edges[0])).astype(np.int32), 0, edges.size - 2).reshape(-1)
        sums += np.bincount(where, weights=sure.reshape(-1), minlength=sums.size)
        counts += np.bincount(where, minlength=sums.size)
    filled = counts > 0
    return result.solvent.centres[filled], sums[filled] / counts[filled]
