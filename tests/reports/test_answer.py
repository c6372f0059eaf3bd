"""What a run says first of parts, masks and ligands."""

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from occupy_jit.reports.answer import (
    ERRORS,
    LARGE,
    Measured,
    answer_of,
    call,
    first_sentence,
    in_words,
    of_maps,
    variations,
)
from occupy_jit.reports.page.words import Sentence

PLAIN = Sentence("12% of the core of this map is below half", "of its strongest region.", "weak")
MEANINGLESS = Sentence("This map has no scale: nothing stands above solvent.", "See the warnings below.", "none")


def said(*rows, what="part"):
    return str(in_words(answer_of([Measured(*row) for row in rows]), what))


def test_parts_are_grouped_by_what_they_are():
    assert said(("A", 0.8, 0.01), ("C", 1.0, 0.01, True), ("E", 0.19, 0.01), ("G", 0.6, 0.02), ("I", 0.802, 0.01),
                ("J", 0.99, 0.01, True), ("K", 0.41, 0.01), ("L", 0.11, 0.01), ("M", 0.01, 0.02)) == (
        "C and J are present in all particles; A and I in 80 ± 1%; G in 60 ± 2%; K in 41 ± 1%; E in 19 ± 1%; "
        "L in 11 ± 1%. M is absent (at most 5%).")


@pytest.mark.parametrize(("part", "wanted"), [
    (("p", 1.0, 0.3, True), "present"),  # defines full scale, whatever its error
    (("p", 0.95, 0.04), "present"), (("p", 1.15, 0.08), "present"), (("p", 0.95, 0.02), "partial"),
    (("p", 0.88, 0.09), "undecided"),  # full or three quarters
    (("p", 1.3, 0.05), "above"),
    (("p", 0.03, 0.02), "absent"), (("p", -0.1, 0.12), "absent"), (("p", 0.05, 0.02), "partial"),
    (("p", 0.05, 0.09), "undecided"),  # absent or a quarter
    (("p", 0.5, 0.11), "undecided"), (("p", 0.5, None), "undecided"), (("p", float("nan"), 0.1), "undecided")])
def test_calls(part, wanted):
    assert call(Measured(*part)) == wanted


@given(st.floats(-0.5, 1.5), st.floats(0.001, 0.5))
def test_nothing_is_called_present_or_absent_that_its_interval_speaks_against(occupancy, error):
    low, high = occupancy - ERRORS * error, occupancy + ERRORS * error
    found = call(Measured("p", occupancy, error))
    assert found != "present" or (low <= 1.1 and high >= 1 and low >= 0.8)
    assert found != "absent" or (low <= 0 and high <= 0.2)
    assert found != "partial" or (low > 0 and high < 1 and error <= LARGE)


@given(st.lists(st.tuples(st.floats(-0.3, 1.4), st.floats(0.001, 0.4)), min_size=1, max_size=300))
def test_every_part_is_in_one_group_and_the_sentence_stays_short(values):
    parts = [Measured(f"part{k}", *value) for k, value in enumerate(values)]
    answer = answer_of(parts)
    partial = [name for group in answer.partial for name in group.names]
    names = [*answer.present, *partial, *answer.absent, *answer.above, *(part.name for part in answer.undecided)]
    assert sorted(names) == sorted(part.name for part in parts) and answer.number == len(parts)
    shares = [group.occupancy for group in answer.partial]
    assert shares == sorted(shares, reverse=True)
    assert len(str(in_words(answer))) < 800


def test_136_parts_are_counted_and_the_lowest_named():
    rows = [(f"p{k}", 1.0, 0.02) for k in range(94)] + [(f"w{k}", 0.9 - 0.02 * k, 0.01) for k in range(40)]
    text = said(*rows, ("x", 0.4, 0.3), ("y", 0.6, 0.2))
    assert text.startswith("94 of 136 parts are present in all particles; ")
    assert "w39" in text and "w0" not in text
    assert re.search(r"\d+ more in \d+ to 90%\. Undecided: x \(40 ± 30%\) and y \(60 ± 20%\)\.$", text)
    assert len(text) < 400


def test_one_part_is_full_by_definition_and_many_full_parts_are_all():
    assert said(("A", 1.0, 0.01, True)) == "A is the only part and defines full scale, so its occupancy is 1."
    assert said(*((name, 1.0, 0.02) for name in "ABCD")) == "All 4 parts are present in all particles."
    assert said(("A", 0.5, 0.01), ("B", 0.3, 0.01)) == (
        "A is present in 50 ± 1% of the particles; B in 30 ± 1%.")


def results(**more):
    return {"full_scale_error": 0.03, "flexibility": None, **more}


def part(name, occupancy, se=0.01, full=False):
    return {"part": name, "occupancy": occupancy, "se": se, "full": full}


def test_a_plain_run_keeps_its_sentence():
    assert first_sentence(results(), PLAIN) == PLAIN


def test_masks_count_the_error_of_full_scale_and_need_a_scale():
    found = results(targets=[{"mask": "/a/arm.mrc", "occupancy": 0.5, "error": 0.04},
                             {"mask": "/a/leg.mrc", "occupancy": 0.96, "error": 0.01},
                             {"mask": "/a/out.mrc", "occupancy": None, "error": None}])
    assert str(first_sentence(found, PLAIN)) == "leg is present in all particles; arm in 50 ± 4%."
    assert first_sentence(found, MEANINGLESS) == MEANINGLESS


def test_masks_of_one_name_keep_their_suffixes_apart():
    found = results(targets=[{"mask": f"/{k}/arm.{suffix}", "occupancy": 0.5, "error": 0.01}
                             for k, suffix in enumerate(("mrc", "map"))])
    assert "arm.mrc and arm.map are present in 50" in str(first_sentence(found, PLAIN))


def test_ligands_have_their_own_calls_and_are_no_parts():
    ligand = {"occupancy": 0.9, "low": 0.8, "high": 1.0}
    found = results(parts=[part("A", 1.0, full=True), part("B", 0.7), part("A/HEM1", 0.2), part("B/HEM1", 0.0),
                           {**part("C", None), "se": None}],
                    ligands=[{"part": "A/HEM1", "call": "present", **ligand},
                             {"part": "B/HEM1", "call": "absent", **ligand},
                             {"part": "B/HEM2", "call": "undecided", "low": 0.1, "high": 0.7}])
    assert str(first_sentence(found, PLAIN)) == (
        "A is present in all particles; B in 70 ± 1%. Ligands: A/HEM1 is present; B/HEM1 is absent. Undecided "
        "ligands: B/HEM2 (10 to 70%).")


def test_flexibility_divides_what_is_weak():
    found = results(flexibility={"weaker_than_half": 0.04})
    assert str(first_sentence(found, PLAIN)).endswith(
        "Corrected for flexibility, 4% of the core is below half: this is missing in some particles, the rest is "
        "mobile.")


def rows(**parts):
    return [{"part": name, "occupancy": occupancy, "error": error} for name, (occupancy, error) in parts.items()]


def test_of_several_maps_the_parts_that_vary_are_named():
    maps = [("m1", 0.1, rows(A=(1.0, 0.02), B=(0.2, 0.02), C=(0.5, 0.2))),
            ("m2", 0.2, rows(A=(1.01, 0.02), B=(0.9, 0.03), C=(0.9, 0.2)))]
    assert of_maps(maps) == "The part that varies between the 2 maps: B (20 ± 2% in m1 to 90 ± 3% in m2)."
    assert of_maps([maps[0], maps[0]]) == "No part varies by more than its error between the 2 maps."
    assert of_maps(maps[:1]) == ""


def test_noise_alone_seldom_makes_a_part_vary():
    """At a family-wise error rate of 5%, 200 families of noise have 10 ± 3 with a part that seems to vary."""
    random = np.random.default_rng(3)
    wrong = 0
    for _ in range(200):
        values = 0.8 + 0.05 * random.normal(size=(6, 12))
        wrong += bool(variations([(f"m{k}", rows(**{f"p{j}": (value, 0.05) for j, value in enumerate(own)}))
                                  for k, own in enumerate(values)]))
    assert wrong <= 10 + 3 * 3.1


def test_of_several_maps_without_parts_the_weak_shares_are_told():
    assert of_maps([("a", 0.3, ()), ("b", 0.02, ()), ("c", None, ())]) == (
        "Of the cores of the 2 maps, 2% (b) to 30% (a) is below half of full scale.")
    assert of_maps([("a", 0.3, ())]) == "Of the core of a, 30% is below half of full scale."
    assert of_maps([("a", 0.002, ()), ("b", 0.001, ())]) == (
        "Of the core of each of the 2 maps, 0% is below half of full scale.")
    assert of_maps([]) == ""
