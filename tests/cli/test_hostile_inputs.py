"""Inputs that could block the program or fill the memory: pipes, compressed bombs, endless lists."""

import bz2
import copy
import gzip
import json
import os
import subprocess
import time

import pytest

from occupy_jit.cli import main
from occupy_jit.errors import InputError
from occupy_jit.files import streams
from tests.command import SECONDS, command, environment, particle, run, run_here, write

CIF = b"data_x\nloop_\n_atom_site.id\n_atom_site.Cartn_x\n"


@pytest.fixture(scope="module")
def here(tmp_path_factory):
    """Directory with a map and a pipe without a writer."""
    environment()  # kernels are compiled before times are looked at
    folder = tmp_path_factory.mktemp("hostile")
    write(folder / "map.mrc", particle())
    os.mkfifo(folder / "pipe")
    return folder


@pytest.mark.parametrize("option", ["-i", "--solvent-def", "--target-mask", "--reference-mask", "--half-maps",
                                    "--model", "--relion-classes"])
def test_a_pipe_is_refused_at_once(option, here, tmp_path):
    """For any option: one line, long before the time limit of a pipe with readers."""
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
    with pytest.raises(InputError, match="is a pipe that received no data"):
        streams.read_text(str(here / "pipe"), "list", 100, pipe=True)
    with pytest.raises(InputError, match="is a pipe or a device"):
        streams.read_text("/dev/zero", "list", 100, pipe=True)


@pytest.mark.parametrize("start, words", [(b"", "does not begin as an atomic model"), (CIF, "expands to more than"),
                                          (CIF * (1 + (1 << 20) // len(CIF)), "binary data")],
                         ids=["zeros", "blanks", "zeros behind a start"])
def test_what_inflates_without_end_is_refused_early(start, words, tmp_path):
    """400 MB in half a MB, refused without use of time or memory."""
    pytest.importorskip("gemmi")
    filling = b" " if words.startswith("expands") else b"\0"
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
    with pytest.raises(InputError, match="is larger than 0 MB, too large for a list"):
        streams.read_text(str(path), "list", 5999)
    packed = tmp_path / "list.bz2"
    packed.write_bytes(bz2.compress(b"a.mrc\n" * 1000))
    assert streams.read_text(str(packed), "list", 6000, unpack=True) == path.read_bytes()
    packed.write_bytes(packed.read_bytes()[:-5])
    with pytest.raises(InputError, match="cut short"):
        streams.read_text(str(packed), "list", 6000, unpack=True)


@pytest.fixture(scope="module")
def record(here):
    """The record of a run."""
    assert run("-i", "map.mrc", "--amplify", "--output-dir", "recorded", cwd=here).returncode == 0
    return json.loads((here / "recorded" / "occupy_map.json").read_text())


@pytest.mark.parametrize("where, name, value, status, words", [
    ("settings", "amplify_gamma", 1e300, 2, "--amplify-gamma 1e+300: must be"),
    ("settings", "sigmoid_gamma", 1e300, 2, "--sigmoid-gamma 1e+300: must be"),
    ("settings", "lowpass_input_angstrom", 1e300, 2, "--lowpass-input 1e+300: must be"),
    ("settings", "lowpass_amplified_angstrom", 1e300, 2, "--lowpass-amplified 1e+300: must be"),
    ("settings", "pivot", 0.3, 2, "--pivot: has no effect without --sigmoid-gamma"),
    ("settings", "kernel_size", 4, 2, "--kernel-size 4: must be"),
    ("options", "threads", 10 ** 9, 2, "--threads 1000000000: must be"),
    ("options", "voxel_size", 1e300, 2, "--voxel-size 1e+300: must be"),
    ("options", "reference_mask", "a\0b", 3, "not a possible file name"),
    (None, "occupy_jit", "999", 3, "newer than this one"),
    (None, "occupy_jit", "0.999.1", 3, "newer than this one"),
    (None, "format", 999, 3, "newer version")])
def test_a_record_that_was_edited_is_checked_like_options(where, name, value, status, words, here, record, tmp_path,
                                                          capsys, monkeypatch):
    monkeypatch.chdir(here)
    edited = copy.deepcopy(record)
    (edited if where is None else edited[where])[name] = value
    (tmp_path / "edited.json").write_text(json.dumps(edited))
    assert main.main(["--rerun", str(tmp_path / "edited.json"), "--output-dir", str(tmp_path / "out")]) == status
    out, err = capsys.readouterr()
    assert words in err and err.count("\n") == 1 and err.startswith("OccuPy: error: ")
    assert not (tmp_path / "out").exists()


def test_a_list_of_absent_maps_is_told_in_ten_lines(here, tmp_path):
    (tmp_path / "list").write_text("".join(f"absent{number}.mrc\n" for number in range(3000)))
    ran = run_here("-i", f"@{tmp_path / 'list'}", "--output-dir", tmp_path / "out", cwd=here)
    lines = ran.stderr.splitlines()
    assert ran.returncode == 3 and len(lines) == 11
    assert lines[10] == "OccuPy: error: and 2990 more maps that cannot be used"
    assert len(ran.stdout.splitlines()) < 30


def test_a_star_file_of_more_maps_than_any_classification_has(tmp_path):
    pytest.importorskip("gemmi")
    from tests.classification import model_star

    (tmp_path / "run_it025_model.star").write_text(model_star([f"absent{k}.mrc" for k in range(20_000)]))
    begun = time.process_time()
    assert main.main(["--relion-classes", str(tmp_path / "run_it025_model.star")]) == 3
    assert time.process_time() - begun < 20
