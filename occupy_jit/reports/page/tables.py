"""Tables of a report: rows of plain text from the record of a run."""

from __future__ import annotations

import os
import re
import shlex
from typing import TYPE_CHECKING, Any

from markupsafe import Markup, escape

from occupy_jit.reports.page import charts, words

if TYPE_CHECKING:
    from collections.abc import Sequence

    from occupy_jit.reports.page.data import ReportData

# In place of folders that a report does not show.
_FOLDER = "FOLDER"


def tiles(data: ReportData, told: bool) -> list[tuple[str, str, str]]:
    """The six numbers at the top: label, value, unit. Those of the core only if the scale is meaningful."""
    found, core = data.record["results"], data.core
    hides = found["noise_hides_parts"]
    of = "of the visible part" if hides else "of the core"
    return [("occupied", words.volume(found["occupied_volume_angstrom3"], hides), "nm³"),
            ("median scale", f"{core.median:.2f}" if told else "–", of),
            ("scale below 0.5", words.weak_share(core, hides) if told else "–", "of the core"),
            ("scale 0.8 or more", f"{core.strong_share:.0%}" if told else "–", of),
            ("low-passed to", f"{data.record['derived']['lowpass_angstrom']:.1f}", "Å"),
            ("error of full scale", f"± {found['full_scale_error']:.1%}", "common to the whole map")]


def results(data: ReportData) -> list[tuple[str, str, str]]:
    """The results: label, value, unit or remark."""
    found, core = data.record["results"], data.core
    number = words.number
    model = found["solvent_model"]
    rows = [("core", f"{core.volume_angstrom3:,.0f}", "Å³"),
            ("visible from", "unknown" if found["visible_from"] is None else f"scale {found['visible_from']:.2f}",
             "parts as large as a chain; weaker ones cannot be distinguished from solvent"),
            ("weaker than half", f"{core.weak_share:.1%}", "of the visible part" + (
                f"; {core.surely_weak_share:.1%} beyond doubt" if found["noise_hides_parts"] else "")),
            ("scale 0.8 or more", f"{core.strong_share:.1%}", "of the visible part"),
            ("median scale", f"{core.median:.3f}", "of the visible part"),
            ("full scale", number(found["full_scale"]), "density above the zero level"),
            ("zero level", number(found["zero_level"]), "density"),
            ("error of full scale", f"{found['full_scale_error']:.1%}", "standard error, common to the whole map"),
            ("noise floor", number(found["noise_floor"]), "density above the zero level"),
            ("noise in solvent", number(found["noise_in_solvent"]), "density, standard deviation"),
            ("noise of the scale", number(found["noise_of_scale"]), "in solvent, standard deviation"),
            ("occupied volume", f"{found['occupied_volume_angstrom3']:,.0f}",
             f"Å³ above scale {found['occupied_above_scale']:.2f}, rim included"),
            ("solvent model", f"{model['mean']:.4g} ± {model['sigma']:.4g}", f"goodness {model['goodness']:.3f}")]
    if found.get("flexibility"):
        low, middle, high = found["flexibility"]["b_factor_quantiles"].values()
        if middle is not None:
            rows.append(("relative B factor", words.whole(middle),
                         f"Å², median of the occupied volume; {words.whole(low)} to {words.whole(high)} in 90% of it"))
    halves = found.get("half_maps")
    if halves:
        independence = ("independence of their noise unknown, for lack of solvent" if halves["independence"] is None
                        else f"independence of their noise {halves['independence']:.2f} (1 is ideal)")
        rows.append(("half maps", f"{halves['correlation']:.3f}", f"correlation in content; {independence}"))
        if "map_correlation" in halves:
            rows.append(("map and half maps", f"{halves['map_correlation']:.3f}", "correlation of the map with their "
                                                                                  "mean in content, at the same "
                                                                                  "spectrum"))
    if found.get("reference"):
        rows.insert(5, ("region of full scale", "mask", f"{found['reference']['blocks']:.0f} independent blocks; a "
                        f"search would give {number(found['reference']['searched'])}"))
    if found.get("full_scale_corner_zyx") is not None:
        rows.insert(5, ("region of full scale", ", ".join(str(v) for v in found["full_scale_corner_zyx"][::-1]),
                        f"first voxel x, y, z; {found['full_scale_tile']} voxels an edge"))
    return rows + _entry(data.entry)


def _entry(told):
    """Data of the authors of an EMDB entry."""
    rows = [("EMDB entry", told["title"], "")] if "title" in told else []
    if "resolution_angstrom" in told:
        rows.append(("resolution", f"{told['resolution_angstrom']:g}", "Å, as stated by the authors"))
    if "contour_level" in told:
        rows.append(("contour", f"{told['contour_level']:g}", "density, as recommended by the authors"))
    return rows


def settings(data: ReportData, paths: Paths) -> list[dict[str, str]]:
    """All settings with their origin, and the given options: first given ones, then derived ones, then defaults."""
    record = data.record
    given = set(record["given"])
    rows = [{"name": name.replace("_", " "), "value": paths.word(words.number(value)),
             "origin": "given" if name in given or name.removesuffix("_angstrom") in given else "default"}
            for name, value in record["settings"].items()]
    rows += [{"name": name.replace("_", " "), "value": _option(value, paths), "origin": "given"}
             for name, value in record["options"].items() if name in given]
    rows += [{"name": name.replace("_", " "), "value": words.number(value), "origin": "derived"}
             for name, value in record["derived"].items()]
    return sorted(rows, key=lambda row: ("given", "derived", "default").index(row["origin"]))


def _option(value, paths):
    """An option, which may be several files."""
    several = value if isinstance(value, (list, tuple)) else [value]
    return ", ".join(paths.word(words.number(word)) for word in several)


def parts(data: ReportData) -> list[dict[str, Any]]:
    """Tables of parts with their bars, the strongest first; each row has its original position, and its number on the
    page."""
    out, first = [], 0
    for table in data.parts:
        if not table.rows:
            continue
        axis = charts.occupancy_range([(part.occupancy, part.error) for part in table.rows])
        rows = [{"name": part.name, "note": part.note, "number": first + k, "region": part.region is not None,
                 "svg": Markup(charts.whisker(part.occupancy, part.error, axis)),
                 "value": f"{part.occupancy:.2f}" + ("" if part.error is None else f" ± {part.error:.2f}"),
                 "b_factor": "–" if part.b_factor is None else _with_error(*part.b_factor),
                 "correlation": "–" if part.correlation is None else f"{part.correlation:.2f}"}
                for k, part in enumerate(table.rows)]
        rows = [rows[k] for k in sorted(range(len(rows)), key=lambda k: -table.rows[k].occupancy)]
        fitted = any(part.b_factor is not None or part.correlation is not None for part in table.rows)
        out.append({"heading": table.heading, "note": table.note, "rows": rows, "fitted": fitted})
        first += len(table.rows)
    return out


def _with_error(value, error):
    if not error:
        return "fixed" if not value else words.whole(value)  # at coarse detail, where it cannot be measured
    return f"{words.whole(value)} ± {words.whole(error)}"


def profiles(data: ReportData) -> list[dict[str, Any]]:
    """Charts of the residues of each part, all on one axis."""
    axis = charts.occupancy_range([pair for one in data.profiles
                                   for pair in zip(one.occupancy, one.error, strict=True)])
    return [{"name": one.name, "residues": len(one.labels), "svg": Markup(charts.profile(one, axis))}
            for one in data.profiles]


def command(data: ReportData, paths: Paths) -> tuple[Markup, list[tuple[str, str]]]:
    """The command line for a shell, with marked placeholders for folders that the report does not show.

    Parameters
    ----------
    data : occupy_jit.reports.page.data.ReportData
    paths : Paths

    Returns
    -------
    command : Markup
        Empty for a run from Python.
    missing : list of (placeholder, names)
        The names in each folder that the reader has to fill in.
    """
    given = list(map(str, data.record["command_line"]))
    shown = [escape(shlex.quote(os.path.basename(word))) for word in given[:1]]
    names: dict[str, list[str]] = {}
    for before, folder, path in paths.arguments(given[1:]):
        word = escape(shlex.quote(before + (f"{folder}/" if folder else "") + path))
        if folder:
            start, _, end = word.partition(f"{folder}/")
            word = start + Markup("<mark>{}</mark>/").format(folder) + end
            names.setdefault(folder, []).append(path)
        shown.append(word)
    return Markup(" ").join(shown), [(folder, ", ".join(inside)) for folder, inside in names.items()]


class Paths:
    """How a report shows paths.

    People share reports, and paths name people and projects: a report shows only the last part of a path.

    Parameters
    ----------
    data : occupy_jit.reports.page.data.ReportData
    whole : bool
        Show paths as they are.
    """

    def __init__(self, data: ReportData, whole: bool) -> None:
        self._whole = whole
        known = {os.path.dirname(data.record["input"]["path"]), os.path.expanduser("~"), os.getcwd(),
                 *(os.path.dirname(os.path.abspath(path)) for _, path, _ in data.files)}
        self._folders = sorted((folder.rstrip(os.sep) + os.sep for folder in known if folder.strip(os.sep)), key=len,
                               reverse=True)

    def word(self, text: str) -> str:
        """A name of a file, or a word of a command line that may hold one."""
        text = str(text)
        if self._whole or os.sep not in text:
            return text
        option, equals, value = text.partition("=")
        if text.startswith("--") and equals:
            return option + equals + os.path.basename(value)
        return os.path.basename(text.rstrip(os.sep)) or os.sep

    def arguments(self, words_given: Sequence[str]) -> list[tuple[str, str, str]]:
        """Words of the command line, for the directory of the run.

        Relative paths stay unchanged, and absolute paths below the working directory become relative. Of all other
        absolute paths only the last part is shown, after a placeholder for the folder.

        Parameters
        ----------
        words_given : sequence of str

        Returns
        -------
        list of (before, folder, path)
            An option or @ in front of the path, a placeholder or "", and the path or word.
        """
        split = [self._split(word) for word in words_given]
        hidden = list(dict.fromkeys(folder for _, folder, _ in split if folder))
        placeholders = {"": ""} | {folder: _FOLDER if len(hidden) == 1 else f"{_FOLDER}{number}"
                                   for number, folder in enumerate(hidden, 1)}
        return [(before, placeholders[folder], path) for before, folder, path in split]

    def _split(self, text):
        """A word as (before, folder, path); the folder is empty unless it has to be left out."""
        before, path = re.fullmatch(r"(--[^=/]+=@?|@|)(.*)", text, re.DOTALL).groups()
        if self._whole or not os.path.isabs(path):
            return "", "", text
        path = os.path.normpath(path)
        beside = os.path.relpath(path, os.getcwd())
        if beside.split(os.sep)[0] != os.pardir:
            return before, "", beside
        folder, name = os.path.split(path)
        return (before, folder, name) if name else (before, "", path)

    def sentence(self, text: str) -> str:
        """A sentence without the folders of the files of the run, of the user and of the process."""
        for folder in () if self._whole else self._folders:
            text = text.replace(folder, "")
        return text
