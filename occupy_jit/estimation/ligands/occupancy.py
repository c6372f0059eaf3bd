"""Single ligands: occupancy, interval, and whether the ligand is present."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from occupy_jit.estimation.ligands.columns import Surroundings
from occupy_jit.estimation.ligands.copies import compare_copies
from occupy_jit.estimation.ligands.likelihood import B_MEAN, B_NODES, Weighting, posterior
from occupy_jit.estimation.ligands.place import look_around

if TYPE_CHECKING:
    from occupy_jit.estimation.ligands.columns import FittedModel
    from occupy_jit.estimation.ligands.sites import Site

PRESENT, ABSENT, CANNOT_TELL = "present", "absent", "cannot tell"
_SURE = 3.2
"""Standard errors above 0: for 2 to 5 of 1000 absent ligands the best B factor exceeds it."""
_SURE_MOVED = 4.0  # the same for the best position within reach
_POWER = 1.645  # standard errors: 95% of normal deviates are above -1.645
_LEAST_RAW = 0.2
"""Density above solvent, without subtraction, as a share of that predicted by the occupancy. For present ligands it
is at least 0.27 (in simulated maps of 2 to 4 Å). Where the map was set to 0 it is close to 0; neighbours make the fit
expect less than 0 there, so that a ligand seems to be present."""
_ABSENT_BELOW = 0.25
"""A ligand is called absent if its interval ends below this occupancy."""
_OF_METHOD = 0.03
"""Of the occupancy: uncertainty of form factors, displaced ice and the gain."""
_TOLD_B = (-15.0, 125.0)  # Å^2 relative to the surroundings: range of the search for B factors


class LigandOccupancy(NamedTuple):
    """One row of the table; its fields are described in the manual, "Ligands"."""

    part: str
    atoms: int
    occupancy: float
    low: float
    high: float
    call: str
    detection_limit: float
    dB: float  # noqa: N815, what the field calls it
    displaced_angstrom: float
    relative_to_chain: float
    relative_low: float
    relative_high: float
    chain: str
    cc: float
    cc_low: float
    cc_high: float
    copies: str
    copies_mean: float
    differs: bool
    remark: str


@dataclass
class Ligands:
    """All ligands of a model in one map. Iterating over it gives the rows, for example for pandas.

    Attributes
    ----------
    rows : list of LigandOccupancy
    copies : list of occupy_jit.estimation.ligands.copies.Copies
        Ligands with several copies.
    shifts : ndarray (ligands, 3)
        Shift to the best fit, along x, y, z in Å; 0 for ligands that fit as they are, or are absent.
    residues : list of ndarray
        Residues of each ligand in the model.
    part : ndarray (ligands,), int
        Part as which it was fitted; -1 inside a chain.
    b_factor, se_b_factor : ndarray (ligands,)
        B factor relative to that of the full parts, Å^2; the table has it for present ligands only.
    """

    rows: list
    copies: list = field(default_factory=list)
    shifts: np.ndarray | None = None
    residues: list = field(default_factory=list)
    part: np.ndarray | None = None
    b_factor: np.ndarray | None = None
    se_b_factor: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[Any]:
        return iter(self.rows)


class Scale(NamedTuple):
    """Reference of the occupancies.

    Attributes
    ----------
    full : float
        In units of the columns.
    full_se : float
        As a share of it.
    zero : float
        Offset of the full parts, Å^2.
    occupancy, se : ndarray (parts,)
        Of all parts, relative to full scale.
    """

    full: float
    full_se: float
    zero: float
    occupancy: np.ndarray
    se: np.ndarray


class _Found(NamedTuple):
    """Result for one ligand."""

    posterior: Any
    score: float
    limit: float
    place: Any
    fit: Any
    empty: bool


def occupancy_of_ligands(fitted: FittedModel, sites: list[Site], names: list[str], scale: Scale) -> Ligands:
    """Occupancy of every ligand with a 95% interval, and whether it is present.

    Parameters
    ----------
    fitted : occupy_jit.estimation.ligands.columns.FittedModel
    sites : list of occupy_jit.estimation.ligands.sites.Site
        At least one.
    names : list of str
        Of the parts.
    scale : Scale

    Returns
    -------
    Ligands
    """
    from concurrent.futures import ThreadPoolExecutor

    from occupy_jit.estimation.threads import threads_allowed

    surroundings = Surroundings(fitted, sites)
    offset = fitted.solution.offset

    def look(site):
        return _look_at(surroundings, site, sites[site].parent, scale, fitted)

    with ThreadPoolExecutor(threads_allowed()) as pool:
        found = list(pool.map(look, range(len(sites))))
    rows = [_row(site, one, names, scale, offset) for site, one in zip(sites, found, strict=True)]
    copies, rows = compare_copies(rows, [site.kind for site in sites])
    own = np.array([site.part if site.name == names[site.part] else -1 for site in sites])
    shifts = np.array([one.place.shift[::-1] if one.place.moved else np.zeros(3) for one in found])
    return Ligands(rows, copies, shifts, [site.residues for site in sites], own,
                   np.array([_b_factor(site, one, scale, offset) for site, one in zip(sites, found, strict=True)]),
                   np.array([one.posterior.b_spread for one in found]))


def _b_factor(site, found, scale, offset):
    return float(offset[site.parent]) - scale.zero + found.posterior.b_factor


def _look_at(surroundings, site, parent, scale, fitted):
    """Result for one site."""
    offset, resolved = float(fitted.solution.offset[parent]), fitted.lattice.resolved
    box, data = surroundings.ligand(site), surroundings.density(site)
    noise = surroundings.noise(site, box, offset + B_MEAN * resolved)
    weighting = Weighting(surroundings.beside(site), noise)
    place = look_around(box, data, weighting, offset)
    products = [weighting.products(data, box.columns(offset + b, place.used)) for b in B_NODES]
    told = posterior(products, scale.full, resolved)
    considered = [one for one, b in zip(products, B_NODES, strict=True) if _TOLD_B[0] <= b <= _TOLD_B[1]]
    score = max(one.score for one in considered)
    sure = _SURE_MOVED if place.moved else _SURE
    b = told.b_factor if score > sure else B_MEAN * resolved
    own = float(np.interp(b, B_NODES, [one.own for one in products]))
    limit = (_SURE + _POWER) / float(np.sqrt(max(own, 1e-30))) / scale.full
    return _Found(told, score - sure, limit, place,
                  place.resemblance(box, data, weighting, offset + told.b_factor, told.occupancy * scale.full),
                  surroundings.raw(site) * scale.occupancy[parent] < _LEAST_RAW * told.occupancy)


def _row(site, found, names, scale, offset):
    told = found.posterior
    low, high = _widened(told, np.hypot(_OF_METHOD, scale.full_se))
    beside = float(scale.occupancy[site.parent])
    relative = [float("nan")] * 3
    if beside > max(0.1, 3 * scale.se[site.parent]):
        ends = _widened(told, np.hypot(_OF_METHOD, scale.se[site.parent] / beside))
        relative = [value / beside for value in (told.occupancy, *ends)]
    present = found.score > 0 and not found.empty
    if found.score > 0 and found.empty:
        low = min(low, 0.0)
    call = PRESENT if present else ABSENT if low <= 0 and high < _ABSENT_BELOW else CANNOT_TELL
    if call == CANNOT_TELL and found.limit < 1:
        call = f"{CANNOT_TELL} below {found.limit:.2f}"
    cc, cc_low, cc_high = found.fit
    displaced = float(np.linalg.norm(found.place.shift)) if present else float("nan")
    d_b = _b_factor(site, found, scale, offset) if present else float("nan")
    return LigandOccupancy(site.name, len(site.atoms), told.occupancy, low, high, call, found.limit, d_b, displaced,
                           *relative, names[site.parent], cc, cc_low, cc_high, site.kind, float("nan"), False,  # pyright: ignore[reportCallIssue]
                           _remark(found, present))  # pyright: ignore[reportCallIssue]


def _widened(told, share):
    """Ends of the interval with relative errors of full scale and of the method."""
    more = 1.96 * share * abs(told.occupancy)
    return (told.occupancy - float(np.hypot(told.occupancy - told.low, more)),
            told.occupancy + float(np.hypot(told.high - told.occupancy, more)))


def _remark(found, present):
    """Remark on a site."""
    said = []
    if present and found.place.moved:
        said.append(f"fits better displaced by {np.linalg.norm(found.place.shift):.1f} Å")
    cc, cc_low, _ = found.fit
    if present and cc < cc_low:
        said.append("there is density, but it does not resemble this ligand")
    if found.empty and found.score > 0:
        said.append("the map is at the level of solvent here")
    if not present and found.posterior.high < 0:
        said.append("the map is lower here than solvent")
    return "; ".join(said)
