"""The low-pass filter against scipy.fft's forward and inverse transform of the whole map, both on two threads.

    python -m bench.lowpass
"""

import time

import numpy as np
import scipy.fft

from occupy_jit.fourier import lowpass

THREADS = 2


def _pair(volume):
    return scipy.fft.irfftn(scipy.fft.rfftn(volume, workers=THREADS), volume.shape, workers=THREADS)


def _definition(volume, resolution):
    """The same filter with the whole transform (voxels of 1 Å)."""
    shape = volume.shape
    axes = [scipy.fft.fftfreq(n) for n in shape[:2]] + [scipy.fft.rfftfreq(shape[2])]
    frequency = np.sqrt(sum(f**2 for f in np.ix_(*(f.astype(np.float32) for f in axes))))
    edge = 0.5 + 0.5 * np.cos(np.pi * np.clip((frequency - 1 / resolution) * (min(shape) / 2) + 0.5, 0, 1))
    spectrum = scipy.fft.rfftn(volume, workers=THREADS)
    spectrum *= edge
    return scipy.fft.irfftn(spectrum, shape, workers=THREADS)


def _seconds(function, *args, **kwargs):
    start = time.perf_counter()
    function(*args, **kwargs)
    return time.perf_counter() - start


def rows(repeats=5):
    """Time both in turns and take the best of `repeats` of each.

    Returns
    -------
    list of dict
        what, ours_s, peer, peer_s, ratio (ours / peer), agrees (with the same filter made from the whole transform, to
        float32 rounding).
    """
    result = []
    for n in (243, 256, 320, 384):
        volume = np.random.default_rng(n).standard_normal((n, n, n), dtype=np.float32)
        out = np.empty_like(volume)
        for resolution in (6.0, 3.0) if n == 256 else (6.0,):
            ours, peer = [], []
            for _ in range(repeats):
                ours.append(_seconds(lowpass, volume, resolution, 1.0, threads=THREADS, out=out))
                peer.append(_seconds(_pair, volume))
            difference = np.abs(_definition(volume, resolution) - out).max()
            result.append({
                "what": f"low-pass {n}^3 at {resolution:g} voxels", "ours_s": min(ours),
                "peer": f"scipy.fft rfftn + irfftn, {THREADS} workers", "peer_s": min(peer),
                "ratio": min(ours) / min(peer),
                "agrees": bool(difference <= 10 * np.finfo(np.float32).eps * np.log2(volume.size)),
            })
    return result


if __name__ == "__main__":
    for row in rows():
        print("{what}: {ours_s:.3f} s, {peer} {peer_s:.3f} s, ratio {ratio:.2f}, agrees: {agrees}".format(**row))
