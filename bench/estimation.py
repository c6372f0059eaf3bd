"""From a map in memory to scale, confidence and output in memory, with loaded kernels."""

import statistics

import numpy as np

from bench.measure import VOXEL_SIZE, Row, compare, fft_pair, in_turns, particle, seconds
from occupy_jit.estimation.modification import modify as modification
from occupy_jit.estimation.scale.estimate import estimate
from occupy_jit.modifications import requested
from occupy_jit.settings import Settings

GOAL = 3.0


def rows(options):
    """A plain run (scale and confidence), and one with amplification, beside a forward and inverse FFT."""
    n = options.edge(256)
    volume = particle(n)
    pair = fft_pair(options.threads)
    peer = f"scipy.fft rfftn + irfftn, {options.threads} workers"
    for settings, what in ((Settings(), "scale, confidence"), (Settings(amplify=True), "scale, confidence, amplified")):

        def whole(settings=settings):
            result = estimate(volume, settings, voxel_size=VOXEL_SIZE, thread_count=options.threads)
            kinds = requested(settings)
            return [result.scale, result.confidence] + [
                modification.modified(volume, result, settings, kind, thread_count=options.threads) for kind in kinds]

        what = f"map in memory -> {what}, {n}^3"
        # Whether a second run gives the same bits.
        agrees = all(np.array_equal(a, b) for a, b in zip(whole(), whole(), strict=True))
        if pair is None:
            yield Row(what, seconds(whole)[0], peer, goal=GOAL, agrees=agrees)
            continue
        pair(volume)
        ours, peers = in_turns(options.repeats, whole, lambda: pair(volume))
        yield compare(what, ours, peer, peers, GOAL, agrees=agrees)


def per_voxel(options):
    """Time per voxel at several sizes; each beside the fastest."""
    sizes = (32, 48) if options.quick else (128, 192, 256, 384, 512)
    found = {}
    for n in sizes:
        volume = particle(n)
        result = []
        for _ in range(options.repeats + 1):
            result.append(seconds(estimate, volume, voxel_size=VOXEL_SIZE, thread_count=options.threads)[0])
        found[n] = statistics.median(result[1:]) / n**3 * 1e9
    best = min(found, key=found.get)
    for n, time in found.items():
        yield Row(f"time per voxel in memory, {n}^3", time, f"itself, {best}^3", found[best], time / found[best], 1.5,
                  unit="ns")
