"""STAR files of RELION: what is read, what is refused, and that only names change in what is written."""

import os
import re
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from occupy_jit.errors import InputError, UsageError
from occupy_jit.files.relion import class_maps, star
from tests.classification import model_star
from tests.data_folder import FOLDER

cif = pytest.importorskip("gemmi").cif


def written(tmp_path, text, name="run_it025_model.star"):
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return str(path)


def items(raw):
    """Everything in a STAR file, as (block, tag, values)."""
    found = []
    for block in cif.read_string(raw):
        for item in block:
            if item.loop is not None:
                found += [(block.name, tag, tuple(item.loop.values[column::len(item.loop.tags)]))
                          for column, tag in enumerate(item.loop.tags)]
            elif item.pair is not None:
                found.append((block.name, item.pair[0], (item.pair[1],)))
    return found


NAMES = ["Class3D/job012/run_it025_class001.mrc", "Class3D/job012/run_it025_class002.mrc"]


@pytest.mark.parametrize("version", ["", "30001", "50001"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_classes_are_read(tmp_path, version, end):
    text = model_star(NAMES, [0.75, 0.25], [4.5, 8.25], version).replace("\n", end)
    model = star.read_classes(written(tmp_path, text))
    assert [(c.number, c.reference, c.share, c.resolution) for c in model.classes] == [
        (1, NAMES[0], 0.75, 4.5), (2, NAMES[1], 0.25, 8.25)]
    assert model.stem == "run_it025"


def test_what_old_versions_lack_is_none(tmp_path):
    model = star.read_classes(written(tmp_path, model_star(NAMES, version="")))
    assert [c.resolution for c in model.classes] == [None, None]
    bare = star.read_classes(written(tmp_path, "data_\nloop_\n_rlnReferenceImage\na.mrc\nb.mrc\n", "list.star"))
    assert [(c.reference, c.share) for c in bare.classes] == [("a.mrc", None), ("b.mrc", None)]
    assert bare.stem == "list"


def test_numbers_that_make_no_sense_are_none(tmp_path):
    text = model_star(NAMES, [0.5, 0.5], [999.0, 5.0]).replace("    0.500000", "         nan", 1)
    model = star.read_classes(written(tmp_path, text))
    assert [(c.share, c.resolution) for c in model.classes] == [(None, None), (0.5, 5.0)]


@pytest.mark.parametrize("text, words", [
    (model_star(["000001@Class2D/run_it025_classes.mrcs", "000002@Class2D/run_it025_classes.mrcs"], dimensionality=2),
     "2D classification"),
    (model_star(NAMES, dimensionality=2), "2D classification"),
    ("data_optimiser_general\n_rlnModelStarFile Class3D/job1/run_it025_model.star\n",
     "Class3D/job1/run_it025_model.star"),
    ("data_particles\nloop_\n_rlnImageName\n1@a.mrcs\n", "_rlnReferenceImage"),
    ("data_model_classes\nloop_\n_rlnReferenceImage\n_rlnClassDistribution\n", "lists no classes"),
    ("data_model_classes\nloop_\n_rlnReferenceImage\n_rlnClassDistribution\na.mrc 1 b.mrc\n", "not a proper STAR"),
    ("no star file at all", "not a proper STAR"),
    (b"\0\1\2" * 1000, "is not a STAR file"),
    ("", "is empty"),
    (" \n\n", "is empty"),
])
def test_what_cannot_be_used_is_refused_in_a_line(tmp_path, text, words):
    with pytest.raises(InputError, match=words) as caught:
        star.read_classes(written(tmp_path, text))
    assert "run_it025_model.star" in str(caught.value) and "\n" not in str(caught.value)


def test_missing_file_and_directory(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        star.read_classes(tmp_path / "none.star")
    with pytest.raises(InputError, match="is a directory"):
        star.read_classes(tmp_path)


def test_without_gemmi_the_package_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "gemmi", None)
    with pytest.raises(UsageError, match=re.escape(f"{sys.executable} -m pip install gemmi")):
        star.read_classes(written(tmp_path, model_star(NAMES)))


# Rewriting -----------------------------------------------------------------------------------------------------------

BLANKS = st.sampled_from([" ", "  ", "\t", " \t "])
ENDS = st.sampled_from(["\n", "\r\n", " \n", "\n\n", "\n# _rlnReferenceImage loop_ data_x\n"])
BARE = st.from_regex(r"[A-Za-z0-9/][A-Za-z0-9_./'\"#@;-]{0,12}", fullmatch=True).filter(
    lambda word: not word.lower().startswith(("data_", "loop_", "save_", "stop_", "global_")))
QUOTED = st.sampled_from(["'a b.mrc'", '"c \'d\' e"', "'it's'", "'# no comment'", '"_rlnReferenceImage"', "''"])
NEW = st.from_regex(r"[A-Za-z0-9_#;.][A-Za-z0-9_./ '-]{0,15}", fullmatch=True)


@st.composite
def loops(draw):
    """Text of a STAR file, the bytes before, between and after the references, and the references."""
    columns = draw(st.integers(1, 4))
    at = draw(st.integers(0, columns - 1))
    tags = [f"_rlnOther{k}" for k in range(columns)]
    tags[at] = "_rlnReferenceImage"
    text = "# version 30001\n\ndata_model_general\n\n_rlnReferenceDimensionality 3\n"
    text += "_rlnText\n;loop_\n_rlnReferenceImage\n;\n"
    text += "data_model_classes\nloop_" + draw(ENDS)
    for number, tag in enumerate(tags, 1):
        text += tag + draw(st.sampled_from(["", f" #{number}", f" #{number} "])) + draw(ENDS)
    pieces, names = [], []
    for _ in range(draw(st.integers(1, 4))):
        for column in range(columns):
            if column == at:
                word = draw(st.one_of(BARE.filter(lambda w: "@" not in w), QUOTED))
                pieces.append(text)
                names.append(word)
                text = ""
            else:
                text += draw(st.one_of(BARE, QUOTED))
            text += draw(BLANKS) if column < columns - 1 else draw(ENDS)
    pieces.append(text + "data_model_class_1\nloop_\n_rlnReferenceImage\n_x\nother.mrc 1\n")
    return pieces, names


@settings(deadline=None, max_examples=150)
@given(loops(), st.data())
def test_only_names_change_whatever_the_layout(tmp_path_factory, made, data):
    pieces, words = made
    text = "".join(piece + word for piece, word in zip(pieces, [*words, ""], strict=True))
    model = star.read_classes(written(tmp_path_factory.mktemp("star"), text))
    assert [c.reference for c in model.classes] == [w[1:-1] if w[0] in "'\"" else w for w in words]
    new = data.draw(st.lists(st.one_of(st.none(), NEW), min_size=len(words), max_size=len(words)))
    raw = star.with_references(model, new)
    # every byte outside of the names is where it was
    rest = raw
    for piece, word, name in zip(pieces, [*words, ""], [*new, None], strict=True):
        assert rest.startswith(piece.encode())
        rest = rest[len(piece.encode()):]
        token = word if name is None else next(t for t in (name, f'"{name}"') if rest.startswith(t.encode()))
        assert rest.startswith(token.encode())
        rest = rest[len(token.encode()):]
    assert not rest
    # and another parser finds the new names there, and nothing else changed
    before, after = items(text.encode()), items(raw)
    expected = tuple(old if name is None else name for old, name in
                     zip((c.reference for c in model.classes), new, strict=True))
    for (block, tag, old), (block_after, tag_after, found) in zip(before, after, strict=True):
        assert (block, tag) == (block_after, tag_after)
        if (block, tag) == ("model_classes", "_rlnReferenceImage"):
            assert tuple(map(cif.as_string, found)) == expected
        else:
            assert found == old


def test_names_beyond_ascii_survive(tmp_path):
    text = model_star(["Klasse/größe_class001.mrc", "Klasse/größe_class002.mrc"]) + "# é\n"
    model = star.read_classes(written(tmp_path, text))
    assert model.classes[0].reference == "Klasse/größe_class001.mrc"
    raw = star.with_references(model, ["Å/1.mrc", None])
    assert raw.decode() == text.replace("Klasse/größe_class001.mrc", "Å/1.mrc")


def test_the_same_names_give_the_same_bytes(tmp_path):
    model = star.read_classes(written(tmp_path, model_star(NAMES)))
    assert star.with_references(model, NAMES) == star.with_references(model, [None, None]) == model.raw


@pytest.mark.test_data
def test_files_that_relion_wrote(tmp_path):
    used = 0
    for path in sorted((FOLDER / "data" / "star").glob("*.star")):
        raw = path.read_bytes()
        if b"_rlnReferenceImage" not in raw:
            with pytest.raises(InputError, match="_rlnReferenceImage"):
                star.read_classes(path)
            continue
        model = star.read_classes(path)
        names = [f"Occupy/out {c.number}.mrc" for c in model.classes]
        made = star.with_references(model, names)
        assert star.read_classes(written(tmp_path, made)).classes[0].reference == names[0]
        changed = [(old, new) for old, new in zip(raw.splitlines(), made.splitlines(), strict=True) if old != new]
        assert len(changed) == len(model.classes)
        for (old, new), c, name in zip(changed, model.classes, names, strict=True):
            assert old.replace(c.reference.encode(), f'"{name}"'.encode()) == new
        differing = [old[:2] for old, new in zip(items(raw), items(made), strict=True) if old != new]
        assert differing == [("model_classes", "_rlnReferenceImage")]
        used += 1
    assert used >= 3


# Finding the maps ----------------------------------------------------------------------------------------------------


def project(root, names=NAMES, star_name="Class3D/job012/run_it025_model.star", with_star=True):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(str(root / name).encode())
    path = root / star_name
    if with_star:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(model_star(NAMES))
    return path


def located(path):
    found = class_maps.locate(star.read_classes(str(path)))
    return found, [None if p is None else os.path.abspath(p) for p in found.paths]


def test_maps_are_found_from_anywhere(tmp_path, monkeypatch):
    path = project(tmp_path / "p")
    expected = [str(tmp_path / "p" / name) for name in NAMES]
    for folder in (tmp_path, tmp_path / "p", tmp_path / "p/Class3D", tmp_path / "p/Class3D/job012"):
        monkeypatch.chdir(folder)
        found, paths = located(os.path.relpath(path))
        assert paths == expected
        assert os.path.abspath(found.project) == str(tmp_path / "p")
        assert found.elsewhere is None


def test_a_star_file_elsewhere_takes_the_current_directory(tmp_path, monkeypatch):
    project(tmp_path / "p")
    path = project(tmp_path / "q", names=(), star_name="saved/model.star")
    monkeypatch.chdir(tmp_path / "p")
    found, paths = located(path)
    assert paths == [str(tmp_path / "p" / name) for name in NAMES] and found.project == os.curdir


def test_maps_beside_a_copied_star_file(tmp_path, monkeypatch):
    path = project(tmp_path / "copy", names=[os.path.basename(name) for name in NAMES], star_name="model.star")
    monkeypatch.chdir(tmp_path)
    found, paths = located(path)
    assert paths == [str(tmp_path / "copy" / os.path.basename(name)) for name in NAMES]
    assert "beside" in found.why


def test_the_star_files_own_project_wins_and_the_other_is_told(tmp_path, monkeypatch):
    # job numbers are the same in every project: maps of another must never be taken silently
    path = project(tmp_path / "mine")
    project(tmp_path / "other")
    monkeypatch.chdir(tmp_path / "other")
    found, paths = located(path)
    assert paths == [str(tmp_path / "mine" / name) for name in NAMES]
    assert os.path.abspath(found.elsewhere) == str(tmp_path / "other")


def test_missing_maps(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = project(tmp_path / "p", names=NAMES[1:])
    assert located(path)[1] == [None, str(tmp_path / "p" / NAMES[1])]
    with pytest.raises(InputError, match="none of its 2 class maps"):
        located(project(tmp_path / "empty", names=()))


def test_names_for_the_star_file(tmp_path):
    assert star.reference_name(tmp_path / "p/out/a.mrc", tmp_path / "p") == "out/a.mrc"
    assert star.reference_name(tmp_path / "q/a.mrc", tmp_path / "p") == str(tmp_path / "q/a.mrc")
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    assert star.reference_name(tmp_path / "link/out/a.mrc", tmp_path / "real") == "out/a.mrc"
    with pytest.raises(UsageError, match="no STAR file can hold this name"):
        star.reference_name(tmp_path / "a\nb.mrc", tmp_path)
