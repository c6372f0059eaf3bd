"""The memory that a run needs, from the ledgers of its steps. Standard library only."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from occupy_jit.estimation.grids import cells_hold
from occupy_jit.estimation.ledger import Ledger, Outline
from occupy_jit.estimation.modification import volumes as of_modification
from occupy_jit.estimation.parts import volumes as of_parts
from occupy_jit.estimation.scale import volumes as of_scale
from occupy_jit.modifications import requested

if TYPE_CHECKING:
    from occupy_jit.estimation.parts.volumes import ModelSize
    from occupy_jit.files.maps.mrc_header import MapHeader
    from occupy_jit.settings import Options, Settings

BASE_BYTES = 150_000_000
"""Interpreter, libraries and compiled kernels."""

PLOT_BYTES = 30_000_000
"""The plotting library, and pictures."""

REPORT_BYTES = 135_000_000
"""The reduced maps of a report, its pictures, and the page, at the end of a run."""

_REPORT_MAP = 15_000_000  # each modified map in it
# Whole volumes are in the ledger; temporary pieces are some megabytes for every section of the map.
_SECTIONS = 6


class Wanted(NamedTuple):
    """What of an estimate is still needed when it is done, for what is written."""

    confidence: bool
    lowpass: bool
    volume: bool

    def confidence_of(self, shape: tuple[int, int, int], voxel_size: float) -> bool:
        """Whether a map of this shape and voxel size (Å) needs the confidence: small maps do, for their core."""
        return self.confidence or not cells_hold(shape, voxel_size)


def wanted(settings: Settings, options: Options) -> Wanted:
    """Volumes of an estimate that `settings` and `options` need.

    Returns
    -------
    Wanted
    """
    modifies = bool(requested(settings))
    shown = options.save_all_maps or options.plot or options.report
    return Wanted(confidence=modifies or shown or options.subtraction_mask,
                  lowpass=options.save_all_maps or options.plot or bool(options.target_mask)
                  or settings.separate_flexibility,
                  volume=modifies or options.plot or options.report or options.model is not None
                  or settings.separate_flexibility)


def writes_error(options: Options) -> bool:
    """Whether the standard error of the scale is written."""
    return bool(options.half_maps or options.save_error or options.save_all_maps)


def confidence_is_spent(settings: Settings, options: Options) -> bool:
    """Whether the modified map may replace the confidence because no later step needs it."""
    return len(requested(settings)) == 1 and not (options.save_all_maps or options.plot or options.subtraction_mask)


def outline(header: MapHeader, settings: Settings, options: Options, beside_halves: bool = False,
            of_group: bool = False) -> Outline:
    """Properties of a run that determine its memory.

    Parameters
    ----------
    header : occupy_jit.files.maps.mrc_header.MapHeader
        Its shape and voxel size count.
    settings : occupy_jit.settings.Settings
    options : occupy_jit.settings.Options
    beside_halves, of_group : bool
        As in `Outline`.

    Returns
    -------
    Outline
    """
    want, halves = wanted(settings, options), bool(options.half_maps)
    confidence = want.confidence_of(header.shape, header.voxel_size)
    kept = 0.0
    if halves and options.model is not None:
        kept = of_parts.half_maps(header.voxel_size, beside_halves)
    return Outline(header.shape, header.voxel_size, settings, confidence, want.lowpass, want.volume,
                   error=writes_error(options), solvent_definition=options.solvent_def is not None,
                   reference_mask=options.reference_mask is not None,
                   nucleic_mask=options.nucleic_mask is not None, halves=halves, beside_halves=beside_halves,
                   of_group=of_group, model_halves=kept)


def needed(run: Outline, options: Options, model: ModelSize | None = None, keeps: bool = False) -> int:
    """Bytes of memory that a run takes at its peak.

    Parameters
    ----------
    run : Outline
    options : occupy_jit.settings.Options
    model : occupy_jit.estimation.parts.volumes.ModelSize, optional
        If the options name a model.
    keeps : bool
        Whether common results of fits are kept from map to map.

    Returns
    -------
    int
    """
    voxels, ledger = math.prod(run.shape), Ledger()
    for step in of_scale.STEPS:
        step(run, ledger)
    # sections of the core, and its scale, of a fifth of the voxels
    ledger.moment(0.3)
    ledger.drop("content")
    if requested(run.settings):
        use = confidence_is_spent(run.settings, options), bool(options.target_mask)
        of_modification.modify(run, ledger, *use)
        if options.save_all_maps:
            of_modification.shown_scale(run, ledger, *use)
        if options.subtraction_mask:
            of_modification.removed(ledger, *use)
    if options.report:
        ledger.moment((REPORT_BYTES + _REPORT_MAP * len(requested(run.settings))) / (4 * voxels))
    if options.model is not None:
        of_parts.fit(ledger, voxels, of_parts.bytes_of_model(model, run.voxel_size, options.residues))
    if options.target_mask:
        # a mask, added noise and its transform, the sum and its maximum, and the sorted values in a mask:
        # 50 bytes for each of a sixth of the voxels, or of those on peaks; measured
        ledger.moment(7 if options.half_maps else 6.5)
    section = 4 * run.shape[1] * run.shape[2]
    kept = of_parts.bytes_kept(model, run.voxel_size) if keeps and model is not None else 0
    return int(BASE_BYTES + kept + ledger.most * 4 * voxels + _SECTIONS * section + (PLOT_BYTES if options.plot else 0))
