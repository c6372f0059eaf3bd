"""What the turns of the fit of a model find beside occupancies."""

import numpy as np
import pytest

pytest.importorskip("scipy")

from occupy_jit.estimation.parts.gauss_newton import spread_of_offsets, told_by_map  # noqa: E402


@pytest.mark.parametrize("true, noise", [(8.0, 20.0), (8.0, 8.0), (30.0, 30.0), (60.0, 10.0)])
def test_the_spread_of_offsets_is_found_in_the_turns_that_there_are(true, noise):
    n, turns = 400, 10
    rng = np.random.default_rng(0)
    alone = rng.normal(0, true, n) + rng.normal(0, noise, n)  # what the map alone says
    spread = 60.0
    for _ in range(turns):
        variance = np.full(n, 1 / (noise**-2 + spread**-2))
        offset = variance * alone / noise**2
        told = told_by_map(variance, spread)
        assert np.allclose(offset, told * alone)
        spread = spread_of_offsets(offset, told)
    # how well n offsets tell their variance: nothing is gained by coming nearer to the likeliest
    assert abs(spread**2 - (np.mean(alone**2) - noise**2)) < np.sqrt(2 / n) * (true**2 + noise**2)


def test_the_spread_of_offsets_has_bounds():
    told = told_by_map(np.full(5, 50.0**2), 50.0)
    assert not told.any() and spread_of_offsets(np.zeros(5), told) == 4.0
    assert spread_of_offsets(np.full(9, 400.0), np.ones(9)) == 150.0
