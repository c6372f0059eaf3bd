"""Test whether volumes form states or vary continuously, and along which directions.

Notes
-----
Two descriptions of the same occupancies are compared by the Bayesian information criterion (Schwarz 1978), log
likelihood - (number of parameters) / 2 * log(number of volumes), both with noise that may be larger by one common
factor: volumes that agree within their noise need no continuum. States: a mixture of Gaussians, each as wide as the
noise. A continuum: one Gaussian with r directions beyond the noise (Tipping and Bishop 1999). Volumes of a few states
leave most of the Gaussian empty, so that the states have the higher likelihood; if volumes lie between the states, the
continuum has.
"""

from dataclasses import dataclass, field

import numpy as np

from occupy_jit.estimation.states.groups import WITHIN, group_means

_FREEDOM = 10.0
_MOST_DIRECTIONS = 12
_FEWEST_VOLUMES = 8
_SURE = 3.0  # of the logarithm of the odds: 20 to 1
_POINTS = 9
_VARIMAX_TURNS = 200
_LEAST_LOADING = 0.1


@dataclass
class Continuum:
    """Volumes that vary continuously.

    Attributes
    ----------
    loading : ndarray (directions, parts), float64
        Change of each part for one standard deviation along a direction.
    coordinate : ndarray (volumes, directions), float64
        Standardised position of each volume.
    mean : ndarray (parts,), float64
    gain : float
        Preference of the information criterion for a continuum over states; negative for states.
    curves : list of Curve
    """

    loading: np.ndarray
    coordinate: np.ndarray
    mean: np.ndarray
    gain: float
    curves: list = field(default_factory=list)

    @property
    def preferred(self) -> bool:
        """bool : Whether volumes vary continuously."""
        return self.gain > _SURE

    @property
    def n_directions(self) -> int:
        """int : Number of directions."""
        return len(self.loading)


@dataclass
class Curve:
    """Curve of one part along one direction.

    Attributes
    ----------
    direction, part : int
    position : ndarray (points,), float64
        Mean coordinate of the volumes around each point.
    occupancy, se : ndarray (points,), float64
        Their mean and its error by scatter.
    """

    direction: int
    part: int
    position: np.ndarray
    occupancy: np.ndarray
    se: np.ndarray


def compare_with_continuum(occupancy: np.ndarray, noise: np.ndarray, labels: np.ndarray) -> Continuum | None:
    """Compare states with a continuum.

    Parameters
    ----------
    occupancy, noise : ndarray (volumes, parts)
        And its standard errors by noise; NaN if unknown.
    labels : ndarray (volumes,), int
        States.

    Returns
    -------
    Continuum or None
        None if there are too few volumes, or if nothing varies.
    """
    known = (np.isfinite(occupancy) & np.isfinite(noise)).all(0)
    if len(occupancy) < _FEWEST_VOLUMES or labels.max() < 1 or not known.any():
        return None
    values, variance = occupancy[:, known], noise[:, known] ** 2 + WITHIN**2
    of_states = _states_criterion(values, 1 / variance, labels)
    mean, spread = values.mean(0), np.sqrt(variance.mean(0))
    left, singular, right = np.linalg.svd((values - mean) / spread, full_matrices=False)
    criteria = [_continuum_criterion(singular**2, len(values), values.shape[1], rank)
                for rank in range(1, min(_MOST_DIRECTIONS, len(values) // 2, values.shape[1]) + 1)]
    rank = int(np.argmax(criteria)) + 1
    loading, coordinate = _rotated(right[:rank] * singular[:rank, None] / np.sqrt(len(values)),
                                   left[:, :rank] * np.sqrt(len(values)))
    whole = np.full((rank, occupancy.shape[1]), 0.0)
    whole[:, known] = loading * spread
    found = Continuum(whole, coordinate, np.nanmean(occupancy, 0), float(criteria[rank - 1] - of_states))
    found.curves = _curves(found, occupancy)
    return found


def _states_criterion(values, weights, labels):
    """Criterion for a mixture of states whose volumes scatter by noise times a common factor."""
    n, p = values.shape
    mean, _ = group_means(values, weights, labels)
    squares = ((values[:, None] - mean) ** 2 * weights[:, None]).sum(2)
    own = squares[np.arange(n), labels].sum()
    freedom = (n - len(mean)) * p
    factor = max((own + _FREEDOM) / (freedom + _FREEDOM), 1.0)
    share = np.log(np.bincount(labels) / n)
    likelihood = np.logaddexp.reduce(share - 0.5 * squares / factor, axis=1).sum() - 0.5 * n * p * np.log(factor)
    return float(likelihood - 0.5 * (len(mean) * (p + 1)) * np.log(n))


def _continuum_criterion(squares, n, p, rank):
    """Criterion for a Gaussian with several directions beyond noise times a common factor.

    Parameters
    ----------
    squares : ndarray
        Of the singular values of the values in standard errors.
    """
    left = squares[rank:].sum()
    freedom = (n - 1 - rank) * (p - rank)
    factor = max((left + _FREEDOM) / (max(freedom, 0) + _FREEDOM), 1.0)
    large = np.maximum(squares[:rank] / (n * factor), 1.0)
    likelihood = -0.5 * n * np.log(large).sum() - 0.5 * (squares[:rank] / factor / large).sum() - 0.5 * left / factor
    likelihood -= 0.5 * n * p * np.log(factor)
    parameters = rank * p - rank * (rank - 1) / 2 + p
    return float(likelihood - 0.5 * parameters * np.log(n))


def _rotated(loading, coordinate):
    """The same directions, rotated so that each changes few parts (varimax, Kaiser 1958), with positive growth."""
    rank, p = loading.shape
    turn = np.eye(rank)
    for _ in range(_VARIMAX_TURNS if rank > 1 else 0):
        turned = turn @ loading
        gradient = (turned**3 - turned * (turned**2).mean(1, keepdims=True)) @ loading.T
        u, _, v = np.linalg.svd(gradient)
        new = u @ v
        if np.allclose(new, turn, atol=1e-10):
            break
        turn = new
    loading, coordinate = turn @ loading, coordinate @ turn.T
    sign = np.where(loading.sum(1) < 0, -1.0, 1.0)
    order = np.argsort(-(loading**2).sum(1), kind="stable")
    return (loading * sign[:, None])[order], (coordinate * sign)[:, order]


def _curves(found, occupancy):
    """Means of the parts that change along a direction, over neighbouring volumes."""
    curves = []
    for direction in range(found.n_directions):
        order = np.argsort(found.coordinate[:, direction], kind="stable")
        pieces = np.array_split(order, min(_POINTS, max(2, len(order) // 3)))
        position = np.array([found.coordinate[piece, direction].mean() for piece in pieces])
        for part in np.flatnonzero(np.abs(found.loading[direction]) > _LEAST_LOADING):
            values = [occupancy[piece, part] for piece in pieces]
            mean = np.array([np.nanmean(v) for v in values])
            se = np.array([np.nanstd(v, ddof=1) / np.sqrt(len(v)) if len(v) > 1 else np.nan for v in values])
            curves.append(Curve(direction, int(part), position, mean, se))
    return curves
