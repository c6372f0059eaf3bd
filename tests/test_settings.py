"""Settings and options: one source of defaults, validated once, and the way through a record and back."""

import contextlib
import dataclasses
import json
import math
import pickle

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from occupy_jit.errors import UsageError
from occupy_jit.settings import SCALE_MODES, Options, Settings, chosen, from_record, recorded

POSITIVE = st.floats(1e-3, 1e3)
TEXT = st.text(min_size=1, max_size=8)
VALUES = {
    Settings: {
        "lowpass_input_angstrom": POSITIVE, "kernel_size": st.integers(0, 20).map(lambda n: 2 * n + 1),
        "kernel_radius": st.floats(0.5, 400), "tau": st.floats(0.01, 1), "tile_size_angstrom": POSITIVE,
        "naive_normalisation": st.booleans(), "noise_floor": st.floats(0, 10), "pivot": st.floats(0.01, 0.99),
        "scale_mode": st.sampled_from(SCALE_MODES), "amplify": st.booleans(), "amplify_amount": st.floats(-1, 1),
        "sigmoid_gamma": st.floats(1, 50), "exclude_solvent": st.booleans()},
    Options: {
        "voxel_size": POSITIVE, "solvent_def": TEXT, "target_mask": st.lists(TEXT, max_size=3).map(tuple),
        "output_dir": TEXT, "save_all_maps": st.booleans(), "min_vis_scale": st.floats(0, 0.99),
        "json": st.booleans(), "save_solvent_def": st.floats(0, 1), "threads": st.integers(1, 99)},
}


@pytest.mark.parametrize("cls", VALUES)
@hypothesis_settings(deadline=None)
@given(st.data())
def test_what_is_recorded_comes_back_through_json(cls, data):
    given_values = data.draw(st.fixed_dictionaries({}, optional=VALUES[cls]))
    with contextlib.suppress(UsageError):  # what could have no effect is refused
        made = chosen(cls, {**given_values, "of another class": 1})
        check_repeated(cls, made)


def check_repeated(cls, made):
    back = from_record(cls, json.loads(json.dumps(recorded(made))))
    assert dataclasses.replace(cls(), **back) == made
    assert set(back) == set(recorded(cls()))


@pytest.mark.parametrize(("cls", "values"), [
    (Settings, {"tau": "high"}), (Settings, {"amplify": 1}), (Settings, {"amplify": None}), (Settings, {"tau": True}),
    (Settings, {"kernel_size": 5.5}), (Settings, {"no_such_setting": 1}), (Settings, {"scale_mode": ["occupancy"]}),
    (Options, {"output_dir": 5}), (Options, {"output_dir": None}), (Options, {"target_mask": [1]}),
    (Options, {"target_mask": "a.mrc"}), (Options, {"threads": 1.5}), (Options, {"plot": "yes"}),
    # what one run was told is no part of another
    (Options, {"input_map": ["a.mrc"]}), (Options, {"dry_run": True}), (Options, {"given": []})])
def test_a_record_that_was_edited_is_not_taken_for_one(cls, values):
    with pytest.raises(TypeError):
        from_record(cls, values)


@pytest.mark.parametrize(("cls", "name", "value"), [
    (Options, "voxel_size", 0.0), (Options, "voxel_size", math.nan), (Options, "threads", 0),
    (Options, "min_vis_scale", 1.0), (Options, "min_vis_scale", -0.1), (Options, "min_vis_scale", math.nan),
    (Options, "save_solvent_def", 1.1), (Settings, "tau", 0.0), (Settings, "pivot", 1.0)])
def test_values_out_of_range_name_the_argument_and_the_option(cls, name, value):
    with pytest.raises(UsageError, match=f"^{name}=") as caught:
        cls(**{name: value})
    assert str(caught.value.as_option()).startswith(f"--{name.replace('_', '-')} ")
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)  # from another process


def test_no_name_is_both_a_setting_and_an_option():
    """The parser finds the field of an option by its name."""
    assert not {field.name for field in dataclasses.fields(Settings)} & {
        field.name for field in dataclasses.fields(Options)}


@pytest.mark.parametrize("name", ["amplify_gamma", "attenuate_gamma", "sigmoid_gamma", "lowpass_input_angstrom",
                                  "resolution_angstrom", "tile_size_angstrom", "hedge_confidence"])
def test_numbers_beyond_all_sense_are_refused(name):
    for value in (1e300, 1e7):
        with pytest.raises(UsageError, match="at most"):
            Settings(**{name: value})
