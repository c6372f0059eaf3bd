"""Fourier transforms written out as sums, for axes whose length has a large prime factor.

A fast transform of such a length needs several longer ones. If only a band is kept, the direct sum is
faster: for every kept frequency j, with the axis folded about its first voxel,

    X(+-j) = sum_k cos(2 pi j k / n) (v_k + v_(n-k))  -+  i sum_k sin(2 pi j k / n) (v_k - v_(n-k)),

and the inverse likewise. The order of every sum is fixed and does not depend on other rows or columns.
"""

import functools
from typing import NamedTuple

import numpy as np

from occupy_jit.kernels.jit.decorator import kernel

_FAST_FACTORS = (2, 3, 5, 7, 11, 13)
_LONGEST = 1 << 18  # kept frequencies times voxels of an axis: above this a fast transform is faster for any length


class Tables(NamedTuple):
    """Cosines and sines of one axis.

    Attributes
    ----------
    n : int
        Voxels of the axis.
    high : int
        Number of kept negative frequencies; non-negative frequencies are those of the tables.
    cos, sin : (frequencies, n // 2 + 1) float32 arrays
    cos_turned, sin_turned : (n // 2 + 1, frequencies) float32 arrays
    """

    n: int
    high: int
    cos: np.ndarray
    sin: np.ndarray
    cos_turned: np.ndarray
    sin_turned: np.ndarray


@functools.lru_cache(maxsize=8)
def tables(n: int, low: int, high: int) -> Tables:
    """`Tables` for the frequencies 0 ... low - 1 and -high ... -1 of an axis of n voxels."""
    whole = (np.arange(low)[:, None] * np.arange(n // 2 + 1)) % n  # exact, before anything is rounded
    angle = 2 * np.pi * whole / n
    cos, sin = np.cos(angle).astype(np.float32), np.sin(angle).astype(np.float32)
    return Tables(n, high, cos, sin, np.ascontiguousarray(cos.T), np.ascontiguousarray(sin.T))


def is_faster(n: int, low: int) -> bool:
    """Whether sums are faster than a fast transform of n values of which `low` frequencies are kept."""
    if n * low > _LONGEST:
        return False
    for factor in _FAST_FACTORS:
        while n % factor == 0:
            n //= factor
    return n > 1


def forward_rows(rows: np.ndarray, axis: Tables) -> np.ndarray:
    """Transform rows of real values: (r, n) float32 to (r, low) complex64."""
    out = np.empty((len(rows), len(axis.cos)), np.complex64)
    _forward_rows(rows, axis.cos_turned, axis.sin_turned, out.view(np.float32))
    return out


def backward_rows(band: np.ndarray, axis: Tables, out: np.ndarray) -> None:
    """Inverse of `forward_rows`: (r, low) complex64 to (r, n) float32, into `out`."""
    _backward_rows(band.view(np.float32), axis.cos, axis.sin, out)


def forward_columns(slab: np.ndarray, axis: Tables) -> np.ndarray:
    """Transform columns of complex values: (n, m) complex64 to (low + high, m), negative frequencies last."""
    out = np.empty((len(axis.cos) + axis.high, slab.shape[1]), np.complex64)
    _forward_columns(slab.view(np.float32), axis.cos, axis.sin, axis.high, out.view(np.float32))
    return out


def backward_columns(band: np.ndarray, axis: Tables, out: np.ndarray) -> None:
    """Inverse of `forward_columns`: (low + high, m) complex64 to (n, m), into `out`."""
    _backward_columns(band.view(np.float32), axis.cos_turned, axis.sin_turned, axis.high, out.view(np.float32))


@kernel
def _sum_rows(weights, table, out):
    """out[j] = sum over k of weights[k] table[k, j]: four terms are added at a time."""
    n, m = len(weights), len(out)
    for j in range(m):
        out[j] = np.float32(0)
    whole = n - n % 4
    for k in range(0, whole, 4):
        a, b, c, d = weights[k], weights[k + 1], weights[k + 2], weights[k + 3]
        row_a, row_b, row_c, row_d = table[k], table[k + 1], table[k + 2], table[k + 3]
        for j in range(m):
            out[j] += (a * row_a[j] + b * row_b[j]) + (c * row_c[j] + d * row_d[j])
    for k in range(whole, n):
        a, row_a = weights[k], table[k]
        for j in range(m):
            out[j] += a * row_a[j]


@kernel
def _forward_rows(rows, cos, sin, out):
    n, half, low = rows.shape[1], cos.shape[0], cos.shape[1]
    even, odd = np.zeros(half, np.float32), np.zeros(half, np.float32)
    real, imaginary = np.empty(low, np.float32), np.empty(low, np.float32)
    for r in range(rows.shape[0]):
        line = rows[r]
        even[0] = line[0]
        for k in range(1, (n + 1) // 2):
            even[k] = line[k] + line[n - k]
            odd[k] = line[k] - line[n - k]
        if n % 2 == 0:
            even[half - 1] = line[half - 1]
        _sum_rows(even, cos, real)
        _sum_rows(odd, sin, imaginary)
        for j in range(low):
            out[r, 2 * j] = real[j]
            out[r, 2 * j + 1] = -imaginary[j]


@kernel
def _backward_rows(band, cos, sin, out):
    n, low, half = out.shape[1], cos.shape[0], cos.shape[1]
    real, imaginary = np.empty(low, np.float32), np.empty(low, np.float32)
    even, odd = np.empty(half, np.float32), np.empty(half, np.float32)
    for r in range(out.shape[0]):
        for j in range(low):
            # the half that is not there mirrors all but the frequencies that are their own mirror
            share = np.float32(1 if j == 0 or 2 * j == n else 2) / np.float32(n)
            real[j] = band[r, 2 * j] * share
            imaginary[j] = band[r, 2 * j + 1] * share
        _sum_rows(real, cos, even)
        _sum_rows(imaginary, sin, odd)
        line = out[r]
        line[0] = even[0]
        for k in range(1, half):
            line[k] = even[k] - odd[k]
            line[n - k] = even[k] + odd[k]


@kernel
def _forward_columns(slab, cos, sin, high, out):
    n, width = slab.shape
    low, half = cos.shape
    even, odd = np.zeros((half, width), np.float32), np.zeros((half, width), np.float32)
    even[0] = slab[0]
    for k in range(1, (n + 1) // 2):
        for i in range(width):
            even[k, i] = slab[k, i] + slab[n - k, i]
            odd[k, i] = slab[k, i] - slab[n - k, i]
    if n % 2 == 0:
        even[half - 1] = slab[half - 1]
    a, b = np.empty(width, np.float32), np.empty(width, np.float32)
    for j in range(low):
        _sum_rows(cos[j], even, a)
        _sum_rows(sin[j], odd, b)
        line = out[j]
        for i in range(0, width, 2):
            line[i] = a[i] + b[i + 1]
            line[i + 1] = a[i + 1] - b[i]
        if 0 < j <= high:
            line = out[out.shape[0] - j]
            for i in range(0, width, 2):
                line[i] = a[i] - b[i + 1]
                line[i + 1] = a[i + 1] + b[i]


@kernel
def _backward_columns(band, cos, sin, high, out):
    n, width = out.shape
    half, low = cos.shape
    even, odd = np.empty((low, width), np.float32), np.empty((low, width), np.float32)
    share = np.float32(1) / np.float32(n)
    for j in range(low):
        mirrored = 0 < j <= high
        other = band[band.shape[0] - j if mirrored else j]
        for i in range(width):
            even[j, i] = (band[j, i] + other[i] if mirrored else band[j, i]) * share
            odd[j, i] = (band[j, i] - other[i] if mirrored else band[j, i]) * share
    a, b = np.empty(width, np.float32), np.empty(width, np.float32)
    for k in range(half):
        _sum_rows(cos[k], even, a)
        _sum_rows(sin[k], odd, b)
        line = out[k]
        for i in range(0, width, 2):
            line[i] = a[i] - b[i + 1]
            line[i + 1] = a[i + 1] + b[i]
        if 0 < k < n - k:
            line = out[n - k]
            for i in range(0, width, 2):
                line[i] = a[i] + b[i + 1]
                line[i + 1] = a[i + 1] - b[i]
