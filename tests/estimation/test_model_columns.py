"""Columns of parts against structure factors written out, and the least squares against dense algebra."""

import numpy as np
import pytest

pytest.importorskip("gemmi")
pytest.importorskip("scipy")

import gemmi  # noqa: E402

from occupy_jit.estimation.parts import part_boxes  # noqa: E402
from occupy_jit.estimation.parts.columns import Design  # noqa: E402
from occupy_jit.estimation.parts.fit_grid import make_lattice  # noqa: E402
from occupy_jit.estimation.parts.scattering import form_factor  # noqa: E402
from occupy_jit.files.models.residue_names import NUCLEIC, PROTEIN  # noqa: E402

SPACING = np.array([1.4, 1.5, 1.45])
SHAPE = (50, 48, 52)
KINDS = [("C", PROTEIN), ("P", NUCLEIC), ("O", NUCLEIC)]
VOLUMES = {PROTEIN: 17.0, NUCLEIC: 14.5}


@pytest.fixture(scope="module")
def case():
    rng = np.random.default_rng(4)
    positions = np.array(SHAPE) / 2 + rng.uniform(-7, 7, (90, 3))
    types = rng.integers(0, 3, 90).astype(np.int32)
    column = np.sort(rng.integers(0, 3, 90))
    lattice = make_lattice(rng.standard_normal(SHAPE).astype(np.float32), SPACING, positions, 4.0)
    positions = positions - lattice.corner
    return lattice, (positions, rng.uniform(0.3, 1, 90), types, rng.uniform(0, 60, 90), column, np.arange(3), KINDS)


def structure_factors(lattice, given, occupancy, transfer, offsets):
    """The sum over atoms of their scattering less ice, filtered, on the grid of the lattice."""
    positions, weights, types, b, column, _, _ = given
    shape = lattice.data.shape
    axes = [np.fft.fftfreq(n, d) for n, d in zip(shape, lattice.spacing, strict=True)]
    s2 = axes[0][:, None, None] ** 2 + axes[1][:, None] ** 2 + axes[2] ** 2
    total = 0
    for at in range(len(positions)):
        element, kind = KINDS[types[at]]
        table = gemmi.Element(element).c4322
        curve = sum(a * np.exp(-c * s2 / 4) for a, c in zip(table.a, table.b, strict=True))
        two = sum(a * np.exp(-c * s2 / 4) for a, c in zip(form_factor(element), (4, 30), strict=True))
        assert np.abs(two - curve)[s2 < 0.07].max() < 0.02 * curve.max()
        ice = 0.07 * VOLUMES[kind] * np.exp(-np.pi * VOLUMES[kind] ** (2 / 3) * s2)
        waves = [np.exp(-2j * np.pi * positions[at, k] * lattice.spacing[k] * axes[k]) for k in range(3)]
        phase = waves[0][:, None, None] * waves[1][:, None] * waves[2]
        total = total + (occupancy[column[at]] * weights[at] * (two - ice) * phase
                         * np.exp(-(b[at] + offsets[column[at]]) * s2 / 4))
    total = total * np.interp(np.sqrt(s2), lattice.s, transfer, right=0.0)
    return np.fft.ifftn(total).real / lattice.spacing.prod()


def test_parts_from_boxes_are_the_sums_of_their_structure_factors(case):
    lattice, given = case
    design = Design(lattice, *given, boxes=3)
    occupancy, offsets = np.array([1.0, 0.4, -0.2]), np.array([0.0, 50.0, -20.0])
    # compact in space, so that neither boxes nor reach end it
    transfer = np.exp(-150 * lattice.s**2 / 4)
    wanted = structure_factors(lattice, given, occupancy, transfer, offsets)
    scale = np.abs(wanted).max()
    # left of it: the grid of the Gaussians (.4%) and their ends
    assert np.abs(design.on_grid(transfer, offsets, occupancy) - wanted).max() < 5e-3 * scale
    fit = design.fit(design.values(transfer, offsets), occupancy)
    kept = np.abs(fit - wanted[lattice.fit_index >= 0]) < 5e-3 * scale
    assert kept.mean() > 0.95, "columns end 9 Å from their parts, what is left of them there is next to nothing"


def test_derivatives_are_those_in_the_offset(case):
    lattice, given = case
    design = Design(lattice, *given, boxes=3)
    transfer = lattice.band
    step = 1.0
    values = [design.values(transfer, np.full(3, b)) for b in (-step, 0.0, step)]
    slope = (values[2][:, 0] - values[0][:, 0]) / (2 * step)
    assert np.abs(slope - values[1][:, 1]).max() < 1e-3 * np.abs(values[1][:, 1]).max()


def test_boxes_and_atoms_one_by_one_give_the_same_columns(case):
    lattice, given = case
    transfer, offsets = np.exp(-150 * lattice.s**2 / 4), np.array([0.0, 30.0, -10.0])
    made = [Design(lattice, *given, boxes=n).values(transfer, offsets) for n in (3, 1, 0)]
    scale = np.abs(made[0]).max(0)
    for other in made[1:]:  # B factors in levels (2%), functions that end at 12 Å
        assert (np.abs(other - made[0]).max(0) < 0.03 * scale).all()


def test_the_bits_do_not_depend_on_the_threads(case, monkeypatch):
    lattice, given = case
    transfer, offsets, occupancy = lattice.band, np.array([0.0, 30.0, -10.0]), np.array([1.0, 0.5, 0.2])
    made = []
    for threads in (1, 2, 3):
        monkeypatch.setattr(part_boxes, "threads_allowed", lambda n=threads: n)
        design = Design(lattice, *given, boxes=3)
        made.append((design.values(transfer, offsets), design.on_grid(transfer, offsets, occupancy)))
    for values, grid in made[1:]:
        assert (values == made[0][0]).all() and (grid == made[0][1]).all()
