"""The parts of one model in several maps: on one scale, and differences that are neither missed nor made up."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("gemmi")
pytest.importorskip("scipy")

from scipy import stats  # noqa: E402

from occupy_jit import compare_parts, occupancy_of_parts  # noqa: E402
from occupy_jit.estimation.comparison.multiple_testing import SMALLEST, holm, two_sided  # noqa: E402
from occupy_jit.files.models.reading import AtomicModel  # noqa: E402
from tests.estimation.test_model_occupancy import VOXEL, density, structure  # noqa: E402

FULL = dict.fromkeys("ABCD", 1.0)
NOISE = 0.5


def fit(occupancy, seed, model=None, factor=1.0, noise=NOISE):
    volume = factor * density(structure(), {**FULL, **occupancy}, noise=noise, seed=seed)
    return occupancy_of_parts(volume.astype(np.float32), structure() if model is None else model, voxel_size=VOXEL)


def displaced(by=0.4):
    """The model with coordinates that are wrong by so many Å."""
    model = structure()
    moved = model.xyz + np.random.default_rng(5).normal(0, by / np.sqrt(3), model.xyz.shape)
    return AtomicModel(**{**model.__dict__, "xyz": moved})


@pytest.fixture(scope="module")
def alike():
    """Five maps of one composition, fitted with a model whose coordinates are wrong."""
    return [fit({}, seed, displaced(), noise=0.2) for seed in range(5)]


# p values ------------------------------------------------------------------------------------------------------------


def naive_holm(p):
    """As it is written down: the smallest times n, the next times n - 1, ..., none below the one before."""
    order = sorted(range(len(p)), key=lambda i: p[i])
    out, highest = [0.0] * len(p), 0.0
    for rank, i in enumerate(order):
        highest = max(highest, min(1.0, p[i] * (len(p) - rank)))
        out[i] = highest
    return out


@given(st.lists(st.floats(0, 1), max_size=30))
def test_holm_is_the_naive_one(p):
    assert holm(p).tolist() == pytest.approx(naive_holm(p))


@given(st.floats(-20, 20), st.floats(1, 200))
def test_p_values_are_those_of_student_and_gauss(z, freedom):
    assert two_sided([z], [freedom])[0] == pytest.approx(max(2 * stats.t.sf(abs(z), freedom), SMALLEST), rel=1e-6)
    assert two_sided([z], [np.inf])[0] == pytest.approx(max(2 * stats.norm.sf(abs(z)), SMALLEST), rel=1e-6)


# Classes -------------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_no_difference_is_made_up_where_there_is_none(alike):
    found = compare_parts(alike)
    assert len(found.differences) == 4 * 10 and found.significant == []
    assert found.reference.all() and found.warnings == []


def test_errors_of_differences_are_as_large_as_the_differences(alike):
    found = compare_parts(alike)
    # the variance over the maps of each part, against half of the mean variance of its differences: 4 parts, one of
    # which full scale takes, and 4 degrees of freedom each; errors are the larger of two estimates, hence no lower
    # limit other than that they are no more than twice too large
    ratios = []
    for k, name in enumerate(found.names):
        expected = np.mean([row.se**2 for row in found.differences if row.part == name]) / 2
        ratios.append(found.occupancy[:, k].var(ddof=1) / expected)
    assert 1 / 4 < np.mean(ratios) < stats.chi2.isf(0.001, 12) / 12


def test_what_is_wrong_with_the_model_is_not_in_the_errors_of_differences(alike):
    found = compare_parts(alike)
    together = np.mean([row.se for row in found.differences])
    independent = np.sqrt(2 * np.square(found.se).mean())
    print(f"errors of differences {together:.4f}, of independent occupancies {independent:.4f}")
    assert together < 0.7 * independent


@pytest.fixture(scope="module")
def different():
    return [fit({}, 11), fit({"B": 0.0, "C": 0.6}, 12, factor=3.0), fit({"B": 0.5}, 13, factor=0.2)]


def test_differences_are_found_and_named(different):
    found = compare_parts(different, ["full", "without B", "half B"])
    assert found.warnings == [] and found.reference.tolist() == [True, False, False, True]
    truth = np.array([[1, 1, 1, 1], [1, 0, 0.6, 1], [1, 0.5, 1, 1.0]])
    assert (np.abs(found.occupancy - truth) < 3 * found.se).all() and found.se.max() < 0.1
    named = {(row.part, row.more, row.less) for row in found.significant}
    assert named == {("B", "full", "without B"), ("B", "full", "half B"), ("B", "half B", "without B"),
                     ("C", "full", "without B"), ("C", "half B", "without B")}
    for row in found.differences:
        assert row.difference == pytest.approx(row.occupancy_more - row.occupancy_less)
        assert row.p <= row.p_corrected and row.significant == (row.p_corrected < 0.05)


def test_the_grey_scale_of_a_class_changes_nothing(different):
    one, two = compare_parts(different), compare_parts([fit({}, 11, factor=10.0), *different[1:]])
    assert np.allclose(one.occupancy, two.occupancy, atol=2e-3)


def test_the_order_of_classes_changes_nothing_but_names(different):
    one, two = compare_parts(different), compare_parts(different[::-1])
    assert np.allclose(one.occupancy, two.occupancy[::-1])
    assert sorted(row.p for row in one.differences) == pytest.approx(sorted(row.p for row in two.differences))


def test_a_part_that_changes_is_no_reference_though_it_is_nearly_full():
    # three parts agree that it is the fourth that changes; as part of the reference it would pull the others along
    one, two = fit({}, 21, noise=0.2), fit({"B": 0.92}, 22, noise=0.2)
    found = compare_parts([replace(result, full=np.ones(4, bool)) for result in (one, two)])
    assert {row.part for row in found.significant} == {"B"}
    assert found.reference.tolist() == [True, False, True, True]
    b, = found.significant
    assert abs(b.difference - 0.08) < 3 * b.se


def test_where_nothing_is_full_everywhere_the_fullest_common_part_is_one_and_it_is_said():
    found = compare_parts([fit({"A": 0.2, "B": 0.8, "C": 0.2}, 31), fit({"D": 0.3, "B": 0.8, "C": 0.1}, 32)])
    assert found.reference.tolist() == [False, True, False, False]
    assert found.occupancy[:, 1] == pytest.approx([1, 1])
    assert any("no part is full in all classes" in sentence for sentence in found.warnings)
    assert any("B alone" in sentence for sentence in found.warnings)


def test_reference_parts_can_be_named(different):
    found = compare_parts(different, reference=["D"])
    assert found.occupancy[:, 3] == pytest.approx([1, 1, 1])
    with pytest.raises(ValueError, match="no part E"):
        compare_parts(different, reference=["E"])


def test_maps_on_other_grids_are_compared_as_if_they_shared_nothing(alike):
    volume = np.pad(density(structure(), FULL, noise=NOISE, seed=1), ((0, 0), (0, 0), (8, 8)))
    shifted = occupancy_of_parts(volume, displaced(), voxel_size=VOXEL, position=(-8 * VOXEL, 0, 0))
    found = compare_parts([alike[0], shifted])
    assert any("fitted on different grids" in sentence for sentence in found.warnings)
    together = {row.part: row.se for row in compare_parts(alike[:2]).differences}
    assert all(row.se > together[row.part] for row in found.differences)


def test_what_cannot_be_compared_is_refused(alike):
    with pytest.raises(ValueError, match="two maps"):
        compare_parts(alike[:1])
    with pytest.raises(ValueError, match="same model"):
        compare_parts([alike[0], replace(alike[1], names=["A", "B", "C", "E"])])
    with pytest.raises(ValueError, match="names for"):
        compare_parts(alike[:2], ["a"])


def test_the_result_is_one_that_pandas_takes(different):
    pandas = pytest.importorskip("pandas")
    found = compare_parts(different)
    table = pandas.DataFrame(found)
    assert list(table.columns) == ["map", "part", "atoms", "occupancy", "se", "dB", "se_dB", "cc", "reference"]
    assert table.pivot(index="map", columns="part", values="occupancy").shape == (3, 4)
    assert list(pandas.DataFrame(found.differences).columns)[:3] == ["part", "more", "less"]
