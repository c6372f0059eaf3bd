"""Which maps -i stands for."""

import os

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from occupy_jit.errors import InputError
from occupy_jit.runs.plan.inputs import expand, stem_of

NAMES = st.text(st.characters(blacklist_categories=("Cs", "Cc", "Zl", "Zp", "Zs")), min_size=1, max_size=20)


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def _touch(folder, *names):
    folder.mkdir(exist_ok=True)
    for name in names:
        (folder / name).write_bytes(b"")


def test_a_directory_gives_its_maps_in_order_of_name(here):
    _touch(here / "d", "b.mrc", "a.map.gz", "c.MRC", "d.rec.bz2", "e.ccp4", ".hidden.mrc", "notes.txt", "f.mrcs",
           "g.gz")
    (here / "d" / "folder.mrc").mkdir()
    assert expand(["z.mrc", "d"]).maps == ("z.mrc", *(os.path.join("d", n) for n in (
        "a.map.gz", "b.mrc", "c.MRC", "d.rec.bz2", "e.ccp4")))


def test_what_the_program_wrote_there_is_not_run_again(here):
    """Otherwise -i DIR --output-dir DIR would run on its own results the second time."""
    _touch(here / "d", "a.map.gz", "scale_a.mrc", "out_a.map", "factor_out_a.mrc", "scale_other.mrc", "out_.mrc")
    found = expand(["d"])
    assert [os.path.basename(p) for p in found.maps] == ["a.map.gz", "out_.mrc", "scale_other.mrc"]
    assert [os.path.basename(p) for p in found.ours] == ["factor_out_a.mrc", "out_a.map", "scale_a.mrc"]
    assert expand(["d/scale_a.mrc"]).maps == ("d/scale_a.mrc",), "what is named is run"


def test_lists(here):
    _touch(here / "d", "x.mrc", "y.mrc")
    (here / "list.txt").write_bytes("\ufeff# a comment\r\n b.mrc \r\n\r\nd\r\nä ö.mrc\n".encode())
    assert expand(["a.mrc", "@list.txt"]).maps == ("a.mrc", "b.mrc", "d/x.mrc", "d/y.mrc", "ä ö.mrc")
    (here / "@list.txt").write_bytes(b"")
    assert expand(["./@list.txt"]).maps == ("./@list.txt",)


@pytest.mark.parametrize("content, words", [
    (b"", "contains no names"), (b"# only\n\n", "contains no names"),
    (b"MAP \0\0", "leave the @ out"), (b"@other\n", "another")])
def test_lists_that_cannot_be_used(here, content, words):
    (here / "list.txt").write_bytes(content)
    with pytest.raises(InputError, match=words) as caught:
        expand(["@list.txt"])
    assert "list.txt" in str(caught.value) and "\n" not in str(caught.value)


def test_what_is_not_there(here):
    (here / "empty").mkdir()
    for name, words in (("@nowhere", "no such file"), ("@empty", "is a directory"), ("empty", "no map"),
                        ("@", "no such file")):
        with pytest.raises(InputError, match=words):
            expand([name])
    assert expand(["missing.mrc"]).maps == ("missing.mrc",), "told where the map is opened"


@given(st.lists(NAMES.filter(lambda name: name[0] not in "#@"), min_size=1, max_size=5))
def test_any_name_survives_a_list(tmp_path_factory, names):
    assume(not any(os.path.isdir(name) for name in names))  # / and .. stand for the maps in them
    path = tmp_path_factory.mktemp("list") / "list"
    path.write_bytes(b"\n".join(map(os.fsencode, names)) + b"\n")
    assert expand([f"@{path}"]).maps == tuple(names)


@pytest.mark.parametrize("name, stem", [("a.mrc", "a"), ("a.b.map.gz", "a.b"), ("a.MAP.BZ2", "a"), ("a.gz", None),
                                        (".mrc", None), ("a.txt", None), ("a.mrc.mrc", "a.mrc")])
def test_stems(name, stem):
    assert stem_of(name) == stem
