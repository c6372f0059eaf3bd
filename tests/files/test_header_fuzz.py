"""Damaged maps: whatever is done to the bytes of a map, it is read or refused in words, and never anything else.

The suite tries 500, the same every time; ``FUZZ_EXAMPLES=20000 pytest tests/test_header_fuzz.py`` tries more.
"""

import bz2
import contextlib
import gzip
import io
import os
import resource
import signal
import struct
import tempfile
import warnings

import mrcfile
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from occupy_jit.errors import InputError
from occupy_jit.files.maps.mrc_header import HEADER_DTYPE
from occupy_jit.files.maps.reading import read_header, read_map
from occupy_jit.files.maps.writing import write_map
from tests.files.test_maps import build, values

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "500"))

# Guards against a hang, not measurements: the files have some 10 kB.
SECONDS = 60
GIGABYTES = 1.0

ODD_INTEGERS = st.one_of(
    st.sampled_from([0, 1, -1, 2, 3, 4, 7, 8, 9, 10, 11, 12, 16, 80, 101, 160, 255, 256, 400, 401, 630, 1024, 32768,
                     65535, 65536, 10**6, 2**24, 2**31 - 1, -2**31, 1065353216, 0x4D415020]),
    st.integers(-2**31, 2**31 - 1), st.integers(0, 40))
ODD_FLOATS = st.one_of(st.sampled_from([0.0, -0.0, 1.0, -1.0, 89.95, 90.0, 1e-45, 1e-30, 1e30, 3e38, float("inf"),
                                        -float("inf"), float("nan")]),
                       st.floats(width=32), st.floats(0, 500, width=32))


def leaves(dtype, at=0):
    """(offset, format) of every single number in the header."""
    for name in dtype.names:
        kind, offset = dtype.fields[name][:2]
        if kind.names:
            yield from leaves(kind, at + offset)
        elif kind in (np.dtype("i4"), np.dtype("f4")):
            yield at + offset, kind.char


LEAVES = list(leaves(HEADER_DTYPE))

set_field = st.sampled_from(LEAVES).flatmap(
    lambda leaf: st.tuples(st.just("field"), st.just(leaf), ODD_INTEGERS if leaf[1] == "i" else ODD_FLOATS))
set_bytes = st.tuples(st.just("bytes"), st.one_of(st.integers(0, 1023), st.integers(0, 9000)), st.binary(max_size=12))
cut = st.tuples(st.just("cut"), st.one_of(st.integers(0, 1100), st.integers(0, 9000)), st.none())
lengthen = st.tuples(st.just("lengthen"), st.integers(0, 200), st.binary(min_size=1, max_size=9))
swap_words = st.tuples(st.just("swap"), st.integers(0, 2300), st.integers(1, 300))
mutations = st.lists(st.one_of(set_field, set_field, set_field, set_bytes, cut, lengthen, swap_words), max_size=3)
damage = st.lists(st.one_of(set_bytes, cut, lengthen), max_size=2)


@st.composite
def files(draw):
    """The bytes of a small map, mutated, then perhaps compressed and damaged again."""
    mode = draw(st.sampled_from([0, 1, 2, 2, 2, 6, 12]))
    order = draw(st.sampled_from("<<>"))
    data = values((8, 9, 10), low=0)
    content = build(data, mode, order, draw(st.permutations((1, 2, 3))), draw(st.sampled_from([b"", b"ab" * 80])),
                    machst=draw(st.sampled_from([(0, 0, 0, 0), (0x44, 0x41, 0, 0), (0x11, 0x11, 0, 0)])))
    content = apply(content, draw(mutations), order)
    compress = draw(st.sampled_from([None, None, gzip.compress, bz2.compress]))
    if compress:
        content = apply(compress(content), draw(damage), order)
    return content


def apply(content, changes, order):
    content = bytearray(content)
    for kind, where, what in changes:
        if kind == "field":
            offset, form = where
            content[offset:offset + 4] = struct.pack(order + form, what)
        elif kind == "bytes":
            content[where:where + len(what)] = what
        elif kind == "cut":
            del content[where:]
        elif kind == "lengthen":
            content += what * where
        elif kind == "swap":
            piece = bytes(content[4 * where:4 * (where + what)])
            piece = piece[:len(piece) // 4 * 4]
            content[4 * where:4 * where + len(piece)] = np.frombuffer(piece, "<u4").astype(">u4").tobytes()
    return bytes(content)


@contextlib.contextmanager
def bounded():
    """Fails what takes a minute, and what asks for a gigabyte more than the process has."""
    def too_long(signum, frame):
        raise AssertionError(f"took more than {SECONDS} s")
    with open("/proc/self/statm") as statm:
        used = int(statm.read().split()[0]) * resource.getpagesize()
    limits = resource.getrlimit(resource.RLIMIT_AS)
    before = signal.signal(signal.SIGALRM, too_long)
    resource.setrlimit(resource.RLIMIT_AS, (used + int(GIGABYTES * 2**30), limits[1]))
    signal.alarm(SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
        resource.setrlimit(resource.RLIMIT_AS, limits)


@pytest.mark.slow
@settings(max_examples=EXAMPLES, derandomize=True, deadline=None, database=None,
          suppress_health_check=list(HealthCheck))
@given(files())
def test_every_damaged_file_is_read_or_refused(content):
    with tempfile.TemporaryDirectory() as directory, warnings.catch_warnings(), bounded():
        warnings.simplefilter("error")  # a numpy warning would end on the user's screen
        path, out = os.path.join(directory, "map.mrc"), os.path.join(directory, "out.mrc")
        with open(path, "wb") as file:
            file.write(content)
        try:
            header = read_header(path)
        except InputError as error:
            header = None
            check_message(error, path)
        try:
            loaded = read_map(path)
        except InputError as error:
            check_message(error, path)
            return
        assert header is not None and header.shape == loaded.data.shape
        assert loaded.data.dtype == np.float32 and np.isfinite(loaded.data).all() and min(loaded.data.shape) >= 8
        assert 0.01 <= loaded.voxel_size <= 1000
        assert all("\n" not in line for line in loaded.warnings)
        write_map(out, loaded.data, loaded, "copy")
        said = io.StringIO()
        assert mrcfile.validate(out, print_file=said), said.getvalue()
        again = read_map(out)
        assert again.data.tobytes() == loaded.data.tobytes()
        assert (again.axis_order, again.voxel_size) == (loaded.axis_order, loaded.voxel_size)


def check_message(error, path):
    text = str(error)
    assert text.startswith(path + ": ") and text.count("\n") <= 1 and text.isprintable() and len(text) < 500
