"""The other half map, by name."""

import os

import pytest

from occupy_jit.files.names.half_names import pairs_beside, partner


@pytest.mark.parametrize(("one", "other"), [
    ("run_half1_class001_unfil.mrc", "run_half2_class001_unfil.mrc"),
    ("run_it025_half2_class001.mrc", "run_it025_half1_class001.mrc"),
    ("cryosparc_P3_J42_003_volume_map_half_A.mrc", "cryosparc_P3_J42_003_volume_map_half_B.mrc"),
    ("emd_11007_half_map_1.map.gz", "emd_11007_half_map_2.map.gz"),
    ("EMD_HALF_MAP_2.MAP", "EMD_HALF_MAP_1.MAP"),
    ("x_half-b.mrc", "x_half-a.mrc"), ("halfmap1.mrc", "halfmap2.mrc"),
    ("x_h1.mrc", "x_h2.mrc"), ("x_map2.ccp4.bz2", "x_map1.ccp4.bz2"),
    ("rec_half_odd.mrc", "rec_half_even.mrc"), ("rec_EVEN.mrc", "rec_ODD.mrc"), ("rec_Odd.mrc.gz", "rec_Even.mrc.gz"),
    # the last one counts, and folders do not
    ("RUN_HALF1_CLASS001_UNFIL.MRC.GZ", "RUN_HALF2_CLASS001_UNFIL.MRC.GZ"), ("J9_HALF_B.mrc.bz2", "J9_HALF_A.mrc.bz2"),
    ("my_half2_maps/emd_5_half_map_1.map.gz", "my_half2_maps/emd_5_half_map_2.map.gz"),
    ("half1_of_half2.mrc", "half1_of_half1.mrc"), ("a/half1/x_half1.mrc", "a/half1/x_half2.mrc"),
])
def test_the_partner_is_found_both_ways(one, other):
    assert partner(one) == other
    assert partner(other) == one


@pytest.mark.parametrize("name", ["halfway_map.mrc", "class2.mrc", "thalf1.mrc", "run_it025_class001.mrc",
                                  "half1/x.mrc", "oddity.mrc", "map_10.mrc", "half3.mrc", "half12.mrc",
                                  "x_h1_sharp.mrc", ""])
def test_other_names_have_none(name):
    assert partner(name) is None


def test_pairs_beside_a_map_are_found_by_its_name_first(tmp_path):
    folder = tmp_path / "half1"
    folder.mkdir()
    path = str(folder / "emd_7.map.gz")
    assert pairs_beside(path) == []
    for name in ("run_half1.mrc", "run_half2.mrc", "lonely_half1.mrc", "x_half1.txt", "x_half2.txt", "emd_7.map.gz"):
        (folder / name).touch()
    run = (str(folder / "run_half1.mrc"), str(folder / "run_half2.mrc"))
    assert pairs_beside(path) == [run]
    for name in ("emd_7_half_map_1.map.gz", "emd_7_half_map_2.map.gz"):
        (folder / name).touch()
    assert pairs_beside(path) == [tuple(str(folder / f"emd_7_half_map_{n}.map.gz") for n in (1, 2))]
    assert pairs_beside(str(folder / "other.mrc")) == [pairs_beside(path)[0], run]
    assert pairs_beside(str(tmp_path / "no" / "x.mrc")) == []


def test_the_pair_of_a_class_is_that_of_its_number(tmp_path):
    for name in ("run_it025_half{}_class001.mrc", "run_it025_half{}_class002_unfil.mrc", "volume_class10_half{}.mrc"):
        for half in (1, 2):
            (tmp_path / name.format(half)).touch()

    def found(name):
        pairs = pairs_beside(str(tmp_path / name), named_alike=True)
        return [[os.path.basename(half) for half in pair] for pair in pairs]

    assert found("run_it025_class001.mrc") == [[f"run_it025_half{n}_class001.mrc" for n in (1, 2)]]
    assert found("run_it025_class002.mrc") == [[f"run_it025_half{n}_class002_unfil.mrc" for n in (1, 2)]]
    assert found("run_it025_class003.mrc") == [] == found("volume_class1.mrc")
    assert found("volume_class10.mrc") == [[f"volume_class10_half{n}.mrc" for n in (1, 2)]]
    # of a map that is alone, whatever lies there may be meant
    assert len(pairs_beside(str(tmp_path / "run_it025_class003.mrc"))) == 3
