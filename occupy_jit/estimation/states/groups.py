"""Division of volumes into states: groups whose occupancies differ by no more than noise and small impurities.

Notes
-----
Volume k has occupancy o_kp of part p, with the variance V_kp = (grow_p noise_kp)^2 + w^2, where w = 0.04 is the scatter
of occupancies within one state. Groups have weighted means. Two groups that differ by d_p, with a total variance v_p,
are one state if no part differs by more than an impurity e = 0.07 (a tenth of the particles of its volumes belongs to
other states), and two states if some parts differ by anything up to 1:

    log B = sum_p log( (1 - q) + q N(d_p; v_p + t^2) / N(d_p; v_p + e^2) ),    t = 0.7, q = 0.1

N is the density of a Gaussian of mean 0. A part that does not differ costs only a tenth, so that one small part of a
hundred may define a state, and many small differences do not add up to a state. Groups are merged from
single volumes on: always the pair with the least sum of d_p^2 / v_p among those whose log B is below the logarithm of
the number of pairs and of 20 to 1; if there is none, the groups are the states. Volumes then join the state
that is most probable, states that became alike are merged, and each state is tested for a division into two.
"""

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

WITHIN = 0.04
"""Scatter of occupancies of volumes within one state; smaller differences are irrelevant."""
IMPURITY = 0.07
"""Difference in a part allowed between two groups of one state: a tenth of their particles belongs to others."""
DIFFERENCE = 0.7
"""Difference in a part between two states, root mean square: 1 for half of the parts."""
SHARE_OF_PARTS = 0.1
"""Prior share of the parts that differ between two states."""
_ODDS = 20.0
_ROUNDS = 5
_FREEDOM = 10.0
_MOST_TURNS = 20
_STARTS = 6
_LEAST_GROWTH, _MOST_GROWTH = 0.5, 4.0


@dataclass
class Partition:
    """Volumes divided into states.

    Attributes
    ----------
    label : ndarray (volumes,), int
        State of every volume, from 0; the largest first.
    probability : ndarray (volumes, states), float64
        Of each state for each volume.
    growth : ndarray (parts,), float64
        Factor of the noise of a part with which volumes of one state agree.
    tree : list of (int, int, float, float)
        Merges as in SciPy's linkage: two nodes (volumes first, then merges in their order), the height, which is the
        root of the mean square difference in standard errors and never falls, and log B.
    evidence : ndarray (states,), float64
        log B relative to the most similar other state; infinite for a single state.
    """

    label: np.ndarray
    probability: np.ndarray
    growth: np.ndarray
    tree: list = field(default_factory=list)
    evidence: np.ndarray | None = None

    @property
    def n_states(self) -> int:
        """int : Number of states."""
        return self.probability.shape[1]

    def by_share(self, counts: Any) -> Any:
        """The same states, ordered by decreasing sum of `counts` (volumes,)."""
        order = np.argsort(-np.bincount(self.label, counts, self.n_states), kind="stable")
        rank = np.empty(len(order), int)
        rank[order] = np.arange(len(order))
        return replace(self, label=rank[self.label], probability=self.probability[:, order],
                       evidence=self.evidence[order])


def find_states(occupancy: np.ndarray, noise: np.ndarray, number: int | None = None, adapt: bool = True) -> Partition:
    """Divide volumes into states.

    Parameters
    ----------
    occupancy, noise : ndarray (volumes, parts), float64
        On one scale, and the standard errors by noise alone; NaN if unknown.
    number : int, optional
        Number of states; found if not given.
    adapt : bool
        Whether the noise of each part may grow or shrink until volumes of one state agree.

    Returns
    -------
    Partition

    Raises
    ------
    ValueError
        More states are requested than there are volumes.
    """
    known = np.isfinite(occupancy) & np.isfinite(noise)
    values = np.where(known, occupancy, 0.0)
    noise = np.where(known, noise, 1.0)
    if number is not None and not 1 <= number <= len(values):
        raise ValueError(f"{number} states of {len(values)} volumes")
    growth = np.ones(values.shape[1])
    labels = None
    for _ in range(_ROUNDS):
        weights = known / ((noise * growth) ** 2 + WITHIN**2)
        found, tree = merge(values, weights, number)
        found = _settled(values, weights, found, number)
        found = _divided_anew(values, weights, found, number)
        if labels is not None and np.array_equal(found, labels):
            break
        labels = found
        if adapt:
            growth = _growth(values, noise, known, labels, growth)
    weights = known / ((noise * growth) ** 2 + WITHIN**2)
    labels = _by_size(labels)
    return Partition(labels, probabilities(values, weights, labels), growth, tree, _evidence(values, weights, labels))


def log_evidence(difference: np.ndarray, variance: np.ndarray) -> np.ndarray:
    """log B for two groups being two states.

    Parameters
    ----------
    difference, variance : ndarray (..., parts)
        Of their means, and the sum of the variances of these; infinite if a part is unknown.

    Returns
    -------
    ndarray (...)
    """
    one, two = variance + IMPURITY**2, variance + DIFFERENCE**2
    ratio = np.full(np.broadcast(difference, variance).shape, 0.0)
    finite = np.isfinite(variance)
    square = difference**2
    with np.errstate(invalid="ignore"):
        ratio[finite] = (0.5 * np.log(one / two) + 0.5 * square * (1 / one - 1 / two))[finite]
    return np.logaddexp(np.log1p(-SHARE_OF_PARTS), np.log(SHARE_OF_PARTS) + ratio).sum(-1)


def _least_evidence(pairs):
    """log B above which one of so many pairs counts as two states."""
    return np.log(max(pairs, 1)) + np.log(_ODDS)


def merge(values: np.ndarray, weights: np.ndarray, number: int | None = None) -> tuple[np.ndarray, list[Any]]:
    """Merge volumes into groups until all groups are different states, or until the given number is reached.

    Parameters
    ----------
    values, weights : ndarray (volumes, parts)
        Occupancies and 1 / variance, 0 if unknown.
    number : int, optional

    Returns
    -------
    label : ndarray (volumes,), int
    tree : list
        As in `Partition`; it continues above the groups to the root.
    """
    groups = _Groups(values, weights)
    labels, tree, height = None, [], 0.0
    while groups.count > 1:
        if labels is None and groups.count == number:
            labels = groups.labels()
        i, j, evidence = groups.next_pair(stop=labels is None and number is None)
        if evidence is None:
            labels = groups.labels()
            i, j, evidence = groups.next_pair(stop=False)
        height = max(height, float(np.sqrt(groups.cost[i, j] / max(groups.compared(i, j), 1))))
        tree.append((int(groups.node[i]), int(groups.node[j]), height, float(evidence)))
        groups.join(i, j, len(values) + len(tree) - 1)
    return (groups.labels() if labels is None else labels), tree


class _Groups:
    """Groups of volumes during merging."""

    def __init__(self, values: Any, weights: Any) -> None:
        n = len(values)
        self.mean, self.weight = values.astype(float).copy(), weights.astype(float).copy()
        self.node = np.arange(n)
        self.member = np.arange(n)
        self.alive = np.ones(n, bool)
        self.cost = np.full((n, n), np.inf)
        self.log_b = np.full((n, n), np.inf)
        for i in range(n - 1):
            self._compare(i, np.arange(i + 1, n))

    @property
    def count(self) -> int:
        return int(self.alive.sum())

    def labels(self) -> Any:
        return np.unique(self.member, return_inverse=True)[1]

    def compared(self, i: Any, j: Any) -> int:
        """Number of parts known in both groups."""
        return int(((self.weight[i] > 0) & (self.weight[j] > 0)).sum())

    def _compare(self, i, others):
        difference, one, two = self.mean[i] - self.mean[others], self.weight[i], self.weight[others]
        with np.errstate(divide="ignore"):
            variance = 1 / one + 1 / two
        cost = np.where(np.isfinite(variance), difference**2 / variance, 0.0).sum(1)
        evidence = log_evidence(difference, variance)
        self.cost[i, others] = self.cost[others, i] = cost
        self.log_b[i, others] = self.log_b[others, i] = evidence

    def next_pair(self, stop: Any) -> tuple[Any, Any, Any]:
        """The most similar pair; with `stop` among pairs that may be one state. The evidence is None without such a
        pair."""
        n = self.count
        cost = self.cost if not stop else np.where(self.log_b < _least_evidence(n * (n - 1) / 2), self.cost, np.inf)
        i, j = np.unravel_index(np.argmin(cost), cost.shape)
        if not np.isfinite(cost[i, j]):
            return 0, 0, None
        return min(i, j), max(i, j), self.log_b[i, j]

    def join(self, i: Any, j: Any, node: Any) -> None:
        """Merge two groups; the second is removed."""
        total = self.weight[i] + self.weight[j]
        shared = self.weight[i] * self.mean[i] + self.weight[j] * self.mean[j]
        self.mean[i] = np.where(total > 0, shared / np.maximum(total, 1e-300), 0)
        self.weight[i] = total
        self.member[self.member == self.member[j]] = self.member[i]
        self.node[i] = node
        self.alive[j] = False
        self.cost[j, :] = self.cost[:, j] = self.log_b[j, :] = self.log_b[:, j] = np.inf
        others = np.flatnonzero(self.alive)
        others = others[others != i]
        if len(others):
            self._compare(i, others)


def group_means(values: Any, weights: Any, labels: Any) -> tuple[Any, Any]:
    """Weighted mean and summed weight of every group: (groups, parts) each."""
    n = int(labels.max()) + 1
    total = np.zeros((n, values.shape[1]))
    summed = np.zeros_like(total)
    np.add.at(total, labels, weights)
    np.add.at(summed, labels, weights * values)
    return np.where(total > 0, summed / np.maximum(total, 1e-300), 0.0), total


def _misfit(values, weights, labels):
    """Sum of squares of every volume from every group's mean, without the volume itself, in standard errors."""
    mean, total = group_means(values, weights, labels)
    squares = np.empty((len(values), len(mean)))
    for s in range(len(mean)):
        own = (labels == s)[:, None]
        rest = total[s] - own * weights
        centre = np.where(rest > 1e-9 * total[s], (total[s] * mean[s] - own * weights * values)
                          / np.maximum(rest, 1e-300), values)
        with np.errstate(divide="ignore", invalid="ignore"):
            variance = 1 / weights + 1 / rest
            each = np.where(np.isfinite(variance), (values - centre) ** 2 / variance + np.log(variance * weights), 0.0)
        squares[:, s] = each.sum(1)
    return squares


def probabilities(values: Any, weights: Any, labels: Any) -> Any:
    """Probability of every state for each volume, and the number of volumes in each state: (volumes, states)."""
    size = np.bincount(labels)
    score = np.log(size) - 0.5 * _misfit(values, weights, labels)
    score -= score.max(1, keepdims=True)
    odds = np.exp(score)
    return odds / odds.sum(1, keepdims=True)


def _settled(values, weights, labels, number):
    """Move volumes to their most probable group, one by one, until nothing changes; merge groups that became alike."""
    for _ in range(_MOST_TURNS):
        moved = _reassigned(values, weights, labels)
        joined = moved if number is not None else _joined(values, weights, moved)
        if np.array_equal(joined, labels):
            break
        labels = joined
    return labels


def _divided_anew(values, weights, labels, number):
    """Correct errors from the start of merging, when single volumes are noisiest.

    Every state, and every pair of most similar states, is divided into two again, starting from the values of the
    single parts that scatter most. A state that separates becomes two; two states receive the better division.
    """
    for _ in range(_MOST_TURNS):
        before = labels
        if number is None:
            labels = _split(values, weights, labels)
        for s, t in _most_alike(values, weights, labels):
            own = np.flatnonzero((labels == s) | (labels == t))
            second, misfit = _halves(values[own], weights[own])
            if misfit < _own_misfit(values[own], weights[own], labels[own] == t) - 1e-9:
                labels = labels.copy()
                labels[own] = np.where(second, t, s)
        labels = _settled(values, weights, labels, number)
        if np.array_equal(labels, before):
            break
    return labels


def _split(values, weights, labels):
    """Divide states that are two: each is tested in as many ways as there are parts, so more evidence is required."""
    n = int(labels.max()) + 1
    for s in range(n):
        own = np.flatnonzero(labels == s)
        if len(own) < 2:
            continue
        second, _ = _halves(values[own], weights[own])
        mean, total = group_means(values[own], weights[own], second.astype(int))
        with np.errstate(divide="ignore"):
            variance = (1 / total).sum(0)
        if log_evidence(mean[0] - mean[1], variance) > _least_evidence(n * (n + 1) / 2) + np.log(values.shape[1]):
            labels = labels.copy()
            labels[own[second]] = labels.max() + 1
    return labels


def _halves(values, weights):
    """The best division into two by 2-means, from the parts that scatter most: (second, misfit)."""
    mean, _ = group_means(values, weights, np.zeros(len(values), int))
    scatter = (weights * (values - mean) ** 2).sum(0)
    best = None
    for part in np.argsort(-scatter, kind="stable")[:_STARTS]:
        second = values[:, part] > mean[0, part]
        for _ in range(_MOST_TURNS):
            if second.all() or not second.any():
                break
            centre, _ = group_means(values, weights, second.astype(int))
            squares = (weights[:, None] * (values[:, None] - centre) ** 2).sum(2)
            new = squares[:, 1] < squares[:, 0]
            if np.array_equal(new, second):
                break
            second = new
        if second.all() or not second.any():
            continue
        misfit = _own_misfit(values, weights, second)
        if best is None or misfit < best[1]:
            best = second, misfit
    return best if best is not None else (np.arange(len(values)) == 0, np.inf)


def _own_misfit(values, weights, second):
    """Sum of squares of two groups around their means."""
    labels = second.astype(int)
    mean, _ = group_means(values, weights, labels)
    return float((weights * (values - mean[labels]) ** 2).sum())


def _most_alike(values, weights, labels):
    """Every state with the most similar one: list of pairs."""
    mean, total = group_means(values, weights, labels)
    with np.errstate(divide="ignore"):
        variance = 1 / total
    pairs = set()
    for s in range(len(mean) if len(mean) > 1 else 0):
        evidence = log_evidence(mean[s] - mean, variance[s] + variance)
        evidence[s] = np.inf
        t = int(np.argmin(evidence))
        pairs.add((min(s, t), max(s, t)))
    return sorted(pairs)


def _reassigned(values, weights, labels):
    """Every volume in its most probable group; a group keeps its last volume."""
    size = np.bincount(labels)
    best = np.argmax(np.log(size) - 0.5 * _misfit(values, weights, labels), 1)
    single = size[labels] == 1
    best[single] = labels[single]
    for s in np.flatnonzero(np.bincount(best, minlength=len(size)) == 0):
        best[np.flatnonzero(labels == s)[0]] = s
    return best


def _joined(values, weights, labels):
    """Merge groups that are no longer two states."""
    mean, total = group_means(values, weights, labels)
    with np.errstate(divide="ignore"):
        merged, _ = merge(mean, total)
    return np.unique(merged[labels], return_inverse=True)[1]


def _growth(values, noise, known, labels, growth):
    """Factors of the noise of every part: residuals in groups relative to their expectation.

    The scatter of occupancies within one state, up to `WITHIN`, is unknown: the noise is unchanged if the residuals lie
    between noise alone and noise with all of this scatter. The ratio of a part is restrained to that of all parts, and
    that to 1, with the weight of 10 residuals.
    """
    count = np.maximum(known.sum(0), 1)
    square = growth**2 * (known * noise**2).sum(0) / count
    bounds = []
    for within in (WITHIN, 0.0):
        weights = known / ((noise * growth) ** 2 + max(within, 1e-6) ** 2)
        mean, total = group_means(values, weights, labels)
        residual = (weights * (values - mean[labels]) ** 2).sum(0)
        freedom = known.sum(0) - (total > 0).sum(0)
        # the median, so that a part that differs inside a state does not increase all errors; that of chi square
        # with f degrees of freedom is f (1 - 2 / 9 f)^3 (Wilson and Hilferty 1931)
        told = freedom > 0
        middle = freedom[told] * (1 - 2 / (9 * freedom[told])) ** 3
        typical = np.median(residual[told] / middle) if told.any() else 1.0
        common = (typical * freedom.sum() + _FREEDOM) / (freedom.sum() + _FREEDOM)
        ratio = (residual + _FREEDOM * common) / (freedom + _FREEDOM)
        bounds.append(np.maximum(ratio * (square + within**2) - within**2, 0) / np.maximum(square, 1e-300))
    factor = np.clip(1.0, np.minimum(*bounds), np.maximum(*bounds))
    return np.clip(growth * np.sqrt(factor), _LEAST_GROWTH, _MOST_GROWTH)


def _evidence(values, weights, labels):
    """log B of every state relative to the most similar one."""
    mean, total = group_means(values, weights, labels)
    if len(mean) == 1:
        return np.array([np.inf])
    with np.errstate(divide="ignore"):
        variance = 1 / total
    least = np.empty(len(mean))
    for s in range(len(mean)):
        others = np.arange(len(mean)) != s
        least[s] = log_evidence(mean[s] - mean[others], variance[s] + variance[others]).min()
    return least


def _by_size(labels):
    """The same groups, the largest first; among equals the one with the first volume."""
    size = np.bincount(labels)
    first = np.array([np.flatnonzero(labels == s)[0] for s in range(len(size))])
    order = np.lexsort((first, -size))
    rank = np.empty(len(size), int)
    rank[order] = np.arange(len(size))
    return rank[labels]
