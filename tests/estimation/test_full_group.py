"""Which parts define full scale."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from occupy_jit.estimation.parts.full_group import full_group


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 9999), st.floats(0.1, 50))
def test_weights_are_those_of_the_group_on_any_scale(seed, scale):
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 40))
    occupancy, se = rng.uniform(0.05, 1, n), rng.uniform(0.005, 0.05, n)
    size = rng.integers(50, 4000, n).astype(float)
    full, weights = full_group(occupancy, se, size)
    assert full.any() and np.isclose(weights.sum(), 1)
    assert (weights[~full] == 0).all() and (weights[full] > 0).all()
    again, scaled = full_group(occupancy * scale, se * scale, size)
    assert (again == full).all() and np.allclose(scaled, weights)


def test_chains_as_high_as_the_highest_are_full():
    occupancy = np.array([1.02, 0.99, 0.6, 0.2])
    full, _ = full_group(occupancy, np.full(4, 0.01), np.array([900.0, 2500, 2500, 900]))
    assert full.tolist() == [True, True, False, False]


def test_a_ligand_defines_nothing():
    full, _ = full_group(np.array([1.6, 1.0, 0.98]), np.full(3, 0.02), np.array([40.0, 1100, 1100]))
    assert full.tolist() == [False, True, True]


def test_of_many_small_parts_the_highest_do_not_set_the_scale_alone():
    rng = np.random.default_rng(0)
    values = []
    for _ in range(40):
        occupancy = np.concatenate([rng.normal(1, 0.08, 60), rng.uniform(0.1, 0.7, 60)])
        size = rng.uniform(300, 900, 120)
        full, weights = full_group(occupancy, np.full(120, 0.05), size)
        assert size[full].sum() > 0.03 * size.sum()
        values.append(weights @ occupancy)
    # the highest of 60 lie at 1.19; those that 3% of the mass reaches at about 1.13
    assert np.mean(values) < 1.12 and np.std(values) < 0.05
