"""From occupancies of parts in many volumes to states: the steps in order, and their result."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from occupy_jit.errors import InputError, UsageError
from occupy_jit.estimation.states.common_scale import to_common_scale
from occupy_jit.estimation.states.composition import Composition, compose
from occupy_jit.estimation.states.continuum import Continuum, compare_with_continuum
from occupy_jit.estimation.states.groups import WITHIN, Partition, find_states, merge
from occupy_jit.estimation.states.order import StateGraph, relations, state_graph

if TYPE_CHECKING:
    from occupy_jit.estimation.states.prepared_fit import PreparedFit

FEWEST_VOLUMES = 3


@dataclass
class Ensemble:
    """Occupancies of the same parts in many volumes, as fitted.

    Attributes
    ----------
    volumes, parts : list of str
    atoms : ndarray (parts,)
    raw, deviation : ndarray (volumes, parts)
        On each volume's own scale, and the standard errors by noise.
    correlation : ndarray (parts, parts)
        Of the noise, averaged over volumes.
    se_model : ndarray (parts,)
        Errors of occupancies by errors of the model, the same in all volumes.
    """

    volumes: list
    parts: list
    atoms: np.ndarray
    raw: np.ndarray
    deviation: np.ndarray
    correlation: np.ndarray
    se_model: np.ndarray

    @classmethod
    def of_fits(cls, volumes: list[str], parts: list[str], fits: Sequence[tuple[Any, ...]], prepared: PreparedFit
               ) -> Any:
        """From the fits of all volumes.

        Parameters
        ----------
        volumes, parts : list of str
        fits : sequence of (raw, deviation)
        prepared : occupy_jit.estimation.states.prepared_fit.PreparedFit
        """
        raw, deviation = (np.array([fit[i] for fit in fits], float) for i in (0, 1))
        return cls(list(volumes), list(parts), prepared.size, raw, deviation, prepared.correlation, prepared.se_model)


@dataclass
class StatesResult:
    """States of many volumes of one complex.

    Attributes
    ----------
    volumes, parts : list of str
    atoms : ndarray (parts,)
    occupancy, se, se_noise : ndarray (volumes, parts), float64
        On one scale; total standard errors, and those by noise for comparisons between volumes, because errors of the
        model are the same in all volumes.
    full : ndarray (volumes,), float64
        Grey scale of each volume: ratio of 1 in its fit to 1 here.
    reference : ndarray (parts,), bool
        Parts that are fully occupied in all volumes; their mean is 1.
    partition : Partition
    composition : Composition
    relations : list of occupy_jit.estimation.states.order.Relation
    graph : StateGraph
    continuum : Continuum or None
        The comparison with a continuum; its ``preferred`` is True if volumes vary continuously.
    part_tree : list
        Merges of parts by their occupancies over the volumes, as ``partition.tree``.
    warnings : list of str
    blocks : occupy_jit.estimation.states.blocks.Blocks or None
        Without a model.
    """

    volumes: list
    parts: list
    atoms: np.ndarray
    occupancy: np.ndarray
    se: np.ndarray
    se_noise: np.ndarray
    full: np.ndarray
    reference: np.ndarray
    partition: Partition
    composition: Composition
    relations: list
    graph: StateGraph
    continuum: Continuum | None
    part_tree: list
    warnings: list = field(default_factory=list)
    blocks: object = None

    @property
    def state(self) -> np.ndarray:
        """ndarray (volumes,), int : State of every volume, from 1."""
        return self.partition.label + 1

    @property
    def n_states(self) -> int:
        """int : Number of states."""
        return self.partition.n_states

    @property
    def is_continuous(self) -> bool:
        """bool : Whether volumes vary continuously, so that the states are only neighbourhoods."""
        return self.continuum is not None and self.continuum.preferred

    def __len__(self) -> int:
        return len(self.volumes)

    def __iter__(self) -> Iterator[Any]:
        """Rows of the table of states and parts, for example for pandas."""
        made = self.composition
        for s in range(self.n_states):
            for p, part in enumerate(self.parts):
                yield {"state": s + 1, "part": part, "occupancy": float(made.occupancy[s, p]),
                       "se": float(made.se[s, p]), "call": str(made.call[s, p])}


def analyse(ensemble: Ensemble, number: int | None = None, particles: np.ndarray | None = None,
            reference: Sequence[int] | None = None) -> StatesResult:
    """States of volumes from fitted parts.

    Parameters
    ----------
    ensemble : Ensemble
    number : int, optional
        Number of states; found if not given.
    particles : ndarray (volumes,), optional
        Number of particles behind each volume.
    reference : sequence of int, optional
        Parts that are fully occupied in all volumes; found if not given.

    Returns
    -------
    StatesResult

    Raises
    ------
    InputError
        Fewer than three volumes.
    """
    n = len(ensemble.volumes)
    if n < FEWEST_VOLUMES:
        raise InputError(f"states need at least {FEWEST_VOLUMES} volumes; there {'is' if n == 1 else 'are'} {n}")
    if number is not None and number > n:
        raise UsageError(f"{number} states of {n} volumes: give a smaller number, or more volumes")
    scale = to_common_scale(ensemble.raw, ensemble.deviation, ensemble.correlation, ensemble.atoms, reference)
    partition = find_states(scale.occupancy, scale.noise, number)
    continuum = compare_with_continuum(scale.occupancy, scale.noise, partition.label)
    if continuum is not None and continuum.preferred:
        # the remaining scatter is then not noise
        partition = find_states(scale.occupancy, scale.noise, number, adapt=False)
    if particles is not None:
        partition = partition.by_share(particles)
    composition = compose(scale.occupancy, scale.noise, ensemble.se_model, partition, particles)
    # Residuals contain noise and errors of the model. If volumes agree better than expected, the rest is due to the
    # model.
    se_noise = scale.noise * partition.growth
    known = np.isfinite(scale.occupancy)
    weights = known / (np.where(known, se_noise, 1) ** 2 + WITHIN**2)
    part_tree = merge(np.where(known, scale.occupancy, 0).T, weights.T, number=1)[1]
    se = np.hypot(np.maximum(se_noise, scale.noise), ensemble.se_model)
    result = StatesResult(ensemble.volumes, ensemble.parts, ensemble.atoms, scale.occupancy, se, se_noise, scale.full,
                          scale.weights > 0, partition, composition, relations(ensemble.parts, composition),
                          state_graph(ensemble.parts, composition), continuum, part_tree)
    _warn(result)
    return result


def _warn(result):
    """Add warnings for the user."""
    say = result.warnings.append
    if not result.reference.any():
        say("no part is full in nearly all volumes: occupancy 1 is the fullest part of each volume; if all volumes "
            "contain some part, name it as the reference")
    growth = float(np.median(result.partition.growth))
    if growth > 1.5 and not result.is_continuous:
        say(f"volumes of one state differ {growth:.1f} times as much as noise explains; the errors are enlarged "
            "accordingly")
    loose = np.flatnonzero(np.median(result.se, axis=0) > 0.25)
    if len(loose):
        say(f"{len(loose)} parts are not determined (standard error above 0.25): "
            + ", ".join(result.parts[p] for p in loose[:10]))


__all__ = ["FEWEST_VOLUMES", "Ensemble", "StatesResult", "analyse"]
