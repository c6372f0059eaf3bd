"""Results of an estimate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from occupy_jit.estimation.flexibility import Flexibility
    from occupy_jit.estimation.modification.equalise import Bands
    from occupy_jit.estimation.noise.half_maps import HalfMapsFacts, LocalNoise
    from occupy_jit.estimation.noise.halves_of_other_map import Gain
    from occupy_jit.estimation.scale.ball import Ball
    from occupy_jit.estimation.scale.confidence import Content
    from occupy_jit.estimation.scale.reference import Reference
    from occupy_jit.estimation.scale.visibility import Visibility
    from occupy_jit.estimation.solvent.model import SolventModel
    from occupy_jit.estimation.solvent.quiet_voxels import Quiet


class Verdict(NamedTuple):
    """A verdict on a map: a code for programs and a sentence for people."""

    code: str
    sentence: str


class IgnoredFloor(NamedTuple):
    """A noise floor that was not subtracted, because it reaches full scale.

    Attributes
    ----------
    floor, quantile : float
        The floor, and full scale with its noise, above the zero level.
    given : bool
        Whether the floor was given.
    """

    floor: float
    quantile: float
    given: bool


@dataclass(frozen=True)
class Facts:
    """Facts about a map, for decisions and for the text of verdicts.

    Attributes
    ----------
    repeated_share : float
        Share of the inscribed sphere with the most frequent value, before the low-pass.
    solvent_flattened : bool
        The solvent was flattened or masked.
    solvent_missing : bool
        The box contains hardly any solvent: the quiet voxels are content.
    content_is_dark : bool
        Content is darker than solvent.
    stands_above_solvent : bool
        Whether there is a full scale at all.
    ignored_floor : IgnoredFloor or None
    definition_inverted : bool
        The solvent definition marks solvent.
    definition_left : int or None
        Number of solvent voxels that a tight solvent definition leaves.
    confidence_share : float or None
        Share of the box with confidence above one half, where content was judged.
    bands_wanted : bool
        Whether resolution bands were requested.
    visibility : occupy_jit.estimation.scale.visibility.Visibility
        The visibility limit.
    hot_voxels : int
        Number of isolated voxels far above all others that were replaced.
    evidence_lowpass_angstrom : float or None
        Resolution of the low-pass of the confidence, if it is wider than that of the scale.
    """

    repeated_share: float
    solvent_flattened: bool
    solvent_missing: bool
    content_is_dark: bool
    stands_above_solvent: bool
    ignored_floor: IgnoredFloor | None
    definition_inverted: bool
    definition_left: int | None
    confidence_share: float | None
    bands_wanted: bool
    visibility: Visibility
    hot_voxels: int = 0
    evidence_lowpass_angstrom: float | None = None


@dataclass(frozen=True)
class Result:
    """Result of `estimate`.

    Attributes
    ----------
    scale : (nz, ny, nx) float32 array
        Local scale in [0, 1].
    confidence : (nz, ny, nx) float32 array or None
        In [0, 1].
    lowpass : (nz, ny, nx) float32 array or None
        The low-passed map.
    full_scale : float
        Value at scale 1, above the zero level, in units of the map, without the contribution of noise.
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
        The quiet voxels, which count as solvent.
    quiet_share : float
        Share of the inscribed sphere that is quiet.
    solvent : occupy_jit.estimation.solvent.model.SolventModel
    range : (float, float)
        Smallest and largest value of the map.
    facts : Facts
    solvent_limit : float
        Scale that empty solvent hardly ever reaches.
    content_noise : float
        Standard error by noise of a high scale: standard deviation of the input of the sliding
        maximum, in quiet solvent, as a share of full scale.
    full_scale_quantile : float
        The quantile behind full scale, noise included, above the zero level.
    full_scale_error : float
        Standard error of the full scale within this map, in its units; 0 if it was given.
    floor_is_local : bool
        Whether the local noise floor was subtracted.
    bands : occupy_jit.estimation.modification.equalise.Bands or None
        Signal and noise in resolution bands, if a modification uses them.
    error : (nz, ny, nx) float32 array or None
        Standard error of the scale (not limited to 1) at each voxel, without the error of full scale.
    noise_error : (nz, ny, nx) float32 array or None
        The part of it by noise alone.
    half_difference : (nz, ny, nx) float32 array or None
        Half of the difference of the half maps, low-passed: a sample of the noise.
    local_noise : occupy_jit.estimation.noise.half_maps.LocalNoise or None
        Local noise, from half maps or solvent nearby. `floor` is then its median over the quiet
        voxels.
    half_maps : occupy_jit.estimation.noise.half_maps.HalfMapsFacts or None
        Agreement of the half maps.
    half_gain : occupy_jit.estimation.noise.halves_of_other_map.Gain or None
        Factors that bring half maps to the spectrum of the map, if the map is not their mean.
    reference : occupy_jit.estimation.scale.reference.Reference or None
        Result of a reference mask.
    flexibility : occupy_jit.estimation.flexibility.Flexibility or None
        Occupancy and relative B factor, if they were separated.
    content : occupy_jit.estimation.scale.confidence.Content or None
        The content of a large map, in which its core is measured; None for small maps, whose confidence shows it.
    verdicts : tuple of Verdict
        Verdicts on the map.
    """

    scale: np.ndarray
    confidence: np.ndarray | None
    lowpass: np.ndarray | None
    full_scale: float
    zero: float
    floor: float
    noise: float
    scale_noise: float
    full_scale_corner: tuple[int, int, int] | None
    tile: int
    tau: float
    ball: Ball
    lowpass_angstrom: float
    voxel_size: float
    quiet: Quiet
    quiet_share: float
    solvent: SolventModel
    range: tuple[float, float]
    facts: Facts
    solvent_limit: float
    content_noise: float
    full_scale_quantile: float
    full_scale_error: float
    floor_is_local: bool = False
    bands: Bands | None = None
    error: np.ndarray | None = None
    noise_error: np.ndarray | None = None
    half_difference: np.ndarray | None = None
    local_noise: LocalNoise | None = None
    half_maps: HalfMapsFacts | None = None
    half_gain: Gain | None = None
    reference: Reference | None = None
    flexibility: Flexibility | None = None
    content: Content | None = None
    verdicts: tuple[Verdict, ...] = ()

    @property
    def floor_map(self) -> float | np.ndarray:
        """float or float32 array over cells of two voxels : The local noise floor that was subtracted."""
        return self.local_noise.floor if self.floor_is_local and self.local_noise is not None else self.floor

    @property
    def noise_unknown(self) -> bool:
        """bool : The solvent was flattened, and no half maps measure the noise."""
        return self.half_maps is None and self.facts.solvent_flattened


class FullScale(NamedTuple):
    """Full scale and its position.

    Attributes
    ----------
    value : float
        Above the zero level, in units of the map, without the contribution of noise.
    corner : (z, y, x) or None
        First voxel of the cube that defines it; None for a naive or given full scale.
    tile : int
        Edge of that cube in voxels.
    zero : float
        Zero level.
    tau : float
    quantile : float
        The tau-quantile of the cube, noise included, above the zero level.
    noise : float
        Standard deviation in solvent; 0 without a search.
    """

    value: float
    corner: tuple | None
    tile: int
    zero: float
    tau: float
    quantile: float
    noise: float = 0.0
