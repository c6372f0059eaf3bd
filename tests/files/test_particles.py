"""Particles behind volumes: what is read of RELION, cryoDRGN and cryoSPARC, and what is written back."""

import os
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from occupy_jit.errors import InputError, UsageError
from occupy_jit.files.output.transaction import Outputs
from occupy_jit.files.particles.pickles import read_pickle
from occupy_jit.files.particles.sources import read_particles
from occupy_jit.files.particles.star_rows import read_rows
from occupy_jit.files.particles.subsets import write_subset

OPTICS = b"""
# version 30001

data_optics

loop_
_rlnOpticsGroup #1
_rlnImagePixelSize #2
1 1.5

"""
TABLE = b"""
# version 30001

data_particles

loop_
_rlnImageName #1
_rlnClassNumber #2
_rlnAngleRot #3
"""
VOLUMES = [f"out/run_it025_class{k:03d}.mrc" for k in (1, 2, 3)]


def star(numbers, tail=b"\n", ends=b"\n"):
    rows = [f"{k + 1:06d}@stack.mrcs  {number}   {k / 7:.6f} ".encode() for k, number in enumerate(numbers)]
    return (OPTICS + TABLE).replace(b"\n", ends) + ends.join(rows) + ends + tail


@pytest.fixture
def written(tmp_path):
    def write(name, content):
        path = tmp_path / name
        path.write_bytes(content)
        return str(path)

    return write


@pytest.mark.parametrize("ends", [b"\n", b"\r\n"])
@pytest.mark.parametrize("tail", [b"", b"\n", b"\n# a remark\n\ndata_more\n\n_rlnX 5\n"])
def test_rows_of_a_star_file_are_divided_without_another_change(written, tmp_path, ends, tail):
    numbers = [1, 3, 1, 2, 2, 3, 1]
    raw = star(numbers, tail, ends)
    path = written("run_it025_data.star", raw)
    particles = read_particles([path], VOLUMES)
    assert particles.count.tolist() == [3, 2, 2] and particles.volume.tolist() == [0, 2, 0, 1, 1, 2, 0]
    seen = []
    for k in range(3):
        with Outputs() as outputs:
            (name,), number = write_subset(particles, [k], str(tmp_path / f"particles_state{k + 1}"), outputs)
        part = read_rows(name)
        assert number == len(part) == numbers.count(k + 1)
        whole = read_rows(path)
        assert (part.before, part.after) == (whole.before, whole.after)
        assert part.rows == [row for row, n in zip(whole.rows, numbers, strict=True) if n == k + 1]
        seen += part.rows
    assert sorted(seen) == sorted(read_rows(path).rows)  # none lost, none twice
    everything = read_rows(path).subset(range(7))
    assert everything == raw


def test_a_star_file_of_relion_3_0_and_quoted_names(written):
    head = b"\ndata_\n\nloop_\n_rlnImageName #1\n_rlnClassNumber #2\n"
    path = written("old.star", head + b"'1@my stack.mrcs' 2\n\"2@b\" 1\n\n")
    assert read_rows(path).values(b"_rlnClassNumber") == [b"2", b"1"]
    broken = written("broken.star", b"data_\nloop_\n_rlnImageName\n_rlnClassNumber\n1@a 1 7\n")
    with pytest.raises(InputError, match="row 1 .* 3 values for 2 columns"):
        read_rows(broken).values(b"_rlnClassNumber")


def test_counts_go_by_name_in_any_form(written):
    path = written("counts.csv", b"name,count\nrun_it025_class002.mrc,20\nout/run_it025_class001.mrc,10.0\n"
                                 b"run_it025_class003,30\n")
    particles = read_particles([path], VOLUMES)
    assert particles.count.tolist() == [10, 20, 30] and particles.volume is None
    with pytest.raises(InputError, match="has no number of particles for .*class003"):
        read_particles([written("few.csv", b"run_it025_class002,20\nrun_it025_class001,1\n")], VOLUMES)
    for wrong, told in ((b"a,1\nb,x\n", "line 2"), (b"a,1\na,2\n", "twice"), (b"a,-1\n", "not a number of particles"),
                        (b"", "no rows")):
        with pytest.raises(InputError, match=told):
            read_particles([written("wrong.csv", wrong)], VOLUMES)


def test_shares_of_a_model_star(written):
    pytest.importorskip("gemmi")
    text = ("data_model_general\n\n_rlnReferenceDimensionality 3\n\ndata_model_classes\n\nloop_\n"
            "_rlnReferenceImage #1\n_rlnClassDistribution #2\n")
    for volume, share in zip(VOLUMES, (0.5, 0.2, 0.3), strict=True):
        text += f"Class3D/{os.path.basename(volume)} {share}\n"
    particles = read_particles([written("run_it025_model.star", text.encode())], VOLUMES[::-1])
    assert particles.count.tolist() == [0.3, 0.2, 0.5] and not particles.whole


def labels_file(path, labels, protocol):
    with open(path, "wb") as file:
        pickle.dump(labels, file, protocol=protocol)
    return str(path)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("dtype", [np.int32, np.int64, np.uint8])
def test_labels_of_cryodrgn_and_their_indices(tmp_path, protocol, dtype):
    labels = np.array([2, 0, 1, 1, 0, 0], dtype)
    path = labels_file(tmp_path / "labels.pkl", labels, protocol)
    assert np.array_equal(read_pickle(path), labels)
    volumes = [f"kmeans3/vol_{k:03d}.mrc" for k in range(3)]
    particles = read_particles([path], volumes)
    assert particles.count.tolist() == [3, 2, 1]
    with Outputs() as outputs:
        names, number = write_subset(particles, [0, 2], str(tmp_path / "particles_state1"), outputs)
    assert number == 4 and [os.path.splitext(name)[1] for name in names] == [".npy", ".pkl"]
    assert np.load(names[0]).tolist() == [0, 1, 4, 5]
    with open(names[1], "rb") as file:
        assert pickle.load(file).tolist() == [0, 1, 4, 5]


def test_labels_with_the_particles_they_are_of(written, tmp_path):
    volumes = [f"vol_{k:03d}.mrc" for k in range(3)]
    path = labels_file(tmp_path / "labels.pkl", np.array([2, 0, 1, 1]), 4)
    particles = read_particles([path, written("particles.star", star([9, 9, 9, 9]))], volumes)
    with Outputs() as outputs:
        names, _ = write_subset(particles, [1], str(tmp_path / "particles_state2"), outputs)
    assert sorted(os.path.splitext(name)[1] for name in names) == [".npy", ".pkl", ".star"]
    assert [row[:6] for row in read_rows(str(tmp_path / "particles_state2.star")).rows] == [b"000003", b"000004"]
    with pytest.raises(InputError, match="4 labels, .* 5 particles"):
        read_particles([path, written("other.star", star([1] * 5))], volumes)
    with pytest.raises(UsageError, match="one file, or the labels"):
        read_particles([written("a.star", star([1])), written("b.star", star([1]))], volumes)


def test_particles_of_cryosparc(tmp_path):
    table = np.zeros(5, [("uid", "u8"), ("alignments3D/class", "u4"), ("alignments3D/pose", "f4", (3,))])
    table["uid"], table["alignments3D/class"] = np.arange(5) + 100, [0, 1, 1, 2, 0]
    path = str(tmp_path / "particles.cs")
    with open(path, "wb") as file:
        np.save(file, table)
    particles = read_particles([path], [f"J9_class_0{k}_volume.mrc" for k in range(3)])
    assert particles.count.tolist() == [2, 2, 1]
    with Outputs() as outputs:
        (name,), _ = write_subset(particles, [1], str(tmp_path / "particles_state1"), outputs)
    part = np.load(name)
    assert name.endswith(".cs") and part.dtype == table.dtype and part["uid"].tolist() == [101, 102]


class Runs:
    """What a pickle can be made to do."""

    def __reduce__(self):
        return os.system, ("exit 1",)


@pytest.mark.parametrize("content", [Runs(), [Runs()], {"labels": Runs()}, np.array([Runs()], object), os.system,
                                     np.load, pickle.loads])
def test_a_pickle_that_would_run_something_is_refused(tmp_path, content):
    path = labels_file(tmp_path / "labels.pkl", content, 2)
    with pytest.raises(InputError, match="is refused: it would run"):
        read_pickle(path)


@given(st.binary(max_size=200))
def test_any_bytes_are_labels_or_refused_in_one_line(tmp_path_factory, raw):
    path = tmp_path_factory.mktemp("fuzz") / "labels.pkl"
    path.write_bytes(raw)
    try:
        read_particles([str(path)], VOLUMES)
    except InputError as error:
        assert "\n" not in str(error)


def test_classes_that_no_volume_has(written):
    path = written("data.star", star([1, 7]))
    with pytest.raises(InputError, match="classes 1 to 7, which are not the numbers"):
        read_particles([path], VOLUMES)
    # by order, where names have no numbers
    assert read_particles([written("more.star", star([2, 1]))], ["open.mrc", "closed.mrc"]).volume.tolist() == [1, 0]


def test_a_missing_file_and_one_that_holds_no_particles(written, tmp_path):
    with pytest.raises(InputError, match="no such file"):
        read_particles([str(tmp_path / "none.star")], VOLUMES)
    with pytest.raises(InputError, match="no table of particles"):
        read_particles([written("optics.star", OPTICS)], VOLUMES)
    without = star([1]).replace(b"_rlnClassNumber", b"_rlnGroupNumber")
    with pytest.raises(InputError, match="no column _rlnClassNumber"):
        read_particles([written("without.star", without)], VOLUMES)
