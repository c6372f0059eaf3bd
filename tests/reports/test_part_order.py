"""Which parts of a model are told of first."""

from types import SimpleNamespace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from occupy_jit.reports import part_order


def classes_of(parts, differing, pairs=3):
    """Parts of which some differ, in as many pairs of classes, surest first."""
    names = [f"P{k}" for k in range(parts)]
    rows = [SimpleNamespace(part=names[k], difference=1 / (1 + number), significant=True)
            for number, k in enumerate(differing) for _ in range(pairs)]
    return SimpleNamespace(names=names, atoms=np.ones(parts, int), significant=rows)


def test_a_part_that_differs_in_many_pairs_of_classes_is_told_of_once():
    found = classes_of(30, [7, 2, 11])
    assert [row.part for row in part_order.surest_differences(found)] == ["P7", "P2", "P11"]
    assert part_order.surest_differences(found)[0] is found.significant[0]


def test_parts_that_differ_come_first_and_those_without_atoms_not_at_all():
    found = classes_of(6, [4, 1])
    found.atoms[3] = 0
    assert part_order.those_that_differ_first(found) == [4, 1, 0, 2, 5]


@given(st.lists(st.none() | st.floats(-1, 2)), st.integers(1, 20))
def test_the_lowest_are_in_their_order(values, most):
    rows = [{"part": k, "occupancy": value} for k, value in enumerate(values)]
    found = part_order.lowest(rows, most)
    numbers = [row["part"] for row in found]
    assert len(found) == min(most, len(rows)) and numbers == sorted(set(numbers))
    key = [float("inf") if value is None else value for value in values]
    assert max((key[k] for k in numbers), default=0) <= min(
        (key[k] for k in range(len(key)) if k not in numbers), default=float("inf"))
