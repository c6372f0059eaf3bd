"""Relations between parts, and the order of states."""

from __future__ import annotations

from dataclasses import dataclass
from math import comb
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from occupy_jit.estimation.states.composition import ABSENT, PRESENT

if TYPE_CHECKING:
    from occupy_jit.estimation.states.composition import Composition

ONLY_WITH, TOGETHER, NEVER_TOGETHER = "only with", "together", "never together"


class Relation(NamedTuple):
    """Relation between two parts.

    Attributes
    ----------
    part, other : str
        "only with": the part occurs only with the other.
    relation : str
    evidence : float
        Probability that its weakest call is right.
    states : int
        Number of states in which both parts are decided.
    chance : float
        Probability that two unrelated parts, each present in as many of these states,
        would show this or a rarer relation. It is large for few states: the relation then describes these states only.
    """

    part: str
    other: str
    relation: str
    evidence: float
    states: int
    chance: float


def relations(names: list[str], composition: Composition) -> list[Relation]:
    """Relations between parts that no undecided call could overturn.

    Parameters
    ----------
    names : list of str
    composition : occupy_jit.estimation.states.composition.Composition

    Returns
    -------
    list of Relation
        The most certain first.

    Notes
    -----
    Part b occurs "only with" a if both occur, a without b occurs, neither occurs, and b without a
    does not: no state where b may be present has a that may be absent. "together": both occur, neither occurs, and in
    no state one may be there without the other. "never together": each occurs without the other, and in no state both
    may be present.
    """
    there, gone = composition.call == PRESENT, composition.call == ABSENT
    sure = np.maximum(composition.above, 1 - composition.above)
    found = []
    for i in range(len(names)):
        for j in range(i + 1, len(names)):
            relation = _relation(there[:, i], gone[:, i], there[:, j], gone[:, j])
            if relation is None:
                continue
            first, second = (i, j) if relation[1] else (j, i)
            decided = (there | gone)[:, [i, j]].all(1)
            evidence = float(sure[:, [i, j]][decided].min())
            chance = _chance(there[decided, i], there[decided, j])
            found.append(Relation(names[first], names[second], relation[0], evidence, int(decided.sum()), chance))
    return sorted(found, key=lambda relation: -relation.evidence)


def _chance(there_part, there_other):
    """Probability of a relation this unlikely if presence is distributed over the states at random.

    For parts in given numbers of states, either the rarer one occurs only with the other, or the two never occur
    together; both have the probabilities of the hypergeometric distribution (Fisher 1935).
    """
    n = len(there_part)
    less, more = sorted((int(there_part.sum()), int(there_other.sum())))
    ways = comb(n, less)
    within, apart = comb(more, less), comb(n - more, less)
    shown = apart if not (there_part & there_other).any() else within
    return sum(number for number in (within, apart) if number <= shown) / ways


def _relation(there_a, gone_a, there_b, gone_b):
    """Relation of a and b, and whether a is the part (b the other); None if nothing is certain."""
    both, neither = (there_a & there_b).any(), (gone_a & gone_b).any()
    a_alone, b_alone = (there_a & gone_b).any(), (there_b & gone_a).any()
    maybe_a_alone, maybe_b_alone = (~gone_a & ~there_b).any(), (~gone_b & ~there_a).any()
    if both and neither:
        if not (maybe_a_alone or maybe_b_alone):
            return TOGETHER, True
        if b_alone and not maybe_a_alone:
            return ONLY_WITH, True
        if a_alone and not maybe_b_alone:
            return ONLY_WITH, False
    if a_alone and b_alone and not (~gone_a & ~gone_b).any():
        return NEVER_TOGETHER, True
    return None


class Edge(NamedTuple):
    """From a state to one with more parts.

    Attributes
    ----------
    before, after : int
        States, from 0.
    adds : list of str
        Parts that are absent before and present after.
    loses : list of str
        Parts that are present before and absent after: empty if parts are only added.
    unsure : list of str
        Parts whose call is undecided in one of the two.
    """

    before: int
    after: int
    adds: list
    loses: list
    unsure: list


@dataclass
class StateGraph:
    """States in order of assembly.

    Attributes
    ----------
    edges : list of Edge
    """

    edges: list


def state_graph(names: list[str], composition: Composition) -> StateGraph:
    """Edges between states that differ by added parts, without redundant edges.

    A state comes before another where its present parts are a proper subset of the other's; undecided parts match
    either. An edge is left out where a path over other states leads there (transitive reduction).

    Parameters
    ----------
    names : list of str
    composition : occupy_jit.estimation.states.composition.Composition

    Returns
    -------
    StateGraph
    """
    there, gone = composition.call == PRESENT, composition.call == ABSENT
    lost = (there[:, None] & gone[None]).any(2)
    added = (gone[:, None] & there[None]).any(2)
    before = added & ~lost
    edges = []
    for s, t in np.argwhere(before):
        # undecided parts match either, so "before" may not be transitive: any state between the two counts
        if (before[s] & before[:, t]).any():
            continue
        kinds = (gone[s] & there[t], there[s] & gone[t], ~((there | gone)[s] & (there | gone)[t]))
        edges.append(Edge(int(s), int(t), *([name for name, is_so in zip(names, kind, strict=True) if is_so]
                                            for kind in kinds)))
    return StateGraph(edges)
