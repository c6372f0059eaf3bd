"""States from occupancies: what is found in tables of numbers whose truth is known."""

import itertools
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("scipy")

from occupy_jit.errors import InputError, UsageError  # noqa: E402
from occupy_jit.estimation.states import groups  # noqa: E402
from occupy_jit.estimation.states.common_scale import to_common_scale  # noqa: E402
from occupy_jit.estimation.states.composition import ABSENT, PRESENT, UNDECIDED, Composition, compose  # noqa: E402
from occupy_jit.estimation.states.continuum import compare_with_continuum  # noqa: E402
from occupy_jit.estimation.states.ensemble import Ensemble, analyse  # noqa: E402
from occupy_jit.estimation.states.groups import find_states, log_evidence, merge  # noqa: E402
from occupy_jit.estimation.states.order import NEVER_TOGETHER, ONLY_WITH, TOGETHER, relations, state_graph  # noqa: E402

PARTS = 12


def volumes(compositions, per_state, noise, seed=0, impurity=0.1):
    """Occupancies of volumes of some states, each with up to a tenth of the particles of others, and noise."""
    rng = np.random.default_rng(seed)
    compositions = np.asarray(compositions, float)
    label = np.repeat(np.arange(len(compositions)), per_state)
    mixed = np.array([(1 - a) * compositions[s] + a * compositions[rng.integers(len(compositions))]
                      for s, a in zip(label, impurity * rng.random(len(label)), strict=True)])
    errors = np.broadcast_to(noise * np.exp(rng.uniform(-0.5, 0.5, (len(label), 1))), mixed.shape).copy()
    order = rng.permutation(len(label))
    return (mixed + errors * rng.standard_normal(mixed.shape))[order], errors[order], label[order]


def random_compositions(number, seed):
    """So many sets of parts that differ by at least two; the first part is in all."""
    rng = np.random.default_rng(seed)
    sets = [(1.0,) * PARTS]
    while len(sets) < number:
        new = (1.0, *rng.integers(0, 2, PARTS - 1).astype(float))
        if min(np.abs(np.subtract(new, other)).sum() for other in sets) >= 2:
            sets.append(new)
    return sets


def same_division(one, other):
    """Whether two divisions into groups are the same but for the numbers of the groups."""
    pairs = set(zip(one.tolist(), other.tolist(), strict=True))
    return len(pairs) == len(set(one.tolist())) == len(set(other.tolist()))


@given(number=st.integers(1, 7), per_state=st.integers(3, 8), noise=st.sampled_from([0.02, 0.05, 0.08]),
       seed=st.integers(0, 10**6))
def test_states_that_differ_by_whole_parts_are_found_and_no_others(number, per_state, noise, seed):
    occupancy, errors, label = volumes(random_compositions(number, seed), per_state, noise, seed)
    found = find_states(occupancy, errors)
    assert same_division(found.label, label)
    # noise is .13 at most, an impurity .1: two parts that differ by .9 are 10 standard errors
    assert found.probability[np.arange(len(label)), found.label].min() > 0.9


@pytest.mark.parametrize("n", [3, 40, 300])
def test_noise_alone_is_one_state_however_many_volumes_there_are(n):
    """The best division of pure noise looks significant to a plain chi-square test, more so with more volumes."""
    rng = np.random.default_rng(n)
    noise = np.full((n, PARTS), 0.15)
    assert find_states(1 + noise * rng.standard_normal(noise.shape), noise).n_states == 1


def test_one_small_part_of_many_makes_a_state():
    rng = np.random.default_rng(1)
    parts = 136
    truth = np.ones((40, parts))
    truth[20:, 17] = 0.0
    noise = np.full(truth.shape, 0.12)
    found = find_states(truth + noise * rng.standard_normal(truth.shape), noise)
    assert found.n_states == 2 and same_division(found.label, np.repeat([0, 1], 20))


def test_a_state_of_two_volumes_among_a_hundred_is_found():
    occupancy, errors, label = volumes(random_compositions(3, 5), 50, 0.1, 5)
    keep = np.flatnonzero((label < 2) | (np.cumsum(label == 2) <= 2))
    found = find_states(occupancy[keep], errors[keep])
    assert same_division(found.label, label[keep])


def test_errors_that_are_too_small_or_too_large_are_found_out():
    occupancy, errors, label = volumes(random_compositions(4, 2), 15, 0.1, 2, impurity=0.0)
    for factor in (0.5, 1.6):
        found = find_states(occupancy, errors * factor)
        assert same_division(found.label, label)
        # 56 degrees of freedom a part, and up to .04 of scatter that may be noise or not: 1 is not told from 1 +- .2
        assert np.median(found.growth) == pytest.approx(1 / factor, rel=0.2)


def test_so_many_states_as_are_asked_for():
    occupancy, errors, _ = volumes(random_compositions(4, 3), 5, 0.05, 3)
    for number in (1, 3, 6, 20):
        assert find_states(occupancy, errors, number).n_states == number
    with pytest.raises(ValueError, match="21 states of 20"):
        find_states(occupancy, errors, 21)


def test_parts_that_a_volume_does_not_tell_do_not_matter():
    occupancy, errors, label = volumes(random_compositions(4, 4), 6, 0.05, 4)
    rng = np.random.default_rng(0)
    occupancy[rng.random(occupancy.shape) < 0.1] = np.nan
    assert same_division(find_states(occupancy, errors).label, label)


def test_log_evidence_is_that_of_two_gaussians():
    from scipy.stats import norm

    d, v = np.array([0.3, -0.02]), np.array([0.01, 0.04])
    q, t, e = groups.SHARE_OF_PARTS, groups.DIFFERENCE, groups.IMPURITY
    naive = sum(np.log((1 - q) + q * norm.pdf(x, 0, np.sqrt(w + t**2)) / norm.pdf(x, 0, np.sqrt(w + e**2)))
                for x, w in zip(d, v, strict=True))
    assert log_evidence(d, v) == pytest.approx(naive, rel=1e-12)
    assert log_evidence(np.array([0.3, 5.0, -0.02]), np.array([0.01, np.inf, 0.04])) == pytest.approx(naive, rel=1e-12)


def test_merging_takes_the_cheapest_pair_each_time():
    """Against a loop over all pairs of groups, from their members."""
    rng = np.random.default_rng(6)
    values, weights = rng.random((9, 3)), rng.uniform(5, 200, (9, 3))
    tree = merge(values, weights, number=1)[1]
    nodes = {k: [k] for k in range(9)}
    for step, (one, other, _, _) in enumerate(tree):
        cost = {}
        for i, j in itertools.combinations(sorted(nodes), 2):
            sums = [(weights[nodes[n]].sum(0), (weights[nodes[n]] * values[nodes[n]]).sum(0)) for n in (i, j)]
            (a, sa), (b, sb) = sums
            cost[i, j] = (a * b / (a + b) * (sa / a - sb / b) ** 2).sum()
        cheapest = min(cost, key=cost.get)
        assert cheapest == (min(one, other), max(one, other))
        nodes[9 + step] = nodes.pop(one) + nodes.pop(other)
    assert len(nodes) == 1
    heights = [height for _, _, height, _ in tree]
    assert heights == sorted(heights)


def test_full_scale_is_that_of_parts_that_are_always_full():
    rng = np.random.default_rng(7)
    absent = np.roll(np.eye(PARTS), 2, axis=1)[:PARTS - 2]  # each state lacks another part, none the first two
    occupancy, errors, _ = volumes(1 - absent, 4, 0.05, 7)
    grey = 10 ** rng.uniform(-3, 3, (len(occupancy), 1))
    found = to_common_scale(occupancy * grey, errors * grey, np.eye(PARTS), np.full(PARTS, 100.0))
    assert np.flatnonzero(found.weights).tolist() == [0, 1]
    # the mean of two parts of the noise that a volume has, twice .05 at most
    assert np.abs(found.full / grey[:, 0] - 1).max() < 4 * errors.max() / np.sqrt(2)
    # a part of the reference varies less against it than another does
    assert found.noise[:, 0].mean() < found.noise[:, 2].mean()


def test_volumes_without_a_common_full_part_are_told():
    occupancy = np.repeat([[1.0, 0, 1, 0], [0, 1, 0, 1]], 4, axis=0)
    noise = np.full(occupancy.shape, 0.03)
    ensemble = Ensemble([f"v{k}" for k in range(8)], list("abcd"), np.full(4, 100.0), occupancy, noise, np.eye(4),
                        np.full(4, 0.02))
    assert "no part is full" in " ".join(analyse(ensemble).warnings)


def table(calls, names="abcdef"):
    """A composition with these calls: + present, - absent, ? undecided, a row for each state."""
    call = np.array([[{"+": PRESENT, "-": ABSENT, "?": UNDECIDED}[c] for c in row] for row in calls])
    above = np.where(call == PRESENT, 0.99, np.where(call == ABSENT, 0.01, 0.6))
    empty = np.zeros(call.shape)
    return list(names[:call.shape[1]]), Composition(above, empty, empty, above, call, *[np.ones(len(call))] * 4)


def naive_relations(names, made):
    """Relations by trying all ways in which undecided calls may turn out."""
    found = {}
    options = {PRESENT: [1], ABSENT: [0], UNDECIDED: [0, 1]}
    for i, j in itertools.combinations(range(len(names)), 2):
        kinds = set()
        decided = [(made.call[s, i], made.call[s, j]) for s in range(len(made.call))]
        seen = {(a, b) for a, b in decided}
        for way in itertools.product(*[list(itertools.product(options[a], options[b])) for a, b in decided]):
            pairs = set(way)
            kinds.add(TOGETHER if pairs == {(0, 0), (1, 1)} else
                       (ONLY_WITH, 1) if pairs == {(0, 0), (1, 1), (1, 0)} else
                       (ONLY_WITH, 0) if pairs == {(0, 0), (1, 1), (0, 1)} else
                       NEVER_TOGETHER if {(1, 0), (0, 1)} <= pairs and (1, 1) not in pairs else None)
        if len(kinds) == 1 and None not in kinds:
            found[names[i], names[j]] = (kinds.pop(), seen)
    return found


@given(st.lists(st.lists(st.sampled_from("++--?"), min_size=4, max_size=4), min_size=1, max_size=5))
def test_what_is_certain_whatever_undecided_calls_turn_out_to_be_is_a_relation(rows):
    names, made = table(rows)
    naive = {}
    for (a, b), (kind, _) in naive_relations(names, made).items():
        if isinstance(kind, tuple):
            naive[(b, a) if kind[1] else (a, b)] = ONLY_WITH
        else:
            naive[a, b] = kind
    ours = {(r.part, r.other): r.relation for r in relations(names, made)}
    # each kind has to be seen in states where both calls are decided, which is asked for besides
    assert all(naive.get(pair) == kind for pair, kind in ours.items())
    decided = not (made.call == UNDECIDED).any()
    assert not decided or ours == naive


@pytest.mark.parametrize("there", [(4, 2), (3, 3), (5, 1), (4, 4), (2, 2)])
def test_the_chance_of_a_relation_is_that_of_presence_dealt_out(there):
    """All ways in which the second part can be dealt out to six states, those that show a relation counted."""
    first = [k < there[0] for k in range(6)]
    ways, chances = list(itertools.combinations(range(6), there[1])), []
    for way in ways:
        calls = [("+" if a else "-") + ("+" if k in way else "-") for k, a in enumerate(first)]
        found = relations(*table(calls))
        chances += [(found[0].relation, found[0].chance)] if found else []
    shown = {kind: sum(one == kind for one, _ in chances) for kind, _ in chances}
    for kind, chance in chances:
        assert chance == pytest.approx(sum(n for n in shown.values() if n <= shown[kind]) / len(ways))
    for level in (0.05, 0.2, 0.5):
        assert sum(chance <= level for _, chance in chances) / len(ways) <= level


def test_the_graph_goes_by_what_is_added_and_leaves_out_what_follows():
    names, made = table(["+++", "++-", "+--", "+-+"])
    edges = {(e.before, e.after): (e.adds, e.loses) for e in state_graph(names, made).edges}
    assert edges == {(2, 1): (["b"], []), (2, 3): (["c"], []), (1, 0): (["c"], []), (3, 0): (["b"], [])}


def test_undecided_parts_match_either_in_the_graph():
    names, made = table(["+++", "+?-"])
    (edge,) = state_graph(names, made).edges
    assert (edge.before, edge.after, edge.adds, edge.unsure) == (1, 0, ["c"], ["b"])


def test_shares_and_their_errors():
    occupancy, errors, label = volumes(random_compositions(2, 8), 30, 0.03, 8)
    counts = np.where(label == 0, 300.0, 100.0)
    found = find_states(occupancy, errors).by_share(counts)
    made = compose(occupancy, errors, np.full(PARTS, 0.02), found, counts)
    assert made.share == pytest.approx([0.75, 0.25]) and made.particles.tolist() == [9000, 3000]
    draws = 12000**2 / (30 * 300**2 + 30 * 100**2)
    assert made.se_share == pytest.approx(np.sqrt(0.75 * 0.25 / draws), rel=1e-3)


def test_errors_of_a_state_average_noise_but_not_the_model():
    occupancy, errors, _ = volumes([[1.0] * PARTS], 64, 0.08, 9, impurity=0)
    made = compose(occupancy, errors, np.full(PARTS, 0.03), find_states(occupancy, errors))
    assert made.se_noise.max() < 2 * 0.08 / 8  # the mean of 64
    assert made.se == pytest.approx(np.hypot(made.se_noise, 0.03))


@pytest.mark.parametrize("seed", range(4))
def test_volumes_between_states_are_a_continuum_and_states_are_none(seed):
    rng = np.random.default_rng(seed)
    directions = np.zeros((2, PARTS))
    directions[0, 2:6], directions[1, 7:11] = 1, 1
    coordinate = rng.random((40, 2))
    noise = np.full((40, PARTS), 0.05)
    family = 1 - coordinate @ directions + noise * rng.standard_normal(noise.shape)
    found = compare_with_continuum(family, noise, find_states(family, noise).label)
    assert found.preferred and found.n_directions == 2
    for loading, column in zip(found.loading, found.coordinate.T, strict=True):
        true = int(np.argmax([np.abs(loading[2:6]).sum(), np.abs(loading[7:11]).sum()]))
        assert np.abs(loading[directions[1 - true] > 0]).max() < 0.05  # a direction is one of the two, not a mixture
        assert abs(np.corrcoef(column, coordinate[:, true])[0, 1]) > 0.98
    occupancy, errors, label = volumes(random_compositions(5, seed), 8, 0.05, seed)
    assert not compare_with_continuum(occupancy, errors, label).preferred


def test_curves_follow_the_parts():
    rng = np.random.default_rng(3)
    level = np.sort(rng.random(60))
    noise = np.full((60, 4), 0.03)
    family = np.stack([np.ones(60), level, 1 - level, np.ones(60)], 1) + noise * rng.standard_normal(noise.shape)
    found = compare_with_continuum(family, noise, find_states(family, noise).label)
    curves = {curve.part: curve for curve in found.curves if curve.direction == 0}
    assert set(curves) == {1, 2}
    sign = np.sign(np.corrcoef(curves[1].position, curves[1].occupancy)[0, 1])
    assert (np.diff(sign * curves[1].occupancy) > 0).all() and (np.diff(sign * curves[2].occupancy) < 0).all()


def ensemble(n=12, seed=0):
    occupancy, errors, _ = volumes(random_compositions(3, seed), n // 3, 0.05, seed)
    return Ensemble([f"v{k}" for k in range(n)], [f"p{k}" for k in range(PARTS)], np.full(PARTS, 200.0), occupancy,
                    errors, np.eye(PARTS), np.full(PARTS, 0.02))


def test_what_comes_out_can_be_iterated_and_has_trees_of_both():
    found = analyse(ensemble())
    assert found.n_states == 3 and len(list(found)) == 3 * PARTS
    assert {row["call"] for row in found} <= {PRESENT, ABSENT, UNDECIDED}
    assert len(found.partition.tree) == 11 and len(found.part_tree) == PARTS - 1
    for tree, leaves in ((found.partition.tree, 12), (found.part_tree, PARTS)):
        merged = [node for one, other, _, _ in tree for node in (one, other)]
        assert sorted(merged) == list(range(leaves + len(tree) - 1))
    assert found.state.min() == 1


def test_the_order_of_volumes_does_not_matter():
    one = ensemble()
    order = np.random.default_rng(0).permutation(12)
    other = Ensemble([one.volumes[k] for k in order], one.parts, one.atoms, one.raw[order], one.deviation[order],
                     one.correlation, one.se_model)
    a, b = analyse(one), analyse(other)
    assert same_division(a.partition.label[order], b.partition.label)
    np.testing.assert_allclose(a.occupancy[order], b.occupancy, rtol=1e-9)


def test_too_few_volumes_and_too_many_states_are_refused():
    few = ensemble()
    for name in ("raw", "deviation"):
        setattr(few, name, getattr(few, name)[:2])
    few.volumes = few.volumes[:2]
    with pytest.raises(InputError, match="at least 3 volumes"):
        analyse(few)
    with pytest.raises(UsageError, match="13 states of 12 volumes"):
        analyse(ensemble(), number=13)


def test_the_record_is_plain_json():
    from occupy_jit.runs.states.states_record import record_of

    found = analyse(ensemble())
    text = json.dumps(record_of(found, found.volumes, False, {}), allow_nan=False)
    record = json.loads(text)
    assert record["kind"] == "states" and len(record["states"]) == 3
    assert np.array(record["occupancy"]["of_states"]).shape == (3, PARTS)
