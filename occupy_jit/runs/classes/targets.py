"""Target masks in all classes: differences in occupancy with their significance."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from occupy_jit.files.names.paths import shown
from occupy_jit.runs.classes.parts import p_in_words
from occupy_jit.runs.plan.output_kinds import Role, output_of

if TYPE_CHECKING:
    from occupy_jit.reports.runlog import RunLog
    from occupy_jit.runs.classes.group import Group
    from occupy_jit.runs.plan.names import Names
    from occupy_jit.runs.plan.output_kinds import Output
    from occupy_jit.settings import Options

_SHOWN = 24


def planned(names: Names, options: Options, number: int) -> list[Output]:
    """The table of differences in target masks, for masks and several classes: list of Output."""
    if not options.target_mask or number < 2:
        return []
    return [output_of(Role.CLASS_TARGETS, names)]


def compare(group: Group) -> list[dict[str, Any]]:
    """Differences of the occupancies inside target masks, between all pairs of classes.

    Parameters
    ----------
    group : occupy_jit.runs.classes.group.Group
        With finished classes.

    Returns
    -------
    list of dict
        The most certain first.
    """
    usable = group.usable
    if len(usable) < 2 or not usable[0].targets:
        return []
    from occupy_jit.estimation.comparison.masks import compare_targets

    of_full_scale = max(entry.record["results"]["full_scale_error"] for entry in usable)
    found = compare_targets([entry.targets for entry in usable], [entry.label for entry in usable], of_full_scale)
    return [row._asdict() for row in found]


def show(rows: list[dict[str, Any]], log: RunLog) -> None:
    """The table, for the terminal and the log."""
    log.table("target masks in the classes", [("mask", "more in", "than in", "difference", "p", "differs")] + [
        (shown(row["mask"]), row["more"], row["less"],
         f"{row['difference']:.3f}" + ("" if row["se"] is None else f" ± {row['se']:.3f}"),
         "too small for an error" if row["p"] is None else p_in_words(row["p_corrected"]),
         "yes" if row["significant"] else "-") for row in rows[:_SHOWN]])
    if len(rows) > _SHOWN:
        log.say(f"and {len(rows) - _SHOWN} more, in the table of differences in target masks")
    tested = sum(row["p"] is not None for row in rows)
    log.say(f"p is corrected for {tested} comparisons (Holm); errors include noise only, and exclude full scale: "
            "different grey scales of the classes also appear as differences")
