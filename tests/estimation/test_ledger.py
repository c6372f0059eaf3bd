"""The ledger of memory: sums, the largest moment, and an entry for each step of an estimate."""

import numpy as np
import pytest

from occupy_jit.estimation.ledger import Ledger, Outline
from occupy_jit.estimation.scale import steps, volumes
from occupy_jit.settings import Settings


def test_the_largest_moment_counts():
    ledger = Ledger()
    ledger.hold("map", 1)
    ledger.moment(2)
    ledger.hold("scale", 1)
    ledger.hold("scale", 1)  # the same volume
    ledger.moment()
    ledger.drop("map", "nothing of that name")
    assert ledger.total == 1 and ledger.most == 3


def test_steps_that_tell_their_memory_are_steps_of_the_estimate():
    named = {step.__name__ for step in volumes.STEPS}
    of_spine = {"low_pass", "find_solvent", "measure_noise", "measure_contrast", "find_content", "find_confidence"}
    assert of_spine <= named and all(callable(getattr(steps, name)) for name in of_spine)


@pytest.mark.parametrize("edge", [64, 240])
@pytest.mark.parametrize("settings", [Settings(), Settings(amplify=True), Settings(noise_floor="local")])
def test_more_that_is_wanted_never_takes_less(edge, settings):
    def most(**more):
        wanted = {"confidence": False, "lowpass": False, "volume": False}
        ledger = Ledger()
        for step in volumes.STEPS:
            step(Outline((edge,) * 3, 1.2, settings, **(wanted | more)), ledger)
        assert np.isfinite(ledger.most) and ledger.most >= 1
        return ledger.most

    plain = most()
    more = ["confidence", "lowpass", "volume", "error", "solvent_definition", "reference_mask", "nucleic_mask"]
    # half maps take the place of noise that is measured in solvent nearby
    for name in more + ["halves"] * (settings.noise_floor is None):
        assert most(**{name: True}) >= plain
