"""Selection of the volumes of one complex: readable, and on one grid."""

from __future__ import annotations

import collections
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from occupy_jit.errors import InputError, explain
from occupy_jit.estimation.states.ensemble import FEWEST_VOLUMES
from occupy_jit.files.maps.position import same_position, same_voxel_size
from occupy_jit.files.names.paths import shown

if TYPE_CHECKING:
    from occupy_jit.reports.runlog import RunLog
    from occupy_jit.settings import Options


@dataclass
class Volumes:
    """The volumes of a run.

    Attributes
    ----------
    paths : list of str
        Usable volumes, in order.
    headers : list of occupy_jit.files.maps.mrc_header.MapHeader
    left_out : list of (str, str)
        Path and reason.
    """

    paths: list
    headers: list
    left_out: list = field(default_factory=list)

    @property
    def header(self) -> Any:
        """The common grid: the header of the first volume."""
        return self.headers[0]

    def leave_out(self, path: str, reason: Any, log: RunLog) -> None:
        """Leave out a volume, with one line that gives the reason."""
        if path in self.paths:
            index = self.paths.index(path)
            del self.paths[index], self.headers[index]
        self.left_out.append((path, reason))
        log.warning(f"{shown(path)}: {reason.removeprefix(shown(path) + ': ')}; left out")

    def require_enough(self) -> None:
        """Raise InputError if too few volumes are left."""
        if len(self.paths) < FEWEST_VOLUMES:
            more = f"; {len(self.left_out)} were left out, see above" if self.left_out else ""
            raise InputError(f"states need at least {FEWEST_VOLUMES} volumes of one complex; there "
                             f"{'is' if len(self.paths) == 1 else 'are'} {len(self.paths)}{more}")


def maps_of(options: Options) -> list[Any]:
    """Paths of all maps: those given, or the classes of a classification.

    Raises
    ------
    InputError
        The STAR file cannot be used.
    """
    if options.relion_classes is None:
        return list(options.input_map)
    from occupy_jit.files.relion.class_maps import locate
    from occupy_jit.files.relion.star import read_classes

    model = read_classes(options.relion_classes)
    found = locate(model)
    return [path or entry.reference for path, entry in zip(found.paths, model.classes, strict=True)]


def find_volumes(maps: Sequence[str], options: Options, log: RunLog) -> Volumes:
    """Read the headers of all maps; leaves out maps whose grid differs from that of most.

    Parameters
    ----------
    maps : sequence of str
    options : occupy_jit.settings.Options
    log : occupy_jit.reports.runlog.RunLog

    Returns
    -------
    Volumes

    Raises
    ------
    InputError
        Fewer than three can be used.
    """
    from occupy_jit.files.maps.reading import read_header

    found = Volumes([], [])
    if len(maps) < FEWEST_VOLUMES:
        found.paths = list(maps)
        found.require_enough()
    for path in maps:
        try:
            header = read_header(path, options.voxel_size)
        except (InputError, OSError) as error:
            found.leave_out(path, explain(error)[2], log)
            continue
        found.paths.append(path)
        found.headers.append(header)
    if found.paths:
        _leave_out_other_grids(found, log)
    found.require_enough()
    return found


def _grid(header):
    return header.shape, round(header.voxel_size, 2)


def _leave_out_other_grids(found, log):
    """Volumes whose box, voxel size or position differs from that of most."""
    usual = collections.Counter(map(_grid, found.headers)).most_common(1)[0][0]
    first = next(header for header in found.headers if _grid(header) == usual)
    place = _position(first)
    for path, header in list(zip(found.paths, found.headers, strict=True)):
        if header.shape == first.shape and same_voxel_size(header.voxel_size, first.voxel_size) and same_position(
                _position(header), place, first.voxel_size):
            continue
        found.leave_out(path, f"has {_described(header)}, most volumes have {_described(first)}; resample it on their "
                        "grid (ChimeraX: volume resample #2 onGrid #1)", log)


def _position(header):
    from occupy_jit.files.maps.position import position

    return position(header.record, header.axis_order, header.voxel_size)


def _described(header):
    box = " x ".join(map(str, header.shape[::-1]))
    start = ", ".join(f"{v:.1f}" for v in _position(header))
    return f"{box} voxels of {header.voxel_size:.4g} Å from {start} Å on"


def names_of(paths: Any) -> Any:
    """Names of volumes in tables: file names if these differ, else whole paths."""
    short = [os.path.basename(path) for path in paths]
    return short if len(set(short)) == len(short) else list(paths)
