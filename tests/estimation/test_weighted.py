"""Weighted medians, and their errors against repetition."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from occupy_jit.estimation.regions.weighted_median import block_edge, weighted_median


@settings(deadline=None, max_examples=50)
@given(st.lists(st.tuples(st.floats(-5, 5), st.integers(0, 4)), min_size=1, max_size=30))
def test_whole_weights_are_repeated_values(rows):
    values, weights = (np.array(column, float) for column in zip(*rows, strict=True))
    if not weights.any():
        return
    found = weighted_median([(values, weights, np.arange(len(values)))]).value
    alone = np.repeat(values, weights.astype(int))
    below, at_most = (alone < found - 1e-9).mean(), (alone <= found + 1e-9).mean()
    # interpolation between the middles of the weights moves it by at most one weight
    room = weights.max() / weights.sum() + 1e-9
    assert below - room <= 0.5 <= at_most + room


def test_a_median_is_that_of_numpy():
    values = np.random.default_rng(0).normal(size=101)
    found = weighted_median([(values, np.ones(101), np.arange(101))])
    assert found.value == pytest.approx(np.median(values), abs=1e-12)
    assert found.blocks == pytest.approx(101)


@pytest.mark.parametrize("alike", [1, 20])
def test_the_error_is_that_of_repetition(alike):
    """Values of a block are alike in groups of so many: blocks, not values, are what counts."""
    rng = np.random.default_rng(alike)
    medians, errors = [], []
    for _ in range(300):
        common = rng.normal(size=(40, 20 // alike)).repeat(alike, axis=1)
        values = (1 + 0.3 * common + 0.01 * rng.normal(size=(40, 20))).ravel()
        found = weighted_median([(values, np.ones(800), np.repeat(np.arange(40), 20))])
        medians.append(found.value)
        errors.append(found.error)
    # the spread of 300 medians is known within 4%, the mean error better; the interval's width is uneven by some more
    assert np.mean(errors) == pytest.approx(np.std(medians), rel=0.2)
    inside = np.abs(np.array(medians) - 1) < np.array(errors)
    assert 0.58 < inside.mean() < 0.78


def test_two_sets_are_averaged():
    rng = np.random.default_rng(1)
    blocks = np.repeat(np.arange(30), 10)
    one, two = rng.normal(1, 0.1, 300), rng.normal(2, 0.1, 300)
    sets = [(one, np.ones(300), blocks), (two, np.full(300, 7.0), blocks)]
    found = weighted_median(sets)
    apart = [weighted_median([each]) for each in sets]
    assert found.value == pytest.approx(np.mean([each.value for each in apart]))
    assert found.blocks == pytest.approx(30)
    # of independent sets the mean is better than either, by the root of two
    assert found.error == pytest.approx(np.mean([each.error for each in apart]) / np.sqrt(2), rel=0.35)


def test_few_blocks_have_no_error_and_nothing_is_nothing():
    found = weighted_median([(np.arange(20.0), np.ones(20), np.repeat([0, 1], 10))])
    assert found.value == pytest.approx(9.5) and found.error is None and found.blocks == pytest.approx(2)
    nothing = weighted_median([(np.ones(3), np.zeros(3), np.arange(3))])
    assert np.isnan(nothing.value) and nothing.error is None and nothing.blocks == 0


def test_blocks_are_fifteen_angstrom():
    assert [block_edge(v) for v in (1.0, 1.3, 5.0, 40.0)] == [15, 12, 3, 1]
