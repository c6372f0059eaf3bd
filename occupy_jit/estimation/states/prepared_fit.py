"""Fits of one model to many volumes: common steps are done once, on their mean.

In the mean of the volumes the model is placed, its B factors are chosen, density without atoms is found, and gain,
whitening and offsets are fitted. A volume then takes one transform, its own gain and whitening, and a few
Gauss-Newton steps from the solution of the mean; its offsets are restrained to those of the mean.

Notes
-----
**Noise.** The formula for the covariance of a least squares, V = N^-1, holds for residuals that are independent from
voxel to voxel. Those of a whitened map are so nearly, those of one that is not whitened (details beyond 6 Å) are not.
An occupancy is a sum over voxels, o_p = sum_x a_p(x) y(x) with sum_x a_p^2 = V_pp; noise of the power S(s), which is 1
on average where it is white, makes its variance V_pp sum_s A_p(s) S(s), where A_p is the power of a_p on shells with
sum 1. A is found once, on the mean; S is the power of the residual of each volume. On simulated volumes errors within
a state are 0.91 to 1.04 of this prediction, and 1.1 to 2.2 times that of V alone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from occupy_jit.errors import InputError
from occupy_jit.estimation.parts.errors import relative_to_full, solve_with_errors, standard_errors
from occupy_jit.estimation.parts.fit import explained_share, fit_map, map_of
from occupy_jit.estimation.parts.fit_grid import fourier_crop
from occupy_jit.estimation.parts.gauss_newton import new_spectra, run_turns, solve_once
from occupy_jit.kernels.model.columns import combine

if TYPE_CHECKING:
    from occupy_jit.files.maps.maps import Map
    from occupy_jit.files.models.reading import AtomicModel

_TURNS = 2
_LEAST_SCORE = 3.5  # standard deviations: seldom exceeded by chance over all shifts
_SHIFT_NOTICED, _FARTHEST_SHIFT = 0.5, 5.0  # details
_BETTER_SHIFTED = 1.15


@dataclass
class VolumeFit:
    """Occupancies in one volume, on its own scale.

    Attributes
    ----------
    raw : ndarray (parts,), float64
    deviation : ndarray (parts,), float64
        Standard errors by noise alone.
    offset : ndarray (parts,), float64
        B factors relative to those of the fullest parts of the mean, Å^2.
    explained : float
        Share of the whitened volume that the model explains at its atoms.
    shift : ndarray (3,)
        Å along x, y, z: shift that brings the volume closer to the mean; 0 if it is aligned.
    density : float
        Value of 1 in units of the volume, at the lowest frequencies: its grey scale.
    """

    raw: np.ndarray
    deviation: np.ndarray
    offset: np.ndarray
    explained: float
    shift: np.ndarray
    density: float


class PreparedFit:
    """A model and the mean of many volumes, prepared for the fits of all volumes.

    Parameters
    ----------
    mean : occupy_jit.files.maps.maps.Map or ndarray (z, y, x)
        Of the volumes, on approximately one grey scale.
    model : AtomicModel
    part : ndarray (atoms,), int
        Of the model, from 0 without gaps.
    b_factors : {"auto", "flat", "model"}
    voxel_size, position : optional
        Of an array, as for `occupancy_of_parts`.
    say : callable, optional
        Called with a sentence before every step.

    Attributes
    ----------
    occupancy, se_model : ndarray (parts,), float64
        In the mean, relative to its fullest parts, and their errors by errors of the model.
    explained : float
    detail : float
        Å.

    Raises
    ------
    InputError
        The model does not lie in the mean of the volumes.
    """

    def __init__(self, mean: Map | np.ndarray, model: AtomicModel, part: np.ndarray, b_factors: str = "auto",
                 voxel_size: Any = None, position: Any = None, say: Callable[..., Any] | None = None) -> None:
        say = say or (lambda sentence: None)
        place = map_of(mean, voxel_size, position)
        self.shape, self.voxel_size = place[0].shape, np.broadcast_to(np.asarray(place[1], float), 3)
        self.model, self.part, self.n_parts = model, part, int(part.max()) + 1
        fitted = fit_map(place, model, part, b_factors, say)
        self.frame, self.uncovered = fitted.prepared.frame, fitted.prepared.uncovered
        self.n_outside = fitted.prepared.atoms.n_outside
        self.pseudo_atoms, self.uses_b_factors = fitted.pseudo_atoms, fitted.uses_b_factors
        self._lattice, self._design = fitted.prepared.lattice, fitted.design
        self.size, self.detail = fitted.known.size, self._lattice.detail
        say("model: errors")
        solution = solve_with_errors(self._design, self._lattice, fitted.state, fitted.known)
        self.explained = explained_share(solution, model)
        self._known = replace(fitted.known, expected=solution.offset)
        self._state = solution.state
        self._take_errors(solution)
        self._take_start(solution)

    @property
    def n_bytes(self) -> int:
        """int : Approximate bytes of a fit beside the volume: the grid, and the columns with their products."""
        return int(80 * self._lattice.data.size + 40 * len(self._design.pattern.column))

    def _take_errors(self, solution):
        """Occupancies of the mean, and their errors by the model; noise averages out."""
        from occupy_jit.estimation.parts.full_group import full_group

        n = self.n_parts
        occupancy, covariance = solution.occupancy[:n], solution.covariance[:n, :n]
        weights = full_group(occupancy, np.sqrt(np.diag(covariance)), self.size)[1]
        relative, spread, value = relative_to_full(occupancy, covariance, weights)
        of_ice = solution.of_ice / value - relative * float(weights @ solution.of_ice) / value
        self.occupancy = relative
        self.se_model = standard_errors(relative, spread, solution.offset, float(weights @ solution.offset), of_ice)

    def _take_start(self, solution):
        """The fit of the mean, and the effect of noise of any power on each occupancy."""
        lattice, design, n = self._lattice, self._design, self.n_parts
        self._fit = solution.fit
        self._whitened = lattice.spread(solution.fit)
        self._power = lattice.power(self._whitened, self._whitened)
        step = solution.step
        power = np.empty((n, len(lattice.s)))
        for p in range(n):
            own = np.zeros(design.n_columns)
            own[:n] = step.covariance[:n, p]
            change = combine(design.pattern, step.values,
                             np.stack([own, step.share @ step.covariance[n:2 * n, p]], 1))
            transform = lattice.spread(change)
            power[p] = lattice.power(transform, transform)
        self._noise_power = power / np.maximum(power.sum(1, keepdims=True), 1e-300)
        formula = step.covariance[:n, :n]
        deviation = np.sqrt(np.maximum(np.diag(formula), 1e-300))
        self.correlation = formula / np.outer(deviation, deviation)

    def fit(self, data: np.ndarray) -> VolumeFit:
        """Occupancies of the parts in one volume.

        Parameters
        ----------
        data : ndarray (z, y, x)
            On the grid of the mean.

        Returns
        -------
        VolumeFit

        Raises
        ------
        InputError
            The volume does not contain the density of the model.
        """
        if data.shape != self.shape:
            raise InputError(f"has {' x '.join(map(str, data.shape[::-1]))} voxels (x, y, z), the others "
                             f"{' x '.join(map(str, self.shape[::-1]))}")
        coarse, _ = fourier_crop(np.asarray(data), self.voxel_size, self.detail)
        lattice = self._lattice.holding(coarse)
        state = replace(self._state, turns=0)
        observed = lattice.at_fit_voxels(state.whitening * lattice.band)
        shift = self._shift(lattice, observed)
        n = self.n_parts
        if shift.any():
            return VolumeFit(np.full(n, np.nan), np.full(n, np.nan), np.full(n, np.nan), 0.0, shift, np.nan)
        state = new_spectra(state, lattice, observed, self._fit, first=True)
        state = run_turns(self._design, lattice, state, self._known, _TURNS)
        observed = lattice.at_fit_voxels(state.whitening * lattice.band)
        state, step = solve_once(self._design, lattice, observed, state, self._known)
        residual = observed - step.fit
        explained = 1 - float((residual**2).mean() / (observed**2).mean())
        transform = lattice.spread(residual)
        power = lattice.power(transform, transform) / lattice.in_shell / lattice.n_fit
        deviation = np.sqrt(np.maximum(np.diag(step.covariance)[:n], 0) * (self._noise_power @ power))
        density = float(state.gain[np.flatnonzero(lattice.band > 0.3)[0]])
        return VolumeFit(state.occupancy[:n], deviation, state.offset, explained, shift, density)

    def _shift(self, lattice, observed):
        """Å along x, y, z: shift that brings the volume closest to the fit of the mean; 0 if none helps.

        The product with the fit is compared with its standard deviation for noise with the residual power
        of the volume.

        Raises
        ------
        InputError
            The similarity of the volume at any shift is no larger than by chance.
        """
        import scipy.fft as fft

        transform = lattice.spread(observed)
        score = fft.irfftn(transform * np.conj(self._whitened), lattice.data.shape)
        axes = [np.fft.fftfreq(m, 1 / m) * step for m, step in zip(score.shape, lattice.spacing, strict=True)]
        away = np.sqrt(axes[0][:, None, None] ** 2 + axes[1][None, :, None] ** 2 + axes[2] ** 2)
        best = np.unravel_index(np.argmax(np.where(away < _FARTHEST_SHIFT * lattice.detail, score, -np.inf)),
                                score.shape)
        square = float(self._fit @ self._fit)
        # at any shift the residual has the power of the volume less that of the fit
        left = lattice.power(transform, transform) - score[best] ** 2 / square**2 * self._power
        power = np.maximum(left, 0) / lattice.in_shell / lattice.n_fit
        chance = np.sqrt(self._power @ power / self._power.sum() * square)
        if not score[best] > _LEAST_SCORE * chance:
            raise InputError("does not resemble the mean of the volumes: it holds noise, or something else, or lies "
                             "elsewhere")
        shift = np.array([axis[index] for axis, index in zip(axes, best, strict=True)])
        far = np.linalg.norm(shift) > _SHIFT_NOTICED * lattice.detail
        better = max(_BETTER_SHIFTED * score[0, 0, 0], score[0, 0, 0] + _LEAST_SCORE * chance, 0)
        return -shift[::-1] if far and score[best] > better else np.zeros(3)
