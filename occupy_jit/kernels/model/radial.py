"""Radial sums and factors over half of a Fourier transform, as `rfftn` gives it."""

import numba
import numpy as np

from occupy_jit.kernels.jit.decorator import kernel
from occupy_jit.kernels.jit.launch import launch


def shell_products(first: np.ndarray, second: np.ndarray, shell_index: np.ndarray, n_x: int, shells: int) -> np.ndarray:
    """Sum of Re(first conj(second)) over every shell of Fourier space, both halves of it.

    Parameters
    ----------
    first, second : ndarray (z, y, n_x // 2 + 1), complex64
    shell_index : ndarray of that shape, int16
    n_x : int
        Length of the last axis of the map.
    shells : int

    Returns
    -------
    ndarray (shells,), float64
        Sums of planes, added in the order of the planes.
    """
    out = np.zeros((len(first), shells))
    launch(_shell_products, first, second, shell_index, n_x, out)
    return out.sum(0)


@kernel(parallel=True)
def _shell_products(first, second, shell_index, n_x, out):
    n_z, n_y, n_half = first.shape
    for z in numba.prange(n_z):
        for y in range(n_y):
            for x in range(n_half):
                a, b = first[z, y, x], second[z, y, x]
                twice = 1.0 if x == 0 or 2 * x == n_x else 2.0
                out[z, shell_index[z, y, x]] += twice * (np.float64(a.real) * b.real + np.float64(a.imag) * b.imag)


def times_radial(transform: np.ndarray, place: np.ndarray, table: np.ndarray) -> np.ndarray:
    """Product of a transform and a radial function.

    Parameters
    ----------
    transform : ndarray (z, y, x), complex64
    place : ndarray (z, y, x), float32
        Distance to the origin in steps of the table.
    table : ndarray (n,), real
        The function, linear between the entries and 0 beyond them.

    Returns
    -------
    ndarray (z, y, x), complex64
    """
    out = np.empty_like(transform)
    launch(_times_radial, transform, place, np.ascontiguousarray(table, dtype=np.float32), out)
    return out


@kernel(parallel=True)
def _times_radial(transform, place, table, out):
    n_z, n_y, n_x = transform.shape
    for z in numba.prange(n_z):
        for y in range(n_y):
            for x in range(n_x):
                at = place[z, y, x]
                entry = int(at)
                if entry + 1 < len(table):
                    factor = table[entry] + (at - entry) * (table[entry + 1] - table[entry])
                    out[z, y, x] = transform[z, y, x] * np.float32(factor)
                else:
                    out[z, y, x] = 0
