"""Plan of one map, known and checked before its data are read, with all outputs."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from occupy_jit.errors import InputError, OccupyError, UsageError, missing_packages
from occupy_jit.estimation.flexibility_bands import bands_of
from occupy_jit.files.names.paths import file_identity, shown
from occupy_jit.files.streams import open_input
from occupy_jit.machine import free_memory
from occupy_jit.modifications import requested
from occupy_jit.runs.plan import memory
from occupy_jit.runs.plan.halves_by_name import half_maps_of
from occupy_jit.runs.plan.names import Names, is_compressed_name, names_for
from occupy_jit.runs.plan.output_directory import check_directory, check_lengths
from occupy_jit.runs.plan.output_kinds import Role, output_of, path_of
from occupy_jit.settings import Options, Settings

if TYPE_CHECKING:
    from occupy_jit.files.maps.mrc_header import MapHeader
    from occupy_jit.modifications import Modification
    from occupy_jit.runs.plan.output_kinds import Output


@dataclass(frozen=True)
class Plan:
    """Plan of the run on one map; it can be sent to another process.

    Attributes
    ----------
    path : str
    header : occupy_jit.files.maps.mrc_header.MapHeader
    names : occupy_jit.runs.plan.names.Names
    outputs : tuple of Output
    memory_bytes : int
    settings : Settings
    options : Options
    label : str or None
        Name of a map in its group; common outputs are then written for the group, not for the map.
    full_scale : float or None
        Common to several maps; searched if None.
    strongest_corner : (z, y, x) or None
        Of the cube of its own full scale.
    page : str or None
        Page of several maps that links to the report of this one.
    halves : tuple of str
        Two half maps, the first of which may be the map; empty if not requested.
    keeps : bool
        Whether to keep common results of the fit for other maps on this grid.
    """

    path: str
    header: MapHeader
    names: Names
    outputs: tuple
    memory_bytes: int
    settings: Settings
    options: Options
    label: str | None = None
    full_scale: float | None = None
    strongest_corner: tuple | None = None
    page: str | None = None
    halves: tuple = ()
    keeps: bool = False

    def path_of(self, role: Role, modification: Modification | None = None) -> str | None:
        """Path of the output of a role; None if it is not written."""
        return path_of(self.outputs, role, modification)

    @property
    def also_read(self) -> tuple[str, ...]:
        """tuple of str : Input files beside the map."""
        model = () if self.options.model is None else (self.options.model,)
        paths = (*masks(self.options), *model, *self.halves[self.is_first_half:])
        return tuple(dict.fromkeys(paths))  # one mask may have two uses

    @property
    def is_first_half(self) -> bool:
        """bool : Whether the map stands for the mean of half maps, of which it is the first."""
        return self.path in self.halves[:1]

    def with_full_scale(self, value: float, corner: tuple[int, int, int] | None = None) -> Plan:
        """The same plan, with a full scale common to several maps, and the cube of its own."""
        return replace(self, full_scale=value, strongest_corner=corner)


def plan_map(path: str, settings: Settings, options: Options, label: str | None = None, page: str | None = None,
             of_several: bool = False) -> Plan:
    """Check an input, and plan its outputs.

    Parameters
    ----------
    path : str
    settings : Settings
    options : Options
    label : str, optional
        Name of the map in its group.
    page : str, optional
        Page of several maps that links to the report of this one.
    of_several : bool
        Whether other maps are run beside it.

    Returns
    -------
    Plan

    Raises
    ------
    InputError
        If the input, or a mask, cannot be used.
    UsageError
        If the name given for the modified map cannot be used.
    """
    from occupy_jit.files.maps.reading import read_header

    names = names_for(path, options.output_dir, options.output_map)
    header = read_header(path, options.voxel_size)
    halves = half_maps_of(path, options, of_group=label is not None)
    for half in halves:
        if not os.path.exists(half):
            raise InputError(f"{shown(half)}: no such file; it should be a half map of {shown(path)}")
        open_input(half).close()
    for mask in masks(options):
        if not os.path.exists(mask):
            raise InputError(f"{shown(mask)}: no such file; check the name of the mask")
        open_input(mask, "mask").close()
    if settings.separate_flexibility:
        try:
            bands_of(header.voxel_size)
        except InputError as error:
            raise InputError(f"{shown(path)}: {error}") from error
    compressed = header.compression is not None or is_compressed_name(path)
    outputs = _outputs(names, settings, options, compressed)
    if label is None:
        outputs += told(names, options)
    elif halves:
        outputs.append(output_of(Role.NOISE_ERROR, names))
    check_lengths(path, outputs)
    model = None
    if options.model is not None:
        from occupy_jit.runs.plan.model_read import size_of

        model = size_of(options, header)
    run = memory.outline(header, settings, options, bool(halves) and path not in halves, label is not None)
    keeps = of_several and options.model is not None
    needs = memory.needed(run, options, model, keeps)
    return Plan(path, header, names, tuple(outputs), needs, settings, options, label, page=page, halves=halves,
                keeps=keeps)


def masks(options: Options) -> list[str]:
    """Names of all masks in `options`."""
    given = (options.solvent_def, options.reference_mask, options.nucleic_mask, *options.target_mask)
    return [mask for mask in given if mask is not None]


def _outputs(names, settings, options, compressed):
    """The files of one map that hold results."""
    modifications = requested(settings)
    outputs = [output_of(Role.SCALE, names)]
    if memory.writes_error(options):
        outputs.append(output_of(Role.ERROR, names))
    if settings.separate_flexibility:
        outputs += [output_of(Role.OCCUPANCY, names),
                    output_of(Role.FLEXIBILITY, names)]
    outputs += [output_of(Role.MODIFIED, names, kind) for kind in modifications]
    if options.save_all_maps:
        outputs += [output_of(Role.LOWPASS, names),
                    output_of(Role.CONFIDENCE, names)]
        outputs += _factors(names, settings, modifications)
    if options.save_solvent_def is not None:
        outputs.append(output_of(Role.SOLVENT_DEFINITION, names))
    if options.subtraction_mask:
        outputs.append(output_of(Role.SUBTRACTION_MASK, names))
    if compressed and options.save_chimerax and not modifications:
        # ChimeraX opens only uncompressed maps, and without this one there would be nothing to colour
        outputs.append(output_of(Role.PLAIN_COPY, names))
    if options.model is not None:
        outputs += _outputs_of_parts(names, options)
    if options.plot:
        outputs += [output_of(Role.PLOT, names),
                    output_of(Role.SLICES, names)]
    if options.report:
        outputs.append(output_of(Role.REPORT, names))
    if options.target_mask:
        outputs.append(output_of(Role.TARGET_TABLE, names))
    return outputs


def _factors(names, settings, modifications):
    """Maps behind the modified maps."""
    by_bands = [kind for kind in modifications if kind.amplifies and not settings.plain_factors]
    outputs = [output_of(Role.NEIGHBOURHOOD, names)] if by_bands else []
    for kind in modifications:
        roles = (Role.FACTOR_LOWEST, Role.FACTOR_MIDDLE) if kind in by_bands else (Role.FACTOR,)
        outputs += [output_of(role, names, kind) for role in roles]
    return outputs


def _outputs_of_parts(names, options):
    """The files about the parts of a model."""
    from occupy_jit.runs.plan.model_read import has_ligands

    roles = [Role.PARTS_TABLE, Role.PARTS_RECORD, Role.MODEL, Role.ATTRIBUTES]
    if has_ligands(options):
        roles += [Role.LIGANDS_TABLE, Role.LIGANDS_ATTRIBUTES] + [Role.LIGANDS_SCRIPT] * options.save_chimerax
    roles += [Role.RESIDUES_TABLE] * options.residues + [Role.PARTS_PLOT] * options.plot
    return [output_of(role, names) for role in roles]


def told(names: Names, options: Options) -> list[Output]:
    """Report, script, record and log of a run."""
    outputs = []
    if options.save_chimerax:
        outputs.append(output_of(Role.CHIMERAX, names))
    if options.json:
        outputs.append(output_of(Role.RECORD, names))
    outputs.append(output_of(Role.LOG, names))
    return outputs


# Refused plans ------------------------------------------------------------------------------------------------------


def check_names(writers: Sequence[tuple[Any, ...]], inputs: Sequence[str]) -> None:
    """Refuse outputs with the name of an input, and outputs with the same name.

    Parameters
    ----------
    writers : sequence of (name, outputs)
        Path of a map, or name of a group, with its outputs.
    inputs : sequence of str
        All input files.

    Raises
    ------
    UsageError
        With the names.
    """
    read = {file_identity(path): path for path in inputs}
    taken = {}
    for index, (who, outputs) in enumerate(writers):
        for output in outputs:
            overwritten = read.get(file_identity(output.path))
            if overwritten is not None:
                raise UsageError(f"{shown(output.path)}: the {output.description} of {shown(who)} would overwrite the "
                                 f"input {shown(overwritten)}; use another -o or --output-dir")
            other, name = taken.setdefault(output.path, (index, output))
            if name is output:
                continue
            if other == index:
                raise UsageError(f"{shown(output.path)}: two outputs would have this name; use another -o, or rename "
                                 "the input")
            raise both_would_write(who, writers[other][0], output.path)


def both_would_write(one: Any, other: Any, path: str) -> Any:
    """The UsageError for two inputs with outputs of the same name; both may be one file."""
    if os.path.exists(one) and file_identity(one) == file_identity(other):
        return UsageError(f"{shown(one)} and {shown(other)} are the same map, and would both write {shown(path)}; "
                          "name it once")
    return UsageError(f"{shown(one)} and {shown(other)} would both write {shown(path)}; run them with different "
                      "--output-dir, or rename one")


def check_plot(options: Options) -> None:
    """Raise if requested pictures cannot be drawn."""
    if options.plot and importlib.util.find_spec("matplotlib") is None:
        raise missing_packages("--plot", "matplotlib")


def check_options(options: Options) -> None:
    """Raise now, and not after the work, if an output cannot be made or has no space."""
    check_plot(options)
    for name in ("parts", "residues", "reference_part", "assembly"):
        if options.model is None and getattr(options, name):
            raise UsageError(f"--{name.replace('_', '-')} needs a model: add --model MODEL")
    if options.model is not None:
        for name in ("gemmi", "scipy"):
            if importlib.util.find_spec(name) is None:
                raise missing_packages("--model", "gemmi", "scipy")
    check_directory(options.output_dir)
    if options.model is not None:
        from occupy_jit.runs.plan.model_read import parts_of

        parts_of(options)


def check_memory(plan: Plan) -> None:
    """Raise OccupyError if the run would need more memory than available."""
    there = free_memory.available()
    if there is not None and plan.memory_bytes > there:
        raise OccupyError(f"{shown(plan.path)}: needs about {plan.memory_bytes / 1e9:.1f} GB of memory, "
                          f"{there / 1e9:.1f} GB are available; ask for more memory, or use a smaller box")


def described(plan: Plan) -> list[Any]:
    """Lines of text on a planned run, for --dry-run."""
    nz, ny, nx = plan.header.shape
    there = free_memory.available()
    return [f"{shown(plan.path)}: {nx} x {ny} x {nz} voxels of {plan.header.voxel_size:.4g} Å",
            f"  memory: about {plan.memory_bytes / 1e6:.0f} MB"
            + ("" if there is None else f" of {there / 1e6:.0f} MB available"),
            *([f"  half maps: {', '.join(map(shown, plan.halves))}"] if plan.halves else []),
            *[f"  warning: {line}" for line in plan.header.warnings],
            *would_write(plan.outputs)]


def would_write(outputs: Sequence[Output]) -> list[str]:
    """Lines of text on planned outputs."""
    return [f"  would write {shown(output.path)}  {output.description}" for output in outputs]
