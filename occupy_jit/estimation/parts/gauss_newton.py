"""The turns of the fit: occupancies and offsets for given gain and whitening, then gain and whitening for these."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from occupy_jit.estimation.parts.full_group import full_group
from occupy_jit.estimation.parts.normal import assemble, derivative_shares
from occupy_jit.kernels.model.columns import combine, project

if TYPE_CHECKING:
    from occupy_jit.estimation.parts.columns import Design
    from occupy_jit.estimation.parts.fit_grid import Lattice
    from occupy_jit.estimation.parts.normal import Normal

SMALL_PART = 80  # atoms: smaller parts hardly have their own offset
_SMOOTHING = 0.01  # 1/Å
_FIRST_SPREAD = 60.0  # Å^2, of the offsets
_SMALL_SPREAD = 25.0
_LEAST_SPREAD, _MOST_SPREAD = 4.0, 150.0
_LONGEST_STEP = 40.0  # Å^2, of an offset in one turn
WHITENING_TURNS = 4


@dataclass
class State:
    """State that the turns change.

    Attributes
    ----------
    occupancy : ndarray (columns,)
        On the scale of the gain.
    offset : ndarray (parts,)
        Å^2.
    gain, whitening : ndarray (shells,)
    spread : float
        Of the offsets, Å^2.
    turns : int
        Number of finished turns.
    unexplained : float
        Share of the whitened map's power at the fit voxels.
    """

    occupancy: np.ndarray
    offset: np.ndarray
    gain: np.ndarray
    whitening: np.ndarray
    spread: float = _FIRST_SPREAD
    turns: int = 0
    unexplained: float = 1.0


@dataclass
class Parts:
    """Prior knowledge of the parts.

    Attributes
    ----------
    size : ndarray (parts,)
        Atoms.
    small : ndarray (parts,), bool
    parent : ndarray (parts,), int
        Part whose offset is the prior mean for a small part.
    expected : ndarray (parts,), optional
        Å^2, prior means of all offsets instead: those of a better map.
    """

    size: np.ndarray
    small: np.ndarray
    parent: np.ndarray
    expected: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.size)

    def drawn_to(self, offset: np.ndarray) -> np.ndarray:
        """Prior mean of each offset, given the present offsets: (parts,)."""
        return np.where(self.small, offset[self.parent], 0) if self.expected is None else self.expected


def smooth_shells(values: np.ndarray, lattice: Lattice) -> np.ndarray:
    """Gaussian mean over neighbouring shells."""
    from scipy.ndimage import gaussian_filter1d

    return gaussian_filter1d(values, _SMOOTHING / (lattice.s[1] - lattice.s[0]), mode="nearest")


def _held(values, lattice):
    """Constant beyond the fitted shells."""
    inside = np.flatnonzero(lattice.band > 0.3)
    values[:inside[0]] = values[inside[0]]
    values[inside[-1]:] = values[inside[-1]]
    return values


def first_state(design: Design, lattice: Lattice, n_parts: int) -> State:
    """Start: all parts full, with the corresponding gain and whitening."""
    masked = lattice.spread(lattice.data[lattice.fit_index >= 0])
    power = lattice.power(masked, masked)
    power = smooth_shells(power, lattice) / smooth_shells(lattice.in_shell, lattice) / lattice.n_fit
    whitening = np.maximum(power, 1e-12 * power.max()) ** (-0.5 * lattice.resolved)
    state = State(np.ones(design.n_columns), np.zeros(n_parts), np.ones(len(lattice.s)), whitening)
    values = design.values(state.gain * state.whitening * lattice.band, state.offset)
    y = lattice.at_fit_voxels(state.whitening * lattice.band)
    return new_spectra(state, lattice, y, design.fit(values, state.occupancy), first=True)


def new_spectra(state: State, lattice: Lattice, y: np.ndarray, fit: np.ndarray, first: bool = False) -> State:
    """Gain and whitening at the present fit."""
    observed, modelled = lattice.spread(y), lattice.spread(fit)
    cross, own = lattice.power(observed, modelled), lattice.power(modelled, modelled)
    ratio = _held(smooth_shells(cross, lattice) / np.maximum(smooth_shells(own, lattice), 1e-30), lattice)
    ratio = np.clip(ratio, 1e-3 * ratio.max(), None) if first else np.clip(ratio, 0.3, 3)
    gain = _two_parameters(state.gain * ratio, own * lattice.band**2, lattice)
    whitening = state.whitening
    if state.turns < WHITENING_TURNS:
        left = np.maximum(lattice.power(observed, observed) - cross**2 / np.maximum(own, 1e-30), 0)
        power = smooth_shells(left, lattice) / smooth_shells(lattice.in_shell, lattice) / lattice.n_fit
        power = _held(power / np.maximum(lattice.band, 0.3) ** 2, lattice)
        power = np.maximum(power, 1e-12 * power.max())
        # At coarse detail the residual is not whitened, only scaled to variance 1.
        mean = (left.sum() / lattice.in_shell.sum() / lattice.n_fit if lattice.resolved < 1 else 1.0)
        whitening = whitening / np.sqrt(power**lattice.resolved * mean ** (1 - lattice.resolved))
    return replace(state, gain=gain, whitening=whitening)


def _two_parameters(gain, weights, lattice):
    """The gain, restrained to a scale and a B factor as far as shells are not resolved."""
    if lattice.resolved == 1:
        return gain
    square = lattice.s**2
    use = lattice.band > 0.3
    weights = weights[use] / weights[use].sum()
    logarithm = np.log(gain[use])
    centre, mean = weights @ square[use], weights @ logarithm
    slope = weights @ ((square[use] - centre) * (logarithm - mean)) / (weights @ (square[use] - centre) ** 2)
    curve = np.exp(mean + min(slope, 0.0) * (square - centre))
    return gain**lattice.resolved * curve ** (1 - lattice.resolved)


def offset_prior(parts: Parts, spread: float, resolved: float = 1.0) -> np.ndarray:
    """Weights 1/variance of the offsets. Their spread approaches 0 if the map does not resolve their effect."""
    return np.where(parts.small, _SMALL_SPREAD, spread) ** -2.0 / max(resolved, 1e-3) ** 2


def solve_once(design: Design, lattice: Lattice, y: np.ndarray, state: State, parts: Parts) -> tuple[State, Step]:
    """One Gauss-Newton step at a fixed gain and whitening.

    Returns
    -------
    state : State
        With the new occupancies and offsets.
    step : Step
    """
    n = len(parts)
    transfer = state.gain * state.whitening * lattice.band
    values = design.values(transfer, state.offset)
    occupancy, offset = state.occupancy, state.offset
    residual = y - design.fit(values, occupancy)
    weights = offset_prior(parts, state.spread, lattice.resolved)
    prior = np.concatenate([np.zeros(n), weights])
    sums = project(design.pattern, values, residual)
    share = derivative_shares(design, occupancy, n)
    of_shares = share.T @ sums[:, 1] - weights * (offset - parts.drawn_to(offset))
    normal = assemble(design, design.products(values), share, n, prior)
    step, covariance = normal.solve(np.concatenate([sums[:n, 0], of_shares, sums[n:, 0]]))
    of_offsets = np.clip(step[n:2 * n], -_LONGEST_STEP, _LONGEST_STEP)
    of_occupancy = np.concatenate([step[:n], step[len(covariance):]])
    fit = y - residual + combine(design.pattern, values, np.stack([of_occupancy, share @ of_offsets], 1))
    new = replace(state, occupancy=occupancy + of_occupancy, offset=np.clip(offset + of_offsets, -150, 400))
    return new, Step(normal, covariance, fit, values, share, prior)


def told_by_map(variance: np.ndarray, prior: float) -> np.ndarray:
    """Share of each offset that the map determines; the prior determines the rest (MacKay 1992).

    Parameters
    ----------
    variance : ndarray (parts,)
        Of the offsets, after the fit.
    prior : float
        Their prior standard deviation, Å^2.

    Returns
    -------
    ndarray (parts,)
        0 to 1. An offset is this share of its value by the map alone, so that sum of offsets / sum of shares is their
        mean, weighted by 1 / (variance in the map + prior variance).
    """
    return np.clip(1 - variance / prior**2, 0, 1)


def spread_of_offsets(offset: np.ndarray, told: np.ndarray) -> float:
    """Prior standard deviation of the offsets with the greatest evidence: MacKay's fixed point.

    The mean of square and variance after the fit has the same fixed point, but approaches it too slowly if the map
    hardly determines single offsets: equal parts would keep offsets that fit errors of the model.
    """
    return float(np.clip(np.sqrt((offset**2).sum() / max(told.sum(), 1.0)), _LEAST_SPREAD, _MOST_SPREAD))


@dataclass
class Step:
    """Result of a Gauss-Newton step.

    Attributes
    ----------
    normal : Normal
    covariance : ndarray (m, m)
        Of the parts' occupancies and offsets.
    fit : ndarray (voxels,)
        Of the linearised model after the step.
    values, share
        The matrix: columns, and the shares of derivatives in those of the offsets.
    prior : ndarray (m,)
    """

    normal: Normal
    covariance: np.ndarray
    fit: np.ndarray
    values: np.ndarray
    share: Any
    prior: np.ndarray


def turn(design: Design, lattice: Lattice, state: State, parts: Parts) -> tuple[State, float]:
    """One turn; returns the new state and the change of the parts."""
    n = len(parts)
    y = lattice.at_fit_voxels(state.whitening * lattice.band)
    before = state
    state, step = solve_once(design, lattice, y, state, parts)
    occupancy, offset, fit = state.occupancy, state.offset, step.fit
    variance = np.diag(step.covariance)
    spread = state.spread
    expected = 0.0 if parts.expected is None else parts.expected
    big = ~parts.small
    told = told_by_map(variance[n:2 * n][big], spread * max(lattice.resolved, 1e-3))
    if big.sum() >= 4:
        spread = spread_of_offsets((offset - expected)[big], told)
    state = new_spectra(state, lattice, y, fit)
    full, _ = full_group(occupancy[:n], np.sqrt(variance[:n]), parts.size)
    scale = occupancy[:n][full].mean()
    gain = state.gain * scale
    occupancy = occupancy / scale
    # an offset common to all belongs to the gain
    common = float(np.clip((offset - expected)[big].sum() / max(told.sum(), 1.0), -_LONGEST_STEP, _LONGEST_STEP))
    offset = offset - common
    gain = gain * np.exp(-common * lattice.s**2 / 4)
    change = max(np.abs(occupancy - before.occupancy)[:n].max(), np.abs(offset - before.offset).max() / 500)
    unexplained = float(((y - fit) ** 2).mean() / (y * y).mean())
    return replace(state, occupancy=occupancy, offset=offset, gain=gain, spread=spread, turns=state.turns + 1,
                   unexplained=unexplained), change


def run_turns(design: Design, lattice: Lattice, state: State, parts: Parts, number: int, until: float = 0.0,
              tell: Callable[..., Any] | None = None) -> State:
    """Several turns, until the parts change by less than `until` (and the whitening is stable).

    `tell` is called before each, with its number and that of the last one.
    """
    for i in range(number):
        if tell is not None:
            tell(i + 1, number)
        state, change = turn(design, lattice, state, parts)
        if change < until and state.turns >= WHITENING_TURNS:
            break
    return state
