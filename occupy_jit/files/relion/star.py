"""The model.star of a RELION 3D classification: the maps of its classes, and a copy that names other maps.

gemmi parses (and checks the output); the copy changes only the bytes of the names,
so that every other byte is as RELION wrote it.
"""

import math
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from occupy_jit.errors import InputError, OccupyError, UsageError, missing_packages
from occupy_jit.files.names.paths import shown
from occupy_jit.files.streams import read_text

_REFERENCE = "_rlnReferenceImage"
_CLASSES = "model_classes"
_MOST_CLASSES = 1000
_MAX_BYTES = 1 << 28  # the largest model.star files have some MB; more is another file, given by mistake

# gemmi accepts only ASCII, RELION any byte: a placeholder of the same length keeps every position.
_TO_ASCII = bytes(byte if byte < 128 else ord("x") for byte in range(256))

# Comments, text fields (";" at the start of a line), quoted and bare values, as in CIF 1.1.
_TOKEN = re.compile(rb"""
    \#[^\r\n]*
  | ^;(?s:.*?)(?:\r\n|\r|\n);
  | '(?:[^'\r\n]|'(?![ \t\r\n]|\Z))*'(?=[ \t\r\n]|\Z)
  | "(?:[^"\r\n]|"(?![ \t\r\n]|\Z))*"(?=[ \t\r\n]|\Z)
  | [^ \t\r\n]+
""", re.VERBOSE | re.MULTILINE)
_NEEDS_QUOTES = re.compile(r"""[\s]|^['"#_$;\[\]]|^(?:data_|save_|loop_|stop_|global_)|^[.?]$""", re.IGNORECASE)


@dataclass(frozen=True)
class ModelClass:
    """One class in the STAR file.

    Attributes
    ----------
    number : int
        From 1, as RELION counts.
    reference : str
        Name of its map, relative to the project directory.
    share : float or None
        Of the particles, in [0, 1].
    resolution : float or None
        Estimated, in Å.
    """

    number: int
    reference: str
    share: float | None
    resolution: float | None


@dataclass(frozen=True)
class ClassModel:
    """A model.star, parsed.

    Attributes
    ----------
    path : str
    raw : bytes
        The file as it is.
    classes : tuple of ModelClass
    spans : tuple of (start, end)
        Positions of the names of the maps in `raw`.
    """

    path: str
    raw: bytes
    classes: tuple
    spans: tuple

    @property
    def stem(self) -> str:
        """str : run_it025 for run_it025_model.star."""
        base = os.path.basename(self.path)
        base = base[:-len(".star")] if base.lower().endswith(".star") else base
        return base[:-len("_model")] if base.lower().endswith("_model") and len(base) > len("_model") else base


def _gemmi_cif():
    try:
        from gemmi import cif
    except ImportError:
        raise missing_packages("a STAR file", "gemmi") from None
    return cif


# Reading -------------------------------------------------------------------------------------------------------------


def read_classes(path: str | os.PathLike[str]) -> ClassModel:
    """Read the classes of a 3D classification (or refinement) of RELION 1 to 5.

    Parameters
    ----------
    path : str or path-like
        run_itNNN_model.star, or any STAR file with a column _rlnReferenceImage.

    Returns
    -------
    ClassModel

    Raises
    ------
    InputError
        No such file, not a STAR file, without reference maps, or of a 2D classification.
    UsageError
        gemmi is not installed.
    """
    path = os.fsdecode(path)
    cif = _gemmi_cif()
    raw = _bytes_of(path)
    document = _parsed(cif, raw, path)
    index = _block_of_classes(document, path)
    block = document[index]
    table = block.find([_REFERENCE, "?_rlnClassDistribution", "?_rlnEstimatedResolution"])
    if len(table) > _MOST_CLASSES:
        raise InputError(f"{shown(path)}: lists {len(table)} maps, which are not classes of one classification (at "
                         f"most {_MOST_CLASSES}); give the run_itNNN_model.star of a 3D classification")
    spans = _reference_spans(raw, index)
    names = [os.fsdecode(_unquoted(raw[start:end])) for start, end in spans]
    if [raw[start:end].translate(_TO_ASCII) for start, end in spans] != [row[0].encode() for row in table]:
        raise InputError(f"{shown(path)}: the column {_REFERENCE} is laid out in a way that cannot be rewritten; run "
                         "on the maps themselves: -i MAP MAP --common-scale")
    if not names:
        raise InputError(f"{shown(path)}: lists no classes; give the run_itNNN_model.star of a finished iteration")
    _refuse_images(names, document, path)
    classes = tuple(ModelClass(number, name, _number(row, 1, 0, 1), _number(row, 2, 0, 990))
                    for number, (name, row) in enumerate(zip(names, table, strict=True), 1))
    return ClassModel(path, raw, classes, tuple(spans))


def _bytes_of(path):
    if os.path.isdir(path):
        raise InputError(f"{shown(path)}: is a directory; give the run_itNNN_model.star in it")
    raw = read_text(path, "STAR file", _MAX_BYTES)
    if not raw.strip():
        raise InputError(f"{shown(path)}: is empty; give the run_itNNN_model.star of a finished iteration")
    return raw


def _parsed(cif, raw, path):
    try:
        return cif.read_string(raw.translate(_TO_ASCII))
    except (ValueError, RuntimeError) as error:
        reason = " ".join(str(error).split())
        line = re.match(r"\w+:(\d+):\d+\(\d+\): (.*)", reason)
        reason = f"line {line[1]}: {line[2]}" if line else reason
        raise InputError(f"{shown(path)}: is not a proper STAR file ({reason}); give a run_itNNN_model.star, or copy "
                         "it again") from error


def _block_of_classes(document, path):
    """Index of the block with the references: model_classes, or else the first that has any."""
    found = [index for index, block in enumerate(document) if block.find([_REFERENCE]).width()]
    named = [index for index in found if document[index].name == _CLASSES]
    if found:
        return (named or found)[0]
    advice = "give the run_itNNN_model.star of a 3D classification"
    for block in document:
        model = block.find_value("_rlnModelStarFile")
        if model:
            advice = f"this is an optimiser file: give the model file that it names, {shown(_plain(model))}"
    raise InputError(f"{shown(path)}: has no column {_REFERENCE}; {advice}")


def _refuse_images(names, document, path):
    dimensions = [block.find_value("_rlnReferenceDimensionality") for block in document]
    image = next((name for name in names if "@" in name or name.lower().endswith(".mrcs")), None)
    if image is not None or "2" in dimensions:
        raise InputError(f"{shown(path)}: is a 2D classification (its references are images, {shown(image or names[0])}"
                         "); give the model.star of a 3D classification")


def _plain(value):
    from gemmi import cif

    return cif.as_string(value)


def _number(row, column, low, high):
    """Value of an optional column; None if it is absent, not a number, or implausible."""
    if not row.has(column):
        return None
    try:
        value = float(_plain(row[column]))
    except ValueError:
        return None
    return value if math.isfinite(value) and low <= value <= high else None


def _reference_spans(raw, wanted_block):
    """Positions of the values of the reference column in a block, given by its index."""
    spans, block, tags, count, state = [], -1, [], 0, "pairs"
    for token in _TOKEN.finditer(raw):
        text = token[0]
        if text.startswith(b"#"):
            continue
        word = text[:5].lower()
        if word == b"data_":
            block, state = block + 1, "pairs"
            if block > wanted_block:
                break
        elif block != wanted_block:
            continue
        elif text.lower() == b"loop_":
            tags, count, state = [], 0, "tags"
        elif text.startswith(b"_"):
            if state == "tags":
                tags.append(text)
            else:
                tags, count, state = [text], 0, "pairs"
        else:
            if state == "tags":
                state = "values"
            if tags and tags[count % len(tags)] == _REFERENCE.encode():
                spans.append(token.span())
            count += 1
    return spans


def _unquoted(value):
    if value[:1] in (b"'", b'"') and value[-1:] == value[:1] and len(value) > 1:
        return value[1:-1]
    return value


# Writing -------------------------------------------------------------------------------------------------------------


def reference_name(path: str, project: str) -> str:
    """Name of a map in a STAR file: relative to the project directory, or absolute if outside it.

    Raises
    ------
    UsageError
        A STAR file cannot contain the name.
    """
    folder, base = os.path.split(os.path.abspath(path))
    name = None
    for of in (os.path.abspath, os.path.realpath):
        relative = os.path.relpath(os.path.join(of(folder), base), of(project))
        if relative.split(os.sep)[0] != os.pardir:
            name = relative
            break
    if name is None:
        name = os.path.join(folder, base)
    if not name.isprintable() or ("'" in name and '"' in name and _NEEDS_QUOTES.search(name)):
        raise UsageError(f"{shown(path)}: no STAR file can hold this name; use another --output-dir")
    return name


def with_references(model: ClassModel, names: Sequence[tuple[Any, ...]]) -> bytes:
    """Bytes of the STAR file with other names of the maps, and otherwise unchanged.

    Parameters
    ----------
    model : ClassModel
    names : sequence of (str or None)
        One for every class; None leaves the name unchanged.

    Returns
    -------
    bytes

    Raises
    ------
    OccupyError
        The parsed result differs in more than the names; never observed.
    """
    pieces, end = [], 0
    for (start, stop), name in zip(model.spans, names, strict=True):
        pieces += [model.raw[end:start], model.raw[start:stop] if name is None else _token(name)]
        end = stop
    raw = b"".join([*pieces, model.raw[end:]])
    _check_only_names_differ(model, raw, names)
    return raw


def _token(name):
    text = os.fsencode(name)
    if not _NEEDS_QUOTES.search(name):
        return text
    quote = b'"' if b'"' not in text else b"'"
    return quote + text + quote


def _check_only_names_differ(model, raw, names):
    cif = _gemmi_cif()
    before, after = _parsed(cif, model.raw, model.path), _parsed(cif, raw, model.path)
    index = _block_of_classes(before, model.path)
    expected = [cls.reference if name is None else name for cls, name in zip(model.classes, names, strict=True)]
    found = [os.fsdecode(_unquoted(raw[start:end])) for start, end in _reference_spans(raw, index)]
    same = found == expected and len(before) == len(after)
    for number, (old, new) in enumerate(zip(before, after, strict=False)):
        same = same and old.name == new.name and _content(old, number == index) == _content(new, number == index)
    if not same:
        raise OccupyError(f"{shown(model.path)}: could not be rewritten with other reference names; run on the maps "
                          "themselves: -i MAP MAP --common-scale")


def _content(block, without_references):
    """Content of a block as lists; without the names of the maps, if these may differ."""
    items = []
    for item in block:
        if item.loop is not None:
            tags, values = list(item.loop.tags), list(item.loop.values)
            if without_references and _REFERENCE in tags:
                del values[tags.index(_REFERENCE)::len(tags)]
            items.append((tags, values))
        elif item.pair is not None:
            tag, value = item.pair
            items.append((tag, None if without_references and tag == _REFERENCE else value))
        else:
            items.append(None if item.frame is None else (item.frame.name, _content(item.frame, False)))
    return items


__all__ = ["ClassModel", "ModelClass", "read_classes", "reference_name", "with_references"]
