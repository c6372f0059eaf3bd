"""The report of a run, gathered from volumes in memory during the run."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import numpy as np

from occupy_jit.reports.page.data import Bands, Histogram, Part, Parts, ReportData
from occupy_jit.runs.one_map.part_regions import Regions

if TYPE_CHECKING:
    from occupy_jit.estimation.scale.core import Core
    from occupy_jit.estimation.scale.result import Result
    from occupy_jit.files.maps.maps import Map
    from occupy_jit.runs.plan.plan import Plan


class MapReport:
    """Gathers the report of one map; volumes are reduced at once, so that no large arrays are kept.

    Parameters
    ----------
    plan : occupy_jit.runs.plan.plan.Plan
    volume : occupy_jit.files.maps.maps.Map
        The input.
    result : occupy_jit.estimation.scale.result.Result
        With confidence.
    core : occupy_jit.estimation.scale.core.Core
        Of the scale.
    regions : occupy_jit.runs.one_map.part_regions.Regions
        Masks on the grid of the report; parts are added later.

    Attributes
    ----------
    sites : tuple of occupy_jit.reports.page.data.LigandSite
        Pictures of ligands, added later.
    profiles : tuple of occupy_jit.reports.page.data.Profile
        Profiles of residues, added later.
    regions : occupy_jit.runs.one_map.part_regions.Regions
    """

    def __init__(self, plan: Plan, volume: Map, result: Result, core: Core, regions: Regions) -> None:
        from occupy_jit.reports.page.display_grid import reduce_to

        self._plan, self._volume = plan, volume
        self._result = replace(result, confidence=None, error=None)  # whose memory may be reused
        self.core = core
        self.regions, self._grid = regions, regions.grid
        volumes = {"input": volume.data, "scale": result.scale, "confidence": result.confidence, "error": result.error}
        if result.flexibility is not None:
            volumes |= {"occupancy": result.flexibility.occupancy, "b_factor": result.flexibility.b_factor}
        self._small = {name: reduce_to(self._grid, values) for name, values in volumes.items() if values is not None}
        self._modified = []
        self.sites = self.profiles = ()

    def add_modified(self, name: str, values: np.ndarray) -> None:
        """Add a modified map: its name and its values, which may be overwritten afterwards."""
        from occupy_jit.reports.page.display_grid import reduce_to

        self._modified.append((name, reduce_to(self._grid, values)))

    def render(self, record: dict[str, Any], workers: int) -> tuple[bytes, dict[str, Any]]:
        """The page.

        Parameters
        ----------
        record : dict
            Of the run, with checksums.
        workers : int
            Threads.

        Returns
        -------
        html : bytes
        summary : dict
            See `occupy_jit.reports.page.page.render`.
        """
        from occupy_jit.files.download.emdb import described_beside
        from occupy_jit.reports.page import page

        result, source = self._result, record["input"]
        files = [("input", source["path"], source["sha256"])]
        files += [(entry["role"], entry["path"], entry.get("sha256")) for entry in record["outputs"]]
        found, place = record["results"], self.regions.place
        data = ReportData(
            name=self._plan.names.stem, record=record, box=result.scale.shape, voxel_size=result.voxel_size,
            grid=self._grid, core=self.core, surface_level=found["surface_level"],
            position=tuple(self._volume.position), modified=tuple(self._modified), histogram=_histogram(result),
            bands=_bands(found), parts=_model_parts(found, place) + _targets(found, place), profiles=self.profiles,
            regions=tuple(self.regions.layers), sites=self.sites, files=tuple(files),
            links=self._links(), common_scale=self._plan.full_scale is not None,
            entry=described_beside(self._plan.path), **self._small)
        return page.render(data, show_paths=self._plan.options.report_paths, threads=workers)

    def _links(self):
        """Link to the page of all maps."""
        if self._plan.page is None:
            return ()
        return (("All maps", "./" + quote(os.path.basename(self._plan.page), errors="surrogateescape")),)


def _histogram(result):
    model = result.solvent
    marks = [("zero level", result.zero), ("full scale: zero +", result.zero + result.full_scale, result.full_scale)]
    if model.fitted:
        marks.append(("end of solvent", model.edge))
    return Histogram(model.bin_edges, model.counts,
                     (model.amplitude, model.mean, model.sigma) if model.fitted else None, tuple(marks))


def _bands(found):
    """Signal, noise and factors in resolution bands, from the results of a run."""
    rows = found.get("bands")
    if not rows:
        return None
    scales = tuple(rows[0]["factor_at_scale"])
    return Bands(np.array([0.0, *(1 / row["to_angstrom"] for row in rows)]), np.array([row["signal"] for row in rows]),
                 np.array([row["noise"] for row in rows]), tuple(map(float, scales)),
                 np.array([[row["factor_at_scale"][scale] for row in rows] for scale in scales]))


def _model_parts(found, place):
    """Table of the occupancies of the parts of a model, from the results of a run."""
    rows = tuple(Part(row["part"], row["occupancy"], row["se"],
                      f"{row['atoms']} atoms" + (", sets full scale" if row["full"] else ""),
                      None if row["dB"] is None else (row["dB"], row["se_dB"]), row["cc"],
                      place.get(("part", row["part"])))
                 for row in found.get("parts", ()) if row["occupancy"] is not None)
    if not rows:
        return ()
    return (Parts("Occupancy of the parts of the model", rows, "Fitted to the map, all parts together; occupancies "
                                                               "are relative to the fullest parts, which define 1."),)


def _targets(found, place):
    """Table of the occupancies inside masks, from the results of a run."""
    rows = tuple(Part(os.path.basename(target["mask"]), target["occupancy"], target["error"],
                      "too small for an error" if target["error"] is None else f"{target['blocks']:.0f} blocks",
                      region=place.get(("mask", target["mask"])))
                 for target in found.get("targets", ()) if target["occupancy"] is not None)
    if not rows:
        return ()
    return (Parts("Occupancy inside masks", rows, "Errors exclude the error of full scale, ± "
                                                  f"{found['full_scale_error']:.1%}, which all occupancies share."),)
