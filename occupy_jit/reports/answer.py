"""The main result of a run in words: parts in all particles, in some, in none, and undecided ones.

Parts are those of a model, or the insides of target masks. A part is present if its occupancy agrees with 1 within two
standard errors and cannot be much lower, absent if it agrees with 0 and cannot be much higher, and partial if it
agrees with neither. Parts with too large an error are undecided. Ligands have their own call, from their
interval and detection limit.
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from occupy_jit.reports.page.words import Seen, Sentence, sentence

ERRORS = 2.0
"""Standard errors within which two occupancies agree: a 95% interval."""

HARDLY = 0.2
"""Largest distance of the far end of the interval from 1 for a present part, and from 0 for an absent part."""

LARGE = 0.1
"""Standard error above which a part is undecided, unless it is within `HARDLY` of 0."""

_ALIKE = 0.05  # largest spread of occupancies in one group
_NAMES, _UNDECIDED, _LIGANDS = 6, 4, 6  # named parts; others are counted
_GROUPS, _GROUPS_OF_MANY, _MANY = 6, 3, 24
_VARIATIONS = 4
FAMILY_WISE = 0.05
"""Probability of any false report of a varying part."""


class Measured(NamedTuple):
    """A part.

    Attributes
    ----------
    name : str
    occupancy : float
        Relative to full scale.
    error : float or None
        Standard error; None if the part is too small.
    full : bool
        Whether it defines full scale.
    """

    name: str
    occupancy: float
    error: float | None
    full: bool = False


class Group(NamedTuple):
    """Parts of about the same occupancy: their names, its mean, the largest standard error, and the extremes."""

    names: tuple[str, ...]
    occupancy: float
    error: float
    low: float
    high: float


@dataclass(frozen=True)
class Answer:
    """Parts by their calls.

    Attributes
    ----------
    present, absent, above : tuple of str
        Names. `above`: more than the parts that define full scale.
    partial : tuple of Group
        The strongest first.
    limit : float
        Upper limit of the occupancies of absent parts.
    undecided : tuple of Measured
        The least certain first.
    """

    present: tuple[str, ...]
    partial: tuple[Group, ...]
    absent: tuple[str, ...]
    above: tuple[str, ...]
    limit: float
    undecided: tuple[Measured, ...]

    @property
    def number(self) -> int:
        """int : Number of parts."""
        return (len(self.present) + sum(len(group.names) for group in self.partial) + len(self.absent)
                + len(self.above) + len(self.undecided))


def call(part: Measured) -> str:
    """Call of a part.

    Returns
    -------
    {"present", "partial", "absent", "above", "undecided"}
    """
    if part.full:
        return "present"
    if part.error is None or not math.isfinite(part.occupancy + part.error):
        return "undecided"
    low, high = part.occupancy - ERRORS * part.error, part.occupancy + ERRORS * part.error
    if low > 1 + HARDLY / 2:
        return "above"
    if low <= 0 and high <= HARDLY:
        return "absent"
    if part.error > LARGE:
        return "undecided"
    if high >= 1:
        return "present" if low >= 1 - HARDLY else "undecided"
    return "partial" if low > 0 else "undecided"


def answer_of(parts: Sequence[Measured]) -> Answer:
    """Parts, grouped.

    Parameters
    ----------
    parts : sequence of Measured
        In the order of naming.

    Returns
    -------
    Answer
    """
    by_call: dict[str, list[Measured]] = {}
    for part in parts:
        by_call.setdefault(call(part), []).append(part)
    absent, undecided = by_call.get("absent", []), by_call.get("undecided", [])
    names = {kind: tuple(part.name for part in found) for kind, found in by_call.items()}
    limit = max((part.occupancy + ERRORS * part.error for part in absent if part.error is not None), default=0.0)
    return Answer(names.get("present", ()), tuple(_groups(by_call.get("partial", []))), names.get("absent", ()),
                  names.get("above", ()), limit, tuple(sorted(undecided, key=_uncertainty, reverse=True)))


def _uncertainty(part):
    return math.inf if part.error is None else part.error


def _groups(parts):
    """Groups of parts with similar occupancies that agree within their errors, the strongest first."""
    groups: list[list[Measured]] = []
    for part in sorted(parts, key=lambda part: -part.occupancy):  # stable: equal ones as in the model
        strongest = groups[-1][0] if groups else None
        if strongest is not None and strongest.occupancy - part.occupancy <= min(
                _ALIKE, ERRORS * math.hypot(strongest.error, part.error)):
            groups[-1].append(part)
        else:
            groups.append([part])
    order = {part.name: k for k, part in enumerate(parts)}
    for own in groups:
        own.sort(key=lambda part: order[part.name])
        yield Group(tuple(part.name for part in own), sum(part.occupancy for part in own) / len(own),
                    max(part.error for part in own), min(part.occupancy for part in own),
                    max(part.occupancy for part in own))


# words ----------------------------------------------------------------------------------------------------------------


def in_words(answer: Answer, what: str = "part") -> Sentence:
    """The answer as a sentence that stays readable for hundreds of parts.

    Parameters
    ----------
    answer : Answer
        Of at least one part.
    what : str
        Noun for a part: part, mask.

    Returns
    -------
    occupy_jit.reports.page.words.Sentence
    """
    clauses = _present(answer, what) + _partial(answer)
    head = [clause + ";" for clause in clauses[:-1]] + [clause + "." for clause in clauses[-1:]]
    said = []
    if answer.absent:
        limit = max(1, math.ceil(100 * answer.limit - 1e-9))
        said.append(f"{_some(answer.absent)} {_are(answer.absent)} absent (at most {limit}%).")
    if answer.above:
        said.append(f"{_some(answer.above)} {_are(answer.above)} denser than full scale.")
    if answer.undecided:
        named = [f"{part.name} ({_percent(part)})" for part in answer.undecided[:_UNDECIDED]]
        said.append(f"Undecided: {_listed(named, len(answer.undecided) - len(named))}.")
    tone = "full" if answer.present or answer.above else "weak" if answer.partial or answer.absent else "none"
    if not head:
        head, said = said[:1], said[1:]
    return Sentence(head[0], " ".join(head[1:]), tone, " ".join(said))


def _present(answer, what):
    """The parts in all particles: one clause or none."""
    found, number = answer.present, answer.number
    if not found:
        return []
    if len(found) == number == 1:
        return [f"{found[0]} is the only {what} and defines full scale, so its occupancy is 1"]
    if len(found) == number > 2:
        return [f"All {number} {what}s are present in all particles"]
    if len(found) > _NAMES:
        return [f"{len(found)} of {number} {what}s are present in all particles"]
    return [f"{_some(found)} {_are(found)} present in all particles"]


def _partial(answer):
    """The other parts, by occupancy; only the lowest if there are many."""
    groups = answer.partial
    most = _GROUPS if answer.number <= _MANY else _GROUPS_OF_MANY
    shown = groups if len(groups) <= most else groups[-most:]
    clauses = [f"{_some(group.names)} in {_share(group)}" for group in shown]
    if clauses and not answer.present:
        clauses[0] = f"{_some(shown[0].names)} {_are(shown[0].names)} present in {_share(shown[0])} of the particles"
    rest = groups[:len(groups) - len(shown)]
    if rest:
        number = sum(len(group.names) for group in rest)
        low, high = 100 * min(group.low for group in rest), 100 * max(group.high for group in rest)
        clauses.append(f"{number} more in {low:.0f} to {high:.0f}%")
    return clauses


def _share(group):
    return f"{100 * group.occupancy:.0f} ± {_error(group.error)}%"


def _percent(part):
    error = "no error known" if part.error is None else f"± {_error(part.error)}%"
    value = "unknown" if not math.isfinite(part.occupancy) else f"{100 * part.occupancy:.0f}"
    return f"{value} {error}" if part.error is not None else f"{value}%, {error}"


def _error(error):
    """In %, at least 1: rounded to 0 it would seem exact."""
    return str(max(1, round(100 * error))) if math.isfinite(error) else "?"


def _are(names):
    return "is" if len(names) == 1 else "are"


def _some(names):
    """Names, or the first ones and the number of others."""
    shown = names if len(names) <= _NAMES else names[:_NAMES - 2]
    return _listed(list(shown), len(names) - len(shown))


def _listed(words, more=0):
    words = [*words, *([f"{more} more"] if more else [])]
    return words[0] if len(words) == 1 else ", ".join(words[:-1]) + " and " + words[-1]


# of several maps ------------------------------------------------------------------------------------------------------


class Variation(NamedTuple):
    """A part whose occupancy varies: the lowest and highest value as (map, occupancy, error)."""

    part: str
    low: tuple[str, float, float]
    high: tuple[str, float, float]


def variations(maps: Sequence[tuple[str, Sequence[dict[str, Any]]]]) -> list[Variation]:
    """Parts that differ between maps by more than their errors, at a family-wise error rate of 5%.

    Parameters
    ----------
    maps : sequence of (name, rows)
        Rows with ``part``, ``occupancy`` and ``error``.

    Returns
    -------
    list of Variation
        The largest ranges first.
    """
    found: dict[str, list[tuple[str, float, float]]] = {}
    for name, rows in maps:
        for row in rows:
            if row["occupancy"] is not None and row["error"] is not None:
                found.setdefault(row["part"], []).append((name, row["occupancy"], row["error"]))
    from statistics import NormalDist  # takes longer to import than a plain run has to spare

    comparisons = sum(math.comb(len(values), 2) for values in found.values())
    if not comparisons:
        return []
    errors = NormalDist().inv_cdf(1 - FAMILY_WISE / (2 * comparisons))
    out = []
    for part, values in found.items():
        low, high = (pick(values, key=lambda value: value[1]) for pick in (min, max))
        if high[1] - low[1] > errors * math.hypot(low[2], high[2]):
            out.append(Variation(part, low, high))
    return sorted(out, key=lambda row: row.low[1] - row.high[1])


def core_numbers(core: Any, noise_hides: bool) -> dict[str, Any]:
    """Numbers of the core of a map for the record.

    Parameters
    ----------
    core : occupy_jit.estimation.scale.core.Core
    noise_hides : bool
        Whether noise hides weak parts, or may hide them.

    Returns
    -------
    dict
    """
    return {"volume_angstrom3": core.volume_angstrom3, "weaker_than_half": core.weak_share,
            "weaker_than_half_at_least": core.surely_weak_share, "noise_hides_parts": noise_hides,
            "scale_of_08_or_more": core.strong_share, "median_scale": core.median}


def of_maps(maps: Sequence[tuple[str, float | None, Sequence[dict[str, Any]]]], group: str = "maps",
            at_least: bool = False) -> str:
    """One sentence for several maps: the parts that vary most, or without parts the weak share of the cores.

    Parameters
    ----------
    maps : sequence of (name, share, rows)
        The share of the core below half of full scale, and rows as for `variations`.
    group : str
        Noun for the maps.
    at_least : bool
        Whether the shares are lower limits because noise hides weak parts.

    Returns
    -------
    str
        Empty without a result.
    """
    if any(rows for _, _, rows in maps):
        maps = [own for own in maps if own[2]]
        if len(maps) < 2:
            return ""
        found = variations([(name, rows) for name, _, rows in maps])
        if not found:
            return f"No part varies by more than its error between the {len(maps)} {group}."
        named = [f"{row.part} ({_at(row.low)} to {_at(row.high)})" for row in found[:_VARIATIONS]]
        which = "The part that varies" if len(found) == 1 else "The parts that vary most"
        return (f"{which} between the {len(maps)} {group}: {_listed(named, len(found) - len(named))}.")
    shares = sorted((share, name) for name, share, _ in maps if share is not None)
    if not shares:
        return ""
    (low, weakest), (high, strongest) = shares[0], shares[-1]
    limit = "at least " if at_least else ""
    if len(shares) == 1:
        return f"Of the core of {weakest}, {limit}{low:.0%} is below half of full scale."
    if f"{low:.0%}" == f"{high:.0%}":
        return f"Of the core of each of the {len(shares)} {group}, {limit}{low:.0%} is below half of full scale."
    return (f"Of the cores of the {len(shares)} {group}, {limit}{low:.0%} ({weakest}) to {high:.0%} ({strongest}) is "
            "below half of full scale.")


def _at(value):
    name, occupancy, error = value
    return f"{100 * occupancy:.0f} ± {_error(error)}% in {name}"


# of a run -------------------------------------------------------------------------------------------------------------


def model_parts(results: dict[str, Any]) -> list[Measured]:
    """Parts of a model, without its ligands, from the results of a run."""
    ligands = {row["part"] for row in results.get("ligands") or ()}
    return [Measured(row["part"], row["occupancy"], row["se"], bool(row["full"])) for row in results.get("parts") or ()
            if row["occupancy"] is not None and row["part"] not in ligands]


def masks(results: dict[str, Any]) -> list[Measured]:
    """Insides of target masks, from the results of a run: their errors include the error of full scale."""
    rows = [row for row in results.get("targets") or () if row["occupancy"] is not None]
    bases = [os.path.basename(row["mask"]) for row in rows]
    stems = [base.split(".", 1)[0] or base for base in bases]
    common = results.get("full_scale_error") or 0.0
    return [Measured(stem if stems.count(stem) == 1 else base, row["occupancy"],
                     None if row["error"] is None else math.hypot(row["error"], row["occupancy"] * common))
            for row, base, stem in zip(rows, bases, stems, strict=True)]


def ligands_in_words(rows: Sequence[dict[str, Any]]) -> str:
    """Calls of the ligands in a sentence; empty without ligands."""
    calls: dict[str, list[str]] = {"present": [], "absent": []}
    undecided = []
    for row in rows:
        own = calls.get(row["call"])
        if own is None:
            undecided.append(f"{row['part']} ({100 * max(row['low'], 0):.0f} to {100 * row['high']:.0f}%)")
        else:
            own.append(row["part"])
    said = []
    for kind, names in calls.items():
        if len(names) > _LIGANDS:
            said.append(f"{len(names)} of {len(rows)} ligands are {kind}")
        elif names:
            said.append(f"{_some(names)} {_are(names)} {kind}")
    text = f"Ligands: {'; '.join(said)}." if said else ""
    if len(undecided) > _UNDECIDED:
        text += f" {len(undecided)} of {len(rows)} ligands are undecided."
    elif undecided:
        text += f" Undecided ligands: {_listed(undecided)}."
    return text.strip()


def of_run(results: dict[str, Any], core: Any, codes: Sequence[str], common: bool) -> tuple[Sentence, Sentence]:
    """The sentence on the map alone, and the main sentence of the run.

    Parameters
    ----------
    results : dict
        Of the record.
    core : occupy_jit.estimation.scale.core.Core
    codes : sequence of str
        Of the verdicts.
    common : bool
        Whether full scale is common to several maps.

    Returns
    -------
    plain, first : occupy_jit.reports.page.words.Sentence
    """
    plain = sentence(core, codes, Seen(results["visible_from"], results["noise_hides_parts"]), common)
    return plain, first_sentence(results, plain)


def first_sentence(results: dict[str, Any], plain: Sentence) -> Sentence:
    """The main sentence of a run on one map.

    Parameters
    ----------
    results : dict
        Of the record.
    plain : occupy_jit.reports.page.words.Sentence
        The sentence on the map alone; it remains without parts, or if the scale is meaningless.

    Returns
    -------
    occupy_jit.reports.page.words.Sentence
    """
    parts, found = model_parts(results), masks(results)
    ligands = ligands_in_words(results.get("ligands") or ())
    if parts:
        words = in_words(answer_of(parts))
        if found and plain.tone != "none":
            words = _followed(words, f"Masks: {in_words(answer_of(found), 'mask')}")
        return _followed(words, ligands)
    if found and plain.tone != "none":
        return in_words(answer_of(found), "mask")
    return _with_flexibility(plain, results)


def _followed(words, more):
    return replace(words, more=f"{words.more} {more}".strip()) if more else words


def _with_flexibility(plain, results):
    """Weak share of the core after the correction for flexibility."""
    flexible = results.get("flexibility") or {}
    share = flexible.get("weaker_than_half")
    if share is None or plain.tone != "weak":
        return plain
    return _followed(plain, f"Corrected for flexibility, {share:.0%} of the core is below half: this is missing in "
                            "some particles, the rest is mobile.")
