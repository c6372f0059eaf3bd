"""Classes on one common scale: what they read, what is compared, what is written, and what happens to bad ones."""

import csv
import json
import math
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from occupy_jit.cli.console import Console
from occupy_jit.cli.rerun import repeated
from occupy_jit.errors import InputError, OccupyError, UsageError
from occupy_jit.estimation.classes_on_mean import classes_on_mean, mean_map
from occupy_jit.estimation.comparison import scales as comparison
from occupy_jit.estimation.modification import modify as modification
from occupy_jit.estimation.scale.estimate import measure_full_scale
from occupy_jit.estimation.scale.inputs import Room
from occupy_jit.files.maps.maps import map_from_array
from occupy_jit.files.maps.reading import read_map, view_map
from occupy_jit.files.maps.writing import write_map
from occupy_jit.files.output.signals import Interrupted
from occupy_jit.kernels.standard_error import scale_error
from occupy_jit.modifications import requested
from occupy_jit.reports.record import read_record
from occupy_jit.runs.classes import run as classes
from occupy_jit.runs.classes.group import common_name
from occupy_jit.runs.one_map import run as one_map
from occupy_jit.runs.one_map import writing
from occupy_jit.runs.workers.engines import in_turn
from occupy_jit.settings import CLASSES_AMOUNT, Options, Settings
from tests import classification, naive
from tests.classification import OCCUPANCIES, VOXEL_SIZE
from tests.estimates import estimate

pytest.importorskip("gemmi")

SHARES, RESOLUTIONS = [0.4, 0.3, 0.2, 0.1], [4.5, 5.1, 6.0, 9.2]


@pytest.fixture(scope="module")
def simulated():
    """The complex and the maps of its four classes."""
    complex_ = classification.Complex()
    return complex_, complex_.classes()


@pytest.fixture(scope="module")
def run(simulated, tmp_path_factory):
    """A classification that was run from its project directory: (project directory, output directory, status)."""
    root = tmp_path_factory.mktemp("project")
    path = classification.write_project(root, simulated[1], shares=SHARES, resolutions=RESOLUTIONS)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        status = classes.run(Settings(), Options(output_dir="Occupy/job1", relion_classes=os.path.relpath(path, root)))
    return root, root / "Occupy" / "job1", status


def read(path):
    return read_map(str(path)).data


# The simulated classification ----------------------------------------------------------------------------------------


def errors(medians):
    """Root mean square error, and how many of the pairs of different occupancies are read in the wrong order."""
    found, true = np.ravel(medians), np.ravel(OCCUPANCIES)
    wrong = sum((found[a] - found[b]) * (true[a] - true[b]) <= 0 for a in range(true.size) for b in range(a)
                if true[a] != true[b])
    return float(np.sqrt(((found - true) ** 2).mean())), wrong


def test_the_common_scale_recovers_occupancies_and_single_runs_do_not(simulated, run):
    complex_, maps = simulated
    _, out, status = run
    assert status == 0
    common = [complex_.medians(read(out / f"scale_run_it025_class{k:03d}.mrc")) for k in range(1, 5)]
    alone = [complex_.medians(estimate(volume, voxel_size=VOXEL_SIZE).scale) for volume in maps]
    (error, wrong), (error_alone, wrong_alone) = errors(common), errors(alone)
    print(f"common scale: rms error {error:.3f}, {wrong} pairs in the wrong order; one by one: {error_alone:.3f}, "
          f"{wrong_alone}")
    assert error < 0.07 and wrong == 0
    # in the class without a complete part everything reads 1 / 0.6 times too high: 0.4 / 0.6 of it in quadrature over
    # a quarter of the values; half of that is far from what any noise could do
    assert error_alone > 2 * error and wrong_alone > 0
    assert errors(common[3:] * 4)[0] > 0.2, "the measure itself: other occupancies are not these"


def test_ranking_of_each_subunit_over_the_classes(simulated, run):
    complex_, _ = simulated
    common = np.array([complex_.medians(read(run[1] / f"scale_run_it025_class{k:03d}.mrc")) for k in range(1, 5)])
    for subunit in range(OCCUPANCIES.shape[1]):
        order = np.argsort(common[:, subunit], kind="stable")
        assert (np.diff(OCCUPANCIES[order, subunit]) >= 0).all()


def modified_pair(maps, amount):
    """Both maps on their common scale, modified with an amount."""
    if amount is None:
        return maps
    settings = Settings(amplify=True, amplify_amount=amount)
    full = max(measure_full_scale(volume, voxel_size=VOXEL_SIZE)[0] for volume in maps)
    results = [estimate(volume, settings, voxel_size=VOXEL_SIZE, full_scale=full) for volume in maps]
    kind, = requested(settings)
    return [modification.modified(volume, result, settings, kind)
            for volume, result in zip(maps, results, strict=True)]


@pytest.mark.slow
def test_exaggerating_and_equalising_change_the_correlation_where_classes_differ(simulated):
    complex_, _ = simulated
    occupancies = np.array([[1, 1, 1.0, 0.4, 1], [1, 1, 0.4, 1.0, 1]])
    # good maps, so that what does not differ correlates by .99, and its change is that of the modification
    maps = [complex_.map(row, 25.0, seed) for seed, row in enumerate(occupancies)]
    differs = occupancies[0] != occupancies[1]
    places = np.rint(complex_.atoms).astype(int)
    inside = tuple(places[differs[complex_.subunit]].T)
    # next to what differs the ball reads its density: two voxels beyond its radius of three
    near = ((places[~differs[complex_.subunit]][:, None] - places[differs[complex_.subunit]][None, ::25]) ** 2).sum(-1)
    outside = tuple(places[~differs[complex_.subunit]][near.min(axis=1) > 25].T)
    found = {amount: [float(np.corrcoef(a[where], b[where])[0, 1]) for where in (inside, outside)
                      for a, b in [modified_pair(maps, amount)]] for amount in (None, -1.0, 1.0)}
    print({amount: [round(value, 4) for value in pair] for amount, pair in found.items()})
    assert found[-1.0][0] < found[None][0] - 0.2
    assert found[1.0][0] > found[None][0] + 0.2
    for amount in (-1.0, 1.0):
        assert abs(found[amount][1] - found[None][1]) < 0.01


# What is written -----------------------------------------------------------------------------------------------------


def test_every_file_is_there_and_nothing_else(run):
    _, out, _ = run
    names = [f"{prefix}run_it025_class{k:03d}.mrc" for k in range(1, 5) for prefix in ("scale_", "out_")]
    names += ["out_run_it025_model.star", "classes_run_it025.csv", "classdiff_run_it025.csv", "classvar_run_it025.mrc",
              "chimX_run_it025.cxc", "occupy_run_it025.json", "log_run_it025.txt"]
    assert sorted(os.listdir(out)) == sorted(names)


def test_the_star_file_names_the_modified_maps_from_the_project_directory(run):
    root, out, _ = run
    before = (root / "Class3D/job012/run_it025_model.star").read_bytes()
    after = (out / "out_run_it025_model.star").read_bytes()
    assert after == before.replace(b"Class3D/job012/run_", b"Occupy/job1/out_run_")
    for k in range(1, 5):
        name = f"Occupy/job1/out_run_it025_class{k:03d}.mrc"
        assert after.count(name.encode()) == 1 and (root / name).is_file()


def test_each_class_is_a_run_with_the_common_full_scale(simulated, run):
    _, maps = simulated
    _, out, _ = run
    voxel_size = read_map(str(out / "scale_run_it025_class001.mrc")).voxel_size  # in single precision
    full = [measure_full_scale(volume, voxel_size=voxel_size)[0] for volume in maps]
    record = read_record(out / "occupy_run_it025.json")
    assert record["common_full_scale"] == max(full)
    assert record["common_full_scale_of"] == f"class {1 + int(np.argmax(full))}"
    assert record["settings"]["amplify"] is True
    for k, volume in enumerate(maps, 1):
        result = estimate(volume, voxel_size=voxel_size, full_scale=max(full))
        assert np.array_equal(read(out / f"scale_run_it025_class{k:03d}.mrc"), result.scale)
        assert record["runs"][k - 1]["results"]["full_scale"] == max(full)
        assert record["runs"][k - 1]["results"]["zero_level"] == result.zero
        assert record["classes"][k - 1]["own_full_scale"] == full[k - 1]


def test_the_full_scale_alone_is_that_of_the_whole_estimate(simulated):
    for settings in (Settings(), Settings(naive_normalisation=True), Settings(scale_mode="resolution")):
        volume = simulated[1][1].copy()
        whole = estimate(volume, settings, voxel_size=VOXEL_SIZE)
        found = measure_full_scale(volume, settings, voxel_size=VOXEL_SIZE, room=Room(volume=True))
        assert found[:4] == (whole.full_scale, whole.full_scale_corner, whole.tile, whole.zero)


def test_tables(run):
    root, out, _ = run
    with open(out / "classes_run_it025.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    record = json.loads((out / "occupy_run_it025.json").read_text())
    assert [row["class"] for row in rows] == [f"class {k}" for k in range(1, 5)]
    assert [float(row["share_of_particles"]) for row in rows] == SHARES
    assert [float(row["resolution_angstrom"]) for row in rows] == RESOLUTIONS
    scales = [read(out / f"scale_run_it025_class{k:03d}.mrc") for k in range(1, 5)]
    limits = [float(row["occupied_above_scale"]) for row in rows]
    union = np.logical_or.reduce([scale > limit for scale, limit in zip(scales, limits, strict=True)])
    voxel = read_map(str(out / "classvar_run_it025.mrc")).voxel_size ** 3
    assert math.isclose(record["union_volume_angstrom3"], np.count_nonzero(union) * voxel, rel_tol=1e-9)
    for row, scale, limit, entry in zip(rows, scales, limits, record["classes"], strict=True):
        assert math.isclose(float(row["occupied_volume_angstrom3"]), np.count_nonzero(scale > limit) * voxel,
                            rel_tol=1e-9)
        assert math.isclose(float(row["mean_scale_in_union"]), scale[union].mean(dtype=float), rel_tol=1e-9)
        assert {name: "" if value is None else str(value) for name, value in entry.items()} == row
    log = (out / "log_run_it025.txt").read_text()
    assert "common full scale" in log and all(f"class {k}" in log for k in range(1, 5))


def test_the_occupied_volume_is_that_of_the_complex(simulated, run):
    """Not that of noise: a class of much noise has no volume in empty solvent."""
    complex_, _ = simulated
    places = np.rint(complex_.atoms).astype(int)
    near = np.zeros((classification.BOX,) * 3, bool)
    for shift in np.ndindex(13, 13, 13):  # six voxels about every atom: the ball, and the low-pass
        near[tuple((places + shift - 6).T)] = True
    with open(run[1] / "classes_run_it025.csv", newline="") as file:
        for k, row in enumerate(csv.DictReader(file), 1):
            scale = read(run[1] / f"scale_run_it025_class{k:03d}.mrc")
            occupied = scale > float(row["occupied_above_scale"])
            assert 1000 < np.count_nonzero(occupied)
            # four standard deviations: few of the 600,000 voxels of solvent
            assert np.count_nonzero(occupied & ~near) < 1e-3 * near.size


def test_differences_lie_where_the_classes_differ(simulated, run):
    complex_, _ = simulated
    _, out, _ = run
    differences = read_record(out / "occupy_run_it025.json")["differences"]
    assert len(differences) == 12
    looked_at = 0
    for row in differences:
        a, b = int(row["more"][-1]) - 1, int(row["less"][-1]) - 1
        excess = np.clip(OCCUPANCIES[a] - OCCUPANCIES[b], 0, None)
        if row["volume_angstrom3"] < 1000 or excess.max() < 0.4:
            continue
        assert row["least_errors"] * row["peak_error"] < row["peak"] and 0 < row["share_of_union"] < 1
        if (np.abs(excess - row["smallest_counted"]) < row["peak_error"]).any():
            continue  # of a subunit whose difference is just what noise may hide a part counts
        looked_at += 1
        weight = excess[complex_.subunit] * (excess[complex_.subunit] > row["smallest_counted"])
        expected = (complex_.atoms * weight[:, None]).sum(axis=0)[::-1] / weight.sum() * VOXEL_SIZE
        # within half the radius of a subunit (17 Å): in the right one of several
        assert np.linalg.norm(np.array(row["centre_xyz_angstrom"]) - expected) < 8.5, row
        assert excess.max() - 0.2 < row["peak"] <= 1  # the largest of many voxels, with their noise
    assert looked_at >= 2, "what noise may hide a part of is left out, but not everything"
    found = {(row["more"], row["less"]) for row in differences if row["volume_angstrom3"] > 1000}
    assert {("class 1", "class 4"), ("class 2", "class 1"), ("class 1", "class 2")} <= found


def test_the_standard_deviation_over_classes(run):
    _, out, _ = run
    scales = np.stack([read(out / f"scale_run_it025_class{k:03d}.mrc") for k in range(1, 5)])
    spread = read(out / "classvar_run_it025.mrc")
    # rounding of single precision only
    assert np.abs(spread - scales.astype(float).std(axis=0)).max() < 1e-6


def test_the_chimerax_script_opens_everything(run):
    _, out, _ = run
    text = (out / "chimX_run_it025.cxc").read_text()
    opened = [line.split('"')[1] for line in text.splitlines() if line.startswith("open ")]
    assert len(opened) == 4 * 3 + 1 and all((out / name).is_file() for name in opened)
    colours = [line.split() for line in text.splitlines() if line.startswith("color sample")]
    # every surface is coloured by the scale of its own class
    for words in colours:
        model, scale = opened[int(words[2][1:]) - 1], opened[int(words[4][1:]) - 1]
        assert os.path.basename(scale).startswith("scale_") and model[-7:] == scale[-7:]
    assert len(colours) == 8


@pytest.mark.slow
def test_maps_without_a_star_file_give_the_same(simulated, run, tmp_path):
    root, out, _ = run
    maps = [str(root / f"Class3D/job012/run_it025_class{k:03d}.mrc") for k in range(1, 5)]
    assert classes.run(Settings(amplify=True), Options(output_dir=str(tmp_path), input_map=tuple(maps))) == 0
    assert sorted(set(os.listdir(out)) - set(os.listdir(tmp_path))) == ["out_run_it025_model.star"]
    for k in range(1, 5):
        name = f"scale_run_it025_class{k:03d}.mrc"
        assert np.array_equal(read(out / name), read(tmp_path / name))
    assert np.array_equal(read(out / "classvar_run_it025.mrc"), read(tmp_path / "classvar_run_it025.mrc"))


# Small maps: everything that can be wrong ----------------------------------------------------------------------------


def blob(occupancy=1.0, box=40, seed=0):
    rng = np.random.default_rng(seed)
    middle = np.indices((box,) * 3) - (box - 1) / 2
    content = np.exp(-((middle - 4) ** 2).sum(0) / 18) + occupancy * np.exp(-((middle + 4) ** 2).sum(0) / 18)
    return (content + rng.normal(0, 0.02, content.shape)).astype(np.float32)


@pytest.fixture
def small(tmp_path, monkeypatch):
    """A function that makes a project of small maps, and runs it: returns (status, output directory)."""
    monkeypatch.chdir(tmp_path)

    def make(maps, settings=None, options=None, star=None, dry_run=False, executor=in_turn):
        path = classification.write_project(tmp_path, maps, voxel_size=2.0, box=40, **(star or {}))
        options = replace(options or Options(output_dir="out"), relion_classes=os.path.relpath(path))
        if dry_run:
            lines, status = classes.describe(settings or Settings(), options, Console(-1))
            print("\n".join(lines))
        else:
            status = classes.run(settings or Settings(), options, Console(-1), executor)
        return status, tmp_path / "out"

    return make


def references(out):
    from occupy_jit.files.relion import star

    return [c.reference for c in star.read_classes(out / "out_run_it025_model.star").classes]


OLD = "Class3D/job012/run_it025_class{:03d}.mrc"


@pytest.mark.slow
@pytest.mark.parametrize("bad, star, words", [
    (np.where(np.arange(64000).reshape(40, 40, 40) == 7, np.nan, blob()), {}, "NaN"),
    (None, {}, "the map is missing"),
    (blob(box=44), {}, "44 x 44 x 44 voxels"),
    (np.zeros((40, 40, 40)), {}, "every value is the same: no particles"),
    (np.full((40, 40, 40), 3.5), {}, "every value is the same: no particles"),
    (blob(seed=3), {"shares": [0.5, 0.0, 0.5]}, "no particles belong to it"),
    (None, {"shares": [0.5, 0.0, 0.5]}, "no particles belong to it"),
    (30 * np.random.default_rng(1).normal(size=(40, 40, 40)), {"shares": [0.6, 3e-4, 0.3997]},
     "it has 0.03% of the particles, and its map is noise"),
    (5 * blob(seed=3), {"shares": [0.6, 3e-4, 0.3997]}, "its full scale is"),
])
def test_a_bad_class_is_left_out_and_the_others_run(small, capsys, bad, star, words):
    status, out = small([blob(), bad, blob(0.5, seed=1)], star=star)
    empty = "particles" in words or "full scale" in words
    assert status == (0 if empty else 3), "an empty class is no fault"
    kind = "warning" if empty else "error"
    errors = [line for line in capsys.readouterr().err.splitlines() if f"{kind}: class 2: " in line]
    assert len(errors) == 1 and words in errors[0] and errors[0].endswith("; left out")
    assert references(out) == ["out/out_run_it025_class001.mrc", OLD.format(2), "out/out_run_it025_class003.mrc"]
    rows = read_record(out / "occupy_run_it025.json")["classes"]
    assert [row["status"] for row in rows] == [0, status, 0] and words in rows[1]["problem"]
    assert not (out / "scale_run_it025_class002.mrc").exists()
    # and the others read as if it had never been there
    classes.run(Settings(), Options(output_dir="two", input_map=(OLD.format(1), OLD.format(3))))
    for k in (1, 3):
        assert np.array_equal(read(out / f"scale_run_it025_class{k:03d}.mrc"),
                              read(f"two/scale_run_it025_class{k:03d}.mrc"))


def test_a_class_of_another_voxel_size_is_left_out(small, capsys, tmp_path):
    (tmp_path / "Class3D/job012").mkdir(parents=True)
    path = classification.write_project(tmp_path, [blob(), blob(), blob()], voxel_size=2.0)
    classification.write_map(tmp_path / OLD.format(1), blob(), 2.2)
    assert classes.run(Settings(), Options(output_dir="out", relion_classes=str(path)), Console(-1)) == 3
    error = capsys.readouterr().err
    # two against one, whichever comes first
    assert "class 1: " in error and "2.2 Å" in error and "error: class 2: " not in error


def test_no_class_can_be_used(small, tmp_path):
    with pytest.raises(InputError, match="none of the 2 classes"):
        small([np.zeros((40, 40, 40)), np.zeros((40, 40, 40))])
    assert not (tmp_path / "out").exists()


def test_two_dimensional_classes_are_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "run_it025_model.star"
    path.write_text(classification.model_star(["000001@run_it025_classes.mrcs"], dimensionality=2))
    with pytest.raises(InputError, match="2D classification"):
        classes.run(Settings(), Options(output_dir="out", relion_classes=str(path)))


def test_one_class(small):
    status, out = small([blob()])
    assert status == 0 and references(out) == ["out/out_run_it025_class001.mrc"]
    assert not (out / "classvar_run_it025.mrc").exists() and not (out / "classdiff_run_it025.csv").exists()
    assert np.array_equal(read(out / "scale_run_it025_class001.mrc"), estimate(read_map(OLD.format(1))).scale)


@pytest.mark.slow
@pytest.mark.parametrize("settings, given, expected", [
    (Settings(class_density="own"), (), "out_"),
    (Settings(class_density="own", amplify=True, amplify_amount=-0.5), ("amplify_amount",), "out_"),
    (Settings(amplify_amount=1.0), ("amplify_amount",), "out_"),
    (Settings(class_density="own", exclude_solvent=True), ("exclude_solvent",), "out_"),
    (Settings(sigmoid_gamma=3.0), ("sigmoid_gamma",), "sigm_"),
    (Settings(), ("amplify",), None),  # --no-amplify
])
def test_which_modification_the_star_file_names(small, settings, given, expected):
    status, out = small([blob(), blob(0.5)], settings, Options(output_dir="out", given=frozenset(given)))
    assert status == 0
    if expected is None:
        assert not (out / "out_run_it025_model.star").exists()
        return
    assert references(out) == [f"out/{expected}run_it025_class{k:03d}.mrc" for k in (1, 2)]
    asked = settings
    if expected == "out_":
        amount = settings.amplify_amount if "amplify_amount" in given else CLASSES_AMOUNT
        asked = replace(settings, amplify=True, amplify_amount=amount)
    result = estimate(read_map(OLD.format(2)), asked,
                      full_scale=read_record(out / "occupy_run_it025.json")["common_full_scale"])
    wanted = modification.modified(read(OLD.format(2)), result, asked, requested(asked)[0])
    assert np.array_equal(read(out / f"{expected}run_it025_class002.mrc"), wanted)


@pytest.mark.slow
@pytest.mark.parametrize("settings, given", [
    (Settings(), ()),
    (Settings(amplify=True, amplify_amount=-0.3), ("amplify", "amplify_amount")),
    (Settings(exclude_solvent=True, lowpass_amplified_angstrom=9.0), ("exclude_solvent",)),
    (Settings(amplify=True, sigmoid_gamma=3.0), ("amplify", "sigmoid_gamma")),
])
def test_lowered_classes_are_the_mean_of_all_with_the_occupancy_of_each(small, settings, given):
    options = Options(output_dir="out", given=frozenset(given), save_all_maps=True)
    status, out = small([blob(), None, blob(0.5, seed=1)], settings, options)
    assert status == 3  # of the class that is missing
    amount = settings.amplify_amount if "amplify_amount" in given else CLASSES_AMOUNT
    mean = mean_map((read(OLD.format(k)) for k in (1, 3)), [1, 1])
    wanted = classes_on_mean(mean, [read(out / f"scale_run_it025_class{k:03d}.mrc") for k in (1, 3)], [1, 1],
                             replace(settings, amplify=True, amplify_amount=amount), 2.0,
                             read_record(out / "occupy_run_it025.json")["common_full_scale"])
    for k, data in zip((1, 3), wanted, strict=True):
        assert np.array_equal(read(out / f"out_run_it025_class{k:03d}.mrc"), data)
    assert references(out) == ["out/out_run_it025_class001.mrc", OLD.format(2), "out/out_run_it025_class003.mrc"]
    assert (out / "sigm_run_it025_class001.mrc").exists() == (settings.sigmoid_gamma is not None)
    # there is no factor of a class's own map that would say what was done
    assert not (out / "factor_out_run_it025_class001.mrc").exists()
    assert "mean of 2 classes" in (out / "log_run_it025.txt").read_text()


def test_references_of_low_resolution_are_those_of_a_wider_low_pass_and_scales_stay(small):
    """As if the low-pass had been given; the scales are those of a run that knows no resolution."""
    maps = [blob(seed=0), blob(0.5, seed=1), blob(0.7, seed=2)]
    runs = {"coarse": ([12.0, 14.0, 90.0], None), "fine": ([4.0, 5.0, 5.5], None), "unknown": (None, None),
            "given": (None, 18.0)}
    scales, modified = {}, {}
    for name, (resolutions, lowpass) in runs.items():
        status, _ = small(maps, Settings(lowpass_input_angstrom=lowpass), Options(output_dir=name),
                          star={"resolutions": resolutions})
        assert status == 0
        scales[name], modified[name] = (np.array([read(f"{name}/{kind}_run_it025_class{k:03d}.mrc") for k in (1, 2, 3)])
                                        for kind in ("scale", "out"))
        log = (Path(name) / "log_run_it025.txt").read_text()
        assert ("scales for the references: after a low-pass of 18 Å" in log) == (name == "coarse")
        assert not [path for path in os.listdir(name) if path.startswith(("tmp", "."))]
    assert np.array_equal(modified["coarse"], modified["given"])
    assert not np.array_equal(modified["coarse"], modified["unknown"])
    assert np.array_equal(modified["fine"], modified["unknown"])
    for name in ("coarse", "fine"):
        assert np.array_equal(scales[name], scales["unknown"])


def test_amounts_that_help_are_the_default_and_others_are_warned_of(small, capsys):
    warning = "makes the classes alike"
    small([blob(), blob(0.5)])
    assert warning not in capsys.readouterr().err
    for amount in (1.0, 0.0):
        _, out = small([blob(), blob(0.5)], Settings(amplify=True, amplify_amount=amount),
                       Options(output_dir=f"out{amount:g}", given=frozenset(("amplify", "amplify_amount"))))
        assert capsys.readouterr().err.count(warning) == (amount > 0)
    # the input itself, though not on the mean of all
    assert np.array_equal(read("out0/out_run_it025_class002.mrc"), read(OLD.format(2)))


def test_a_dry_run_writes_nothing(small, tmp_path, capsys):
    status, out = small([blob(), None, blob()], dry_run=True)
    assert status == 3 and not out.exists()
    said = capsys.readouterr()
    assert "out_run_it025_model.star" in said.out and "scale_run_it025_class003.mrc" in said.out
    assert "class 2" in said.err


def second_fails(error):
    """An executor that runs maps in turn, and has something happen while the second class is written."""
    def executor(work, plans, listener=None):
        for plan in plans:
            with pytest.MonkeyPatch.context() as patch:
                if work is one_map.run_one and plan.path.endswith("2.mrc"):
                    patch.setattr(writing.Writer, "chimerax", lambda self, result: (_ for _ in ()).throw(error))
                yield work(plan, listener)
    return executor


def test_an_interrupted_run_leaves_nothing_incomplete(small, tmp_path):
    with pytest.raises(Interrupted):
        small([blob(), blob(0.5)], executor=second_fails(Interrupted(15)))
    # the class that was complete, whole; of the other nothing, and of what tells of all that it is not finished
    assert sorted(os.listdir(tmp_path / "out")) == ["occupy_run_it025.json", "scale_run_it025_class001.mrc"]
    record = read_record(tmp_path / "out" / "occupy_run_it025.json")
    assert record["finished"] is False and [row["class"] for row in record["classes"]] == ["class 1", "class 2"]
    with pytest.raises(InputError, match="unfinished run"):
        repeated({}, Options(rerun=str(tmp_path / "out" / "occupy_run_it025.json")))


def test_a_run_of_which_no_class_got_its_files_leaves_the_record_of_the_run_before(small, tmp_path):
    def fails(error):
        def executor(work, plans, listener=None):
            if work is one_map.run_one:
                raise error
            return in_turn(work, plans, listener)
        return executor

    with pytest.raises(OccupyError, match="first"):
        small([blob(), blob(0.5)], executor=fails(OccupyError("first")))
    assert os.listdir(tmp_path / "out") == []
    assert small([blob(), blob(0.5)])[0] == 0
    before = (tmp_path / "out" / "occupy_run_it025.json").read_bytes()
    with pytest.raises(OccupyError, match="second"):
        small([blob(), blob(0.5)], executor=fails(OccupyError("second")))
    assert (tmp_path / "out" / "occupy_run_it025.json").read_bytes() == before


def test_a_class_that_fails_while_it_runs(small, capsys):
    status, out = small([blob(), blob(0.5), blob(0.2)], executor=second_fails(MemoryError()))
    assert status == 1 and "class 2: not enough memory" in capsys.readouterr().err
    assert references(out)[1] == OLD.format(2)
    assert [row["status"] for row in read_record(out / "occupy_run_it025.json")["classes"]] == [0, 1, 0]


def test_names_with_blanks(small, tmp_path, capsys):
    status, _ = small([blob(), blob(0.5)], options=Options(output_dir="my out"))
    assert status == 0 and references(tmp_path / "my out") == [f"my out/out_run_it025_class{k:03d}.mrc" for k in (1, 2)]
    assert "blanks" in capsys.readouterr().err


def test_outputs_outside_of_the_project_are_named_in_full(small, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    small([blob(), blob(0.5)], options=Options(output_dir=str(elsewhere)))
    assert references(elsewhere) == [str(elsewhere / f"out_run_it025_class{k:03d}.mrc") for k in (1, 2)]


def test_the_same_map_twice_is_refused(small):
    classification.write_map("a.mrc", blob(), 2.0)
    with pytest.raises(UsageError, match="are the same map"):
        classes.run(Settings(), Options(output_dir="out", input_map=("a.mrc", "./a.mrc")))


def test_target_masks_are_compared(small):
    mask = np.zeros((40, 40, 40), np.float32)
    mask[12:19, 12:19, 12:19] = 1
    classification.write_map("mask.mrc", mask, 2.0)
    _, out = small([blob(), blob(0.5), blob(0.2)], options=Options(output_dir="out", target_mask=("mask.mrc",)))
    with open(out / "classes_run_it025.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    found = [float(row["occupancy in mask.mrc"]) for row in rows]
    assert found[0] > found[1] > found[2] and all(float(row["error in mask.mrc"]) > 0 for row in rows)
    with open(out / "classtargets_run_it025.csv", newline="") as file:
        differences = list(csv.DictReader(file))
    assert {(row["more"], row["less"]) for row in differences} == {("class 1", "class 2"), ("class 1", "class 3"),
                                                                   ("class 2", "class 3")}
    for row in differences:
        high, low = (found[int(row[which][-1]) - 1] for which in ("more", "less"))
        assert float(row["difference"]) == pytest.approx(high - low)
        # a mask of 14 Å is one place, though several blocks may share it: too small
        assert row["se"] == row["p"] == "" and row["significant"] == "False"
    assert "too small for an error" in (out / "log_run_it025.txt").read_text()


def test_a_class_that_alone_sets_the_full_scale_is_told(small):
    _, out = small([blob(), blob(seed=1), 2.5 * blob(seed=2)])
    record = read_record(out / "occupy_run_it025.json")
    assert "full-scale-of-one" in [verdict["code"] for verdict in record["verdicts"]]
    assert record["common_full_scale_of"] == "class 3"


@pytest.mark.parametrize("stems, name", [
    (["run_it025_class001", "run_it025_class002"], "run_it025"),
    (["run_it025_class009", "run_it025_class010"], "run_it025"),
    (["map_2020_a", "map_2020_b"], "map_2020"),
    (["emd_1234", "emd_1299"], "emd"),
    (["open", "closed"], "open"),
    (["a", "b"], "a"),
    (["abc", "abc_2"], "abc"),
])
def test_common_names(stems, name):
    assert common_name(stems) == name


# The comparison of arrays --------------------------------------------------------------------------------------------


@hypothesis_settings(deadline=None, max_examples=60)
@given(arrays(np.float32, st.tuples(st.integers(1, 4), *[st.integers(1, 6)] * 3), elements=st.floats(0, 1, width=16)),
       st.floats(0, 0.3), st.booleans(), st.floats(0.1, 0.9), st.integers(1, 100))
@example(np.arange(2, dtype=np.float32).reshape(2, 1, 1, 1), 2e-313, False, 0.5, 1)  # more errors than a number holds
def test_comparison_as_anyone_would_write_it(scales, noise, local, occupied, slab):
    noises = [comparison.NoiseOfScale(0.1, noise) for _ in scales]
    errors = np.array([noise_.at(scale.astype(float)) for noise_, scale in zip(noises, scales, strict=True)])
    if local:  # the same, given at every voxel
        noises = list(errors)
    occupied = [occupied] * len(scales)
    spread = np.empty(scales.shape[1:], np.float32)
    means, union, differences = comparison.compare(list(scales), noises, occupied, spread, slab)
    level = comparison.FALSE_SHARE / max(len(scales) * (len(scales) - 1) / 2, 1)
    expected_means, expected_union, expected = naive.compare_scales(scales, errors, occupied, level,
                                                                    comparison.LEAST_DIFFERENCE)
    assert union == expected_union
    assert np.allclose(means, expected_means, rtol=1e-12, equal_nan=True)
    assert np.abs(spread - scales.astype(float).std(axis=0)).max() < 1e-6
    assert [(d.more, d.less, d.errors, d.voxels, d.peak) for d in differences] == [row[:5] for row in expected]
    for found, row in zip(differences, expected, strict=True):
        assert found.share == (found.voxels / union if union else 0)
        assert (found.centre is None) == (row[5] is None) == (found.smallest is None)
        if found.centre is not None:
            assert np.allclose(found.centre, row[5], rtol=1e-9, atol=1e-9)
            a, b = scales[found.more], scales[found.less]
            assert float(a[found.peak_at[::-1]]) - float(b[found.peak_at[::-1]]) == found.peak
            assert comparison.LEAST_DIFFERENCE < found.smallest <= found.peak


@hypothesis_settings(deadline=None)
@given(st.floats(0.001, 0.5), st.floats(0.001, 0.3), st.floats(0.0, 1.0))
def test_noise_of_a_scale_is_that_of_its_sliding_maximum(floor, deviation, scale):
    """The error of the scale at a voxel whose sliding maximum gives this scale."""
    height = (scale + math.hypot(scale, 2 * floor)) / 2
    wanted = scale_error(np.full((1, 1, 1), height, np.float32), 0.0, floor, deviation**2, 1.0, 0.0, True)
    found = comparison.NoiseOfScale(floor, deviation).at(np.array([scale]))
    assert found[0] == pytest.approx(float(wanted[0, 0, 0]), rel=1e-4)


def test_voxels_that_differ_by_noise_alone_are_not_told():
    """Pairs of classes of one composition."""
    complex_ = classification.Complex()
    told = 0
    maps = [complex_.map(np.ones(5), 3.0, 900 + k) for k in range(6)]
    full = max(measure_full_scale(volume, voxel_size=VOXEL_SIZE).value for volume in maps)
    results = [estimate(volume, voxel_size=VOXEL_SIZE, full_scale=full, with_confidence=False) for volume in maps]
    noises = [comparison.NoiseOfScale(result.floor / full, result.content_noise) for result in results]
    limits = [max(0.2, result.solvent_limit) for result in results]
    for a in range(6):
        for b in range(a):
            _, union, found = comparison.compare([results[k].scale for k in (a, b)], [noises[k] for k in (a, b)],
                                                 [limits[k] for k in (a, b)])
            told += any(d.voxels for d in found)
            assert union > 1000 and sum(d.voxels for d in found) < 1e-3 * union
    # 15 pairs, each with a chance of 5% at most: more than 3 have a chance below 1%
    assert told <= 3


@pytest.mark.parametrize("order", [(1, 2, 3), (2, 3, 1), (3, 1, 2), (3, 2, 1)])
def test_a_view_of_a_map_is_what_reading_gives(tmp_path, order):
    volume = map_from_array(np.random.default_rng(0).normal(size=(8, 9, 10)), 1.5)
    sizes = dict(zip((1, 2, 3), (10, 9, 8), strict=True))
    for name, of, axis in zip(("nx", "ny", "nz"), ("mapc", "mapr", "maps"), order, strict=True):
        volume.header[name], volume.header[of] = sizes[axis], axis
    volume.axis_order = order
    write_map(tmp_path / "a.mrc", volume.data, volume, "test")
    assert np.array_equal(view_map(tmp_path / "a.mrc"), volume.data)
    assert np.array_equal(read(tmp_path / "a.mrc"), volume.data)


def test_the_record_repeats_the_run_bit_for_bit(small, tmp_path):
    from occupy_jit.cli import main

    small([blob(), None, blob(0.5)], Settings(amplify=True, amplify_amount=-0.5))
    before = {name: (tmp_path / "out" / name).read_bytes() for name in os.listdir(tmp_path / "out")}
    again = ["--rerun", "out/occupy_run_it025.json", "--output-dir", "out2", "--quiet"]
    assert main.main(again) == 3  # a class is still missing
    after = {name: (tmp_path / "out2" / name).read_bytes() for name in os.listdir(tmp_path / "out2")}
    assert sorted(before) == sorted(after)
    for name, content in before.items():
        if name.endswith((".mrc", ".csv")):
            assert after[name] == content, name
    assert main.main(["-i", OLD.format(1), OLD.format(3), "--common-scale", "--output-dir", "three", "--quiet"]) == 0
    assert main.main(["--rerun", "three/occupy_run_it025.json", "--output-dir", "four", "--quiet"]) == 0
    name = "scale_run_it025_class001.mrc"
    assert (tmp_path / "three" / name).read_bytes() == (tmp_path / "four" / name).read_bytes()
    assert "classvar_run_it025.mrc" in os.listdir("four")


def test_a_changed_input_is_not_repeated(small, capsys):
    from occupy_jit.cli import main

    small([blob(), blob(0.5)])
    classification.write_map(OLD.format(1), blob(seed=9), 2.0)
    assert main.main(["--rerun", "out/occupy_run_it025.json", "--output-dir", "out2", "--quiet"]) == 3
    assert "has changed since the recorded run" in capsys.readouterr().err
    assert not os.path.exists("out2")
