"""Voxel size and position for ChimeraX, if they differ from the header."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from occupy_jit.files.maps.mrc_header import MapHeader


def shown_grid(header: MapHeader) -> tuple[Any, ...] | None:
    """Voxel size and position of the first voxel (x, y, z) in Å, if the header differs; else None.

    Output maps keep the cell of their input, so that they overlay it; a voxel size given by the user is
    known to the run alone.

    Parameters
    ----------
    header : occupy_jit.files.maps.mrc_header.MapHeader
    """
    from occupy_jit.files.maps.mrc_header import placed_otherwise
    from occupy_jit.files.maps.position import position

    if not placed_otherwise(header.record, header.axis_order, header.voxel_size):
        return None
    return header.voxel_size, position(header.record, header.axis_order, header.voxel_size)
