"""The request of a run: `Settings`, what to compute, and `Options`, what to read and write, and how to run.

Frozen dataclasses, validated once, at the start. A field has the name of the option of the command (in Settings also
with its unit), and its default is defined only here: the parser uses it, and so does a run that is repeated from its
record. Standard library only: ``OccuPy --help`` imports no numpy.
"""

from __future__ import annotations

import math
import numbers
import types
import typing
from collections.abc import Collection
from dataclasses import dataclass, field, fields
from typing import Any

from occupy_jit.errors import SettingError
from occupy_jit.queries.query import Query
from occupy_jit.selections import selections

SCALE_MODES = ("occupancy", "resolution")
LOCAL = "local"
"""Value of a noise floor that is measured in the solvent nearby."""

B_FACTORS = ("auto", "flat", "model")
CLASS_DENSITIES = ("shared", "own")
CLASSES_AMOUNT = -0.75
"""Default amount of ``amplify`` for the classes of a classification."""
LARGEST_RADIUS = 500
"""Largest ball, in voxels: far beyond useful sizes, within memory."""
LARGEST_LENGTH = 10_000
"""Largest low-pass, resolution or tile, Å: beyond any box."""
LARGEST_POWER = 100
"""Largest gamma, or power of the confidence: results are constant long before."""
LARGEST_COUNT = 100_000
"""Largest number of threads or jobs."""
LARGEST_VALUE, SMALLEST_RANGE = 1e15, 1e-15
"""Largest value of a map: beyond it, squares in the estimate exceed single precision, also those of noise of a
thousandth of the map. Only damaged files contain such values."""


def _require(condition, name, value, wanted):
    if not condition:
        raise SettingError(name, value, f"must be {wanted}")


def _number(value, name):
    """Refuse a value that is not a number."""
    number = isinstance(value, numbers.Real) and not isinstance(value, bool)
    _require(number, name, repr(value) if isinstance(value, str) else value, "a number")


def _positive(value, name, unit="", largest=LARGEST_LENGTH):
    if value is not None:
        _number(value, name)
        _require(math.isfinite(value) and 0 < value <= largest, name, value,
                 f"a positive number{unit}, at most {largest:g}")


def _within(value, low, high, name):
    _number(value, name)
    _require(math.isfinite(value) and low <= value <= high, name, value, f"between {low:g} and {high:g}")


@dataclass(frozen=True)
class Settings:
    """What to compute. ``None`` means that the value is derived from the map (see the method section of the manual).

    Lengths in Å carry the suffix ``_angstrom``; all others are voxels.

    Examples
    --------
    >>> import occupy_jit
    >>> occupy_jit.Settings(amplify=True).amplify_amount
    1.0
    """

    # estimation
    lowpass_input_angstrom: float | None = None
    kernel_size: int | None = None
    kernel_radius: float | None = None
    resolution_angstrom: float | None = None
    tau: float | None = None
    tile_size_angstrom: float = 30.0
    naive_normalisation: bool = False
    noise_floor: float | str | None = None  # None: measured ("auto"); "local"; a number is in units of the map
    scale_mode: str = "occupancy"
    separate_flexibility: bool = False
    # modification
    amplify: bool = False
    amplify_amount: float = 1.0
    amplify_limit: float = 0.05
    amplify_gamma: float | None = None
    attenuate_gamma: float | None = None
    sigmoid_gamma: float | None = None
    pivot: float = 0.5
    plain_factors: bool = False
    exclude_solvent: bool = False
    hedge_confidence: float = 1.0
    no_confidence: bool = False
    lowpass_amplified_angstrom: float | None = None
    match_histogram: bool = False
    class_density: str = "shared"  # density of lowered classes: the mean of all, or that of each class

    def __post_init__(self):
        _positive(self.lowpass_input_angstrom, "lowpass_input_angstrom", " of Å")
        _positive(self.lowpass_amplified_angstrom, "lowpass_amplified_angstrom", " of Å")
        _positive(self.resolution_angstrom, "resolution_angstrom", " of Å")
        _positive(self.tile_size_angstrom, "tile_size_angstrom", " of Å")
        _positive(self.kernel_radius, "kernel_radius", " of voxels")
        _positive(self.hedge_confidence, "hedge_confidence", largest=LARGEST_POWER)
        if self.kernel_radius is not None:
            _require(self.kernel_radius <= LARGEST_RADIUS, "kernel_radius", self.kernel_radius,
                     f"at most {LARGEST_RADIUS} voxels")
        if self.kernel_size is not None:
            size = self.kernel_size
            _number(size, "kernel_size")
            odd = math.isfinite(size) and size == int(size) and size > 0 and size % 2 == 1
            _require(odd and size <= 2 * LARGEST_RADIUS + 1, "kernel_size", size,
                     f"a positive odd number of voxels, at most {2 * LARGEST_RADIUS + 1}")
        if self.tau is not None:
            _number(self.tau, "tau")
            _require(0 < self.tau <= 1, "tau", self.tau, "above 0 and at most 1")
        if self.noise_floor not in (None, LOCAL):
            number = not isinstance(self.noise_floor, str)
            _require(number and 0 <= self.noise_floor <= LARGEST_VALUE, "noise_floor",  # pyright: ignore[reportOperatorIssue]
                     self.noise_floor, "auto, local, or a number of at least 0 in the map's own units")
        for name, value, there in (("scale_mode", self.scale_mode, self.scale_mode == "resolution"),
                                   ("naive_normalisation", "", self.naive_normalisation)):
            if self.separate_flexibility and there:
                raise SettingError(name, value, "cannot be combined with {separate_flexibility}: occupancy and "
                                                "flexibility are separated on the low-passed map, relative to the "
                                                "region of full scale")
        _require(self.class_density in CLASS_DENSITIES, "class_density", self.class_density,
                 " or ".join(CLASS_DENSITIES))
        _require(self.scale_mode in SCALE_MODES, "scale_mode", self.scale_mode, " or ".join(SCALE_MODES))
        _within(self.amplify_amount, -1, 1, "amplify_amount")
        _within(self.amplify_limit, 0, 1, "amplify_limit")
        for gamma, option in ((self.amplify_gamma, "amplify_gamma"), (self.attenuate_gamma, "attenuate_gamma"),
                              (self.sigmoid_gamma, "sigmoid_gamma")):
            if gamma is not None:
                _number(gamma, option)
                _require(1 <= gamma <= LARGEST_POWER, option, gamma, f"at least 1, and at most {LARGEST_POWER}")
        _number(self.pivot, "pivot")
        _require(0 < self.pivot < 1, "pivot", self.pivot, "above 0 and below 1")
        require_effect(self, [item.name for item in fields(self) if getattr(self, item.name) != item.default])


def require_effect(settings: Settings, given: Collection[str]) -> None:
    """Raise SettingError if a given setting has no effect without another.

    Parameters
    ----------
    settings : Settings
    given : collection of str
        Names of fields.
    """
    gammas = (settings.amplify_gamma, settings.attenuate_gamma, settings.sigmoid_gamma)
    modifies = settings.amplify or settings.exclude_solvent or any(gamma is not None for gamma in gammas)
    amplifies = settings.amplify or settings.amplify_gamma is not None or settings.sigmoid_gamma is not None
    for name, works, needed in (
            ("amplify_amount", settings.amplify, "{amplify}"),
            ("amplify_limit", amplifies, "{amplify}, {amplify_gamma} or {sigmoid_gamma}"),
            ("pivot", settings.sigmoid_gamma is not None, "{sigmoid_gamma}"),
            ("plain_factors", modifies, "a modification, such as {amplify}"),
            ("lowpass_amplified_angstrom", modifies, "a modification, such as {amplify}"),
            ("match_histogram", modifies, "a modification, such as {amplify}"),
            ("tile_size_angstrom", not settings.naive_normalisation, "a search (leave {naive_normalisation} out)")):
        if name in given and not works:
            raise SettingError(name, "", f"has no effect without {needed}: add that, or leave it out")


def _once(default):
    """A field for this run only, which is not recorded or repeated."""
    return field(default=default, metadata={"recorded": False})


@dataclass(frozen=True)
class Options:
    """What to read and write, and how to run. Names are those of the options of the command, with underscores.

    Attributes
    ----------
    input_map : tuple of str
        Maps, directories of maps, and ``@LIST`` for the names that a file lists.
    emdb : tuple of str
        Numbers of EMDB entries.
    voxel_size : float or None
        Å, instead of that in the header.
    solvent_def : str or None
        Mask of the content.
    reference_mask : str or None
        Mask of a fully occupied part, from which full scale is measured.
    nucleic_mask : str or None
        Mask of the nucleic acid of a complex with protein.
    report_paths : bool
        Whether a report shows whole paths instead of file names.
    save_solvent_def : float or None
        Scale above which the output mask is 1.
    states : int, True or None
        Whether to divide the maps of one complex into states: a number, or True for as many as differ.
    particles : tuple of str
        Files with the particles behind the volumes.
    select : str or None
        Selection of volumes, for `occupy_jit.queries.query.Query`.
    jobs : int
        Number of maps run at a time, in processes of this machine.
    cluster : str or None
        Address of a dask scheduler, name of its scheduler file, or "slurm".
    cluster_jobs : int or None
        Number of SLURM jobs as workers.
    array : bool
        Whether this is one task of a SLURM array.
    resume : bool
        Whether to skip finished maps.
    collect : str or None
        Directory with the tables of the tasks of an array.
    verbosity : int
        -1 quiet, 0, 1 verbose.
    install_completion : str or None
        A shell, or True for that of the user.
    command_line : tuple of str
        As typed, program first, for log and record.
    given : frozenset of str
        Names of the fields, here and in `Settings`, given by the user.
    """

    # sources of maps
    input_map: tuple[str, ...] = _once(())
    emdb: tuple[str, ...] = _once(())
    emdb_dir: str | None = _once(None)
    demo: bool = _once(False)
    relion_classes: str | None = _once(None)
    common_scale: bool = _once(False)
    rerun: str | None = _once(None)
    voxel_size: float | None = None
    solvent_def: str | None = None
    target_mask: tuple[str, ...] = ()
    reference_mask: str | None = None
    nucleic_mask: str | None = None
    # parts of an atomic model
    model: str | None = None
    parts: tuple[str, ...] = ()
    residues: bool = False
    reference_part: tuple[str, ...] = ()
    b_factors: str = "auto"
    assembly: str | None = None
    half_maps: tuple[str, ...] = ()
    # states of many volumes
    states: int | bool | None = _once(None)
    particles: tuple[str, ...] = _once(())
    select: str | None = _once(None)
    # outputs
    output_map: str | None = None
    output_dir: str = "."
    save_all_maps: bool = False
    save_error: bool = False
    plot: bool = False
    report: bool = False
    report_paths: bool = False
    save_chimerax: bool = True
    min_vis_scale: float = 0.2
    json: bool = True
    save_solvent_def: float | None = None
    subtraction_mask: bool = False
    # how to run
    threads: int | None = None
    jobs: int = _once(1)
    cluster: str | None = _once(None)
    cluster_jobs: int | None = _once(None)
    array: bool = _once(False)
    resume: bool = _once(False)
    verbosity: int = _once(0)
    dry_run: bool = _once(False)
    # other tasks than a run
    collect: str | None = _once(None)
    warm_up: bool = _once(False)
    show_completion: str | None = _once(None)
    install_completion: str | bool | None = _once(None)
    # form of the request
    command_line: tuple[str, ...] = _once(())
    given: frozenset[str] = _once(frozenset())

    def __post_init__(self):
        selections(self.parts)  # raises for unreadable values
        _require(self.b_factors in B_FACTORS, "b_factors", self.b_factors, " or ".join(B_FACTORS))
        _positive(self.voxel_size, "voxel_size", " of Å", largest=1000)
        if self.select is not None:
            Query(self.select)
        if self.states is not None and self.states is not True:
            _require(self.states >= 1, "states", self.states, "at least 1")
        if self.save_solvent_def is not None:
            _within(self.save_solvent_def, 0, 1, "save_solvent_def")
        _require(0 <= self.min_vis_scale < 1, "min_vis_scale", self.min_vis_scale, "at least 0 and below 1")
        for count, option in ((self.threads, "threads"), (self.jobs, "jobs"),
                              (self.cluster_jobs, "cluster_jobs")):
            if count is not None:
                _require(1 <= count <= LARGEST_COUNT, option, count, f"at least 1, and at most {LARGEST_COUNT}")


def default(name: str) -> Any:
    """Default of a field of `Settings` or `Options`."""
    return getattr(Settings if name in names(Settings) else Options, name)


def names(cls: type) -> list[str]:
    """Names of the fields of a dataclass, in order."""
    return [item.name for item in fields(cls)]


def chosen(cls: type, values: dict[str, Any]) -> Options | Settings:
    """An instance of `Settings` or `Options` from those of `values` (name -> value) that are its fields."""
    return cls(**{name: values[name] for name in names(cls) if name in values})


def recorded(values: Settings | Options) -> dict[str, Any]:
    """Settings or options in the record of a run: everything that can be repeated.

    Parameters
    ----------
    values : Settings or Options

    Returns
    -------
    dict
    """
    return {item.name: getattr(values, item.name) for item in fields(values) if item.metadata.get("recorded", True)}


def from_record(made: type, values: dict[str, Any]) -> dict[str, Any]:
    """Fields of `Settings` or `Options` from a record, in their types.

    Parameters
    ----------
    made : type
        `Settings` or `Options`.
    values : dict
        Result of `recorded`, through JSON; the record may have been edited.

    Returns
    -------
    dict

    Raises
    ------
    TypeError
        A name is not a recorded field, or its value has another type.
    """
    types_of = typing.get_type_hints(made)
    allowed = {item.name for item in fields(made) if item.metadata.get("recorded", True)}
    found = {}
    for name, value in values.items():
        if name not in allowed:
            raise TypeError(f"{name} is not recorded")
        if isinstance(value, list):
            value = tuple(value)
        if not _fits(value, types_of[name]):
            raise TypeError(f"{name}: {value!r} is no {types_of[name]}")
        found[name] = value
    return found


def _fits(value, wanted):
    """Whether a value has the declared type of a field."""
    if isinstance(wanted, types.UnionType):
        return any(_fits(value, one) for one in typing.get_args(wanted))
    if typing.get_origin(wanted) is tuple:
        return isinstance(value, tuple) and all(_fits(item, typing.get_args(wanted)[0]) for item in value)
    if wanted in (int, float):
        return isinstance(value, (int, wanted)) and not isinstance(value, bool)
    return isinstance(value, wanted)
