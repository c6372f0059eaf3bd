"""The maps on one common scale: the classes of a classification, or maps given together."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from occupy_jit.errors import InputError, OccupyError, UsageError, explain
from occupy_jit.files.names.paths import file_identity, shown
from occupy_jit.modifications import requested
from occupy_jit.runs.classes import parts as class_parts
from occupy_jit.runs.classes import targets as class_targets
from occupy_jit.runs.plan.names import Names, names_for
from occupy_jit.runs.plan.output_kinds import Output, Role, output_of, path_of
from occupy_jit.runs.plan.plan import Plan, check_names, masks, plan_map, told
from occupy_jit.settings import CLASSES_AMOUNT

if TYPE_CHECKING:
    from occupy_jit.estimation.parts.result import PartsResult
    from occupy_jit.estimation.scale.result import FullScale
    from occupy_jit.files.maps.mrc_header import MapHeader
    from occupy_jit.files.relion.star import ClassModel
    from occupy_jit.reports.runlog import RunLog
    from occupy_jit.settings import Options, Settings


@dataclass
class ClassMap:
    """One map of the group, with its results.

    Attributes
    ----------
    label : str
    path : str or None
    reference : str or None
        Its name in the STAR file.
    share : float or None
        Of the particles.
    resolution : float or None
        Å.
    plan : Plan or None
    own : occupy_jit.estimation.scale.result.FullScale or None
        Its own full scale.
    record : dict or None
    report : dict or None
        Summary of its report.
    parts : occupy_jit.estimation.parts.result.PartsResult or None
        Of a model.
    targets : sequence of dict
        Occupancies inside target masks.
    status : int
    problem : str or None
        Why the map is left out.
    on_mean : Output or None
        Its modified map if this comes from the mean of all classes and not from its own run.
    """

    label: str
    path: str | None
    reference: str | None = None
    share: float | None = None
    resolution: float | None = None
    plan: Plan | None = None
    own: FullScale | None = None
    record: dict | None = None
    report: dict | None = None
    parts: PartsResult | None = None
    targets: tuple = ()
    status: int = 0
    problem: str | None = None
    on_mean: Output | None = None

    @property
    def modified(self) -> str | None:
        """str or None : Name of the modified map that the new STAR file names."""
        return self.plan.path_of(Role.MODIFIED) if self.on_mean is None else self.on_mean.path

    def leave_out(self, error: Any, log: RunLog) -> None:
        """Leave out the class, with one line that gives the reason."""
        status, kind, problem = explain(error)
        self.status, self.problem = status, problem
        log.error(f"{self.label}: {problem}; left out", kind)

    def leave_empty(self, problem: Any, log: RunLog) -> None:
        """Leave out an empty class without an error: classifications produce such classes."""
        self.problem = problem
        log.warning(f"{self.label}: {problem}; left out")


@dataclass
class Group:
    """All classes, and their common files.

    Attributes
    ----------
    names : occupy_jit.runs.plan.names.Names
    classes : list of ClassMap
    outputs : tuple of Output
    model : occupy_jit.files.relion.star.ClassModel or None
        The STAR file.
    project : str
        Directory that names in it are relative to.
    notes : tuple of str
        Notes for the user on how the maps were found.
    brightest : ClassMap or None
        The class that sets the common full scale.
    """

    names: Names
    classes: list
    outputs: tuple
    model: ClassModel | None = None
    project: str = os.curdir
    notes: tuple = ()
    brightest: ClassMap | None = None

    @property
    def on_mean(self) -> bool:
        """bool : Whether the modified maps come from the mean of the classes."""
        return any(entry.on_mean is not None for entry in self.usable)

    @property
    def usable(self) -> list[ClassMap]:
        """list of ClassMap : The usable classes."""
        return [entry for entry in self.classes if entry.problem is None]

    @property
    def name(self) -> str:
        """str : Name of the group."""
        return self.names.stem

    @property
    def common(self) -> float:
        """float : The common full scale."""
        return self.brightest.own.value

    def path_of(self, role: Role) -> str | None:
        """Path of the output of a role; None if it is not written."""
        return path_of(self.outputs, role)

    def require_usable(self) -> None:
        """Raise an OccupyError if no class is left."""
        if not self.usable:
            worst = max(entry.status for entry in self.classes) or InputError.exit_status
            kind = next((k for k in (InputError, UsageError) if k.exit_status == worst), OccupyError)
            raise kind(f"{self.name}: none of the {len(self.classes)} classes can be used; see the lines above")


def find_group(settings: Settings, options: Options) -> tuple[Settings, Group]:
    """The group of the options, unchecked.

    Parameters
    ----------
    settings : occupy_jit.settings.Settings
    options : occupy_jit.settings.Options
        With ``relion_classes``, or several maps as ``input_map``.

    Returns
    -------
    settings : occupy_jit.settings.Settings
        With the default modification of a classification if none was requested.
    group : Group
    """
    if options.relion_classes is None:
        return settings, _maps_group(options)
    notes = []
    chosen = "amplify" not in options.given and all(kind.is_main for kind in requested(settings))
    if chosen:
        settings = replace(settings, amplify=True)
    if settings.amplify and "amplify_amount" not in options.given:
        settings = replace(settings, amplify_amount=CLASSES_AMOUNT)
    if chosen:
        notes.append(f"no modification was given: --amplify is on, with amount {settings.amplify_amount:g} "
                     "(--no-amplify: scale only)")
    return settings, _star_group(settings, options, notes)


def _shares_density(settings, options):
    """bool : Whether the modified classes come from the mean of all, for the next classification."""
    return (options.relion_classes is not None and settings.amplify and settings.amplify_amount < 0
            and settings.class_density == "shared")


def _star_group(settings, options, notes):
    from occupy_jit.files.relion import class_maps, star

    model = star.read_classes(options.relion_classes)
    found = class_maps.locate(model)
    classes = [ClassMap(f"class {entry.number}", path, entry.reference, entry.share, entry.resolution)
               for entry, path in zip(model.classes, found.paths, strict=True)]
    notes += [f"maps of {len(classes)} class{'es' if len(classes) > 1 else ''}: found from "
              f"{shown(os.path.abspath(found.project))} ({found.why}), the first as "
              f"{shown(next(path for path in found.paths if path))}"]
    if found.elsewhere is not None:
        notes.append(f"different maps of the same names are in {shown(os.path.abspath(found.elsewhere))}: not used")
    if len(classes) == 1:
        notes.append("there is only one class, so there is nothing to compare")
    outputs = _outputs(model.stem, len(classes), options)
    if requested(settings):
        star_file = os.path.join(options.output_dir, f"out_{model.stem}_model.star")
        outputs = (*outputs, Output(Role.STAR, star_file))
    return Group(Names(options.output_dir, model.stem, ""), classes, outputs, model, found.project, tuple(notes))


def _maps_group(options):
    stems = [names_for(path, options.output_dir).stem for path in options.input_map]
    classes = [ClassMap(stem, path) for stem, path in zip(stems, options.input_map, strict=True)]
    name = common_name(stems)
    return Group(Names(options.output_dir, name, ""), classes, _outputs(name, len(classes), options))


def common_name(stems: Sequence[str]) -> str:
    """Common beginning of the names of several maps: run_it025 for run_it025_class001 and run_it025_class002.

    Parameters
    ----------
    stems : sequence of str

    Returns
    -------
    str
        The first name if they have hardly anything in common.
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
    """The common files of all classes."""
    names = Names(options.output_dir, name, "")
    outputs = [output_of(Role.CLASS_TABLE, names)]
    if number > 1:
        outputs += [output_of(Role.DIFFERENCE_TABLE, names),
                    output_of(Role.SCALE_SPREAD, names)]
    outputs += class_targets.planned(names, options, number)
    outputs += class_parts.planned(names, options, number)
    if options.report:
        outputs.append(output_of(Role.CLASS_PAGE, names))
    return (*outputs, *told(names, options))


def plan_group(group: Group, settings: Settings, options: Options, log: RunLog) -> None:
    """Check every class by its header, and leave out unusable ones.

    Parameters
    ----------
    group : Group
        Its classes receive their plans.
    settings : occupy_jit.settings.Settings
    options : occupy_jit.settings.Options
    log : occupy_jit.reports.runlog.RunLog

    Raises
    ------
    OccupyError
        No class is left, or an output must not be written.
    """
    _refuse_doubles(group)
    for entry in group.classes:
        try:
            if entry.share == 0:
                entry.leave_empty("no particles belong to it (_rlnClassDistribution is 0)", log)
                continue
            if entry.path is None:
                raise InputError(f"{shown(entry.reference)}: the map is missing")
            entry.plan = plan_map(entry.path, settings, options, entry.label, group.path_of(Role.CLASS_PAGE),
                                  of_several=len(group.classes) > 1)
            if _shares_density(settings, options) and len(group.classes) > 1:
                _put_on_mean(entry)
        except InputError as error:
            entry.leave_out(error, log)
    _require_one_grid(group, log)
    group.require_usable()
    inputs = [entry.path for entry in group.classes if entry.path] + masks(options)
    inputs += [path for entry in group.usable for path in entry.plan.also_read]
    if group.model is not None:
        inputs.append(group.model.path)
    group.outputs += tuple(entry.on_mean for entry in group.usable if entry.on_mean is not None)
    check_names([*((entry.path, entry.plan.outputs) for entry in group.usable), (group.name, group.outputs)], inputs)
    if group.path_of(Role.STAR) is not None:
        from occupy_jit.files.relion import star

        for entry in group.usable:  # fail now, and not after the work, if a name is impossible
            star.reference_name(entry.modified, group.project)


def _refuse_doubles(group):
    """Raise UsageError if two classes are one map, before hundreds of maps are read."""
    taken = {}
    for entry in group.classes:
        if entry.path is None:
            continue
        other = taken.setdefault(file_identity(entry.path), entry)
        if other is not entry:
            raise UsageError(f"{shown(entry.path)}: {other.label} and {entry.label} are the same map; give it once")


def _put_on_mean(entry):
    """Leave the modified map of a class, and its factor, to the group."""
    entry.on_mean = next(output for output in entry.plan.outputs
                         if output.role is Role.MODIFIED and output.modification.is_main)
    kind = entry.on_mean.modification
    entry.plan = replace(entry.plan, outputs=tuple(output for output in entry.plan.outputs
                                                   if output.modification != kind))


def _require_one_grid(group, log):
    """Leave out classes whose grid differs from that of most."""
    from occupy_jit.files.maps import position as map_position

    def same(a, b):
        return (a.shape == b.shape and map_position.same_voxel_size(a.voxel_size, b.voxel_size)
                and map_position.same_position(position(a), position(b), a.voxel_size))

    usable = group.usable
    if not usable:
        return
    grids = []  # classes by grid; there may be hundreds of classes, but only a few grids
    for entry in usable:
        grid = next((grid for grid in grids if same(grid[0].plan.header, entry.plan.header)), None)
        grid.append(entry) if grid is not None else grids.append([entry])
    reference = max(grids, key=len)[0]
    for grid in grids:
        for entry in grid if grid[0] is not reference else ():
            a, b = entry.plan.header, reference.plan.header
            entry.leave_out(InputError(f"{shown(entry.path)}: {_grid(a)} differ from {_grid(b)} of {reference.label}, "
                                       "so they have no common grid; resample it (ChimeraX: volume resample)"), log)


def position(header: MapHeader) -> tuple[float, float, float]:
    """Position of the first voxel of a map, in Å along x, y, z, from its `MapHeader`."""
    from occupy_jit.files.maps import position as map_position

    return map_position.position(header.record, header.axis_order, header.voxel_size)


def _grid(header):
    size = " x ".join(str(n) for n in reversed(header.shape))
    return f"{size} voxels of {header.voxel_size:.4g} Å at {', '.join(f'{v:.4g}' for v in position(header))}"
