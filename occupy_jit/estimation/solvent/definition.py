"""A solvent definition: a mask that marks what is not solvent, given by the user to aid solvent model and confidence.

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
"""Voxels that either side must have, and that must be left to judge confidence by."""


class UnusableDefinition(InputError):
    """The solvent definition does not tell solvent from the rest."""


@dataclass(frozen=True)
class Definition:
    """A solvent definition that has been looked at.

    Attributes
    ----------
    mask : (nz, ny, nx) float32 array
    middle : float
        Between what is marked and what is not.
    inverted : bool
        The mask marks solvent.
    """

    mask: np.ndarray
    middle: float
    inverted: bool

    def side(self, volume: Any, marked: Any) -> Iterator[Any]:
        """Values of `volume` that are marked or not, section by section: copies of them all would take a map."""
        for section, marks in zip(volume, self.mask, strict=True):
            yield section[marks > self.middle if marked else marks <= self.middle].astype(np.float64)


def understand(lowpassed: np.ndarray, mask: np.ndarray) -> Definition:
    """Which side of a mask is solvent: the one that varies less.

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
    # sums of squares lose the digits of an offset: take one value of the map for its origin
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
    """Counts and edges of the low-passed map on the solvent's side."""
    def side():
        return definition.side(lowpassed, definition.inverted)

    low = min(float(v.min()) for v in side() if v.size)
    high = max(float(v.max()) for v in side() if v.size)
    edges = edges_between(low, high)
    return sum(np.histogram(v, BINS, (edges[0], edges[-1]))[0] for v in side()), edges


def _content(definition):
    """1 where a definition says content, 0 elsewhere: (nz, ny, nx) float32 array."""
    marked = definition.mask > definition.middle
    return np.logical_xor(marked, definition.inverted, out=marked).astype(np.float32)


def solvent_side(definition: Definition, ball: Ball, quiet: Quiet) -> tuple[Quiet, int, bool]:
    """The voxels that confidence is judged by: those farther from what is marked as content than the ball reaches.

    So content just outside a rough mask does not count. All of them count, quiet or not: the user vouches that
    what is there, artefacts included, is no content.

    Parameters
    ----------
    definition : Definition
    ball : occupy_jit.estimation.scale.ball.Ball
    quiet : Quiet
        Returned where hardly anything is left.

    Returns
    -------
    quiet : Quiet
    left : int
        Number of the voxels, or cells, that the definition leaves to judge by.
    enough : bool
        Whether these are enough; if not, `quiet` is what was given.
    """
    near = sliding_maximum(_content(definition), ball.radius, ball.size)
    if quiet.on_cells:  # where no voxel of a cell is near, their mean is 0
        near = cell_mean(near)
    _, _, count = quiet_moments(near, near, 0.0)
    if count < _FEWEST:
        return quiet, count, False
    return Quiet(near, 0.0, quiet.shape), count, True
