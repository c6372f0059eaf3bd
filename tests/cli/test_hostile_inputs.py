"""Inputs that would hold the program up or fill the memory: pipes, what inflates without end, endless lists."""

import bz2
import gzip
import os
import subprocess
import time

import pytest

from occupy_jit.errors import InputError
from occupy_jit.files import streams
from tests.command import SECONDS, command, environment, particle, run, write

CIF = b"data_x\nloop_\n_atom_site.id\n_atom_site.Cartn_x\n"


@pytest.fixture(scope="module")
def here(tmp_path_factory):
    """Directory with a map and a pipe that nobody writes to."""
    environment()  # kernels are compiled before times are looked at
    folder = tmp_path_factory.mktemp("hostile")
    write(folder / "map.mrc", particle())
    os.mkfifo(folder / "pipe")
    return folder


@pytest.mark.parametrize("option", ["-i", "--solvent-def", "--target-mask", "--reference-mask", "--half-maps",
                                    "--model", "--relion-classes"])
def test_a_pipe_is_refused_at_once(option, here, tmp_path):
    """Whatever it is given as: one line that says so, long before a pipe that is read would be given up."""
    if option in ("--model", "--relion-classes"):
        pytest.importorskip("gemmi")
    maps = [] if option in ("-i", "--relion-classes") else ["-i", "map.mrc"]
    names = ["map.mrc", "pipe"] if option == "--half-maps" else ["pipe"]
    maps = [] if option == "--half-maps" else maps
    begun = time.monotonic()
    ran = run(*maps, option, *names, "--output-dir", tmp_path / "out", cwd=here)
    assert time.monotonic() - begun < streams.PIPE_SECONDS / 2
    assert ran.returncode == 3, ran.stderr
    assert "pipe: is a pipe or a device, not a file" in ran.stderr and ran.stderr.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_a_pipe_in_the_place_of_a_record_is_no_finished_map(here, tmp_path):
    os.mkfifo(tmp_path / "occupy_map.json")
    ran = run("-i", "map.mrc", "--resume", "--output-dir", tmp_path, "--dry-run", cwd=here)
    assert ran.returncode == 0, ran.stderr
    ran = run("-i", "map.mrc", "--resume", "--output-dir", tmp_path, cwd=here)
    assert ran.returncode == 1 and "it is a device, not a file" in ran.stderr


def test_lists_and_records_may_come_through_a_pipe(here, tmp_path):
    script = f'{" ".join(command())} -i @<(sleep 1; echo map.mrc) --output-dir "$0" --dry-run'
    ran = subprocess.run(["bash", "-c", script, str(tmp_path)], cwd=here, env=environment(), capture_output=True,
                         text=True, timeout=SECONDS)
    assert ran.returncode == 0 and "map.mrc: 48 x 48 x 48 voxels" in ran.stdout, ran.stderr
    assert run("-i", "map.mrc", "--output-dir", tmp_path, cwd=here).returncode == 0
    script = f'{" ".join(command())} --rerun <(cat "$0"/occupy_map.json) --output-dir "$0" --dry-run'
    ran = subprocess.run(["bash", "-c", script, str(tmp_path)], cwd=here, env=environment(), capture_output=True,
                         text=True, timeout=SECONDS)
    assert ran.returncode == 0 and "map.mrc: 48 x 48 x 48 voxels" in ran.stdout, ran.stderr


def test_a_pipe_that_is_silent_is_given_up(here, monkeypatch):
    monkeypatch.setattr(streams, "PIPE_SECONDS", 0.2)
    with pytest.raises(InputError, match="is a pipe that nothing came through"):
        streams.read_text(str(here / "pipe"), "list", 100, pipe=True)
    with pytest.raises(InputError, match="is a pipe or a device"):
        streams.read_text("/dev/zero", "list", 100, pipe=True)


@pytest.mark.parametrize("start, words", [(b"", "does not begin as an atomic model"), (CIF, "inflates to more than"),
                                          (CIF * (1 + (1 << 20) // len(CIF)), "binary data")],
                         ids=["zeros", "blanks", "zeros behind a start"])
def test_what_inflates_without_end_is_refused_early(start, words, tmp_path):
    """400 MB in half a MB: neither time nor memory for them is spent."""
    pytest.importorskip("gemmi")
    filling = b" " if words.startswith("inflates") else b"\0"
    path = tmp_path / "model.cif.gz"
    with gzip.open(path, "wb", 1) as file:
        file.write(start)
        for _ in range(400):
            file.write(filling * (1 << 20))
    from occupy_jit.files.models.text import read_bytes

    begun = time.process_time()
    with pytest.raises(InputError, match=words):
        read_bytes(str(path))
    assert time.process_time() - begun < 5, "some 100 MB are inflated at most"


def test_what_is_too_large_is_refused_and_not_cut(tmp_path):
    path = tmp_path / "list"
    path.write_bytes(b"a.mrc\n" * 1000)
    assert len(streams.read_text(str(path), "list", 6000)) == 6000
    with pytest.raises(InputError, match="is larger than 0 MB, which no list is"):
        streams.read_text(str(path), "list", 5999)
    packed = tmp_path / "list.bz2"
    packed.write_bytes(bz2.compress(b"a.mrc\n" * 1000))
    assert streams.read_text(str(packed), "list", 6000, unpack=True) == path.read_bytes()
    packed.write_bytes(packed.read_bytes()[:-5])
    with pytest.raises(InputError, match="cut short"):
        streams.read_text(str(packed), "list", 6000, unpack=True)
