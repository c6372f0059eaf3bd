"""Zero level, noise floor and full scale: what turns the sliding maximum into a scale.

All three are measured on the map itself, from the voxels where it is quiet, without a mask and
without the solvent model.
"""

import math
from dataclasses import dataclass

import numpy as np

from occupy_jit.kernels import full_scale as search
from occupy_jit.kernels import quantiles as voxel_statistics
from occupy_jit.kernels.sliding_ball_maximum import ball_voxels
from occupy_jit.kernels.smoothing import smoothed_power
from occupy_jit.kernels.voxelwise import EXPONENT

LOWPASS_VOXELS = 6.0
"""Default low-pass resolution, in voxels."""

QUIET_SMOOTHING_ANGSTROM = 4.0
_KERNEL_SIZES = (3, 9)
_SOLVENT_DEVIATIONS = 4.0
# 5.9999 voxels of low-pass are meant to be 6
_ROUNDING = 1e-3
_THIN_FROM = 1 << 20


@dataclass(frozen=True)
class Kernel:
    """The ball: voxels with ``|offset| <= radius`` inside a cube of `size` voxels (odd)."""

    size: int
    radius: float

    @property
    def voxels(self):
        """int : Number of voxels, n_v."""
        return ball_voxels(self.radius, self.size)


def choose_kernel(lowpass_angstrom, voxel_size, size=None, radius=None):
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
    Kernel
    """
    if size is not None and radius is None:
        radius = (size - 1) / 2 if size > 1 else 0.5
    elif radius is not None and size is None:
        size = 2 * math.floor(radius + _ROUNDING) + 1
    elif size is None:
        radius = lowpass_angstrom / (2 * voxel_size)
        if abs(radius - round(radius)) < _ROUNDING:
            radius = float(round(radius))
        size = min(max(2 * math.floor(radius + _ROUNDING) + 1, _KERNEL_SIZES[0]), _KERNEL_SIZES[1])
        radius = min(max(radius, 1.0), size / 2)
    return Kernel(int(size), float(radius))


def is_thin(volume):
    """Whether a volume is so large that every other voxel on each axis is enough for medians.

    Low-passed maps and sliding maxima vary over several voxels: neighbours tell the same, and the median of an
    eighth of a few million voxels is as good as that of all. Small boxes use every voxel.
    """
    return volume.size > _THIN_FROM


@dataclass
class Quiet:
    """Voxels where the map is quiet: inside the inscribed sphere, with smoothed power at most `threshold`.

    Attributes
    ----------
    power : (nz, ny, nx) float32 array
        Power of the low-passed map around its median, smoothed with a Gaussian of 4 Å.
    threshold : float
    share : float
        Share of the sphere that is quiet.
    """

    power: np.ndarray
    threshold: float
    share: float = math.nan

    @property
    def thin(self):
        """bool : Whether every other voxel on each axis is enough for statistics of smooth volumes."""
        return is_thin(self.power)

    def mean_and_deviation(self, volume, smooth=False):
        """Mean and standard deviation of `volume` over the quiet voxels, and their number.

        `smooth`: the volume varies so slowly that every other voxel tells as much.
        """
        return voxel_statistics.quiet_moments(volume, self.power, self.threshold, self.thin and smooth)

    def survey(self, volume):
        """Mean, standard deviation and number of the quiet voxels, smallest and largest value of the whole sphere."""
        return voxel_statistics.quiet_survey(volume, self.power, self.threshold)

    def alone(self, volume, mean):
        """`volume` - `mean` at the quiet voxels, 0 elsewhere: (nz, ny, nx) float32 array."""
        out = np.zeros(volume.shape, np.float32)
        squares, limit = _half_voxel_sphere(volume.shape)
        for z in range(volume.shape[0]):
            inside = squares[0][z] + squares[1][:, None] + squares[2] <= limit
            chosen = inside & (self.power[z] <= self.threshold)
            out[z][chosen] = volume[z][chosen] - np.float32(mean)
        return out

    def median(self, volume, zero=0.0):
        """Median of `volume` - `zero`, a smooth volume, over the quiet voxels."""
        return voxel_statistics.quiet_median(volume, zero, self.power, self.threshold, self.thin)


def find_quiet(lowpassed, voxel_size):
    """Find solvent without a histogram or a mask.

    The squared deviation of the low-passed map from its median is smoothed; the quietest half of the inscribed
    sphere is a first guess, and voxels below ``median + 4 * 1.4826 * MAD`` of the power there are kept, six times over.

    Parameters
    ----------
    lowpassed : (nz, ny, nx) float32 array
    voxel_size : float
        Å.

    Returns
    -------
    Quiet
    """
    thin = is_thin(lowpassed)
    centre = voxel_statistics.quantile(lowpassed, 0.5, inside=True, thin=thin)
    power = smoothed_power(lowpassed, centre, max(QUIET_SMOOTHING_ANGSTROM / voxel_size, 1.0))
    return Quiet(power, voxel_statistics.power_threshold(power, thin=thin))


def full_scale(volume, zero, kernel, voxel_size, tau=None, tile_size_angstrom=30.0, naive=False, known=None):
    """Value at full scale, above the zero level.

    The largest tau-quantile over every cube of edge `tile_size_angstrom` inside the inscribed sphere; tau
    is the fixed point of ``tau^n_v + tau = 1``: the chance that the largest of n_v draws lies above the
    tau-quantile is then tau itself, so that over- and under-estimation balance. A `known` value is not searched.

    Returns
    -------
    value : float
    corner : tuple of int or None
        First voxel [z, y, x] of the cube; None for the naive form, tau times the maximum, and a known value.
    edge : int
        Of the cube, in voxels.
    tau : float
    """
    tau = search.full_scale_tau(kernel.voxels) if tau is None else tau
    edge = search.tile_edge(volume.shape, voxel_size, tile_size_angstrom)
    if known is not None:
        return float(known), None, edge, tau
    if naive:
        highest = voxel_statistics.volume_range(volume)[1]
        return tau * (highest - zero), None, edge, tau
    value, corner = search.largest_quantile(volume, edge, tau)
    return float(np.float32(value) - np.float32(zero)), tuple(int(i) for i in corner), edge, tau


def solvent_limit(floor, spread, subtracted, full):
    """Scale that empty solvent hardly ever reaches: that of four standard deviations above the noise floor.

    Parameters
    ----------
    floor, spread : float
        Median (the noise floor as measured) and standard deviation of the sliding maximum in solvent, above zero.
    subtracted : float
        Noise floor that the scale is reckoned from.
    full : float
        Full scale.

    Returns
    -------
    float
        At most 1.
    """
    height = (floor + _SOLVENT_DEVIATIONS * spread) ** EXPONENT - subtracted ** EXPONENT
    return min(max(height / (full ** EXPONENT - subtracted ** EXPONENT), 0.0) ** (1 / EXPONENT), 1.0)


def voxels_in_sphere(shape):
    """Number of voxels whose centre lies in the sphere inscribed in a box."""
    squares, limit = _half_voxel_sphere(shape)
    rest = limit - squares[0][:, None] - squares[1][None, :]
    along_x = np.sort(squares[2])
    return int(np.searchsorted(along_x, rest, side="right").sum())


def _half_voxel_sphere(shape):
    """Squared distances to the centre along each axis, and that of the sphere's surface, in half voxels.

    At least 2: to a box 1 x even x even belong the four voxels about the centre.
    """
    return [(2 * np.arange(n) - (n - 1)) ** 2 for n in shape], max(min(shape) ** 2, 2)
