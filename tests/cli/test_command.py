"""The command in real processes: output, exit status and files."""

import bz2
import gzip
import itertools
import json
import os
import shutil
import stat
import subprocess
import sys

import mrcfile
import numpy as np
import pytest

from occupy_jit.files.maps.mrc_header import HEADER_DTYPE
from tests.command import DEMO, command, environment, listing, particle, run, run_here, troubles, values, write

LINE = "OccuPy: error: "


@pytest.fixture
def good(tmp_path):
    """A valid map, alone in the working directory of the runs."""
    here = tmp_path / "here"
    here.mkdir()
    return write(here / "good.mrc", particle())


def refused(ran, status):
    """Check that a run was refused in one or two clear lines and nothing else."""
    assert ran.returncode == status, ran.stderr
    assert ran.stderr.startswith(LINE) and ran.stderr.count("\n") <= 2, ran.stderr
    assert "Traceback" not in ran.stderr and "internal error" not in ran.stderr
    assert ran.stdout.count("\n") <= 1  # the title, where the data had to be read to see it


# --- invalid options and inputs ------------------------------------------------------------------------------


def no_such_file(folder):
    return [], "absent.mrc"


def a_text(folder):
    (folder / "text.mrc").write_text("this is no map\n" * 200)
    return [], "text.mrc"


def a_short_text(folder):
    (folder / "short.mrc").write_text("no map")
    return [], "short.mrc"


def a_directory(folder):
    (folder / "folder.mrc").mkdir()
    return [], "folder.mrc"


def an_empty_file(folder):
    (folder / "empty.mrc").touch()
    return [], "empty.mrc"


def a_truncated_map(folder):
    content = (folder / "good.mrc").read_bytes()
    (folder / "cut.mrc").write_bytes(content[:len(content) // 2])
    return [], "cut.mrc"


def a_truncated_gzip(folder):
    content = gzip.compress((folder / "good.mrc").read_bytes(), 1)
    (folder / "cut.mrc.gz").write_bytes(content[:-1000])
    return [], "cut.mrc.gz"


def a_dangling_link(folder):
    (folder / "link.mrc").symlink_to("nowhere.mrc")
    return [], "link.mrc"


def a_pipe(folder):
    os.mkfifo(folder / "pipe.mrc")
    return [], "pipe.mrc"


def values_not_finite(folder):
    data = particle()
    data[3, 4, 5] = np.nan
    data[40, 4, 5] = np.inf
    content = bytearray((folder / "good.mrc").read_bytes())
    content[1024:] = data.tobytes()
    (folder / "nan.mrc").write_bytes(content)
    return [], "nan.mrc: 2 of 110592 values are NaN or infinite, the first at [z, y, x] = [3, 4, 5]"


def a_constant_map(folder):
    content = bytearray((folder / "good.mrc").read_bytes())
    content[1024:] = bytes(len(content) - 1024)
    (folder / "constant.mrc").write_bytes(content)
    return [], "constant.mrc"


def no_voxel_size(folder):
    write(folder / "unscaled.mrc", particle(), cella=(0, 0, 0))
    return [], "--voxel-size"


def an_oblique_cell(folder):
    write(folder / "oblique.mrc", particle(), cellb=(90, 90, 120))
    return [], "120"


def a_complex_map(folder):
    content = bytearray((folder / "good.mrc").read_bytes())
    content[12:16] = (4).to_bytes(4, "little")
    (folder / "complex.mrc").write_bytes(content)
    return [], "complex.mrc"


def no_mask(folder):
    return ["--solvent-def", "absent_mask.mrc"], "absent_mask.mrc"


def no_target_mask(folder):
    return ["--target-mask", "absent_mask.mrc"], "absent_mask.mrc"


def a_mask_of_another_shape(folder):
    write(folder / "mask.mrc", particle(40))
    return ["--solvent-def", "mask.mrc"], "40 x 40 x 40"


def a_mask_of_another_voxel_size(folder):
    write(folder / "mask.mrc", particle(), 2.0)
    return ["--solvent-def", "mask.mrc"], "2 Å"


def a_mask_elsewhere(folder):
    write(folder / "mask.mrc", particle(), nxstart=10)
    return ["--solvent-def", "mask.mrc"], "15.00"


def a_mask_of_nothing(folder):
    write(folder / "mask.mrc", np.zeros((48, 48, 48), np.float32))
    return ["--solvent-def", "mask.mrc"], "solvent definition"


def no_reference_mask(folder):
    return ["--reference-mask", "absent_mask.mrc"], "absent_mask.mrc"


def an_empty_reference_mask(folder):
    write(folder / "mask.mrc", np.zeros((48, 48, 48), np.float32))
    return ["--reference-mask", "mask.mrc"], "mask.mrc: the reference mask is empty"


def a_reference_mask_of_another_shape(folder):
    write(folder / "mask.mrc", particle(40))
    return ["--reference-mask", "mask.mrc"], "40 x 40 x 40"


def a_small_reference_mask(folder):
    mask = np.zeros((48, 48, 48), np.float32)
    mask[20:28, 20:28, 20:28] = 1
    write(folder / "mask.mrc", mask)
    return ["--reference-mask", "mask.mrc"], "mask.mrc: the reference mask contains"


def a_reference_mask_on_solvent(folder):
    mask = np.zeros((48, 48, 48), np.float32)
    mask[:2, :2, :2] = 1
    write(folder / "mask.mrc", mask)
    return ["--reference-mask", "mask.mrc"], "mask.mrc: "


def a_record_that_is_none(folder):
    return ["--rerun", "good.mrc"], "good.mrc"


def a_record_of_nothing(folder):
    (folder / "record.json").write_text('{"occupy_jit": "0.1.0", "format": 1}')
    return ["--rerun", "record.json"], "record.json"


def a_record_with_odd_settings(folder):
    (folder / "record.json").write_text(json.dumps({
        "occupy_jit": "0.1.0", "format": 1, "input": {"path": str(folder / "good.mrc"), "sha256": None},
        "settings": {"tau": "high"}, "options": {}}))
    return ["--rerun", "record.json"], "record.json"


def a_record_with_odd_options(folder):
    (folder / "record.json").write_text(json.dumps({
        "occupy_jit": "0.1.0", "format": 1, "input": {"path": str(folder / "good.mrc"), "sha256": None},
        "settings": {}, "options": {"output_dir": 5}}))
    return ["--rerun", "record.json"], "record.json"


INPUTS = [no_such_file, a_text, a_short_text, a_directory, an_empty_file, a_truncated_map, a_truncated_gzip,
          a_dangling_link, a_pipe, values_not_finite, a_constant_map, no_voxel_size, an_oblique_cell, a_complex_map,
          no_mask, no_target_mask, a_mask_of_another_shape, a_mask_of_another_voxel_size, a_mask_elsewhere,
          a_mask_of_nothing, no_reference_mask, an_empty_reference_mask, a_reference_mask_of_another_shape,
          a_small_reference_mask, a_reference_mask_on_solvent, a_record_that_is_none, a_record_of_nothing,
          a_record_with_odd_settings, a_record_with_odd_options]


@pytest.mark.parametrize("prepare", INPUTS, ids=lambda prepare: prepare.__name__)
def test_an_input_that_cannot_be_used(prepare, good, tmp_path):
    """Status 3, one line with the fault, and no output directory."""
    folder = tmp_path / "here"
    arguments, said = prepare(folder)
    if "--rerun" not in arguments:
        others = [name for name in os.listdir(folder) if name != "good.mrc"]
        name = "good.mrc" if arguments else others[0] if others else "absent.mrc"
        arguments = ["-i", name, *arguments]
    before = listing(tmp_path)
    # runs that might wait for ever have their own process and a time limit
    start = run if prepare is a_pipe else run_here
    ran = start(*arguments, "--output-dir", "results", cwd=folder)
    refused(ran, 3)
    assert said in ran.stderr
    assert listing(tmp_path) == before


USAGE = [
    ["--kernel-size", "4"], ["--kernel-size", "0"], ["--kernel-size", "-3"], ["--kernel-size", "nan"],
    ["--kernel-radius", "0"], ["--kernel-radius", "inf"], ["--amplify-amount", "1.01"], ["--amplify-amount", "nan"],
    ["--amplify-amount", "-2"], ["--amplify-limit", "1.5"], ["--amplify-limit", "-0.1"], ["--amplify-limit", "nan"],
    ["--lowpass-input", "0"], ["--lowpass-input", "-5"], ["--lowpass-input", "nan"], ["--lowpass-amplified", "0"],
    ["--reference-mask", "m.mrc", "--naive-normalisation"], ["--reference-mask", "m.mrc", "--tau", "0.9"],
    ["--tau", "1.5"], ["--tile-size", "0"], ["--noise-floor", "much"], ["--threads", "0"], ["--attenuate-gamma", "0.5"],
    ["--voxel-size", "0"], ["--hedge-confidence", "-1"], ["--pivot", "0"], ["--no-such-option"],
    ["-o", "elsewhere/out.mrc"], ["-o", "/tmp/out.mrc"], ["-o", "../out.mrc"], ["-o", "out.mrc.gz"], ["-o", "OUT.BZ2"],
    ["-o", ".."], ["-o", ""], ["--relion-classes", "a.star"], ["--demo"],
]


@pytest.mark.parametrize("arguments", USAGE, ids=" ".join)
def test_a_command_line_that_cannot_be_obeyed(arguments, good, tmp_path):
    before = listing(tmp_path)
    ran = run_here("-i", "good.mrc", "--amplify", "--output-dir", "results", *arguments, cwd=tmp_path / "here")
    refused(ran, 2)
    assert arguments[0] in ran.stderr or "--output-map" in ran.stderr
    assert listing(tmp_path) == before


def out_names_the_input(folder):
    return ["-i", "good.mrc", "--amplify", "-o", "good.mrc"]


def out_names_the_input_in_its_directory(folder):
    return ["-i", "good.mrc", "--amplify", "-o", "good", "--output-dir", "../here"]


def out_is_a_link_to_the_input(folder):
    (folder / "out_good.mrc").symlink_to("good.mrc")
    return ["-i", "good.mrc", "--amplify"]


def the_directory_is_a_link_to_that_of_the_input(folder):
    (folder.parent / "link").symlink_to("here")
    return ["-i", "good.mrc", "--amplify", "-o", "good.mrc", "--output-dir", "../link"]


def the_input_is_a_link_to_an_output(folder):
    shutil.move(folder / "good.mrc", folder / "scale_link.mrc")
    (folder / "link.mrc").symlink_to("scale_link.mrc")
    return ["-i", "link.mrc"]


def the_input_is_a_hard_link_to_an_output(folder):
    os.link(folder / "good.mrc", folder / "scale_good.mrc")
    return ["-i", "good.mrc"]


def an_output_is_the_mask(folder):
    shutil.copy(folder / "good.mrc", folder / "scale_good.mrc")
    return ["-i", "good.mrc", "--solvent-def", "scale_good.mrc"]


def an_output_is_the_next_input(folder):
    shutil.copy(folder / "good.mrc", folder / "scale_good.mrc")
    return ["-i", "good.mrc", "scale_good.mrc"]


def two_inputs_of_one_name(folder):
    (folder / "more").mkdir()
    shutil.copy(folder / "good.mrc", folder / "more" / "good.map")
    return ["-i", "good.mrc", "more/good.map"]


def two_outputs_of_one_name(folder):
    return ["-i", "good.mrc", "--amplify", "-o", "scale_good.mrc"]


@pytest.mark.parametrize("prepare", [
    out_names_the_input, out_names_the_input_in_its_directory, out_is_a_link_to_the_input,
    the_directory_is_a_link_to_that_of_the_input, the_input_is_a_link_to_an_output,
    the_input_is_a_hard_link_to_an_output, an_output_is_the_mask, an_output_is_the_next_input, two_inputs_of_one_name,
    two_outputs_of_one_name], ids=lambda prepare: prepare.__name__)
def test_nothing_is_overwritten_that_should_not(prepare, good, tmp_path):
    arguments = prepare(tmp_path / "here")
    before = listing(tmp_path)
    refused(run_here(*arguments, cwd=tmp_path / "here"), 2)
    assert listing(tmp_path) == before


@pytest.mark.slow
def test_output_directories_that_cannot_be(good, tmp_path):
    """Status 1, one line, nothing written, and told before anything is estimated."""
    here = tmp_path / "here"
    (here / "file").write_text("in the way")
    (here / "dangling").symlink_to("nowhere/at/all")
    before = listing(tmp_path)
    for directory in ("file", "file/below", "dangling", "/proc", "/proc/below", "/dev/null", "x" * 300):
        ran = run("-i", "good.mrc", "--output-dir", directory, cwd=here)
        refused(ran, 1)
        assert directory in ran.stderr and "good.mrc" not in ran.stdout + ran.stderr
        assert listing(tmp_path) == before


def test_a_name_too_long_for_the_outputs_is_told_before_the_work(tmp_path):
    name = "x" * 248 + ".mrc"
    write(tmp_path / name, particle())
    write(tmp_path / "short.mrc", particle())
    before = listing(tmp_path)
    ran = run("-i", name, cwd=tmp_path)
    refused(ran, 3)
    assert "too long" in ran.stderr and "full scale" not in ran.stdout
    assert listing(tmp_path) == before
    ran = run("-i", name, "short.mrc", cwd=tmp_path)
    assert ran.returncode == 3 and "1 of 2 maps done" in ran.stdout


def without_privileges(*arguments):
    """Arguments of a process with normal permissions, also for root."""
    if os.geteuid() != 0:
        return command(*arguments)
    if shutil.which("setpriv") is None:
        pytest.skip("root, and no setpriv to give up its privileges")
    return ["setpriv", "--bounding-set=-dac_override,-dac_read_search", *command(*arguments)]


def test_no_permission(tmp_path):
    write(tmp_path / "a.mrc", particle())
    write(tmp_path / "secret.mrc", particle())
    (tmp_path / "closed").mkdir(0o555)
    before = listing(tmp_path)
    os.chmod(tmp_path / "secret.mrc", 0)
    for arguments, status in ((["-i", "secret.mrc"], 3), (["-i", "a.mrc", "--output-dir", "closed"], 1),
                              (["-i", "a.mrc", "--output-dir", "closed/new"], 1)):
        ran = subprocess.run(without_privileges(*arguments), cwd=tmp_path, env=environment(), capture_output=True,
                             text=True, timeout=300)
        refused(ran, status)
        assert "permission" in ran.stderr
    os.chmod(tmp_path / "secret.mrc", 0o644)
    assert listing(tmp_path) == before


def test_one_bad_map_does_not_stop_the_others(good, tmp_path):
    here = tmp_path / "here"
    a_text(here)
    a_truncated_map(here)
    write(here / "second.mrc", particle(seed=5))
    ran = run("-i", "good.mrc", "text.mrc", "absent.mrc", "cut.mrc", "second.mrc", "--output-dir", "out", cwd=here)
    assert ran.returncode == 3
    errors = troubles(ran)
    assert len(errors) == 3 and all(line.startswith(LINE) for line in errors)
    table = ran.stdout[ran.stdout.index("2 of 5 maps done"):].splitlines()[1:-3]  # before what to open
    assert table.pop().split()[:2] == ["wrote", "out/occupy_summary.csv"]
    assert [line.split()[:2] for line in table] == [["good.mrc", "0"], ["text.mrc", "3"], ["absent.mrc", "3"],
                                                    ["cut.mrc", "3"], ["second.mrc", "0"]]
    assert {"scale_good.mrc", "scale_second.mrc"} <= set(os.listdir(here / "out"))
    assert not [name for name in os.listdir(here / "out") if "text" in name or "cut" in name or name.startswith(".")]


# --- outputs ------------------------------------------------------------------------------------------


def header(path):
    with open(path, "rb") as file:
        return np.frombuffer(file.read(1024), HEADER_DTYPE)[0]


def test_outputs_of_a_full_run(good, tmp_path):
    """All documented files, valid maps with the header of the input and statistics of their data."""
    pytest.importorskip("matplotlib")
    data = np.random.default_rng(3).normal(size=(48, 56, 52)).astype(np.float32) * np.float32(0.05)
    data[:, 4:52, 2:50] = particle()
    path = write(tmp_path / "in.mrc", data, 1.25, (3, 1, 2), nxstart=-7, nystart=3, nzstart=11,
                 origin=(1.5, -2.25, 30), ispg=1)
    ran = run("-i", path, "--amplify", "--save-all-maps", "--plot", "--save-solvent-def", "0.2", "--output-dir", "out",
              cwd=tmp_path)
    assert ran.returncode == 0 and troubles(ran) == [], ran.stderr
    out = tmp_path / "out"
    with open(out / "occupy_in.json") as file:
        record = json.load(file)
    assert {os.path.basename(entry["path"]) for entry in record["outputs"]} == set(os.listdir(out))
    maps = sorted(name for name in os.listdir(out) if name.endswith(".mrc"))
    assert maps == ["around_in.mrc", "conf_in.mrc", "factor_low_out_in.mrc", "factor_mid_out_in.mrc", "lowpass_in.mrc",
                    "out_in.mrc", "scale_in.mrc", "sd_in.mrc", "solventdef_in.mrc"]
    script = (out / "chimX_in.cxc").read_text()
    (line,) = [line for line in script.splitlines() if line.startswith("alias occerror ")]
    number = next(line.split()[1] for line in script.splitlines() if line.startswith("#   #") and "sd_in.mrc" in line)
    assert f"map {number} palette 0,#4d6edf:0.1,#d9d9d9:0.3,#cc3920" in line and "(occerror)" in script
    bands = record["results"]["bands"]
    assert len(bands) == 8 and bands[-1]["to_angstrom"] == pytest.approx(2.5)
    assert all(1 <= factor <= 1 / float(scale) + 1e-9 for band in bands
               for scale, factor in band["factor_at_scale"].items())
    assert "noise over signal" in (out / "log_in.txt").read_text()
    theirs = header(path)
    for name in maps:
        assert mrcfile.validate(out / name)
        ours = header(out / name)
        same = set(HEADER_DTYPE.names) - {"dmin", "dmax", "dmean", "rms", "label", "nlabl"}
        assert all(ours[field].tobytes() == theirs[field].tobytes() for field in same)
        data = values(out / name)
        assert ours["dmin"] == data.min() and ours["dmax"] == data.max()
        assert ours["dmean"] == pytest.approx(data.mean(dtype=np.float64), rel=1e-6, abs=1e-6 * float(data.std()))
        assert ours["nlabl"] == theirs["nlabl"] + 1 and b"OccuPy" in ours["label"][ours["nlabl"] - 1]
    scale = values(out / "scale_in.mrc")
    assert scale.min() >= 0 and scale.max() == 1
    assert record["verdicts"] == [{"code": "kernel-large", "sentence": record["verdicts"][0]["sentence"]}]
    log = (out / "log_in.txt").read_text()
    assert record["verdicts"][0]["sentence"] in log and record["verdicts"][0]["sentence"] in ran.stderr


def test_axis_order_does_not_matter(tmp_path):
    """The same map in all six orders gives the same scale and the same modified map, bit for bit, in that order."""
    data = particle()[:, :40, :44]
    found = []
    paths = [write(tmp_path / f"m{''.join(map(str, order))}.mrc", data, 1.5, order)
             for order in itertools.permutations((1, 2, 3))]
    assert run("-i", *paths, "--amplify", "--quiet", cwd=tmp_path).returncode == 0
    for path in paths:
        name = os.path.basename(path)
        found.append((values(tmp_path / f"scale_{name}").tobytes(), values(tmp_path / f"out_{name}").tobytes()))
        for prefix in ("scale_", "out_"):
            assert all(header(tmp_path / (prefix + name))[f] == header(path)[f]
                       for f in ("mapc", "mapr", "maps", "nx", "ny", "nz"))
    assert len(set(found)) == 1


def test_grey_scale_and_offset_do_not_matter(tmp_path):
    """The scale of a rho + c is that of rho.

    A factor changes each float32 by half a unit in the last place, 6e-8 of its value, and so each scale by a few
    times that. An offset of 100 costs digits: values of order 1 are then only known to 100 * 6e-8, and in the low
    range, where the scale is steep (its slope grows without bound at the noise floor), that is felt most.
    """
    data = particle()
    variants = {"same": data, "small": data * np.float32(1e-6), "large": data * np.float32(1e6),
                "offset": data + np.float32(100), "both": data * np.float32(1e6) - np.float32(1e7)}
    paths = [write(tmp_path / f"{name}.mrc", variant) for name, variant in variants.items()]
    assert run("-i", *paths, "--quiet", cwd=tmp_path).returncode == 0
    reference = values(tmp_path / "scale_same.mrc")
    assert reference.max() == 1 and 0.02 < (reference > 0.3).mean() < 0.5
    solid = reference > 0.2
    for name, tolerance in (("small", 1e-4), ("large", 1e-4), ("offset", 5e-3), ("both", 5e-3)):
        difference = np.abs(values(tmp_path / f"scale_{name}.mrc") - reference)
        assert difference[solid].max() < tolerance, name
        assert difference.mean() < tolerance, name


NAMES = ["two words.mrc", "it's \"quoted\".map", "many.dots.in.name.mrc", "Ångström_β.ccp4", "nosuffix",
         "a;rm -rf x.rec", "$(touch evil).mrc", "-dash.mrc", "new\nline.mrc", "UPPER.MRC", ".hidden.mrc",
         "x.mrc.gz", "y.map.bz2", "compressed_without_suffix", "gz_named_plain.mrc.gz", "l" * 230 + ".mrc"]


@pytest.mark.slow
def test_names(tmp_path):
    """Any name works, no part of it is executed, and output names follow from it."""
    here = tmp_path / "here"
    here.mkdir()
    write(here / "plain.mrc", particle())
    content = (here / "plain.mrc").read_bytes()
    for name in NAMES:
        if name.endswith(".bz2"):
            (here / name).write_bytes(bz2.compress(content))
        elif name in ("x.mrc.gz", "compressed_without_suffix"):
            (here / name).write_bytes(gzip.compress(content))
        else:
            (here / name).write_bytes(content)
    before = listing(tmp_path)
    ran = run("-i", *(f"./{name}" for name in NAMES), "--amplify", "--output-dir", "out put", "--quiet", cwd=here)
    assert ran.returncode == 0, ran.stderr
    after = listing(tmp_path)
    assert {key: after[key] for key in before} == before
    assert all(key.startswith("here/out put") for key in set(after) - set(before))
    written = os.listdir(here / "out put")
    assert len(written) == 5 * len(NAMES) + 2  # and the table of all, twice
    for expected in ("scale_two words.mrc", "out_many.dots.in.name.mrc", "out_Ångström_β.ccp4", "scale_nosuffix.mrc",
                     "out_x.mrc", "out_y.map", "scale_compressed_without_suffix.mrc", "out_UPPER.MRC",
                     "log_new\nline.txt", "occupy_$(touch evil).json"):
        assert expected in written
    scales = {after[f"here/out put/{name}"] for name in written if name.startswith("scale_")}
    assert len(scales) == 1  # labels do not name the input, and neither does anything else in a map


def test_a_name_that_is_no_text(tmp_path):
    """File names that are not UTF-8 work, too."""
    name = os.fsdecode(b"caf\xe9.mrc")
    write(tmp_path / name, particle())
    ran = run("-i", name, "--amplify", cwd=tmp_path)
    assert ran.returncode == 0, ran.stderr
    assert os.fsdecode(b"scale_caf\xe9.mrc") in os.listdir(tmp_path)
    ran = run("--rerun", os.fsdecode(b"occupy_caf\xe9.json"), "--output-dir", "again", cwd=tmp_path)
    assert ran.returncode == 0, ran.stderr


@pytest.mark.slow
def test_output_names(good, tmp_path):
    """-o takes a name with or without the suffix of a map; an existing output is replaced, others are left alone."""
    here = tmp_path / "here"
    (here / "scale_good.mrc").write_text("an older one")
    (here / "out_good.mrc").write_text("not mine")
    for name, expected in (("better", "better.mrc"), ("better.ccp4", "better.ccp4"), ("v1.2", "v1.2.mrc")):
        assert run("-i", "good.mrc", "--amplify", "-o", name, "--quiet", cwd=here).returncode == 0
        assert mrcfile.validate(here / expected)
    assert mrcfile.validate(here / "scale_good.mrc")
    assert (here / "out_good.mrc").read_text() == "not mine"
    assert stat.S_IMODE(os.stat(here / "better.mrc").st_mode) == stat.S_IMODE(os.stat(here / "good.mrc").st_mode)


def test_a_link_as_output_is_replaced_and_what_it_points_to_is_not(good, tmp_path):
    here = tmp_path / "here"
    (tmp_path / "precious").write_text("do not touch")
    (here / "scale_good.mrc").symlink_to(tmp_path / "precious")
    assert run("-i", "good.mrc", "--quiet", cwd=here).returncode == 0
    assert (tmp_path / "precious").read_text() == "do not touch"
    assert not (here / "scale_good.mrc").is_symlink() and mrcfile.validate(here / "scale_good.mrc")


# --- repeated runs ---------------------------------------------------------------------------------------------


def maps_in(directory):
    return {key: value for key, value in listing(directory).items() if key.endswith(".mrc")}


@pytest.mark.parametrize(("given", "in_force"), [({}, "PASSIVE"), ({"OMP_WAIT_POLICY": "active"}, "ACTIVE")])
def test_waiting_threads_leave_the_processors_to_others(given, in_force, good, tmp_path, monkeypatch):
    """The setting of OpenMP, if numba uses it; a setting of the user stays."""
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    ran = run("-i", good, "--quiet", "--output-dir", tmp_path, env={"OMP_DISPLAY_ENV": "true", **given})
    assert ran.returncode == 0
    if "OMP_WAIT_POLICY" not in ran.stderr:
        pytest.skip("numba does not use OpenMP here: it was NOT checked how its threads wait")
    assert f"OMP_WAIT_POLICY = '{in_force}'" in ran.stderr


def test_bits_do_not_depend_on_threads(good, tmp_path):
    options = ["-i", good, "--amplify", "--attenuate-gamma", "2", "--save-all-maps", "--quiet"]
    for threads in (1, 2):
        ran = run(*options, "--threads", threads, "--output-dir", f"t{threads}", cwd=tmp_path,
                  env={"NUMBA_NUM_THREADS": "2"})
        assert ran.returncode == 0 and ran.stdout == "" and troubles(ran) == []
    # scale, error, low-pass, confidence, scale around; each modified map; factors of one kind in two bands, else once
    assert len(maps_in(tmp_path / "t1")) == 10
    assert maps_in(tmp_path / "t1") == maps_in(tmp_path / "t2")


def test_rerun_repeats_bit_for_bit(good, tmp_path):
    """From another directory, with only the record; not if the input has changed."""
    here = tmp_path / "here"
    ran = run("-i", "good.mrc", "--amplify", "--amplify-amount", "0.7", "--kernel-size", "5", "--exclude-solvent",
              "-o", "mine", "--output-dir", "out", "--quiet", cwd=here)
    assert ran.returncode == 0
    (tmp_path / "other").mkdir()
    ran = run("--rerun", here / "out" / "occupy_good.json", "--quiet", cwd=tmp_path / "other")
    assert ran.returncode == 0, ran.stderr
    assert maps_in(tmp_path / "other" / "out") == maps_in(here / "out")
    assert set(os.listdir(tmp_path / "other" / "out")) == set(os.listdir(here / "out"))
    # twice over: the record of the repetition repeats, too, and an option on the command line wins
    ran = run("--rerun", tmp_path / "other" / "out" / "occupy_good.json", "--output-dir", "third", "-o", "new",
              "--quiet", cwd=tmp_path)
    assert ran.returncode == 0, ran.stderr
    assert maps_in(tmp_path / "third")["new.mrc"] == maps_in(here / "out")["mine.mrc"]
    with open(good, "r+b") as file:
        file.seek(2000)
        file.write(b"\1")
    refused(run("--rerun", here / "out" / "occupy_good.json", "--output-dir", "fourth", cwd=tmp_path), 3)
    assert not (tmp_path / "fourth").exists()


def test_how_much_is_said(good, tmp_path):
    here = tmp_path / "here"
    said = {option: run("-i", "good.mrc", "--output-dir", f"out{option}", *[option][:bool(option)], cwd=here)
            for option in ("--quiet", "", "--verbose")}
    assert all(ran.returncode == 0 and troubles(ran) == [] for ran in said.values())
    verdict = "OccuPy: warning: good.mrc: the ball (7 voxels) is larger than a tenth of the box"
    assert all(ran.stderr.count(verdict) == 1 and verdict not in ran.stdout for ran in said.values())
    lengths = [len(ran.stdout) for ran in said.values()]
    assert lengths[0] == 0 < lengths[1] < lengths[2]
    assert "kernel_size" in said["--verbose"].stdout and "numba" in said["--verbose"].stdout


def test_dry_run_writes_nothing(good, tmp_path):
    before = listing(tmp_path)
    ran = run("-i", "good.mrc", "--amplify", "--output-dir", "new", "--dry-run", cwd=tmp_path / "here")
    assert ran.returncode == 0 and ran.stderr == ""
    assert "memory" in ran.stdout and "new/out_good.mrc" in ran.stdout
    assert listing(tmp_path) == before


def test_demo(tmp_path):
    ran = run("--demo", cwd=tmp_path)
    assert ran.returncode == 0 and ran.stderr == "", ran.stderr
    assert "chimX_emd_11007_demo.cxc" in ran.stdout
    assert values(tmp_path / "scale_emd_11007_demo.mrc").max() == 1
    assert listing(os.path.dirname(DEMO)).keys() == {os.path.basename(DEMO)} | {
        name for name in os.listdir(os.path.dirname(DEMO))}


def test_warm_up(tmp_path):
    ran = run("--warm-up", cwd=tmp_path)
    assert ran.returncode == 0 and ran.stderr == ""
    assert environment()["OCCUPY_CACHE_DIR"] in ran.stdout
    assert os.listdir(tmp_path) == []


@pytest.mark.slow
def test_the_log_says_why_kernels_are_compiled(good, tmp_path):
    """Without a directory for them they are compiled in every run, with a message."""
    (tmp_path / "blocked").write_text("no directory")
    env = {"OCCUPY_CACHE_DIR": str(tmp_path / "blocked"), "NUMBA_DISABLE_JIT": "1"}
    for option in ("--quiet", "--verbose"):
        ran = run("-i", good, "--output-dir", f"out{option}", option, cwd=tmp_path, env=env)
        assert ran.returncode == 0, ran.stderr
        log = (tmp_path / f"out{option}" / "log_good.txt").read_text()
        assert "kept" in log and "blocked" in log
        assert ("blocked" in ran.stdout) == (option == "--verbose")


def test_nothing_is_written_elsewhere(good, tmp_path):
    """Neither the current directory nor the home nor the temporary directory is touched, only --output-dir."""
    pytest.importorskip("matplotlib")
    places = [tmp_path / name for name in ("home", "temporary", "current")]
    for place in places:
        place.mkdir()
    out = tmp_path / "out"
    everything = {"HOME": str(places[0]), "TMPDIR": str(places[1]), "MPLCONFIGDIR": ""}
    env = environment(**everything)
    env.pop("MPLCONFIGDIR")
    env.pop("XDG_CACHE_HOME", None)
    before = listing(tmp_path)
    ran = subprocess.run(command("-i", good, "--amplify", "--save-all-maps", "--output-dir", out, "--quiet"), env=env,
                         cwd=places[2], capture_output=True, text=True, timeout=300)
    assert ran.returncode == 0, ran.stderr
    after = listing(tmp_path)
    assert {key for key in after if after[key] != before.get(key)} <= {"out"} | {f"out/{n}" for n in os.listdir(out)}


def test_code_in_the_current_directory_is_not_loaded(good, tmp_path):
    """The installed command has no current directory on its path; data lie beside files of any name."""
    here = tmp_path / "here"
    for name in ("numpy", "numba", "mrcfile", "json", "resource", "occupy_jit", "bz2"):
        (here / f"{name}.py").write_text("raise SystemExit('code from the current directory')\n")
    script = "import sys; from occupy_jit.__main__ import entry; sys.argv[0] = 'OccuPy'; sys.exit(entry())"
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "OccuPy").write_text(script)
    ran = subprocess.run([sys.executable, tmp_path / "bin" / "OccuPy", "-i", "good.mrc", "--quiet"], cwd=here,
                         env=environment(), capture_output=True, text=True, timeout=300)
    assert ran.returncode == 0, ran.stderr
