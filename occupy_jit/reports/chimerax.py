"""The ChimeraX script of a run: input and outputs, coloured by the local scale.

Standard library only. The script relies on these facts, from the documentation or the public source of ChimeraX:

* While a .cxc file runs, its folder is the current directory, so paths relative to it survive copying the folder.
  The file is read as UTF-8, one line after the other; lines that begin with ``#`` are comments.
* ``;`` ends a command outside quotes. A quoted token ends at the first quote of its kind that a blank, a ``;`` or the
  end of the line follows. Text (of labels) may contain escapes as in Python (``\\x3b``), file names may not.
* ``open`` removes the quotes of the file name and parses the command a second time, in double quotes only if the
  name contains a blank, so that a ``;`` survives only with a blank. Variables (``$HOME``) in file names are replaced.
  Only uncompressed maps can be opened.

A file name that would not survive this unchanged is never written into a command, see `cannot_open`.
"""

import math
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from occupy_jit.files.maps.suffixes import COMPRESSED_SUFFIXES, MAP_SUFFIXES
from occupy_jit.settings import Options

#: Role of an output with the grey scale of the input: shown, coloured by the scale, with the level of the input.
MODIFIED = "modified"

#: Role of the relative B factor: ``occflex`` colours by it.
FLEXIBILITY = "relative B factor"

#: Role of the standard error of the scale: ``occerror`` colours by it.
ERROR = "standard error of the scale"

#: Colours of standard errors: very small, usual, and as large as weak parts.
ERROR_COLOURS = ((0, "#4d6edf"), (0.1, "#d9d9d9"), (0.3, "#cc3920"))

#: Colours of relative B factors, Å^2: sharper than the region of full scale, like it, and less sharp.
B_FACTOR_COLOURS = ((-50, "#4d6edf"), (0, "#d9d9d9"), (150, "#cc3920"))

#: Colours from the lowest visible scale to 1; colour-blind readers can distinguish red and blue.
COLOURS = ("#cc3920", "#d9d9d9", "#4d6edf")

# Role of a map: command that colours by it, colours, and label of the key.
_OTHER_COLOURS = {FLEXIBILITY: ("occflex", B_FACTOR_COLOURS, "relative B factor in Å²"),
                  ERROR: ("occerror", ERROR_COLOURS, "its standard error")}
_CUBE_COLOUR = "#e69f00"
_SPREAD_COLOUR = "#444444"
_DUST_LOWPASSES, _DUST_VOXELS = 2 / 3, 3  # the low-pass is at twice the usual resolution, or lower
_SPREAD_LEVEL = 0.15  # of the standard deviation of scale over classes, where the mesh is drawn

_PLAIN = re.compile(r"[A-Za-z0-9 _.,:()+=/-]")


def script_path(path: str | os.PathLike[str], directory: str | os.PathLike[str] | None = None) -> str:
    """Path of a file in the script: relative to the folder of the script, with forward slashes.

    Parameters
    ----------
    path : str or path-like
    directory : str or path-like, optional
        Folder of the script; None leaves relative paths as they are.

    Returns
    -------
    str
    """
    text = os.fsdecode(path)
    if directory is not None:
        # ".." leads out of the real folder, whatever links led into it
        folder, name = os.path.split(os.path.abspath(text))
        try:
            text = os.path.relpath(os.path.join(os.path.realpath(folder), name), os.path.realpath(directory))
        except ValueError:  # another drive
            text = os.path.abspath(text)
    text = text.replace(os.sep, "/")
    # "./" prevents "~", quotes and special words ("browse") at the beginning of the name
    return text if os.path.isabs(text) or text.startswith(("./", "../")) else "./" + text


def cannot_open(path: str, directory: str | None = None) -> str | None:
    """Reason why ChimeraX cannot open a file of this name from a script; None if it can.

    Parameters
    ----------
    path, directory
        As for `script_path`.

    Returns
    -------
    str or None
        Reason and remedy in one line.
    """
    text = script_path(path, directory)
    if text.lower().endswith((*COMPRESSED_SUFFIXES, ".xz")):
        return "ChimeraX opens only uncompressed maps (unpack it to see it there)"
    if not text.isprintable():
        return "the name contains characters that ChimeraX commands cannot contain (rename it)"
    if re.search(r'"(\s|;)', text):
        return ("the name contains a double quote before a blank or a semicolon, which ends a name in ChimeraX "
                "(rename it)")
    if ";" in text and not re.search(r"\s", text):
        return "the name contains a semicolon, which ends a command in ChimeraX (rename it)"
    if re.search(r"\$[\w{]", text):
        return "the name contains a dollar sign, which marks a variable in ChimeraX (rename it)"
    return None


def cube(position: tuple[Any, ...], corner: tuple[Any, ...], tile: int, voxel_size: float
        ) -> tuple[tuple[Any, ...], float]:
    """The full-scale cube in the coordinates of ChimeraX.

    ChimeraX puts the centre of the first voxel at the position of the map; a cube of voxels begins half a voxel before
    the centre of its first one.

    Parameters
    ----------
    position : (x, y, z)
        Å, of the first voxel of the map (its origin, or else the start of its grid times the voxel size).
    corner : (z, y, x)
        Index of the first voxel of the cube.
    tile : int
        Edge in voxels.
    voxel_size : float
        Å.

    Returns
    -------
    corner : (x, y, z)
        Å.
    edge : float
        Å.
    """
    return (tuple(float(p) + (float(c) - 0.5) * voxel_size for p, c in zip(position, reversed(tuple(corner)),
                                                                           strict=True)),
            float(tile * voxel_size))


def _label(text):
    """Text inside the quotes of a label: special characters escaped, "?" for unprintable ones."""
    shown = (char if char.isprintable() else "?" for char in text)
    return "".join(char if _PLAIN.match(char) or ord(char) > 127 else f"\\x{ord(char):02x}" for char in shown)


def _comment(text):
    """Text in a comment, in which a semicolon could begin a command."""
    return "".join(char if char.isprintable() else "?" for char in text).replace(";", "\\x3b")


def _number(value):
    return f"{float(value):.7g}"


def _models(numbers):
    return "#" + ",".join(map(str, numbers))


def placed(numbers: Sequence[int], grid: tuple[Any, ...] | None) -> list[str]:
    """Commands that show every map completely, and at its position in the run.

    ChimeraX opens large maps as one plane. A new voxel size scales the origin, too, which is set after it.

    Parameters
    ----------
    numbers : sequence of int
        Of models.
    grid : (voxel size, (x, y, z)) or None
        Å, if the headers differ.

    Returns
    -------
    list of str
    """
    maps = _models(numbers)
    lines = [f"volume {maps} region all step 1 style surface"]
    if grid is not None:
        voxel_size, position = grid
        lines += [f"volume {maps} voxelSize {_number(voxel_size)}",
                  f"volume {maps} origin {','.join(map(_number, position))}"]
    return lines


def dust_size(lowpass_angstrom: float, voxel_size: float) -> float:
    """Size of the largest piece of a surface that may be a peak of noise, Å.

    Peaks of noise above three standard deviations are about as wide as the resolution of the map, or its voxels.
    """
    return max(_DUST_LOWPASSES * lowpass_angstrom, _DUST_VOXELS * voxel_size)


def dusted(numbers: Sequence[int], size: float | None) -> list[str]:
    """Command that hides pieces of surfaces smaller than `size` Å, also when the level changes; empty for None."""
    return [] if size is None else [f"surface dust {_models(numbers)} size {_number(size)}"]


class _Script:
    """The common parts of all scripts, in order.

    Attributes
    ----------
    opened : list of (path, what)
        Models, numbered from 1.
    values : list of float
        Scales of the colours.
    """

    def __init__(self, name: str, about: str, version: str, directory: str, min_vis_scale: float,  # noqa: PLR0913 (as above)
                 grid: tuple[Any, ...] | None = None) -> None:
        self._name, self._directory, self._grid = name, directory, grid
        self._title = f"# OccuPy {_comment(version)}: {about}"
        self._lowest = min_vis_scale
        self._left_out = []
        self.opened = []
        self.values = scale_values(min_vis_scale)

    def open(self, path: str, what: str) -> int | None:
        """Open a map; returns the number of its model, None without a map or if its name cannot be written."""
        if path is None:
            return None
        reason = cannot_open(path, self._directory)
        if reason is not None:
            self._left_out.append((os.path.basename(os.fsdecode(path)), what, reason))
            return None
        self.opened.append((script_path(path, self._directory), what))
        return len(self.opened)

    def coloured(self, numbers: list[int], scale: int) -> list[str]:
        """Commands that colour surfaces by the scale, if there is one."""
        if scale is None:
            return []
        return _sampled(numbers, scale, zip(self.values, COLOURS, strict=True))

    def text(self, usage: list[str], drawn: list[str], hidden: list[int], full_scale_box: tuple[Any, ...] | None,
             aliases: list[str], key: bool = True, colours_are: str = "local scale") -> str:
        """The whole script.

        Parameters
        ----------
        usage : list of str
            Descriptions of the aliases.
        drawn : list of str
            Commands that draw and colour surfaces. These are calculated at once, because colours apply to existing
            surfaces, and before anything is hidden.
        hidden : list of int
            Models.
        full_scale_box : ((x, y, z), edge) or None
        aliases : list of str
        key : bool
            Whether to show the key of the colours.
        colours_are : str
            Label of the key.

        Returns
        -------
        str
        """
        lines = [self._title, "# Open this file in a new ChimeraX: models are numbered from #1."]
        lines += [f"#   #{number}  {_comment(what)}: {_comment(path)}"
                  for number, (path, what) in enumerate(self.opened, 1)]
        lines += [f"# Left out: {_comment(what)} {_comment(file)}: {_comment(reason)}"
                  for file, what, reason in self._left_out]
        lines += [*(f"# {line}" for line in usage), ""]
        lines += [f'open "{path}"' + ("" if path.endswith(MAP_SUFFIXES) else " format mrc") for path, _ in self.opened]
        if not self.opened:
            return "\n".join(lines)
        lines += placed(range(1, len(self.opened) + 1), self._grid)
        lines += ["set bgColor white", "camera ortho", "lighting soft", *drawn]
        if hidden:
            lines.append(f"hide {_models(hidden)} models")
        if full_scale_box is not None:
            lines += _box(full_scale_box, len(self.opened) + 1)
        if key:
            lines += [*scale_key(self.values), f'2dlabels text "{_label(colours_are)}" size 16 xpos 0.68 ypos 0.13']
        lines.append(f'2dlabels text "{_label(self._name)}" size 16 xpos 0.03 ypos 0.94')
        lines += [*aliases, "view", ""]
        return "\n".join(lines)


def script(name: str, input_path: str | os.PathLike[str], scale_path: str | os.PathLike[str],  # noqa: PLR0913 (everything that one script shows)
           others: Sequence[tuple[Any, ...]] = (), *, version: str, directory: str | os.PathLike[str] | None = None,
           full_scale_box: tuple[Any, ...] | None = None, level: float | None = None,
           min_vis_scale: float = Options.min_vis_scale, grid: tuple[Any, ...] | None = None,
           dust: float | None = None) -> str:
    """Text of chimX_<name>.cxc (to be written as UTF-8).

    Models are numbered in the order of opening: input, scale, the others. The script shows the maps of role `MODIFIED`,
    or the input if there are none; ``occshow N`` shows another one, ``occlevel L`` sets the level of all of them. If
    there is a map of role `FLEXIBILITY` or `ERROR`, ``occflex`` or ``occerror`` colours by it, and ``occscale`` by the
    scale again. A file that `cannot_open` refuses is left out, with a comment. If neither the input nor a modified map
    can be opened, the script shows the scale.

    Parameters
    ----------
    name : str
        Of the map, for the title.
    input_path, scale_path : str or path-like
    others : sequence of (path, role)
        Further outputs; `MODIFIED`, `FLEXIBILITY` and `ERROR` have a special meaning, any other text is a description.
    version : str
        Of this program.
    directory : str or path-like, optional
        Folder of the script.
    full_scale_box : ((x, y, z), edge), optional
        Corner and edge in Å in the coordinates of ChimeraX, see `cube`.
    level : float, optional
        Density level of surfaces; None for the default of ChimeraX.
    min_vis_scale : float
        Scale of the first colour, at least 0 and below 1.
    grid : (voxel size, (x, y, z)), optional
        Å, of all maps and of their first voxel, if the headers differ.
    dust : float, optional
        Å: smaller pieces of a surface are hidden, see `dust_size`.

    Returns
    -------
    str
    """
    made = _Script(name, f"local scale of {_comment(name)}", version, directory, min_vis_scale, grid)
    numbers = [(made.open(path, role), role)
               for path, role in [(input_path, "input"), (scale_path, "scale"), *others]]
    opened = [(number, role) for number, role in numbers if number is not None]
    scale = next((number for number, role in opened if role == "scale"), None)
    same_grey = [number for number, role in opened if role in ("input", MODIFIED)]
    shown = [number for number, role in opened if role == MODIFIED] or same_grey
    if not shown and scale is not None:
        shown = [scale]
    drawn = []
    if same_grey:
        at = "" if level is None or not math.isfinite(level) else f" level {_number(level)}"
        drawn.append(f"volume {_models(same_grey)} step 1{at} calculateSurfaces true")
        drawn += dusted(same_grey, dust)
    elif scale in shown:
        drawn.append(f"volume {_models(shown)} step 1 level {_number(max(min_vis_scale, 0.05))} "
                     "calculateSurfaces true")
    drawn += made.coloured(same_grey or shown, scale)
    usage, aliases = [], []
    if same_grey:
        usage = [f"occlevel L   sets the level of {_models(same_grey)}", "occshow N    shows one of them"]
        aliases = [f"alias occlevel volume {_models(same_grey)} level $1",
                   f"alias occshow hide {_models(same_grey)} models; show #$1 models"]
    colours_are = "local scale"
    other = [(*_OTHER_COLOURS[role], number, role) for number, role in opened if role in _OTHER_COLOURS]
    if other and scale is not None:
        usage += [f"{alias:13} colours by {role}" for alias, _, _, _, role in other]
        usage.append("occscale      colours by the local scale again")
        ways = [(alias, number, stops) for alias, stops, _, number, _ in other]
        ways.append(("occscale", scale, list(zip(made.values, COLOURS, strict=True))))
        aliases += [f"alias {alias} {'; '.join([*_sampled(same_grey or shown, of, stops), _key(stops)])}"
                    for alias, of, stops in ways]
        colours_are = ", or ".join(["local scale", *(f"({alias}) {label}" for alias, _, label, _, _ in other)])
    hidden = [number for number, _ in opened if number not in shown]
    return made.text(usage, drawn, hidden, full_scale_box, aliases, scale is not None, colours_are)


@dataclass(frozen=True)
class ShownClass:
    """One class for `classes_script`.

    Attributes
    ----------
    name : str
        Name for people: "class 1".
    input_path, scale_path : str
    modified_path : str or None
    level : float
        Density level of its surfaces.
    """

    name: str
    input_path: str
    scale_path: str
    modified_path: str | None
    level: float


def classes_script(name: str, classes: Sequence[ShownClass], variance_path: str | None = None, *,  # noqa: PLR0913 (everything that one script shows)
                   version: str,
                   directory: str | None = None, full_scale_box: tuple[Any, ...] | None = None,
                   min_vis_scale: float = Options.min_vis_scale, grid: tuple[Any, ...] | None = None,
                   dust: float | None = None) -> str:
    """Text of a script that opens several maps on a common scale, each coloured by its own.

    The first class is shown, and the alias occclass shows another; a mesh marks differences between classes.

    Parameters
    ----------
    name : str
        Name of the group, for the label.
    classes : sequence of ShownClass
    variance_path : str, optional
        Standard deviation of the scale over the classes.
    version, directory, full_scale_box, min_vis_scale, grid, dust
        As for `script`.

    Returns
    -------
    str
    """
    made = _Script(name, f"local scale of {_comment(name)}, one scale for all classes", version, directory,
                   min_vis_scale, grid)
    numbers = [(shown.level, made.open(shown.input_path, f"{shown.name}: input"),
                made.open(shown.modified_path, f"{shown.name}: modified"),
                made.open(shown.scale_path, f"{shown.name}: scale")) for shown in classes]
    variance = made.open(variance_path, "standard deviation of the scale over the classes")
    drawn, surfaces = [], []
    for level, before, after, scale in numbers:
        own = [number for number in (after, before) if number is not None]
        if own:
            drawn.append(f"volume {_models(own)} step 1 level {_number(level)} calculateSurfaces true")
            drawn += dusted(own, dust)
            drawn += made.coloured(own, scale)
        surfaces += own[:1]
    if variance is not None:
        drawn.append(f"volume #{variance} step 1 level {_SPREAD_LEVEL:g} style mesh color {_SPREAD_COLOUR} "
                     "calculateSurfaces true")
    maps = [number for number in range(1, len(made.opened) + 1) if number != variance]
    hidden = [number for number in maps if number not in surfaces[:1]]
    return made.text(["occclass N   shows only model N"], drawn, hidden, full_scale_box,
                     [f"alias occclass hide {_models(maps)} models; show #$1 models"])


def _box(full_scale_box, number):
    """Commands that draw the full-scale cube."""
    (x, y, z), edge = full_scale_box
    if not all(map(math.isfinite, (x, y, z, edge))) or edge <= 0:
        return []
    centre = ",".join(_number(v + edge / 2) for v in (x, y, z))
    size = _number(edge)
    return [f"shape rectangle width {size} height {size} slab {size} center {centre} widthDivisions 1 "
            f'heightDivisions 1 mesh true color {_CUBE_COLOUR} name "full scale" modelId #{number}',
            f"surface squaremesh #{number}"]


def scale_values(lowest: float) -> list[float]:
    """The scales of `COLOURS`, from the lowest to 1."""
    return [lowest + (1 - lowest) * i / (len(COLOURS) - 1) for i in range(len(COLOURS))]


def scale_key(values: list[float]) -> list[str]:
    """Commands that draw the key of the colours; there can be one only."""
    return [_key(zip(values, COLOURS, strict=True))]


def _key(stops):
    """Command that draws the key of the colours: pairs of value and colour."""
    return f"key {' '.join(f'{c}:{v:.3g}' for v, c in stops)} pos 0.68,0.08 size 0.28,0.03 fontSize 16"


def _sampled(numbers, of, stops):
    """Commands that colour surfaces by the values of a map: pairs of value and colour."""
    stops = list(stops)
    palette = ":".join(f"{_number(v)},{c}" for v, c in stops)
    return [f"color sample #{number} map #{of} palette {palette} range {_number(stops[0][0])},{_number(stops[-1][0])}"
            for number in numbers]
