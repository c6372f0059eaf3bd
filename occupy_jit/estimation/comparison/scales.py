"""Comparison of several scale maps on one grid. Arrays only, no files.

A difference counts if noise does not explain it. Both scales are maxima over the same structure at the same position,
and full scale is common to all maps: only noise can make them differ. Because many voxels are compared, the required
number of standard errors is found from the differences themselves, so that among the reported differences only a small
share is due to chance (the false discovery rate of Benjamini and Hochberg 1995, J. R. Stat. Soc. B 57, 289, which also
holds for correlated voxels).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from occupy_jit.estimation.scale.contrast import maximum_with_noise, noise_share

SLAB_VOXELS = 1 << 23
"""Voxels of all maps together that are in memory at a time."""

LEAST_DIFFERENCE = 0.05
"""Smaller differences are not reported, however significant they are."""

FALSE_SHARE = 0.05
"""Share of the reported differences that may be due to chance; also the probability, over all pairs, that anything is
reported for a pair without differences."""

_BIN, _LARGEST = 0.02, 12.0  # standard errors


@dataclass(frozen=True)
class NoiseOfScale:
    """Effect of uniform noise on the scale of one map.

    Attributes
    ----------
    floor : float
        Noise floor as a share of full scale.
    deviation : float
        Standard deviation of the map's noise, as a share of full scale.
    """

    floor: float
    deviation: float

    def at(self, scale: np.ndarray) -> np.ndarray:
        """Standard error of each scale by noise alone; see `occupy_jit.kernels.standard_error.scale_error`."""
        share = noise_share(maximum_with_noise(scale, self.floor), self.floor) if self.floor > 0 else 0.0 * scale
        return (1 + share) * (1 - 0.3 * share) * self.deviation


@dataclass(frozen=True)
class Difference:
    """Region in which the scale of one map exceeds that of another beyond the noise of both.

    Attributes
    ----------
    more, less : int
        Index of the map with the higher scale, and of the other.
    errors : float or None
        Number of standard errors that a difference had to exceed; None if no difference is significant.
    voxels : int
    share : float
        Of the union.
    smallest : float or None
        Smallest difference that counted.
    centre : (x, y, z) or None
        Centre of mass of the difference, in voxels; None without a difference.
    peak : float
        Largest difference.
    peak_error : float or None
        Its standard error.
    peak_at : (x, y, z) or None
        Where, in voxels.
    """

    more: int
    less: int
    errors: float | None
    voxels: int
    share: float
    smallest: float | None
    centre: tuple | None
    peak: float
    peak_error: float | None
    peak_at: tuple | None


def least_errors(counts: np.ndarray, total: int, level: float) -> float | None:
    """Number of standard errors that a difference must exceed so that at most a share of the rest is due to chance.

    Parameters
    ----------
    counts : (n,) int array
        Voxels by the absolute difference in standard errors, in bins of 0.02 from 0; the last holds all beyond.
    total : int
        Voxels.
    level : float

    Returns
    -------
    float or None
        None if there is no such number.
    """
    beyond = np.cumsum(np.asarray(counts)[::-1])[::-1]
    for edge, number in enumerate(beyond):
        z = edge * _BIN
        if number and total * math.erfc(z / math.sqrt(2)) <= level * number:
            return z
    return None


def compare(scales: Sequence[np.ndarray], noises: Sequence[NoiseOfScale] | np.ndarray, occupied: np.ndarray,
            spread: np.ndarray | None = None, slab_voxels: int = SLAB_VOXELS
           ) -> tuple[np.ndarray, int, list[Difference]]:
    """Compare scale maps pair by pair, over the union of all.

    The union is the region in which any map has a scale above its own limit. Only differences there count.

    Parameters
    ----------
    scales : sequence of (nz, ny, nx) float32 arrays
        Read slab by slab, twice; they can be memory maps.
    noises : sequence of NoiseOfScale or (nz, ny, nx) float32 array
        Standard error of each by noise.
    occupied : (k,) array
        Scale above which each map is occupied.
    spread : (nz, ny, nx) float32 array, optional
        Filled with the standard deviation over the maps.
    slab_voxels : int
        Voxels handled at a time; the result does not depend on it.

    Returns
    -------
    means : (k,) array
        Mean scale of each map in the union; NaN if the union is empty.
    union : int
        Its voxels.
    differences : list of Difference
        Two for every pair, one per direction.
    """
    number = len(scales)
    pairs = [(a, b) for a in range(number) for b in range(a)]
    sums, union = np.zeros(number), 0
    counts = np.zeros((len(pairs), int(_LARGEST / _BIN) + 1), np.int64)
    for piece in _pieces(scales, noises, occupied, slab_voxels, spread):
        union += piece.places.size
        sums += piece.values.sum(axis=1)
        for row, (a, b) in enumerate(pairs):
            z = _in_errors(np.abs(piece.values[a] - piece.values[b]), np.hypot(piece.errors[a], piece.errors[b]))
            counts[row] += np.bincount((z / _BIN).astype(np.int64), minlength=counts.shape[1])
    level = FALSE_SHARE / max(len(pairs), 1)
    needed = {}
    for row, (a, b) in enumerate(pairs):
        needed[a, b] = needed[b, a] = least_errors(counts[row], union, level)
    found = {(a, b): _Region() for a in range(number) for b in range(number) if a != b}
    for piece in _pieces(scales, noises, occupied, slab_voxels):
        for (a, b), region in found.items():
            if needed[a, b] is not None:
                region.add(piece, a, b, needed[a, b])
    means = sums / union if union else np.full(number, np.nan)
    return means, union, [region.difference(a, b, needed[a, b], union) for (a, b), region in found.items()]


def _in_errors(difference, error):
    """Difference in standard errors, limited to the range of the bins; without noise any difference is significant."""
    unknown = np.where(difference > 0, _LARGEST, 0.0)
    countable = error * _LARGEST > np.abs(difference)  # avoid other divisions, which could overflow
    return np.minimum(np.divide(difference, error, out=unknown, where=countable), _LARGEST)


@dataclass
class _Piece:
    """The union in a slab: positions of its voxels, and the scale of each map there with its error."""

    start: int
    shape: tuple
    places: np.ndarray
    values: np.ndarray
    errors: np.ndarray

    def indices(self, chosen: Any) -> tuple[Any, Any, Any]:
        z, y, x = np.unravel_index(self.places[chosen], self.shape)
        return z + self.start, y, x


def _pieces(scales, noises, occupied, slab_voxels, spread=None):
    number, (n_z, n_y, n_x) = len(scales), scales[0].shape
    step = max(1, slab_voxels // (number * n_y * n_x))
    for start in range(0, n_z, step):
        part = slice(start, start + step)
        slab = np.stack([scale[part] for scale in scales])
        if spread is not None:
            np.std(slab, axis=0, out=spread[part])
        shape = slab.shape[1:]
        places = np.flatnonzero(np.logical_or.reduce([scale > above for scale, above in zip(slab, occupied,
                                                                                           strict=True)]))
        values = slab.reshape(number, -1)[:, places].astype(np.float64)
        del slab
        errors = np.array([noise.at(row) if isinstance(noise, NoiseOfScale)
                           else np.ascontiguousarray(noise[part]).reshape(-1)[places].astype(np.float64)
                           for noise, row in zip(noises, values, strict=True)])
        yield _Piece(start, shape, places, values, errors)


class _Region:
    """Region in which one map exceeds another, gathered slab by slab."""

    def __init__(self) -> None:
        self._moments = np.zeros(5)  # voxels; sums of the difference, and of it times z, y and x
        self._smallest = math.inf
        self._peak = (0.0, None, None)

    def add(self, piece: Any, a: Any, b: Any, errors: Any) -> None:
        excess = piece.values[a] - piece.values[b]
        error = np.hypot(piece.errors[a], piece.errors[b])
        chosen = np.flatnonzero((excess > LEAST_DIFFERENCE) & (_in_errors(excess, error) >= errors))
        if not chosen.size:
            return
        weights = excess[chosen]
        zyx = piece.indices(chosen)
        self._moments += [chosen.size, weights.sum(), *(float(weights @ axis) for axis in zyx)]
        self._smallest = min(self._smallest, float(weights.min()))
        highest = int(weights.argmax())
        if weights[highest] > self._peak[0]:
            self._peak = (float(weights[highest]), float(error[chosen[highest]]),
                          tuple(int(axis[highest]) for axis in reversed(zyx)))

    def difference(self, more: int, less: int, errors: Any, union: int) -> Difference:
        voxels, total, *first = self._moments
        centre = tuple(float(moment / total) for moment in reversed(first)) if voxels else None
        peak, peak_error, peak_at = self._peak
        return Difference(more, less, errors, int(voxels), float(voxels / union) if union else 0.0,
                          self._smallest if voxels else None, centre, peak, peak_error, peak_at)
