"""The Python interface: names, maps and arrays in; results that save, modify and show themselves out."""

import doctest
import json
import os
import re

import numpy as np
import pytest

import occupy_jit
from occupy_jit import interface
from tests.command import DEMO, particle, run, write

VOXEL_SIZE = 1.5


@pytest.fixture(scope="module")
def volume():
    return particle(48, 0.1)


def test_examples_run():
    assert doctest.testmod(interface, raise_on_error=False).failed == 0


def test_a_name_a_map_and_an_array_are_the_same(volume, tmp_path):
    path = write(tmp_path / "map.mrc", volume, VOXEL_SIZE)
    found = [occupy_jit.estimate(path), occupy_jit.estimate(tmp_path / "map.mrc"),
             occupy_jit.estimate(occupy_jit.read_map(path)), occupy_jit.estimate(volume, voxel_size=VOXEL_SIZE)]
    assert all(np.array_equal(one.scale, found[0].scale) for one in found)
    assert [one.name for one in found] == ["map.mrc"] * 3 + ["array"]


def test_save_writes_what_the_command_writes(volume, tmp_path):
    path = write(tmp_path / "map.mrc", volume, VOXEL_SIZE)
    settings = occupy_jit.Settings(amplify=True)
    written = occupy_jit.estimate(path, settings).save(tmp_path / "saved")
    ran = run("-i", "map.mrc", "--amplify", "--output-dir", "ran", cwd=tmp_path)
    assert ran.returncode == 0, ran.stderr
    names = sorted(os.listdir(tmp_path / "ran"))
    assert sorted(os.path.basename(name) for name in written) == sorted(os.listdir(tmp_path / "saved")) == names
    for name in names:
        if name.endswith(".mrc"):
            one, two = (occupy_jit.read_map(str(tmp_path / folder / name)).data for folder in ("saved", "ran"))
            assert np.array_equal(one, two), name
    with open(tmp_path / "saved" / "occupy_map.json") as saved, open(tmp_path / "ran" / "occupy_map.json") as ran:
        saved, ran = json.load(saved), json.load(ran)
    assert saved["results"] == ran["results"] and saved["settings"] == ran["settings"]
    assert saved["input"]["sha256"] == ran["input"]["sha256"]


def test_an_array_is_saved_with_its_map(volume, tmp_path):
    written = occupy_jit.estimate(volume, voxel_size=VOXEL_SIZE).save(tmp_path)
    assert str(tmp_path / "array.mrc") in written
    assert sorted(os.listdir(tmp_path)) == sorted(map(os.path.basename, written))
    assert np.array_equal(occupy_jit.read_map(str(tmp_path / "array.mrc")).data, volume.astype(np.float32))


def test_modified_maps(volume, tmp_path):
    path = write(tmp_path / "map.mrc", volume, VOXEL_SIZE)
    found = occupy_jit.estimate(path)
    ran = run("-i", "map.mrc", "--amplify", "--amplify-amount", "0.5", "--exclude-solvent", cwd=tmp_path)
    assert ran.returncode == 0, ran.stderr
    expected = occupy_jit.read_map(str(tmp_path / "out_map.mrc")).data
    # the gate of the confidence is stricter in a run that knows beforehand that solvent is excluded
    strict = occupy_jit.estimate(path, occupy_jit.Settings(amplify=True, amplify_amount=0.5, exclude_solvent=True))
    assert np.array_equal(strict.amplify(0.5, exclude_solvent=True), expected)
    assert np.array_equal(found.amplify(0), found.map.data)
    assert (found.exclude_solvent() == 0).mean() > 0.3
    with pytest.raises(occupy_jit.errors.UsageError, match="amplify_amount=3: must be between -1 and 1"):
        found.amplify(3)
    with pytest.raises(ValueError, match="no confidence"):
        occupy_jit.estimate(path, wanted=occupy_jit.Wanted(confidence=False)).amplify()


def test_classes_share_one_scale(volume):
    weaker = volume * np.float32(0.5)
    full, half = occupy_jit.classes([volume, weaker], voxel_size=VOXEL_SIZE)
    assert full.full_scale == half.full_scale
    content = full.scale > 0.8
    assert np.median(half.scale[content]) == pytest.approx(0.5 * np.median(full.scale[content]), rel=0.1)
    for none in ([], "map.mrc"):
        with pytest.raises(ValueError, match="at least one map"):
            occupy_jit.classes(none)


def test_it_says_what_it_is(volume):
    found = occupy_jit.estimate(volume, voxel_size=VOXEL_SIZE)
    text = repr(found)
    assert text.startswith("<Estimate of array: 48 x 48 x 48 voxels of 1.5 Å, full scale ") and len(text) < 160
    page = found._repr_html_()
    words = re.sub(r"base64,[^\"]*", "", page)  # a picture may spell anything
    assert page.count("<tr>") == 6 and "data:image/png" in page and "NaN" not in words


def test_names_in_a_notebook_are_text(volume, tmp_path):
    name = "<script>alert(1)</script>"
    os.makedirs(tmp_path / "<script>alert(1)<")
    found = occupy_jit.estimate(write(tmp_path / (name + ".mrc"), volume, VOXEL_SIZE))
    assert "<script" not in found._repr_html_()


def test_plot_shows_three_directions(volume):
    pytest.importorskip("matplotlib")
    figure = occupy_jit.estimate(volume, voxel_size=VOXEL_SIZE).plot()
    assert len([axes for axes in figure.axes if axes.images]) == 6


InputError, UsageError = occupy_jit.errors.InputError, occupy_jit.errors.UsageError


@pytest.mark.parametrize(("call", "error", "words"), [
    (lambda: occupy_jit.estimate("no such.mrc"), InputError, "no such file"),
    (lambda: occupy_jit.estimate(np.zeros((0, 3, 3)), voxel_size=1), InputError, "at least 8"),
    (lambda: occupy_jit.estimate(np.ones((4, 4, 4)), voxel_size=1), InputError, "at least 8"),
    (lambda: occupy_jit.Settings(kernel_size=4), UsageError, "^kernel_size=4: must be a positive odd"),
    (lambda: occupy_jit.Settings(kernel_size="four"), UsageError, "^kernel_size='four': must be a num"),
    (lambda: occupy_jit.Settings(separate_flexibility=True, naive_normalisation=True), UsageError,
     "^naive_normalisation: cannot be combined with separate_flexibility"),
    (lambda: occupy_jit.estimate(np.ones((9, 9, 9))), ValueError, "an array has no voxel size"),
    (lambda: occupy_jit.estimate(np.ones((9, 9, 9)), voxel_size="a"), ValueError, "not 'a'"),
    (lambda: occupy_jit.estimate([1, 2]), TypeError, "expected a numpy array"),
    (lambda: occupy_jit.estimate(), TypeError, "half_maps"),
    (lambda: occupy_jit.estimate(DEMO, {"amplify": True}), TypeError, "Settings")])
def test_errors_speak_of_arguments(call, error, words):
    with pytest.raises(error, match=words) as caught:
        call()
    assert "--" not in str(caught.value)
