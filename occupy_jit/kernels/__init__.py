"""Numba kernels as plain functions: arrays in, arrays out. No I/O, no settings, no printing, no global state.

They take arrays [z, y, x] of any real type and layout, converted to C-contiguous float32 once, release the GIL, and
give the same bits for any number of threads. Most can also be called from code compiled by numba.
"""

from typing import Any

# Loaded when first used: numba takes its time.
_LAZY = {
    "sliding_ball_maximum": ("sliding_maximum", "sliding_maximum_serial", "ball_voxels"),
    "full_scale": ("largest_quantile", "full_scale_tau", "tile_edge"),
    "moments": ("volume_range", "quiet_moments"),
    "quantiles": ("histogram", "quantile", "power_threshold", "quiet_median"),
    "regions": ("scale_on_peaks", "covered"),
    "shared_density": ("shared_density",),
    "grid.smoothing": ("smooth", "smoothed_power"),
    "band_slopes": ("add_band_to_slope", "relative_b_factor", "occupancy_without_flexibility"),
    "band_equalisation": ("power_weighted_scale", "add_band", "equalised"),
    "standard_error": ("scale_error",),
    "voxelwise": ("scale_and_depth", "confidence_from_evidence", "modify"),
}
_MODULE_OF = {name: module for module, names in _LAZY.items() for name in names}

__all__ = sorted(_MODULE_OF)


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_MODULE_OF[name]}"), name)


def __dir__() -> list[Any]:
    return sorted({*globals(), *__all__})
