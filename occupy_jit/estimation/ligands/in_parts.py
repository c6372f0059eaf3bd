"""Ligands among the parts of a model: their analysis, and their rows in the table of parts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from occupy_jit.estimation.ligands.occupancy import Scale, occupancy_of_ligands
from occupy_jit.estimation.ligands.sites import find_sites

if TYPE_CHECKING:
    from occupy_jit.estimation.ligands.columns import FittedModel
    from occupy_jit.estimation.parts.result import PartsResult
    from occupy_jit.files.models.reading import AtomicModel


def add_ligands(result: PartsResult, model: AtomicModel, fitted: FittedModel, full: float, weights: np.ndarray) -> None:
    """Analyse the ligands of a model, and put the results into the table of parts.

    Parameters
    ----------
    result : occupy_jit.estimation.parts.result.PartsResult
        Of all parts; changed in place.
    model : occupy_jit.files.models.reading.AtomicModel
    fitted : occupy_jit.estimation.ligands.columns.FittedModel
    full : float
        Full scale.
    weights : ndarray (parts,)
        Of the parts in full scale.
    """
    sites = fitted.once("ligands", lambda: find_sites(model, result.names, fitted.atoms, fitted.b_factors,
                                                      fitted.lattice.spacing))
    if not sites:
        return
    n = len(result)
    solution = fitted.solution
    spread = float(weights @ solution.covariance[:n, :n] @ weights)
    scale = Scale(full, float(np.sqrt(max(spread, 0))) / full, float(weights @ solution.offset), result.occupancy,
                  result.se)
    result.ligands = found = occupancy_of_ligands(fitted, sites, result.names, scale)
    for i, part in enumerate(found.part):
        if part >= 0 and not result.full[part]:
            _tell_as_part(result, part, found, i)


def _tell_as_part(result, part, found, i):
    """Put a ligand into the table of parts, with the larger error of its occupancy."""
    row = found.rows[i]
    change, se = row.occupancy - result.occupancy[part], (row.high - row.low) / 3.92
    wider = np.ones(len(result))
    wider[part] = se / max(float(np.sqrt(max(result.covariance[part, part], 0))), 1e-9)
    result.occupancy[part], result.se[part] = row.occupancy, se
    result.offset[part], result.se_offset[part] = found.b_factor[i], found.se_b_factor[i]
    both = np.outer(wider, wider)
    result.covariance = result.covariance * both
    evidence = result.evidence
    evidence.covariance, evidence.formula = evidence.covariance * both, evidence.formula * both
    evidence.influence = (evidence.influence * wider).astype(np.float32)
    if result.halves is not None:
        result.halves.occupancy[:, part] += change
