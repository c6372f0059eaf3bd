"""The exhaustive full-scale search beside one Fourier transform there and back."""

import numpy as np

from bench.measure import Row, compare, fft_pair, in_turns, particle, seconds
from occupy_jit.kernels import full_scale_tau, largest_quantile


def rows(options):
    """A particle, white noise and a constant; a count of every cube confirms value and corner."""
    n, edge, tau = options.edge(256), 30 if not options.quick else 8, full_scale_tau(123)
    maps = {"particle": particle(n),
            "white noise": np.random.default_rng(1).standard_normal((n, n, n), dtype=np.float32),
            "constant": np.ones((n, n, n), np.float32)}
    pair = fft_pair(options.threads)
    peer = f"scipy.fft rfftn + irfftn, {options.threads} workers"
    for name, volume in maps.items():
        what = f"full-scale search, {n}^3, {name}"
        agrees = _confirmed(volume, edge, tau, *largest_quantile(volume, edge, tau))
        if pair is None:
            yield Row(what, seconds(largest_quantile, volume, edge, tau)[0], peer, goal=1.0, agrees=agrees)
            continue
        pair(volume)
        ours, peers = in_turns(options.repeats, lambda v=volume: largest_quantile(v, edge, tau),
                               lambda v=volume: pair(v))
        yield compare(what, ours, peer, peers, 1.0, agrees=agrees)


def _confirmed(volume, edge, tau, value, corner):
    """Whether no cube has a quantile above `value`, and `corner` is the first with this value."""
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
