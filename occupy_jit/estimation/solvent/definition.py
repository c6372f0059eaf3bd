"""A solvent definition: a mask of the content, given by the user to aid solvent model and confidence.

The scale does not depend on it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from occupy_jit.errors import InputError
from occupy_jit.estimation.solvent.model import BINS, edges_between
from occupy_jit.estimation.solvent.quiet_voxels import Quiet
from occupy_jit.kernels.grid.arguments import as_volume
from occupy_jit.kernels.grid.binned import cell_mean
from occupy_jit.kernels.moments import quiet_moments
from occupy_jit.kernels.sliding_ball_maximum import sliding_maximum

if TYPE_CHECKING:
    from occupy_jit.estimation.scale.ball import Ball

_FEWEST = 1000
"""Fewest voxels on each side, and fewest solvent voxels for the confidence."""


class UnusableDefinition(InputError):
    """The solvent definition does not separate solvent from content."""


@dataclass(frozen=True)
class Definition:
    """A checked solvent definition.

    Attributes
    ----------
    mask : (nz, ny, nx) float32 array
    middle : float
        Threshold between marked and unmarked values.
    inverted : bool
        The mask marks solvent.
    """

    mask: np.ndarray
    middle: float
    inverted: bool

    def side(self, volume: Any, marked: Any) -> Iterator[Any]:
        """Marked and unmarked values of `volume`, section by section, to avoid a copy of the map."""
        for section, marks in zip(volume, self.mask, strict=True):
            yield section[marks > self.middle if marked else marks <= self.middle].astype(np.float64)


def understand(lowpassed: np.ndarray, mask: np.ndarray) -> Definition:
    """Find the solvent side of a mask, which varies less.

    Parameters
    ----------
    lowpassed : (nz, ny, nx) float32 array
    mask : (nz, ny, nx) array

    Returns
    -------
    Definition

    Raises
    ------
    UnusableDefinition
        One side has hardly any voxels.
    ValueError
        Shapes differ.
    """
    mask = as_volume(mask, "solvent mask")
    if mask.shape != lowpassed.shape:
        raise ValueError(f"solvent mask: shape {mask.shape} differs from the map's {lowpassed.shape}")
    definition = Definition(mask, 0.5 * (float(mask.min()) + float(mask.max())), False)
    # sums of squares lose digits to an offset: use one value of the map as origin
    origin = float(lowpassed.flat[0])
    spread = {}
    for marked in (True, False):
        parts = [(v.size, (v - origin).sum(), np.square(v - origin).sum()) for v in definition.side(lowpassed, marked)]
        count, total, squares = np.sum(parts, axis=0)
        if count < _FEWEST:
            raise UnusableDefinition(f"the solvent definition (values from {float(mask.min()):g} to "
                                     f"{float(mask.max()):g}) marks everything or nothing: it must leave at least "
                                     f"{_FEWEST} voxels on either side")
        spread[marked] = squares / count - (total / count) ** 2
    return Definition(mask, definition.middle, spread[True] < spread[False])


def histogram(lowpassed: Any, definition: Any) -> tuple[Any, Any]:
    """Histogram (counts and edges) of the low-passed map on the solvent side."""
    def side():
        return definition.side(lowpassed, definition.inverted)

    low = min(float(v.min()) for v in side() if v.size)
    high = max(float(v.max()) for v in side() if v.size)
    edges = edges_between(low, high)
    return sum(np.histogram(v, BINS, (edges[0], edges[-1]))[0] for v in side()), edges


def _content(definition):
    """1 in the content of a definition, 0 elsewhere: (nz, ny, nx) float32 array."""
    marked = definition.mask > definition.middle
    return np.logical_xor(marked, definition.inverted, out=marked).astype(np.float32)


def solvent_side(definition: Definition, ball: Ball, quiet: Quiet) -> tuple[Quiet, int, bool]:
    """The solvent voxels for the confidence: those beyond the reach of the ball from marked content.

    Content just outside a rough mask therefore does not count. All of these voxels count, quiet or not: the user
    vouches that they are not content, artefacts included.

    Parameters
    ----------
    definition : Definition
    ball : occupy_jit.estimation.scale.ball.Ball
    quiet : Quiet
        Returned if too few voxels are left.

    Returns
    -------
    quiet : Quiet
    left : int
        Number of voxels, or cells, that the definition leaves.
    enough : bool
        Whether these are enough; if not, `quiet` is the input.
    """
    near = sliding_maximum(_content(definition), ball.radius, ball.size)
    if quiet.on_cells:  # the mean of a cell is 0 if none of its voxels is near
        near = cell_mean(near)
    _, _, count = quiet_moments(near, near, 0.0)
    if count < _FEWEST:
        return quiet, count, False
    return Quiet(near, 0.0, quiet.shape), count, True
