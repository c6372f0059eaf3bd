"""A solvent definition aids confidence: it is judged by what is known to be solvent, and the scale never changes."""

import numpy as np
import pytest

from occupy_jit.kernels.sliding_ball_maximum import sliding_maximum
from tests import naive, simulated
from tests.data_folder import simulator
from tests.estimates import estimate

POOR = 1.5
ROUGH = 8.0
"""Å that the definition reaches beyond the true mask, which is 3 Å around the atoms."""


def dice(confidence, mask):
    covered = confidence > 0.5
    return 2 * (covered & mask).sum() / (covered.sum() + mask.sum())


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_content_that_drowns_in_noise_is_found_by_a_rough_mask(seed):
    """Without it some of the content passes for quiet solvent and makes that look more varied than it is."""
    made = simulated.complex_with_occupancies(POOR, seed)
    content, rough = made.distance <= 3, made.distance <= 3 + ROUGH
    plain = estimate(made.map, voxel_size=made.voxel_size)
    aided = estimate(made.map, voxel_size=made.voxel_size, solvent_mask=rough)
    assert np.array_equal(aided.scale, plain.scale)
    assert aided.confidence[content].mean() > plain.confidence[content].mean()
    # of what is judged by, no more than of noise two and three deviations away
    near = sliding_maximum(rough.astype(np.float32), aided.ball.radius, aided.ball.size) > 0
    judged = aided.confidence[~near & naive.inscribed_sphere(near.shape)]
    assert (judged > 0).mean() < 0.02276
    assert (judged == 1).mean() < 0.00136


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("level", [1.5, 3.0])
def test_a_belt_of_strong_noise_is_solvent_where_the_definition_says_so(seed, level):
    """As detergent: 3 times the noise, beside the particle and below nothing that would mark it as solvent."""
    made = simulated.complex_with_occupancies(level, seed)
    z, y, x = np.indices(made.map.shape) - (np.array(made.map.shape) - 1)[:, None, None, None] / 2
    # around the ring of chains, which lies in the plane z = 0 and reaches some 27 Å from the middle
    from_axis = made.voxel_size * np.hypot(y, x)
    belt = (made.voxel_size * np.abs(z) < 12) & (made.distance > 11) & (from_axis < 48) & (from_axis > 25)
    belt &= naive.inscribed_sphere(made.map.shape)
    other = np.roll(made.map - made.signal, (13, 29, 41), (0, 1, 2))  # of the same spectrum, independent
    volume = np.where(belt, made.map + np.sqrt(8) * other, made.map).astype(np.float32)
    plain = estimate(volume, voxel_size=made.voxel_size)
    aided = estimate(volume, voxel_size=made.voxel_size, solvent_mask=made.distance <= 3 + ROUGH)
    assert np.array_equal(aided.scale, plain.scale)
    assert (plain.confidence[belt] > 0.5).mean() > 0.25
    assert (aided.confidence[belt] > 0.5).mean() < 0.05
    sure = made.medians(aided.confidence)[:2]
    assert np.all(sure > 0.5), sure  # the complete chains are still found


def test_content_just_outside_a_rough_mask_does_not_count():
    """The map is blurred beyond a mask that ends 3 Å from the atoms; judged by that, a third of the content is lost."""
    made = simulated.complex_with_occupancies(6.0, 0)
    content = made.distance <= 3
    plain = estimate(made.map, voxel_size=made.voxel_size)
    aided = estimate(made.map, voxel_size=made.voxel_size, solvent_mask=content)
    assert aided.confidence[content].mean() > 0.9 * plain.confidence[content].mean()
    turned = estimate(made.map, voxel_size=made.voxel_size, solvent_mask=~content)
    assert np.array_equal(turned.confidence, aided.confidence)


def test_a_definition_that_leaves_no_solvent_is_told():
    volume = simulated.blobs((32, 32, 32), 1)
    everything = np.ones(volume.shape)
    everything[:, :, ::4] = 0  # the ball reaches from one sheet to the next
    plain = estimate(volume, voxel_size=1.0)
    aided = estimate(volume, voxel_size=1.0, solvent_mask=everything)
    assert "solvent-def-tight" in dict(aided.verdicts)
    assert np.array_equal(aided.confidence, plain.confidence)


def test_a_large_map_where_what_varies_slowly_is_kept_on_cells():
    """Voxels of 1 Å: the kernel is 6 Å wide and its reach 3 Å, more than a cell."""
    made = simulated.complex_with_occupancies(POOR, 0, box=104, voxel_size=1.0)
    content = made.distance <= 3
    plain = estimate(made.map, voxel_size=1.0)
    aided = estimate(made.map, voxel_size=1.0, solvent_mask=made.distance <= 3 + ROUGH)
    assert plain.quiet.on_cells and np.array_equal(aided.scale, plain.scale)
    assert aided.confidence[content].mean() > plain.confidence[content].mean()


@pytest.mark.test_data
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_a_simulated_protein_with_its_rough_mask():
    truth = simulator().simulate("rubisco", "poor")
    content = truth["dist"] <= 3
    plain = estimate(truth["full"], voxel_size=truth["vox"])
    aided = estimate(truth["full"], voxel_size=truth["vox"], solvent_mask=truth["dist"] <= 3 + ROUGH)
    assert np.array_equal(aided.scale, plain.scale)
    assert dice(aided.confidence, content) > dice(plain.confidence, content)
