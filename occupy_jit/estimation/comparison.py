"""What several scale maps of one grid have in common and where they differ. Arrays only, no files."""

from dataclasses import dataclass

import numpy as np

SLAB_VOXELS = 1 << 23
"""Of all maps together, that are in memory at a time."""

# No difference below this is worth telling, however quiet the maps.
_LEAST_DIFFERENCE = 0.05
_DEVIATIONS = 4.0


@dataclass(frozen=True)
class Difference:
    """Where the scale of one map exceeds that of another beyond the noise of both.

    Attributes
    ----------
    more, less : int
        Index of the map with the higher scale, and of the other.
    limit : float
        Smallest difference that counted.
    voxels : int
    centre : (x, y, z) or None
        Centre of mass of the difference, in voxels; None where there is none.
    peak : float
        Largest difference.
    peak_at : (x, y, z) or None
        Where, in voxels.
    """

    more: int
    less: int
    limit: float
    voxels: int
    centre: tuple | None
    peak: float
    peak_at: tuple | None


def difference_limit(floor_shares, noises):
    """Difference in scale that noise does not explain.

    Parameters
    ----------
    floor_shares : (float, float)
        Noise floor of each map as a share of full scale: what empty solvent reads before the floor is taken off.
    noises : (float, float)
        Standard deviation of the sliding maximum in solvent, as a share of full scale.

    Returns
    -------
    float
        The floors added in quadrature, but at least four standard deviations of the difference, and 0.05.
    """
    return float(max(np.hypot(*floor_shares), _DEVIATIONS * np.hypot(*noises), _LEAST_DIFFERENCE))


def compare(scales, limits, occupied, spread=None, slab_voxels=SLAB_VOXELS):
    """Compare scale maps pair by pair, and each with the union of all.

    The union is where any map is occupied: its scale above its own limit. Differences count there.

    Parameters
    ----------
    scales : sequence of (nz, ny, nx) float32 arrays
        Read slab by slab: memory maps will do.
    limits : (k, k) array
        Smallest difference of each pair that counts, see `difference_limit`.
    occupied : (k,) array
        Scale above which each map is occupied.
    spread : (nz, ny, nx) float32 array, optional
        Filled with the standard deviation over the maps.
    slab_voxels : int
        How much is looked at at a time; nothing depends on it.

    Returns
    -------
    means : (k,) array
        Mean scale of each map in the union; NaN if that is empty.
    union : int
        Its voxels.
    differences : list of Difference
        Two for every pair, one for each direction.
    """
    number, (n_z, n_y, n_x) = len(scales), scales[0].shape
    pairs = [(a, b) for a in range(number) for b in range(number) if a != b]
    sums, union = np.zeros(number), 0
    # for each pair: voxels, and the sums of the difference, and of it times z, y and x
    moments = np.zeros((len(pairs), 5))
    peaks = [(0.0, None)] * len(pairs)
    step = max(1, slab_voxels // (number * n_y * n_x))
    for start in range(0, n_z, step):
        slab = np.stack([scale[start:start + step] for scale in scales])
        if spread is not None:
            np.std(slab, axis=0, out=spread[start:start + step])
        places = np.flatnonzero(np.logical_or.reduce([scale > above for scale, above in zip(slab, occupied,
                                                                                           strict=True)]))
        values = slab.reshape(number, -1)[:, places].astype(np.float64)
        del slab
        union += places.size
        sums += values.sum(axis=1)
        for row, (a, b) in enumerate(pairs):
            excess = values[a] - values[b]
            chosen = np.flatnonzero(excess > limits[a][b])
            if not chosen.size:
                continue
            weights = excess[chosen]
            zyx = np.unravel_index(places[chosen], (n_z, n_y, n_x))
            zyx = (zyx[0] + start, *zyx[1:])
            moments[row] += [chosen.size, weights.sum(), *(float(weights @ axis) for axis in zyx)]
            highest = int(weights.argmax())
            if weights[highest] > peaks[row][0]:
                peaks[row] = (float(weights[highest]), tuple(int(axis[highest]) for axis in reversed(zyx)))
    differences = []
    for (a, b), (voxels, total, *first), (peak, peak_at) in zip(pairs, moments, peaks, strict=True):
        centre = tuple(float(moment / total) for moment in reversed(first)) if voxels else None
        differences.append(Difference(a, b, float(limits[a][b]), int(voxels), centre, peak, peak_at))
    return sums / union if union else np.full(number, np.nan), union, differences
