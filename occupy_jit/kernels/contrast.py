"""The contrast without noise, ``m = M' - f^2 / M'``, inside kernels.

Derivation: `occupy_jit.estimation.scale.contrast`.
"""

from typing import Any

from occupy_jit.kernels.jit.decorator import kernel


@kernel
def noise_free(height: Any, floor: Any) -> Any:
    """m, for heights M' above the floor f. Written with the ratio first against overflow."""
    return height - floor * (floor / height)


@kernel
def noise_share(height: Any, floor: Any, one: Any) -> Any:
    """``(f / M')^2``, one where M' does not exceed f: the slope of m is 1 more than that."""
    share = floor / height if height > floor else one
    return share * share
