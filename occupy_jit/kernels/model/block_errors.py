"""Standard errors from the inverse of each unknown's block of a sparse normal matrix.

numba's linear algebra needs scipy.
"""

import numba
import numpy as np

from occupy_jit.kernels.jit.decorator import kernel
from occupy_jit.kernels.jit.launch import launch


def block_errors(start: np.ndarray, column: np.ndarray, value: np.ndarray, meat_start: np.ndarray,
                 meat_column: np.ndarray, meat_value: np.ndarray) -> np.ndarray:
    """The larger of the formula's and the sandwich's error of every unknown, all others held outside of its block.

    The block of an unknown is the unknowns that share an entry with it.

    Parameters
    ----------
    start, column, value : ndarray
        The symmetric normal matrix by rows (CSR, columns ascending), each row with its diagonal.
    meat_start, meat_column, meat_value : ndarray
        The middle of the sandwich.

    Returns
    -------
    ndarray (n,), float64
    """
    out = np.empty(len(start) - 1)
    launch(_errors, np.asarray(start, np.int64), np.asarray(column, np.int64), np.asarray(value, float),
           np.asarray(meat_start, np.int64), np.asarray(meat_column, np.int64), np.asarray(meat_value, float), out)
    return out


@kernel
def _block(near, start, column, value):
    """Dense rows and columns `near` (ascending) of a sparse matrix."""
    n = len(near)
    out = np.zeros((n, n))
    for i in range(n):
        j = 0
        for at in range(start[near[i]], start[near[i] + 1]):
            while j < n and near[j] < column[at]:
                j += 1
            if j == n:
                break
            if near[j] == column[at]:
                out[i, j] = value[at]
    return out


@kernel(parallel=True)
def _errors(start, column, value, meat_start, meat_column, meat_value, out):
    for unknown in numba.prange(len(out)):
        near = column[start[unknown]:start[unknown + 1]]
        own = np.searchsorted(near, unknown)
        unit = np.zeros(len(near))
        unit[own] = 1.0
        inverse = np.linalg.solve(_block(near, start, column, value), unit)
        meat = _block(near, meat_start, meat_column, meat_value)
        sandwich = 0.0
        for i in range(len(near)):
            for j in range(len(near)):
                sandwich += inverse[i] * meat[i, j] * inverse[j]
        out[unknown] = np.sqrt(max(inverse[own], sandwich))
