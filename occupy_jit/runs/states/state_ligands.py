"""Ligands of the model in the mean map of every state, which averages over the noise of volumes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from occupy_jit.errors import InputError

if TYPE_CHECKING:
    import numpy as np

    from occupy_jit.reports.runlog import RunLog
    from occupy_jit.runs.states.findings import Findings
    from occupy_jit.settings import Options

NAME = "states_ligands.csv"


class LigandsOfStates:
    """Analyses the ligands in one mean map after the other.

    Parameters
    ----------
    found : occupy_jit.runs.states.findings.Findings
    options : occupy_jit.settings.Options

    Attributes
    ----------
    rows : list of dict
        Rows of the table: state, and the columns of the table of ligands of one map.
    """

    def __init__(self, found: Findings, options: Options) -> None:
        from occupy_jit.estimation.parts.preparation import Preparation
        from occupy_jit.files.maps.reading import read_map

        self.rows: list[dict[str, Any]] = []
        self._result, self._options = found.result, options
        self._place = read_map(found.volumes.paths[0], options.voxel_size)
        self._kept = Preparation()

    def add(self, mean: np.ndarray, state: int, log: RunLog) -> None:
        """Analyse a state, from 0, on the scale of the states, where 1 is the mean of the parts common to all."""
        from occupy_jit.estimation.parts.fit import occupancy_of_parts
        from occupy_jit.reports.ligand_files import table_rows
        from occupy_jit.runs.plan.model_read import parts_of

        options, made = self._options, self._result.composition
        self._place.data = mean
        try:
            fitted = occupancy_of_parts(self._place, parts_of(options), parts=options.parts,
                                        reference=options.reference_part, b_factors=options.b_factors,
                                        preparation=self._kept)
        except InputError as error:
            log.warning(f"ligands of state {state + 1} are not examined: {error}")
            return
        # if no part is full in all states, the full parts of this one
        same = self._result.reference if self._result.reference.any() else fitted.full
        factor = float(made.occupancy[state, same].mean() / fitted.occupancy[same].mean())
        rows = []
        for row in fitted.ligands or ():
            cells = row._asdict()
            for name in ("occupancy", "low", "high", "detection_limit", "copies_mean"):
                cells[name] *= factor
            rows.append(cells)
        self.rows += [{"state": state + 1, **row} for row in table_rows(rows)]

    def text(self) -> str:
        """The table."""
        from occupy_jit.reports.ligand_files import table_csv

        return table_csv(self.rows, of="state")


def ligands_wanted(found: Findings, options: Options) -> LigandsOfStates | None:
    """The analysis of ligands; None without ligands or maps."""
    from occupy_jit.runs.plan.model_read import has_ligands

    if options.model is None or not found.scales or not has_ligands(options):
        return None
    return LigandsOfStates(found, options)
