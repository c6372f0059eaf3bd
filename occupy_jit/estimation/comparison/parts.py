"""The parts of one model in several maps, mostly classes: occupancies on one scale and the significance of differences.

Errors of the model are the same in all maps: they affect occupancies, but hardly differences. The contribution of the
residual in each block of space to an occupancy is therefore kept for each map and subtracted between maps block by
block: shared errors cancel, noise does not.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from occupy_jit.estimation.comparison.multiple_testing import LEVEL, holm, two_sided
from occupy_jit.estimation.parts.errors import difference_error, relative_to_full, standard_errors

if TYPE_CHECKING:
    from occupy_jit.estimation.parts.result import PartsResult

_TOLERANCE = 0.07
_REFERENCE_SPREAD = 0.03


class PartInClass(NamedTuple):
    """One part in one class."""

    map: str
    part: str
    atoms: int
    occupancy: float
    se: float
    dB: float  # noqa: N815, what the field calls it
    se_dB: float  # noqa: N815
    cc: float
    reference: bool


class PartDifference(NamedTuple):
    """One part in two classes."""

    part: str
    more: str
    less: str
    occupancy_more: float
    occupancy_less: float
    difference: float
    se: float
    p: float
    p_corrected: float
    significant: bool


@dataclass
class ClassParts:
    """Occupancies of parts in several maps. Iterating gives one row for each map and part, which pandas takes.

    Attributes
    ----------
    classes, names : list of str
    atoms : ndarray (parts,), int
    occupancy, se : ndarray (classes, parts), float64
        Relative to the reference parts, which are the same in all maps. Not clipped.
    offset, se_offset, cc : ndarray (classes, parts), float64
        As of a `PartsResult`.
    reference : ndarray (parts,), bool
        The parts whose mean is occupancy 1, in all maps.
    differences : list of PartDifference
        Every part in every pair of maps, the most significant first; `more` is the map with the higher occupancy.
    warnings : list of str
    level : float
        Corrected p values below this are significant.
    """

    classes: list
    names: list
    atoms: np.ndarray
    occupancy: np.ndarray
    se: np.ndarray
    offset: np.ndarray
    se_offset: np.ndarray
    cc: np.ndarray
    reference: np.ndarray
    differences: list = field(default_factory=list)
    warnings: list = field(default_factory=list)
    level: float = LEVEL

    def __len__(self) -> int:
        return len(self.classes) * len(self.names)

    def __iter__(self) -> Iterator[Any]:
        for c, label in enumerate(self.classes):
            for k, name in enumerate(self.names):
                yield PartInClass(label, name, int(self.atoms[k]), float(self.occupancy[c, k]), float(self.se[c, k]),
                                  float(self.offset[c, k]), float(self.se_offset[c, k]), float(self.cc[c, k]),
                                  bool(self.reference[k]))

    @property
    def significant(self) -> list[PartDifference]:
        """list of PartDifference : The significant differences."""
        return [row for row in self.differences if row.significant]


def compare_parts(results: Sequence[PartsResult], classes: Sequence[str] | None = None, reference: Sequence[str] = ()
                 ) -> ClassParts:
    """Put the parts of one model in several maps on one scale, and test the differences between the maps.

    Occupancy 1 is the mean of the same parts in all maps: by default the parts that are full in each map and do not
    differ between maps. Each part is compared between all pairs of maps; p values are those of Student's t, corrected
    for all comparisons after Holm.

    Parameters
    ----------
    results : sequence of PartsResult
        Of `occupancy_of_parts`, with the same model, parts and grid; at least two.
    classes : sequence of str, optional
        Names of the maps; 1, 2, ... if not given.
    reference : sequence of str
        Parts that are fully occupied in all maps.

    Returns
    -------
    ClassParts

    Raises
    ------
    ValueError
        Fewer than two maps, different parts, or a reference part that does not exist.

    Examples
    --------
    >>> import occupy_jit
    >>> one, two = (occupy_jit.occupancy_of_parts(occupy_jit.read_map(path), "model.cif")
    ...             for path in ("class1.mrc", "class2.mrc"))                            # doctest: +SKIP
    >>> found = occupy_jit.compare_parts([one, two])                                     # doctest: +SKIP
    >>> [(row.part, row.difference, row.p_corrected) for row in found.significant]       # doctest: +SKIP
    """
    results = list(results)
    if len(results) < 2:
        raise ValueError("at least two maps are needed for a comparison")
    names = list(results[0].names)
    if any(list(result.names) != names for result in results):
        raise ValueError("the maps must have been fitted with the same model and parts")
    classes = [str(i + 1) for i in range(len(results))] if classes is None else [str(label) for label in classes]
    if len(classes) != len(results):
        raise ValueError(f"{len(classes)} names for {len(results)} maps")
    absent = [name for name in reference if name not in names]
    if absent:
        raise ValueError(f"there is no part {absent[0]}")
    warnings = _warnings(results)
    if not reference:
        weights = _common_reference(results, warnings)
        weights = _unchanging(results, weights)
    else:
        weights = np.isin(names, list(reference)) * results[0].atoms.astype(float)
        weights /= weights.sum()
    if np.count_nonzero(weights) == 1 and len(names) > 1:
        warnings.append(f"{names[int(np.argmax(weights))]} alone defines occupancy 1, in every class")
    maps = [_on_one_scale(result, weights) for result in results]
    found = ClassParts(classes, names, results[0].atoms, *(np.array([getattr(m, name) for m in maps]) for name in
                                                            ("occupancy", "se", "offset")),
                       np.array([r.se_offset for r in results]), np.array([r.cc for r in results]), weights > 0,  # pyright: ignore[reportCallIssue]
                       warnings=warnings)
    found.differences = _differences(found, results, weights)
    return found


class _Scaled(NamedTuple):
    """One map on the common scale."""

    occupancy: np.ndarray
    se: np.ndarray
    offset: np.ndarray
    of_ice: np.ndarray


def _on_one_scale(result, weights):
    occupancy, spread, full = relative_to_full(result.occupancy, result.evidence.covariance, weights)
    of_ice = result.evidence.of_ice / full - occupancy * float(weights @ result.evidence.of_ice) / full
    zero = float(weights @ result.offset)
    return _Scaled(occupancy, standard_errors(occupancy, spread, result.offset, zero, of_ice), result.offset - zero,
                   of_ice)


def _common_reference(results, warnings):
    """Weights of the parts that are full in all maps, or else of the fullest common parts."""
    occupancy = np.array([r.occupancy for r in results])
    se = np.array([r.se for r in results])
    there = results[0].atoms > 0
    common = np.all([r.full for r in results], axis=0) & there
    if not common.any():
        sure = np.where(there, (occupancy - 1.5 * se).min(0), -np.inf)
        top = int(np.argmax(sure))
        lowest = occupancy.min(0)
        tolerance = np.maximum(2.5 * np.hypot(se.max(0), se[:, top].max()), _TOLERANCE * lowest[top])
        big = results[0].atoms >= min(0.02 * results[0].atoms.sum(), 0.5 * results[0].atoms.max())
        common = there & big & (se.max(0) <= 0.15) & (lowest > lowest[top] - tolerance)
        common[top] = True
        shown = ", ".join(np.array(results[0].names)[common][:10])
        warnings.append("no part is full in all classes: occupancy 1 is set by the parts that are fullest in all of "
                        f"them, {shown} (as low as {lowest[common].mean():.2f} of the fullest part of a class)")
    weights = common / (np.square(se).mean(0) + _REFERENCE_SPREAD**2)
    return weights / weights.sum()


def _unchanging(results, weights):
    """Leave out reference parts that differ between maps from the others, as long as most of them remain."""
    most = np.count_nonzero(weights)
    while np.count_nonzero(weights) > max(2, most / 2):
        tested = [_test(one, other, weights) for one, other in combinations(results, 2)]
        members = np.flatnonzero(weights)
        p = np.array([test.p[members] for test in tested])
        corrected = holm(p.ravel()).reshape(p.shape).min(0)
        if not corrected.min() < LEVEL:
            break
        # several probabilities may underflow: leave out the part farthest from the others
        farthest = np.max([np.abs(test.z[members]) for test in tested], axis=0)
        worst = members[np.argmax(np.where(corrected < LEVEL, farthest, -1))]
        weights = np.where(np.arange(len(weights)) == worst, 0.0, weights)
        weights = weights / weights.sum()
    return weights


class _Test(NamedTuple):
    """All parts in two maps, each (parts,)."""

    difference: np.ndarray
    se: np.ndarray
    z: np.ndarray
    p: np.ndarray


def _test(one, other, weights):
    """Differences of all parts between two maps, with their significance."""
    scaled = [_on_one_scale(result, weights) for result in (one, other)]
    a, b = one.evidence, other.evidence
    together = a.grid == b.grid
    influences, formulas = [], []
    for result in (one, other):
        full = float(weights @ result.occupancy)
        gradient = np.eye(len(weights)) / full - np.outer(result.occupancy / full**2, weights)
        influences.append(result.evidence.influence.astype(np.float64) @ gradient.T)
        formulas.append(np.maximum(np.diag(gradient @ result.evidence.formula @ gradient.T), 0))
    if together:
        shared = float(np.clip(np.corrcoef(a.residual, b.residual)[0, 1], 0, 1))
        blocks = influences[0] - influences[1]
    else:
        shared, blocks = 0.0, np.concatenate(influences)
    squares = np.square(blocks)
    total = squares.sum(0)
    scatter = total * (len(blocks) / max(len(blocks) - 1, 1))
    formula = formulas[0] + formulas[1] - 2 * shared * np.sqrt(formulas[0] * formulas[1])
    # of a sum of squares of n Gaussian numbers 3 (sum x^2)^2 / sum x^4 is n
    freedom = np.where(scatter >= formula, 3 * total**2 / np.maximum(np.square(squares).sum(0), 1e-300), np.inf)
    difference = scaled[0].occupancy - scaled[1].occupancy
    se = difference_error(difference, np.maximum(scatter, formula), [s.offset * s.occupancy for s in scaled],
                          [s.of_ice for s in scaled])
    z = difference / np.maximum(se, 1e-12)
    return _Test(difference, se, z, two_sided(z, np.maximum(freedom, 1)))


def _differences(found, results, weights):
    rows = []
    there = np.flatnonzero(found.atoms > 0)
    for i, j in combinations(range(len(results)), 2):
        test = _test(results[i], results[j], weights)
        for k in there:
            more, less = (i, j) if test.difference[k] >= 0 else (j, i)
            rows.append(PartDifference(found.names[k], found.classes[more], found.classes[less],
                                       float(found.occupancy[more, k]), float(found.occupancy[less, k]),
                                       float(abs(test.difference[k])), float(test.se[k]), float(test.p[k]), 1.0, False))
    corrected = holm([row.p for row in rows])
    rows = [row._replace(p_corrected=float(p), significant=bool(p < LEVEL))
            for row, p in zip(rows, corrected, strict=True)]
    return sorted(rows, key=lambda row: (row.p, -row.difference))


def _warnings(results):
    say = []
    if len({result.b_factors for result in results}) > 1:
        say.append("the B factors of the model improve the fit of some classes but not of others: compare them with "
                   "--b-factors flat or model")
    if len({result.evidence.grid for result in results}) > 1:
        say.append("the classes were fitted on different grids: errors of the model are treated as noise")
    return say


def without_model(result: PartsResult) -> PartsResult:
    """The same result without large arrays that a comparison does not need."""
    return replace(result, model=None, part_of_atom=None, residues=[], residue_of_table=None)
