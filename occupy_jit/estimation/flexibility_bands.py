"""The resolution bands that measure flexibility. Standard library only: a plan needs them before it reads anything."""

from typing import Any

from occupy_jit.errors import InputError

LIMITS_ANGSTROM = (24.0, 12.0, 8.0, 6.0, 4.7, 3.8, 3.1)
"""Borders of the bands, from coarse to fine."""

FEWEST = 3
"""Fewest bands that separate a slope from an offset."""

FINEST_VOXELS = 2.15
"""Resolution, in voxels, beyond which a map contains little: interpolation and the corners of Fourier space."""

REMARK = ("relative to the region of full scale, which must be rigid and fully occupied. Unreliable for maps that were "
          "filtered or sharpened locally or processed by a network, for nucleic acid next to protein (an offset of 25 "
          "to 35 Å^2), and for parts smaller than 15 Å")
"""Limits of the separation of occupancy and flexibility."""

_TOLERANCE = 0.97


def bands_of(voxel_size: float) -> list[tuple[Any, ...]]:
    """Bands that a map of this voxel size can contain.

    Parameters
    ----------
    voxel_size : float
        Å.

    Returns
    -------
    list of (float, float)
        Coarse and fine limit of each in Å.

    Raises
    ------
    InputError
        If there are too few.
    """
    finest = _TOLERANCE * FINEST_VOXELS * voxel_size
    bands = [(low, high) for low, high in zip(LIMITS_ANGSTROM, LIMITS_ANGSTROM[1:], strict=False) if high >= finest]
    if len(bands) < FEWEST:
        raise InputError(f"voxels of {voxel_size:.4g} Å contain too little detail to separate flexibility from "
                         f"occupancy, which needs detail of {LIMITS_ANGSTROM[FEWEST]:g} Å or finer and voxels of at "
                         f"most {LIMITS_ANGSTROM[FEWEST] / _TOLERANCE / FINEST_VOXELS:.2f} Å; leave out "
                         "--separate-flexibility")
    return bands


def mean_square_frequency(low: float, high: float) -> float:
    """Mean of s^2 over a band of Fourier space, 1/Å^2: the integral of s^4 over that of s^2."""
    a, b = 1 / low, 1 / high
    return 0.6 * (b ** 5 - a ** 5) / (b ** 3 - a ** 3)


def share_below(low: float, high: float, resolution: float) -> float:
    """Share of the volume of a band that lies below 1 / `resolution`, all in Å."""
    a, b, c = 1 / low, 1 / high, 1 / resolution
    return (min(max(c, a), b) ** 3 - a ** 3) / (b ** 3 - a ** 3)
