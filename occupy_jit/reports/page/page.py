"""The report of one map: one HTML file with all results, without a network.

The maps are embedded as small grids of bytes (see `display_grid`); the scripts under ``assets`` mesh and draw them in
the browser. Still pictures and numbers show the same on paper, and in browsers without WebGL
or without scripts. A content security policy allows exactly the one script of the page.
"""

from __future__ import annotations

import base64
import hashlib
import math
import os
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any

import jinja2
import numpy as np
from markupsafe import Markup

from occupy_jit import PROGRAM as NAME
from occupy_jit import __version__
from occupy_jit.reports import answer, colours, content
from occupy_jit.reports.page import charts, display_grid, pictures, sites, tables, words
from occupy_jit.reports.page.data import coarser
from occupy_jit.reports.png import data_uri

if TYPE_CHECKING:
    from occupy_jit.reports.page.data import ReportData

PROGRAM = f"{NAME} {__version__}"
LARGEST_BYTES = 4_500_000
"""Largest size of a file; larger ones have their maps reduced further."""

_SMALLER = 0.8
_TRIES = 12
_SCRIPTS = ("data.js", "mesh.js", "gl.js", "surface.js", "slices.js", "parts.js", "page.js")
_HIGHEST_LEVEL = 0.6  # of the largest density
_LOWERED = (2.0, 3.0)  # range of the ratio of the surface level to the lowest level
_LOWEST_SHARE = 0.02  # of the largest density: lower limit of the surface level
_LEAST_DEVIATIONS, _SOLVENT = 3.0, 0.05  # share with lower confidence
_LEAST_DRAWN = 0.005  # share of the content inside the first surface
_MODIFIED_PERCENTILE = 70
_THUMBNAIL = (252, 160)
_PAPER = (255, 255, 255)  # transparent, so that still pictures have the background of the page
_SAMPLE = 37  # step of the voxels for principal axes
_FADING = ("scale", "occupancy", "b_factor")  # in slices, outside content and in its rim
_HINTS = {"scale": "Red: missing in some particles, or mobile. Blue: as strong as the strongest region.",
          "confidence": "0: may be solvent, and is not modified. 1: content.",
          "error": "Standard error of the local scale.",
          "occupancy": "The scale corrected for flexibility.",
          "b_factor": "Red: less sharp than the region of full scale."}


def render(data: ReportData, *, show_paths: bool = False, threads: int = 1) -> tuple[bytes, dict[str, Any]]:
    """The report of a map.

    Parameters
    ----------
    data : occupy_jit.reports.page.data.ReportData
    show_paths : bool
        Show whole paths; otherwise only their last part, because people share reports.
    threads : int
        Number of threads for compression; the result does not depend on it.

    Returns
    -------
    html : bytes
    summary : dict
        Data of this map for lists of many maps, see `occupy_jit.reports.page.index`.
    """
    shown = _Shown(data, threads)
    for _ in range(_TRIES):
        if shown.size < LARGEST_BYTES:
            break
        data = coarser(data, _SMALLER)
        shown = _Shown(data, threads)
    paths = tables.Paths(data, show_paths)
    plain, said = answer.of_run(data.record["results"], data.core,
                                [verdict["code"] for verdict in data.record["verdicts"]], data.common_scale)
    summary = _summary(data, shown, said, paths)
    return _page(data, shown, summary, said, plain.tone != "none", paths).encode("utf-8", "backslashreplace"), summary


class _Shown:
    """Drawings of a map: small grids, still pictures, and the first view."""

    def __init__(self, data: ReportData, threads: int) -> None:
        self.spacing = data.voxel_size * data.grid.step
        self.zero = data.record["results"]["zero_level"]
        self.seen = content.visibility(data.confidence, data.record["derived"]["kernel_radius"] / data.grid.step)
        small = self.small = {"input": data.input, "scale": data.scale, "confidence": data.confidence}
        labels = {"input": "Input map", "scale": "Local scale", "confidence": "Confidence"}
        shorts = {name: name for name in small}
        for k, (label, volume) in enumerate(data.modified):
            name = "modified" + ("" if k == 0 else str(k + 1))
            small[name], labels[name] = volume, f"Modified map ({label})"
            shorts[name] = "modified" if len(data.modified) == 1 else label
        if data.error is not None:
            small["error"], labels["error"], shorts["error"] = data.error, "Standard error of the scale", "error"
        if data.b_factor is not None:
            small |= {"occupancy": data.occupancy, "b_factor": data.b_factor}
            labels |= {"occupancy": "Occupancy without flexibility", "b_factor": "Relative B factor, Å²"}
            shorts |= {"occupancy": "occupancy", "b_factor": "B factor"}
        self._describe(data, labels, shorts)
        with ThreadPoolExecutor(max(1, min(threads, len(small)))) as pool:
            packing = {name: pool.submit(display_grid.packed, values)
                       for name, values in (*self.bytes.items(), ("seen", display_grid.to_bytes(self.seen, 0, 1)),
                                            *((f"region{k}", layer) for k, layer in enumerate(data.regions)))}
            self._look(data)
            self.packed = {name: future.result() for name, future in packing.items()}

    def _describe(self, data, labels, shorts):
        """Meaning of the bytes of each volume, for the scripts."""
        small = self.small
        zero = self.zero
        low, high = display_grid.density_range(small["input"], small["confidence"], zero)
        first = max(self._first_level(data), zero + _LOWEST_SHARE * (high - zero))
        self.volumes, self.bytes = [], {}
        for name, values in small.items():
            entry = {"id": name, "short": shorts[name], "label": labels[name], "hint": _HINTS.get(name, ""),
                     "stops": None, "levels": None, "level": None, "zero": zero, "window": None, "ink": None,
                     "fades": name in _FADING}
            if name in ("scale", "occupancy"):
                entry.update(kind="scale", low=0.0, high=1.0, stops=colours.SCALE)
            elif name == "confidence":
                entry.update(kind="share", low=0.0, high=1.0, stops=colours.CONFIDENCE, ink="--conf")
            elif name == "error":
                entry.update(kind="share", low=0.0, high=colours.LARGEST_ERROR, stops=colours.ERROR, ink="--err")
            elif name == "b_factor":
                low_b, high_b = colours.B_FACTOR_RANGE
                entry.update(kind="signed", low=low_b, high=high_b, stops=colours.B_FACTOR)
                entry["hint"] += f" B factors are {data.record['results']['flexibility']['remark']}."
            else:
                level = first if name == "input" else max(first, _level_of(values, small["confidence"]))
                entry.update(kind="density", low=low, high=high,
                             window=[zero + share * (high - zero) for share in colours.GREY_WINDOW],
                             levels=_levels(zero, first, level, high), level=level)
            quantised = display_grid.to_bytes(values, entry["low"], entry["high"])
            if name == "input":
                display_grid.quieter_solvent(quantised, small["confidence"])
            if name in ("scale", "occupancy"):
                display_grid.drawn_scale(quantised)
            self.volumes.append(entry)
            self.bytes[name] = quantised

    def _look(self, data):
        """Still pictures, the first crosshair, and the first view of the surface."""
        small, shape = self.small, data.grid.shape
        self.level = self.volumes[0]["level"]
        surface = content.cleaned(small["input"], self.seen, self.zero)
        views = pictures.three_views(surface, small["scale"], self.level)
        self.poster = _picture(pictures.beside(views))
        self.thumbnail = data_uri(_coarse_colours(pictures.thumbnail(views[0], *_THUMBNAIL)), clear=_PAPER)
        places = np.argwhere((self.seen > 0) & (small["scale"] >= display_grid.LOWEST_SCALE))
        if not len(places):
            places = np.argwhere(np.ones(shape, bool))
        # in content, not in a hole in the middle of it
        self.cross = places[np.square(places - places.mean(0)).sum(1).argmin()]
        self.centre = (places.min(0) + places.max(0)) / 2
        self.radius = max(1.0, float(np.sqrt(np.square(places - self.centre).sum(1).max())))
        # along the shortest axis of the content, its longest one across
        spread = np.atleast_2d(np.cov((places[::_SAMPLE] if len(places) > 100 * _SAMPLE else places).T))
        axes = np.linalg.eigh(spread)[1] if len(places) > 3 and np.isfinite(spread).all() else np.eye(3)
        self.direction, self.up = axes[:, 0], axes[:, 1]
        seen = (self.seen * small["confidence"])[self.cross[0]]
        panels = [(self._panel(entry), self._stops(entry), seen if entry["fades"] else None)
                  for entry in self.volumes]
        self.strip = _picture(pictures.slice_strip(panels))

    def _first_level(self, data):
        """The surface level: that of the run, or a lower one if the coarser grid has no surface there.

        A coarser grid has less noise; the lower limit is three standard deviations above its solvent.
        """
        inside, solvent = data.input[data.confidence > 0.5], data.input[data.confidence < _SOLVENT]
        if not inside.size:
            return data.surface_level
        reached = float(np.quantile(inside, 1 - _LEAST_DRAWN))
        least = self.zero + _LEAST_DEVIATIONS * (float(solvent.std()) if solvent.size else 0.0)
        return min(data.surface_level, max(reached, least))

    def _panel(self, entry):
        section = self.bytes[entry["id"]][self.cross[0]] / 255
        if entry["kind"] == "scale":
            section = content.with_rim_filled(self.bytes[entry["id"]] / np.float32(255), self.seen)[self.cross[0]]
        if entry["window"] is None:
            return section
        low, high = ((v - entry["low"]) / (entry["high"] - entry["low"]) for v in entry["window"])
        return np.clip((section - low) / (high - low), 0, 1)

    @staticmethod
    def _stops(entry):
        if entry["kind"] == "density":
            return colours.GREY
        if entry["kind"] == "signed":
            return colours.zero_on_white(entry["stops"])
        return colours.scale_on_white() if entry["kind"] == "scale" else colours.share_on_white(entry["stops"])

    @property
    def size(self) -> int:
        """int : Bytes of the embedded data."""
        return sum(map(len, self.packed.values())) + len(self.poster["address"]) + len(self.strip["address"])


def _why(data, level):
    """Reason of a level that noise sets, for a caption."""
    found = data.record["results"]
    by_noise = level > found["zero_level"] + 0.3 * found["full_scale"]
    return ", three standard deviations above solvent, which leaves out weaker parts," if by_noise else ""


def _levels(zero, first, level, high):
    """Lowest and highest level of the slider, with room for weak parts below the first one."""
    highest = max(_HIGHEST_LEVEL * (high - zero), _LOWERED[0] * (level - zero))
    return [zero + (first - zero) / float(np.clip(highest / (level - zero), *_LOWERED)), zero + highest]


def _level_of(values, confidence):
    """Surface level of a modified map, whose range of densities differs from the input."""
    content = values[confidence > 0.5]
    return float(np.percentile(content if content.size else values, _MODIFIED_PERCENTILE))


def _coarse_colours(picture):
    """A picture in fewer colours, which halves its deflated size."""
    return picture & np.uint8(0xF8) | np.uint8(0x07) * (picture == 255)


def _picture(rgb):
    return {"address": data_uri(_coarse_colours(rgb), clear=_PAPER), "width": rgb.shape[1], "height": rgb.shape[0]}


def _summary(data, shown, said, paths):
    found = data.record["results"]
    return {"name": data.name, "sentence": str(said), "tone": said.tone, "weaker_than_half": data.core.weak_share,
            "scale_of_08_or_more": data.core.strong_share, "median_scale": data.core.median,
            "weaker_than_half_at_least": data.core.surely_weak_share,
            "visible_from": found["visible_from"], "noise_hides_parts": found["noise_hides_parts"],
            "occupied_volume_angstrom3": found["occupied_volume_angstrom3"],
            "lowpass_angstrom": data.record["derived"]["lowpass_angstrom"],
            "verdicts": [{"code": v["code"], "sentence": paths.sentence(v["sentence"])}
                         for v in data.record["verdicts"]],
            "thumbnail": shown.thumbnail,
            "parts": [{"part": part.name, "occupancy": round(part.occupancy, 4),
                       "error": None if part.error is None else round(part.error, 4)}
                      for table in data.parts for part in table.rows if math.isfinite(part.occupancy)]}


def _meta(data, shown):
    """Data for the scripts."""
    grid, found = data.grid, data.record["results"]
    reverse = lambda values: [float(v) for v in values][::-1]  # noqa: E731
    return {
        "name": data.name, "inside": data.record["derived"]["kernel_radius"] / grid.step, "cube": _cube(grid, found),
        "grid": {"size": [int(n) for n in grid.shape][::-1], "spacing": shown.spacing,
                 "origin": grid.origin(data.voxel_size, data.position), "radius": shown.radius},
        "volumes": shown.volumes, "regions": len(data.regions),
        "parts": [{"name": part.name, "region": part.region, "occupancy": part.occupancy}
                  for table in data.parts for part in table.rows],
        "start": {"map": "input", "colour": "scale", "cross": [int(v) for v in shown.cross][::-1],
                  "centre": reverse(shown.centre), "direction": reverse(shown.direction), "up": reverse(shown.up)},
    }


def _cube(grid, found):
    """Lowest and highest corner of the region of full scale, [x, y, z] in voxels of the grid."""
    corner = found.get("full_scale_corner_zyx")
    if corner is None:
        return None
    ends = ([v - 0.5 for v in corner], [v - 0.5 + found["full_scale_tile"] for v in corner])
    return [[float(v) for v in grid.position(end)][::-1] for end in ends]


def _page(data, shown, summary, said, scaled, paths):
    record = data.record
    script = _script()
    grid = data.grid
    full = " × ".join(str(c.stop - c.start) for c in reversed(grid.crop))
    shape = " × ".join(map(str, reversed(data.box)))
    command, missing = tables.command(data, paths)
    return environment().get_template("report.html.j2").render(
        program=PROGRAM, name=data.name, links=data.links, css=asset("report.css"), script=script,
        script_hash=Markup(policy_hash(script)), sentence=said,
        input_name=os.path.basename(record["input"]["path"]), shape=shape, voxel_size=data.voxel_size,
        verdicts=[{"code": v["code"], "sentence": v["sentence"].rstrip(".")} for v in summary["verdicts"]],
        hidden=words.hidden(words.Seen(summary["visible_from"], summary["noise_hides_parts"])),
        warnings=[paths.sentence(text) for text in record["warnings"]],
        tiles=tables.tiles(data, scaled), poster=shown.poster, level=shown.level,
        why_level=_why(data, shown.level), volumes=shown.volumes,
        start={"map": "input", "colour": "scale"}, cube=_cube(grid, record["results"]) is not None,
        strip=shown.strip | {"names": ", ".join(v["label"].lower() for v in shown.volumes)},
        crop_note=f"The page shows the occupied part and a margin ({full} of {shape} voxels), at {shown.spacing:.2f} "
                  "Å a voxel.",
        charts=_charts(data), parts=tables.parts(data), clickable=bool(data.regions),
        profiles=tables.profiles(data), sites=sites.figures(data), results=tables.results(data),
        settings=tables.settings(data, paths),
        files=[(role, paths.word(path), digest) for role, path, digest in data.files],
        command=command, missing=missing, record_file=_file(data, "record", paths),
        log_file=_file(data, "log", paths),
        chimerax_file=_file(data, "ChimeraX script", paths),
        versions=", ".join(f"{name} {version}" for name, version in record["versions"].items()),
        timings=", ".join(f"{name} {seconds:.2f} s" for name, seconds in record.get("timings", {}).items()),
        methods=words.methods(record, [label for label, _ in data.modified]), citation=words.CITATION,
        bibtex=words.BIBTEX, grid_note=f"voxels of {shown.spacing:.2f} Å and 8 bits", summary=summary,
        meta=_meta(data, shown), data={name: Markup(text) for name, text in shown.packed.items()})


def _file(data, role, paths):
    return next((paths.word(path) for kind, path, _ in data.files if kind == role), None)


def _charts(data):
    """Charts with their headings, two per row."""
    out = []
    if data.histogram is not None:
        out.append(_chart(
            "Solvent model", charts.density_histogram(data.histogram),
            "Densities of the low-passed map inside the sphere inscribed in the box, with the fitted solvent peak. "
            "The scale itself does not depend on this fit. Up to 0.001% of the voxels at either end are not shown.",
            '<b style="color:var(--hist)">■</b> voxels per bin (logarithmic) <b style="color:var(--model)">—</b> '
            "solvent model" + "".join(f'<span class="onphone">{charts.mark_in_words(*mark)}</span>'
                                       for mark in data.histogram.marks)))
    if not data.core.empty:
        out.append(_chart(
            "Distribution of local scale", charts.volume_by_scale(data.core, words.weak_share(data.core, _hides(data))),
            "Volume of the core by local scale. A hump below the main peak is a part that is missing in some "
            "particles, or mobile."))
    if data.bands is not None:
        out.append(_chart(
            "Signal and noise by resolution", charts.band_power(data.bands),
            "Power of the map at scale 1, and of its noise, in resolution bands.",
            '<b style="color:var(--model)">—</b> signal <b>- -</b> noise'))
        factors = [f'<b style="color:{colours.of_scale(scale)}">{charts.dash(k)[1]}</b> scale {scale:g}'
                   for k, scale in enumerate(data.bands.scales)]
        out.append(_chart(
            "What equalising does", charts.band_factors(data.bands),
            "Amplification of each resolution band at some scales: 1 / scale where there is signal, 1 where there is "
            "only noise.",
            " ".join(factors)))
    return out


def _hides(data):
    """Whether noise hides weak parts of a map, or may hide them."""
    return data.record["results"]["noise_hides_parts"]


def _chart(heading, svg, note, key=""):
    return {"heading": heading, "svg": Markup(svg), "note": note, "key": Markup(key)}


# Assets ---------------------------------------------------------------------------------------------------------------


@cache
def environment() -> Any:
    """The templates, autoescaped; an unknown name is an error."""
    return jinja2.Environment(loader=jinja2.FunctionLoader(_read), autoescape=True, undefined=jinja2.StrictUndefined,
                              trim_blocks=True)


@cache
def _read(name):
    return resources.files("occupy_jit.reports.page").joinpath("assets", name).read_text("utf-8")  # pyright: ignore[reportCallIssue]


def asset(name: str) -> Any:
    """A style sheet or script, unchanged, without text that would end its element."""
    text = _read(name).strip()
    assert "</" not in text, name
    return Markup(text)


@cache
def _script():
    """All scripts in one, in a scope of their own."""
    return Markup('"use strict";(() => {\n' + "\n".join(asset(name) for name in _SCRIPTS) + "\n})();")


def viewer_scripts() -> list[Any]:
    """Scripts that draw surfaces, for other pages: those of the report without slices and start."""
    return [asset(name) for name in _SCRIPTS if name not in ("slices.js", "page.js")]


def policy_hash(script: Any) -> str:
    """Digest of the script for a content security policy."""
    return "'sha256-" + base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() + "'"
