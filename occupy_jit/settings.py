"""All settings of a run on one map: one frozen dataclass, validated once, at the border.

Standard library only: the parser takes its defaults from here, and ``OccuPy --help`` imports no numpy.
"""

import math
from dataclasses import dataclass

from occupy_jit.errors import UsageError

SCALE_MODES = ("occupancy", "resolution")
LARGEST_RADIUS = 500
"""Of the ball, in voxels: far beyond sense, but not beyond memory."""


def _require(condition, option, value, wanted):
    if not condition:
        raise UsageError(f"{option} {value}: must be {wanted}")


def _positive(value, option, unit=""):
    if value is not None:
        _require(math.isfinite(value) and value > 0, option, value, f"a positive number{unit}")


def _within(value, low, high, option):
    _require(math.isfinite(value) and low <= value <= high, option, value, f"between {low:g} and {high:g}")


@dataclass(frozen=True)
class Settings:
    """What to compute. ``None`` means: derived from the map (see the method section of the manual).

    Lengths in Å carry the suffix ``_angstrom``; all others are voxels.
    """

    # estimation
    lowpass_input_angstrom: float | None = None
    kernel_size: int | None = None
    kernel_radius: float | None = None
    resolution_angstrom: float | None = None
    tau: float | None = None
    tile_size_angstrom: float = 30.0
    naive_normalisation: bool = False
    noise_floor: float | None = None  # None: measured ("auto"); a number is in units of the map
    scale_mode: str = "occupancy"
    # modification
    amplify: bool = False
    amplify_amount: float = 1.0
    amplify_limit: float = 0.05
    amplify_gamma: float | None = None
    attenuate_gamma: float | None = None
    sigmoid_gamma: float | None = None
    pivot: float = 0.5
    exclude_solvent: bool = False
    hedge_confidence: float = 1.0
    no_confidence: bool = False
    lowpass_amplified_angstrom: float | None = None
    match_histogram: bool = False

    def __post_init__(self):
        _positive(self.lowpass_input_angstrom, "--lowpass-input", " of Å")
        _positive(self.lowpass_amplified_angstrom, "--lowpass-amplified", " of Å")
        _positive(self.resolution_angstrom, "--resolution", " of Å")
        _positive(self.tile_size_angstrom, "--tile-size", " of Å")
        _positive(self.kernel_radius, "--kernel-radius", " of voxels")
        _positive(self.hedge_confidence, "--hedge-confidence")
        if self.kernel_radius is not None:
            _require(self.kernel_radius <= LARGEST_RADIUS, "--kernel-radius", self.kernel_radius,
                     f"at most {LARGEST_RADIUS} voxels")
        if self.kernel_size is not None:
            size = self.kernel_size
            odd = math.isfinite(size) and size == int(size) and size > 0 and size % 2 == 1
            _require(odd and size <= 2 * LARGEST_RADIUS + 1, "--kernel-size", size,
                     f"a positive odd number of voxels, at most {2 * LARGEST_RADIUS + 1}")
        if self.tau is not None:
            _require(0 < self.tau <= 1, "--tau", self.tau, "above 0 and at most 1")
        if self.noise_floor is not None:
            _require(math.isfinite(self.noise_floor) and self.noise_floor >= 0, "--noise-floor", self.noise_floor,
                     "auto, or a number of at least 0 in the map's own units")
        _require(self.scale_mode in SCALE_MODES, "--scale-mode", self.scale_mode, " or ".join(SCALE_MODES))
        _within(self.amplify_amount, -1, 1, "--amplify-amount")
        _within(self.amplify_limit, 0, 1, "--amplify-limit")
        for gamma, option in ((self.amplify_gamma, "--amplify-gamma"), (self.attenuate_gamma, "--attenuate-gamma"),
                              (self.sigmoid_gamma, "--sigmoid-gamma")):
            if gamma is not None:
                _require(math.isfinite(gamma) and gamma >= 1, option, gamma, "at least 1")
        _require(0 < self.pivot < 1, "--pivot", self.pivot, "above 0 and below 1")
