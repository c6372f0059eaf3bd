"""Volumes in memory while maps are modified. Standard library only."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from occupy_jit.estimation.grids import LEAST_SIGMA, SOFTENING_ANGSTROM, is_thin
from occupy_jit.modifications import requested

if TYPE_CHECKING:
    from occupy_jit.estimation.ledger import Ledger, Outline

# Scale of the neighbourhood, columns of a band and what bands change, in the quarter of the content that is worked on.
_BAND_PARTS = 0.4
# Up to this size the C library keeps a freed block.
_KEPT_BLOCK = 30_000_000
# Closing of the scale where it is done by sections: as many at a time, of some volumes.
_CLOSED_SECTIONS = 3 * (16 + 2 * 14)


def modify(run: Outline, ledger: Ledger, spends_confidence: bool, keeps_power: bool) -> None:
    """Modified maps, one at a time.

    Parameters
    ----------
    run : occupy_jit.estimation.ledger.Outline
    ledger : occupy_jit.estimation.ledger.Ledger
        After the estimate.
    spends_confidence : bool
        The modified map replaces the confidence.
    keeps_power : bool
        The power that defines quiet voxels is still needed afterwards.
    """
    settings, modifications = run.settings, requested(run.settings)
    out = 0 if spends_confidence else 1
    # half a transform, which is no longer needed
    freed = 0.5 if 0.5 * 4 * math.prod(run.shape) < _KEPT_BLOCK else 0
    if any(kind.refills for kind in modifications) and not settings.exclude_solvent:
        # noise, and its transform; later the modified map
        ledger.moment(2 + freed)
        ledger.moment(1 + out + freed)
    by_bands = any(kind.amplifies for kind in modifications) and not settings.plain_factors
    if by_bands:
        _bands(run, ledger)
    held = ledger.held["power"]
    if not keeps_power:
        ledger.drop("power")  # no later step needs it
    ledger.moment(out)
    if settings.match_histogram:
        ledger.moment(out + 1 + freed)
    if settings.lowpass_amplified_angstrom is not None:
        # the part of Fourier space that is kept
        ledger.moment(out + min(1.0, 2 * run.voxel_size / settings.lowpass_amplified_angstrom) ** 2)
    if by_bands:
        # half the transform of the masked map before; all of it now, and a part of the box
        ledger.moment(_neighbourhood(run) + out + 1 + max(_BAND_PARTS, _closing(run)))
    ledger.hold("power", held)


def _neighbourhood(run):
    return 1 / 8 if is_thin(run.shape) else 0


def _closing(run):
    return 0 if is_thin(run.shape) else min(_CLOSED_SECTIONS / run.shape[0], 3.0)


def _bands(run, ledger):
    """Measuring signal and noise: half the transform of the masked map."""
    mask = 1 / 8 if is_thin(run.shape) and SOFTENING_ANGSTROM / run.voxel_size >= LEAST_SIGMA else 1
    ledger.moment(_neighbourhood(run) + max(mask + 0.5, _closing(run)))


def removed(ledger: Any, spends_confidence: Any, keeps_power: Any) -> None:
    """The subtraction mask: removals by one modification and by all, beside the modified map."""
    ledger.moment((0 if spends_confidence else 1) + 2 - (0 if keeps_power else ledger.held["power"]))


def shown_scale(run: Outline, ledger: Ledger, spends_confidence: bool, keeps_power: bool) -> None:
    """The scale of the neighbourhood as a separate map."""
    if any(kind.amplifies for kind in requested(run.settings)) and not run.settings.plain_factors:
        ledger.moment(_neighbourhood(run) + (0 if spends_confidence else 1) + 1
                      - (0 if keeps_power else ledger.held["power"]))
