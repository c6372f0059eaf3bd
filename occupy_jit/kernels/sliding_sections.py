"""The sliding maximum of a volume some sections at a time: without a second volume.

Memory that is touched for the first time costs more than the maximum itself on many machines, and a volume that
nobody wants any more can hold the result. The sections next to each piece are done twice.
"""

import math

import numpy as np

from occupy_jit.kernels.arguments import as_volume
from occupy_jit.kernels.sliding_ball_maximum import sliding_maximum


def _reach(radius, size):
    """Sections on either side that a ball reaches, at most."""
    whole = math.floor(radius) + 1
    return whole if size is None else min(whole, size // 2)


def maxima_of_sections(volume, radius, size, pieces, prepare=None):
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
        ``prepare(sections)`` gives what the maximum is taken of: another array of the same shape.

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


def overwrite_with_maximum(volume, radius, size, sections):
    """Replace a volume by its sliding maximum.

    Parameters
    ----------
    volume : ndarray (z, y, x), float32, C-contiguous
        Overwritten.
    radius, size
        The ball, as for `sliding_maximum`.
    sections : int
        How many are done at a time.

    Returns
    -------
    ndarray
        `volume`.
    """
    n_z, halo = len(volume), _reach(radius, size)
    sections = max(sections, halo)
    shape = (min(n_z, sections + 2 * halo), *volume.shape[1:])
    source, result = np.empty(shape, np.float32), np.empty(shape, np.float32)
    behind = volume[:0].copy()  # what the sections before a piece held
    for start in range(0, n_z, sections):
        stop, last, before = min(start + sections, n_z), min(start + sections + halo, n_z), len(behind)
        source[:before] = behind
        source[before:before + last - start] = volume[start:last]
        found = sliding_maximum(source[:before + last - start], radius, size, out=result[:before + last - start])
        behind = volume[max(start, stop - halo):stop].copy()
        volume[start:stop] = found[before:before + stop - start]
    return volume
