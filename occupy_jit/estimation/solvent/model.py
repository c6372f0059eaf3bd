"""The solvent model: a Gaussian fitted to the solvent peak of the histogram of the low-passed map.

It describes the solvent for the user (log, plot, verdicts) and for the noise that replaces attenuated density.
The scale does not depend on it.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

BINS = 1000
_ROUNDS = 12
# Range of the fit: from this many sigmas below the centre to this many above. Content adds to the
# high side, so little of that is used.
_BELOW, _ABOVE = 2.5, 0.5


@dataclass(frozen=True)
class SolventModel:
    """Gaussian ``amplitude exp(-(v - mean)^2 / (2 sigma^2))`` in voxels per bin.

    Attributes
    ----------
    bin_edges : (n + 1,) float64 array
        Density.
    counts : (n,) int64 array
    amplitude, mean, sigma : float
    edge : float
        Density above the mean at which the model falls below one voxel per bin.
    goodness : float
        Share of the variance of the histogram around the peak that the model explains; 1 is perfect.
    fitted : bool
        False if no Gaussian could be fitted; the moments below the peak replace it.
    """

    bin_edges: np.ndarray
    counts: np.ndarray
    amplitude: float
    mean: float
    sigma: float
    edge: float
    goodness: float
    fitted: bool

    @property
    def centres(self) -> np.ndarray:
        """(n,) float64 array : Middle of each bin."""
        return 0.5 * (self.bin_edges[1:] + self.bin_edges[:-1])

    def at(self, density: Any) -> Any:
        """Model, in voxels per bin, at these densities."""
        return self.amplitude * np.exp(-0.5 * ((np.asarray(density) - self.mean) / self.sigma) ** 2)


def edges_between(low: float, high: float) -> np.ndarray:
    """Edges of the bins of the histogram: (BINS + 1,) float64 array, with a margin if all values are equal."""
    if not low < high:
        low, high = low - abs(low) * 1e-3 - 1e-30, high + abs(high) * 1e-3 + 1e-30
    return np.linspace(low, high, BINS + 1)


def fit(counts: np.ndarray, bin_edges: np.ndarray) -> SolventModel:
    """Fit the Gaussian of the solvent peak.

    The logarithm of a Gaussian is a parabola. It is fitted by least squares, weighted with the counts (the
    logarithm of a Poisson count n has variance 1/n), to the bins around and below the peak, and the range of
    bins follows the fit until it is stable. All steps are equivariant to shifts and scalings of the densities.

    Parameters
    ----------
    counts : (n,) int array
    bin_edges : (n + 1,) array

    Returns
    -------
    SolventModel
    """
    counts = np.asarray(counts)
    edges = np.asarray(bin_edges, np.float64)
    width = (edges[-1] - edges[0]) / counts.size
    peak, spread = _first_guess(counts.astype(np.float64))
    x = np.arange(counts.size) + 0.5
    fitted = False
    coefficients = None
    for _ in range(_ROUNDS):
        near = (x >= peak - max(_BELOW * spread, 2)) & (x <= peak + max(_ABOVE * spread, 1)) & (counts > 0)
        if near.sum() < 4:
            break
        weight = np.sqrt(counts[near])
        u = (x[near] - peak) / spread
        design = np.stack([np.ones_like(u), u, u * u], axis=1)
        coefficients, *_ = np.linalg.lstsq(design * weight[:, None], np.log(counts[near]) * weight, rcond=None)
        if not coefficients[2] < 0:
            break
        new_spread = spread / np.sqrt(-2 * coefficients[2])
        new_peak = peak - spread * coefficients[1] / (2 * coefficients[2])
        # the centre cannot lie far outside the fitted range: such a fit covers only a flank
        if not (abs(new_peak - peak) < 4 * spread and 0.2 < new_spread / spread < 5):
            break
        done = abs(new_peak - peak) < 1e-9 * spread and abs(new_spread / spread - 1) < 1e-9
        height = np.exp(coefficients[0] - coefficients[1] ** 2 / (4 * coefficients[2]))
        peak, spread, fitted = new_peak, new_spread, True
        if done:
            break
    if not fitted:  # the fullest bin among those averaged for the first guess
        first = max(int(peak) - 3, 0)
        fullest = first + int(np.argmax(counts[first:int(peak) + 4]))
        peak, height = fullest + 0.5, float(counts[fullest])
    near = (x >= peak - 3 * spread) & (x <= peak + _ABOVE * spread)
    model = height * np.exp(-0.5 * ((x - peak) / spread) ** 2)
    variance = ((counts[near] - counts[near].mean()) ** 2).sum() if near.any() else 0.0
    residual = ((counts[near] - model[near]) ** 2).sum() if near.any() else 1.0
    goodness = float(np.clip(1 - residual / variance, 0, 1)) if variance > 0 else 0.0
    edge = peak + spread * np.sqrt(2 * np.log(height)) if height > 1 else peak
    return SolventModel(edges, counts, float(height), float(edges[0] + peak * width), float(spread * width),
                        float(edges[0] + edge * width), goodness, fitted)


def _first_guess(counts):
    """Position and sigma, in bins, of the highest peak, from its lower half."""
    smooth = np.convolve(np.pad(counts, 3, mode="edge"), np.full(7, 1 / 7), "valid")
    top = int(np.argmax(smooth))
    half = np.nonzero(smooth[:top + 1] < 0.6065 * smooth[top])[0]  # exp(-1/2): one sigma below the centre
    spread = top - half[-1] if half.size else top + 1
    return top + 0.5, float(max(spread, 0.5))
