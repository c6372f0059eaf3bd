"""The ligands of a model in a run on one map: log and files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from occupy_jit import __version__
from occupy_jit.runs.one_map.grid_shown import shown_grid
from occupy_jit.runs.plan.output_kinds import Role

if TYPE_CHECKING:
    from occupy_jit.estimation.parts.result import PartsResult
    from occupy_jit.files.output.transaction import Outputs
    from occupy_jit.reports.runlog import RunLog
    from occupy_jit.runs.plan.plan import Plan


def results(fitted: PartsResult) -> dict[str, list[dict[str, Any]]]:
    """Entries on ligands in the record; empty without ligands."""
    if fitted.ligands is None:
        return {}
    from occupy_jit.reports.ligand_files import table_rows

    found = fitted.ligands
    rows = table_rows([row._asdict() for row in found])
    for row, shift in zip(rows, found.shifts, strict=True):
        row["shift_xyz_angstrom"] = [round(float(value), 2) for value in shift]
    names = [row["part"] for row in rows]
    copies = [{"ligand": one.ligand, "sites": [names[i] for i in one.sites], "occupancy": round(one.occupancy, 4),
               "se": round(one.se, 4), "p_equal": float(f"{one.p:.3g}"), "equal": one.equal,
               "differing": [names[i] for i in one.differing], "filled": round(one.filled, 3)}
              for one in found.copies]
    return {"ligands": rows, "ligand_copies": copies}


def write(plan: Plan, fitted: PartsResult, level: float, outputs: Outputs, log: RunLog) -> None:
    """Write the planned files on ligands; `level` is the surface level in ChimeraX."""
    path = plan.path_of(Role.LIGANDS_TABLE)
    if path is None:
        return
    from occupy_jit.reports import ligand_files as reports

    found = fitted.ligands
    rows = [] if found is None else reports.table_rows([row._asdict() for row in found])
    residues = [] if found is None else [[(fitted.model.residues[r].chain, fitted.model.residues[r].number)
                                          for r in own] for own in found.residues]
    of_class = plan.label is not None
    with log.timed("write"):
        with outputs.open(path, "w") as file:
            file.write(reports.table_csv([{"class": plan.label, **row} for row in rows] if of_class else rows,
                                         "class" if of_class else None))
        with outputs.open(plan.path_of(Role.LIGANDS_ATTRIBUTES), "w") as file:
            file.write(reports.attributes(rows, residues))
    path = plan.path_of(Role.LIGANDS_SCRIPT)
    if path is not None:
        with log.timed("write"), outputs.open(path, "w") as file:
            file.write(_script(plan, rows, residues, level))


def _script(plan, rows, residues, level):
    from occupy_jit.reports.ligand_files import script

    copy = plan.path_of(Role.PLAIN_COPY)
    return script(plan.names.stem, plan.path if copy is None else copy, plan.path_of(Role.MODEL), rows, residues,
                  directory=plan.names.directory, level=level, version=__version__, grid=shown_grid(plan.header))
