"""Occupancies of parts on small simulated maps whose truth is known."""

import re
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("gemmi")
pytest.importorskip("scipy")

import gemmi  # noqa: E402

from occupy_jit import occupancy_of_parts  # noqa: E402
from occupy_jit.errors import InputError, UsageError  # noqa: E402
from occupy_jit.estimation.parts import halves as part_halves  # noqa: E402
from occupy_jit.estimation.parts import restored, unmodelled_density
from occupy_jit.estimation.parts.fit_grid import make_lattice  # noqa: E402
from occupy_jit.estimation.parts.gauss_newton import State  # noqa: E402
from occupy_jit.estimation.parts.registration import rotation_matrix  # noqa: E402
from occupy_jit.files.models.reading import AtomicModel, Residue  # noqa: E402
from occupy_jit.files.models.residue_names import PROTEIN  # noqa: E402
from tests.command import ROOT, environment  # noqa: E402

SHAPE = (44, 40, 48)
VOXEL = 1.5
OCCUPANCY = {"A": 1.0, "B": 0.6, "C": 0.25, "D": 1.0}


def structure(seed=0, per_part=200):
    """Four balls of carbons as dense as protein, one chain each; residues of eight atoms."""
    rng = np.random.default_rng(seed)
    centres = np.array([[-10, -8, -9], [11, -8, -7], [-9, 9, 8], [10, 9, 8.0]])
    xyz = []
    for centre in centres:
        ball = np.zeros((0, 3))
        radius = (per_part * 17.5 * 3 / (4 * np.pi)) ** (1 / 3)
        while len(ball) < per_part:  # anywhere, but no two nearer than a bond
            point = rng.uniform(-radius, radius, 3)
            if np.linalg.norm(point) < radius and not (np.linalg.norm(ball - point, axis=1) < 1.4).any():
                ball = np.concatenate([ball, point[None]])
        xyz.append(ball[np.argsort(ball[:, 0])] + centre)  # residues follow each other along x
    xyz = np.concatenate(xyz) + np.array(SHAPE[::-1]) * VOXEL / 2
    n = len(xyz)
    residues = [Residue("ABCD"[i // (per_part // 8)], "UNK", str(i), True) for i in range(n // 8)]
    return AtomicModel(None, xyz, np.full(n, "C"), np.full(n, "CX"), np.full(n, 20.0), np.ones(n),
                       np.full(n, PROTEIN, np.uint8), np.arange(n, dtype=np.int32) // 8, np.arange(n), residues)


def density(model, occupancy, b_factor=30.0, noise=0.0, seed=0):
    """The map of the atoms: structure factors written out, displaced ice taken away, low-passed at 3.3 Å."""
    axes = [np.fft.fftfreq(n, VOXEL) for n in SHAPE[:2]] + [np.fft.rfftfreq(SHAPE[2], VOXEL)]
    s2 = axes[0][:, None, None] ** 2 + axes[1][None, :, None] ** 2 + axes[2] ** 2
    weight = np.array([occupancy[model.residues[r].chain] for r in model.residue])
    waves = [np.exp(-2j * np.pi * np.outer(model.xyz[:, 2 - k], axes[k])) for k in range(3)]
    phases = np.einsum("az,ay,ax->zyx", waves[0] * weight[:, None], waves[1], waves[2], optimize=True)
    table = gemmi.Element("C").c4322
    carbon = sum(a * np.exp(-b * s2 / 4) for a, b in zip(table.a, table.b, strict=True))
    carbon = carbon - 0.07 * 17.5 * np.exp(-np.pi * 17.5 ** (2 / 3) * s2)
    low = 0.5 - 0.5 * np.tanh((np.sqrt(s2) - 1 / 3.3) / 0.02)
    volume = np.fft.irfftn(phases * carbon * np.exp(-b_factor * s2 / 4) * low, SHAPE, (0, 1, 2))
    white = np.random.default_rng(seed).standard_normal(SHAPE)
    white = np.fft.irfftn(np.fft.rfftn(white) * low, SHAPE, (0, 1, 2))
    return (volume + noise * volume.std() * white / white.std()).astype(np.float32)


@pytest.fixture(scope="module")
def simulated():
    model = structure()
    volume = density(model, OCCUPANCY, noise=0.3)
    return model, volume, occupancy_of_parts(volume, model, voxel_size=VOXEL)


def truth(names):
    return np.array([OCCUPANCY[name[0]] for name in names])


def test_occupancies_are_the_true_ones(simulated):
    _, _, found = simulated
    assert found.names == list("ABCD")
    # nothing is wrong with this model: the errors that are told must cover all there is
    assert (np.abs(found.occupancy - truth(found.names)) < 3 * found.se).all()
    assert found.se.max() < 0.08
    assert found.full.tolist() == [True, False, False, True]


def test_the_table_is_one_that_pandas_takes(simulated):
    pandas = pytest.importorskip("pandas")
    table = pandas.DataFrame(simulated[2])
    assert list(table.columns) == ["part", "atoms", "occupancy", "se", "dB", "se_dB", "cc", "full"]
    assert table.atoms.tolist() == [200] * 4


def test_scale_and_offset_of_the_map_change_nothing(simulated):
    model, volume, found = simulated
    other = occupancy_of_parts(37 * volume + np.float32(5), model, voxel_size=VOXEL)
    assert np.allclose(other.occupancy, found.occupancy, atol=2e-3)
    assert np.allclose(other.se, found.se, atol=2e-3)


def test_the_order_of_atoms_and_parts_changes_nothing_but_the_order_of_rows(simulated):
    model, volume, found = simulated
    order = np.random.default_rng(3).permutation(len(model))
    reverse = list(range(len(model.residues)))[::-1]
    mixed = AtomicModel(None, model.xyz[order], model.element[order], model.atom_name[order], model.b_factor[order],
                        model.weight[order], model.kind[order],
                        np.array([reverse.index(r) for r in model.residue[order]], np.int32), order,
                        [model.residues[i] for i in reverse])
    other = occupancy_of_parts(volume, mixed, voxel_size=VOXEL)
    assert other.names == list("DCBA")
    assert np.allclose(other.occupancy[::-1], found.occupancy, atol=2e-3)


def test_map_and_model_moved_together_give_the_same(simulated):
    model, volume, found = simulated
    moved = AtomicModel(**{**model.__dict__, "xyz": model.xyz + np.array([70.0, -20.0, 5.0])})
    other = occupancy_of_parts(volume, moved, voxel_size=VOXEL, position=(70.0, -20.0, 5.0))
    assert np.allclose(other.occupancy, found.occupancy, atol=1e-6)


def test_parts_of_a_chain_read_as_the_chain(simulated):
    model, volume, found = simulated
    cut = occupancy_of_parts(volume, model, voxel_size=VOXEL, parts=["half=B:25-36"], reference=["A", "D"])
    halves = [cut.occupancy[cut.names.index(name)] for name in ("B", "half")]
    assert np.abs(np.array(halves) - 0.6).max() < 3 * cut.se.max()


def test_residues_have_the_mean_of_their_part(simulated):
    model, volume, _ = simulated
    found = occupancy_of_parts(volume, model, voxel_size=VOXEL, residues=True)
    assert len(found.residues) == len(model.residues)
    for name, value in zip(found.names, found.occupancy, strict=True):
        assert abs(np.mean([r.occupancy for r in found.residues if r.part == name]) - value) < 0.05
    assert found.of_atoms().shape == (len(model),)


@pytest.mark.slow
@pytest.mark.parametrize("factor", [1.03, 0.97])
def test_voxels_that_are_of_another_size_are_told(simulated, factor):
    """The header is wrong by 3%: the size is told, and not taken."""
    model, volume, found = simulated
    assert not any("voxels" in sentence for sentence in found.warnings)
    other = occupancy_of_parts(volume, model, voxel_size=factor * VOXEL)
    (told,) = [sentence for sentence in other.warnings if "voxels seem to be" in sentence]
    # twice .6%, below which a size is not told from the one given
    likely = float(re.search(r"seem to be ([\d.]+) Å", told)[1])
    assert abs(likely / VOXEL - 1) < 0.012 and f"not {factor * VOXEL:.4g} Å" in told and "--voxel-size" in told


@pytest.mark.parametrize("factor", [1.08, 0.93])
def test_a_model_that_fits_another_size_of_voxels_alone_is_refused_with_that_size(simulated, factor):
    model, volume, _ = simulated
    with pytest.raises(InputError, match=r"voxels seem to be 1\.(49|5|51) Å, not .* --voxel-size 1\.(49|5|51)"):
        occupancy_of_parts(volume, model, voxel_size=factor * VOXEL)


@pytest.mark.slow
def test_errors_cover_the_truth_as_often_as_they_should():
    deviations = []
    for seed in range(30):
        model = structure(seed, 120)
        drawn = dict(zip("ABCD", [1.0, *np.random.default_rng(seed).uniform(0.1, 0.9, 3)], strict=True))
        model.xyz = model.xyz + np.random.default_rng(seed).normal(0, 0.2, model.xyz.shape)
        volume = density(model, drawn, noise=0.6, seed=seed)
        found = occupancy_of_parts(volume, model, voxel_size=VOXEL, reference=["A"])
        deviations += [(o - drawn[n]) / se for n, o, se in zip(found.names, found.occupancy, found.se, strict=True)
                       if n != "A"]
    inside = [np.mean(np.abs(deviations) < k) for k in (1, 2)]
    # 90 samples of .68 and .95 scatter by .05 and .023: three times that below them would show that errors are too
    # small. They also hold what choices of the method may be off by, which they are not here, and may be too large.
    assert inside[0] > 0.53 and inside[1] > 0.88


def rotated(model, degrees):
    centre = model.xyz.mean(0)
    turn = rotation_matrix(np.deg2rad(degrees) * np.array([0.36, 0.48, 0.8]))
    return AtomicModel(**{**model.__dict__, "xyz": (model.xyz - centre) @ turn.T + centre})


@pytest.mark.parametrize("degrees", [10, 30])
def test_a_rotated_model_is_refused(simulated, degrees):
    model, volume, _ = simulated
    with pytest.raises(InputError, match="density"):
        occupancy_of_parts(volume, rotated(model, degrees), voxel_size=VOXEL)


def test_a_mirrored_shifted_or_misplaced_model_is_refused(simulated):
    model, volume, _ = simulated
    size = np.array(SHAPE[::-1]) * VOXEL
    for xyz, word in ((size * [1, 0, 0] + model.xyz * [-1, 1, 1], "density"), (model.xyz + [9.0, 0, 0], "shift"),
                      ((model.xyz - size / 2)[:, [1, 2, 0]] + size / 2, "density"), (model.xyz + 500, "outside")):
        with pytest.raises(InputError, match=word):
            occupancy_of_parts(volume, AtomicModel(**{**model.__dict__, "xyz": xyz}), voxel_size=VOXEL)


def test_a_model_that_reaches_out_of_the_map_is_fitted_where_it_lies_inside(simulated):
    model, volume, _ = simulated
    found = occupancy_of_parts(np.ascontiguousarray(volume[:, :, :30]), model, voxel_size=VOXEL)
    outside = np.count_nonzero(model.xyz[:, 0] >= 29 * VOXEL)
    assert found.warnings[0] == f"{outside} atoms of the model lie outside the map and are left out"
    assert found.atoms.sum() == len(model) - outside and (np.abs(found.occupancy - truth("ABCD")) < 3 * found.se).all()
    with pytest.raises(InputError, match="most of its atoms lie outside"):
        occupancy_of_parts(np.ascontiguousarray(volume[:26, :20, :24]), model, voxel_size=VOXEL)


def test_a_part_outside_of_the_map_has_no_occupancy_and_changes_none(simulated):
    model, volume, found = simulated
    away = AtomicModel(**{**model.__dict__, "xyz": model.xyz.copy(), "residues": list(model.residues)})
    for i in range(75, 100):  # D leaves, under another name
        away.residues[i] = Residue("E", away.residues[i].name, away.residues[i].number, True)
    away.xyz[model.residue >= 75] += 300.0
    there = occupancy_of_parts(volume, away, voxel_size=VOXEL)
    assert there.atoms.tolist() == [200, 200, 200, 0]
    assert any(sentence.endswith("so without an occupancy: E") for sentence in there.warnings)
    assert np.allclose(there.occupancy[:3] / there.occupancy[0], found.occupancy[:3] / found.occupancy[0], atol=0.1)


def test_one_subunit_of_several_is_said_to_leave_density(simulated):
    model, volume, _ = simulated
    keep = model.residue < 25
    alone = AtomicModel(None, model.xyz[keep], model.element[keep], model.atom_name[keep], model.b_factor[keep],
                        model.weight[keep], model.kind[keep], model.residue[keep], model.row[keep], model.residues[:25])
    found = occupancy_of_parts(volume, alone, voxel_size=VOXEL)
    assert any("has no model" in sentence for sentence in found.warnings)


def test_b_factors_that_vary_inside_chains_are_those_of_the_file():
    model = structure(3)
    # every chain has a rigid half and a mobile one, not all the same share of it
    x = model.xyz[:, 0] - np.repeat([model.xyz[k:k + 200, 0].mean() for k in range(0, 800, 200)], 200)
    b = np.where(x > np.repeat([-3.0, 0.0, 3.0, 1.0], 200), 120.0, 20.0)
    volume = sum(density(AtomicModel(**{**model.__dict__, "xyz": model.xyz[own], "residue": model.residue[own]}),
                         OCCUPANCY, b_factor=level) for level in (20.0, 120.0) for own in [b == level])
    volume += 0.02 * volume.std() * np.random.default_rng(0).standard_normal(SHAPE).astype(np.float32)
    model.b_factor = b
    found = occupancy_of_parts(volume, model, voxel_size=VOXEL)
    flat = occupancy_of_parts(volume, model, voxel_size=VOXEL, b_factors="flat")
    assert found.b_factors == "model" and found.explained > flat.explained
    off = [np.abs(r.occupancy - truth(r.names)).max() for r in (found, flat)]
    assert off[0] < 3 * found.se.max() and off[0] < off[1]


def test_coarse_maps_are_fitted_without_offsets():
    model = structure(2)
    volume = density(model, OCCUPANCY, b_factor=900.0)[::1]
    coarse = volume[::4, ::4, ::4]
    found = occupancy_of_parts(np.ascontiguousarray(coarse), model, voxel_size=4 * VOXEL)
    assert found.detail > 9
    assert np.allclose(found.offset, 0, atol=0.1)
    assert np.argsort(found.occupancy)[:2].tolist() == [2, 1]


def test_wrong_requests(simulated):
    model, volume, _ = simulated
    with pytest.raises(InputError, match="has no part Q"):
        occupancy_of_parts(volume, model, voxel_size=VOXEL, reference=["Q"])
    with pytest.raises(UsageError, match="voxel_size"):
        occupancy_of_parts(volume, model)
    with pytest.raises(UsageError, match="b_factors"):
        occupancy_of_parts(volume, model, voxel_size=VOXEL, b_factors="some")


def lysine(names):
    """An L-amino acid (looking from H to the alpha carbon, CO, R and N go clockwise) of ideal bonds."""
    places = {"N": [1.46, 0, 0], "CA": [0, 0, 0], "C": [-0.55, 1.42, 0], "O": [0.2, 2.4, 0],
              "CB": [-0.53, -0.77, 1.21]}
    places = {name: places[name] for name in names}
    n = len(places)
    return AtomicModel(None, np.array(list(places.values()), float), np.array([name[0] for name in places]),
                       np.array(list(places)), np.zeros(n), np.ones(n), np.zeros(n, np.uint8), np.zeros(n, np.int32),
                       np.arange(n), [Residue("A", "LYS", "1", True)])


def test_absent_side_chains_are_expected_where_bonds_put_them():
    places, scatter = restored.missing_side_chains(lysine(["N", "CA", "C", "O"]))
    beta = lysine(["CB"]).xyz[0]
    assert len(places) == 5
    assert np.linalg.norm(places[0] - beta) < 0.15, "the beta carbon has one place"
    assert scatter[0] < 0.2 and (np.diff(scatter) > 0).all(), "the farther, the less is known"
    away = np.linalg.norm(places, axis=1)
    assert (np.diff(away) > 0).all() and away[-1] < 1.53 * 5
    assert np.allclose(restored.missing_side_chains(lysine(["N", "CA", "C", "O", "CB"]))[0], places[1:])
    assert not len(restored.missing_side_chains(lysine(["CA"]))[0]), "without a backbone nothing tells where"


def test_absent_side_chains_turn_with_their_residue():
    model = lysine(["N", "CA", "C", "O"])
    turn, shift = rotation_matrix(np.array([0.3, -1.1, 0.8])), np.array([4.0, 5, -6])
    places, _ = restored.missing_side_chains(model)
    moved = AtomicModel(**{**model.__dict__, "xyz": model.xyz @ turn.T + shift})
    assert np.allclose(restored.missing_side_chains(moved)[0], places @ turn.T + shift)


def test_weaker_density_counts_where_side_chains_are_absent(simulated):
    model, _, _ = simulated
    rng = np.random.default_rng(8)
    positions = model.xyz[:, ::-1] / VOXEL
    # white noise: its maxima are above the level for what is expected, hardly ever above that for anything
    lattice = make_lattice(rng.standard_normal(SHAPE).astype(np.float32), np.full(3, VOXEL), positions, 4.0)
    state = State(np.ones(4), np.zeros(4), np.ones(len(lattice.s)), np.ones(len(lattice.s)))
    distance = lattice.distance.copy()

    def found(absent):
        atoms = SimpleNamespace(part=np.zeros(len(model)), absent=absent, scatter=np.full(len(absent), 1.0))
        return unmodelled_density.find_pseudo_atoms(lattice.data, lattice, state, distance, atoms)[0]

    anywhere = found(np.zeros((0, 3)))
    absent = (positions - lattice.corner)[::20]
    more = found(absent)
    apart = np.array([v for v in more.tolist() if v not in anywhere.tolist()])
    assert len(apart)
    away = np.linalg.norm((apart[:, None] - absent) * VOXEL, axis=2).min(1)
    assert (away <= 1.5 + 2.0).all(), "1.5 times the scatter, half a detail"


@pytest.fixture(scope="module")
def halved():
    """Two half maps of the simulated structure, the model off by 0.3 Å, and what is found with them."""
    model = structure()
    signal = density(model, OCCUPANCY)
    noise = [density(model, OCCUPANCY, noise=1.2, seed=seed) - signal for seed in (11, 12)]
    halves = [signal + one for one in noise]
    model.xyz = model.xyz + np.random.default_rng(5).normal(0, 0.3, model.xyz.shape)
    volume = (halves[0] + halves[1]) / 2
    return model, volume, halves, occupancy_of_parts(volume, model, voxel_size=VOXEL, half_maps=halves)


def test_half_maps_tell_the_share_of_noise_in_the_errors(halved):
    model, volume, halves, found = halved
    assert (np.abs(found.occupancy - truth(found.names)) < 3 * found.se).all()
    told = found.halves
    assert told.occupancy.shape == (2, 4) and told.disagreement < told.most
    # they lie on either side of the whole map's answer, but for what full scale, which each has its own of, bends
    bent = np.abs(told.occupancy - found.occupancy).max() ** 2
    assert np.abs(told.occupancy.mean(0) - found.occupancy).max() < 2 * bent + 1e-9
    apart = np.abs(told.occupancy[0] - told.occupancy[1]) / 2
    assert (apart < 4 * told.se_noise).all() and apart.max() > 0.1 * told.se_noise.max()
    assert (told.se_noise < found.se).all()


@pytest.mark.slow
def test_the_error_by_noise_is_the_scatter_of_maps_with_other_noise():
    model = structure()
    signal = density(model, OCCUPANCY)
    drawn = [density(model, OCCUPANCY, noise=1.0, seed=seed) - signal for seed in range(16)]
    found = [occupancy_of_parts(signal + (a + b) / 2, model, voxel_size=VOXEL, half_difference=(a - b) / 2,
                                reference=["A"]) for a, b in zip(drawn[::2], drawn[1::2], strict=True)]
    told = np.sqrt(np.mean([r.halves.se_noise[1:] ** 2 for r in found], 0))
    seen = np.std([r.occupancy[1:] for r in found], 0, ddof=1)
    # eight maps: the standard deviation of each of three parts is known to 1/sqrt(14), their ratio's mean to 0.17
    assert abs(np.mean(seen / told) - 1) < 3 * 0.17


def test_wrong_halves(halved):
    model, volume, halves, _ = halved
    for wrong, error, word in ((halves[:1], UsageError, "two"), ((halves[0], halves[0]), InputError, "identical"),
                               ((halves[0], halves[1][1:]), UsageError, "box"),
                               ([np.roll(half, 9, axis=2) for half in halves], InputError, "half maps of another map")):
        with pytest.raises(error, match=word):
            occupancy_of_parts(volume, model, voxel_size=VOXEL, half_maps=wrong)


def test_a_map_that_was_sharpened_and_masked_has_the_noise_of_its_halves(halved):
    model, volume, halves, found = halved
    axes = [np.fft.fftfreq(n, VOXEL) for n in SHAPE[:2]] + [np.fft.rfftfreq(SHAPE[2], VOXEL)]
    s2 = axes[0][:, None, None] ** 2 + axes[1][None, :, None] ** 2 + axes[2] ** 2
    sharpened = np.fft.irfftn(np.fft.rfftn(volume) * 40 * np.exp(30 * s2 / 4), SHAPE, (0, 1, 2)).astype(np.float32)
    inside = np.linalg.norm(np.stack(np.indices(SHAPE), -1) - np.array(SHAPE) / 2, axis=-1) < 19.5
    for map_, tolerance in ((sharpened, 0.05), (sharpened * inside, 0.3)):
        other = occupancy_of_parts(map_, model, voxel_size=VOXEL, half_maps=halves)
        # a filter changes nothing; a mask, though no fit voxel lies outside of it, takes noise from around the model,
        # which weighs less than that at it
        assert np.abs(other.halves.se_noise / found.halves.se_noise - 1).max() < tolerance
        apart = [r.halves.occupancy[0] - r.halves.occupancy[1] for r in (found, other)]
        assert np.abs(apart[1] - apart[0]).max() < tolerance * found.halves.se_noise.max() * 4


def test_halves_that_differ_by_more_than_the_errors_are_told(halved, monkeypatch):
    model, volume, halves, proper = halved
    # two maps of different occupancies are no half maps
    other = density(structure(), {**OCCUPANCY, "B": 0.2, "C": 0.7}, noise=1.2, seed=11)
    monkeypatch.setattr(part_halves, "_SURE", 0.0)  # four parts of a few blocks each cannot make anybody very sure
    found = occupancy_of_parts((halves[0] + other) / 2, model, voxel_size=VOXEL, half_maps=(halves[0], other))
    assert found.halves.disagreement > 1 > proper.halves.disagreement
    assert any("half maps differ" in sentence for sentence in found.warnings)


def test_what_chance_seldom_exceeds_is_the_quantile_of_chi_square():
    chi2 = pytest.importorskip("scipy.stats").chi2
    for n in (1, 4, 28, 400):
        assert abs(part_halves._most(n) / np.sqrt(chi2.ppf(0.999, n) / n) - 1) < 0.03


def test_the_fit_uses_as_many_threads_as_were_asked_for(simulated, monkeypatch):
    """Kernels, transforms and the loop over parts alike: on a shared node the others belong to somebody else."""
    from concurrent import futures

    from occupy_jit.estimation.parts import part_boxes
    from occupy_jit.estimation.threads import threads_allowed

    asked, kept = [], threads_allowed()

    def pool(number):
        asked.append(number)
        return futures.ThreadPoolExecutor(number)

    monkeypatch.setattr(part_boxes, "ThreadPoolExecutor", pool)
    model, volume, _ = simulated
    occupancy_of_parts(volume, model, voxel_size=VOXEL, thread_count=1,
                       progress=lambda _: asked.append(threads_allowed()))
    assert set(asked) == {1} and threads_allowed() == kept


@pytest.mark.slow
def test_the_bits_do_not_depend_on_the_number_of_threads():
    code = ("import hashlib; from tests.estimation.test_model_occupancy import *; model = structure()\n"
            "one, two = (density(model, OCCUPANCY, noise=0.3, seed=seed) for seed in (1, 2))\n"
            "more = {'voxel_size': VOXEL, 'half_maps': (one, two), 'residues': True}\n"
            "found = occupancy_of_parts((one + two) / 2, model, **more)\n"
            "rows = [[r.occupancy, r.se, r.cc] for r in found.residues]\n"
            "told = (found.occupancy, found.se, found.offset, found.covariance, found.halves.occupancy, rows)\n"
            "print(hashlib.sha256(b''.join(np.asarray(a, float).tobytes() for a in told)).hexdigest())")
    ran = [subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT,
                          env=environment(NUMBA_NUM_THREADS=number)) for number in "12"]
    assert all(one.returncode == 0 for one in ran), ran[0].stderr + ran[1].stderr
    assert ran[0].stdout == ran[1].stdout and len(ran[0].stdout) == 65
