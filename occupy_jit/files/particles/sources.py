"""Numbers or assignment of the particles behind volumes, from RELION, cryoDRGN, cryoSPARC, or plain tables."""

from __future__ import annotations

import csv
import io
import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from occupy_jit.errors import InputError, UsageError
from occupy_jit.files.names.paths import shown
from occupy_jit.files.particles.pickles import read_pickle
from occupy_jit.files.particles.star_rows import StarRows, read_rows
from occupy_jit.files.streams import open_input

if TYPE_CHECKING:
    from collections.abc import Sequence

_CLASS = b"_rlnClassNumber"
_NUMPY = b"\x93NUMPY"


@dataclass
class Particles:
    """Particles behind volumes.

    Attributes
    ----------
    count : ndarray (volumes,), float64
        Of each volume, or its share if `whole` is False.
    whole : bool
        Whether counts are numbers of particles.
    volume : ndarray (particles,), int, or None
        Volume of each particle, -1 for none; None if only the numbers are known.
    star : StarRows or None
    table : ndarray or None
        From cryoSPARC (.cs), a row for each particle.
    by_index : bool
        Whether particles are numbered as in the input of cryoDRGN.
    """

    count: np.ndarray
    whole: bool = True
    volume: np.ndarray | None = None
    star: StarRows | None = None
    table: np.ndarray | None = None
    by_index: bool = False


def read_particles(paths: Sequence[str], volumes: Sequence[str]) -> Particles:
    """Read the particles behind the volumes.

    Parameters
    ----------
    paths : sequence of str
        A table of names and counts, a STAR file of RELION, labels of cryoDRGN (.pkl, .npy), particles of cryoSPARC
        (.cs); after labels also the file of their particles (.star or .cs).
    volumes : sequence of str
        Paths of all volumes, in order.

    Returns
    -------
    Particles

    Raises
    ------
    InputError
        A file cannot be read, or does not match the volumes.
    UsageError
        The files do not match each other.
    """
    read = [(path, *_read(path)) for path in paths]
    labels = [item for item in read if item[1] == "labels"]
    others = [item for item in read if item[1] != "labels"]
    if len(labels) > 1 or len(others) > 1:
        raise UsageError("--particles takes one file, or the labels of cryoDRGN followed by the file of its particles")
    if labels:
        return _labelled(labels[0], others[0] if others else None, volumes)
    path, kind, content = others[0]
    if kind == "counts":
        return Particles(_by_name(path, content, volumes))
    if kind == "star":
        if _CLASS not in content.columns:
            raise InputError(f"{shown(path)}: has no column {_CLASS.decode()}: it does not say which class a particle "
                             "is in; give the run_itNNN_data.star, or labels as well")
        numbers = np.array([_whole(text, path) for text in content.values(_CLASS)])
        index = _indices(numbers, volumes, path, first=1)
        return Particles(_counted(index, volumes), volume=index, star=content)
    if kind == "model":
        return Particles(np.array([content.get(os.path.basename(volume), np.nan) for volume in volumes])
                         if all(os.path.basename(volume) in content for volume in volumes)
                         else _in_order(path, list(content.values()), volumes), whole=False)
    index = _indices(_class_of(path, content), volumes, path, first=0)
    return Particles(_counted(index, volumes), volume=index, table=content)


def _read(path: str) -> tuple[str, Any]:
    """Kind of a file, and its content."""
    with open_input(path, "file of particles") as file:
        start = file.read(512)
    if start.startswith(_NUMPY):
        return _numpy(path)
    if start[:1] == b"\x80" or os.path.splitext(path)[1].lower() in (".pkl", ".pickle"):
        return "labels", _as_labels(path, read_pickle(path))
    if os.path.splitext(path)[1].lower() == ".star" or start.lstrip().startswith((b"data_", b"#")):
        shares = _class_shares(path)
        return ("model", shares) if shares else ("star", read_rows(path))
    return "counts", _counts(path)


def _numpy(path):
    try:
        found = np.load(path, allow_pickle=False)
    except (OSError, ValueError) as error:
        raise InputError(f"{shown(path)}: cannot be read as an array of NumPy: {error}") from error
    return ("labels", _as_labels(path, found)) if found.dtype.names is None else ("table", found)


def _as_labels(path, found):
    labels = np.asarray(found)
    if labels.ndim != 1 or labels.dtype.kind not in "iuf" or not len(labels):
        raise InputError(f"{shown(path)}: holds no list of labels, one whole number for each particle (labels.pkl of "
                         "cryodrgn analyze)")
    if labels.dtype.kind == "f" and not (labels == np.rint(labels)).all():
        raise InputError(f"{shown(path)}: the labels are not whole numbers")
    return labels.astype(np.int64)


def _counts(path):
    """Name -> count of a table with two columns."""
    with open_input(path, "table of particles") as file:
        raw = file.read()
    try:
        rows = [row for row in csv.reader(io.StringIO(raw.decode("utf-8-sig"))) if any(cell.strip() for cell in row)]
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{shown(path)}: is no table: {error}; give two columns, name and count") from error
    found = {}
    for number, row in enumerate(rows, 1):
        try:
            name, count = row[0].strip(), float(row[1])
        except (IndexError, ValueError):
            if number == 1:
                continue  # the heading
            raise InputError(f"{shown(path)}: line {number} is not a name and a count: {','.join(row)[:60]}") from None
        if not (np.isfinite(count) and count >= 0):
            raise InputError(f"{shown(path)}: line {number}: {row[1]} is not a number of particles")
        if name in found:
            raise InputError(f"{shown(path)}: {name} is listed twice")
        found[name] = count
    if not found:
        raise InputError(f"{shown(path)}: holds no rows of name and count")
    return found


def _by_name(path, counts, volumes):
    """Count of every volume, found by path, file name or name without suffix."""
    stem = {name: os.path.splitext(os.path.basename(name))[0] for name in counts}
    if len(set(stem.values())) < len(stem):
        stem = {}
    of_stem = {short: counts[name] for name, short in stem.items()}
    found = []
    for volume in volumes:
        base = os.path.basename(volume)
        for key, where in ((volume, counts), (base, counts), (os.path.splitext(base)[0], counts),
                           (os.path.splitext(base)[0], of_stem)):
            if key in where:
                found.append(where[key])
                break
        else:
            raise InputError(f"{shown(path)}: has no number of particles for {shown(volume)}")
    found = np.array(found, float)
    if not found.sum() > 0:
        raise InputError(f"{shown(path)}: all counts are 0")
    return found


def _class_shares(path):
    """Name of every reference and its share, of a model.star; empty for other STAR files."""
    with open_input(path, "STAR file") as file:
        if b"_rlnClassDistribution" not in file.read(1 << 20):
            return {}
    from occupy_jit.files.relion.star import read_classes

    model = read_classes(path)
    if any(entry.share is None for entry in model.classes):
        raise InputError(f"{shown(path)}: a class has no _rlnClassDistribution")
    return {os.path.basename(entry.reference): entry.share for entry in model.classes}


def _in_order(path, shares, volumes):
    if len(shares) != len(volumes):
        raise InputError(f"{shown(path)}: has {len(shares)} classes of other names than the {len(volumes)} volumes")
    return np.array(shares, float)


def _whole(text, path):
    try:
        return int(float(text))
    except ValueError:
        raise InputError(f"{shown(path)}: {text.decode(errors='replace')} is not the number of a class") from None


def _class_of(path, table):
    names = [name for name in table.dtype.names if name.endswith("/class")]
    names.sort(key=lambda name: name != "alignments3D/class")
    if not names:
        raise InputError(f"{shown(path)}: has no field alignments3D/class: it does not say which class a particle is "
                         "in; give the particles of a 3D classification, or labels as well")
    return table[names[0]].astype(np.int64)


def _indices(numbers, volumes, path, first):
    """Volume of each class number: by the number in its file name, else by order, from `first` on."""
    present = np.unique(numbers)
    present = present[present >= 0]
    named = [re.findall(r"\d+", os.path.splitext(os.path.basename(volume))[0]) for volume in volumes]
    in_names = [int(digits[-1]) if digits else -1 for digits in named]
    if len(set(in_names)) == len(volumes) and np.isin(present, in_names).all():
        place = {number: index for index, number in enumerate(in_names)}
    elif len(present) and first <= present[0] and present[-1] - first < len(volumes):
        place = {number: int(number) - first for number in present.tolist()}
    else:
        raise InputError(f"{shown(path)}: has particles of classes {present[0] if len(present) else '-'} to "
                         f"{present[-1] if len(present) else '-'}, which are not the numbers in the names of the "
                         f"{len(volumes)} volumes; give all volumes of that classification")
    table = np.full(int(present[-1]) + 1, -1)
    for number in present.tolist():
        table[number] = place[number]
    return np.where(numbers >= 0, table[np.maximum(numbers, 0)], -1)


def _counted(index, volumes):
    return np.bincount(index[index >= 0], minlength=len(volumes)).astype(float)


def _labelled(labels, others, volumes):
    """Labels of cryoDRGN with their particles."""
    path, _, numbers = labels
    index = _indices(numbers, volumes, path, first=0)
    found = Particles(_counted(index, volumes), volume=index, by_index=True)
    if others is None:
        return found
    other, kind, content = others
    if kind not in ("star", "table"):
        raise UsageError(f"--particles {shown(path)} {shown(other)}: after labels give the file of their particles "
                         "(.star or .cs)")
    if len(content) != len(numbers):
        raise InputError(f"{shown(path)}: has {len(numbers)} labels, {shown(other)} {len(content)} particles; give the "
                         "particles that were labelled (--ind of cryoDRGN leaves some out)")
    if kind == "star":
        found.star = content
    else:
        found.table = content
    return found
