"""The drawn part of a map: its content, without solvent and islands of noise.

A surface of a noisy map also surrounds peaks of noise, and the local scale falls off at every
edge of content. Pictures leave out the first and fade the second, so that neither looks like a weak part.
"""

from __future__ import annotations

import math

import numpy as np

SMALLEST_PIECE = 1 / 500
"""Share of all voxels: smaller pieces are noise."""

_SURE = 0.5  # confidence above which a voxel is content
_BALLS = 12  # peaks of noise that seem to be content are as large as a ball, and up to ten if some lie together
_SHARPEST = 3.0  # the surface is cut off where slices have faded to a third


def piece_sizes(on: np.ndarray) -> np.ndarray:
    """Number of voxels of each piece.

    Parameters
    ----------
    on : (nz, ny, nx) array of bool
        Voxels that share a face belong to one piece.

    Returns
    -------
    (nz, ny, nx) int64 array
        Size of the piece of each voxel; 0 where `on` is false.
    """
    # join touching runs along x, which are far fewer than voxels
    begins = on.copy()
    begins[..., 1:] &= ~on[..., :-1]
    run = np.cumsum(begins.reshape(-1)).reshape(on.shape) - 1
    root = np.arange(int(begins.sum()))
    touching = []
    for here, there in ((np.s_[1:], np.s_[:-1]), (np.s_[:, 1:], np.s_[:, :-1])):
        both = on[here] & on[there]
        touching.append(np.stack([run[here][both], run[there][both]]))
    one, other = np.concatenate(touching, axis=1)
    while one.size:
        low, high = np.minimum(root[one], root[other]), np.maximum(root[one], root[other])
        np.minimum.at(root, high, low)
        while (root[root] != root).any():
            root = root[root]
        apart = root[one] != root[other]
        one, other = one[apart], other[apart]
    size = np.bincount(root[run[on]], minlength=max(1, root.size))
    out = np.zeros(on.shape, np.int64)
    out[on] = size[root[run[on]]]
    return out


def without_islands(on: np.ndarray, least: float = 0.0) -> np.ndarray:
    """The larger pieces of a volume: with at least `least` voxels, and not much smaller than all together.

    Parameters
    ----------
    on : (nz, ny, nx) array of bool
    least : float
        Voxels; ignored if larger pieces are less than half of all.

    Returns
    -------
    (nz, ny, nx) array of bool
        All of `on` if there are only small pieces.
    """
    sizes, number = piece_sizes(on), np.count_nonzero(on)
    large = sizes >= max(least, SMALLEST_PIECE * number, 1)
    if 2 * np.count_nonzero(large) < number:
        large = sizes >= max(SMALLEST_PIECE * number, 1)
    return large if large.any() else on


def visibility(confidence: np.ndarray, rim: float) -> np.ndarray:
    """Visibility of each voxel in a picture: full in content, fading in its rim.

    The local scale is a maximum over a ball, so it extends one radius beyond the content, and falls off in
    this rim. Everything is visible if there is no content at all.

    Parameters
    ----------
    confidence : (nz, ny, nx) float32 array
    rim : float
        Radius of the ball in voxels.

    Returns
    -------
    (nz, ny, nx) float32 array
        From 0, not drawn, to 1.
    """
    sure = without_islands(confidence > _SURE, _size_of_noise(rim))
    return _depth(sure, rim) if sure.any() else np.ones(confidence.shape, np.float32)


def with_rim_filled(scale: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """The scale, with the rim of content at the scale of its inside.

    Layer by layer from inside, a voxel takes the largest value beside it that lies further inside, or where there is
    none that of a voxel of its layer that has taken one: no rim of a strong part looks like a weak one, and weak parts
    stay weak.

    Parameters
    ----------
    scale : (nz, ny, nx) float32 array
    seen : (nz, ny, nx) float32 array
        From `visibility`.

    Returns
    -------
    (nz, ny, nx) float32 array
    """
    out = scale.copy()
    for level in np.unique(seen[(seen > 0) & (seen < 1)])[::-1]:
        inside = _widened(np.where(seen > level, out, np.float32(0)))
        layer = seen == level
        out[layer] = np.maximum(out[layer], inside[layer])
        alone = layer & (inside == 0)
        if alone.any():
            beside = _widened(np.where(layer & ~alone, out, np.float32(0)))
            out[alone] = np.maximum(out[alone], beside[alone])
    return out


def _widened(values):
    """The largest value among a voxel and the 26 around it."""
    for axis in range(3):
        along = np.moveaxis(values, axis, 0)
        wider = along.copy()
        np.maximum(wider[1:], along[:-1], out=wider[1:])
        np.maximum(wider[:-1], along[1:], out=wider[:-1])
        values = np.moveaxis(wider, 0, axis)
    return values


def section_of(scale: np.ndarray, confidence: np.ndarray, index: int, rim: float, most: int = 1_000_000
               ) -> tuple[np.ndarray, np.ndarray]:
    """A section of the scale with its rim filled, and how far each pixel is to be seen, with doubt.

    Of volumes of any size: pieces of a large one are found on every few voxels of it.

    Parameters
    ----------
    scale, confidence : (nz, ny, nx) float32 array
    index : int
        Index of the section.
    rim : float
        Radius of the ball in voxels.
    most : int
        Approximate number of voxels for the search of pieces.

    Returns
    -------
    scale, seen : (ny, nx) float32 array
    """
    reach = 2 * max(1, math.ceil(rim)) + 1
    first = max(0, index - reach)
    slab = np.s_[first:index + reach + 1]
    seen = _visibility_of_slab(confidence, slab, rim, most)
    return with_rim_filled(scale[slab], seen)[index - first], (seen * confidence[slab])[index - first]


def _visibility_of_slab(confidence, slab, rim, most):
    """`visibility` of some sections."""
    step = max(1, math.ceil((confidence.size / most) ** (1 / 3)))
    if step == 1:
        return visibility(confidence, rim)[slab]
    pieces = without_islands(confidence[::step, ::step, ::step] > _SURE, _size_of_noise(rim) / step ** 3)
    if not pieces.any():
        return np.ones(confidence[slab].shape, np.float32)
    # voxels as close to a piece as its next sampled voxel belong to it
    pieces = _widened(pieces)
    part = confidence[slab]
    nearest = [np.minimum((np.arange(n) + begin + step // 2) // step, m - 1)
               for n, begin, m in zip(part.shape, (slab.start, 0, 0), pieces.shape, strict=True)]
    return _depth((part > _SURE) & pieces[np.ix_(*nearest)], rim)


def _size_of_noise(rim):
    """Voxels of a piece that one or a few peaks of noise may form."""
    return _BALLS * 4 / 3 * math.pi * rim ** 3


def _depth(sure, rim):
    """Depth in certain content, from almost 0 at its edge to 1 at the end of the rim."""
    steps = max(1, math.ceil(rim))
    depth, inner = sure.astype(np.float32), sure
    for k in range(steps):
        inner = _eroded(inner, diagonal=k % 2 == 1)
        depth += inner
    return depth / np.float32(steps + 1)


def _eroded(on, diagonal):
    """Erosion by faces, or also by corners and edges. Voxels beyond the box count as on."""
    out = on.copy()
    source = on
    for axis in range(3):
        if diagonal:
            source = out.copy()
        for here, there in ((np.s_[1:], np.s_[:-1]), (np.s_[:-1], np.s_[1:])):
            np.moveaxis(out, axis, 0)[here] &= np.moveaxis(source, axis, 0)[there]
    return out


def cleaned(density: np.ndarray, seen: np.ndarray, zero: float) -> np.ndarray:
    """The density for surfaces: invisible voxels are at the zero level.

    Parameters
    ----------
    density : (nz, ny, nx) float32 array
    seen : (nz, ny, nx) float32 array
        From `visibility`.
    zero : float
        Density of solvent.

    Returns
    -------
    (nz, ny, nx) float32 array
    """
    level = np.float32(zero)
    return level + (density - level) * np.minimum(np.float32(_SHARPEST) * seen, np.float32(1))
