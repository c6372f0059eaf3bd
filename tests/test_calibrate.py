"""The constants of confidence and verdicts can be had again from the simulator."""

import pytest

from bench import calibrate
from occupy_jit.estimation.scale import confidence, facts
from tests import simulated
from tests.estimates import estimate

SEED = 11  # none of those that the constants are printed for by default


@pytest.fixture(scope="module")
def made():
    return [(level, simulated.complex_with_occupancies(level, SEED)) for level in calibrate.LEVELS]


def test_every_limit_lies_between_what_it_tells_apart(made):
    found = {name: (below, above) for name, below, above in calibrate.limits(made)}
    assert set(found) == {"NOISE_LIMIT", "NARROW_PEAK", "UNEVEN_MAXIMUM", "LEAST_DARK_SHARE"}
    for name, ((_, _, highest), (_, lowest, _)) in found.items():
        assert highest < getattr(facts, name), name
        # of maps without solvent the peak tells where the maximum does not
        assert name == "UNEVEN_MAXIMUM" or getattr(facts, name) < lowest, name


def test_overlaps_are_those_of_estimates_with_each_value(made, monkeypatch):
    monkeypatch.setattr(calibrate, "CONFIDENCE", {"RAMP": (confidence.RAMP, (9.0, 12.0))})
    level, one = made[-1]
    rows = list(calibrate.overlaps([(level, one)]))
    assert [row[:2] for row in rows] == [("RAMP", confidence.RAMP), ("RAMP", (9.0, 12.0))]
    assert rows[0][2] == [calibrate.dice(estimate(one.map, voxel_size=one.voxel_size), one)]
    assert rows[1][2] != rows[0][2] and confidence.RAMP == (2.0, 3.0)
