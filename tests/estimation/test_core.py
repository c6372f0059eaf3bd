"""The core of a map: its voxels, their average, and correct shares."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_numpy

from occupy_jit import Wanted, estimate
from occupy_jit.estimation.scale.ball import Ball
from occupy_jit.estimation.scale.core import BINS, SMOOTHING_RADII, core_mask, core_of, measure_core, self_weighted
from tests import naive, simulated
from tests.data_folder import simulator

SHAPES = st_numpy.array_shapes(min_dims=3, max_dims=3, min_side=1, max_side=9)
SHARES = st.floats(0, 1, width=32)


@given(st.data())
@settings(max_examples=40, deadline=None)
def test_the_core_is_what_a_naive_erosion_leaves(data):
    shape = data.draw(SHAPES)
    confidence = data.draw(st_numpy.arrays(np.float32, shape, elements=SHARES))
    ball = Ball(*data.draw(st.sampled_from([(3, 1.0), (3, 1.5), (5, 2.0)])))
    doubt = (confidence <= 0.5).astype(np.float32)
    assert np.array_equal(core_mask(confidence, ball), naive.sliding_maximum(doubt, ball.radius, ball.size) == 0)


@given(st.data())
@settings(max_examples=40, deadline=None)
def test_the_average_is_weighted_by_the_scale_itself(data):
    shape = data.draw(SHAPES)
    # far from the smallest float32, so that squares are no subnormal numbers
    scale = data.draw(st_numpy.arrays(np.float32, shape, elements=st.sampled_from([0, 0.125, 0.25, 0.5, 0.9, 1])))
    sigma = data.draw(st.floats(0.5, 3))
    squares, weight = naive.smooth(scale.astype(np.float64) ** 2, sigma), naive.smooth(scale, sigma)
    wanted = np.divide(squares, weight, out=np.zeros_like(squares), where=weight > 1e-12)
    given_ = scale.copy()
    found = self_weighted(given_, sigma)
    assert np.array_equal(given_, scale)
    # two float32 sums of at most 7^3 products, and their ratio
    assert np.allclose(found[weight > 1e-12], wanted[weight > 1e-12], rtol=1e-4)
    assert found.min() >= 0 and found.max() <= scale.max() * (1 + 1e-5)


@pytest.mark.parametrize("shape", [(75, 20, 31), (20, 75, 31), (33, 9, 12)])
def test_a_core_taken_by_sections_is_that_of_the_whole(shape):
    rng = np.random.default_rng(1)
    scale, ball = rng.random(shape, dtype=np.float32), Ball(7, 3.0)
    confidence = np.ones(shape, np.float32)
    confidence[tuple(rng.integers(0, n, 12) for n in shape)] = 0
    inside = core_mask(confidence, ball)
    values = self_weighted(scale, SMOOTHING_RADII * ball.radius)[inside]
    core = measure_core(scale, confidence, ball, 1.0)
    assert core.volume_angstrom3 == np.count_nonzero(inside) > 0
    assert core.median == np.median(values) and core.weak_share == np.count_nonzero(values < 0.5) / values.size


def test_a_constant_scale_is_its_own_average():
    assert np.allclose(self_weighted(np.full((9, 10, 11), 0.3, np.float32), 1.5), 0.3, rtol=1e-5)


def test_shares_and_median_of_a_box_half_weak():
    scale = np.full((20, 20, 40), 0.9, np.float32)
    scale[:, :, 20:] = 0.3
    core = measure_core(scale, np.ones_like(scale), Ball(3, 1.0), 2.0)
    assert core.volume_angstrom3 == scale.size * 8
    assert core.counts.sum() == scale.size and core.counts.size == BINS
    # the border is smeared over one radius at most, one voxel of twenty
    assert abs(core.weak_share - 0.5) <= 0.05 and abs(core.strong_share - 0.5) <= 0.05
    assert type(core.weak_share) is float and type(core.median) is float


def test_content_thinner_than_the_ball_has_no_core():
    confidence = np.zeros((12, 12, 12), np.float32)
    confidence[5:7] = 1
    core = measure_core(np.ones_like(confidence), confidence, Ball(7, 3.0), 1.0)
    assert core.empty and core.volume_angstrom3 == core.weak_share == core.median == 0


def test_looking_only_where_there_is_content_changes_nothing():
    rng = np.random.default_rng(4)
    scale = rng.random((50, 45, 40), np.float32)
    confidence = np.zeros_like(scale)
    confidence[20:34, 0:18, 25:40] = 1  # at two edges of the box
    ball = Ball(5, 2.0)
    values = self_weighted(scale, SMOOTHING_RADII * 2.0)[core_mask(confidence, ball)]
    core = measure_core(scale, confidence, ball, 1.0)
    assert core.counts.sum() == values.size > 1000
    assert core.median == np.median(values) and core.weak_share == (values < 0.5).mean()


def test_flipping_the_map_changes_nothing():
    rng = np.random.default_rng(3)
    scale = rng.random((15, 12, 13), np.float32)
    confidence = (rng.random(scale.shape) > 0.02).astype(np.float32)
    ball = Ball(3, 1.0)
    turned = measure_core(scale[:, ::-1].copy(), confidence[:, ::-1].copy(), ball, 1.0)
    straight = measure_core(scale, confidence, ball, 1.0)
    assert np.array_equal(turned.counts, straight.counts) and turned.weak_share == straight.weak_share


@pytest.mark.parametrize("signal_to_noise", [pytest.param(6.0, marks=pytest.mark.slow), 3.0])
def test_a_fully_occupied_complex_has_next_to_no_weak_core(signal_to_noise):
    made = simulated.complex_with_occupancies(signal_to_noise, seed=5, occupancies=(1.0, 1.0, 1.0, 1.0))
    found = estimate(made.map, voxel_size=made.voxel_size)
    core = measure_core(found.scale, found.confidence, found.ball, made.voxel_size)
    assert core.weak_share < 0.03
    # the rim is what this is about: with it many voxels are weak
    assert (found.scale[found.confidence > 0.5] < 0.5).mean() > 0.15


@pytest.fixture(scope="module")
def large():
    """A complex in a box so large that content is judged on cells."""
    made = simulated.complex_with_occupancies(3.0, seed=6, box=104, occupancies=(1.0, 0.8, 0.5, 0.3))
    return made, estimate(made.map, voxel_size=made.voxel_size)


def test_the_core_on_cells_is_the_one_of_voxels(large):
    made, found = large
    assert found.content is not None
    on_cells = core_of(found)
    on_voxels = measure_core(found.scale, found.confidence, found.ball, made.voxel_size)
    assert on_voxels.weak_share > 0.1 and on_voxels.strong_share > 0.1
    assert on_cells.volume_angstrom3 == pytest.approx(on_voxels.volume_angstrom3, rel=0.02)
    for name in ("weak_share", "surely_weak_share", "strong_share", "median"):
        # a cell reaches half a voxel further in each direction, and the averaged scale changes by 0.05 a voxel here
        assert getattr(on_cells, name) == pytest.approx(getattr(on_voxels, name), abs=0.025)
    assert on_cells.counts.sum() * made.voxel_size ** 3 == pytest.approx(on_cells.volume_angstrom3)


def test_the_core_on_cells_counts_the_voxels_of_a_naive_erosion(large):
    _, found = large
    shape = found.scale.shape
    sure = 1 - found.content.doubt(found.scale, tuple(slice(0, n) for n in shape))
    core = core_of(found)
    assert core.counts.sum() == np.count_nonzero(core_mask(sure, found.ball))


def test_what_else_is_wanted_does_not_change_the_core(large):
    made, found = large
    alone = estimate(made.map, voxel_size=made.voxel_size, wanted=Wanted(confidence=False, lowpass=False, core=True))
    assert alone.confidence is None and np.array_equal(alone.scale, found.scale)
    # the depth is averaged as it is made, or from a volume of it
    assert np.allclose(alone.content.evidence, found.content.evidence, atol=1e-5)
    one, other = core_of(alone), core_of(found)
    assert one.volume_angstrom3 == pytest.approx(other.volume_angstrom3, rel=1e-3)
    assert one.weak_share == pytest.approx(other.weak_share, abs=1e-3)
    # on cells whatever the scale is, which the confidence of a voxel goes by as well
    assert found.facts.confidence_share <= alone.facts.confidence_share < 2 * found.facts.confidence_share
    assert [code for code, _ in alone.verdicts] == [code for code, _ in found.verdicts]


def test_a_result_without_content_has_no_core(large):
    _, found = large
    assert core_of(dataclasses.replace(found, content=None, confidence=None)) is None
    empty = dataclasses.replace(found, content=found.content._replace(start=-np.inf, complete=-np.inf))
    assert core_of(empty).empty


@pytest.mark.test_data
@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.parametrize("noise", ["good", "mid", "poor"])
def test_the_share_of_a_protein_is_the_true_one(noise):
    """Full chains: below 3%; known occupancies: within 5 points of the truth in the same voxels."""
    simulate = simulator().simulate
    for seed, occupancies in ((0, dict.fromkeys("AICJEKGL", 1.0)), (0, None)):
        made = simulate("rubisco", noise, occ_set=seed, occupancies=occupancies)
        found = estimate(made["full"], voxel_size=made["vox"])
        core = measure_core(found.scale, found.confidence, found.ball, made["vox"])
        inside = core_mask(found.confidence, found.ball)
        truth = (made["truth"][inside] < 0.5).mean()
        if occupancies:
            assert core.weak_share < 0.03
        else:
            assert abs(core.weak_share - truth) < 0.05


def test_the_neighbourhood_is_as_wide_as_the_ball():
    """A solid ball of radius r has r^2 / 5 of second moment along each axis."""
    offsets = np.stack(np.meshgrid(*[np.arange(-40, 41)] * 3, indexing="ij"), -1).reshape(-1, 3)
    ball = offsets[(offsets**2).sum(1) <= 40**2]
    assert np.isclose(np.sqrt((ball[:, 0] ** 2).mean()) / 40, SMOOTHING_RADII, rtol=0.01)
