"""The kinds of output files: description, prefix and suffix of the name, and type of node in RELION.

A new kind takes one row here. Other programs rely on descriptions, prefixes and suffixes, which must not change.
"""

import enum
from collections.abc import Iterable
from dataclasses import dataclass

from occupy_jit.files.maps.suffixes import MAP_SUFFIXES
from occupy_jit.modifications import TABLE, Modification
from occupy_jit.runs.plan.names import Names


class Role(enum.Enum):
    """Role of a file. The value appears in log and record.

    Attributes
    ----------
    prefix, suffix : str
        Of the file name, around the name of the map or group; for a `MODIFIED` map or its factor the modification
        adds a prefix.
    node : {"map", "mask", "local"} or None
        Type of the map in RELION, see `occupy_jit.runs.relion_job.NODE_TYPES`; None: not shown there.
    """

    prefix: str
    suffix: str
    node: str | None

    def __new__(cls, words: str, prefix: str = "", suffix: str = "", node: str | None = None) -> "Role":
        role = object.__new__(cls)
        role._value_ = words
        role.prefix, role.suffix, role.node = prefix, suffix, node
        return role

    # of one map
    SCALE = "scale", "scale_", ".mrc", "local"
    ERROR = "standard error of the scale", "sd_", ".mrc"
    NOISE_ERROR = "standard error of the scale by noise alone", "noise_", ".mrc"
    OCCUPANCY = "occupancy without flexibility", "occ_", ".mrc"
    FLEXIBILITY = "relative B factor", "flex_", ".mrc"
    MODIFIED = "modified map", "", ".mrc", "map"
    LOWPASS = "low-passed map", "lowpass_", ".mrc", "map"
    CONFIDENCE = "confidence", "conf_", ".mrc", "mask"
    FACTOR = "factor", "factor_", ".mrc"
    FACTOR_LOWEST = "factor in the lowest band", "factor_low_", ".mrc"
    FACTOR_MIDDLE = "factor in the band that tells most", "factor_mid_", ".mrc"
    NEIGHBOURHOOD = "scale of the neighbourhood", "around_", ".mrc"
    SOLVENT_DEFINITION = "solvent definition", "solventdef_", ".mrc", "mask"
    SUBTRACTION_MASK = "subtraction mask", "subtraction_", ".mrc", "mask"
    TARGET_TABLE = "table of target masks", "targets_", ".csv"
    PLAIN_COPY = "uncompressed input", "map_", ".map"
    PLOT = "plot", "solModel_", ".png"
    SLICES = "slices", "slices_", ".png"
    REPORT = "report", "report_", ".html"
    CHIMERAX = "ChimeraX script", "chimX_", ".cxc"
    RECORD = "record", "occupy_", ".json"
    LOG = "log", "log_", ".txt"
    PARTS_TABLE = "table of parts", "parts_", ".csv"
    PARTS_RECORD = "record of parts", "parts_", ".json"
    RESIDUES_TABLE = "table of residues", "residues_", ".csv"
    MODEL = "model with occupancies", "model_", ".cif"
    ATTRIBUTES = "ChimeraX attributes of parts", "parts_", ".defattr"
    PARTS_PLOT = "chart of parts", "parts_", ".png"
    LIGANDS_TABLE = "table of ligands", "ligands_", ".csv"
    LIGANDS_SCRIPT = "ChimeraX script of ligands", "ligands_", ".cxc"
    LIGANDS_ATTRIBUTES = "ChimeraX attributes of ligands", "ligands_", ".defattr"
    # of several maps together
    REPORT_INDEX = "index of the reports", "index", ".html"
    STATES_PAGE = "page of the states", "states", ".html"
    STATES_HEAT_MAP = "heat map of the states", "states_heatmap", ".png"
    STATES_GRAPH = "graph of the states", "states_graph", ".png"
    CLASS_PAGE = "page of the classes", "classes_", ".html"
    CLASS_TABLE = "table of classes", "classes_", ".csv"
    DIFFERENCE_TABLE = "table of differences", "classdiff_", ".csv"
    SCALE_SPREAD = "standard deviation of scale", "classvar_", ".mrc", "local"
    CLASS_TARGETS = "table of differences in target masks", "classtargets_", ".csv"
    CLASS_PARTS = "table of parts in classes", "classparts_", ".csv"
    CLASS_PART_DIFFERENCES = "table of differences of parts", "classpartdiff_", ".csv"
    CLASS_PARTS_PLOT = "chart of parts in classes", "classparts_", ".png"
    STAR = "STAR file", "", ".star"

    @property
    def is_map(self) -> bool:
        """bool : Whether the file is a map."""
        return self.suffix in MAP_SUFFIXES

    def path(self, names: Names) -> str:
        """Path of this file for a map or a group, if it is the only one of its kind.

        Parameters
        ----------
        names : Names

        Returns
        -------
        str
        """
        return names.path(self.prefix, self.suffix)


FACTORS = (Role.FACTOR, Role.FACTOR_LOWEST, Role.FACTOR_MIDDLE)
"""Factors of a modification by plain factors, and of one by bands."""

MAPS = frozenset(role for role in Role if role.is_map)
"""Roles of files that are maps."""

MAP_PREFIXES = tuple(sorted({row.prefix for row in TABLE} | {role.prefix for role in MAPS} - {""}))
"""Prefixes of the names of output maps."""

NODES = {role.value: role.node for role in Role if role.node} | {row.name: Role.MODIFIED.node for row in TABLE}
"""Role of a file in the record (`Output.what`) -> its type in RELION."""


@dataclass(frozen=True)
class Output:
    """A file that a run writes.

    Attributes
    ----------
    role : Role
    path : str
    modification : Modification or None
        The modification that made the map or factor.
    """

    role: Role
    path: str
    modification: Modification | None = None

    @property
    def what(self) -> str:
        """str : The role of the file, as in the record."""
        if self.modification is None:
            return self.role.value
        if self.role is Role.MODIFIED:
            return self.modification.name
        return self.role.value.replace("factor", f"factor of {self.modification.name}")

    @property
    def description(self) -> str:
        """str : The role of the file, for people."""
        return f"modified map ({self.what})" if self.role is Role.MODIFIED else self.what


def output_of(role: Role, names: Names, modification: Modification | None = None) -> Output:
    """The file of a role, with its name.

    Parameters
    ----------
    role : Role
    names : Names
        Of the map or the group.
    modification : Modification, optional
        For a modified map or a factor.

    Returns
    -------
    Output
    """
    if modification is None:
        return Output(role, role.path(names))
    if role is Role.MODIFIED and modification.is_main:
        return Output(role, names.out, modification)
    return Output(role, names.path(f"{role.prefix}{modification.prefix}", role.suffix), modification)


def path_of(outputs: Iterable[Output], role: Role, modification: Modification | None = None) -> str | None:
    """Path of the first output of a role (and modification, if one is given); None if it is not written."""
    return next((output.path for output in outputs
                 if output.role is role and modification in (None, output.modification)), None)
