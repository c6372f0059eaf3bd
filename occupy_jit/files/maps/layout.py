"""Order of voxels in a file and in memory, and conversion between both, slab by slab.

Arrays in memory are [z, y, x] with x fastest. A file has sections, rows and columns, each of which may be any of x, y
and z: its axis order is (mapc, mapr, maps), the numbers of the axes along columns, rows and sections.
"""

import numpy as np

_SLAB_BYTES = 1 << 22
# If x, the fastest axis in memory, is another in the file, 16 of its steps at a time fill whole cache lines.
_LINE = 16


def in_file_order(data: np.ndarray, axis_order: tuple[int, int, int]) -> np.ndarray:
    """View of an array [z, y, x] as [section, row, column]."""
    return data.transpose([3 - axis for axis in reversed(axis_order)])


def slabs(file_shape: tuple[int, int, int], axis_order: tuple[int, int, int], itemsize: int) -> list[tuple[int, int]]:
    """Ranges of sections for passes over a file."""
    sections, rows, columns = file_shape
    step = max(1, _SLAB_BYTES // (rows * columns * itemsize))
    if axis_order[2] == 1:
        step = _LINE
    return [(start, min(start + step, sections)) for start in range(0, sections, step)]


def _planes(axis_order, target, source):
    """Pairs of planes with x along their first axis, of two arrays [section, row, column] where x is no column."""
    if axis_order[2] == 1:
        return ((target[:, row], source[:, row]) for row in range(target.shape[1]))
    return zip(target, source, strict=True)


def to_canonical(target: np.ndarray, source: np.ndarray, axis_order: tuple[int, int, int]) -> None:
    """Copy sections in file order into the view `target` of an array [z, y, x], plane by plane."""
    if axis_order[0] == 1:
        target[...] = source
        return
    for to, of in _planes(axis_order, target, source):
        for start in range(0, len(of), _LINE):
            to[start:start + _LINE] = of[start:start + _LINE]


def to_file_order(target: np.ndarray, source: np.ndarray, axis_order: tuple[int, int, int]) -> None:
    """The inverse: `source` is the view of an array [z, y, x], `target` sections in file order."""
    if axis_order[0] == 1:
        np.copyto(target, source, casting="same_kind")
        return
    # With such strides (boxes of 256, 512) all cache lines of a plane compete for one place in the cache, and none
    # survives until its next use: copy whole lines first. For other strides this detour costs half as much again.
    crowded = any(stride % 4096 == 0 for stride in source.strides)
    buffer = np.empty((source.shape[2], _LINE), np.float32)
    for to, of in _planes(axis_order, target, source):
        for start in range(0, len(of), _LINE):
            rows = of[start:start + _LINE]
            if crowded:
                piece = buffer[:, :len(rows)]
                np.copyto(piece, rows.T, casting="same_kind")
                rows = piece.T
            np.copyto(to[start:start + _LINE], rows, casting="same_kind")
