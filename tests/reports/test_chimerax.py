"""The ChimeraX script, read back by a small parser of the documented command syntax."""

import os
import pathlib
import re

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from occupy_jit.reports import chimerax
from occupy_jit.reports.chimerax import ERROR, FLEXIBILITY, MODIFIED, cannot_open, cube, script, script_path


def tokens(line):
    """Commands of a line, each a list of (token, was quoted), as the documentation says they are read."""
    commands, position = [[]], 0
    while position < len(line):
        char = line[position]
        if char.isspace():
            position += 1
        elif char == ";":
            commands.append([])
            position += 1
        elif char in "\"'":
            end = next(i for i in range(position + 1, len(line))
                       if line[i] == char and (i + 1 == len(line) or line[i + 1] == ";" or line[i + 1].isspace()))
            commands[-1].append((line[position + 1:end], True))
            position = end + 1
        else:
            end = position
            while end < len(line) and line[end] != ";" and not line[end].isspace():
                end += 1
            commands[-1].append((line[position:end], False))
            position = end
    return commands


def commands(text):
    """Commands of a script as lists of words; an alias keeps the rest of its line as one word."""
    text.encode("utf-8")
    found = []
    for line in re.split("[\n\r\x0b\x0c\x1c-\x1e\x85\u2028\u2029]", text):
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        if line.startswith("alias "):
            found.append(line.split(None, 2))
            continue
        for command in tokens(line):
            words = [word for word, _ in command]
            if words[0] == "open":
                words = parsed_again(words)
            found.append(words)
    return found


def parsed_again(words):
    """`open` quotes the name anew, only where a blank or a quote seems to need it, and parses the command again."""
    name = words[1]
    single = name.startswith("'") or re.search(r"'\s", name)
    double = name.startswith('"') or re.search(r'"\s', name)
    assert not (single and double), "cannot be quoted"
    quoted = f'"{name}"' if single or double or re.search(r"\s", name) else name
    again = tokens(" ".join(["open", quoted, *words[2:]]))
    assert len(again) == 1, "a second command"
    return [word for word, _ in again[0]]


def words_of(text, command):
    return [words for words in commands(text) if words[0] == command]


def test_all_is_opened_hidden_coloured_and_levelled():
    text = script("map", "map.mrc", "scale_map.mrc",
                  [("out_map.mrc", MODIFIED), ("conf_map.mrc", "confidence"), ("attn_map.mrc", MODIFIED)],
                  version="1.2", level=0.0125, min_vis_scale=0.2, full_scale_box=((1.0, -2.5, 30), 10.0))
    assert [w[1] for w in words_of(text, "open")] == ["./map.mrc", "./scale_map.mrc", "./out_map.mrc",
                                                     "./conf_map.mrc", "./attn_map.mrc"]
    assert words_of(text, "hide") == [["hide", "#1,2,4", "models"]]
    palette = "0.2,#cc3920:0.6,#d9d9d9:1,#4d6edf"
    assert words_of(text, "color") == [["color", "sample", f"#{n}", "map", "#2", "palette", palette, "range", "0.2,1"]
                                       for n in (1, 3, 5)]
    # of all maps the whole, as large ones are opened as a plane
    assert words_of(text, "volume") == [["volume", "#1,2,3,4,5", "region", "all", "step", "1", "style", "surface"],
                                        ["volume", "#1,3,5", "step", "1", "level", "0.0125", "calculateSurfaces",
                                         "true"]]
    assert ["alias", "occlevel", "volume #1,3,5 level $1"] in commands(text)
    key, = words_of(text, "key")
    assert key[1:4] == ["#cc3920:0.2", "#d9d9d9:0.6", "#4d6edf:1"]
    shape, = words_of(text, "shape")
    options = dict(zip(shape[2::2], shape[3::2], strict=True))
    # the cube lies where the box says: centre = corner + half the edge
    assert [float(v) for v in options["center"].split(",")] == [6, 2.5, 35]
    assert options["width"] == options["height"] == options["slab"] == "10" and options["mesh"] == "true"
    assert options["modelId"] == "#6"  # the five maps hold 1 to 5
    names = [words[0] for words in commands(text)]
    assert names.index("color") > names.index("volume") and names.index("hide") > names.index("color")


def test_one_can_colour_by_the_error_and_by_flexibility_and_back():
    text = script("m", "m.mrc", "scale_m.mrc", [("sd_m.mrc", ERROR), ("flex_m.mrc", FLEXIBILITY)], version="1")
    aliases = {line.split()[1]: line for line in text.splitlines() if line.startswith("alias ")}
    for name, number, ends in (("occerror", 3, "0,0.3"), ("occflex", 4, "-50,150"), ("occscale", 2, "0.2,1")):
        assert f"color sample #1 map #{number} palette" in aliases[name] and f"range {ends}; key " in aliases[name]
        assert f"# {name}" in text, "how to use it is said"
    alone = script("m", "m.mrc", "scale_m.mrc", [("conf_m.mrc", "confidence")], version="1")
    assert not any(name in alone for name in ("occerror", "occflex", "occscale"))


def test_maps_are_placed_as_the_run_takes_them_where_headers_say_otherwise():
    """The origin comes after the voxel size, which would scale it."""
    text = script("m", "m.mrc", "scale_m.mrc", version="1", level=1, grid=(1.05, (10.5, 0.0, -2.25)))
    assert words_of(text, "volume")[1:3] == [["volume", "#1,2", "voxelSize", "1.05"],
                                             ["volume", "#1,2", "origin", "10.5,0,-2.25"]]
    assert "voxelSize" not in script("m", "m.mrc", "scale_m.mrc", version="1", level=1)


def test_without_a_modification_the_input_is_shown():
    text = script("m", "m.map", "scale_m.mrc", version="1", level=1)
    assert words_of(text, "hide") == [["hide", "#2", "models"]] and not words_of(text, "shape")


@pytest.mark.parametrize("level", [None, float("nan"), float("inf")])
def test_without_a_level_chimerax_chooses_one(level):
    assert "level" not in words_of(script("m", "m.map", "s.mrc", version="1", level=level), "volume")[0]


def test_a_compressed_input_is_left_out_and_the_scale_shown():
    text = script("m", "m.map.gz", "scale_m.mrc", version="1", level=3.0)
    assert words_of(text, "open") == [["open", "./scale_m.mrc"]] and not words_of(text, "hide")
    assert "# Left out: input" in text and "level 3" not in text  # 3 is a density, not a scale
    assert "uncompressed" in cannot_open("m.map.gz")


def test_nothing_that_can_be_opened_is_still_a_script():
    assert commands(script("m", "a;b.mrc", "c;d.mrc", version="1")) == []


def test_unknown_suffixes_are_opened_as_mrc():
    opened = words_of(script("m", "m.MRC", "s.mrcs", [("x.rec", MODIFIED)], version="1"), "open")
    assert opened == [["open", "./m.MRC", "format", "mrc"], ["open", "./s.mrcs", "format", "mrc"], ["open", "./x.rec"]]


NAMES = ["plain.mrc", "two words.mrc", "it's.mrc", "'quoted'.mrc", 'say "so".mrc', '"all".mrc', "wörld Å 映像.mrc",
         "hash#1.mrc", "50%.mrc", "~tilde.mrc", "a; b.mrc", "it' s.mrc", "'a' b; c.mrc", "-i.mrc", "browse", "1abc",
         "emdb:1234.mrc", " lead and trail .mrc", "back\\slash\\n.mrc", "star*[1]?.mrc", "end\\", 'end"', "$.mrc",
         "a$ b"]


@pytest.mark.parametrize("name", NAMES)
def test_awkward_names_arrive_unchanged(name):
    assert cannot_open(name) is None
    opened = words_of(script(name, name, "scale.mrc", [(name, MODIFIED)], version="1"), "open")
    assert [os.path.normpath(words[1]) for words in opened] == [name, "scale.mrc", name]


@pytest.mark.parametrize("name", ["a;b.mrc", 'a" b.mrc', 'a";exit.mrc', "two\nlines.mrc", "tab\t.mrc", "$HOME.mrc",
                                  "${x}.mrc", "\udcff.mrc", "a\u2028exit.mrc", "a\x85b.mrc", "a\u00a0;b.mrc",
                                  "x.mrc.bz2", 'a b";exit.mrc'])
def test_names_that_cannot_be_expressed_are_refused_in_one_line(name):
    reason = cannot_open(name)
    assert reason and reason.isprintable()
    text = script(name, name, "scale.mrc", version="1")
    assert [words[1] for words in words_of(text, "open")] == ["./scale.mrc"]
    assert "# Left out: input" in text


NAME = st.text(st.one_of(st.sampled_from("ab \t\n'\"\\;#$~*%{}\u00a0\u2028"), st.characters(exclude_categories=())),
               min_size=1, max_size=12).filter(lambda s: s not in (".", "..") and "/" not in s and "\0" not in s)


@settings(deadline=None, max_examples=300)
@given(NAME, st.sampled_from([".mrc", ".map", "", " "]))
@example('";exit', "")
@example("\\", "")
def test_no_name_breaks_out_of_its_command(stem, suffix):
    name = stem + suffix
    plain = script("n", "n.mrc", "scale.mrc", version="1", level=1, full_scale_box=((0, 0, 0), 5))
    text = script(name, name, "scale.mrc", version="1", level=1, full_scale_box=((0, 0, 0), 5))
    if cannot_open(name) is None:
        assert [w[0] for w in commands(text)] == [w[0] for w in commands(plain)]
        assert words_of(text, "open")[0][1] == "./" + name
    else:
        assert {w[0] for w in commands(text)} <= {w[0] for w in commands(plain)}
        assert [w[1] for w in words_of(text, "open")] == ["./scale.mrc"]
    # whether a semicolon ends a comment does not matter where there is none
    assert not any(";" in line for line in text.splitlines() if line.startswith("#"))
    # the title holds the name, whatever it is, in one token that only escapes what would not show
    title = words_of(text, "2dlabels")[-1]
    shown = "".join(c if c.isprintable() else "?" for c in name)
    assert re.sub(r"\\x(..)", lambda m: chr(int(m[1], 16)), title[2]) == shown
    assert title[3:5] == ["size", "16"]


def test_paths_are_relative_to_the_scripts_folder(tmp_path):
    (tmp_path / "job" / "deep").mkdir(parents=True)
    (tmp_path / "maps").mkdir()
    assert script_path(tmp_path / "maps/a.mrc", tmp_path / "job") == "../maps/a.mrc"
    assert script_path(tmp_path / "job/a.mrc", tmp_path / "job") == "./a.mrc"
    assert script_path("x/a.mrc") == "./x/a.mrc" and script_path("/x/a.mrc") == "/x/a.mrc"
    # a folder reached through a link: ".." starts from where it really is
    (tmp_path / "link").symlink_to(tmp_path / "job" / "deep")
    path = script_path(tmp_path / "maps/a.mrc", tmp_path / "link")
    assert path == "../../maps/a.mrc"
    assert script_path(tmp_path / "link/a.mrc", tmp_path / "link") == "./a.mrc"


@settings(deadline=None)
@given(st.tuples(*[st.floats(-500, 500)] * 3), st.tuples(*[st.integers(0, 300)] * 3), st.integers(1, 60),
       st.floats(0.3, 5))
def test_the_cube_encloses_its_voxels_exactly(position, corner, tile, voxel_size):
    low, edge = cube(position, corner, tile, voxel_size)
    for p, first, start in zip(position, corner[::-1], low, strict=True):
        centres = [p + first * voxel_size, p + (first + tile - 1) * voxel_size]
        # rounding of a few operations on numbers below 2e3
        assert abs(centres[0] - start - voxel_size / 2) < 1e-9
        assert abs(start + edge - centres[1] - voxel_size / 2) < 1e-9


def test_the_module_is_stdlib_only():
    source = pathlib.Path(chimerax.__file__).read_text(encoding="utf-8")
    imported = set(re.findall(r"^(?:from|import) (\w+)", source, re.M))
    assert imported <= {"__future__", "collections", "dataclasses", "math", "os", "re", "typing", "occupy_jit"}
