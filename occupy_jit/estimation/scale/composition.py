"""Nucleic acid next to protein: two materials of different contrast, brought to the contrast of one.

Atoms of nucleic acid scatter more and displace less solvent. After the low-pass of the scale, complete nucleic acid
has 1.31 to 1.38 times the contrast of complete protein at voxels of 1.2 to 4 Å (simulated ribosomal subunits and
proteins). The map alone does not show which is which: occupancy multiplies contrast just as well, and local spectra of
the two differ by less than those of rigid and flexible protein. A mask tells.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from occupy_jit.errors import InputError
from occupy_jit.estimation.scale.ball import Ball

if TYPE_CHECKING:
    from collections.abc import Callable

CONTRAST = 1.33
"""Contrast of complete nucleic acid, relative to complete protein."""

NARROW = 0.75
"""Radius of the ball where the two are mixed, relative to the default one: thin helices and the
proteins between them have much surface in contact, and the maximum carries contrast across it. With 1 the error of the
occupancy per chain of a simulated small ribosomal subunit is 0.107, 0.14 and 0.16 at voxels of 1.2, 2.2 and 3 Å, with
this 0.073, 0.097 and 0.094 (medium noise)."""


class UnusableNucleicMask(InputError):
    """A mask of nucleic acid that marks nothing."""


def as_protein(volume: np.ndarray, zero: float, mask: np.ndarray, *, copy: bool = False) -> np.ndarray:
    """A map in which nucleic acid has the contrast of protein.

    Parameters
    ----------
    volume : (nz, ny, nx) float32 array
        Changed in place unless `copy`.
    zero : float
        Its zero level.
    mask : (nz, ny, nx) array
        Share of nucleic acid in what a voxel holds, limited to 0 and 1. Where it is 0 no bit changes.
    copy : bool
        Whether to leave `volume` as it is.

    Returns
    -------
    (nz, ny, nx) float32 array

    Raises
    ------
    UnusableNucleicMask
        Nothing is marked.
    ValueError
        The mask has another shape.
    """
    mask = _checked(mask, volume)
    out = volume.copy() if copy else volume
    for section, marked in zip(out, mask, strict=True):
        section -= (section - np.float32(zero)) * _surplus(marked)
    return out


def as_nucleic(volume: np.ndarray, zero: float, mask: np.ndarray) -> None:
    """Undo `as_protein`, in place."""
    for section, marked in zip(volume, np.asarray(mask), strict=True):
        surplus = _surplus(marked)
        section += (section - np.float32(zero)) * (surplus / (1 - surplus))


def noise_left(mask: np.ndarray) -> float:
    """Noise after `as_protein`, root mean square over a part of the mask, relative to that before."""
    return float(np.sqrt(np.square(1 - _surplus(np.sort(mask, axis=None)), dtype=np.float64).mean()))


def _surplus(marked):
    """Share of the contrast that is taken off."""
    return np.clip(marked, 0, 1).astype(np.float32) * np.float32(1 - 1 / CONTRAST)


def _checked(mask, volume):
    mask = np.asarray(mask)
    if mask.shape != volume.shape:
        raise ValueError(f"nucleic-acid mask: shape {mask.shape} differs from the map's {volume.shape}")
    if not mask.max() > 0:
        raise UnusableNucleicMask("the nucleic-acid mask is empty: it must be above 0 where the map holds DNA or RNA")
    return mask


def narrower(ball: Ball, choose: Callable[[float], Ball]) -> Ball:
    """The ball for nucleic acid and protein: smaller, but with the quantile of the larger one.

    Parameters
    ----------
    ball : Ball
        By default.
    choose : callable
        Ball of a radius in voxels.

    Returns
    -------
    Ball
    """
    small = choose(max(NARROW * ball.radius, 1.0))
    return Ball(small.size, small.radius, ball.voxels)
