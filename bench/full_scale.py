"""Time of the full-scale search against one Fourier transform there and back (scipy, two threads)."""

import time

import numpy as np

from occupy_jit.kernels.full_scale import full_scale_tau, largest_quantile


def _best(function, repeats):
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        result = function()
        times.append(time.perf_counter() - start)
    return min(times), result


def _particle(n):
    """Low-passed noise with a low-passed random blob in it, somewhat off the centre."""
    from scipy.ndimage import gaussian_filter

    rng = np.random.default_rng(0)
    z, y, x = np.meshgrid(*[(np.arange(n, dtype=np.float32) - 0.47 * n) / n] * 3, indexing="ij", sparse=True)
    blob = np.exp(-25 * (z * z + 1.5 * y * y + 2 * x * x))
    volume = rng.standard_normal((n, n, n), dtype=np.float32) + 5 * blob * rng.random((n, n, n), dtype=np.float32) ** 2
    return gaussian_filter(volume, 1.5)


def rows(repeats=5):
    """Time the search on a particle, on white noise and on a constant, 256^3, cubes of 30 voxels.

    Returns
    -------
    list of dict
        ``what``, ``ours_s``, ``peer``, ``peer_s``, ``ratio`` (ours / peer) and ``agrees``: whether a count
        of every cube by cumulative sums confirms value and corner. Without scipy the list is empty.
    """
    try:
        from scipy import fft
    except ImportError:
        return []
    n, edge, tau = 256, 30, full_scale_tau(123)
    maps = {"particle": _particle(n),
            "white noise": np.random.default_rng(1).standard_normal((n, n, n), dtype=np.float32),
            "constant": np.ones((n, n, n), np.float32)}
    largest_quantile(maps["particle"], edge, tau)  # compiled or loaded
    table = []
    for name, volume in maps.items():
        peer, _ = _best(lambda v=volume: fft.irfftn(fft.rfftn(v, workers=2), s=v.shape, workers=2), repeats)
        ours, (value, corner) = _best(lambda v=volume: largest_quantile(v, edge, tau), repeats)
        table.append({"what": f"full scale, {name}, {n}^3, edge {edge}", "ours_s": ours,
                      "peer": "scipy.fft rfftn + irfftn", "peer_s": peer, "ratio": ours / peer,
                      "agrees": _confirmed(volume, edge, tau, value, corner)})
    return table


def _confirmed(volume, edge, tau, value, corner):
    """Whether no cube has its quantile above `value`, and `corner` is the first to reach it."""
    need = edge**3 - min(int(tau * edge**3 + 1e-6), edge**3 - 1)
    ends = []
    for n in volume.shape:
        corners = np.arange(n - edge + 1)
        ends.append(np.maximum(n - 1 - 2 * corners, 2 * (corners + edge) - n - 1) ** 2)
    z, y, x = np.meshgrid(*ends, indexing="ij", sparse=True)
    inside = z + y + x <= min(volume.shape) ** 2

    def passing(mask):
        counts = mask.astype(np.int32)
        for axis in range(3):
            sums = np.moveaxis(np.cumsum(counts, axis=axis, dtype=np.int32), axis, 0)
            first = sums[edge - 1:].copy()
            first[1:] -= sums[:-edge]
            counts = np.moveaxis(first, 0, axis)
        return (counts >= need) & inside

    reach = passing(volume >= value)
    return bool(not passing(volume > value).any() and reach.any()
                and np.unravel_index(np.argmax(reach), reach.shape) == corner)
