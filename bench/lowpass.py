"""The low-pass filter beside scipy.fft's forward and inverse transform of the whole map."""

import numpy as np

from bench.measure import Row, compare, fft_pair, in_turns, seconds
from occupy_jit.estimation.fourier.filters import lowpass

GOAL = 0.6


def _definition(volume, resolution, threads):
    """The same filter with the whole transform (voxels of 1 Å)."""
    from scipy import fft

    shape = volume.shape
    axes = [fft.fftfreq(n) for n in shape[:2]] + [fft.rfftfreq(shape[2])]
    frequency = np.sqrt(sum(f**2 for f in np.ix_(*(f.astype(np.float32) for f in axes))))
    edge = 0.5 + 0.5 * np.cos(np.pi * np.clip((frequency - 1 / resolution) * (min(shape) / 2) + 0.5, 0, 1))
    spectrum = fft.rfftn(volume, workers=threads)
    spectrum *= edge
    return fft.irfftn(spectrum, shape, workers=threads)


def rows(options):
    """To a third of Nyquist (six voxels)."""
    pair = fft_pair(options.threads)
    peer = f"scipy.fft rfftn + irfftn, {options.threads} workers"
    for n in sorted({options.edge(256), options.edge(384)}):
        volume = np.random.default_rng(n).standard_normal((n, n, n), dtype=np.float32)
        out = np.empty_like(volume)

        def filtered(volume=volume, out=out):
            lowpass(volume, 6.0, 1.0, threads=options.threads, out=out)

        filtered()
        what = f"low-pass to a third of Nyquist, {n}^3"
        if pair is None:
            yield Row(what, seconds(filtered)[0], peer, goal=GOAL)
            continue
        difference = np.abs(_definition(volume, 6.0, options.threads) - out).max()
        # float32 rounding of a transform and back
        agrees = bool(difference <= 10 * np.finfo(np.float32).eps * np.log2(volume.size))
        pair(volume)
        ours, peers = in_turns(options.repeats, filtered, lambda v=volume: pair(v))
        yield compare(what, ours, peer, peers, GOAL, agrees=agrees)
