"""Standard errors from the inverse of each unknown's block of a sparse normal matrix.

numba's linear algebra needs scipy.
"""

import numba
import numpy as np

from occupy_jit.kernels.jit.decorator import kernel
from occupy_jit.kernels.jit.launch import launch

MOST = 64
"""Unknowns in a block at most. At 13 Å a residue has a thousand neighbours; 64 give its error to 0.3%."""


def block_errors(start: np.ndarray, column: np.ndarray, value: np.ndarray, meat_start: np.ndarray,
                 meat_column: np.ndarray, meat_value: np.ndarray, first: int = 0,
                 last: int | None = None) -> np.ndarray:
    """The larger of the errors from formula and sandwich, with all unknowns outside of the block of each held fixed.

    The block of an unknown is the unknowns that share an entry with it; of more than `MOST` those with the strongest
    coupling, so that the cost of a block is bounded.

    Parameters
    ----------
    start, column, value : ndarray
        The symmetric normal matrix by rows (CSR, columns ascending), each row with its diagonal.
    meat_start, meat_column, meat_value : ndarray
        The middle of the sandwich.
    first, last : int
        Range of the unknowns; all by default.

    Returns
    -------
    ndarray (last - first,), float64
    """
    out = np.empty((len(start) - 1 if last is None else last) - first)
    launch(_errors, np.asarray(start, np.int64), np.asarray(column, np.int64), np.asarray(value, float),
           np.asarray(meat_start, np.int64), np.asarray(meat_column, np.int64), np.asarray(meat_value, float), first,
           out)
    return out


@kernel
def _entry(i, j, start, column, value):
    """An entry of a sparse matrix."""
    row = column[start[i]:start[i + 1]]
    at = np.searchsorted(row, j)
    if at < len(row) and row[at] == j:
        return value[start[i] + at]
    return 0.0


@kernel
def _block(near, start, column, value):
    """Dense rows and columns `near` of a symmetric sparse matrix."""
    n = len(near)
    out = np.zeros((n, n))
    for i in range(n):
        for j in range(i + 1):
            out[i, j] = out[j, i] = _entry(near[i], near[j], start, column, value)
    return out


@kernel
def _coupled(unknown, start, column, value):
    """The unknowns that share an entry with one, itself among them; of too many those with the strongest coupling."""
    near = column[start[unknown]:start[unknown + 1]]
    if len(near) <= MOST:
        return near
    strength = np.empty(len(near))
    for i in range(len(near)):
        other = near[i]
        own = _entry(other, other, start, column, value)
        strength[i] = np.inf if other == unknown else abs(value[start[unknown] + i]) / np.sqrt(own)
    return np.sort(near[np.argsort(-strength)[:MOST]])


@kernel(parallel=True)
def _errors(start, column, value, meat_start, meat_column, meat_value, first, out):
    for k in numba.prange(len(out)):
        near = _coupled(first + k, start, column, value)
        own = np.searchsorted(near, first + k)
        unit = np.zeros(len(near))
        unit[own] = 1.0
        inverse = np.linalg.solve(_block(near, start, column, value), unit)
        meat = _block(near, meat_start, meat_column, meat_value)
        sandwich = 0.0
        for i in range(len(near)):
            for j in range(len(near)):
                sandwich += inverse[i] * meat[i, j] * inverse[j]
        out[k] = np.sqrt(max(inverse[own], sandwich))
