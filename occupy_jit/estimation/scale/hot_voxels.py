"""Hot voxels: isolated voxels far above or below all others.

The optics, the masks of the reconstruction and the resolution low-pass a map: no signal is one
voxel wide. A voxel (or two or three in a row) that differs from its neighbours as much as from the whole map comes
from a faulty pixel, a damaged file or a division by zero, and the low-pass of the estimate would spread it over a ball.

No kernel is used, because a separate thread checks maps while kernels are loaded.
"""

import itertools

import numpy as np

_FAR = 8.0
"""In multiples of the deviation from the median that one voxel in a thousand exceeds."""

_ALONE, _ALONE_WIDE = 4.0, 20.0
"""In multiples of the surrounding voxels, for one voxel across and for up to three. In a map sampled at its resolution
limit a point has half of its height one voxel away, a sixteenth two voxels away."""

_WIDE = 3
_SAMPLE = 40_000
_MOST = 1000
_ROUNDS = 3
_AROUND = [step for step in itertools.product((-1, 0, 1), repeat=3) if any(step)]


def repair(volume: np.ndarray) -> int:
    """Replace hot voxels by the median of their surroundings, in place.

    Parameters
    ----------
    volume : (nz, ny, nx) float32 array

    Returns
    -------
    int
        Number of hot voxels.
    """
    found = 0
    for _ in range(_ROUNDS):  # beside an extreme voxel, the next is found only after its removal
        values = _found(volume)
        if not values:
            break
        for place, value in values.items():
            volume[place] = value
        found += len(values)
    return found


def without_hot_voxels(volume: np.ndarray, may_overwrite: bool = False) -> tuple[np.ndarray, int]:
    """The volume without hot voxels (a copy if necessary), and their number."""
    if not _found(volume):
        return volume, 0
    volume = volume if may_overwrite else volume.copy()
    return volume, repair(volume)


def _found(volume):
    """Position of every hot voxel -> median of the other voxels around it."""
    stride = max(1, round((volume.size / _SAMPLE) ** (1 / 3)))
    sample = volume[::stride, ::stride, ::stride]
    centre = float(np.median(sample))
    limit = _FAR * float(np.quantile(np.abs(sample - np.float32(centre)), 0.999))
    lowest, highest = float(volume.min()), float(volume.max())
    if not max(highest - centre, centre - lowest) > limit > 0:
        return {}
    far = {}
    for z, section in enumerate(volume):
        for y, x in zip(*np.nonzero(np.abs(section - np.float32(centre)) > limit), strict=True):
            far[z, int(y), int(x)] = abs(float(section[y, x]) - centre)
            if len(far) > _MOST:
                return {}  # too many for hot voxels
    found = {}
    for group in _groups(far):
        around = {place for voxel in group for place in _neighbours(voxel, volume.shape)} - far.keys()
        values = np.array([volume[place] for place in around])
        across = sorted(1 + np.ptp(np.array(sorted(group)), axis=0))[1]
        times = max(far[voxel] for voxel in group) / max(np.abs(values - centre).max(initial=0), limit / _FAR)
        if times > _ALONE and across == 1 or times > _ALONE_WIDE and across <= _WIDE:
            found |= dict.fromkeys(group, float(np.median(values)))
    return found


def _neighbours(voxel, shape):
    for step in _AROUND:
        place = tuple(a + b for a, b in zip(voxel, step, strict=True))
        if all(0 <= a < n for a, n in zip(place, shape, strict=True)):
            yield place


def _groups(voxels):
    """Sets of voxels that touch."""
    left = set(voxels)
    while left:
        group, edge = set(), [left.pop()]
        while edge:
            voxel = edge.pop()
            group.add(voxel)
            for step in _AROUND:
                place = tuple(a + b for a, b in zip(voxel, step, strict=True))
                if place in left:
                    left.remove(place)
                    edge.append(place)
        yield group
