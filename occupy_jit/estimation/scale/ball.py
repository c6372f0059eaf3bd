"""The ball of the sliding maximum, and the low-pass that determines it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from occupy_jit.kernels.full_scale import full_scale_tau
from occupy_jit.kernels.sliding_ball_maximum import ball_voxels

if TYPE_CHECKING:
    from occupy_jit.settings import Settings

LOWPASS_VOXELS = 6.0
"""Default low-pass resolution, in voxels, if it lies within `LOWPASS_ANGSTROM`."""

LOWPASS_ANGSTROM = (6.0, 9.0)
"""Limits of the default low-pass, Å: the scale of a molecule must not depend on the sampling of its map. Below
6 Å single side chains define full scale, above 9 Å neighbouring chains spread into each other."""

LEAST_VOXELS = 3.0
"""Smallest default low-pass in voxels: below it the maximum misses too much between the samples."""

LOWPASS_OF_CLASSES = 1.6
"""Low-pass of the scales for references, relative to the resolution of the class maps."""

LARGEST_OF_CLASSES = 24.0, 9.0
"""Upper limits of this low-pass: in Å, where subunits start to blur into each other, and in voxels, the limit of the
largest ball."""

EVIDENCE_NOISE = 0.135
"""Noise floor, relative to full scale, up to which confidence uses the low-pass of the scale: at six voxels
a finer low-pass no longer follows content better from there on."""

EVIDENCE_VOXELS = (6.0, 7.0)
"""A low-pass of fewer voxels may be widened to this for the confidence: its peaks of noise are as narrow as
the ball, and smoothing the maximum afterwards cannot replace the filter."""

_EVIDENCE_POWER = 1.4  # the noise floor falls with the resolution of the low-pass to the power of -0.7
_DECIMALS = 2  # of the default in Å, so that the value in the log can be given as an option
_SIZES = (3, 9)
# 5.9999 voxels of low-pass are meant to be 6: tolerance of the radius for rounding of the low-pass
_ROUNDING, _ROUNDING_ANGSTROM = 1e-3, 0.003


@dataclass(frozen=True)
class Ball:
    """The ball: voxels with ``|offset| <= radius`` inside a cube of `size` voxels (odd)."""

    size: int
    radius: float
    draws: int | None = None  # voxels of the default ball, if this one is narrower but full scale is not

    @property
    def voxels(self) -> int:
        """int : Number of voxels, n_v."""
        return ball_voxels(self.radius, self.size)

    @property
    def noise_of_default(self) -> float:
        """float : Maximum of noise over the default ball relative to this one (medians, independent voxels)."""
        return _median_of_maximum(self.draws) / _median_of_maximum(self.voxels) if self.draws else 1.0

    @property
    def tau(self) -> float:
        """float : Quantile that defines full scale for the maximum over this ball."""
        return full_scale_tau(self.draws or self.voxels)


def _median_of_maximum(draws):
    """Median of the maximum of this number of normal deviates, in standard deviations."""
    from statistics import NormalDist  # takes long to import, and only runs with a mask of nucleic acid need it

    return NormalDist().inv_cdf(0.5 ** (1 / draws))


def derived_lowpass(settings: Settings, voxel_size: float) -> float:
    """Low-pass resolution in Å: as given, else the resolution, else `default_lowpass`."""
    return settings.lowpass_input_angstrom or settings.resolution_angstrom or default_lowpass(voxel_size)


def default_lowpass(voxel_size: float) -> float:
    """Default low-pass resolution: six voxels, but 6 to 9 Å, and at least three voxels.

    Parameters
    ----------
    voxel_size : float
        Å.

    Returns
    -------
    float
        Å, rounded to two decimals.
    """
    low, high = LOWPASS_ANGSTROM
    wanted = round(min(max(LOWPASS_VOXELS * voxel_size, low), high), _DECIMALS)
    least = LEAST_VOXELS * voxel_size
    return wanted if wanted >= least else math.ceil(round(least * 100, 6)) / 100


def lowpass_of_classes(resolution: float, voxel_size: float) -> float | None:
    """Low-pass resolution for references of a classification, if it has to be wider than the default.

    Parameters
    ----------
    resolution : float
        Of the class maps, Å.
    voxel_size : float
        Å.

    Returns
    -------
    float or None
        Å, rounded to two decimals; None if the default is sufficient.
    """
    angstrom, voxels = LARGEST_OF_CLASSES
    wanted = min(LOWPASS_OF_CLASSES * resolution, angstrom, voxels * voxel_size)
    return round(wanted, _DECIMALS) if wanted > max(LOWPASS_ANGSTROM[1], default_lowpass(voxel_size)) else None


def evidence_lowpass(lowpass_angstrom: float, voxel_size: float, relative_floor: float) -> float | None:
    """Resolution of the low-pass for the confidence, if it should be wider than for the scale.

    Parameters
    ----------
    lowpass_angstrom, voxel_size : float
        Å.
    relative_floor : float
        Noise floor relative to full scale, after the low-pass of the scale.

    Returns
    -------
    float or None
        Å; None if the low-pass of the scale suffices.
    """
    if not may_widen(lowpass_angstrom, voxel_size) or relative_floor <= EVIDENCE_NOISE:
        return None
    return min(lowpass_angstrom * (relative_floor / EVIDENCE_NOISE) ** _EVIDENCE_POWER,
               EVIDENCE_VOXELS[1] * voxel_size)


def may_widen(lowpass_angstrom: float, voxel_size: float) -> bool:
    """Whether the low-pass of the scale has fewer than six voxels, so that the confidence may need a wider one."""
    return lowpass_angstrom / voxel_size < EVIDENCE_VOXELS[0] - _ROUNDING


def choose_ball(lowpass_angstrom: float, voxel_size: float, size: int | None = None, radius: float | None = None
               ) -> Ball:
    """Ball for a low-pass resolution.

    Diameter ``2 floor(d / 2p) + 1`` voxels, at least 3 and at most 9 (or that for a low-pass of 6 Å at fine voxels),
    and radius d / 2p, at most half the diameter. A given size without a radius means the ball of that diameter, a given
    radius without a size the whole ball of that radius.

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
        radius, tolerance = lowpass_angstrom / (2 * voxel_size), max(_ROUNDING, _ROUNDING_ANGSTROM / voxel_size)
        if abs(radius - round(radius)) < tolerance:
            radius = float(round(radius))
        largest = max(_SIZES[1], 2 * math.floor(LOWPASS_ANGSTROM[0] / (2 * voxel_size) + tolerance) + 1)
        size = min(max(2 * math.floor(radius) + 1, _SIZES[0]), largest)
        radius = min(max(radius, 1.0), size / 2)
    return Ball(int(size), float(radius))
