"""Composition of states: occupancy of every part with its error and call, and the number of particles."""

from __future__ import annotations

from dataclasses import dataclass
from math import erf, sqrt
from typing import TYPE_CHECKING, Any

import numpy as np

from occupy_jit.estimation.states.groups import WITHIN, group_means

if TYPE_CHECKING:
    from occupy_jit.estimation.states.groups import Partition

PRESENT, ABSENT, UNDECIDED = "present", "absent", "undecided"
THRESHOLD = 0.5
"""Occupancy above which a part is present."""
_SURE = 0.975


@dataclass
class Composition:
    """States with their compositions.

    Attributes
    ----------
    occupancy, se : ndarray (states, parts), float64
        Mean over the volumes of the state; the error includes noise, which averages out, and errors of the model.
    se_noise : ndarray (states, parts), float64
        By noise alone: for comparisons between states.
    above : ndarray (states, parts), float64
        Probability that the occupancy is above `THRESHOLD`.
    call : ndarray (states, parts), str
        present, absent or undecided.
    volumes : ndarray (states,), int
    particles : ndarray (states,), float64
        Each volume without a known number counts 1.
    share, se_share : ndarray (states,), float64
        Of the particles. The error includes those of the division into states and of counting.
    """

    occupancy: np.ndarray
    se: np.ndarray
    se_noise: np.ndarray
    above: np.ndarray
    call: np.ndarray
    volumes: np.ndarray
    particles: np.ndarray
    share: np.ndarray
    se_share: np.ndarray


def compose(occupancy: np.ndarray, noise: np.ndarray, se_model: np.ndarray | tuple[Any, ...], partition: Partition,
            particles: np.ndarray | None = None) -> Composition:
    """Compute the composition of every state.

    Parameters
    ----------
    occupancy, noise : ndarray (volumes, parts)
        And the standard errors by noise; NaN if unknown.
    se_model : ndarray (parts,) or (states, parts)
        Errors of the occupancies by errors of the model, the same in all volumes.
    partition : occupy_jit.estimation.states.groups.Partition
    particles : ndarray (volumes,), optional
        Number of particles behind each volume.

    Returns
    -------
    Composition
    """
    known = np.isfinite(occupancy) & np.isfinite(noise)
    values, variance = np.where(known, occupancy, 0), np.where(known, (noise * partition.growth) ** 2, 1.0)
    weights = known / (variance + WITHIN**2)
    mean, total = group_means(values, weights, partition.label)
    of_noise = np.zeros_like(total)
    np.add.at(of_noise, partition.label, weights**2 * variance)
    with np.errstate(invalid="ignore", divide="ignore"):
        se_noise = np.sqrt(of_noise) / total
    mean = np.where(total > 0, mean, np.nan)
    se = np.hypot(se_noise, se_model)
    above = np.vectorize(_normal, otypes=[float])((mean - THRESHOLD) / se)
    call = np.where(above > _SURE, PRESENT, np.where(above < 1 - _SURE, ABSENT, UNDECIDED))
    counts = np.ones(len(values)) if particles is None else np.asarray(particles, float)
    share, se_share = _shares(partition, counts)
    of_state = np.bincount(partition.label, counts, partition.n_states)
    return Composition(mean, se, se_noise, above, call, np.bincount(partition.label), of_state, share, se_share)


def _normal(z):
    """Normal distribution function; 1/2 if nothing is known."""
    return 0.5 if z != z else 0.5 * (1 + erf(z / sqrt(2)))


def _shares(partition, counts):
    """Share of the particles in every state, with its error.

    Uncertain volumes add p (1 - p) n^2 each. The volumes are themselves a sample: for other volumes from
    the same particles, the shares would scatter as in a multinomial distribution with the effective number of
    volumes, (sum n)^2 / sum n^2.
    """
    total = counts.sum()
    share = np.bincount(partition.label, counts, partition.n_states) / total
    doubt = (partition.probability * (1 - partition.probability) * counts[:, None] ** 2).sum(0) / total**2
    draws = total**2 / (counts**2).sum()
    return share, np.sqrt(doubt + share * (1 - share) / draws)
