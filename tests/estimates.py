"""Estimates in the same way as runs, from flat keywords, with working space and joined half maps."""

from occupy_jit.estimation.noise.half_maps import HalfMaps
from occupy_jit.estimation.scale.estimate import run_estimate
from occupy_jit.estimation.scale.inputs import Inputs, Masks, Room, Wanted, checked_map, checked_settings
from occupy_jit.estimation.scale.result import FullScale
from occupy_jit.kernels.grid.arguments import as_volume


def estimate(volume, settings=None, *, voxel_size=None, full_scale=None, strongest_corner=None, thread_count=None,
             **given):
    """Estimate of `volume`, with the fields of `Masks`, `Wanted`, `Room` and `HalfMaps` as keywords."""
    volume, voxel_size = checked_map(volume, voxel_size)
    options = {"solvent_mask": None, "reference_mask": None, "nucleic_mask": None,
               "with_confidence": True, "keep_lowpass": True,
               "with_error": False, "with_noise_error": False, "overwrite": False, "overwrite_halves": False,
               "value_range": None, "half_difference": None, "half_mean": None, "half_factor": 1.0}
    assert given.keys() <= options.keys()
    options |= given
    half_maps = None
    if options["half_difference"] is not None:
        mean = options["half_mean"]
        half_maps = HalfMaps(as_volume(options["half_difference"]), None if mean is None else as_volume(mean),
                             options["half_factor"])
    if full_scale is not None:
        full_scale = FullScale(full_scale, strongest_corner, 0, 0.0, 0.0, full_scale)
    return run_estimate(Inputs(
        volume, voxel_size, checked_settings(settings), half_maps,
        Masks(options["solvent_mask"], options["reference_mask"], options["nucleic_mask"]),
        Wanted(options["with_confidence"], options["keep_lowpass"], options["with_error"], options["with_noise_error"]),
        full_scale, Room(options["overwrite"], options["overwrite_halves"], options["value_range"]), thread_count))
