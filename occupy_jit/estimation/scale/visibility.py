"""The visibility limit of a map: the lowest occupancy of a visible part.

A part of occupancy o adds o times full scale to the solvent around it, and the sliding maximum of solvent varies by
its standard deviation s over the quiet voxels. A part is visible if confidence marks it, that is, if it exceeds
this variation, averaged over a neighbourhood, and lies above the scale at which confidence starts:

    limit = max(gate, 2.5 s / x)        x full scale

Both come from the low-passed map behind the confidence, which in noisy maps with coarse voxels has a wider
low-pass.

It applies to parts as large as a chain, 20 Å or more across, away from others: the confidence of a neighbour covers
everything within 6 Å of it. Smaller parts must be stronger.

Notes
-----
In 132 series of simulated maps (seven complexes, two chains of each at occupancies of 0 to 0.6 and the others full,
voxels of 0.9 to 4 Å, three levels of noise) confidence marks half of a chain from an occupancy on that differs from
this limit by 0.055, root mean square, and by more than 0.1 in 12; 6 were not marked at 0.6 (limits 0.33, 0.55, 0.68
to 0.75). What is left is the material: protein beside RNA needs more, RNA less. The factor 2.5 was fitted to the same
series before maps with coarse voxels had that low-pass.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

SPREADS = 2.5
"""Standard deviations of the sliding maximum over quiet solvent at which half of a part is marked."""

LEAST_NOISE = 0.05
"""Limit by noise alone, up to which noise hides nothing that confidence would mark without noise: confidence starts at
about twice this scale."""


SPREAD_OF_FLOOR = 0.45
"""Standard deviation of the sliding maximum of noise, over its median: 0.40 to 0.49 with voxels of 1.2 to 3 Å."""

_CONTENT = 0.5  # scale from which on noise counts as that of content


@dataclass(frozen=True)
class Visibility:
    """The visibility limit.

    Attributes
    ----------
    limit : float or None
        Scale below which a part as large as a chain cannot be distinguished from solvent, at most 1. None where the
        noise is not known.
    noise_hides : bool
        Whether noise hides parts, or may hide them: shares of weak parts and volumes are then lower limits.
    """

    limit: float | None = None
    noise_hides: bool = True


def visibility(spread: float, gate: tuple[float, float], noise_is_known: bool) -> Visibility:
    """The visibility limit of a map.

    Parameters
    ----------
    spread : float
        Standard deviation of the sliding maximum over quiet solvent, as a share of full scale, both after the low-pass
        of the confidence.
    gate : (float, float)
        Scale at which confidence starts and is complete.
    noise_is_known : bool
        Whether the quiet voxels show the noise; False if solvent was flattened or is missing.

    Returns
    -------
    Visibility
    """
    if not noise_is_known:
        return Visibility()
    by_noise = SPREADS * float(spread)
    return Visibility(min(max(sum(gate) / 2, by_noise), 1.0), by_noise > LEAST_NOISE)


def spread_in_content(spread: float, floor: float, local: np.ndarray, scale: np.ndarray) -> float:
    """Spread of the sliding maximum of the noise inside content, from local noise.

    Parameters
    ----------
    spread : float
        In quiet solvent, as a share of full scale.
    floor : float
        Noise floor in quiet solvent, as a share of full scale; 0 if the solvent was flattened.
    local : array
        Local noise floor, for voxels or cells of two voxels, as a share of full scale.
    scale : (nz, ny, nx) float32 array

    Returns
    -------
    float
        As a share of full scale. `spread` if there is no content.
    """
    cells = scale if local.shape == scale.shape else scale[::2, ::2, ::2]
    there = local[cells > _CONTENT]
    if not there.size:
        return spread
    in_content = float(np.median(there))
    return spread * in_content / floor if floor > 0 else SPREAD_OF_FLOOR * in_content
