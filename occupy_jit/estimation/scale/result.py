"""What estimating a map finds."""

import math
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np


@dataclass
class Result:
    """What `estimate` found.

    Attributes
    ----------
    scale : (nz, ny, nx) float32 array
        Local scale in [0, 1].
    confidence : (nz, ny, nx) float32 array or None
        In [0, 1].
    lowpass : (nz, ny, nx) float32 array or None
        The low-passed map.
    full_scale : float
        Value at scale 1, above the zero level, in units of the map, without what noise adds to it.
    zero, floor : float
        Zero level (mean of quiet solvent) and noise floor above it.
    noise : float
        Standard deviation of the low-passed map in quiet solvent.
    scale_noise : float
        Standard deviation of the sliding maximum in quiet solvent, as a share of full scale.
    full_scale_corner : (z, y, x) or None
        First voxel of the cube that defines full scale; None if it was given or naive.
    tile : int
        Edge of that cube in voxels.
    tau : float
    ball : occupy_jit.estimation.scale.ball.Ball
    lowpass_angstrom, voxel_size : float
        Å.
    quiet : occupy_jit.estimation.solvent.quiet_voxels.Quiet
        Which voxels were taken for empty solvent.
    solvent : occupy_jit.estimation.solvent.model.SolventModel
    range : (float, float)
        Smallest and largest value of the map.
    verdicts : list of (code, sentence)
        What the user should know about the map.
    solvent_limit : float
        Scale that empty solvent hardly ever reaches.
    content_noise : float
        Standard error that noise gives the scale where it is high: standard deviation of the map that the sliding
        maximum is taken of, in quiet solvent, as a share of full scale.
    full_scale_quantile : float
        The quantile that full scale is made of, noise included, above the zero level.
    full_scale_error : float
        Standard error of the full scale within this map, in its units; 0 if it was given.
    bands : occupy_jit.estimation.modification.equalise.Bands or None
        Signal and noise in bands of the spectrum, where a modification amplifies by them.
    error : (nz, ny, nx) float32 array or None
        Standard error of the scale, not limited to 1, at each voxel, given full scale.
    noise_error : (nz, ny, nx) float32 array or None
        What noise alone adds to it.
    half_difference : (nz, ny, nx) float32 array or None
        Half of the difference of the half maps, low-passed: a sample of the noise.
    local_noise : occupy_jit.estimation.noise.half_maps.LocalNoise or None
        Noise around each voxel, measured by half maps or in solvent nearby. `floor` is then its median over the quiet
        voxels.
    half_maps : dict or None
        What the half maps were judged by.
    half_gain : occupy_jit.estimation.noise.halves_of_other_map.Gain or None
        What brings half maps to the spectrum of the map, where that is another than their mean.
    reference : occupy_jit.estimation.scale.reference.Reference or None
        Where full scale is that of a mask: what that told.
    flexibility : occupy_jit.estimation.flexibility.Flexibility or None
        Occupancy and relative B factor, where they are told apart.
    floor_is_local : bool
        Whether the floor that was taken off is that around each voxel.
    """

    scale: np.ndarray
    confidence: np.ndarray | None
    lowpass: np.ndarray | None
    full_scale: float
    zero: float
    floor: float
    noise: float
    scale_noise: float
    full_scale_corner: tuple | None
    tile: int
    tau: float
    ball: object
    lowpass_angstrom: float
    voxel_size: float
    quiet: object
    solvent: object
    range: tuple
    verdicts: list = field(default_factory=list)
    solvent_limit: float = 0.0
    content_noise: float = 0.0
    full_scale_quantile: float = math.nan
    full_scale_error: float = 0.0
    bands: object = None
    error: np.ndarray | None = None
    noise_error: np.ndarray | None = None
    half_difference: np.ndarray | None = None
    local_noise: object = None
    half_maps: dict | None = None
    half_gain: object = None
    reference: object = None
    flexibility: object = None
    floor_is_local: bool = False

    @property
    def floor_map(self):
        """float or float32 array over cells of two voxels : Noise floor that was taken off, where it is local."""
        return self.local_noise.floor if self.floor_is_local and self.local_noise is not None else self.floor

    @property
    def quiet_share(self):
        """float : Share of the inscribed sphere that is quiet."""
        return self.quiet.share


class FullScale(NamedTuple):
    """Full scale and where it was found.

    Attributes
    ----------
    value : float
        Above the zero level, in units of the map, without what noise adds to it.
    corner : (z, y, x) or None
        First voxel of the cube that defines it; None for the naive form and a known value.
    tile : int
        Edge of that cube in voxels.
    zero : float
        Zero level.
    tau : float
    quantile : float
        The tau-quantile of the cube as it is, noise included, above the zero level.
    """

    value: float
    corner: tuple | None
    tile: int
    zero: float
    tau: float
    quantile: float
