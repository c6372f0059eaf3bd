"""Inputs, settings and results of a run on one map, for its record and its log."""

from __future__ import annotations

import math
import os
import platform
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from occupy_jit.files.names.paths import shown
from occupy_jit.reports.answer import core_numbers, of_run
from occupy_jit.reports.page.words import whole
from occupy_jit.reports.part_order import lowest
from occupy_jit.reports.runlog import VERBOSE
from occupy_jit.settings import recorded

if TYPE_CHECKING:
    from occupy_jit.estimation.scale.core import Core
    from occupy_jit.estimation.scale.result import Result
    from occupy_jit.files.checksum import FileRead
    from occupy_jit.files.maps.maps import Map
    from occupy_jit.reports.runlog import RunLog
    from occupy_jit.runs.plan.plan import Plan
    from occupy_jit.settings import Options, Settings

# Scale above which a voxel counts as occupied.
_OCCUPIED = 0.2
# Scales for the factors of the bands.
FACTOR_SCALES = (0.1, 0.2, 0.4)
# Number of parts in the log; fewer for a class, because a table of all classes follows.
_PARTS_TOLD, _CLASS_PARTS_TOLD = 60, 12


def framed(settings: Settings, options: Options, outputs: Sequence[Any], inputs: dict[str, Any],
           found: dict[str, Any], verdicts: Sequence[tuple[Any, ...]], warnings: Sequence[str]) -> dict[str, Any]:
    """A record: command line, inputs, settings, results and outputs of a run.

    Parameters
    ----------
    settings : occupy_jit.settings.Settings
    options : occupy_jit.settings.Options
    outputs : sequence of occupy_jit.runs.plan.plan.Output
    inputs, found : dict
        Parts of the record.
    verdicts : sequence of (code, sentence)
    warnings : sequence of str

    Returns
    -------
    dict
        Checksums and timings are added at the end.
    """
    import mrcfile
    import numba
    import numpy

    return {
        "command_line": list(options.command_line), **inputs, "settings": recorded(settings),
        "given": sorted(options.given), "options": recorded(options), **found,
        "verdicts": [{"code": code, "sentence": sentence} for code, sentence in verdicts],
        "warnings": list(warnings),
        "outputs": [{"role": output.what, "path": output.path} for output in outputs],
        "versions": {"python": platform.python_version(), "numpy": numpy.__version__, "numba": numba.__version__,
                     "mrcfile": mrcfile.__version__},
    }


def results(volume: Map, result: Result) -> dict[str, Any]:
    """The results in plain numbers, for log and record.

    Parameters
    ----------
    volume : occupy_jit.files.maps.maps.Map
    result : occupy_jit.estimation.scale.result.Result

    Returns
    -------
    dict
    """
    from occupy_jit.estimation.scale.errors import relative_error_of_full_scale
    from occupy_jit.kernels.moments import sums_above

    voxel = result.voxel_size ** 3
    limit = max(_OCCUPIED, result.solvent_limit)
    occupied, total, largest = sums_above(result.scale, limit)
    model = result.solvent
    bands = {} if result.bands is None else {"bands": _bands(result.bands)}
    return {
        "full_scale": result.full_scale,
        "full_scale_error": relative_error_of_full_scale(result),
        "full_scale_corner_zyx": result.full_scale_corner,
        "full_scale_tile": result.tile,
        "flexibility": None if result.flexibility is None else _flexibility(result),
        "reference": None if result.reference is None else result.reference._asdict(),
        "zero_level": result.zero,
        "noise_floor": result.floor,
        "noise_in_solvent": result.noise,
        "noise_of_scale": result.scale_noise,
        "noise_of_content": result.content_noise,
        "visible_from": result.facts.visibility.limit,
        "noise_hides_parts": result.facts.visibility.noise_hides,
        "half_maps": None if result.half_maps is None else result.half_maps.as_record(),
        "quiet_share": result.quiet_share,
        "solvent_flattened": result.facts.solvent_flattened,
        "largest_scale": largest,
        "occupied_above_scale": limit,
        "occupied_volume_angstrom3": occupied * voxel,
        "mean_scale_of_occupied": total / occupied if occupied else 0.0,
        "solvent_model": {"mean": model.mean, "sigma": model.sigma, "amplitude": model.amplitude, "edge": model.edge,
                          "goodness": model.goodness, "fitted": model.fitted},
        **bands,
    }


def add_core(results: dict[str, Any], core: Core | None, without_flexibility: Core | None,
             verdicts: Sequence[tuple[Any, ...]], common: bool) -> None:
    """Add the numbers of the core, and the main sentence, to the results, in place.

    Parameters
    ----------
    results : dict
        With the occupancies of parts, ligands and masks, if any.
    core, without_flexibility : occupy_jit.estimation.scale.core.Core or None
        Of the scale, and of the scale corrected for flexibility.
    verdicts : sequence of (code, sentence)
    common : bool
        Whether full scale is common to several maps.
    """
    if core is None:
        results["core"], results["sentence"] = None, ""
        return
    hides = results["noise_hides_parts"]
    results["core"] = core_numbers(core, hides)
    if without_flexibility is not None:
        results["flexibility"]["weaker_than_half"] = (without_flexibility.surely_weak_share if hides
                                                      else without_flexibility.weak_share)
    _, first = of_run(results, core, [code for code, _ in verdicts], common)
    results["sentence"] = str(first)


def _flexibility(result):
    """Basis of the flexibility, and its median in the occupied volume."""
    import numpy as np

    from occupy_jit.estimation.flexibility_bands import REMARK

    found = result.flexibility
    b_factor = found.b_factor[result.scale > max(_OCCUPIED, result.solvent_limit)]
    quantiles = [float(q) for q in np.quantile(b_factor, (0.05, 0.5, 0.95))] if b_factor.size else [None] * 3
    return {"b_factor_quantiles": dict(zip(("0.05", "0.5", "0.95"), quantiles, strict=True)),
            "bands": [{"from_angstrom": band.low, "to_angstrom": band.high, "signal": band.signal, "noise": band.noise,
                       "used": band.used} for band in found.bands], "remark": REMARK}


def _bands(bands):
    """Signal and noise in resolution bands, and the resulting factors for weak parts."""
    edges = bands.edges
    return [{"from_angstrom": 1 / edges[band] if band else None, "to_angstrom": 1 / edges[band + 1],
             "signal": bands.signal[band], "noise": bands.noise[band],
             "noise_over_signal": ratio if math.isfinite(ratio) else None,
             "factor_at_scale": {f"{scale:g}": float(bands.factor(band, scale)) for scale in FACTOR_SCALES}}
            for band, ratio in enumerate(bands.noise_over_signal)]


def record(plan: Plan, volume: Map, result: Result, found: dict[str, Any], workers: int, files_read: list[FileRead]
          ) -> dict[str, Any]:
    """The record of a run on one map, without checksums and timings.

    Parameters
    ----------
    plan : occupy_jit.runs.plan.plan.Plan
    volume : occupy_jit.files.maps.maps.Map
    result : occupy_jit.estimation.scale.result.Result
    found : dict
        From `results`.
    workers : int
        Threads.
    files_read : list of occupy_jit.files.checksum.FileRead
        The map first.

    Returns
    -------
    dict
    """
    inputs = {"input": {"path": os.path.abspath(plan.path), "sha256": None, "shape_zyx": volume.data.shape,
                        "voxel_size_angstrom": volume.voxel_size, "axis_order": volume.axis_order,
                        **files_read[0].stamp},
              "also_read": [file.entry() for file in files_read[1:]]}
    derived = {"lowpass_angstrom": result.lowpass_angstrom, "kernel_size": result.ball.size,
               "kernel_radius": result.ball.radius, "kernel_voxels": result.ball.voxels, "tau": result.tau,
               "confidence_lowpass_angstrom": result.facts.evidence_lowpass_angstrom or result.lowpass_angstrom,
               "tile_voxels": result.tile, "threads": workers}
    return framed(plan.settings, plan.options, plan.outputs, inputs, {"derived": derived, "results": found},
                  result.verdicts, volume.warnings)


def tell(log: RunLog, told: dict[str, Any], of_group: bool = False) -> None:
    """Settings and results of a record, as rows of the log."""
    derived = told["derived"]
    given = set(told["given"])
    # tau, given back as an option, would define full scale by its quantile alone
    log.settings([(name, value, "given" if name in given else "default") for name, value in told["settings"].items()]
                 + [(name, value, "derived") for name, value in derived.items() if name != "tau"])
    found = told["results"]
    model = found["solvent_model"]
    wider = derived["confidence_lowpass_angstrom"]
    log.results([
        ("low-pass", derived["lowpass_angstrom"],
         "Å" if wider == derived["lowpass_angstrom"] else f"Å; {wider:.3g} Å for the confidence, as noise is strong"),
        ("ball", f"{derived['kernel_size']} voxels, radius {derived['kernel_radius']:g}"),
        ("full scale", found["full_scale"],
         _where(told)),
        *_composition(told),
        ("zero level", found["zero_level"]),
        ("noise floor", found["noise_floor"]),
        ("surface level", found["surface_level"], f"(noise of the map: {found['noise_of_map']:.4g})"),
        ("solvent model", f"mean {model['mean']:.4g}, sigma {model['sigma']:.4g}, up to {model['edge']:.4g}"),
        ("occupied", f"{found['occupied_volume_angstrom3']:.0f} Å^3 above scale {found['occupied_above_scale']:.2f}, "
                     f"mean {found['mean_scale_of_occupied']:.2f}"),
        ("visible from", seen_in_words(found)),
    ])
    if "bands" in found:
        log.table("amplification by resolution band, for parts at these scales",
                  [("to, Å", "noise over signal", *(f"at {scale:g}" for scale in FACTOR_SCALES)),
                   *((f"{band['to_angstrom']:.2f}",
                      "no signal" if band["noise_over_signal"] is None else f"{band['noise_over_signal']:.3g}",
                      *(f"{factor:.2f}" for factor in band["factor_at_scale"].values())) for band in found["bands"])],
                  level=VERBOSE)
    if found["flexibility"] is not None:
        _tell_flexibility(log, found["flexibility"])
    told_apart = {row["part"] for row in found.get("ligands", ())}
    _tell_parts(log, [row for row in found.get("parts", ()) if row["part"] not in told_apart],
                _CLASS_PARTS_TOLD if of_group else _PARTS_TOLD)
    _tell_ligands(log, found, _CLASS_PARTS_TOLD if of_group else _PARTS_TOLD)
    if found["half_maps"] is not None:
        halves = found["half_maps"]
        independence = ("unknown, for lack of solvent" if halves["independence"] is None
                        else f"{halves['independence']:.2f} (1 is ideal)")
        log.results([("half maps", f"correlation {halves['correlation']:.3f} in content, {halves['ratio']:.3f} times "
                                   f"as strong, independence of the noise {independence}")])
        if "map_correlation" in halves:
            log.results([("map and mean", f"correlation {halves['map_correlation']:.3f} of the map with the mean of "
                                          "the half maps in content, at the same spectrum")])
    targets = found.get("targets", ())
    log.results([(f"occupancy in {shown(target['mask'])}", in_words(target)) for target in targets])
    if targets:
        log.results([("full scale", f"its relative error, ± {found['full_scale_error']:.3f}, is common to all "
                                    "occupancies")])
    log.conclusion(found["sentence"])


def _tell_parts(log, parts, most):
    """Occupancies of the parts of a model: only the lowest if there are many."""
    shown_parts = lowest(parts, most)
    for row in shown_parts:
        log.results([(f"occupancy of {row['part']}", _of_part(row))])
    if len(shown_parts) < len(parts):
        log.say(f"lowest of {len(parts)} parts; the table of parts has all")


def _tell_ligands(log, found, most):
    """Each ligand with its interval and call; copies of one ligand together."""
    from occupy_jit.reports.ligand_files import copies_in_words, in_words

    ligands = found.get("ligands", ())
    for row in ligands[:most]:
        log.results([(f"ligand {row['part']}", in_words(row))])
    if len(ligands) > most:
        log.say(f"first of {len(ligands)} ligands; the table of ligands has all")
    for copies in found.get("ligand_copies", ()):
        log.results([(f"copies of {copies['ligand']}", copies_in_words(copies))])
    if ligands:
        log.say("brackets: 95% interval of the occupancy; a ligand below its detection limit is missed in more than "
                "5% of cases")


def _tell_flexibility(log, found):
    """The relative B factor in words."""
    low, middle, high = found["b_factor_quantiles"].values()
    used = [band for band in found["bands"] if band["used"]]
    if middle is not None:
        log.results([("relative B factor", f"{whole(middle)} Å^2 (median of the occupied volume), {whole(low)} to "
                                           f"{whole(high)} in 90% of it; from {len(used)} bands, "
                                           f"{used[0]['from_angstrom']:g} to {used[-1]['to_angstrom']:g} Å")])
    log.table("resolution bands used for flexibility, in the region of full scale",
              [("from, Å", "to, Å", "signal over noise", "used"),
               *((band["from_angstrom"], band["to_angstrom"],
                  f"{band['signal'] / band['noise']:.3g}" if band["noise"] > 0 else "no noise",
                  "yes" if band["used"] else "no") for band in found["bands"])], level=VERBOSE)
    log.say(f"occupancy and flexibility are {found['remark']}")


def seen_in_words(found: dict[str, Any]) -> str:
    """The visibility limit."""
    limit = found["visible_from"]
    if limit is None:
        return "unknown, because the noise is: weak parts may be hidden"
    if not found["noise_hides_parts"]:
        return f"scale {limit:.2f}"
    return f"scale {limit:.2f}: parts as large as a chain that are weaker cannot be seen at this noise"


def _composition(told):
    """Row with the mask of nucleic acid, if there is one."""
    from occupy_jit.estimation.scale.composition import CONTRAST

    path = told["options"]["nucleic_mask"]
    return [] if path is None else [("nucleic acid", f"in {shown(path)}: its contrast is divided by {CONTRAST:g}, the "
                                                     "contrast relative to protein")]


def _where(told):
    """The source of full scale in words."""
    found = told["results"]
    if found["reference"] is not None:
        return (f"in {shown(told['options']['reference_mask'])} ± {found['full_scale_error']:.1%} "
                f"({found['reference']['blocks']:.0f} blocks); a search would give "
                f"{found['reference']['searched']:.6g}")
    if found["full_scale_corner_zyx"] is None:
        return ""
    return (f"in the cube of {found['full_scale_tile']} voxels at [z, y, x] = {list(found['full_scale_corner_zyx'])}, "
            f"the strongest by its {told['derived']['tau']:.4g} quantile")


def in_words(target: dict[str, Any]) -> str:
    """Occupancy of a target mask with its error, or the reason why it is missing."""
    if target["occupancy"] is None:
        return "- (nothing to measure inside)"
    if target["error"] is None:
        return f"{target['occupancy']:.3f} (too small for an error)"
    return f"{target['occupancy']:.3f} ± {target['error']:.3f} (given full scale; {target['blocks']:.0f} blocks)"


def _of_part(row):
    """One part of a model in words."""
    if row["occupancy"] is None:
        return "outside the map"
    full = ", full" if row["full"] else ""
    if "half1" in row:
        full += f"; halves {row['half1']:.3f} {row['half2']:.3f}, noise ± {row['se_noise']:.3f}"
    return f"{row['occupancy']:.3f} ± {row['se']:.3f}, dB {whole(row['dB'])} Å^2, cc {row['cc']:.2f}{full}"
