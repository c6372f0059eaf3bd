"""Local scale and occupancy of cryo-EM maps.

    volume = occupy_jit.read_map("map.mrc")
    result = occupy_jit.estimate(volume)            # result.scale, .confidence, .full_scale, ...

The import is quick: numpy and numba are loaded only when they are needed.
"""

from typing import Any

__version__ = "0.2.0"
PROGRAM = "OccuPy"

# name -> module that defines it; None for a module of that name
_LAZY = {
    "estimate": "interface",
    "classes": "interface",
    "Settings": "settings",
    "Wanted": "estimation.scale.inputs",
    "Masks": "estimation.scale.inputs",
    "read_map": "files.maps.reading",
    "write_map": "files.maps.writing",
    "join_half_maps": "estimation.noise.half_maps",
    "get_map_occupancy": "occupancy",
    "occupancy_of_parts": "estimation.parts.fit",
    "states": "estimation.states.of_volumes",
    "compare_parts": "estimation.comparison.parts",
    "read_model": "files.models.reading",
    "occupancy": None,
    "kernels": None,
    "estimation": None,
    "errors": None,
}

__all__ = ["__version__", *_LAZY]


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    module = import_module(f"{__name__}.{_LAZY[name] or name}")
    value = module if _LAZY[name] is None else getattr(module, name)
    globals()[name] = value
    return value


def __dir__() -> list[Any]:
    return sorted(__all__)
