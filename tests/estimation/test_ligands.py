"""Ligands on small simulated maps: intervals, calls and detection limits, against the truth."""

import math
from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("gemmi")
pytest.importorskip("scipy")

from occupy_jit import occupancy_of_parts  # noqa: E402
from occupy_jit.estimation.ligands import likelihood  # noqa: E402
from occupy_jit.estimation.ligands.columns import LigandBox  # noqa: E402
from occupy_jit.estimation.ligands.copies import compare_copies  # noqa: E402
from occupy_jit.estimation.ligands.filling import filling  # noqa: E402
from occupy_jit.estimation.ligands.likelihood import Weighting, log_likelihood, posterior  # noqa: E402
from occupy_jit.estimation.ligands.sites import find_sites, has_ligands  # noqa: E402
from occupy_jit.estimation.parts.part_boxes import PartBoxes  # noqa: E402
from occupy_jit.estimation.parts.selection import chains_and_ligands  # noqa: E402
from occupy_jit.files.models.reading import AtomicModel, Residue  # noqa: E402
from occupy_jit.files.models.residue_names import PROTEIN  # noqa: E402
from tests.estimation.ligand_maps import is_ligand, ligand_map, moved, with_ligands  # noqa: E402
from tests.estimation.test_model_occupancy import VOXEL  # noqa: E402

NAMES = [f"{chain}/LIG{900 + i}" for i, chain in enumerate("ABCD")]


def fit(model, volume, **given):
    found = occupancy_of_parts(volume, model, voxel_size=VOXEL, **given)
    return found, {row.part: row for row in found.ligands}


# The likelihood ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def small_problem():
    rng = np.random.default_rng(0)
    columns, neighbours = rng.normal(size=(40, 4)), rng.normal(size=(40, 3))
    data = 0.7 * columns[:, 0] + rng.normal(size=40)
    return columns, neighbours, data


def slow_covariance(neighbours, noise):
    off = neighbours * likelihood._NEIGHBOUR_SPREAD
    return noise * np.eye(len(off)) + off @ off.T


def test_the_weighting_is_the_inverse_of_the_covariance(small_problem):
    columns, neighbours, _ = small_problem
    wanted = np.linalg.solve(slow_covariance(neighbours, 1.7), columns)
    assert np.allclose(Weighting(neighbours, 1.7)(columns), wanted, rtol=1e-10)
    assert np.allclose(Weighting(neighbours[:, :0], 1.7)(columns), columns / 1.7, rtol=1e-14)


def test_shifts_are_averaged_over_as_the_normal_distribution_says(small_problem):
    columns, neighbours, data = small_problem
    products = Weighting(neighbours, 1.7).products(data, columns)
    occupancy = np.array([0.0, 0.3, 0.7, 1.2])
    wanted = []
    for o in occupancy:
        slopes = o * 0.4 * columns[:, 1:]
        covariance = slow_covariance(neighbours, 1.7) + slopes @ slopes.T
        rest = data - o * columns[:, 0]
        wanted.append(-0.5 * (rest @ np.linalg.solve(covariance, rest) + np.linalg.slogdet(covariance)[1]))
    found = log_likelihood(products, occupancy, 0.4)
    assert found[0] == 0
    assert np.allclose(found, np.array(wanted) - wanted[0], rtol=1e-9)


def test_the_spline_is_the_natural_one():
    from scipy.interpolate import CubicSpline

    nodes = likelihood.B_NODES
    values = np.random.default_rng(0).normal(size=(len(nodes), 2))
    places = np.linspace(nodes[0], nodes[-1], 101)
    wanted = CubicSpline(nodes, values, bc_type="natural")(places)
    assert np.allclose(likelihood.spline(nodes, places) @ values, wanted, rtol=1e-9, atol=1e-12)


def test_without_other_uncertainty_the_interval_is_that_of_least_squares():
    own, occupancy = 400.0, 0.6
    products = [SimpleNamespace(own=own, data=own * occupancy, own_slopes=np.zeros(3), data_slopes=np.zeros(3),
                                slopes=np.zeros((3, 3)))] * len(likelihood.B_NODES)
    found = posterior(products)
    # the table has steps of .01
    assert found.occupancy == pytest.approx(occupancy, abs=1e-3)
    assert (found.low, found.high) == pytest.approx((occupancy - 1.96 / 20, occupancy + 1.96 / 20), abs=2e-3)
    # what the map does not tell is known as before: mean and width of experience, cut off where no B factor is looked
    # for, 1.9 standard deviations below the mean
    assert found.b_factor == pytest.approx(likelihood.B_MEAN, abs=0.1 * likelihood.B_SPREAD)
    assert found.b_spread == pytest.approx(likelihood.B_SPREAD, rel=0.1)


def test_columns_of_a_shift_are_those_of_moved_atoms_and_derivatives_those_of_differences():
    n = 40
    s = np.linspace(0, 0.4, 120)
    lattice = SimpleNamespace(spacing=np.array([1.5, 1.4, 1.3]), detail=4.0, s=s)
    transfer = np.exp(-30 * s**2) * (s < 0.28)
    voxels = np.argwhere(np.ones((9, 9, 9), bool)) + 15
    around = SimpleNamespace(s=s, transfer=transfer, independent=0.2, voxels_of=lambda site: voxels)
    rng = np.random.default_rng(1)
    atoms = rng.uniform(17, 21, (7, 3))
    shift = np.array([0.3, -0.5, 0.2])

    def box(positions):
        made = PartBoxes(lattice, positions, np.ones(7), np.zeros(7, int), np.zeros(7), np.array([0, 7]),
                         [("C", PROTEIN)])
        return LigandBox(made.boxes[0], around, 0)

    here = box(atoms)
    wanted = box(atoms + shift / lattice.spacing).columns(50.0, gradients=False)
    found = here.columns(50.0, shift)
    largest = np.abs(wanted).max()
    assert len(found) == 9**3 < n**3
    # Gaussians are cut off at 4.5 standard deviations when they are spread: 4e-5 of their height
    assert np.abs(found[:, 0] - wanted[:, 0]).max() < 2e-3 * largest
    for axis in range(3):
        step = 0.05 * np.eye(3)[axis]
        ends = [here.columns(50.0, shift + sign * step, gradients=False)[:, 0] for sign in (1, -1)]
        # what is left of the difference is of third order: (2 pi s h)^2 / 6 at the end of the band
        bound = (2 * math.pi * 0.28 * 0.05) ** 2 / 6 * np.abs(found[:, 1 + axis]).max() + 1e-5 * largest / 0.1
        assert np.abs((ends[0] - ends[1]) / 0.1 - found[:, 1 + axis]).max() < 2 * bound


# What is a ligand ----------------------------------------------------------------------------------------------------


def named_model(residues):
    """Residues of eight atoms each, in a line."""
    n = 8 * len(residues)
    return AtomicModel(None, np.stack([np.arange(n) * 1.5, np.zeros(n), np.zeros(n)], 1), np.full(n, "C"),
                       np.full(n, "CX"), np.full(n, 20.0), np.ones(n), np.full(n, PROTEIN, np.uint8),
                       np.repeat(np.arange(len(residues)), 8).astype(np.int32), np.arange(n), residues)


def sites_of(model, parts=None):
    names, part = chains_and_ligands(model) if parts is None else parts
    atoms = SimpleNamespace(part=part, residue=model.residue, weights=model.weight, positions=model.xyz[:, ::-1])
    return names, find_sites(model, names, atoms, model.b_factor, np.ones(3))


def test_ligands_modified_residues_and_small_parts_are_sites():
    chain = [Residue("A", "ALA", str(i), True) for i in range(20)]
    chain[5] = Residue("A", "SEP", "5", True)
    chain[9] = Residue("A", "MSE", "9", True)
    chain[11] = Residue("A", "UNK", "11", True)
    model = named_model([*chain, Residue("A", "HEM", "201", False), Residue("B", "HEM", "201", False)])
    names, sites = sites_of(model)
    assert [site.name for site in sites] == ["A/HEM201", "B/HEM201", "A/SEP5"]
    assert [names[site.parent] for site in sites] == ["A", "A", "A"]
    assert [site.kind for site in sites] == ["HEM", "HEM", "SEP"]
    assert [names[site.part] for site in sites] == ["A/HEM201", "B/HEM201", "A"]
    part = np.where(np.isin(model.residue, [3, 4]), len(names), chains_and_ligands(model)[1])
    cut = sites_of(model, ([*names, "loop"], part))[1]
    assert [(site.name, site.kind) for site in cut if site.name == "loop"] == [("loop", "")]


def test_a_model_without_ligands_has_none():
    model = named_model([Residue("A", "ALA", str(i), True) for i in range(20)])
    names, part = chains_and_ligands(model)
    assert not has_ligands(model, names, part) and sites_of(model)[1] == []
    assert fit(with_ligands(0), ligand_map(with_ligands(0), {}, noise=0.3))[0].ligands is not None


# Against the truth ---------------------------------------------------------------------------------------------------


def draw(seed):
    """A model and its map: ligands absent or there, mobile or not, displaced in the model."""
    rng = np.random.default_rng(seed)
    model = with_ligands(seed)
    occupancy = {name: 0.0 if rng.random() < 0.35 else round(float(rng.uniform(0.1, 1)), 3) for name in NAMES}
    b_extra = {name: float(rng.choice([0, 50, 100])) for name in NAMES}
    volume = ligand_map(model, occupancy, b_extra, noise=0.8, seed=seed)
    return moved(model, {name: rng.normal(0, 0.12, 3) for name in NAMES}), volume, occupancy


@pytest.fixture(scope="module")
def many():
    """Rows of ligands, each with its true occupancy."""
    found = []
    for seed in range(25):
        model, volume, occupancy = draw(seed)
        found += [(row, occupancy[name]) for name, row in fit(model, volume)[1].items()]
    return found


@pytest.mark.slow
def test_intervals_hold_the_truth_as_often_as_they_should(many):
    inside = np.mean([row.low <= true <= row.high for row, true in many])
    # 100 samples of .95 scatter by .022
    assert inside > 0.95 - 3 * 0.022
    error = np.array([row.occupancy - true for row, true in many])
    half = np.array([(row.high - row.low) / 2 for row, true in many])
    assert np.sqrt((error**2).mean()) < 0.15
    # intervals that hold everything tell nothing: they are not wider than twice what the errors need
    assert half.mean() < 2 * 1.96 * np.sqrt((error**2).mean())


@pytest.mark.slow
def test_what_is_absent_is_not_called_present_nor_the_other_way_round(many):
    absent = [row.call for row, true in many if true == 0]
    assert len(absent) > 20
    # 1% of these would be false: two in 40 happen in 6% of cases, three in 1%
    assert sum(call == "present" for call in absent) <= 2
    assert sum(call == "absent" for call in absent) > 0.6 * len(absent)
    assert all(row.high < 0.25 for row, _ in many if row.call == "absent")
    assert not any(row.call == "absent" for row, true in many if true > 0.3)
    sure = [row.call == "present" for row, true in many if true > 1.4 * row.detection_limit]
    assert len(sure) > 20 and np.mean(sure) > 0.95


@pytest.mark.slow
def test_the_detection_limit_is_where_19_of_20_are_seen():
    """The same ligand at its limit, in many maps: each is one throw with .95."""
    model = with_ligands(3)
    rows = fit(model, ligand_map(model, {name: 0.0 for name in NAMES}, noise=0.8, seed=99))[1]
    # the limit of what is absent is that of a ligand as mobile as ligands usually are
    limits = {name: row.detection_limit for name, row in rows.items()}
    mobile = {name: likelihood.B_MEAN for name in NAMES}
    seen = {factor: [row.call == "present" for seed in range(10)
                     for row in fit(model, ligand_map(model, {n: factor * v for n, v in limits.items()}, mobile,
                                                      noise=0.8, seed=seed))[1].values()] for factor in (0.65, 1.0)}
    # with .95, 40 throws give 33 or fewer in .3% of cases; a limit that is 30% too large would be seen in 99.8%, one
    # 30% too small in half of them; at .65 of the limit half are seen
    assert sum(seen[1.0]) >= 33
    assert sum(seen[0.65]) <= 30


def test_occupancies_and_b_factors_of_ligands_in_the_file_change_nothing():
    model, volume, _ = draw(2)
    _, before = fit(model, volume)
    ligand = is_ligand(model) != ""
    other = AtomicModel(**{**model.__dict__, "b_factor": np.where(ligand, 180.0, 20.0)})
    _, after = fit(other, volume)
    for name, row in before.items():
        assert after[name].call == row.call
        # the B factors of the file may be taken for all or none: the fit of what lies beside may change a little
        assert after[name].occupancy == pytest.approx(row.occupancy, abs=0.1 * (row.high - row.low))


def test_the_table_of_parts_says_the_same_as_that_of_ligands():
    model, volume, _ = draw(4)
    found, rows = fit(model, volume)
    for name, row in rows.items():
        k = found.names.index(name)
        assert found.occupancy[k] == row.occupancy
        assert found.se[k] == pytest.approx((row.high - row.low) / 3.92)


def test_a_displaced_ligand_is_found_where_it_is():
    model = with_ligands(1)
    volume = ligand_map(model, {}, noise=0.3, seed=5)
    shift = {NAMES[1]: np.array([0.3, -0.4, 0.0])}
    found, rows = fit(moved(model, shift), volume)
    assert "displaced by 0." in rows[NAMES[1]].remark
    assert rows[NAMES[1]].displaced_angstrom == pytest.approx(0.5, abs=0.15)
    place = found.ligands.shifts[[row.part for row in found.ligands].index(NAMES[1])]
    assert np.abs(place + shift[NAMES[1]]).max() < 0.15
    assert rows[NAMES[1]].low < 1 < rows[NAMES[1]].high
    for name in NAMES:
        if name != NAMES[1]:
            assert rows[name].displaced_angstrom < 0.2 and not rows[name].remark


def test_density_of_something_else_does_not_resemble_the_ligand():
    model = with_ligands(1)
    volume = ligand_map(model, {}, noise=0.2, seed=5)
    name = is_ligand(model)
    own = name == NAMES[0]
    centre = model.xyz[own].mean(0)
    turned = model.xyz.copy()
    turned[own] = centre + (model.xyz[own] - centre)[:, [1, 2, 0]] * [1, -1, 1]
    _, rows = fit(AtomicModel(**{**model.__dict__, "xyz": turned}), volume)
    assert "does not resemble" in rows[NAMES[0]].remark and rows[NAMES[0]].cc < rows[NAMES[0]].cc_low
    assert all(rows[other].cc > rows[other].cc_low and not rows[other].remark for other in NAMES[1:])


def test_a_ligand_is_not_present_where_the_map_was_set_to_nothing():
    model = with_ligands(1)
    volume = ligand_map(model, {}, noise=0.1, seed=5)
    own = model.xyz[is_ligand(model) == NAMES[0]]
    points = np.moveaxis(np.indices(volume.shape), 0, -1)[..., ::-1] * VOXEL
    distance = np.min([np.linalg.norm(points - atom, axis=-1) for atom in own], axis=0)
    _, rows = fit(model, volume * np.clip(distance - 1.5, 0, 1).astype(np.float32))
    assert rows[NAMES[0]].call != "present" and rows[NAMES[0]].low <= 0
    assert all(rows[other].call == "present" for other in NAMES[1:])


# Copies --------------------------------------------------------------------------------------------------------------


class Row(SimpleNamespace):
    def _replace(self, **given):
        return Row(**{**self.__dict__, **given})


def rows_with(occupancies, half=0.1):
    return [Row(occupancy=o, low=o - half, high=o + half, copies_mean=math.nan, differs=False) for o in occupancies]


def test_equal_copies_are_equal_and_the_one_that_differs_is_named():
    (equal,), _ = compare_copies(rows_with([0.8, 0.85, 0.78, 0.82]), ["HEM"] * 4)
    assert equal.equal and not equal.differing and equal.p > 0.5
    assert equal.occupancy == pytest.approx(0.8125, abs=0.01) and equal.filled == pytest.approx(3.25)
    (other,), rows = compare_copies(rows_with([0.8, 0.85, 0.3, 0.82]), ["HEM"] * 4)
    assert not other.equal and other.differing == (2,) and [row.differs for row in rows] == [False, False, True, False]

    (halves,), rows = compare_copies(rows_with([0.0, 0.0, 0.9, 0.9]), ["HEM"] * 4)
    assert not halves.equal and not halves.differing and not any(row.differs for row in rows)


def test_different_ligands_and_parts_of_the_user_are_not_compared():
    copies, rows = compare_copies(rows_with([0.8, 0.1, 0.5, 0.9]), ["HEM", "NAG", "", ""])
    assert not copies and all(math.isnan(row.copies_mean) for row in rows)


def test_equal_copies_are_called_different_as_seldom_as_they_should():
    rng = np.random.default_rng(0)
    wrong = 0
    for _ in range(200):
        (found,), _ = compare_copies(rows_with(rng.normal(0.6, 0.1 / 1.96, 4)), ["HEM"] * 4)
        wrong += not found.equal
    # errors that copies have in common are taken out: that makes the test sharper, by 6% here; .05 of 200 is 10 +- 3
    assert wrong <= 24


def test_classes_of_independent_sites_are_not_called_filled_together():
    rng = np.random.default_rng(1)
    together = 0
    for _ in range(200):
        particles = rng.random((1000, 4)) < 0.5
        group = rng.integers(0, 3, 1000)  # classes that know nothing of the sites
        means = np.array([particles[group == c].mean(0) for c in range(3)]) + rng.normal(0, 0.05, (3, 4))
        found = filling("HEM", "ABCD", means, np.full((3, 4), 0.05), np.ones(3))
        together += found.together
        assert found.independent == pytest.approx(1, abs=0.1)
    assert not together
    # even classes that hold nothing but particles with equally many filled sites vary no more than these do
    count = particles.sum(1)
    means = np.array([particles[count == k].mean(0) for k in range(5)])
    found = filling("HEM", "ABCD", means, np.full((5, 4), 0.05), np.bincount(count))
    assert found.variance == pytest.approx(count.var(), abs=0.02) and not found.together
    assert np.abs(found.observed - found.binomial).max() < 4 * 0.5 / np.sqrt(1000)
