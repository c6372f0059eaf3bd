"""Volumes in memory during an estimate, step by step as in `steps`. Standard library only."""

from __future__ import annotations

from typing import TYPE_CHECKING

from occupy_jit.estimation.grids import cells_hold, in_place, sections_at_a_time
from occupy_jit.estimation.scale.ball import derived_lowpass, may_widen
from occupy_jit.modifications import requested
from occupy_jit.settings import LOCAL

if TYPE_CHECKING:
    from occupy_jit.estimation.ledger import Ledger, Outline

_BALL = 9  # sections; the usual largest


def _piece(run):
    """Sections that are dilated at a time, with their neighbours, as a share of the map."""
    return (sections_at_a_time(run.shape[0]) + _BALL) / run.shape[0]


def _nearby(run):
    return run.settings.noise_floor == LOCAL and not run.halves


def _widens(run):
    """Whether content may be judged after a wider low-pass."""
    judged = run.confidence or cells_hold(run.shape, run.voxel_size)
    possible = run.nucleic_mask or may_widen(derived_lowpass(run.settings, run.voxel_size), run.voxel_size)
    return judged and not run.on_raw_map and possible


def inputs(run: Outline, ledger: Ledger) -> None:
    """The map and its further inputs, throughout the run."""
    ledger.hold("map", 1)
    ledger.hold("solvent definition", run.solvent_definition)
    ledger.hold("reference mask", run.reference_mask)
    ledger.hold("nucleic-acid mask", run.nucleic_mask)
    # the map before its low-pass, and its noise, evened out
    ledger.hold("map as protein", run.nucleic_mask * run.on_raw_map * (1 + run.halves))
    # the mean of halves beside the map is low-passed in place
    ledger.hold("mean of half maps", run.beside_halves and not run.volume)
    if run.halves:
        by_bands = (run.confidence and any(kind.amplifies for kind in requested(run.settings))
                    and not run.settings.plain_factors)
        # unfiltered, for bands, flexibility or comparisons of classes
        ledger.hold("difference of half maps", 1 + by_bands + run.of_group + run.settings.separate_flexibility)
        ledger.hold("noise on cells", 3 / 8)
    ledger.hold("half maps for the model", run.model_halves)
    # two maps of noise; while they are computed, also the solvent and the voxels with a quiet ball
    ledger.hold("noise nearby", 2 * _nearby(run))


def low_pass(run: Outline, ledger: Ledger) -> None:
    """The map is low-passed in place if no later step needs it."""
    ledger.hold("low-passed map", int(run.volume or run.on_raw_map))


def find_solvent(run: Outline, ledger: Ledger) -> None:
    """Smoothed power, and distances from the content of a solvent definition."""
    power = 1 / 8 if cells_hold(run.shape, run.voxel_size) else 1
    ledger.hold("power", power)
    ledger.hold("distance from content", power * (run.confidence and run.solvent_definition))


def measure_noise(run: Outline, ledger: Ledger) -> None:
    """Pieces of two halves and of their maxima."""
    ledger.moment(3 * _piece(run) * run.halves)


def measure_contrast(run: Outline, ledger: Ledger) -> None:
    """The sliding maximum, which the scale replaces, and the standard error."""
    error = run.error and (not run.halves or run.lowpass or run.on_raw_map)
    kept = run.lowpass or run.on_raw_map or _nearby(run) or run.reference_mask
    if in_place(run.shape, run.confidence or _widens(run), kept):
        ledger.moment(2 * _piece(run))
        ledger.hold("error", error)
        return
    ledger.hold("error", error)
    ledger.hold("scale", 1)
    ledger.moment(2 * _nearby(run))
    if run.reference_mask:
        # sorted peaks in the mask; for half maps one half map, its maximum and the values of the other
        ledger.moment(6 if run.halves else 4)


def find_content(run: Outline, ledger: Ledger) -> None:
    """Where a large map has content: the depth on cells, closed and smoothed."""
    on_cells = cells_hold(run.shape, run.voxel_size)
    ledger.hold("content", on_cells / 8)
    ledger.moment(on_cells * 3 / 8)


def find_confidence(run: Outline, ledger: Ledger) -> None:
    """The evidence of the confidence and its sliding extremum, which may replace the low-passed map.

    The low-passed map may be the map itself, low-passed in place.
    """
    if _widens(run):
        # in noisy maps: the wider low-pass, later its scale, with its maximum, and the resulting depth
        ledger.moment(2)
        ledger.hold("evidence", run.confidence)
    if not run.confidence:
        return
    room = not run.lowpass
    if cells_hold(run.shape, run.voxel_size):
        ledger.moment((not room) + 1 / 8 + _piece(run))
    else:
        ledger.moment(1 + (not room))
    ledger.drop("evidence")


def result(run: Outline, ledger: Ledger) -> None:
    """Volumes that remain after the estimate."""
    ledger.drop("distance from content")
    if "scale" not in ledger.held:  # it replaced the low-passed map, which may have replaced the map
        ledger.hold("scale", ledger.held["low-passed map"])
    if not run.lowpass:
        ledger.drop("low-passed map")
    if run.confidence and not (run.volume or run.lowpass or run.on_raw_map or run.beside_halves):
        ledger.drop("map")  # it was low-passed in place, and the confidence replaces it
    ledger.hold("confidence", run.confidence)
    ledger.moment()


def flexibility(run: Outline, ledger: Ledger) -> None:
    """The transform, a partly transformed band, and powers on cells; later the two resulting maps."""
    if run.settings.separate_flexibility:
        ledger.moment(3.5)
        ledger.hold("occupancy and B factor", 2)


STEPS = (inputs, low_pass, find_solvent, measure_noise, measure_contrast, find_content, find_confidence, result,
         flexibility)
