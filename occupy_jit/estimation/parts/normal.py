"""The normal equations of occupancies and B factor offsets, and their solution with pseudo-atoms eliminated."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from occupy_jit.estimation.parts.columns import Design

_DENSE = 4000
"""Groups of pseudo-atoms up to which a dense factor is faster than a sparse one with as many right sides as parts."""


@dataclass
class Normal:
    """N step = right side, for the parameters (occupancies and offsets of parts; occupancies of pseudo-atoms).

    Attributes
    ----------
    main : ndarray (m, m), float64
        Of the occupancies of parts, then of their offsets.
    cross : sparse (m, groups)
    inner : sparse (groups, groups)
    """

    main: np.ndarray
    cross: Any
    inner: Any

    def solve(self, right: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Step and the covariance of the main parameters (pseudo-atoms free).

        Parameters
        ----------
        right : ndarray (m + groups,)
        """
        import scipy.linalg as dense

        m = len(self.main)
        eliminate = self._eliminator()
        carried = eliminate(self.cross.T.toarray())
        complement = self.main - self.cross @ carried
        factor = dense.cho_factor(_safe((complement + complement.T) / 2), check_finite=False)
        step = dense.cho_solve(factor, right[:m] - carried.T @ right[m:], check_finite=False)
        rest = eliminate(right[m:]) - carried @ step
        return np.concatenate([step, rest]), dense.cho_solve(factor, np.eye(m), check_finite=False)

    def _eliminator(self):
        """Function that solves for the pseudo-atoms alone: dense, unless there are very many."""
        import scipy.linalg as dense
        import scipy.sparse.linalg as sparse

        n = self.inner.shape[0]
        if not n:
            return lambda right: right
        if n > _DENSE:
            lu = sparse.splu(self.inner.tocsc(), permc_spec="MMD_AT_PLUS_A", options={"SymmetricMode": True})
            return lambda right: lu.solve(np.ascontiguousarray(right))
        factor = dense.cho_factor(_safe(self.inner.toarray()), overwrite_a=True, check_finite=False)
        return lambda right: dense.cho_solve(factor, right, check_finite=False)


def _safe(matrix):
    """Restore positive definiteness lost by rounding, or by a part without voxels."""
    diagonal = np.diag(matrix)
    return matrix + np.diag(np.full(len(matrix), 1e-9) * np.maximum(diagonal, diagonal.max() * 1e-6))


def assemble(design: Design, products: np.ndarray, share: Any, n_parts: int, prior: np.ndarray) -> Normal:
    """Normal matrix from the products of pairs of columns.

    Parameters
    ----------
    design : Design
        The first `n_parts` columns are parts, the others groups of pseudo-atoms that share the offset of a part.
    products : ndarray (pairs, 2, 2)
    share : sparse (columns, n_parts)
        From `derivative_shares`.
    n_parts : int
    prior : ndarray (m,)
        Added to the diagonal of `main`.

    Returns
    -------
    Normal
    """
    import scipy.sparse as sparse

    n = design.n_columns
    first = np.repeat(np.arange(n), np.diff(design.pair_start))
    second = design.pair_other.astype(np.int64)
    off = first != second

    def matrix(upper, lower):
        data = np.concatenate([upper, lower[off]])
        index = (np.concatenate([first, second[off]]), np.concatenate([second, first[off]]))
        return sparse.csr_matrix((data, index), shape=(n, n))

    values = matrix(products[:, 0, 0], products[:, 0, 0])
    mixed = matrix(products[:, 0, 1], products[:, 1, 0]) @ share
    slopes = share.T @ matrix(products[:, 1, 1], products[:, 1, 1]) @ share
    main = np.block([[values[:n_parts, :n_parts].toarray(), mixed[:n_parts].toarray()],
                     [mixed[:n_parts].toarray().T, slopes.toarray()]])
    cross = sparse.vstack([values[:n_parts, n_parts:], mixed[n_parts:].T]).tocsr()
    return Normal(main + np.diag(prior), cross, values[n_parts:, n_parts:])


def derivative_shares(design: Design, occupancy: np.ndarray, n_parts: int) -> Any:
    """Shares of the derivatives of columns in those of the offsets: sparse (columns, n_parts).

    Nearly absent parts keep a small share, so that their derivatives are not 0.
    """
    import scipy.sparse as sparse

    factors = occupancy.copy()
    factors[:n_parts] = np.maximum(factors[:n_parts], 0.05 * factors[:n_parts].max())
    return sparse.csr_matrix((factors, (np.arange(len(factors)), design.owner)), shape=(len(factors), n_parts))
