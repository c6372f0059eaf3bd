"""Sliding maximum of a volume, some sections at a time, without a second volume.

On many machines the first use of memory costs more than the maximum itself, so the result replaces a volume
that is no longer needed. Sections next to each piece are computed twice.
"""

import math
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from occupy_jit.kernels.grid.arguments import as_volume
from occupy_jit.kernels.jit.decorator import threads
from occupy_jit.kernels.sliding_ball_maximum import sliding_maximum

_WORTH_A_THREAD = 1 << 23  # bytes


def _reach(radius, size):
    """Largest number of sections within reach of a ball on each side."""
    whole = math.floor(radius) + 1
    return whole if size is None else min(whole, size // 2)


def maxima_of_sections(volume: np.ndarray, radius: float, size: int, pieces: Iterable[Any],
                       prepare: Callable[..., Any] | None = None) -> Iterator[np.ndarray]:
    """Sliding maximum of pieces of a volume, one after the other.

    Parameters
    ----------
    volume : ndarray (z, y, x), real, without NaN
        Not changed meanwhile.
    radius, size
        The ball, as for `sliding_maximum`.
    pieces : iterable of slice
        Along z.
    prepare : callable, optional
        ``prepare(sections)`` returns the array for the maximum: another array of the same shape.

    Yields
    ------
    ndarray (z, y, x), float32
        The sections of one piece; overwritten by the next.
    """
    volume = as_volume(volume)
    n_z, halo, buffer = len(volume), _reach(radius, size), None
    for piece in pieces:
        first, last = max(0, piece.start - halo), min(n_z, piece.stop + halo)
        if buffer is None or len(buffer) < last - first:
            buffer = np.empty((last - first, *volume.shape[1:]), np.float32)
        source = volume[first:last] if prepare is None else prepare(volume[first:last])
        found = sliding_maximum(source, radius, size, out=buffer[:last - first])
        yield found[piece.start - first:piece.stop - first]


def overwrite_with_maximum(volume: np.ndarray, radius: float, size: int, sections: int) -> np.ndarray:
    """Replace a volume by its sliding maximum.

    Parameters
    ----------
    volume : ndarray (z, y, x), float32, C-contiguous
        Overwritten.
    radius, size
        The ball, as for `sliding_maximum`.
    sections : int
        Number of sections at a time.

    Returns
    -------
    ndarray
        `volume`.
    """
    n_z, halo = len(volume), _reach(radius, size)
    sections = max(sections, halo)
    buffer = np.empty((min(n_z, sections + 2 * halo), *volume.shape[1:]), np.float32)
    held = volume[:0].copy()  # waiting results, as the next piece still needs the values in their place
    for start in range(0, n_z, sections):
        stop, first, last = min(start + sections, n_z), max(start - halo, 0), min(start + sections + halo, n_z)
        found = sliding_maximum(volume[first:last], radius, size, out=buffer[:last - first])[start - first:stop - first]
        volume[start - len(held):start] = held
        ready = stop - start if stop == n_z else max(stop - start - halo, 0)
        _copy(volume[start:start + ready], found[:ready])
        held = found[ready:].copy()
    return volume


def _copy(target, source):
    """Copy sections, with two threads if allowed: one thread does not use all memory bandwidth."""
    with threads(None) as number:
        if number == 1 or source.nbytes < _WORTH_A_THREAD:
            np.copyto(target, source)
            return
    middle = len(source) // 2
    with ThreadPoolExecutor(1) as other:
        first = other.submit(np.copyto, target[:middle], source[:middle])
        np.copyto(target[middle:], source[middle:])
        first.result()
