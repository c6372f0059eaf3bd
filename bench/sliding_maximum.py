"""Sliding maximum over a ball against scipy.ndimage.maximum_filter and against copying the volume."""

import statistics
import time

import numpy as np
import scipy.ndimage

from occupy_jit.kernels.sliding_ball_maximum import sliding_maximum

EDGE = 256
# Slabs this thin tell scipy's time per voxel, which does not depend on the volume, in a bearable time.
SLAB = 32


def _seconds(function, *args, **kwargs):
    start = time.perf_counter()
    function(*args, **kwargs)
    return time.perf_counter() - start


def _ball(radius):
    reach = int(radius)
    z, y, x = np.ogrid[-reach:reach + 1, -reach:reach + 1, -reach:reach + 1]
    return z * z + y * y + x * x <= radius * radius


def _row(what, ours, peer, peers, agrees):
    """`ratio` is the median of the ratios of neighbours in time: how many times faster than the peer."""
    ratio = statistics.median(b / a for a, b in zip(ours, peers, strict=True))
    return {"what": what, "ours_s": statistics.median(ours), "peer": peer, "peer_s": statistics.median(peers),
            "ratio": ratio, "agrees": agrees}


def rows(repeats=5):
    """Time radii 1 to 4 (diameters 3 to 9), and larger and fractional ones, on 256^3 voxels.

    Parameters
    ----------
    repeats : int
        Number of times each is run, alternating.

    Returns
    -------
    list of dict
        what, ours_s, peer, peer_s, ratio (peer / ours), agrees (bit for bit; None where there is nothing to compare).
        scipy is run on a slab of the volume and its time scaled to the whole.
    """
    volume = np.random.default_rng(0).standard_normal((EDGE,) * 3, dtype=np.float32)
    slab = np.ascontiguousarray(volume[:SLAB])
    out, copy = np.zeros_like(volume), np.zeros_like(volume)
    result = []
    for radius in (1, 2, 3, 4, 3.5, 7, 10.5, 15, 15.5):
        ball = _ball(radius) if radius <= 4 else None
        sliding_maximum(volume, radius, out=out)
        ours, copies, peers, agrees = [], [], [], None
        for _ in range(repeats):
            copies.append(_seconds(np.copyto, copy, volume))
            ours.append(_seconds(sliding_maximum, volume, radius, out=out))
            if ball is not None:
                start = time.perf_counter()
                expected = scipy.ndimage.maximum_filter(slab, footprint=ball, mode="nearest")
                peers.append((time.perf_counter() - start) * EDGE / SLAB)
        what = f"sliding maximum, radius {radius}"
        if ball is not None:
            agrees = bool(np.array_equal(sliding_maximum(slab, radius), expected))
            result.append(_row(what, ours, "scipy.ndimage.maximum_filter", peers, agrees))
        result.append(_row(what, ours, "numpy.copyto", copies, None))
    return result
