"""The ball that the sliding maximum runs over, and the low-pass that it follows from."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from occupy_jit.kernels.sliding_ball_maximum import ball_voxels

if TYPE_CHECKING:
    from occupy_jit.settings import Settings

LOWPASS_VOXELS = 6.0
"""Default low-pass resolution, in voxels."""

_SIZES = (3, 9)
# 5.9999 voxels of low-pass are meant to be 6
_ROUNDING = 1e-3


@dataclass(frozen=True)
class Ball:
    """The ball: voxels with ``|offset| <= radius`` inside a cube of `size` voxels (odd)."""

    size: int
    radius: float

    @property
    def voxels(self) -> int:
        """int : Number of voxels, n_v."""
        return ball_voxels(self.radius, self.size)


def derived_lowpass(settings: Settings, voxel_size: float) -> float:
    """Low-pass resolution in Å: as given, else the resolution, else six voxels."""
    return settings.lowpass_input_angstrom or settings.resolution_angstrom or LOWPASS_VOXELS * voxel_size


def choose_ball(lowpass_angstrom: float, voxel_size: float, size: int | None = None, radius: float | None = None
               ) -> Ball:
    """Ball for a low-pass resolution.

    Diameter ``2 floor(d / 2p) + 1`` voxels, limited to 3 to 9, and radius d / 2p, at most half the
    diameter. A given size without a radius means the ball of that diameter, a given radius without a size
    the whole ball of that radius.

    Parameters
    ----------
    lowpass_angstrom, voxel_size : float
        Å.
    size : int, optional
        Diameter in voxels, odd.
    radius : float, optional
        Voxels.

    Returns
    -------
    Ball
    """
    if size is not None and radius is None:
        radius = (size - 1) / 2 if size > 1 else 0.5
    elif radius is not None and size is None:
        size = 2 * math.floor(radius + _ROUNDING) + 1
    elif size is None:
        radius = lowpass_angstrom / (2 * voxel_size)
        if abs(radius - round(radius)) < _ROUNDING:
            radius = float(round(radius))
        size = min(max(2 * math.floor(radius + _ROUNDING) + 1, _SIZES[0]), _SIZES[1])
        radius = min(max(radius, 1.0), size / 2)
    return Ball(int(size), float(radius))
