"""Whether a ligand fits better after a small shift, and whether the density resembles it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from occupy_jit.estimation.ligands.likelihood import B_MEAN

if TYPE_CHECKING:
    from occupy_jit.estimation.ligands.columns import LigandBox
    from occupy_jit.estimation.ligands.likelihood import Weighting

_FARTHEST = 0.8  # Å
_SEARCH_SPREAD = 0.3
"""Å along each axis: prior of the shift during the search."""
_STEPS = 5
_SETTLED = 0.01  # Å
_SURE = 11.3
"""Twice the gain of the logarithm of the likelihood that three free numbers exceed by chance in 1% of cases."""
_LEAST_SCORE = 4.0  # below it, no position can be determined
_RANGE = 2.6  # standard deviations: 99%
_FORM = 0.06
"""Relative difference in density allowed for a correctly placed ligand: conformation, unequal B factors."""


class Place(NamedTuple):
    """Position of the best fit of a ligand.

    Attributes
    ----------
    shift : ndarray (3,)
        From the model, along z, y, x in Å; 0 if there is too little density.
    moved : bool
        Whether the improvement of the fit is significant.
    """

    shift: np.ndarray
    moved: bool

    @property
    def used(self) -> np.ndarray:
        """ndarray (3,) : The shift for the measurement of the occupancy; small shifts count as uncertainty."""
        return self.shift if self.moved else np.zeros(3)

    def resemblance(self, box: LigandBox, data: np.ndarray, weighting: Weighting, b_factor: float, occupancy: float
                   ) -> tuple[float, float, float]:
        """Correlation of density and ligand, and the range expected for this occupancy in this noise.

        Returns
        -------
        cc, cc_low, cc_high : float
        """
        column = box.columns(b_factor, self.used)
        weighted = weighting(column)
        moves = column[:, 1:] * 0.17 * abs(occupancy)
        own, cross = float(column[:, 0] @ weighted[:, 0]), float(data @ weighted[:, 0])
        square = float(data @ weighting(data))
        signal = occupancy**2 * own
        independent = box.independent * len(data)
        # residuals of shifts within their uncertainty, and other errors of shape, are expected, too
        unlike = float((moves * weighting(moves)).sum()) + _FORM**2 * signal * np.sqrt(independent)
        expected = independent + unlike
        spread = _RANGE * np.sqrt(2 * (expected + unlike))
        ends = [np.sqrt(signal / (signal + max(rest, 1e-9))) if signal > 0 else 0.0
                for rest in (expected + spread, max(expected - spread, 0.2 * expected))]
        low, high = sorted(np.sign(occupancy) * end for end in ends)
        return cross / float(np.sqrt(max(own * square, 1e-30))), float(low), float(high)


def look_around(box: LigandBox, data: np.ndarray, weighting: Weighting, offset: float) -> Place:
    """Search the best position within 0.8 Å, step by step, with the derivatives of the column.

    Parameters
    ----------
    box : occupy_jit.estimation.ligands.columns.LigandBox
    data : ndarray (voxels,)
    weighting : occupy_jit.estimation.ligands.likelihood.Weighting
    offset : float
        B factor of the surroundings, Å^2.

    Returns
    -------
    Place
    """
    shift, start, products = np.zeros(3), None, None
    for _ in range(_STEPS):
        products = weighting.products(data, box.columns(offset + B_MEAN, shift))
        if start is None:
            start = products
            if start.score < _LEAST_SCORE:
                return Place(shift, False)
        occupancy = products.data / products.own
        slope = occupancy * (products.data_slopes - occupancy * products.own_slopes) - shift / _SEARCH_SPREAD**2
        # the occupancy follows the shift: remove the component of the derivatives along the column
        free = products.slopes - np.outer(products.own_slopes, products.own_slopes) / products.own
        step = np.linalg.solve(occupancy**2 * free + np.eye(3) / _SEARCH_SPREAD**2, slope)
        moved = shift + step
        size = float(np.linalg.norm(moved))
        moved *= min(1.0, _FARTHEST / max(size, 1e-9))
        change = float(np.linalg.norm(moved - shift))
        shift = moved
        if change < _SETTLED:
            break
    end = weighting.products(data, box.columns(offset + B_MEAN, shift))
    gain = end.score**2 - start.score**2
    return Place(shift, bool(gain > _SURE))
