"""Maps: whatever other programs wrote is read right or refused in words, and what is written overlays its input."""

import bz2
import gzip
import hashlib
import itertools
import os
import pathlib
import subprocess
import sys
import textwrap
import threading
import time
import tracemalloc
import warnings

import mrcfile
import numpy as np
import pytest
from mrcfile.dtypes import HEADER_DTYPE as MRCFILE_HEADER_DTYPE

from occupy_jit.errors import InputError, OccupyError, UsageError
from occupy_jit.files.maps.maps import check_same_grid, map_from_array
from occupy_jit.files.maps.mrc_header import HEADER_DTYPE
from occupy_jit.files.maps.reading import read_header, read_map, read_mask
from occupy_jit.files.maps.writing import write_map
from occupy_jit.files.output.transaction import Outputs
from occupy_jit.files.streams import Stream
from tests.data_folder import FOLDER

DTYPES = {0: "i1", 1: "i2", 2: "f4", 6: "u2", 12: "f2"}
SHAPE = (9, 10, 12)  # sections, rows, columns; all different, so that a mixed-up axis cannot pass


def build(data, mode=2, order="<", axes=(1, 2, 3), extended=b"", **fields):
    """The bytes of a map file, assembled field by field; `data` is [section, row, column]."""
    stored = np.asarray(data).astype(order + DTYPES.get(mode, "f4"))
    header = np.zeros((), HEADER_DTYPE.newbyteorder(order))
    header["nz"], header["ny"], header["nx"] = stored.shape if stored.ndim == 3 else (1, *stored.shape)
    header["mode"], header["ispg"], header["nversion"], header["map"] = mode, 1, 20141, b"MAP "
    header["mapc"], header["mapr"], header["maps"] = axes
    extent = dict(zip(axes, header[["nx", "ny", "nz"]].item(), strict=True))
    for axis, name in enumerate("xyz", start=1):
        header["m" + name] = extent.get(axis, 10)
        header["cella"][name] = 1.5 * extent.get(axis, 10)
    header["cellb"] = (90, 90, 90)
    header["machst"] = (0x44, 0x44, 0, 0) if order == "<" else (0x11, 0x11, 0, 0)
    header["nsymbt"], header["exttyp"] = len(extended), b"CCP4" if extended else b""
    for name, value in fields.items():
        header[name] = value
    return header.tobytes() + extended + stored.tobytes()


def values(shape=SHAPE, seed=0, low=-100, high=100):
    """Whole numbers that every mode can hold."""
    return np.random.default_rng(seed).integers(low, high, shape).astype(np.float32)


@pytest.fixture
def put(tmp_path):
    def write(content, name="map.mrc"):
        path = tmp_path / name
        path.write_bytes(content)
        return str(path)
    return write


def valid(path):
    """mrcfile's opinion of a file, and what it printed."""
    import io
    said = io.StringIO()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return mrcfile.validate(path, print_file=said), said.getvalue()


def canonical(data, axes):
    """[section, row, column] to [z, y, x], written out as an index formula."""
    where = {axis: 2 - i for i, axis in enumerate(axes)}  # x, y, z -> dimension of the stored array
    return np.moveaxis(data, [where[3], where[2], where[1]], [0, 1, 2])


# What is read --------------------------------------------------------------------------------------------------------


def test_the_header_layout_is_that_of_mrcfile():
    assert HEADER_DTYPE == MRCFILE_HEADER_DTYPE


@pytest.mark.parametrize("mode", sorted(DTYPES))
@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("axes", list(itertools.permutations((1, 2, 3))))
def test_modes_byte_orders_and_axis_orders(put, mode, order, axes):
    data = values(low=0) if mode == 6 else values()
    path = put(build(data, mode, order, axes))
    loaded = read_map(path)
    assert loaded.data.dtype == np.float32 and loaded.data.flags.c_contiguous
    np.testing.assert_array_equal(loaded.data, canonical(data, axes))
    assert loaded.axis_order == axes
    assert loaded.voxel_size == pytest.approx(1.5, rel=1e-6)  # single precision in the header
    assert loaded.warnings == []
    assert (loaded.minimum, loaded.maximum) == (data.min(), data.max())
    header = read_header(path)
    assert header.shape == loaded.data.shape and header.nbytes == loaded.data.nbytes
    assert int(loaded.header["nx"]) == SHAPE[2] and int(loaded.header.nx) == SHAPE[2]


@pytest.mark.parametrize("shape", [(37, 21, 45), (32, 32, 45), (64, 16, 64)])  # without and with crowded strides
@pytest.mark.parametrize("axes", list(itertools.permutations((1, 2, 3))))
def test_maps_of_many_slabs(put, axes, shape, monkeypatch):
    monkeypatch.setattr("occupy_jit.files.maps.layout._SLAB_BYTES", 3000)
    data = np.random.default_rng(1).standard_normal(shape).astype(np.float32)
    loaded = read_map(put(build(data, order=">", axes=axes)))
    np.testing.assert_array_equal(loaded.data, canonical(data, axes))
    out = loaded.path + ".out"
    write_map(out, loaded.data, loaded, "copy")
    np.testing.assert_array_equal(np.fromfile(out, "<f4", offset=1024).reshape(data.shape), data)


def test_mode_0_is_signed_unless_the_header_statistics_say_otherwise(put):
    data = np.arange(9 * 10 * 12).reshape(SHAPE) % 256
    stored = data.astype(np.uint8).view(np.int8)
    assert read_map(put(build(stored, 0, dmin=-128, dmax=127))).data.min() == -128
    old = read_map(put(build(stored, 0, dmin=0, dmax=255, nversion=0)))
    np.testing.assert_array_equal(old.data, data)
    assert "unsigned" in old.warnings[0]


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("stamp", [(0, 0, 0, 0), (0x44, 0x44, 0, 0), (0x11, 0x11, 0, 0), (1, 2, 3, 4)])
@pytest.mark.parametrize("magic", [b"MAP ", b"", b"MAP\0"])
def test_the_byte_order_that_makes_sense_wins_over_the_stamp(put, order, stamp, magic):
    data = values()
    loaded = read_map(put(build(data, 2, order, machst=stamp, map=magic)))
    np.testing.assert_array_equal(loaded.data, data)


def test_unset_axes_and_angles_have_their_usual_meaning(put):
    content = build(values(), mapc=0, mapr=0, maps=0, cellb=(0, 0, 0))
    loaded = read_map(put(content))
    assert loaded.axis_order == (1, 2, 3)
    np.testing.assert_array_equal(loaded.data, values())


def test_voxel_size_is_cell_over_sampling_not_over_the_box(put):
    # A piece of a crystal: 12 x 10 x 9 voxels of a cell sampled 100 x 80 x 60.
    path = put(build(values(), mx=100, my=80, mz=60, cella=(200, 160, 120), ispg=19))
    assert read_map(path).voxel_size == 2


@pytest.mark.parametrize("compress", [gzip.compress, bz2.compress])
@pytest.mark.parametrize("name", ["map.mrc", "map", "a b.c.ü.map.gz"])
def test_compression_is_recognised_by_the_bytes(put, compress, name):
    data = values()
    content = build(data, 1, ">", (3, 1, 2), b"x" * 160)
    loaded = read_map(put(compress(content), name))
    np.testing.assert_array_equal(loaded.data, canonical(data, (3, 1, 2)))
    assert loaded.extended_header == b"x" * 160
    plain = read_map(put(content, "plain.map.gz"))
    np.testing.assert_array_equal(plain.data, loaded.data)


@pytest.mark.parametrize("compress", [gzip.compress, bz2.compress])
def test_compressed_in_several_members_padded_and_with_garbage_behind(put, compress):
    content = build(values())
    parts = b"".join(compress(content[i:i + 777]) for i in range(0, len(content), 777)) + compress(b"")
    assert read_map(put(parts)).warnings == []
    assert read_map(put(parts + bytes(1000))).warnings == []
    behind = read_map(put(parts + bytes(1000) + b"garbage"))
    np.testing.assert_array_equal(behind.data, values())
    assert compress is bz2.compress or "not" in behind.warnings[0]


@pytest.mark.parametrize("compress", [gzip.compress, bz2.compress])
@pytest.mark.parametrize("asked", [1, 13, 100, 4096, 1 << 20])
def test_compressed_data_in_pieces_of_any_size(put, compress, asked):
    # Long runs: the decompressor has taken all its input while most of the output is still inside it.
    content = bytes(20_000) + b"x" * 20_000 + bytes(range(256))
    found = bytearray()
    with Stream(put(compress(content))) as stream:
        piece = bytearray(asked)
        while count := stream.fill(piece):
            found += piece[:count]
        assert stream.finish() == 0 and stream.consumed == len(content)
    assert found == content


@pytest.mark.parametrize("compress", [None, gzip.compress, bz2.compress])
def test_bytes_behind_the_map_are_ignored_with_a_warning(put, compress):
    content = build(values()) + b"123"
    loaded = read_map(put(compress(content) if compress else content))
    assert "3 bytes longer" in loaded.warnings[0]


@pytest.mark.parametrize("compress", [None, gzip.compress])
def test_an_extended_header_that_is_promised_and_absent(put, compress):
    content = build(values(), nsymbt=160)
    loaded = read_map(put(compress(content) if compress else content))
    np.testing.assert_array_equal(loaded.data, values())
    assert loaded.extended_header == b"" and "160" in loaded.warnings[0]


def test_links_relative_names_and_files_that_are_open(put, tmp_path, monkeypatch):
    path = put(build(values()), "données 1.2.3")
    os.symlink("données 1.2.3", tmp_path / "link")
    monkeypatch.chdir(tmp_path)
    with open(path, "r+b"):
        np.testing.assert_array_equal(read_map("link").data, values())
    np.testing.assert_array_equal(read_map(pathlib.Path("données 1.2.3")).data, values())
    assert read_map("link").path == "link"


@pytest.mark.parametrize(("more", "size", "words"), [
    # the sampling of one voxel with the cell of the box; the cell of one voxel; nanometres; nothing to go by
    ({"cella": (12.6, 10.5, 9.45), "mx": 1, "my": 1, "mz": 1}, None, ("differ", "mx, my, mz 1, 1, 1",
     "likely 1.05 Å, if the cell is the whole box", "--voxel-size")),
    ({"cella": (1.05, 1.05, 1.05), "mx": 12, "my": 12, "mz": 12}, 0.0875, ("cell 1.05 x 1.05 x 1.05 Å",
     "mx, my, mz 12, 12, 12", "likely 0.875 Å, if the cell is in nm, or 1.05 Å, if the cell is one voxel",
     "--voxel-size")),
    ({"cella": (120.0, 100.0, 90.0), "mx": 1, "my": 1, "mz": 1}, None, ("differ", "--voxel-size")),
    ({"cella": (60.0, 60.0, 60.0), "mx": 1, "my": 1, "mz": 1}, 60, ("voxels of 60 Å are unlikely", "--voxel-size")),
])
def test_voxel_sizes_that_no_map_has_are_told(put, more, size, words):
    """Header and remedy in one line: cell, mx, the likely size and --voxel-size."""
    path = put(build(values(), **more))
    if size is None:
        with pytest.raises(InputError) as caught:
            read_map(path)
        said = str(caught.value)
    else:
        loaded = read_map(path)
        assert loaded.voxel_size == pytest.approx(size)
        said = loaded.warnings[0]
    assert all(word in said for word in words), said
    assert read_map(path, voxel_size=1.05).voxel_size == 1.05


def test_the_box_with_the_sampling_of_one_voxel_is_told_with_its_likely_size(put):
    """105 Å: the cell of 100 voxels of 1.05 Å, with mx of 1."""
    cube = np.arange(12.0**3).reshape(12, 12, 12)
    loaded = read_map(put(build(cube, cella=(12.6, 12.6, 12.6), mx=1, my=1, mz=1)))
    assert loaded.voxel_size == pytest.approx(12.6) and not loaded.warnings  # a tomogram may have it
    loaded = read_map(put(build(cube, cella=(126.0, 126.0, 126.0), mx=1, my=1, mz=1)))
    assert "voxels of 126 Å are unlikely (cell 126 x 126 x 126 Å, mx, my, mz 1, 1, 1; likely 10.5 Å" in \
        loaded.warnings[0]


def test_the_users_voxel_size_overrules_axes_that_differ(put):
    path = put(build(values(), cella=(18, 15, 13.8)))
    loaded = read_map(path, voxel_size=1.5)
    assert loaded.voxel_size == 1.5
    said = loaded.warnings[0]
    assert all(word in said for word in ("differ", "mx, my, mz", "cell 18 x 15 x 13.8 Å", "1.5 Å is used"))
    mask = read_mask(path, loaded)
    assert mask.voxel_size == 1.5


def test_the_voxel_size_option(put):
    content = build(values(), cella=(0, 0, 0))
    assert read_map(put(content), voxel_size=1.1).voxel_size == 1.1
    other = read_map(put(build(values())), voxel_size=1.1)
    assert other.voxel_size == 1.1 and "--voxel-size" in other.warnings[0]
    for wrong in (0, -1, float("nan"), float("inf"), 1e9):
        with pytest.raises(UsageError, match="--voxel-size"):
            read_map(put(content), voxel_size=wrong)


def test_checksum_is_that_of_the_file_as_it_lies_there(put, tmp_path, monkeypatch):
    monkeypatch.setattr("occupy_jit.files.checksum._PIECE", 1000)
    content = gzip.compress(build(values()))
    loaded = read_map(put(content), checksum=True)
    assert loaded.checksum.hexdigest() == hashlib.sha256(content).hexdigest()
    written = write_map(tmp_path / "o.mrc", loaded.data, loaded, "x", checksum=True)
    assert written.hexdigest() == hashlib.sha256((tmp_path / "o.mrc").read_bytes()).hexdigest()


@pytest.mark.parametrize("axes", [(1, 2, 3), (3, 2, 1), (2, 3, 1)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_what_is_hashed_while_it_is_written_piece_by_piece(put, tmp_path, monkeypatch, axes, dtype):
    loaded = read_map(put(build(values((33, 10, 40)), axes=axes)))
    assert loaded.axis_order == axes
    write_map(tmp_path / "whole.mrc", loaded.data, loaded, "x")
    monkeypatch.setattr("occupy_jit.files.maps.layout._SLAB_BYTES", 3000)
    monkeypatch.setattr("occupy_jit.files.checksum._PIECE", 1000)
    written = write_map(tmp_path / "pieces.mrc", loaded.data.astype(dtype), loaded, "x", checksum=True)
    content = (tmp_path / "pieces.mrc").read_bytes()
    assert content == (tmp_path / "whole.mrc").read_bytes()
    np.testing.assert_array_equal(read_map(tmp_path / "pieces.mrc").data, loaded.data)
    assert written.hexdigest() == hashlib.sha256(content).hexdigest()


def test_a_write_that_fails_ends_its_checksum(put, tmp_path, monkeypatch):
    loaded = read_map(put(build(values())))

    def fails(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("occupy_jit.files.maps.writing.slabs", fails)
    with pytest.raises(OccupyError, match="disk is full"):
        write_map(tmp_path / "o.mrc", loaded.data, loaded, "x", checksum=True)
    deadline = time.monotonic() + 30
    while any(thread.name == "checksum" for thread in threading.enumerate()):
        assert time.monotonic() < deadline, "the thread waits for more of the file"
        time.sleep(0.01)
    assert not (tmp_path / "o.mrc").exists()


@pytest.mark.slow
def test_memory_is_one_map_and_little_more(put, tmp_path):
    # 128^3 is 8.4 MB; int16 stored z fastest needs conversion and transposition, both through slabs (1 MB of int16
    # for 16 sections) and a block of statistics. A second copy of the map would add 8.4 MB.
    content = build(np.random.default_rng(0).integers(-99, 99, (128, 128, 128)), 1, ">", (3, 2, 1))
    for name, stored in (("plain.mrc", content), ("small.mrc", gzip.compress(content, 1))):
        path = put(stored, name)
        script = f"""
            import tracemalloc
            from occupy_jit.files.maps.reading import read_map
            from occupy_jit.files.maps.writing import write_map
            tracemalloc.start()
            loaded = read_map({path!r})
            reading = tracemalloc.get_traced_memory()[1]
            write_map({path + '.out'!r}, loaded.data, loaded, "loads the kernels")
            before, _ = tracemalloc.get_traced_memory()
            tracemalloc.reset_peak()
            write_map({path + '.out'!r}, loaded.data, loaded, "x")
            writing = tracemalloc.get_traced_memory()[1] - before
            print(reading / loaded.data.nbytes, 1 + writing / loaded.data.nbytes)
        """
        done = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], stdout=subprocess.PIPE, text=True,
                              check=True)
        assert max(map(float, done.stdout.split())) < 1.5


# What is refused -----------------------------------------------------------------------------------------------------

NAN = values()
NAN[2, 3, 4:6] = np.nan, np.inf

REFUSED = {
    "empty": (b"", "is empty"),
    "text": (b"loop_\n_rlnReferenceImage\n" * 100, "text"),
    "short text": (b"hello\n", "text"),
    "zeros": (bytes(5000), "zeros"),
    "noise": (np.random.default_rng(3).bytes(5000), "not an MRC map"),
    "cut in the header": (build(values())[:1000], "truncated: .*1024 bytes, this has 1000"),
    "cut in the data": (build(values())[:-1], "truncated: .*announces 5344 bytes .*there are 5343"),
    "cut, compressed": (gzip.compress(build(values())[:-100]), "truncated: .*announces 5344 bytes .*there are 5244"),
    "compressed, cut": (gzip.compress(build(values()))[:-9], "truncated|cut short"),
    "compressed twice": (gzip.compress(gzip.compress(build(values()) * 9)), "compressed twice"),
    "compressed, nothing": (gzip.compress(b""), "is empty"),
    "gzip, checksum": (gzip.compress(build(values()))[:-8] + b"12345678", "gzip data are damaged"),
    "bzip2, damaged": (bz2.compress(build(values()))[:-30] + bytes(30), "bzip2 data are damaged"),
    "hdf5": (b"\x89HDF\r\n\x1a\n" + bytes(2000), "HDF5"),
    "nx 0": (build(values(), nx=0), "wrong dimensions in the header: 0 x 10 x 9"),
    "ny negative": (build(values(), ny=-10), "wrong dimensions in the header: 12 x -10 x 9"),
    "nz huge": (build(values(), nz=2**31 - 1), "wrong dimensions in the header"),
    "nz too large": (build(values(), nz=10), "truncated: the header announces 5824 bytes .*there are 5344"),
    "mode 3": (build(values(), mode=3), r"mode 3 \(complex"),
    "mode 4": (build(values(), mode=4), r"mode 4 \(complex"),
    "mode 16": (build(values(), mode=16), r"mode 16 \(RGB"),
    "mode 7": (build(values(), mode=7), r"mode 7 \(unknown"),
    "image": (build(values((30, 30))), r"2-D image \(30 x 30\)"),
    "images": (build(values((20, 30, 30)), ispg=0, mz=1), r"stack of 20 2-D images \(30 x 30\)"),
    "volumes": (build(values((18, 9, 9)), ispg=401, mz=9), "holds 2 volumes"),
    "volumes undeclared": (build(values((27, 9, 9)), ispg=0, mz=9), "holds 3 volumes"),
    "volumes of no size": (build(values((27, 9, 9)), ispg=401, mz=0), "holds several volumes"),
    "voxel size 0": (build(values(), cella=(0, 0, 0)), "--voxel-size"),
    "voxel size nan": (build(values(), cella=(18, np.nan, 13.5)), "--voxel-size"),
    "voxel size negative": (build(values(), cella=(18, -15, 13.5)), "--voxel-size"),
    "voxels not cubes": (build(values(), cella=(18, 15, 13.8)), r"differ \(1.5 x 1.5 x 1.5333"),
    "angles": (build(values(), cellb=(90, 104, 90)), "cell angles are 90, 104, 90"),
    "angles nan": (build(values(), cellb=(90, 90, np.nan)), "cell angles"),
    "axes": (build(values(), mapc=1, mapr=1, maps=3), "1, 1, 3, not an order"),
    "nan": (build(NAN), r"2 of 1080 values are NaN or infinite, the first at \[z, y, x\] = \[2, 3, 4\]"),
    "nan, axes": (build(NAN, axes=(3, 2, 1)), r"first at \[z, y, x\] = \[4, 3, 2\]"),
    "infinity": (build(np.where(values() == 7, np.inf, values()), mode=12), "NaN or infinite"),
    "constant": (build(np.full(SHAPE, 3)), "every value is 3"),
    "absurd values": (build(values() * 1e30), "damaged"),
    "small": (build(values((9, 7, 12))), r"too small \(ny = 7\); at least 8"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused_in_one_line_that_names_file_and_fault(put, case):
    content, message = REFUSED[case]
    path = put(content, "some map.mrc")
    with pytest.raises(InputError, match=message) as caught:
        read_map(path)
    text = str(caught.value)
    assert text.startswith(path + ": ") and "\n" not in text and len(text) - len(path) < 240
    assert caught.value.exit_status == 3


def test_what_is_no_file_is_refused(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    os.symlink("nowhere", tmp_path / "dangling")
    os.symlink("circle", tmp_path / "circle")
    for name, message in (("absent.mrc", "no such file"), ("", "is a directory"), ("pipe", "pipe or a device"),
                          ("dangling", "link to a file that does not exist"), ("circle", "link"), ("a\0b", "file name"),
                          ("x" * 300, "name too long|no such file")):
        with pytest.raises(InputError, match="(?i)" + message):
            read_map(os.path.join(tmp_path, name))


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_unreadable(put):
    path = put(build(values()))
    os.chmod(path, 0)
    with pytest.raises(InputError, match="permission"):
        read_map(path)


def test_unreadable_in_other_words(put, monkeypatch):
    def refuse(*args, **kwargs):
        raise PermissionError(13, "Permission denied")
    path = put(build(values()))
    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(InputError, match="no permission"):
        read_map(path)


def test_odd_names_stay_on_one_line(tmp_path):
    with pytest.raises(InputError) as caught:
        read_map(tmp_path / "a\nb.mrc")
    assert "\n" not in str(caught.value) and "a\\nb.mrc" in str(caught.value)


@pytest.mark.parametrize("compress", [gzip.compress, bz2.compress])
def test_a_bomb_is_refused_before_it_goes_off(put, compress):
    content = build(values())
    path = put(compress(content + bytes(50_000_000)))
    tracemalloc.start()
    try:
        with pytest.raises(InputError, match="expand to more"):
            read_map(path)
        assert tracemalloc.get_traced_memory()[1] < 10_000_000
    finally:
        tracemalloc.stop()
    with Stream(path) as stream:
        assert stream.fill(bytearray(len(content))) == len(content)
        with pytest.raises(InputError, match="expand to more"):
            stream.finish()
        # of the file itself, which holds much more, no more was asked for than the excess takes
        assert stream.consumed == len(content)


def test_a_small_file_that_promises_much_is_refused_at_once(put):
    header = build(values(), nx=20_000, ny=20_000, nz=20_000)[:1024]
    with pytest.raises(InputError, match="more than this gzip file can contain"):
        read_map(put(gzip.compress(header + bytes(100_000))))


def test_not_enough_memory_is_said_in_words(put, monkeypatch):
    def none_left(*args):
        raise MemoryError
    path = put(build(values()))
    monkeypatch.setattr("numpy.empty", none_left)
    with pytest.raises(OccupyError, match="not enough memory") as caught:
        read_map(path)
    assert caught.value.exit_status == 1


# What is written -----------------------------------------------------------------------------------------------------

CARRIED = ("nx", "ny", "nz", "nxstart", "nystart", "nzstart", "mx", "my", "mz", "cella", "cellb", "mapc", "mapr",
           "maps", "ispg", "nsymbt", "extra1", "exttyp", "nversion", "extra2", "origin")
SYMMETRY = (b"X,  Y,  Z".ljust(80) + b"-X,  Y,  -Z".ljust(80))


def header_of(path):
    """The header of an output, as a 0-d array, so that every field keeps all its bytes."""
    return np.fromfile(path, HEADER_DTYPE.newbyteorder("<"), 1).astype(HEADER_DTYPE).reshape(())


def compare_headers(source, target, carried=CARRIED):
    """Field by field, in bytes, so that NaN equals NaN."""
    for name in carried:
        assert source[name].tobytes() == target[name].tobytes(), name


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("axes", list(itertools.permutations((1, 2, 3))))
def test_header_and_data_carry_over(put, tmp_path, order, axes):
    data = values()
    path = put(build(data, 2, order, axes, SYMMETRY, nxstart=-3, nystart=40, nzstart=5, origin=(1.5, -2.25, 3),
                     ispg=19, extra1=b"12345678", extra2=bytes(range(84)), nversion=20140, nlabl=2,
                     label=[b"first", b"second \xe9"] + [b""] * 8))
    loaded = read_map(path)
    write_map(tmp_path / "out.mrc", loaded.data, loaded, "occupy_jit 0: what was done")
    content = (tmp_path / "out.mrc").read_bytes()
    target = header_of(tmp_path / "out.mrc")
    compare_headers(loaded.header, target)
    assert content[1024:1184] == SYMMETRY
    np.testing.assert_array_equal(np.frombuffer(content, "<f4", offset=1184).reshape(SHAPE), data)
    assert target["mode"] == 2 and target["machst"].tolist() == [0x44, 0x44, 0, 0] and target["map"] == b"MAP "
    assert target["nlabl"] == 3
    assert target["label"][:4].tolist() == [b"first", b"second \xe9", b"occupy_jit 0: what was done", b""]
    assert valid(tmp_path / "out.mrc")[0], valid(tmp_path / "out.mrc")[1]
    again = read_map(tmp_path / "out.mrc")
    np.testing.assert_array_equal(again.data, loaded.data)
    assert again.position == loaded.position and again.voxel_size == loaded.voxel_size


def test_statistics_are_those_of_the_data(tmp_path):
    data = np.random.default_rng(5).standard_normal((50, 60, 70), dtype=np.float32) * 3 + 1e4
    like = map_from_array(np.zeros_like(data), 2.0)
    write_map(tmp_path / "o.mrc", data, like, "x")
    header = header_of(tmp_path / "o.mrc")
    exact = data.astype(np.float64)
    assert (header["dmin"], header["dmax"]) == (data.min(), data.max())
    # The sums are exact to some 1e-12; the fields are single precision.
    assert header["dmean"] == np.float32(exact.mean())
    assert header["rms"] == pytest.approx(exact.std(), rel=2**-23)


@pytest.mark.parametrize("fields, changed", [
    ({"ispg": -5}, {"ispg": 1}),
    ({"ispg": 1065353216}, {}),
    ({"mx": -12}, {"mx": 12}),
    ({"nversion": 63}, {"nversion": 20141}),
    ({"map": b"", "machst": (0, 0, 0, 0)}, {}),
    ({"mapc": 0, "mapr": 0, "maps": 0}, {"mapc": 1, "mapr": 2, "maps": 3}),
    ({"nlabl": 10}, {}),
    ({"nlabl": -3, "label": [b"kept", b"", b"text", b"\x01\xb7"] + [b""] * 6}, {}),
    ({"exttyp": b"\xb5\x90\x00^"}, {}),
    ({"cellb": (0, 0, 0)}, {}),
    ({"dmin": np.nan, "dmax": np.nan, "dmean": np.nan, "rms": np.nan}, {}),
    ({"origin": (np.nan, 0, 0)}, {}),
])
def test_every_output_is_valid_and_says_what_it_changed(put, tmp_path, fields, changed):
    loaded = read_map(put(build(values(), **fields)))
    write_map(tmp_path / "out.mrc", loaded.data, loaded, "x")
    ok, said = valid(tmp_path / "out.mrc")
    assert ok, said
    target = header_of(tmp_path / "out.mrc")
    compare_headers(loaded.header, target, [n for n in CARRIED if n not in changed])
    for name, value in changed.items():
        assert target[name] == value
    if "ispg" in fields or "mx" in fields:
        assert any(str(value) in line for value in fields.values() for line in loaded.warnings)


@pytest.mark.parametrize("extended, exttyp, written", [(SYMMETRY, b"", b"CCP4"), (b"\xff" * 100, b"", b"MRCO"),
                                                       (b"\xff" * 80, b"\xb5\x90\x00^", b"MRCO"),
                                                       (b"a" * 10, b"SERI", b"SERI")])
def test_the_type_of_an_extended_header_is_made_valid(put, tmp_path, extended, exttyp, written):
    loaded = read_map(put(build(values(), extended=extended, exttyp=exttyp)))
    write_map(tmp_path / "out.mrc", loaded.data, loaded, "x")
    assert valid(tmp_path / "out.mrc")[0]
    with mrcfile.open(tmp_path / "out.mrc") as out:
        assert out.header.exttyp == written and out.extended_header.tobytes() == extended
        np.testing.assert_array_equal(out.data, values())


def test_labels_close_ranks_and_lose_what_was_left_in_memory(put, tmp_path):
    # nlabl says 1; past it a readable label is kept, bytes that are no text are not.
    label = [b"\xe9 one", b"", b"two", b"\x01\xb7", b"   "] + [b""] * 5
    loaded = read_map(put(build(values(), nlabl=1, label=label)))
    write_map(tmp_path / "o.mrc", loaded.data, loaded, "three")
    header = header_of(tmp_path / "o.mrc")
    assert header["label"].tolist() == [b"\xe9 one", b"two", b"three"] + [b""] * 7 and header["nlabl"] == 3


def test_labels_append_and_replace_the_last_when_full(put, tmp_path):
    old = [f"label {i}".encode() for i in range(10)]
    loaded = read_map(put(build(values(), nlabl=10, label=old)))
    write_map(tmp_path / "o.mrc", loaded.data, loaded, "é" + "x" * 100, "and more")
    assert header_of(tmp_path / "o.mrc")["label"].tolist() == old[:8] + [b"?" + b"x" * 79, b"and more"]


def test_maps_made_from_arrays(tmp_path):
    data = np.asfortranarray(np.random.default_rng(0).standard_normal((8, 9, 10)))
    made = map_from_array(data, 1.25)
    assert made.data.dtype == np.float32 and made.data.flags.c_contiguous
    write_map(tmp_path / "o.mrc", made.data, made, "made")
    assert valid(tmp_path / "o.mrc")[0]
    back = read_map(tmp_path / "o.mrc")
    np.testing.assert_array_equal(back.data, data.astype(np.float32))
    assert back.voxel_size == 1.25
    for wrong in (data[0], data.astype(complex), [["a"]]):
        with pytest.raises(TypeError):
            map_from_array(wrong, 1)


def test_the_input_is_never_overwritten(put, tmp_path):
    content = build(values())
    path = put(content)
    loaded = read_map(path)
    os.symlink(path, tmp_path / "alias")
    os.link(path, tmp_path / "twin")
    for name in ("map.mrc", "alias", "twin"):
        with pytest.raises(UsageError, match="is the input"):
            write_map(tmp_path / name, loaded.data, loaded, "x")
    assert (tmp_path / "map.mrc").read_bytes() == content
    assert sorted(os.listdir(tmp_path)) == ["alias", "map.mrc", "twin"]


def test_results_with_nan_are_not_written(tmp_path):
    like = map_from_array(values(), 1)
    data = values()
    data[5, 5, 5] = np.nan
    with pytest.raises(OccupyError, match="NaN"):
        write_map(tmp_path / "o.mrc", data, like, "x")
    with pytest.raises(ValueError, match="shape"):
        write_map(tmp_path / "o.mrc", data[1:], like, "x")
    assert os.listdir(tmp_path) == []


def test_outputs_of_a_run_appear_together(tmp_path):
    like = map_from_array(values(), 1)
    with pytest.raises(ZeroDivisionError), Outputs() as outputs:
        write_map(tmp_path / "a.mrc", like.data, like, "x", outputs=outputs)
        assert not (tmp_path / "a.mrc").exists()
        raise ZeroDivisionError
    assert os.listdir(tmp_path) == []
    with Outputs() as outputs:
        write_map(tmp_path / "a.mrc", like.data, like, "x", outputs=outputs)
        write_map(tmp_path / "b.mrc", like.data, like, "x", outputs=outputs)
    assert sorted(os.listdir(tmp_path)) == ["a.mrc", "b.mrc"]


# The same grid -------------------------------------------------------------------------------------------------------


def test_masks_must_lie_on_the_grid_of_the_map(put):
    reference = read_map(put(build(values(), nxstart=-4, nystart=2, nzstart=6), "map.mrc"))
    same = put(build(values() > 0, 0, axes=(2, 1, 3), nxstart=2, nystart=-4, nzstart=6), "other axes.mrc")
    with pytest.raises(InputError, match="voxels"):  # 10 x 12 instead of 12 x 10
        read_mask(same, reference)
    by_origin = read_mask(put(build(values() > 0, 0, origin=(-6, 3, 9)), "origin.mrc"), reference)
    np.testing.assert_array_equal(by_origin.data, values() > 0)
    for fields, message in (({}, r"begins at 0.00, 0.00, 0.00 Å .* at -6.00, 3.00, 9.00 Å"),
                            ({"nxstart": -4, "nystart": 2, "nzstart": 6, "cella": (18.4, 15.33, 13.8)},
                             r"voxels of 1.53\d+ Å, .*map.mrc of 1.5 Å")):
        with pytest.raises(InputError, match=message):
            read_mask(put(build(values() > 0, 0, **fields), "mask.mrc"), reference)
    with pytest.raises(InputError, match=r"mask.mrc: has 12 x 10 x 8 voxels \(x, y, z\), .*map.mrc has 12 x 10 x 9"):
        read_mask(put(build(values()[1:]), "mask.mrc"), reference)


def test_a_mask_without_a_voxel_size_takes_the_maps(put):
    reference = read_map(put(build(values())))
    mask = read_mask(put(build(np.ones(SHAPE), 0, cella=(0, 0, 0)), "mask.mrc"), reference)
    assert mask.voxel_size == reference.voxel_size and "no usable voxel size" in mask.warnings[0]


def test_a_mask_agrees_with_the_header_of_the_map_where_the_user_gave_another_size(put):
    reference = read_map(put(build(values())), voxel_size=1.6)
    assert read_mask(put(build(values() > 0, 0), "mask.mrc"), reference).voxel_size == 1.6


def test_the_same_map_in_another_axis_order_is_the_same(put):
    one = read_map(put(build(values(), nxstart=1, nystart=2, nzstart=3)))
    other = read_map(put(build(values().transpose(2, 1, 0), axes=(3, 2, 1), nxstart=3, nystart=2, nzstart=1), "o"))
    np.testing.assert_array_equal(one.data, other.data)
    check_same_grid(one, other)


# Real files ----------------------------------------------------------------------------------------------------------

ODD = {
    "odd/3pqr-mode0.ccp4": "cell angles", "odd/EMD-3001.map": "cell angles", "odd/EMD-3001.map.bz2": "cell angles",
    "odd/EMD-3197.map": None, "odd/clean70SRibosome_vol_65p.mrc": "--voxel-size", "odd/emd_1186.map.gz": None,
    "odd/emd_21457_seg.mrc": None, "odd/emd_21457_seg_nstart.mrc": None, "odd/emd_21457_seg_orig0.mrc": None,
    "odd/emd_8216.map.gz": "cell angles", "odd/imp_garbage_ispg.mrc": None, "odd/int16_disvis.mrc": None,
    "odd/invalid_axes.mrc": "10, 11, 12", "masks/emd_3488_contour_mask.mrc.gz": None,
    "masks/pytom_softmask_100.mrc.gz": "--voxel-size", "maps/betagal_relion_100.mrc": None,
    "maps/emd_1066.map.gz": None, "maps/emd_11007.map": None, "maps/emd_1832.map": None, "maps/emd_1977.map.gz": None,
    "maps/emd_3488_MASKED.mrc": None, "maps/emd_5311.map.gz": None,
}


@pytest.mark.test_data
@pytest.mark.parametrize("name", ODD)
def test_real_and_odd_maps(name, tmp_path):
    path = str(FOLDER / "data" / name)
    if ODD[name] is not None:
        with pytest.raises(InputError, match=ODD[name]):
            read_map(path)
        if ODD[name] != "--voxel-size":
            return
    loaded = read_map(path, voxel_size=3.0 if ODD[name] else None)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with mrcfile.open(path, permissive=True) as known:
            np.testing.assert_array_equal(loaded.data, canonical(known.data, loaded.axis_order))
            write_map(tmp_path / "out.mrc", loaded.data, loaded, "copy")
            ok, said = valid(tmp_path / "out.mrc")
            assert ok, said
            with mrcfile.open(tmp_path / "out.mrc") as out:
                same = [field for field in CARRIED if field != "nversion"]
                compare_headers(known.header, out.header, same)
                np.testing.assert_array_equal(out.data, known.data.astype(np.float32))


@pytest.mark.test_data
def test_origin_and_start_place_the_same_map_alike():
    a, b = (read_map(FOLDER / "data" / "odd" / f"emd_21457_seg{suffix}.mrc") for suffix in ("", "_nstart"))
    check_same_grid(a, b)
    with pytest.raises(InputError, match="begins at"):
        check_same_grid(a, read_map(FOLDER / "data" / "odd" / "emd_21457_seg_orig0.mrc"))


@pytest.mark.test_data
def test_real_masks():
    reference = read_map(FOLDER / "data" / "maps" / "emd_3488_MASKED.mrc")
    with pytest.raises(InputError, match=r"has 91 x 91 x 100 voxels \(x, y, z\), .* has 100 x 100 x 100"):
        read_mask(FOLDER / "data" / "masks" / "emd_3488_contour_mask.mrc.gz", reference)
    mask = read_mask(FOLDER / "data" / "masks" / "pytom_softmask_100.mrc.gz", reference)
    assert mask.voxel_size == reference.voxel_size and mask.warnings


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("flags, signed", [(1, True), (0, False), (4, False), (5, True), (None, True)])
def test_bytes_are_signed_as_the_flags_of_imod_say(order, flags, signed, tmp_path):
    """Without its stamp as the standard has it; what is then all on one side of 0 is told with its range."""
    values = np.arange(16 ** 3).reshape(16, 16, 16) % 100 + 100
    write_map(tmp_path / "map.mrc", values.astype(np.float32), map_from_array(values.astype(np.float32), 1.0), "x")
    raw = bytearray((tmp_path / "map.mrc").read_bytes())[:1024]
    header = np.frombuffer(bytes(raw), HEADER_DTYPE.newbyteorder("<")).astype(HEADER_DTYPE.newbyteorder(order))
    header["mode"], header["dmin"], header["dmax"], header["nsymbt"] = 0, 0, -1, 0
    header["machst"] = [0x44, 0x44, 0, 0] if order == "<" else [0x11, 0x11, 0, 0]
    raw = bytearray(header.tobytes())
    if flags is not None:
        raw[152:160] = np.array([1146047817, flags], np.dtype(np.int32).newbyteorder(order)).tobytes()
    (tmp_path / "bytes.mrc").write_bytes(bytes(raw) + values.astype(np.uint8).tobytes())
    found = read_map(tmp_path / "bytes.mrc")
    wanted = values.astype(np.uint8).view(np.int8) if signed else values
    assert np.array_equal(found.data, wanted.astype(np.float32))
    assert any("flags of IMOD" in line for line in found.warnings) == (not signed)
    told = [line for line in found.warnings if "all of one sign" in line]
    assert bool(told) == (not signed) and all("from 100 to 199" in line for line in told)
