"""Solvent that was flattened or masked: one value is far more frequent than any other."""

import numpy as np

from occupy_jit.kernels.grid.sphere import section_inside

FLATTENED_SHARE = 0.05
"""A share of exactly equal voxels above this means that the surroundings were flattened or masked."""

_SAMPLE = 40_000
# Factor by which the most frequent value must exceed the next one to be more than a grey level.
_STANDS_OUT = 3


def even_sample(volume: np.ndarray) -> tuple[np.ndarray, int]:
    """Every few voxels of a volume along each axis, about 40 000 in all, and the step in voxels."""
    # strides that do not divide usual box edges, so that the sample crosses the whole box
    stride = max(1, round((volume.size / _SAMPLE) ** (1 / 3)))
    return volume[::stride, ::stride, ::stride], stride


def most_frequent_value(sample: np.ndarray) -> tuple[float, float, float]:
    """The most frequent value of an array, its share, and the ratio of its frequency to that of the next."""
    values, counts = np.unique(sample, return_counts=True)
    if counts.size == 0:
        return 0.0, 0.0, 0.0
    first = counts.argmax()
    following = np.partition(counts, -2)[-2] if counts.size > 1 else 0
    return (float(values[first]), float(counts[first] / counts.sum()),
            float(counts[first] / following) if following else np.inf)


def repeated_value_share(volume: np.ndarray) -> float:
    """Share of the voxels, in an even sample of the inscribed sphere, that have the most frequent value.

    0 if the next value is nearly as frequent: a map stored with few grey levels has ties everywhere.
    """
    sample, stride = even_sample(volume)
    inside = [section_inside(volume.shape, z, stride) for z in range(0, volume.shape[0], stride)]
    _, share, times_the_next = most_frequent_value(sample[np.array(inside)])
    return share if times_the_next >= _STANDS_OUT else 0.0
