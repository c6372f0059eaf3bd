"""A small report for tests: a map made from random numbers, with everything that a report can show."""

import numpy as np

from occupy_jit.estimation.scale.ball import Ball
from occupy_jit.estimation.scale.core import measure_core
from occupy_jit.reports.answer import core_numbers
from occupy_jit.reports.page.data import Bands, Histogram, Part, Parts, Profile, ReportData
from occupy_jit.reports.page.display_grid import choose_grid, reduce_to
from tests.simulated import blobs

HOSTILE = "a</script><img src=x onerror=alert(1)>&\"'{{ 7*7 }}"


def _halves(shape):
    """A layer in which the upper half of a grid along x is part 2, and the lower part 1, but for a border."""
    layer = np.zeros(shape, np.uint8)
    inner = layer[3:-3, 3:-3, 3:-3]
    inner[...] = 1
    inner[..., inner.shape[2] // 2:] = 2
    return layer


def report_data(shape=(40, 44, 48), name="sample", everything=True, folder="/data/secret project", verdicts=(),
                noise_hides=False):
    """Report data without an estimate: fast, and every field under control."""
    volume = blobs(shape, seed=1, noise=0.05)
    smooth = np.clip(blobs(shape, seed=1, noise=0.0), 0, None)
    scale = np.clip(smooth / smooth.max() * 1.5, 0, 1).astype(np.float32)
    confidence = (np.clip(smooth * 8, 0, 1)).astype(np.float32)
    core = measure_core(scale, confidence, Ball(3, 1.0), 1.5)
    edges = np.linspace(volume.min(), volume.max(), 1001)
    counts = np.histogram(volume, edges)[0]
    record = {
        "command_line": ["OccuPy", "-i", f"{folder}/{name}.mrc", "--amplify"],
        "input": {"path": f"{folder}/{name}.mrc", "voxel_size_angstrom": 1.5},
        "given": ["amplify", "target_mask"], "options": {"target_mask": [f"{folder}/arm.mrc", f"{folder}/leg.mrc"],
                                                         "plot": False},
        "settings": {"amplify": True, "exclude_solvent": False, "naive_normalisation": False, "scale_mode": "occupancy",
                     "tile_size_angstrom": 30.0},
        "derived": {"lowpass_angstrom": 9.0, "kernel_radius": 1.0, "kernel_size": 3},
        "results": {
            "full_scale": 1.25, "full_scale_corner_zyx": (10, 12, 14), "full_scale_tile": 8, "zero_level": 0.01,
            "full_scale_error": 0.025,
            "noise_floor": 0.1, "noise_in_solvent": 0.05, "noise_of_scale": 0.012, "occupied_above_scale": 0.2,
            "visible_from": 0.3 if noise_hides else 0.11, "noise_hides_parts": noise_hides,
            "occupied_volume_angstrom3": 54321.0,
            "solvent_model": {"mean": 0.0, "sigma": 0.05, "goodness": 0.98}, "core": core_numbers(core, noise_hides)},
        "verdicts": [{"code": code, "sentence": sentence} for code, sentence in verdicts], "warnings": [],
        "versions": {"numpy": "2.0"}, "timings": {"estimate": 0.5}}
    grid = choose_grid(scale, confidence, 1.5)
    more = {}
    if everything:
        more = {
            "modified": (("amplify", reduce_to(grid, volume * 1.5)),),
            "error": reduce_to(grid, (0.1 * (1 - confidence) + 0.02).astype(np.float32)),
            "bands": Bands(np.linspace(0, 1 / 3, 9), np.geomspace(100, 0.1, 8), np.full(8, 0.5), (0.3, 0.6),
                           np.array([np.linspace(3, 1, 8), np.linspace(1.6, 1, 8)])),
            "parts": (Parts("Chains", (Part(name, 0.3, None, region=(0, 1)),
                                       Part("chain A", 1.02, 0.02, "3 atoms", (2.0, 1.5), 0.91, (0, 2)),
                                       Part("chain B", 0.12, 0.01, "5 atoms", (0.0, 0.0), 0.4)), "Fitted."),),
            "regions": (_halves(grid.shape),),
            "profiles": (Profile("chain A", tuple(map(str, range(1, 41))), np.linspace(0.2, 1.1, 40),
                                 np.full(40, 0.05)),)}
    return ReportData(
        name=name, record=record, box=shape, voxel_size=1.5, grid=grid, input=reduce_to(grid, volume),
        scale=reduce_to(grid, scale), confidence=reduce_to(grid, confidence), core=core, surface_level=0.3,
        position=(10.0, 20.0, 30.0),
        histogram=Histogram(edges, counts, (500.0, 0.0, 0.05), (("zero level", 0.0), ("full scale", 1.25))),
        files=(("input", f"{folder}/{name}.mrc", "0" * 64), ("scale", f"{folder}/out/scale_{name}.mrc", None),
               ("record", f"{folder}/out/occupy_{name}.json", None)), **more)
