"""Volumes that live while an estimate runs, step by step as in `steps`. Standard library only."""

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
    return judged and not run.on_raw_map and may_widen(derived_lowpass(run.settings, run.voxel_size), run.voxel_size)


def inputs(run: Outline, ledger: Ledger) -> None:
    """The map and what is given with it, all the time."""
    ledger.hold("map", 1)
    ledger.hold("solvent definition", run.solvent_definition)
    ledger.hold("reference mask", run.reference_mask)
    # the mean of halves beside the map is low-passed in place
    ledger.hold("mean of half maps", run.beside_halves and not run.volume)
    if run.halves:
        by_bands = (run.confidence and any(kind.amplifies for kind in requested(run.settings))
                    and not run.settings.plain_factors)
        # as it was where bands or flexibility are measured, or classes compared
        ledger.hold("difference of half maps", 1 + by_bands + run.of_group + run.settings.separate_flexibility)
        ledger.hold("noise on cells", 3 / 8)
    ledger.hold("half maps for the model", run.model_halves)
    # two maps of noise; where solvent is, and where its whole ball is, while they are made
    ledger.hold("noise nearby", 2 * _nearby(run))


def low_pass(run: Outline, ledger: Ledger) -> None:
    """The map is low-passed in place where nobody needs it afterwards."""
    ledger.hold("low-passed map", int(run.volume or run.on_raw_map))


def find_solvent(run: Outline, ledger: Ledger) -> None:
    """Smoothed power, and how far from content of a solvent definition confidence is judged."""
    power = 1 / 8 if cells_hold(run.shape, run.voxel_size) else 1
    ledger.hold("power", power)
    ledger.hold("distance from content", power * (run.confidence and run.solvent_definition))


def measure_noise(run: Outline, ledger: Ledger) -> None:
    """Pieces of two halves and of their maxima."""
    ledger.moment(3 * _piece(run) * run.halves)


def measure_contrast(run: Outline, ledger: Ledger) -> None:
    """The sliding maximum, which the scale takes the place of, and the standard error."""
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
        # what the mask covers on the peaks, sorted; of half maps one half, its maximum and the values of the other
        ledger.moment(6 if run.halves else 4)


def find_content(run: Outline, ledger: Ledger) -> None:
    """Where a large map has content: the depth on cells, closed and smoothed."""
    on_cells = cells_hold(run.shape, run.voxel_size)
    ledger.hold("content", on_cells / 8)
    ledger.moment(on_cells * 3 / 8)


def find_confidence(run: Outline, ledger: Ledger) -> None:
    """What the confidence is made of, and its sliding extremum, for which the low-passed map makes room.

    The low-passed map may be the map itself, low-passed in place.
    """
    if _widens(run):
        # in noisy maps: the wider low-pass, later its scale, with its maximum, and the depth that comes of it
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
    """What is left when the estimate is done."""
    ledger.drop("distance from content")
    if "scale" not in ledger.held:  # it took the place of the low-passed map, which may be that of the map
        ledger.hold("scale", ledger.held["low-passed map"])
    if not run.lowpass:
        ledger.drop("low-passed map")
    if run.confidence and not (run.volume or run.lowpass or run.on_raw_map or run.beside_halves):
        ledger.drop("map")  # it was low-passed in place, and the confidence takes its place
    ledger.hold("confidence", run.confidence)
    ledger.moment()


def flexibility(run: Outline, ledger: Ledger) -> None:
    """The transform, a band of it half way back, and powers on cells; later the two maps that come of it."""
    if run.settings.separate_flexibility:
        ledger.moment(3.5)
        ledger.hold("occupancy and B factor", 2)


STEPS = (inputs, low_pass, find_solvent, measure_noise, measure_contrast, find_content, find_confidence, result,
         flexibility)
