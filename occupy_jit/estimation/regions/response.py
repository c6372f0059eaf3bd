"""Level of a region as a function of its occupancy, in the noise of a map, measured on the map itself.

The level of a region is the median of the sliding maximum over its peaks. Noise raises it: it raises the maximum and
selects the peaks, the more so the weaker the region is. The size of the effect depends on the distributions of content
and noise, so it is measured. D in the strongest content is s + n; with n' a draw of noise like n, ``t D + sqrt(1 - t^2)
n'`` is ``t s`` in noise of the same strength, and has the level of content of t times the occupancy. The inverse of
this curve over t corrects the level of any region for noise.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from occupy_jit.estimation.noise.coloured import coloured_noise
from occupy_jit.estimation.regions.noise_draws import Drawn
from occupy_jit.kernels.grid.fields import part_of
from occupy_jit.kernels.grid.smoothing import smooth
from occupy_jit.kernels.grid.sphere import section_inside
from occupy_jit.kernels.sliding_ball_maximum import sliding_maximum

if TYPE_CHECKING:
    from occupy_jit.estimation.scale.ball import Ball
    from occupy_jit.estimation.solvent.quiet_voxels import Quiet

SHARES = (0.0, 0.15, 0.3, 0.45, 0.6, 0.8, 1.0)
"""Shares of the occupancy of the strongest content at which the curve is measured, with linear interpolation."""

_SEED = 20261128
_WINDOW_ANGSTROM = 6.0  # sigma of the Gaussian that averages the strength of the surroundings
_STRONG = 0.75  # of the strongest surroundings
_CONTENT = 0.25  # of the content of the fullest surroundings
_FULLEST = 0.995  # quantile over the sphere


@dataclass(frozen=True)
class ReadMap:
    """A map in which regions are measured.

    Attributes
    ----------
    volume : (nz, ny, nx) float32 array
        The low-passed map.
    zero : float
        Zero level.
    floor : float or float32 array
        Noise floor above it, for voxels or cells of two voxels.
    quiet : occupy_jit.estimation.solvent.quiet_voxels.Quiet
    difference : (nz, ny, nx) float32 array or None
        Half of the difference of half maps, with the same filter as the map.
    ball : occupy_jit.estimation.scale.ball.Ball
    voxel_size : float
        Å.
    """

    volume: np.ndarray
    zero: float
    floor: float | np.ndarray
    quiet: Quiet
    difference: np.ndarray | None
    ball: Ball
    voxel_size: float

    def maximum(self, volume: np.ndarray) -> np.ndarray:
        """Its sliding maximum."""
        return np.asarray(sliding_maximum(volume, self.ball.radius, self.ball.size))

    def floor_in(self, where: tuple[slice, ...]) -> float | np.ndarray:
        """Noise floor in a box: a number or an array."""
        return part_of(self.floor, self.volume.shape, where) if np.ndim(self.floor) else self.floor


class Response(NamedTuple):
    """Levels of regions with and without noise.

    Attributes
    ----------
    of_noise : float
        Level of noise alone, in units of the noise floor.
    readings, levels : (n,) float64 arrays
        Both ascending, in units of the level of noise alone.
    """

    of_noise: float
    readings: np.ndarray
    levels: np.ndarray

    def level(self, reading: float, floor: float) -> float:
        """Level of a region without noise.

        Parameters
        ----------
        reading, floor : float
            Level of the region, and the local noise floor, above the zero level.

        Returns
        -------
        float
            At least 0. Beyond the strongest content noise adds its square over the level, as
            `occupy_jit.estimation.scale.full_scale.noise_free_maximum` has it.
        """
        unit = self.of_noise * floor
        if not unit > 0:
            return max(reading, 0.0)
        reading = reading / unit
        last = self.readings[-1]
        if reading <= last:
            return unit * float(np.interp(reading, self.readings, self.levels))
        return unit * float(reading - (last - self.levels[-1]) * last / reading)


_WITHOUT_CONTENT = (np.array([1.0]), np.array([0.0]))


def draw_noise(of: ReadMap, thread_count: int | None = None) -> Drawn | None:
    """Noise like that of a map.

    Parameters
    ----------
    of : ReadMap
    thread_count : int, optional
        Never changes the result.

    Returns
    -------
    occupy_jit.estimation.regions.noise_draws.Drawn or None
        None if the map shows no noise.
    """
    floor = float(np.median(of.floor)) if np.ndim(of.floor) else of.floor
    noise = _draw(of, thread_count) if floor > 0 else None
    if noise is None:
        return None
    highest = of.maximum(noise)
    drawn = Drawn(noise, float(np.median(highest)), _reading(noise, highest))
    return drawn if drawn.floor > 0 and drawn.reading > 0 else None


def measure_response(of: ReadMap, drawn: Drawn | None) -> Response:
    """The response of a map.

    Parameters
    ----------
    of : ReadMap
    drawn : occupy_jit.estimation.regions.noise_draws.Drawn or None
        Noise like that of the map, if it shows any.

    Returns
    -------
    Response
    """
    if drawn is None:
        return Response(0.0, *_WITHOUT_CONTENT)
    noise, own_floor = drawn.volume, drawn.floor
    of_noise = drawn.reading / own_floor
    strong, box = strongest_content(of)
    if not strong.any():
        return Response(of_noise, *_WITHOUT_CONTENT)
    there = of.volume[box] - np.float32(of.zero)
    floors = of.floor_in(box)
    noise = noise[box] * np.asarray(floors / own_floor, np.float32)
    readings = np.array([_reading(*_at(share, there, noise, of), strong) for share in SHARES])
    readings = np.maximum.accumulate(readings)
    floor = float(np.mean(floors[strong])) if np.ndim(floors) else floors  # pyright: ignore[reportIndexIssue]
    level = readings[-1] - floor**2 / readings[-1] if readings[-1] > floor else 0.0
    if not (level > 0 and readings[0] > 0):
        return Response(of_noise, *_WITHOUT_CONTENT)
    return Response(of_noise, readings / readings[0], np.array(SHARES) * level / readings[0])


def _draw(of, thread_count):
    """Noise like that of the map; None if it is unknown."""
    sample = of.difference.copy() if of.difference is not None else of.quiet.alone(of.volume, of.zero)
    noise = coloured_noise(sample, of.voxel_size, _SEED, thread_count)
    return noise if noise.any() else None


def _at(share, content, noise, of):
    """Content at a share of its occupancy in noise of unchanged strength, and its sliding maximum."""
    volume = np.float32(share) * content + np.float32(math.sqrt(1 - share**2)) * noise
    return volume, of.maximum(volume)


def _reading(volume, maximum, where=None):
    """Median of the sliding maximum over the peaks, where the map reaches half of it; 0 without peaks."""
    peak = (volume > np.float32(0.5) * maximum) & (maximum > 0)
    if where is not None:
        peak &= where
    return float(np.median(maximum[peak])) if peak.any() else 0.0


def strongest_content(of: ReadMap) -> tuple[np.ndarray, tuple[slice, ...]]:
    """The strongest content of the map.

    The strength around a voxel is the mean of the sliding maximum over the peaks nearby, weighted by their height
    and a Gaussian of 6 Å. Voxels with hardly any content within this range are left out.

    Parameters
    ----------
    of : ReadMap

    Returns
    -------
    strong : (mz, my, mx) array of bool
        In a box around it, with a margin for the ball.
    box : tuple of slice
    """
    sigma = max(_WINDOW_ANGSTROM / of.voxel_size, 1.0)
    height = of.volume - np.float32(of.zero)
    np.maximum(height, 0, out=height)
    maximum = of.maximum(height)
    near = smooth(height, sigma)
    height[height <= np.float32(0.5) * maximum] = 0
    maximum *= height
    strength = smooth(maximum, sigma, out=maximum)
    weight = smooth(height, sigma, out=height)
    np.divide(strength, weight, out=strength, where=weight > 0)
    inside = np.stack([section_inside(of.volume.shape, z) for z in range(len(near))])
    content = inside & (weight > 0) & (near > _CONTENT * np.quantile(near[inside], _FULLEST))
    strong = content & (strength > _STRONG * strength[content].max(initial=0))
    return cut_to(strong, of.ball.size // 2 + 1)


def cut_to(mask: np.ndarray, margin: int, multiple: int = 1) -> tuple[np.ndarray, tuple[slice, ...]]:
    """A mask in the smallest box around its marked voxels.

    Parameters
    ----------
    mask : (nz, ny, nx) array
    margin : int
        Voxels around that, within the mask.
    multiple : int
        The first voxels of the box are multiples of this.

    Returns
    -------
    part : array
    box : tuple of slice
        The whole mask if it marks nothing.
    """
    box = []
    for axis in range(3):
        marked = np.flatnonzero((mask > 0).any(axis=tuple(other for other in range(3) if other != axis)))
        first, last = (marked[0], marked[-1]) if marked.size else (0, mask.shape[axis] - 1)
        first = max(first - margin, 0) // multiple * multiple
        box.append(slice(int(first), int(min(last + margin + 1, mask.shape[axis]))))
    return mask[tuple(box)], tuple(box)
