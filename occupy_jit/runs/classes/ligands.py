"""The ligands of a model in all classes, on one scale, and the number of filled sites in each class."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from occupy_jit.runs.plan.output_kinds import Role, output_of

if TYPE_CHECKING:
    from occupy_jit.estimation.comparison.parts import ClassParts
    from occupy_jit.files.output.transaction import Outputs
    from occupy_jit.reports.runlog import RunLog
    from occupy_jit.runs.classes.group import Group
    from occupy_jit.settings import Options


def planned(names: Any, options: Options) -> Any:
    """The table of ligands of all classes, if the model has ligands."""
    from occupy_jit.runs.plan.model_read import has_ligands

    return [output_of(Role.LIGANDS_TABLE, names)] if has_ligands(options) else []


def rows_of(group: Group, found: ClassParts) -> list[dict[str, Any]]:
    """Every ligand in every class, on the scale of the classes.

    Parameters
    ----------
    group : occupy_jit.runs.classes.group.Group
    found : occupy_jit.estimation.comparison.parts.ClassParts

    Returns
    -------
    list of dict
    """
    import numpy as np

    from occupy_jit.reports.ligand_files import table_rows

    rows = []
    part = int(np.argmax(found.reference))
    for entry in group.usable:
        if entry.parts.ligands is None:
            continue
        factor = float(found.occupancy[found.classes.index(entry.label), part] / entry.parts.occupancy[part])
        for row in entry.parts.ligands:
            cells = {"class": entry.label, **row._asdict()}
            for name in ("occupancy", "low", "high", "detection_limit", "copies_mean"):
                cells[name] *= factor
            rows.append(cells)
    return table_rows(rows)


def filling_of(group: Group, rows: Any) -> Any:
    """`occupy_jit.estimation.ligands.filling.Filling` over the classes for every ligand with copies."""
    import numpy as np

    from occupy_jit.estimation.ligands.filling import filling

    labels = [entry.label for entry in group.usable]
    shares = [entry.share for entry in group.usable]
    shares = np.ones(len(labels)) if any(share is None for share in shares) else np.array(shares)
    found = []
    for ligand in dict.fromkeys(row["copies"] for row in rows if row["copies"]):
        sites = list(dict.fromkeys(row["part"] for row in rows if row["copies"] == ligand))
        cells = {(row["class"], row["part"]): row for row in rows if row["copies"] == ligand}
        if len(sites) < 2 or any((label, site) not in cells for label in labels for site in sites):
            continue
        occupancy, width = (np.array([[value(cells[label, site]) for site in sites] for label in labels]) for value in
                            (lambda cell: cell["occupancy"], lambda cell: cell["high"] - cell["low"]))
        found.append(filling(ligand, sites, occupancy, width / 3.92, shares))
    return found


def write(group: Group, rows: Any, outputs: Outputs) -> None:
    """Write ligands_<group>.csv, if planned."""
    path = group.path_of(Role.LIGANDS_TABLE)
    if path is None:
        return
    from occupy_jit.reports.ligand_files import table_csv

    with outputs.open(path, "w") as file:
        file.write(table_csv(rows, of="class"))


def record_of(group: Group, rows: Any) -> dict[Any, Any]:
    """Entries on ligands in the record of the group; empty without ligands."""
    if not rows:
        return {}
    labels = [entry.label for entry in group.usable]
    return {"class_ligands": rows, "ligand_filling": [
        {"ligand": one.ligand, "sites": list(one.sites), "variance_between_classes": round(one.variance, 4),
         "variance_of_independent_sites": round(one.independent, 4), "filled_together": one.together,
         "binomial": [round(float(p), 4) for p in one.binomial],
         "observed": [round(float(p), 4) for p in one.observed],
         "classes": [{"class": label, "filled": round(float(filled), 3), "se": round(float(se), 3),
                      "share": round(float(share), 4)}
                     for label, filled, se, share in zip(labels, one.filled, one.se, one.share, strict=True)]}
        for one in filling_of(group, rows)]}


def show(group: Group, rows: Any, log: RunLog) -> None:
    """The number of filled sites in each class, and whether they are filled independently."""
    labels = [entry.label for entry in group.usable]
    for one in filling_of(group, rows):
        n = len(one.sites)
        log.table(f"filled sites of {one.ligand}, of {n}", [("class", "particles", "filled")] + [
            (label, f"{share:.1%}", f"{filled:.2f} ± {se:.2f}")
            for label, filled, se, share in zip(labels, one.filled, one.se, one.share, strict=True)])
        expected = ", ".join(f"{k}: {p:.0%}" for k, p in enumerate(one.binomial))
        seen = ", ".join(f"{k}: {p:.0%}" for k, p in enumerate(one.observed))
        log.say(f"particles by the number of filled sites of {one.ligand}, rounded for each class: {seen}; of "
                f"independent sites (binomial): {expected}")
        verdict = ("it is larger: particles fill their sites together" if one.together else
                   "it is not larger, which does not exclude that particles fill their sites together: a class is a "
                   "mean of its particles")
        log.say(f"the number of filled sites has a variance of {max(one.variance, 0):.2f} between the classes, up to "
                f"{one.independent:.2f} if sites are filled independently: {verdict}")
