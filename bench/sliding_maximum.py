"""Sliding maximum over a ball: beside scipy and scikit-image, beside copying the volume, and with growing balls."""

import numpy as np

from bench.measure import Row, compare, in_turns, seconds
from occupy_jit.kernels import sliding_maximum

EDGE = 256
# Thin slabs, as the time per voxel of the peers does not depend on the volume.
SLAB = 32
# radius: times faster than scipy, times the copy
GOALS = {1: (10, 2.5), 2: (30, 3.0), 3: (80, 3.5), 4: (120, 4.0)}
GROWING = (4, 4.5, 6, 7.5, 10.5, 12, 15, 15.5)


def _ball(radius):
    reach = int(radius)
    z, y, x = np.ogrid[-reach:reach + 1, -reach:reach + 1, -reach:reach + 1]
    return z * z + y * y + x * x <= radius * radius


def _peers():
    """Functions (volume, radius) of the peers, None for missing ones."""
    found = {"scipy.ndimage.maximum_filter": None, "skimage.morphology.dilation": None}
    try:
        from scipy.ndimage import maximum_filter
        found["scipy.ndimage.maximum_filter"] = lambda v, r: maximum_filter(v, footprint=_ball(r), mode="nearest")
    except ImportError:
        pass
    try:
        from skimage.morphology import dilation
        found["skimage.morphology.dilation"] = lambda v, r: dilation(v, _ball(r))
    except ImportError:
        pass
    return found


def rows(options):
    """Radii 1 to 4 beside each peer and np.copyto."""
    n, thin = options.edge(EDGE), min(options.edge(EDGE), SLAB)
    volume = np.random.default_rng(0).standard_normal((n, n, n), dtype=np.float32)
    slab = np.ascontiguousarray(volume[:thin])
    out, copy = np.zeros_like(volume), np.zeros_like(volume)
    for radius, (scipy_goal, copy_goal) in GOALS.items():
        what = f"sliding maximum, {n}^3, diameter {2 * radius + 1}"
        small = sliding_maximum(slab, radius)
        for name, peer in _peers().items():
            if peer is None:
                yield Row(what, seconds(sliding_maximum, volume, radius, out=out)[0], name, goal=scipy_goal,
                          times_faster=True)
                continue
            agrees = bool(np.array_equal(small, peer(slab, radius)))
            ours, peers = in_turns(options.repeats, lambda r=radius: sliding_maximum(volume, r, out=out),
                                   lambda r=radius, p=peer: p(slab, r))
            peers = [(wall * n / thin, cpu * n / thin) for wall, cpu in peers]
            yield compare(what, ours, name, peers, scipy_goal, True, agrees)
        ours, copies = in_turns(max(options.repeats, 9), lambda r=radius: sliding_maximum(volume, r, out=out),
                                lambda: np.copyto(copy, volume))
        yield compare(what, ours, "numpy.copyto", copies, copy_goal)


def growth(options):
    """Larger balls beside diameter 9; the goal of each row is the ratio of the diameters."""
    n = options.edge(EDGE)
    volume = np.random.default_rng(0).standard_normal((n, n, n), dtype=np.float32)
    out = np.zeros_like(volume)
    functions = [lambda r=radius: sliding_maximum(volume, r, out=out) for radius in GROWING]
    times = in_turns(options.repeats, *functions)
    for radius, ours in list(zip(GROWING, times, strict=True))[1:]:
        # Diameters in voxels: 9 for radius 4.
        goal = (2 * radius + 1) / (2 * GROWING[0] + 1)
        yield compare(f"sliding maximum, {n}^3, radius {radius:g}", ours, "itself, radius 4", times[0], goal)
