"""From which occupancy on a part is seen: the limit that is told against where confidence marks a chain.

Away from others: within 3 Å of the chain, and more than 6 Å from other chains, whose confidence covers what is near.
The limit is asked to be right within 0.1. So half of the chain is marked at that much above the limit, and less at that
much below; where the limit is lower than 0.1, an absent chain is not marked.
"""

import numpy as np
import pytest

from occupy_jit.estimation.scale.confidence import GATE
from occupy_jit.estimation.scale.visibility import LEAST_NOISE, SPREADS, Visibility, visibility
from tests import simulated
from tests.data_folder import simulator
from tests.estimates import estimate

RIGHT_WITHIN = 0.1


def marked_share(found, alone):
    return np.count_nonzero(found.confidence[alone] > 0.5) / np.count_nonzero(alone)


@pytest.mark.parametrize("level", [3.0, *(pytest.param(level, marks=pytest.mark.slow) for level in (6.0, 1.5))])
def test_the_limit_is_where_confidence_marks_a_chain(level):
    def with_last_chain_at(occupancy):
        made = simulated.complex_with_occupancies(level, seed=1, occupancies=(1.0, 1.0, 1.0, 1.0, occupancy))
        return made, estimate(made.map, voxel_size=made.voxel_size)

    made, found = with_last_chain_at(0.5)
    seen = found.facts.visibility
    own, others = (simulated.distance_to(made.atoms[atoms], len(made.map), 8 / made.voxel_size) * made.voxel_size
                   for atoms in (made.chain == 4, made.chain != 4))
    alone = (own <= 3) & (others > 6)
    assert np.count_nonzero(alone) > 1000
    assert marked_share(with_last_chain_at(seen.limit + RIGHT_WITHIN)[1], alone) > 0.5
    assert marked_share(with_last_chain_at(max(seen.limit - RIGHT_WITHIN, 0.0))[1], alone) < 0.5
    assert seen.noise_hides


def test_a_map_without_noise_hides_nothing():
    made = simulated.complex_with_occupancies(1000.0, seed=1)
    assert estimate(made.map, voxel_size=made.voxel_size).facts.visibility == Visibility(sum(GATE) / 2, False)


def test_the_limit_grows_with_the_noise_and_ends_at_full_scale():
    limits = [visibility(spread, GATE, True) for spread in (0.0, 0.01, 0.1, 0.2, 0.9)]
    assert [seen.limit for seen in limits] == pytest.approx([sum(GATE) / 2] * 2 + [0.1 * SPREADS, 0.2 * SPREADS, 1.0])
    assert [seen.noise_hides for seen in limits] == [SPREADS * s > LEAST_NOISE for s in (0.0, 0.01, 0.1, 0.2, 0.9)]
    assert limits[0].noise_hides is False and limits[2].noise_hides is True


def test_of_unknown_noise_nothing_is_told():
    assert visibility(0.0, GATE, False) == Visibility(None, True)
    made = simulated.complex_with_occupancies(6.0, seed=1)
    masked = np.where(made.distance <= 5, made.map, np.float32(0))
    found = estimate(masked, voxel_size=made.voxel_size)
    assert found.facts.solvent_flattened and found.facts.visibility == Visibility(None, True)


def test_the_limit_does_not_depend_on_grey_scale():
    made = simulated.complex_with_occupancies(3.0, seed=1)
    one, other = (estimate(volume, voxel_size=made.voxel_size).facts.visibility.limit
                  for volume in (made.map, np.float32(40) * made.map + np.float32(7)))
    assert one == pytest.approx(other, rel=1e-3)


def test_with_half_maps_it_is_the_noise_of_content_that_hides():
    """Noise three times as strong in the middle: solvent alone, with less of it, would promise too much."""
    made = simulated.complex_with_occupancies(6.0, seed=1, occupancies=(1.0, 1.0, 1.0, 1.0, 0.5))
    radius = np.sqrt(sum((i - 41.5) ** 2 for i in np.indices(made.map.shape))) * made.voxel_size
    ramp = np.where(radius < 40, 3.0, 1.0)
    one, two = ((made.signal + np.sqrt(2) * ramp * simulated.noise_like(made, seed)).astype(np.float32)
                for seed in (7, 8))
    plain = estimate((one + two) / 2, voxel_size=made.voxel_size).facts.visibility
    local = estimate((one + two) / 2, voxel_size=made.voxel_size, half_difference=(one - two) / 2).facts.visibility
    even = [(made.signal + strength * simulated.noise_like(made, 7)).astype(np.float32) for strength in (1, 3)]
    low, high = (estimate(volume, voxel_size=made.voxel_size).facts.visibility.limit for volume in even)
    assert plain.limit < (low + high) / 2 < local.limit
    assert local.limit == pytest.approx(high, abs=RIGHT_WITHIN / 2)
    # masked alike, the halves still show what is inside
    masked = [np.where(made.distance <= 6, half, np.float32(0)) for half in (one, two)]
    found = estimate((masked[0] + masked[1]) / 2, voxel_size=made.voxel_size,
                     half_difference=(masked[0] - masked[1]) / 2)
    assert found.facts.solvent_flattened
    assert found.facts.visibility.limit == pytest.approx(high, abs=RIGHT_WITHIN)


@pytest.mark.slow
@pytest.mark.test_data
@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.parametrize("level", ["mid", "poor"])
def test_the_limit_of_a_protein(level):
    from scipy.spatial import cKDTree

    simulate = simulator()
    names = list("ABCDEFGHIJKLMNOP")

    def with_g_at(occupancy):
        truth = simulate.simulate("rubisco", level, occupancies=dict.fromkeys(names, 1.0) | {"G": occupancy})
        return truth, estimate(truth["full"], voxel_size=truth["vox"])

    truth, found = with_g_at(0.5)
    limit = found.facts.visibility.limit
    places = np.stack(np.indices(truth["full"].shape)[::-1], -1).reshape(-1, 3) * truth["vox"]
    own, others = (cKDTree(truth["xyz"][atoms]).query(places, distance_upper_bound=6.0)[0].reshape(truth["full"].shape)
                   for atoms in (truth["chain"] == "G", truth["chain"] != "G"))
    alone = (own <= 3) & ~np.isfinite(others)
    assert marked_share(with_g_at(limit + RIGHT_WITHIN)[1], alone) > 0.5
    assert marked_share(with_g_at(max(limit - RIGHT_WITHIN, 0.0))[1], alone) < 0.5
