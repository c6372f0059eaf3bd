"""The likelihood of the occupancy and B factor of one ligand, with uncertain position and neighbours.

Position and neighbours are averaged over: a shift d changes the column of a ligand by its derivatives times d, which
for normally distributed d adds to the covariance of the map in proportion to the square of the occupancy, and so does
the density of a neighbour with a relative error. What remains is a function of two numbers, which is tabulated:
intervals may be asymmetric, and B factors that the map does not exclude widen them correctly.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

B_NODES = np.array([-60.0, -35.0, -15.0, 0.0, 15.0, 35.0, 60.0, 90.0, 125.0, 170.0, 220.0])
"""Å^2, relative to the surroundings: B factors of the columns, between which the likelihood is interpolated."""
B_MEAN, B_SPREAD = 35.0, 50.0
"""Prior of the B factor of a ligand: Å^2 relative to its surroundings."""
SHIFT_SPREAD = 0.17
"""Å along each axis: usual error of the position of ligands in models, 0.3 Å."""
_B_STEP = 5.0
_NEIGHBOUR_SPREAD = 0.1
"""Relative error of the density of each residue beside the ligand."""
_OCCUPANCIES = np.linspace(-0.8, 2.2, 301)


@dataclass
class Products:
    """Scalar products of the map and the columns of a ligand at one B factor.

    Attributes
    ----------
    own : float
        Column by column.
    data : float
        Map by column.
    own_slopes, data_slopes : ndarray (3,)
        The same for the derivatives of the column along z, y, x.
    slopes : ndarray (3, 3)
        Between the derivatives.
    """

    own: float
    data: float
    own_slopes: np.ndarray
    data_slopes: np.ndarray
    slopes: np.ndarray

    @property
    def score(self) -> float:
        """float : Occupancy over its standard error, at this B factor."""
        return self.data / np.sqrt(max(self.own, 1e-30))


class Weighting:
    """Inverse covariance of the map around a ligand: noise and errors of the neighbours.

    Parameters
    ----------
    neighbours : ndarray (voxels, n)
        Their columns, times their occupancies.
    noise : float
        Variance of the noise; 1 if the whitening is exact.
    """

    def __init__(self, neighbours: np.ndarray, noise: float) -> None:
        import scipy.linalg as dense

        self._noise = noise
        self._neighbours = neighbours * _NEIGHBOUR_SPREAD
        n = neighbours.shape[1]
        self._factor = None
        if n:
            self._factor = dense.cho_factor(self._neighbours.T @ self._neighbours + noise * np.eye(n))

    def __call__(self, columns: np.ndarray) -> np.ndarray:
        """Product of the inverse and vectors: (voxels,) or (voxels, n)."""
        import scipy.linalg as dense

        if self._factor is None:
            return columns / self._noise
        taken = self._neighbours @ dense.cho_solve(self._factor, self._neighbours.T @ columns)
        return (columns - taken) / self._noise

    def products(self, data: np.ndarray, columns: np.ndarray) -> Products:
        """`Products` of the map and a column with its derivatives (voxels, 4)."""
        weighted = self(columns)
        square, cross = columns.T @ weighted, data @ weighted
        return Products(float(square[0, 0]), float(cross[0]), square[0, 1:], cross[1:], square[1:, 1:])


def log_likelihood(products: Products, occupancy: np.ndarray, spread: float = SHIFT_SPREAD) -> np.ndarray:
    """Log likelihood of occupancies at one B factor, averaged over shifts; 0 for an occupancy of 0.

    Parameters
    ----------
    products : Products
    occupancy : ndarray (n,)
    spread : float
        Standard deviation of the shift along each axis, Å.

    Returns
    -------
    ndarray (n,)
    """
    value, vectors = np.linalg.eigh(products.slopes)
    value = np.maximum(value, 0)
    slope = vectors.T @ products.data_slopes - occupancy[:, None] * (vectors.T @ products.own_slopes)
    variance = (occupancy[:, None] * spread) ** 2
    of_shift = variance / (1 + variance * value) * slope**2 - np.log1p(variance * value)
    return occupancy * products.data - 0.5 * occupancy**2 * products.own + 0.5 * of_shift.sum(1)


def spline(nodes: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Matrix from values at nodes to values of their natural cubic spline at other positions.

    Parameters
    ----------
    nodes : ndarray (n,)
        Ascending.
    places : ndarray (m,)
        Between the first and the last of them.

    Returns
    -------
    ndarray (m, n)
    """
    n, step = len(nodes), np.diff(nodes)
    slopes = (np.eye(n)[1:] - np.eye(n)[:-1]) / step[:, None]
    bend = np.zeros((n, n))  # second derivatives at the nodes; 0 at both ends
    inner = np.diag((step[:-1] + step[1:]) / 3) + np.diag(step[1:-1] / 6, 1) + np.diag(step[1:-1] / 6, -1)
    bend[1:-1] = np.linalg.solve(inner, slopes[1:] - slopes[:-1])
    left = np.clip(np.searchsorted(nodes, places, side="right") - 1, 0, n - 2)
    width = step[left][:, None]
    b = (places - nodes[left])[:, None] / width
    a = 1 - b
    return (a * np.eye(n)[left] + b * np.eye(n)[left + 1]
            + ((a**3 - a) * bend[left] + (b**3 - b) * bend[left + 1]) * width**2 / 6)


@dataclass
class Posterior:
    """Posterior of occupancy and B factor.

    Attributes
    ----------
    occupancy : float
        Mean.
    low, high : float
        Interval that contains the occupancy with 95% probability, with equal tails.
    b_factor, b_spread : float
        Mean and standard deviation of the B factor relative to the surroundings, Å^2.
    """

    occupancy: float
    low: float
    high: float
    b_factor: float
    b_spread: float


def posterior(products: Sequence[Products], scale: float = 1.0, resolved: float = 1.0) -> Posterior:
    """Occupancy and B factor from the products at all of `B_NODES`.

    Parameters
    ----------
    products : sequence of Products
    scale : float
        Value of an occupancy of 1, in units of the columns.
    resolved : float
        0 where the map does not separate B factors from occupancies: their spread is then small and common to all
        parts.

    Returns
    -------
    Posterior
        Relative to `scale`.
    """
    occupancy = _OCCUPANCIES
    values = np.array([log_likelihood(one, occupancy * scale) for one in products])
    b = np.arange(B_NODES[0], B_NODES[-1] + 0.5 * _B_STEP, _B_STEP)
    resolved = max(resolved, 0.02)
    logarithm = spline(B_NODES, b) @ values
    logarithm -= 0.5 * ((b - B_MEAN * resolved) / (B_SPREAD * resolved))[:, None] ** 2
    weight = np.exp(logarithm - logarithm.max())
    weight /= weight.sum()
    of_occupancy, of_b = weight.sum(0), weight.sum(1)
    below = np.cumsum(of_occupancy) - 0.5 * of_occupancy
    low, high = np.interp([0.025, 0.975], below, occupancy)
    b_mean = float(of_b @ b)
    return Posterior(float(of_occupancy @ occupancy), float(low), float(high), b_mean,
                     float(np.sqrt(of_b @ (b - b_mean) ** 2)))
