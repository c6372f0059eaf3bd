"""Occupancy inside masks, with an error."""

import numpy as np


def occupancy_of_masks(result, masks):
    """Occupancy inside each mask and its standard error.

    The occupancy is the mean scale weighted with the mask. Its error comes from the noise of the map: over quiet
    solvent M' has a spread s, which is s / X of scale, and a mask of V voxels holds V / n_v independent balls.

    Parameters
    ----------
    result : occupy_jit.estimation.Result
    masks : sequence of (name, (nz, ny, nx) array)
        Soft or binary, in [0, 1].

    Returns
    -------
    list of dict
        mask, occupancy, error, voxels, independent, median.
    """
    rows = []
    for name, mask in masks:
        weight = np.clip(mask, 0, 1).astype(np.float64)
        total = float(weight.sum())
        if total == 0:
            rows.append({"mask": name, "occupancy": None, "error": None, "voxels": 0.0, "independent": 0.0})
            continue
        mean = float((weight * result.scale).sum() / total)
        independent = max(total / result.kernel.voxels, 1.0)
        rows.append({"mask": name, "occupancy": mean, "error": result.scale_noise / independent ** 0.5,
                     "voxels": total, "independent": independent})
    return rows
