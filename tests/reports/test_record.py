"""The JSON record: what is written is what is read, and damaged or foreign files are refused in a line."""

import io
import json
import math
import pathlib
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from occupy_jit import __version__
from occupy_jit.errors import InputError
from occupy_jit.reports.record import FORMAT, read_record, write_record
from occupy_jit.settings import Settings


def written(record):
    file = io.StringIO()
    write_record(file, record)
    return file.getvalue()


def round_trip(record, tmp_path):
    (tmp_path / "r.json").write_text(written(record), encoding="utf-8")
    return read_record(tmp_path / "r.json")


def content(record):
    return {key: value for key, value in record.items() if key not in ("occupy_jit", "format")}


VALUES = st.recursive(st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
                      | st.text(st.characters(exclude_categories=())),
                      lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=15)


@pytest.mark.slow
@settings(deadline=None)
@given(st.dictionaries(st.text().filter(lambda k: k not in ("occupy_jit", "format", "not_finite")), VALUES))
def test_what_is_written_is_what_is_read(record):
    text = written(record)
    assert text.isascii() and text.endswith("}\n")
    # an independent reader; == on floats of JSON compares values, the bits are checked below
    read = json.loads(text)
    assert content(read) == record
    # the order of the keys is the given one, after the two of the program
    assert list(read) == ["occupy_jit", "format", *record]
    assert text == written(record)


@settings(deadline=None)
@given(st.floats(allow_nan=False, allow_infinity=False))
def test_floats_keep_their_bits(value):
    back = json.loads(written({"x": value, "a": np.array([value])}))
    assert struct.pack("<d", back["x"]) == struct.pack("<d", value) == struct.pack("<d", back["a"][0])


@settings(deadline=None)
@given(st.floats(width=32, allow_nan=False, allow_infinity=False))
def test_float32_keeps_its_bits(value):
    back = json.loads(written({"x": np.float32(value)}))["x"]
    assert np.float32(back).tobytes() == np.float32(value).tobytes()


def test_numpy_paths_and_settings_are_converted(tmp_path):
    record = {"i": np.int64(3), "b": np.bool_(True), "f": np.float64(0.1), "v": np.arange(6, dtype=np.float32),
              "m": np.eye(2, dtype=np.int32), "zero": np.array(2.5), "p": pathlib.Path("a/b.mrc"), "t": (1, "x"),
              "s": np.str_("name"), "settings": Settings(tau=0.5)}
    read = round_trip(record, tmp_path)
    assert read["i"] == 3 and read["b"] is True and read["f"] == 0.1 and read["v"] == [0, 1, 2, 3, 4, 5]
    assert read["m"] == [[1, 0], [0, 1]] and read["zero"] == 2.5 and read["p"] == "a/b.mrc" and read["t"] == [1, "x"]
    assert read["s"] == "name" and Settings(**read["settings"]) == Settings(tau=0.5)
    assert read["occupy_jit"] == __version__ and read["format"] == FORMAT == 1


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf, np.float32("nan"), np.float64("inf")])
def test_numbers_that_json_has_not_are_null_and_noted(bad, tmp_path):
    read = round_trip({"results": {"sigma": bad, "list": [1.0, bad], "array": np.array([bad, 2.0])}}, tmp_path)
    assert read["results"] == {"sigma": None, "list": [1.0, None], "array": [None, 2.0]}
    assert read["not_finite"] == {f"results/{where}": str(float(bad)) for where in ("sigma", "list/1", "array/0")}


def test_finite_records_have_no_note():
    assert "not_finite" not in json.loads(written({"x": 1.0}))


def test_a_record_that_was_read_can_be_written_again(tmp_path):
    first = round_trip({"x": 1.5, "occupy_jit": "0", "format": 99}, tmp_path)
    assert first["occupy_jit"] == __version__ and first["format"] == FORMAT
    assert round_trip(first, tmp_path) == first


@pytest.mark.parametrize("value", [{1, 2}, b"bytes", object(), 1j, np.array([1j]), {1: 2}])
def test_other_types_are_a_mistake_of_the_caller(value):
    with pytest.raises(TypeError):
        written({"x": value})


def test_lists_of_numbers_take_one_line():
    assert '"v": [1, 2, 3]' in written({"v": [1, 2, 3]}) and written({"v": list(range(1000))}).count("\n") < 8


FOREIGN = {"empty": b"", "list": b"[1, 2]", "a map": bytes(range(256)) * 8, "text": b"data_model\n", "other": b"{}",
           "no layout": b'{"occupy_jit": "1"}', "layout text": b'{"occupy_jit": "1", "format": "1"}',
           "layout true": b'{"occupy_jit": "1", "format": true}', "layout 0": b'{"occupy_jit": "1", "format": 0}',
           "version number": b'{"occupy_jit": 1, "format": 1}', "bytes": b'{"a": "\xff\xfe"}'}
DAMAGED = {"cut": b'{"occupy_jit": "1", "format": 1, "x": [1,', "nan": b'{"occupy_jit": "1", "format": 1, "x": NaN}',
           "deep": b'{"occupy_jit": "1", "x": ' + b"[" * 100000}


@pytest.mark.parametrize("raw, words", [*((raw, "is not a record of OccuPy") for raw in FOREIGN.values()),
                                        *((raw, "not valid JSON") for raw in DAMAGED.values()),
                                        (b'{"occupy_jit": "9.9\\n", "format": 2}', r"newer version ('9.9\n', lay")],
                         ids=[*FOREIGN, *DAMAGED, "newer"])
def test_files_that_cannot_be_used_are_refused_in_a_line(raw, words, tmp_path):
    path = tmp_path / "occupy_x.json"
    path.write_bytes(raw)
    with pytest.raises(InputError) as caught:
        read_record(path)
    message = str(caught.value)
    assert words in message and str(path) in message and "\n" not in message and "; " in message


def test_missing_files_and_directories_are_refused(tmp_path):
    for path, words in ((tmp_path / "none.json", "no such file"), (tmp_path, "is a directory"),
                        ("a\0b", "not a possible")):
        with pytest.raises(InputError, match=words):
            read_record(path)


def test_a_byte_order_mark_and_blanks_are_tolerated(tmp_path):
    (tmp_path / "r.json").write_bytes(b"\xef\xbb\xbf\r\n " + written({"x": 1}).encode())
    assert read_record(tmp_path / "r.json")["x"] == 1
