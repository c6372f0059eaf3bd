"""Occupancies of the parts of a model in a map: the steps in the order of the manual."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from occupy_jit.errors import InputError, UsageError
from occupy_jit.estimation.ligands.columns import FittedModel
from occupy_jit.estimation.ligands.in_parts import add_ligands
from occupy_jit.estimation.parts import registration, unmodelled_density
from occupy_jit.estimation.parts.atoms import Atoms, collect_atoms, describe_parts, share_b_factors
from occupy_jit.estimation.parts.columns import Design
from occupy_jit.estimation.parts.errors import relative_to_full, solve_with_errors, standard_errors
from occupy_jit.estimation.parts.fit_grid import Lattice, detail_used, fourier_crop, make_lattice
from occupy_jit.estimation.parts.full_group import full_group
from occupy_jit.estimation.parts.gauss_newton import first_state, run_turns
from occupy_jit.estimation.parts.halves import coarse_halves, judge_halves, noise_of
from occupy_jit.estimation.parts.preparation import Preparation
from occupy_jit.estimation.parts.residues import correlations, fit_residues
from occupy_jit.estimation.parts.result import Evidence, PartsResult, ResidueOccupancy
from occupy_jit.estimation.parts.selection import model_name as _name
from occupy_jit.estimation.parts.selection import select_parts
from occupy_jit.files.maps.position import grid_start
from occupy_jit.files.maps.position import position as position_of
from occupy_jit.files.models.reading import AtomicModel, read_model
from occupy_jit.kernels.jit.launch import threads

if TYPE_CHECKING:
    import os

    from occupy_jit.estimation.parts.errors import Solution
    from occupy_jit.estimation.parts.gauss_newton import Parts, State
    from occupy_jit.estimation.parts.halves import CoarseHalves
    from occupy_jit.files.maps.maps import Map

B_FACTORS = ("auto", "flat", "model")
_LEAST_EXPLAINED, _LITTLE_EXPLAINED = 0.05, 0.15
_MOST_OUTSIDE = 0.5
_TRIAL_TURNS, _GROUP_TURNS, _MOST_TURNS, _SETTLED = 3, 2, 10, 0.003
_PSEUDO_ATOM_ROUNDS = 2
_MUCH_UNCOVERED = 0.3
_MOST_TOLD = 10  # times the density: larger ratios are not informative
_SOME_TURN = 1.0  # degrees
_FEWEST_ATOMS = 30
_ADVICE = "fit it into the map first (ChimeraX: fitmap #2 inMap #1)"


class _Prepared(NamedTuple):
    """Map and model on one grid."""

    lattice: Lattice
    atoms: Atoms
    frame: registration.Frame
    uncovered: float
    voxel_size: np.ndarray


class Fitted(NamedTuple):
    """A model fitted to a map: the start of further analyses.

    Attributes
    ----------
    prepared : _Prepared
    known : occupy_jit.estimation.parts.gauss_newton.Parts
    design : Design
    state : occupy_jit.estimation.parts.gauss_newton.State
    uses_b_factors : bool
    pseudo_atoms : int
    """

    prepared: _Prepared
    known: Parts
    design: Design
    state: State
    uses_b_factors: bool
    pseudo_atoms: int


def occupancy_of_parts(volume: Map | np.ndarray, structure: AtomicModel | str | os.PathLike[str], *,  # noqa: PLR0913 (the public interface, by keyword)
                       parts: Sequence[str] = (), reference: Sequence[str] = (), residues: bool = False,
                       b_factors: str = "auto", half_maps: tuple[np.ndarray, np.ndarray] | None = None,
                       half_difference: np.ndarray | None = None, half_mean: np.ndarray | None = None,
                       voxel_size: float | None = None, position: tuple[Any, ...] | None = None,
                       progress: Callable[..., Any] | None = None, thread_count: int | None = None,
                       preparation: Preparation | None = None) -> PartsResult:
    """Occupancy of every chain, ligand or other part of an atomic model in a map, with its standard error.

    Parameters
    ----------
    volume : occupy_jit.files.maps.maps.Map or ndarray (z, y, x)
    structure : AtomicModel, str or path-like
        Read by `occupy_jit.read_model`, or the name of its file.
    parts : sequence of str
        ``NAME=CHAIN:FIRST-LAST[,...]``; the rest of the model is divided into chains and ligands.
    reference : sequence of str
        Parts that are fully occupied (default: found from the map).
    residues : bool
        Also every residue.
    b_factors : {"auto", "flat", "model"}
        Whether to use those of the file; auto uses whichever explains more.
    half_maps : pair of arrays or maps (z, y, x), optional
        Half maps of the map. The result then also has the occupancies from each, and the error by noise alone.
    half_difference, half_mean : ndarray (z, y, x), optional
        Half of their difference instead of them, and their mean if that is not the map, as `estimate` takes them.
    voxel_size : float, optional
        In Å; required for an array.
    position : (x, y, z), optional
        Of the first voxel in the frame of the model, Å; for a `Map` by default from its header.
    progress : callable, optional
        Called with a sentence before every step.
    thread_count : int, optional
        Number of threads; by default all that the machine and numba allow. The result does not depend on it.
    preparation : Preparation, optional
        Keeps common results of maps on one grid, for the next map with the same `structure`, which must then be
        an `AtomicModel`. The result does not depend on it.

    Returns
    -------
    PartsResult

    Raises
    ------
    InputError
        The model does not lie in the map, or the half maps do not belong to it.
        The model lacks a named part.
    UsageError
        A part cannot be understood, or the extra is not installed.

    Examples
    --------
    >>> import occupy_jit
    >>> volume = occupy_jit.read_map("map.mrc")                                          # doctest: +SKIP
    >>> found = occupy_jit.occupancy_of_parts(volume, "model.cif", residues=True)        # doctest: +SKIP
    >>> [(part.part, part.occupancy, part.se) for part in found]                         # doctest: +SKIP
    """
    say = progress or (lambda sentence: None)
    if b_factors not in B_FACTORS:
        raise UsageError(f"b_factors {b_factors}: must be one of {', '.join(B_FACTORS)}")
    model = structure if isinstance(structure, AtomicModel) else read_model(structure)
    place = map_of(volume, voxel_size, position)
    with threads(thread_count):
        return _occupancies(place, model, parts, reference, residues, b_factors,
                            (half_maps, half_difference, half_mean), say, preparation or Preparation(keep=False))


def _occupancies(place, model, parts, reference, residues, b_factors, half_maps, say, made):  # noqa: PLR0913 (what `occupancy_of_parts` hands on)
    """The fit, its errors and its table, on the current number of threads."""
    made.begin(model, (tuple(parts), place[0].shape, tuple(np.broadcast_to(place[1], 3).tolist())))
    names, part, wanted = made.once(("selected", tuple(reference)), lambda: select_parts(model, parts, reference))
    halves = coarse_halves(place[0].shape, place[1], *half_maps)
    fitted = fit_map(place, model, part, b_factors, say, halves, made)
    prepared, known, design, state, used, n_pseudo = fitted
    lattice, atoms = prepared.lattice, prepared.atoms
    say("model: errors")
    solution = solve_with_errors(design, lattice, state, known)
    explained = explained_share(solution, model)
    result, reference_value, weights = _result(model, names, part, lattice, known, solution, wanted, design)
    result.explained, result.pseudo_atoms, result.frame = explained, n_pseudo, prepared.frame
    result.b_factors = "model" if used else "flat"
    if halves is not None:
        result.halves = judge_halves(lattice, design, solution, result, weights)
    say("model: ligands")
    fitted = FittedModel(lattice, atoms, atoms.b_of(used), design, solution, made, (used, *prepared.frame.origin))
    add_ligands(result, model, fitted, reference_value, weights)
    if residues:
        say("model: residues")
        found = fit_residues(lattice, atoms, atoms.b_of(used), solution, design, reference_value, model.residues, say)
        _add_residues(result, model, names, found)
    _warn(result, model, prepared)
    return result


def fit_map(place: tuple[Any, ...], model: AtomicModel, part: np.ndarray, b_factors: str = "auto",
            say: Callable[..., Any] = lambda sentence: None, halves: CoarseHalves | None = None,
            made: Preparation | None = None) -> Fitted:
    """Find the model in the map, choose its B factors, find density without atoms, and fit gain and occupancies.

    Parameters
    ----------
    place : tuple
        From `map_of`.
    model : AtomicModel
    part : ndarray (atoms,), int
        Of `model`.
    b_factors : {"auto", "flat", "model"}
    say : callable
        Called with a sentence before every step.
    halves : CoarseHalves, optional
    made : Preparation, optional
        Results kept from an earlier map on the same grid.

    Returns
    -------
    Fitted

    Raises
    ------
    InputError
        The model does not lie in the map, or the half maps do not belong to it.
    """
    made = made or Preparation(keep=False)
    say("model: where it lies in the map")
    prepared, (known, tree, owner) = _best_frame(*place, model, part, made)  # pyright: ignore[reportCallIssue]
    lattice, atoms = prepared.lattice, prepared.atoms
    if halves is not None:
        lattice.noise = noise_of(halves, lattice)
    say("model: parts")
    design, state, used = _choose_b_factors(prepared, known, b_factors, _counted(say, "parts"), made)
    n_pseudo = 0
    if lattice.resolved > 0:
        for _ in range(_PSEUDO_ATOM_ROUNDS):
            say("model: density without atoms")
            design, state, found = _add_pseudo_atoms(design, lattice, state, known, tree, owner, atoms)
            n_pseudo += found
    state = run_turns(design, lattice, state, known, _MOST_TURNS, until=_SETTLED, tell=_counted(say, "occupancies"))
    return Fitted(prepared, known, design, state, used, n_pseudo)


def explained_share(solution: Solution, model: AtomicModel) -> float:
    """Share of the whitened map at the atoms that the solution explains.

    Raises
    ------
    InputError
        The share is so small that the model cannot belong to the map.
    """
    explained = 1 - float(((solution.y - solution.fit) ** 2).mean() / (solution.y**2).mean())
    if explained < _LEAST_EXPLAINED:
        raise InputError(f"{_name(model)}: the model does not lie in the density: it explains {100 * explained:.1f}% "
                         f"of the map at its atoms; {_ADVICE}, and check that it is the model of this map")
    return explained


def _counted(say, what):
    """Progress of `run_turns`."""
    return lambda number, last: say(f"model: {what}, turn {number} of at most {last}")


def map_of(volume: Any, voxel_size: Any, position: Any) -> tuple[Any, ...]:
    """Data, voxel size and possible positions of the first voxel."""
    if isinstance(volume, np.ndarray):
        if voxel_size is None:
            raise UsageError("voxel_size: an array has no voxel size; give it in Å")
        return volume, float(voxel_size), [np.zeros(3) if position is None else np.asarray(position, float)]
    voxel_size = volume.voxel_size if voxel_size is None else float(voxel_size)
    if position is not None:
        return volume.data, voxel_size, [np.asarray(position, float)]
    header = volume.header
    frames = [np.array(position_of(header, volume.axis_order, voxel_size), float),
              np.array(grid_start(header, volume.axis_order, voxel_size), float)]
    return volume.data, voxel_size, frames[:1] if np.allclose(*frames) else frames


class _Lying(NamedTuple):
    """A model placed in maps on one grid."""

    atoms: Atoms
    registration: registration.Registration


def _lying(model, part, origin, shape, spacing, detail):  # noqa: PLR0913 (the model, and the grid it lies in)
    """The model with the first voxel at `origin`; None where most of it lies outside."""
    atoms = collect_atoms(model, part, lambda xyz: (xyz - origin)[:, ::-1] / spacing, shape)
    if atoms.n_outside > _MOST_OUTSIDE * len(model) or len(atoms.part) < _FEWEST_ATOMS:
        return None
    return _Lying(atoms, registration.Registration(shape, spacing, atoms.positions, atoms.weights, detail))


def _best_frame(data, voxel_size, frames, model, part, made):  # noqa: PLR0913 (the map, and the model in it)
    """Try the frames that the header allows, and refuse a model that fits none of them."""
    if len(model) < _FEWEST_ATOMS:
        raise InputError(f"{_name(model)}: {len(model)} atoms are too few for a fit; at least {_FEWEST_ATOMS} are "
                         "needed")
    voxel_size = np.broadcast_to(np.asarray(voxel_size, float), 3)
    detail = detail_used(voxel_size)
    coarse, spacing = fourier_crop(np.asarray(data), voxel_size, detail)
    best = None
    for origin in frames:
        lying = made.once(("lying", tuple(origin)),
                          lambda o=origin: _lying(model, part, o, coarse.shape, spacing, detail))
        if lying is None:
            continue
        frame = lying.registration.frame(coarse)
        frame.origin = np.asarray(origin, float)
        if best is None or frame.score_here > best[1].score_here:
            best = (lying, frame)
        if not frame.refused:
            break
    if best is None:
        low, high = model.xyz.min(0), model.xyz.max(0)
        ends = [f"{a:.0f} to {b:.0f}" for a, b in zip(low, high, strict=True)]
        raise InputError(f"{_name(model)}: most of its atoms lie outside the map: they span {', '.join(ends)} Å "
                         f"(x, y, z), the map begins at {', '.join(f'{v:.0f}' for v in frames[0])}; fit the model into "
                         "the map first (ChimeraX: fitmap #2 inMap #1)")
    lying, frame = best
    _refuse_frame(model, frame, detail, voxel_size)
    uncovered = lying.registration.uncovered_share(coarse)
    name = ("grid", tuple(frame.origin))
    kept = name in made
    lattice, atoms, described = made.once(name, lambda: _grid_about(lying.atoms, coarse, spacing, detail,
                                                                    int(part.max()) + 1))
    if kept:
        lattice = lattice.holding(coarse)
    return _Prepared(lattice, atoms, frame, uncovered, voxel_size), described


def _grid_about(atoms, coarse, spacing, detail, n_parts):
    """The grid of the fit, the atoms on it, and the known properties of the parts."""
    lattice = make_lattice(coarse, spacing, atoms.positions, detail)
    atoms = replace(atoms, positions=atoms.positions - lattice.corner, absent=atoms.absent - lattice.corner)
    described = describe_parts(atoms, lattice.spacing, n_parts)
    share_b_factors(atoms, lattice.spacing, described[0], described[1])
    return lattice, atoms, described


def _refuse_frame(model, frame, detail, voxel_size):
    """Refuse a model that lies elsewhere, or nowhere, in the map."""
    if (frame.refused or frame.too_far(detail)) and frame.voxel_factor != 1:
        raise InputError(f"{_name(model)}: the model does not lie in the density: {_other_size(frame, voxel_size)}")
    if frame.refused:
        where = "no shift helps: check that molecule, hand and orientation are right"
        if frame.best_score > 12 and np.linalg.norm(frame.shift) > detail:
            where = "it would fit after a shift by " + ", ".join(f"{v:.1f}" for v in frame.shift) + " Å (x, y, z)"
        raise InputError(f"{_name(model)}: the model does not lie in the density (score {frame.score_here:.1f}, "
                         f"elsewhere up to {frame.score_elsewhere:.1f}); {where}; {_ADVICE}")
    if frame.too_far(detail):
        times = f"{frame.gain:.1f} times" if frame.gain < _MOST_TOLD else f"more than {_MOST_TOLD} times"
        how = "lies turned in the density" if frame.rotation > _SOME_TURN else "lies beside its density"
        raise InputError(f"{_name(model)}: {how}: a rotation by {frame.rotation:.1f} degrees and a shift, which move "
                         f"its atoms by {frame.displacement:.1f} Å, give it {times} the density; {_ADVICE}")


def _other_size(frame, voxel_size):
    """Message for a model that fits another voxel size."""
    used = float(np.mean(voxel_size))
    likely = f"{used * frame.voxel_factor:.3g}"
    return (f"voxels seem to be {likely} Å, not {used:.4g} Å, by the size of the model: use --voxel-size {likely} "
            "if that is right")


def _choose_b_factors(prepared, known, b_factors, tell, made):
    """Run a few turns without and with the B factors of the file, and continue with the better."""
    lattice, atoms = prepared.lattice, prepared.atoms
    choices = {"auto": (False, True), "flat": (False,), "model": (True,)}[b_factors]
    if np.ptp(atoms.b_factor) < 1:
        choices = (False,)
    tried = []
    for use in choices:
        design = made.once(("columns", use, tuple(prepared.frame.origin)),
                           lambda u=use: Design(lattice, atoms.positions, atoms.weights, atoms.types, atoms.b_of(u),
                                                atoms.part, np.arange(len(known)), atoms.kinds, boxes=len(known)))
        state = run_turns(design, lattice, first_state(design, lattice, len(known)), known, _TRIAL_TURNS,
                          tell=tell)
        tried.append((state.unexplained, use, design, state))
    _, use, design, state = min(tried, key=lambda trial: trial[0])
    return design, state, use


def _add_pseudo_atoms(design, lattice, state, known, tree, owner, atoms):
    """Columns for density without model; returns design, state and the number of new pseudo-atoms."""
    residual = unmodelled_density.residual_map(design, lattice, state)
    distance = unmodelled_density.distance_to_columns(design, lattice)
    voxels, amplitude = unmodelled_density.find_pseudo_atoms(residual, lattice, state, distance, atoms)
    if not len(voxels):
        return design, state, 0
    near = owner[tree.query(voxels * lattice.spacing)[1]]
    group = unmodelled_density.groups_of((voxels + lattice.corner) * lattice.spacing, near, lattice.detail)
    first = np.unique(group, return_index=True)[1]
    design = design.with_carbons(voxels.astype(float), amplitude, group, near[first])
    state = replace(state, occupancy=np.concatenate([state.occupancy, np.ones(len(first))]))
    return design, run_turns(design, lattice, state, known, _GROUP_TURNS), len(voxels)


def _result(model, names, part, lattice, known, solution, wanted, design):  # noqa: PLR0913 (the fit, and what it is told about)
    """Occupancies relative to full scale, full scale itself, and the weights of the parts in it."""
    n = len(names)
    occupancy, covariance = solution.occupancy[:n], solution.covariance[:n, :n]
    if wanted is None:
        full, weights = full_group(occupancy, np.sqrt(np.diag(covariance)), known.size)
    else:
        full = np.isin(np.arange(n), wanted)
        weights = full * known.size
        if not weights.sum() > 0 or not weights @ occupancy > 0:
            raise InputError(f"{_name(model)}: the parts named with --reference-part have no density in this map; "
                             "name other parts, or leave it out")
        weights = weights / weights.sum()
    relative, spread, value = relative_to_full(occupancy, covariance, weights)
    of_ice = solution.of_ice / value - relative * float(weights @ solution.of_ice) / value
    zero = float(weights @ solution.offset)
    se = standard_errors(relative, spread, solution.offset, zero, of_ice)
    gain = solution.state.gain[np.flatnonzero(lattice.band > 0.3)[0]]
    return PartsResult(names, known.size.round().astype(int), relative, se, solution.offset - zero,
                       np.sqrt(np.diag(solution.covariance))[n:2 * n], correlations(design.pattern, solution.y,
                                                                                     solution.fit)[:n],
                       full, spread, 0.0, 0, "", lattice.detail, float(gain * value), None, model=model,
                       part_of_atom=part, evidence=_evidence(solution, lattice, n, value)), value, weights


def _evidence(solution, lattice, n, value):
    """Data for comparisons with other maps, at a full scale of 1."""
    grid = (lattice.data.shape, tuple(map(int, lattice.corner)), lattice.n_fit,
            tuple(round(float(step), 6) for step in lattice.spacing))
    return Evidence(solution.covariance[:n, :n] / value**2, solution.step.covariance[:n, :n] / value**2,
                    (solution.influence / value).astype(np.float32), (solution.y - solution.fit).astype(np.float32),
                    solution.of_ice / value, grid)


def _add_residues(result, model, names, found):
    result.residue_of_table = found.index
    for i, k in enumerate(found.index):
        r = model.residues[k]
        result.residues.append(ResidueOccupancy(r.chain, r.name, r.number, names[found.part[i]],
                                                float(found.occupancy[i]), float(found.se[i]), float(found.cc[i])))


def _warn(result, model, prepared):  # noqa: C901 (a sentence for each thing that may be odd)
    """Add warnings for the user."""
    say = result.warnings.append
    result.warnings.extend(model.remarks)
    atoms = prepared.atoms
    if atoms.n_outside:
        say("1 atom of the model lies outside the map and is left out" if atoms.n_outside == 1 else
            f"{atoms.n_outside} atoms of the model lie outside the map and are left out")
    if result.explained < _LITTLE_EXPLAINED:
        say(f"the model explains only {100 * result.explained:.0f}% of the map at its atoms; check the fit")
    shift = float(np.linalg.norm(prepared.frame.shift))
    if prepared.frame.voxel_factor != 1:
        say(f"the model fits badly: {_other_size(prepared.frame, prepared.voxel_size)}")
    elif shift > 1.5 * float(prepared.lattice.spacing.max()):
        say("the model fits better after a shift by " + ", ".join(f"{v:.1f}" for v in prepared.frame.shift)
            + " Å (x, y, z)")
    elif prepared.frame.rotated:
        say(f"the model fits better after a rotation by {prepared.frame.rotation:.1f} degrees, which moves its atoms "
            f"by {prepared.frame.displacement:.1f} Å (rms); {_ADVICE}")
    if prepared.uncovered > _MUCH_UNCOVERED:
        copies = max(model.assemblies.values(), default=1)
        help_ = f"; --assembly makes up to {copies} copies of it" if copies > 1 and model.copies == 1 else ""
        say(f"{100 * prepared.uncovered:.0f}% of the density has no model: for a symmetric map give all "
            f"subunits{help_}")
    if result.full.sum() == 1 and len(result) > 1:
        say(f"{result.names[int(np.argmax(result.full))]} alone defines full scale")
    absent = [name for name, size in zip(result.names, result.atoms, strict=True) if not size]
    if absent:
        say(f"outside the map, so without an occupancy: {', '.join(absent[:10])}")
    for name, se, cc in zip(result.names, result.se, result.cc, strict=True):
        if name not in absent and se > 0.25:
            say(f"{name} is not determined (standard error {se:.2f})")
        elif name not in absent and cc < 0.2:
            say(f"the density does not resemble {name} (correlation {cc:.2f}): the part is absent or misplaced")
    if result.halves is not None and result.halves.disagreement > result.halves.most:
        say(f"the half maps differ by {result.halves.disagreement:.1f} standard errors of the parts, where noise "
            "alone gives less than 1: they are not independent, or the errors are underestimated")
    if result.pseudo_atoms > 0.1 * len(atoms.part):
        say(f"density without model: {result.pseudo_atoms} pseudo-atoms were needed beside {len(atoms.part)} atoms")
    if prepared.lattice.resolved == 0:
        say(f"at a detail of {prepared.lattice.detail:.0f} Å flexibility cannot be separated from occupancy: dB is "
            "fixed at 0")
