"""Standard errors: noise and errors of the model from the scatter over space, and systematic errors of the method."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from occupy_jit.estimation.parts.gauss_newton import solve_once
from occupy_jit.estimation.threads import threads_allowed
from occupy_jit.kernels.model.columns import combine, project, project_in_blocks

if TYPE_CHECKING:
    from occupy_jit.estimation.parts.columns import Design
    from occupy_jit.estimation.parts.fit_grid import Lattice
    from occupy_jit.estimation.parts.gauss_newton import Parts, State, Step

_OF_FORM_FACTORS = 0.01  # of the occupancy: accuracy of two Gaussians
_ICE_ERROR = 0.08  # of the contrast of nucleic acid, as a share of the displaced ice
_UNTOLD_OFFSET = 60.0  # Å^2: scatter of offsets that are fixed at 0 where they are not resolved
_SOLVENT = 1.45  # details from the atoms
_ENOUGH_SOLVENT = 0.2  # of the number of fit voxels
_PER_OFFSET = 4e-4  # of the occupancy, per Å^2 of difference in B factor: blur is not exactly Gaussian


@dataclass
class Solution:
    """The last solution at the final gain and whitening.

    Attributes
    ----------
    occupancy : ndarray (columns,)
    offset : ndarray (parts,)
    covariance : ndarray (2 parts, 2 parts)
        Of both for the parts, scaled so that each variance is the larger of those by the formula and by the sandwich.
    y, fit : ndarray (voxels,)
    state : State
    of_ice : ndarray (parts,)
        Error by the uncertain contrast of nucleic acid.
    step : Step
    influence : ndarray (blocks, parts)
        Contribution of the residual in each block of space to each occupancy; the sum over blocks is 0.
    """

    occupancy: np.ndarray
    offset: np.ndarray
    covariance: np.ndarray
    y: np.ndarray
    fit: np.ndarray
    state: State
    of_ice: np.ndarray
    step: Step
    influence: np.ndarray


def solve_with_errors(design: Design, lattice: Lattice, state: State, parts: Parts) -> Solution:
    """Two more Gauss-Newton steps at a fixed gain and whitening, and the covariance of their result."""
    y = lattice.at_fit_voxels(state.whitening * lattice.band)
    for _ in range(2):
        state, step = solve_once(design, lattice, y, state, parts)
    scores = block_scores(design, lattice, step, y - step.fit, len(parts))
    meat = scores.T @ scores * (lattice.n_blocks / max(lattice.n_blocks - 1, 1)) + np.diag(step.prior)
    formula = np.diag(step.covariance).copy()
    if lattice.resolved < 1:
        n = len(parts)
        spectrum = _spectrum_of_noise(lattice, state, y - step.fit)
        formula[:n] = np.maximum(formula[:n], _in_coloured_noise(design, lattice, step, spectrum, n))
    covariance = _larger(formula, step.covariance @ meat @ step.covariance)
    covariance += np.diag(_of_untold_offsets(lattice, step, len(parts)) ** 2)
    return Solution(state.occupancy, state.offset, covariance, y, step.fit, state,
                    _of_ice(design, lattice, state, step, len(parts)), step,
                    scores @ step.covariance[:, :len(parts)])


def _spectrum_of_noise(lattice, state, residual):
    """Power of noise and errors of the model in each shell, per coefficient and voxel.

    This is the power of the residual, or of solvent if larger: the parts absorb waves longer than themselves, which are
    then missing in the residual.
    """
    left = lattice.spread(residual)
    power = lattice.power(left, left) / lattice.in_shell / lattice.n_fit
    far = lattice.distance >= _SOLVENT * lattice.detail
    if np.count_nonzero(far) > _ENOUGH_SOLVENT * lattice.n_fit:
        import scipy.fft as fft

        solvent = np.where(far, lattice.filtered(state.whitening * lattice.band), np.float32(0))
        transform = fft.rfftn(solvent, workers=threads_allowed())
        power = np.maximum(power, lattice.power(transform, transform) / lattice.in_shell / np.count_nonzero(far))
    return power


def _in_coloured_noise(design, lattice, step, spectrum, n):
    """Variance of the occupancies in noise of this spectrum, if the map is not whitened.

    The formula of least squares is valid for white noise only. An occupancy is a weighted sum over the map; the weights
    are its row of the covariance times the columns. Its variance is the power of these weights times that of the noise,
    over Fourier space.
    """
    variance = np.empty(n)
    for part in range(n):
        row = step.covariance[part]
        of_columns = np.zeros((design.n_columns, 2))
        of_columns[:n, 0] = row[:n]
        of_columns[:, 1] = step.share @ row[n:2 * n]
        weights = lattice.spread(combine(design.pattern, step.values, of_columns))
        variance[part] = (spectrum * lattice.power(weights, weights)).sum() / lattice.data.size
    return variance


def _of_untold_offsets(lattice, step, n):
    """Error of each occupancy by offsets that the map does not resolve; 0 for the offsets."""
    main = step.normal.main
    own = np.arange(n)
    rate = main[own, own + n] / np.maximum(main[own, own], 1e-30)
    return np.concatenate([(1 - lattice.resolved) * _UNTOLD_OFFSET * rate, np.zeros(n)])


def _of_ice(design, lattice, state, step, n):
    """Change of the occupancies by the error of the ice displaced by nucleic acid."""
    if not design.mixed:
        return np.zeros(n)
    transfer = state.gain * state.whitening * lattice.band
    column = design.ice_of_nucleic_acid(transfer, state.offset, state.occupancy)
    sums = project(design.pattern, step.values, column)
    right = [sums[:n, 0], step.share.T @ sums[:, 1], sums[n:, 0]]
    return _ICE_ERROR * step.normal.solve(np.concatenate(right))[0][:n]


def change_with(design: Design, solution: Solution, difference: np.ndarray, n: int) -> np.ndarray:
    """Change of the occupancies for a change of the map, one step from the solution.

    Parameters
    ----------
    design : Design
    solution : Solution
    difference : ndarray (voxels,), float64
        Of the whitened map.
    n : int
        Number of parts.

    Returns
    -------
    ndarray (parts,), float64
    """
    step = solution.step
    sums = project(design.pattern, step.values, difference)
    return step.normal.solve(np.concatenate([sums[:n, 0], step.share.T @ sums[:, 1], sums[n:, 0]]))[0][:n]


def block_scores(design: Design, lattice: Lattice, step: Step, residual: np.ndarray, n: int) -> np.ndarray:
    """Products of the residual and the columns of parts and offsets over every block of space: (blocks, m)."""
    scores = project_in_blocks(design.pattern, step.values, residual, lattice.block, lattice.n_blocks)
    return np.concatenate([scores[:, :n, 0], np.asarray(scores[:, :, 1] @ step.share)], 1)


def _larger(formula, sandwich):
    """The sandwich covariance, scaled so that no variance is smaller than that of the formula, (m,) array."""
    factor = np.sqrt(np.maximum(formula / np.maximum(np.diag(sandwich), 1e-30), 1))
    return sandwich * factor[:, None] * factor[None, :]


def relative_to_full(occupancy: np.ndarray, covariance: np.ndarray, weights: np.ndarray
                    ) -> tuple[np.ndarray, np.ndarray, float]:
    """Occupancies divided by full scale, and their covariance, with the error of full scale."""
    reference = float(weights @ occupancy)
    gradient = np.eye(len(occupancy)) / reference - np.outer(occupancy / reference**2, weights)
    return occupancy / reference, gradient @ covariance @ gradient.T, reference


def standard_errors(occupancy: np.ndarray, covariance: np.ndarray, offset: np.ndarray, reference_offset: float,
                    of_ice: np.ndarray) -> np.ndarray:
    """Square root of the sum of squares of all errors."""
    of_blur = _PER_OFFSET * np.abs(offset - reference_offset) * np.abs(occupancy)
    variance = np.maximum(np.diag(covariance), 0) + (_OF_FORM_FACTORS * occupancy) ** 2 + of_blur**2 + of_ice**2
    return np.sqrt(variance)


def difference_error(difference: np.ndarray, variance: np.ndarray, blurred: Any,
                     of_ice: Any) -> np.ndarray:
    """Standard errors of the differences between two maps: systematic errors common to both cancel.

    Parameters
    ----------
    difference : ndarray (parts,)
    variance : ndarray (parts,)
        By noise, and by errors of the model that the maps do not share.
    blurred, of_ice : pair of ndarray (parts,)
        Offset times occupancy, and the error by the contrast of nucleic acid, in each map.
    """
    of_blur = _PER_OFFSET * (blurred[0] - blurred[1])
    return np.sqrt(variance + (_OF_FORM_FACTORS * difference) ** 2 + of_blur**2 + (of_ice[0] - of_ice[1]) ** 2)
