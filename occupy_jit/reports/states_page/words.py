"""Texts of the page of states."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

_STATES_TOLD, _PARTS_TOLD = 3, 6


def sentences(record: dict[str, Any]) -> list[str]:
    """The heading of the page: the number of states, and the differences of the largest.

    Parameters
    ----------
    record : dict
        As `occupy_jit.runs.states.states_record.record_of` gives it.

    Returns
    -------
    list of str
        The first one is emphasised.
    """
    states, of = record["states"], record["shares_of"]
    if record["kind"] == "continuous":
        directions = record["continuum"]["directions"]
        along = "one direction" if directions == 1 else f"{directions} directions"
        return [f"A continuous family of {len(record['volumes'])} volumes.",
                f"They vary along {along}; the {len(states)} states are neighbourhoods, not states of their own."]
    if len(states) == 1:
        return ["One state:", "the volumes differ by no more than noise explains."]
    said = [f"State {row['state']} ({percent(row['share'])} of {of}): {composition(row)}."
            for row in states[:_STATES_TOLD]]
    if len(states) > _STATES_TOLD:
        said.append(f"The others are in the table below ({len(states) - _STATES_TOLD} more).")
    return [f"{len(states)} states.", *said]


def composition(row: dict[str, Any], most: int = _PARTS_TOLD) -> str:
    """Parts of a state in words; undecided parts by name."""
    if not row["absent"] and not row["undecided"]:
        return "all parts present"
    said = []
    if row["absent"]:
        said.append("without " + some(row["absent"], most))
    if row["undecided"]:
        said.append("undecided " + some(row["undecided"], most))
    return "; ".join(said)


def some(names: Sequence[str], most: int) -> str:
    """The first of many names, and the number of others."""
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def percent(share: float | None) -> str:
    """A share of 1 as a percentage."""
    return "unknown share" if share is None else f"{100 * share:.0f}%"


def shares_note(record: dict[str, Any]) -> str:
    """Note on the meaning of shares."""
    if record["shares_of"] == "particles":
        return ("Shares count the particles that the given volumes stand for. They do not measure populations of "
                "molecules where volumes were sampled from a latent space.")
    return ("Shares count the given volumes, not particles: they depend on how the volumes were chosen and do not "
            "measure populations of molecules.")


def methods(record: dict[str, Any], program: str) -> str:
    """A methods text for a paper."""
    volumes, parts, states = (len(record[name]) for name in ("volumes", "parts", "states"))
    of_what = "blocks that come and go together" if record.get("without_model") else "parts of an atomic model"
    found = (f"The volumes vary continuously along {record['continuum']['directions']} direction(s)."
             if record["kind"] == "continuous" else f"The volumes were divided into {states} state(s) by the evidence "
             "that they differ by more than their errors.")
    return (f"Occupancies of {parts} {of_what} in {volumes} volumes were determined on one scale with {program}. "
            f"{found} A part is called present or absent in a state where its occupancy is above or below "
            f"{record['threshold']:g} with a probability above 97.5%, and undecided otherwise.")
