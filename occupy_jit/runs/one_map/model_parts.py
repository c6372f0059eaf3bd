"""The parts of a model in a run on one map: fit, log and files."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from occupy_jit import __version__
from occupy_jit.machine.threads import thread_count
from occupy_jit.runs.plan.output_kinds import Role

if TYPE_CHECKING:
    import numpy as np

    from occupy_jit.estimation.noise.half_maps import HalfMaps
    from occupy_jit.estimation.parts.result import PartsResult
    from occupy_jit.estimation.scale.result import Result
    from occupy_jit.files.maps.maps import Map
    from occupy_jit.files.output.transaction import Outputs
    from occupy_jit.reports.page.data import Profile
    from occupy_jit.reports.runlog import RunLog
    from occupy_jit.runs.plan.plan import Plan
    from occupy_jit.settings import Options

_NUMBERS = ("occupancy", "se", "dB", "se_dB", "cc", "half1", "half2", "se_noise")


def find(options: Options, inputs: Any, result: Result, log: RunLog, keeps: bool = False
        ) -> tuple[PartsResult, list[dict[str, Any]]]:
    """Fit the parts of the model in `options`.

    Parameters
    ----------
    options : occupy_jit.settings.Options
    inputs : occupy_jit.runs.one_map.run._Inputs
        With ``volume`` and ``coarse_halves``.
    result : occupy_jit.estimation.scale.result.Result
        Of the map alone; its scale at the atoms is reported beside each occupancy.
    log : occupy_jit.reports.runlog.RunLog
    keeps : bool
        Whether to keep common results for other maps on this grid.

    Returns
    -------
    fitted : occupy_jit.estimation.parts.result.PartsResult
    rows : list of dict
        The table.
    """
    from occupy_jit.estimation.parts.fit import occupancy_of_parts
    from occupy_jit.runs.plan.model_read import parts_of

    try:
        fitted = occupancy_of_parts(inputs.volume, parts_of(options), parts=options.parts,
                                    reference=options.reference_part, residues=options.residues,
                                    b_factors=options.b_factors, progress=log.step,
                                    thread_count=thread_count(options.threads),
                                    preparation=_preparation() if keeps else None, **inputs.coarse_halves)
    finally:
        log.step()
    for sentence in fitted.warnings:
        log.warning(sentence)
    return fitted, _rows(fitted, inputs.volume, result)


@functools.cache
def _preparation():
    """Common results of the maps of this process."""
    from occupy_jit.estimation.parts.preparation import Preparation

    return Preparation()


def half_maps_for(options: Options, volume: Map, half_maps: HalfMaps | None) -> dict[str, np.ndarray]:
    """Arguments for the fit of a model with half maps: half of their difference, and their mean if the map is another.

    They are at the detail of the fit, and must be computed before the estimate, which overwrites the half maps.
    """
    if options.model is None or half_maps is None:
        return {}
    import numpy as np

    from occupy_jit.estimation.parts.fit_grid import detail_used, fourier_crop

    voxel_size = np.full(3, volume.voxel_size)
    given = {"half_difference": half_maps.difference}
    if half_maps.mean is not None:
        given["half_mean"] = half_maps.mean
    coarse = {name: fourier_crop(data, voxel_size, detail_used(voxel_size))[0] for name, data in given.items()}
    return {name: data.copy() if np.shares_memory(data, given[name]) else data for name, data in coarse.items()}


def _rows(fitted, volume, result):
    """The table: the fit, and the median of the local scale at the atoms of each part."""
    import numpy as np

    from occupy_jit.kernels.model.atoms import density_at

    positions = (fitted.model.xyz - fitted.frame.origin)[:, ::-1] / volume.voxel_size
    scale = density_at(np.ascontiguousarray(result.scale, np.float32), positions)
    inside = ((positions >= 0) & (positions <= np.array(result.scale.shape) - 1)).all(axis=1)
    rows = []
    for i, part in enumerate(fitted):
        row = part._asdict()
        own = scale[inside & (fitted.part_of_atom == i)]
        row["scale_from_map"] = float(np.median(own)) if len(own) else None
        if fitted.halves is not None:
            row |= {"half1": float(fitted.halves.occupancy[0, i]), "half2": float(fitted.halves.occupancy[1, i]),
                    "se_noise": float(fitted.halves.se_noise[i])}
        if not row["atoms"]:
            row |= {name: float("nan") for name in _NUMBERS if name in row}
        rows.append(row)
    return rows


def profiles(fitted: PartsResult) -> tuple[Profile, ...]:
    """Occupancies along the residues of every part, for the report."""
    import numpy as np

    from occupy_jit.reports.page.data import Profile

    own: dict[str, list[Any]] = {}
    for residue in fitted.residues:
        own.setdefault(residue.part, []).append(residue)
    return tuple(Profile(name, tuple(residue.number for residue in rows), np.array([r.occupancy for r in rows]),
                         np.array([r.se for r in rows])) for name, rows in own.items() if len(rows) > 1)


def for_group(fitted: PartsResult) -> PartsResult:
    """Data for a comparison with other classes."""
    from occupy_jit.estimation.comparison.parts import without_model

    return without_model(fitted)


def write(plan: Plan, fitted: PartsResult, rows: list[dict[str, Any]], outputs: Outputs, log: RunLog) -> None:
    """Write the planned files on parts."""
    from occupy_jit.files.models.writing import with_occupancies
    from occupy_jit.reports import parts_files as reports

    if fitted.halves is not None:
        agree = fitted.halves.disagreement <= fitted.halves.most
        log.results([("parts in half maps", f"occupancies {'agree' if agree else 'disagree'} "
                      f"({fitted.halves.disagreement:.2f} se; above {fitted.halves.most:.2f} the errors "
                      f"{'would be' if agree else 'are'} underestimated)")])
    with log.timed("write"):
        _put(outputs, plan.path_of(Role.PARTS_TABLE), reports.table_csv(rows))
        _put(outputs, plan.path_of(Role.PARTS_RECORD), lambda: _json(fitted, rows))
        _put(outputs, plan.path_of(Role.RESIDUES_TABLE),
             lambda: reports.table_csv([residue._asdict() for residue in fitted.residues]))
        _put(outputs, plan.path_of(Role.ATTRIBUTES), lambda: reports.attributes(_residues(fitted)))
        with outputs.open(plan.path_of(Role.MODEL)) as file:
            file.write(with_occupancies(fitted.model, fitted.of_atoms()))
    path = plan.path_of(Role.PARTS_PLOT)
    if path is not None:
        from occupy_jit.reports.part_charts import bar_chart

        with log.timed("plot"), outputs.open(path) as file:
            bar_chart(file, rows, name=plan.names.stem, version=__version__)


def _put(outputs, path, text):
    if path is not None:
        with outputs.open(path, "w") as file:
            file.write(text() if callable(text) else text)


def _json(fitted, rows):
    import json

    from occupy_jit.reports.table import rounded

    frame = fitted.frame
    told = {"parts": rounded(rows), "covariance": [[round(float(v), 8) for v in row] for row in fitted.covariance],
            "frame": {"score_here": frame.score_here, "score_elsewhere": frame.score_elsewhere,
                      "best_shift_angstrom": [float(v) for v in frame.shift]},
            "explained": fitted.explained, "b_factors": fitted.b_factors, "pseudo_atoms": fitted.pseudo_atoms,
            "detail_angstrom": fitted.detail, "density_of_full_scale": fitted.density, "half_maps": _halves(fitted),
            "reference": [name for name, full in zip(fitted.names, fitted.full, strict=True) if full],
            "residues": rounded([r._asdict() for r in fitted.residues]), "warnings": fitted.warnings}
    return json.dumps(told, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _halves(fitted):
    if fitted.halves is None:
        return None
    return {"disagreement": fitted.halves.disagreement, "disagreement_by_chance": fitted.halves.most}


def _residues(fitted):
    """Chain, number and occupancy of every residue of the model."""
    import numpy as np

    values = fitted.of_atoms()
    first = np.unique(fitted.model.residue, return_index=True)[1]
    return [(r.chain, r.number, float(values[i])) for r, i in zip(fitted.model.residues, first, strict=True)]


def script_lines(plan: Plan) -> str:
    """Lines of the ChimeraX script for the model; empty without one."""
    if plan.path_of(Role.MODEL) is None:
        return ""
    from occupy_jit.reports import parts_files
    from occupy_jit.runs.plan.model_read import parts_of

    named = any(parts_files.can_be_named(r.chain, r.number) for r in parts_of(plan.options).residues)
    return parts_files.script_lines(plan.path_of(Role.MODEL), plan.path_of(Role.ATTRIBUTES) if named else None,
                                    plan.names.directory, plan.options.min_vis_scale)
