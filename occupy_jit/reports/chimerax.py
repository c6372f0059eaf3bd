"""The ChimeraX script of a run: input and outputs, coloured by the local scale.

Standard library only. What the text relies on, all of it documented by ChimeraX or visible in its public source:

* While a .cxc file runs, its folder is the current directory, so paths relative to it survive copying the folder.
  The file is read as UTF-8, one line after the other; lines that begin with ``#`` are comments.
* ``;`` ends a command outside quotes. A quoted token ends at the first quote of its kind that a blank, a ``;`` or the
  end of the line follows. Text (of labels) knows Python's escapes (``\\x3b``), file names know none.
* ``open`` takes the file name out of its quotes and parses the command a second time, in double quotes only where the
  name holds a blank, so that a ``;`` survives only beside a blank. Variables (``$HOME``) in file names are replaced.
  Maps are opened uncompressed only.

A file name that cannot pass all of this unchanged is never written into a command, see `cannot_open`.
"""

import math
import os
import re
from dataclasses import dataclass

from occupy_jit.errors import UsageError

#: Role of an output that has the grey-scale of the input: shown, coloured by the scale, level set with the input's.
MODIFIED = "modified"

#: Colours from the lowest visible scale to 1; red and blue stay apart for colour-blind readers.
COLOURS = ("#cc3920", "#d9d9d9", "#4d6edf")
_CUBE_COLOUR = "#e69f00"
_SPREAD_COLOUR = "#444444"
_SPREAD_LEVEL = 0.15  # of the standard deviation of scale over classes, where the mesh is drawn

_SUFFIXES = (".mrc", ".map", ".ccp4", ".rec")
_COMPRESSED = (".gz", ".bz2", ".xz")
_PLAIN = re.compile(r"[A-Za-z0-9 _.,:()+=/-]")


def script_path(path, directory=None):
    """A file's path as the script names it: relative to the script's folder, with forward slashes.

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
        # ".." leads out of the folder where it really is, whatever links led into it
        folder, name = os.path.split(os.path.abspath(text))
        try:
            text = os.path.relpath(os.path.join(os.path.realpath(folder), name), os.path.realpath(directory))
        except ValueError:  # another drive
            text = os.path.abspath(text)
    text = text.replace(os.sep, "/")
    # "./" keeps "~", quotes and words with a meaning of their own ("browse") from the beginning of the name
    return text if os.path.isabs(text) or text.startswith(("./", "../")) else "./" + text


def cannot_open(path, directory=None):
    """Why ChimeraX could not open a file of this name from a script; None if it can.

    Parameters
    ----------
    path, directory
        As for `script_path`.

    Returns
    -------
    str or None
        Reason, and what to do, in one line.
    """
    text = script_path(path, directory)
    if text.lower().endswith(_COMPRESSED):
        return "ChimeraX opens maps only uncompressed (unpack it to see it there)"
    if not text.isprintable():
        return "the name holds characters that no ChimeraX command can hold (rename it)"
    if re.search(r'"(\s|;)', text):
        return "the name holds a double quote before a blank or a semicolon, which ends a name in ChimeraX (rename it)"
    if ";" in text and not re.search(r"\s", text):
        return "the name holds a semicolon, which ends a command in ChimeraX (rename it)"
    if re.search(r"\$[\w{]", text):
        return "the name holds a dollar sign, which ChimeraX takes for a variable (rename it)"
    return None


def cube(position, corner, tile, voxel_size):
    """The full-scale cube where ChimeraX shows the map.

    ChimeraX puts the centre of the first voxel at the map's position; a cube of voxels begins half a voxel before the
    centre of its first one.

    Parameters
    ----------
    position : (x, y, z)
        Å, of the map's first voxel (its origin, or else the start of its grid times the voxel size).
    corner : (z, y, x)
        Index of the cube's first voxel.
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
    """Inside the quotes of a label: all but the plainest characters escaped, "?" for what cannot be shown."""
    shown = (char if char.isprintable() else "?" for char in text)
    return "".join(char if _PLAIN.match(char) or ord(char) > 127 else f"\\x{ord(char):02x}" for char in shown)


def _comment(text):
    """In a comment, where a semicolon might begin a command."""
    return "".join(char if char.isprintable() else "?" for char in text).replace(";", "\\x3b")


def _number(value):
    return f"{float(value):.7g}"


def _models(numbers):
    return "#" + ",".join(map(str, numbers))


def _check_lowest(min_vis_scale):
    if not 0 <= min_vis_scale < 1:
        raise UsageError(f"lowest visible scale {min_vis_scale}: must be at least 0 and below 1")


def script(name, input_path, scale_path, others=(), *, version, directory=None, full_scale_box=None, level=None,
           min_vis_scale=0.2):
    """Text of chimX_<name>.cxc (to be written as UTF-8).

    Models are numbered in the order of opening: input, scale, the others. Shown are the maps of role `MODIFIED`, or
    the input if there is none; ``occshow N`` shows another one, ``occlevel L`` sets the level of all of them. A file
    that `cannot_open` refuses is left out, and a comment says so. If neither the input nor a modified map can be
    opened the scale is shown in its place.

    Parameters
    ----------
    name : str
        Of the map, for the title.
    input_path, scale_path : str or path-like
    others : sequence of (path, role)
        Further outputs; `MODIFIED` is the one role that means something, any other text is a description.
    version : str
        Of this program.
    directory : str or path-like, optional
        Folder of the script.
    full_scale_box : ((x, y, z), edge), optional
        Corner and edge in Å where ChimeraX shows the map, see `cube`.
    level : float, optional
        Density at which surfaces are drawn; None leaves it to ChimeraX.
    min_vis_scale : float
        Scale of the first colour, at least 0 and below 1.

    Returns
    -------
    str

    Raises
    ------
    UsageError
        `min_vis_scale` is no such number.
    """
    _check_lowest(min_vis_scale)
    opened, left_out = [], []
    for path, role in [(input_path, "input"), (scale_path, "scale"), *others]:
        reason = cannot_open(path, directory)
        if reason is None:
            opened.append((len(opened) + 1, script_path(path, directory), role))
        else:
            left_out.append((os.path.basename(os.fsdecode(path)), role, reason))
    scale = next((number for number, _, role in opened if role == "scale"), None)
    same_grey = [number for number, _, role in opened if role in ("input", MODIFIED)]
    shown = [number for number, _, role in opened if role == MODIFIED] or same_grey
    hidden = [number for number, _, _ in opened if number not in shown]
    if not shown and scale is not None:
        shown = [scale]
        hidden.remove(scale)

    lines = [f"# OccuPy {_comment(version)}: local scale of {_comment(name)}",
             "# Open this file in a new ChimeraX: models are numbered from #1."]
    lines += [f"#   #{number}  {_comment(role)}: {_comment(path)}" for number, path, role in opened]
    lines += [f"# Left out: {_comment(role)} {_comment(file)}: {_comment(reason)}" for file, role, reason in left_out]
    if same_grey:
        lines += ["# occlevel L   sets the level of " + _models(same_grey),
                  "# occshow N    shows one of them"]
    lines.append("")

    for _, path, _ in opened:
        suffix = "" if path.endswith(_SUFFIXES) else " format mrc"
        lines.append(f'open "{path}"{suffix}')
    if not opened:
        return "\n".join(lines)
    lines += ["set bgColor white", "camera ortho", "lighting soft"]
    # Surfaces are calculated at once: colours go to what is there, and before anything is hidden
    if same_grey:
        drawn = "" if level is None or not math.isfinite(level) else f" level {_number(level)}"
        lines.append(f"volume {_models(same_grey)} step 1{drawn} calculateSurfaces true")
    elif scale in shown:
        lines.append(f"volume {_models(shown)} step 1 level {_number(max(min_vis_scale, 0.05))} "
                     "calculateSurfaces true")
    if scale is not None:
        values = [min_vis_scale + (1 - min_vis_scale) * i / (len(COLOURS) - 1) for i in range(len(COLOURS))]
        palette = ":".join(f"{_number(v)},{c}" for v, c in zip(values, COLOURS, strict=True))
        lines += [f"color sample {_models([number])} map #{scale} palette {palette} range {_number(min_vis_scale)},1"
                  for number in same_grey or shown]
    if hidden:
        lines.append(f"hide {_models(hidden)} models")
    if full_scale_box is not None:
        lines += _box(full_scale_box, len(opened) + 1)
    if scale is not None:
        lines += _scale_key(values)
    lines.append(f'2dlabels text "{_label(name)}" size 16 xpos 0.03 ypos 0.94')
    if same_grey:
        lines += [f"alias occlevel volume {_models(same_grey)} level $1",
                  f"alias occshow hide {_models(same_grey)} models; show #$1 models"]
    lines += ["view", ""]
    return "\n".join(lines)


@dataclass(frozen=True)
class ShownClass:
    """One class for `classes_script`.

    Attributes
    ----------
    name : str
        As a person calls it: "class 1".
    input_path, scale_path : str
    modified_path : str or None
    level : float
        Density at which its surfaces are drawn.
    """

    name: str
    input_path: str
    scale_path: str
    modified_path: str | None
    level: float


def classes_script(name, classes, variance_path=None, *, version, directory=None, full_scale_box=None,
                   min_vis_scale=0.2):
    """Text of a script that opens several maps on a common scale, each coloured by its own.

    The first class is shown, the alias occclass shows another; a mesh marks where the classes differ.

    Parameters
    ----------
    name : str
        Of the whole, for the label.
    classes : sequence of ShownClass
    variance_path : str, optional
        Standard deviation of the scale over the classes.
    version, directory, full_scale_box, min_vis_scale
        As for `script`.

    Returns
    -------
    str

    Raises
    ------
    UsageError
        `min_vis_scale` is not at least 0 and below 1.
    """
    _check_lowest(min_vis_scale)
    paths, left_out = [], []

    def opened(path, what):
        """Number of the model, None if it cannot be opened."""
        if path is None:
            return None
        reason = cannot_open(path, directory)
        if reason is not None:
            left_out.append((os.path.basename(os.fsdecode(path)), what, reason))
            return None
        paths.append((script_path(path, directory), what))
        return len(paths)

    numbers = [(shown, opened(shown.input_path, f"{shown.name}: input"),
                opened(shown.modified_path, f"{shown.name}: modified"),
                opened(shown.scale_path, f"{shown.name}: scale")) for shown in classes]
    variance = opened(variance_path, "standard deviation of the scale over the classes")
    lines = [f"# OccuPy {_comment(version)}: local scale of {_comment(name)}, one scale for all classes",
             "# Open this file in a new ChimeraX: models are numbered from #1."]
    lines += [f"#   #{number}  {_comment(what)}: {_comment(path)}" for number, (path, what) in enumerate(paths, 1)]
    lines += [f"# Left out: {_comment(what)} {_comment(file)}: {_comment(reason)}" for file, what, reason in left_out]
    lines += ["# occclass N   shows model N instead of what is shown", ""]
    lines += [f'open "{path}"' + ("" if path.endswith(_SUFFIXES) else " format mrc") for path, _ in paths]
    if not paths:
        return "\n".join(lines)
    lines += ["set bgColor white", "camera ortho", "lighting soft"]
    values = [min_vis_scale + (1 - min_vis_scale) * i / (len(COLOURS) - 1) for i in range(len(COLOURS))]
    palette = ":".join(f"{_number(v)},{c}" for v, c in zip(values, COLOURS, strict=True))
    surfaces = []
    for shown, before, after, scale in numbers:
        own = [number for number in (after, before) if number is not None]
        if own:
            lines.append(f"volume {_models(own)} step 1 level {_number(shown.level)} calculateSurfaces true")
            if scale is not None:
                lines += [f"color sample #{number} map #{scale} palette {palette} range {_number(min_vis_scale)},1"
                          for number in own]
        surfaces += own[:1]
    others = [number for number in range(1, len(paths) + 1) if number not in (*surfaces[:1], variance)]
    if variance is not None:
        lines += [f"volume #{variance} step 1 level {_SPREAD_LEVEL:g} style mesh color {_SPREAD_COLOUR} "
                  "calculateSurfaces true"]
    if others:
        lines.append(f"hide {_models(others)} models")
    if full_scale_box is not None:
        lines += _box(full_scale_box, len(paths) + 1)
    lines += _scale_key(values)
    lines.append(f'2dlabels text "{_label(name)}" size 16 xpos 0.03 ypos 0.94')
    maps = [number for number in range(1, len(paths) + 1) if number != variance]
    lines += [f"alias occclass hide {_models(maps)} models; show #$1 models", "view", ""]
    return "\n".join(lines)


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


def _scale_key(values):
    """Commands that draw the key of the colours."""
    key = " ".join(f"{c}:{v:.2g}" for v, c in zip(values, COLOURS, strict=True))
    return [f"key {key} pos 0.68,0.08 size 0.28,0.03 fontSize 16",
            '2dlabels text "local scale" size 16 xpos 0.68 ypos 0.13']
