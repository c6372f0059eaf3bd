"""Confidence: the degree of certainty that a voxel is content and not solvent.

The evidence is the grey closing of the low-passed map (the sliding maximum, and its sliding minimum over the
same ball): after closing, content is an even plateau with sharp sides, whereas the map itself crosses zero
between any two atoms. The evidence is capped a few standard deviations above the noise floor, so that a strong
neighbour counts no more than a weak one and does not spread far, and averaged with a Gaussian, because content
forms regions far larger than the ball. The result is compared with the spread of the same quantity over
quiet solvent. Where the scale is so low that solvent next to content can reach it, confidence is
0: amplification would be strongest there, and least meaningful.

Against simulated maps with known occupancies this covers the true volume better, at every noise level,
than the excess of the density histogram over a solvent model, which considers single voxels.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from occupy_jit.estimation import grids
from occupy_jit.kernels.grid import binned
from occupy_jit.kernels.grid.smoothing import smooth
from occupy_jit.kernels.sliding_ball_maximum import sliding_maximum
from occupy_jit.kernels.sliding_sections import maxima_of_sections
from occupy_jit.kernels.voxelwise import confidence_from_evidence, doubt_between_cells

if TYPE_CHECKING:
    from occupy_jit.estimation.scale.ball import Ball
    from occupy_jit.estimation.solvent.quiet_voxels import Quiet

# Cap, smoothing, ramp and gate were chosen for the overlap of the confidence with simulated content, from poor to good
# maps: ``python -m bench.calibrate`` prints that overlap for values around them.
CAP = 4.0
"""Cap of the evidence, in standard deviations of M' over quiet solvent above the noise floor."""

SMOOTHING_ANGSTROM = 4.5
RAMP = (2.0, 3.0)
"""Evidence at which confidence starts and is complete, in standard deviations of the evidence over quiet solvent."""

GATE = (0.07, 0.15)
"""Scale at which confidence starts and is complete."""

STRICT_GATE = (0.15, 0.30)
"""The same if content is amplified and solvent set to 0: a rim of amplified solvent around the content, which
is invisible among the solvent otherwise, would be most of the remaining solvent."""

# A flattened solvent has no spread at all: these shares of full scale and of the cap stand in for it.
_LEAST_SPREAD = 0.01
_LEAST_EVIDENCE_SPREAD = 0.02
_LEAST_NOISE = 0.1  # of that in solvent


def least_floor(floor: float, full: float) -> float:
    """Smallest unit of heights if the noise is known locally: hardly any noise is hardly any evidence.

    Parameters
    ----------
    floor, full : float
        Noise floor in solvent, and full scale.
    """
    return max(_LEAST_NOISE * floor, _LEAST_SPREAD * full)


def cap_level(floor: float, spread: float, full: float) -> float:
    """Level above the zero level at which the evidence is capped.

    Parameters
    ----------
    floor, spread : float
        Median and standard deviation of M' over the quiet voxels.
    full : float
        Full scale.
    """
    return floor + CAP * max(spread, _LEAST_SPREAD * full)


class Ramp(NamedTuple):
    """Conversion of evidence into confidence.

    Attributes
    ----------
    floor, cap : float
        Noise floor, and cap of the evidence.
    gate : (float, float)
        Scale at which confidence starts and is complete.
    hedge : float
        The confidence is raised to this power.
    solvent_is_given : bool
        A solvent definition marks the solvent: everything in it counts as solvent.
    """

    floor: float
    cap: float
    gate: tuple[float, float] = GATE
    hedge: float = 1.0
    solvent_is_given: bool = False


def confidence(depth: np.ndarray, scale: np.ndarray, ramp: Ramp, quiet: Quiet, ball: Ball, voxel_size: float,
               buffer: np.ndarray | None = None) -> np.ndarray:
    """Confidence map.

    Parameters
    ----------
    depth : (nz, ny, nx) float32 array
        ``-min(M', cap)``; overwritten by the confidence, which is returned.
    scale : (nz, ny, nx) float32 array
    ramp : Ramp
    quiet : occupy_jit.estimation.solvent.quiet_voxels.Quiet
        The solvent voxels for comparison.
    ball : occupy_jit.estimation.scale.ball.Ball
    voxel_size : float
        Å.
    buffer : array, optional
        Working space of the same shape and type.

    Returns
    -------
    (nz, ny, nx) float32 array
        In [0, 1].
    """
    sigma = _smoothing(voxel_size)
    if quiet.on_cells:
        evidence = binned.smoothed_cells(_closed_on_cells(depth, ball), sigma)
    else:
        evidence = smooth(sliding_maximum(depth, ball.radius, ball.size, out=buffer), sigma, out=depth)
    start, complete = _start_and_complete(evidence, ramp, quiet)
    return confidence_from_evidence(evidence, scale, start, complete, ramp.gate, ramp.hedge, out=depth)


def _smoothing(voxel_size):
    """Sigma of the Gaussian that evidence is averaged with, in voxels."""
    return max(SMOOTHING_ANGSTROM / voxel_size, 1.0)


def _start_and_complete(evidence, ramp, quiet):
    """Evidence at which confidence starts and is complete. It has the sign of the depth: lower means more content."""
    least = _LEAST_EVIDENCE_SPREAD * (ramp.cap - ramp.floor)
    _, spread, _ = quiet.mean_and_deviation(evidence, smooth=True)
    spread, centre = max(spread, least), quiet.median(evidence)
    start, complete = (centre - deviations * spread for deviations in RAMP)
    if ramp.solvent_is_given:
        # Artefacts have long tails: no larger share of known solvent may pass than of normally distributed noise.
        tails = quiet.quantile(evidence, [0.5 * math.erfc(deviations / math.sqrt(2)) for deviations in RAMP])
        start, complete = min(start, tails[0]), min(complete, tails[1])
        complete = min(complete, start - least)
    return start, complete


class Content(NamedTuple):
    """Evidence for content on the grid of cells (`occupy_jit.kernels.grid.binned`) of a large map.

    It shows where a map has content without a volume of confidence.

    Attributes
    ----------
    evidence : (cz, cy, cx) float32 array
        Lower values mean more content.
    start, complete : float
        Evidence at which confidence starts and is complete; `start` is the higher one.
    """

    evidence: np.ndarray
    start: float
    complete: float

    @property
    def sure(self) -> np.ndarray:
        """(cz, cy, cx) array of bool : Cells with a confidence above one half, whatever their scale."""
        return self.evidence < 0.5 * (self.start + self.complete)

    def doubt(self, scale: np.ndarray, region: tuple[slice, slice, slice]) -> np.ndarray:
        """Where the voxels of a region are not sure to be content.

        Parameters
        ----------
        scale : (nz, ny, nx) float32 array
            Of the whole map.
        region : (slice, slice, slice)
            Along z, y and x, with start and stop.

        Returns
        -------
        (z, y, x) float32 array
            1 where confidence is at most one half, 0 elsewhere.
        """
        return doubt_between_cells(self.evidence, scale, (self.start, self.complete, *GATE), region)


def content_on_cells(depth: np.ndarray, ramp: Ramp, quiet: Quiet, ball: Ball, voxel_size: float) -> Content:
    """Where a large map has content, from means over cells alone: an eighth of the work of `confidence`.

    Its volume is within 2 % of the volume where `confidence` is above one half, from good to poor maps of proteins.

    Parameters
    ----------
    depth : (cz, cy, cx) float32 array
        Mean of ``-min(M', cap)`` over each cell.
    ramp, quiet, ball, voxel_size
        As for `confidence`; the evidence in `quiet` is on cells, too.

    Returns
    -------
    Content
    """
    radius = ball.radius / 2  # in cells
    closed = sliding_maximum(depth, radius, 2 * math.floor(radius) + 1)
    evidence = binned.smoothed_cells(closed, _smoothing(voxel_size))
    return Content(evidence, *_start_and_complete(evidence, ramp, quiet))


def _closed_on_cells(depth, ball):
    """Sliding maximum of `depth`, averaged over cells while it is computed, without a volume of its own."""
    n_z = len(depth)
    out = np.empty(binned.cell_shape(depth.shape), np.float32)
    pieces = list(binned.sections_of_cells(n_z, grids.sections_at_a_time(n_z) // 2))
    closed = maxima_of_sections(depth, ball.radius, ball.size, [voxels for _, voxels in pieces])
    for (of_cells, _), sections in zip(pieces, closed, strict=True):
        binned.cell_mean_of_sections(sections, of_cells, n_z, out[of_cells])
    return out


def certain(shape: Any) -> Any:
    """Confidence 1 everywhere."""
    return np.ones(shape, np.float32)
