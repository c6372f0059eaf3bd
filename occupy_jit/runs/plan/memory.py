"""How much memory a run needs. Standard library only."""

import math
from typing import NamedTuple

from occupy_jit.estimation.grids import (
    LEAST_SIGMA,
    SOFTENING_ANGSTROM,
    cells_hold,
    in_place,
    is_thin,
    sections_at_a_time,
)
from occupy_jit.modifications import requested
from occupy_jit.settings import LOCAL

BASE_BYTES = 150_000_000
"""Interpreter, libraries and compiled kernels."""

PLOT_BYTES = 30_000_000
"""The plotting library, and pictures."""

REPORT_BYTES = 80_000_000
"""The reduced maps of a report, its pictures, and the page, in several forms, when all else is done."""

_REPORT_MAP = 15_000_000  # each modified map in it

# Whole volumes are counted below; pieces in flight are some megabytes for every section of the map.
_SECTIONS = 6
_BALL = 9  # sections; the usual largest
# Scale of the neighbourhood, columns of a band and what bands change, in the quarter of the content that is worked on.
_BAND_PARTS = 0.4
# Up to this size the C library keeps a block that was freed.
_KEPT_BLOCK = 30_000_000
# Closing of the scale where it is done by sections: as many at a time, of some volumes.
_CLOSED_SECTIONS = 3 * (16 + 2 * 14)
# Å: voxels of the finest grid that a model is fitted on.
_MODEL_VOXEL = 4 / 2.8
# Å, or voxels: detail of the fit. What it holds for each voxel of the boxes of the parts and of the whole, measured.
_MODEL_DETAIL, _DETAIL_VOXELS = 4.0, 2.4
_MODEL_LIBRARIES, _BYTES_PER_BOX_VOXEL, _BYTES_PER_ATOM_OF_RESIDUES, _BYTES_PER_BYTE = 60_000_000, 70, 14500, 16


class Wanted(NamedTuple):
    """What of an estimate is still needed when it is done."""

    confidence: bool
    lowpass: bool
    volume: bool


def wanted(settings, options):
    """What `settings` and `options` need of an estimate.

    Returns
    -------
    Wanted
    """
    modifies = bool(requested(settings))
    return Wanted(confidence=modifies or options.save_all_maps or options.plot or options.subtraction_mask
                  or options.report,
                  lowpass=options.save_all_maps or options.plot or bool(options.target_mask)
                  or settings.separate_flexibility,
                  volume=modifies or options.plot or options.report or options.model is not None
                  or settings.separate_flexibility)


def writes_error(options):
    """Whether the standard error of the scale is written."""
    return bool(options.half_maps or options.save_error or options.save_all_maps)


def confidence_is_spent(settings, options):
    """Whether the modified map may take the place of the confidence: nothing that comes after it asks for that."""
    return len(requested(settings)) == 1 and not (options.save_all_maps or options.plot or options.subtraction_mask)


class ModelSize(NamedTuple):
    """What the memory for the fit of a model depends on.

    Attributes
    ----------
    extents : tuple of (x, y, z)
        Of every part, in Å.
    extent : (x, y, z)
        Of the whole.
    atoms, text_bytes : int
    """

    extents: tuple
    extent: tuple
    atoms: int
    text_bytes: int


def of_model(model, voxel_size, residues):
    """Bytes that the fit of a model takes beside the map: `ModelSize`, Å, and whether residues are fitted."""
    step, detail = max(voxel_size, _MODEL_VOXEL), max(_MODEL_DETAIL, _DETAIL_VOXELS * voxel_size)
    voxels = sum(math.prod((length + 6 * detail) / step for length in part) for part in model.extents)
    voxels += math.prod((length + 8 * detail) / step for length in model.extent)
    return _MODEL_LIBRARIES + max(_BYTES_PER_BOX_VOXEL * voxels, _BYTES_PER_BYTE * model.text_bytes,
                                  residues * _BYTES_PER_ATOM_OF_RESIDUES * model.atoms)


def needed(shape, voxel_size, settings, options, model=None, beside_halves=False,
           of_group=False):
    """Bytes of memory that a run takes at its peak.

    Counts the volumes, float32, that are alive at the same time; the largest of the moments counts.

    Parameters
    ----------
    shape : (nz, ny, nx)
    voxel_size : float
        Å.
    settings : occupy_jit.settings.Settings
    options : occupy_jit.settings.Options
    model : ModelSize, optional
        Where the options name one.
    beside_halves : bool
        The map is another than the mean of its half maps.
    of_group : bool
        The map is one of several on one scale, whose differences are tested.

    Returns
    -------
    int
    """
    volume = 4 * math.prod(shape)
    modifies = bool(requested(settings))
    want = wanted(settings, options)
    on_raw_map = settings.scale_mode == "resolution"

    # The map itself, and what lies beside it all the time.
    always = 1 + (options.solvent_def is not None) + (options.reference_mask is not None)
    # The map is low-passed in place where nobody needs it afterwards.
    lowpassed = int(want.volume or on_raw_map)
    on_cells = cells_hold(shape, voxel_size)
    power = 1 / 8 if on_cells else 1
    scale = confidence = 1
    # How far from content of a solvent definition: what confidence is judged by, as long as it is estimated.
    judged = power * (want.confidence and options.solvent_def is not None)
    # Half of the difference of half maps, and three kinds of noise on cells; the error of the scale may take the place
    # of the difference.
    halves = bool(options.half_maps)
    # The mean of halves beside the map is low-passed in place.
    always += beside_halves and not want.volume
    by_bands = want.confidence and any(kind.amplifies for kind in requested(settings)) and not settings.plain_factors
    # The difference is needed as it was, too, where bands are measured.
    always += halves * (1 + 3 / 8 + by_bands) + (of_group and halves)
    # Of one map, two maps of noise; where solvent is, and where its whole ball is, while they are made.
    nearby = settings.noise_floor == LOCAL and not halves
    always += 2 * nearby
    if halves and options.model is not None:
        always += (1 + beside_halves) * min(1.0, voxel_size / _MODEL_VOXEL) ** 3  # what is kept of them for the fit
    # The half maps' difference as it was.
    always += bool(halves and settings.separate_flexibility)
    measuring = always + lowpassed + power + judged
    before_error = always
    always += writes_error(options) * (not halves or want.lowpass or on_raw_map)
    sliding = always + lowpassed + power + scale + judged
    piece = (sections_at_a_time(shape[0]) + _BALL) / shape[0]
    # pieces of two halves and of their maxima, while noise is measured
    moments = [sliding + 2 * nearby, measuring + 3 * piece * halves]
    if options.reference_mask is not None:
        # what the mask covers on the peaks, sorted; of half maps one half, its maximum and the values of the other
        moments.append(sliding + (6 if options.half_maps else 4))
    if in_place(shape, want.confidence, want.lowpass or on_raw_map or nearby or options.reference_mask is not None):
        scale = 0
        moments = [before_error + lowpassed + power + 2 * piece, always + power, measuring + 3 * piece * halves]
    if want.confidence:
        # what the confidence is made of, and its sliding extremum, for which the low-passed map makes room
        room = lowpassed and not want.lowpass
        if on_cells:
            moments.append(sliding + (not room) + 1 / 8 + piece)
        else:
            moments.append(sliding + 1 + (not room))
    held = always + power + scale + want.confidence * confidence + (lowpassed if want.lowpass else 0)
    if settings.separate_flexibility:
        # the transform, a band of it half way back, and powers on cells; later the two maps that come of it
        moments.append(held + 3.5)
        held += 2
    if modifies:
        kept = held - (power if not options.target_mask else 0)  # nobody else asks for it any more
        moments += _modifying(shape, voxel_size, settings, options, held, kept)
    if options.report:
        # sections of the core, and its scale, of a fifth of the voxels, sorted
        shown = REPORT_BYTES + _REPORT_MAP * len(requested(settings))
        moments += [held + 0.6, held + shown / volume]
    if options.model is not None:
        # transforms of the map on its way to a coarser grid; what the fit holds there
        moments += [held + 3, held + of_model(model, voxel_size, options.residues) / volume]
    if options.target_mask:
        # a mask, the scale on peaks, and what a mask covers, sorted: 50 bytes for each of a sixth of the voxels, or of
        # those that are on peaks
        moments.append(held + (4 if options.half_maps else 3))
    section = 4 * shape[1] * shape[2]
    return int(BASE_BYTES + max(moments) * volume + _SECTIONS * section + (PLOT_BYTES if options.plot else 0))


def _modifying(shape, voxel_size, settings, options, held, kept):
    """Volumes at the moments of modifying, of which `held`, later `kept`, are there all the time."""
    modifications = requested(settings)
    out = 0 if confidence_is_spent(settings, options) else 1
    # half a transform, which is no longer needed
    freed = 0.5 if 0.5 * 4 * math.prod(shape) < _KEPT_BLOCK else 0
    moments = [kept + out]
    if settings.match_histogram:
        moments.append(kept + out + 1 + freed)
    if settings.lowpass_amplified_angstrom is not None:
        # what is kept of Fourier space
        moments.append(kept + out + min(1.0, 2 * voxel_size / settings.lowpass_amplified_angstrom) ** 2)
    if any(kind.refills for kind in modifications) and not settings.exclude_solvent:
        # noise, and its transform; later the modified map
        moments += [held + 2 + freed, held + 1 + out + freed]
    if any(kind.amplifies for kind in modifications) and not settings.plain_factors:
        on_cells = is_thin(shape)
        neighbourhood = 1 / 8 if on_cells else 0
        mask = 1 / 8 if on_cells and SOFTENING_ANGSTROM / voxel_size >= LEAST_SIGMA else 1
        closing = 0 if on_cells else min(_CLOSED_SECTIONS / shape[0], 3.0)
        # half the transform of the masked map; all of it, and a part of the box
        moments += [held + neighbourhood + max(mask + 0.5, closing),
                    kept + neighbourhood + out + 1 + max(_BAND_PARTS, closing)]
        if options.save_all_maps:
            moments.append(kept + neighbourhood + out + 1)  # the scale of the neighbourhood
    if options.subtraction_mask:
        moments.append(kept + out + 2)  # what one modification removes and what all do, beside the modified map
    return moments
