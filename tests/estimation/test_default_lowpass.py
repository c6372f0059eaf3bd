"""The default low-pass: in Å where molecules count, in voxels where sampling limits; it can be typed back."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from occupy_jit.estimation.scale.ball import choose_ball, default_lowpass, lowpass_of_classes
from occupy_jit.kernels.model.atoms import density_at
from occupy_jit.settings import Settings
from tests import simulated
from tests.data_folder import simulator
from tests.estimates import estimate


@pytest.mark.parametrize(("voxel_size", "expected"), [
    (0.5, 6.0), (0.8, 6.0), (1.0, 6.0), (1.2, 7.2), (1.5, 9.0), (2.2, 9.0), (3.0, 9.0), (4.0, 12.0), (6.55, 19.65)])
def test_it_lies_between_6_and_9_angstrom_and_above_3_voxels(voxel_size, expected):
    assert default_lowpass(voxel_size) == expected


@settings(deadline=None)
@given(st.floats(0.2, 50))
def test_limits_and_digits_hold_for_any_voxel(voxel_size):
    found = default_lowpass(voxel_size)
    assert found == round(found, 2)
    assert found >= min(max(6.0, 6 * voxel_size), 9.0) - 0.005 and found >= 3 * voxel_size - 1e-6
    assert found <= max(9.0, 3 * voxel_size + 0.01)


@pytest.mark.parametrize(("resolution", "voxel_size", "expected"), [
    (14.0, 3.0, 22.4), (14.0, 4.0, 22.4), (14.0, 2.0, 18.0), (25.0, 3.0, 24.0), (8.0, 2.0, 12.8),
    # the default serves
    (5.6, 2.0, None), (5.0, 0.8, None), (12.0, 6.55, None), (8.0, 1.0, None)])
def test_the_low_pass_of_references_goes_with_the_resolution(resolution, voxel_size, expected):
    assert lowpass_of_classes(resolution, voxel_size) == expected


@settings(deadline=None)
@given(st.floats(0.5, 12))
def test_the_ball_grows_with_the_low_pass_and_never_loses_a_step_to_rounding(voxel_size):
    """5.004 Å and 5.0 Å once gave balls of 7 and 5 voxels: what the log prints has to give the ball that was used."""
    found = default_lowpass(voxel_size)
    ball = choose_ball(found, voxel_size)
    assert ball == choose_ball(float(f"{found:.6g}"), voxel_size)
    assert ball.size == 2 * int(ball.radius) + 1 and 1 <= ball.radius <= ball.size / 2
    # within the low-pass, unless it is the smallest ball
    assert 2 * ball.radius * voxel_size <= max(found, 2 * voxel_size) * 1.01
    exact = 6 * voxel_size
    if 1 <= voxel_size <= 1.5:
        assert choose_ball(exact, voxel_size) == choose_ball(round(exact, 2), voxel_size) == ball


@pytest.mark.parametrize("voxel_size", [0.834, 1.0619, 1.3337, 3.3337])
def test_what_the_log_prints_can_be_typed_back(voxel_size):
    volume = simulated.blobs((40, 38, 42), 3)
    found = estimate(volume, voxel_size=voxel_size)
    again = estimate(volume, Settings(lowpass_input_angstrom=float(f"{found.lowpass_angstrom:.6g}")),
                     voxel_size=voxel_size)
    assert np.array_equal(found.scale, again.scale) and found.ball == again.ball
    assert (found.full_scale, found.floor) == (again.full_scale, again.floor)


@pytest.mark.slow
@pytest.mark.test_data
@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_chains_depend_less_on_the_voxels_of_their_map_than_with_six_voxels():
    """Of rubisco with little noise: the spread of its chains over voxels of 1.2, 2.2 and 3 Å."""
    simulate = simulator()
    case = simulate.CASES["rubisco"]
    edge, chains, of_six = case["box"] * case["vox"], [], []
    for voxel_size in (1.2, 2.2, 3.0):
        case.update(vox=voxel_size, box=2 * round(edge / voxel_size / 2), res=max(case["res"], 2.1 * voxel_size))
        made = simulate.simulate("rubisco", "good")
        volume = made["full"].astype(np.float32)
        for chosen, values in ((Settings(), chains), (Settings(lowpass_input_angstrom=6 * voxel_size), of_six)):
            scale = estimate(volume, chosen, voxel_size=voxel_size, with_confidence=False).scale
            at_atoms = density_at(scale, np.ascontiguousarray(made["xyz"][:, ::-1]) / voxel_size)
            values.append([np.median(at_atoms[made["chain"] == name]) for name in made["occ"]])
    spread, of_six = (np.sqrt(np.mean(np.var(values, axis=0))) for values in (chains, of_six))
    assert spread < 0.7 * of_six and spread < 0.04
