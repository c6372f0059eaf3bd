"""Occupancy inside masks, with an error."""

import numpy as np

from occupy_jit.estimation import fourier
from occupy_jit.kernels.sphere import voxels_in_sphere

_NEAR_MAXIMUM = 0.85
"""The sliding maximum copies values from voxels that reach this share of it: they carry its noise. Against
repeated noise in simulated maps, 0.8 to 0.9 state the spread of occupancies within a factor of two, from single
voxels to whole chains."""


def occupancy_of_masks(result, masks):
    """Occupancy inside each mask and its standard error.

    The occupancy is the mean scale weighted with the mask. Its error is that of the noise in the map, in first order.
    A change of the scale is the change of M', times dS/dM', less that of X, times dS/dX; M' and X change as
    does the low-passed map where they were taken from, which are the voxels near the sliding maximum in the mask
    and near full scale in the cube that defines it. That makes the occupancy a weighted sum over voxels of noise, and
    its variance the sum over Fourier space of the power of the weights times that of the noise in quiet
    solvent, so that neither the low-pass nor the ball make voxels look independent. Noise is all it knows: not
    flexibility, neighbours within the reach of the ball, or a full scale that is not one (and, where it was given,
    not that it has an error).

    Parameters
    ----------
    result : occupy_jit.estimation.Result
        With the low-passed map.
    masks : sequence of (name, (nz, ny, nx) array)
        Soft or binary, in [0, 1].

    Returns
    -------
    list of dict
        mask; occupancy and error (None for an empty mask); median of the scale where the mask is above one half (None
        if it is nowhere); voxels, the sum of the mask; independent, how many independent voxels with the noise that
        the scale has in solvent would give that error.

    Raises
    ------
    ValueError
        If the low-passed map was not kept, or a mask has another shape than the map.
    """
    if result.lowpass is None:
        raise ValueError("the error of an occupancy needs the low-passed map: estimate with keep_lowpass=True")
    amplitude = None
    rows = []
    for name, mask in masks:
        mask = np.asarray(mask)
        if mask.shape != result.scale.shape:
            raise ValueError(f"mask {name}: shape {np.shape(mask)} differs from the map's {result.scale.shape}")
        total = sum(float(np.clip(section, 0, 1).sum(dtype=np.float64)) for section in mask)
        row = {"mask": name, "occupancy": None, "error": None, "median": None, "voxels": total, "independent": 0.0}
        rows.append(row)
        if total == 0:
            continue
        amplitude = _noise_amplitude(result) if amplitude is None else amplitude
        row["occupancy"], sensitivity = _mean_and_sensitivity(result, mask, total)
        fourier.filter_radially(sensitivity, amplitude, result.voxel_size, out=sensitivity)
        row["error"] = float(np.sqrt(sum(np.square(section, dtype=np.float64).sum() for section in sensitivity)))
        inside = result.scale[mask > 0.5]
        row["median"] = float(np.median(inside)) if inside.size else None
        row["independent"] = (result.scale_noise / row["error"]) ** 2 if row["error"] > 0 else 0.0
    return rows


def _mean_and_sensitivity(result, mask, total):
    """Mean scale in a mask, and how much it changes with each voxel of the low-passed map.

    Slice by slice: the formulas take 64 bits, and the mask may be the whole box.
    """
    floor, full = result.floor, result.full_scale
    sensitivity = np.zeros(result.scale.shape, np.float32)
    mean = moving = carried = common = 0.0
    for z, section in enumerate(mask):
        where = np.nonzero(section > 0)
        if where[0].size == 0:
            continue
        weight = np.minimum(section[where], 1) / total
        scale = result.scale[z][where].astype(np.float64)
        # M' from the scale, and dS/dM'
        height = (scale * full + np.sqrt((scale * full) ** 2 + 4 * floor ** 2)) / 2
        slope = weight * (1 + (floor / np.maximum(height, 1e-30)) ** 2) / full
        free = (scale > 0) & (scale < 1)  # elsewhere noise changes nothing
        carries = result.lowpass[z][where] - result.zero > _NEAR_MAXIMUM * height
        sensitivity[z][where] = np.where(carries, slope, 0)
        mean += weight @ scale
        moving += slope[free].sum()
        carried += slope[carries].sum()
        common += (weight * scale)[free].sum()
    if carried > 0:
        sensitivity *= np.float32(moving / carried)
    else:  # a mask of a few voxels, all of them beside what their maximum comes from
        where = np.nonzero(mask > 0)
        sensitivity[where] = np.minimum(mask[where], 1) * (moving / total)
    if result.full_scale_corner is not None:
        cube = tuple(slice(corner, corner + result.tile) for corner in result.full_scale_corner)
        top = result.lowpass[cube] - result.zero > _NEAR_MAXIMUM * full
        change = common / full
        sensitivity[cube] -= np.float32(change / max(np.count_nonzero(top), 1)) * top
    return float(mean), sensitivity


def _noise_amplitude(result):
    """Amplitude of the noise of the low-passed map at a frequency, as a function: that of the quiet voxels."""
    frequency, power = fourier.radial_spectrum(result.quiet.alone(result.lowpass, result.zero), result.voxel_size)
    # Where the scale was taken from the unfiltered map there is more noise than in the low-passed one.
    excess = max(1.0, result.scale_noise * result.full_scale / result.noise) if result.noise > 0 else 1.0
    share = result.quiet_share * voxels_in_sphere(result.scale.shape) / result.scale.size
    amplitude = np.sqrt(np.maximum(power, 0) / share) * excess
    return lambda s: np.interp(s, frequency, amplitude)
