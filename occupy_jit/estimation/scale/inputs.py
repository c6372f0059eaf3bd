"""Inputs of an estimate: the map and everything that comes with it, checked once, with derived properties."""

from __future__ import annotations

import math
import numbers
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from occupy_jit.estimation.grids import cells_hold
from occupy_jit.estimation.modification import equalise
from occupy_jit.estimation.noise.half_maps import HalfMaps, join_half_maps
from occupy_jit.estimation.scale import composition
from occupy_jit.estimation.scale.ball import Ball, choose_ball, derived_lowpass, may_widen
from occupy_jit.estimation.scale.result import FullScale
from occupy_jit.kernels.grid.arguments import as_volume
from occupy_jit.settings import Settings


@dataclass(frozen=True)
class Masks:
    """Masks that aid an estimate, each of the shape of the map, soft or binary.

    Attributes
    ----------
    solvent : (nz, ny, nx) array, optional
        Marks content. Confidence and solvent model use the solvent side of it; the scale does
        not depend on it.
    reference : (nz, ny, nx) array, optional
        Marks a part that is fully occupied: full scale is measured there.
    nucleic : (nz, ny, nx) array, optional
        Marks nucleic acid in a complex with protein, whose contrast is lower: see
        `occupy_jit.estimation.scale.composition`.

    Examples
    --------
    >>> import numpy, occupy_jit
    >>> mask = numpy.zeros((32, 32, 32), numpy.float32)
    >>> mask[10:22, 10:22, 10:22] = 1
    >>> occupy_jit.Masks(reference=mask).solvent is None
    True
    """

    solvent: np.ndarray | None = None
    reference: np.ndarray | None = None
    nucleic: np.ndarray | None = None


@dataclass(frozen=True)
class Wanted:
    """Requested volumes beside the scale.

    Attributes
    ----------
    confidence, lowpass : bool
    error : bool
        Standard error of the scale at each voxel.
    noise_error : bool
        The part of it by noise, in which two maps of one structure differ.
    core : bool, optional
        Where the content of a large map is, as its core needs it; if left out, as `confidence`.

    Examples
    --------
    >>> import occupy_jit
    >>> occupy_jit.Wanted(error=True).noise_error
    False
    """

    confidence: bool = True
    lowpass: bool = True
    error: bool = False
    noise_error: bool = False
    core: bool | None = None


@dataclass(frozen=True)
class Room:
    """Arrays of the caller that may be overwritten, which saves memory.

    Attributes
    ----------
    volume, half_maps : bool
    value_range : (low, high), optional
        Smallest and largest value of the map, if known and finite, to save a search.
    """

    volume: bool = False
    half_maps: bool = False
    value_range: tuple[float, float] | None = None


@dataclass(frozen=True)
class Inputs:
    """A map and all other inputs of an estimate.

    Attributes
    ----------
    volume : (nz, ny, nx) float32 array
    voxel_size : float
        Å.
    settings : occupy_jit.settings.Settings
    half_maps : occupy_jit.estimation.noise.half_maps.HalfMaps or None
        Joined.
    masks : Masks
    wanted : Wanted
    full_scale : FullScale or None
        Common to several maps, instead of a search.
    room : Room
    thread_count : int or None
    hot_voxels : int
        Number of voxels that `occupy_jit.estimation.scale.hot_voxels.repair` has replaced.
    """

    volume: np.ndarray
    voxel_size: float
    settings: Settings
    half_maps: HalfMaps | None = None
    masks: Masks = field(default_factory=Masks)
    wanted: Wanted = field(default_factory=Wanted)
    full_scale: FullScale | None = None
    room: Room = field(default_factory=Room)
    thread_count: int | None = None
    hot_voxels: int = 0

    @property
    def on_raw_map(self) -> bool:
        """bool : The scale is measured without a low-pass, so that lost resolution counts."""
        return self.settings.scale_mode == "resolution"

    @property
    def beside_halves(self) -> bool:
        """bool : The map is not the mean of its half maps."""
        return self.half_maps is not None and self.half_maps.mean is not None

    @property
    def difference(self) -> np.ndarray | None:
        """(nz, ny, nx) float32 array or None : Half of the difference of the half maps."""
        return None if self.half_maps is None else self.half_maps.difference

    @property
    def measured(self) -> np.ndarray | None:
        """(nz, ny, nx) float32 array : The map that the scale is measured on: the mean of the half maps, if any."""
        return self.half_maps.mean if self.beside_halves else self.volume

    @property
    def measured_is_free(self) -> bool:
        """bool : Whether `measured` may be overwritten."""
        return self.room.half_maps if self.beside_halves else self.room.volume

    @property
    def lowpass_angstrom(self) -> float:
        """float : Resolution of the low-pass, Å."""
        return derived_lowpass(self.settings, self.voxel_size)

    @property
    def ball(self) -> Ball:
        """Ball : The ball of the sliding maximum."""
        settings = self.settings
        ball = choose_ball(self.lowpass_angstrom, self.voxel_size, settings.kernel_size, settings.kernel_radius)
        if self.masks.nucleic is None or settings.kernel_size is not None or settings.kernel_radius is not None:
            return ball
        return composition.narrower(ball, self.lowpass_angstrom, self.voxel_size)

    @property
    def bands_wanted(self) -> bool:
        """bool : Whether to measure signal and noise in resolution bands."""
        return self.wanted.confidence and not self.room.volume and equalise.wanted(self.settings)

    @property
    def confidence_from_evidence(self) -> bool:
        """bool : A confidence is wanted, and it is not set to 1 everywhere."""
        return self.wanted.confidence and not self.settings.no_confidence

    @property
    def core_on_cells(self) -> bool:
        """bool : The core is wanted, and means over cells show where the content is."""
        wanted = self.wanted.confidence if self.wanted.core is None else self.wanted.core
        return wanted and cells_hold(self.volume.shape, self.voxel_size)

    @property
    def may_widen_evidence(self) -> bool:
        """bool : Content may be judged after a wider low-pass than the scale: `steps.gather_evidence`."""
        possible = self.masks.nucleic is not None or may_widen(self.lowpass_angstrom, self.voxel_size)
        return self.judges_content and not self.on_raw_map and possible

    @property
    def judges_content(self) -> bool:
        """bool : Content is distinguished from solvent, voxel by voxel or on cells."""
        return self.confidence_from_evidence or self.core_on_cells


def checked_map(volume: np.ndarray, voxel_size: float) -> tuple[np.ndarray, float]:
    """A map or an array as a volume for the kernels, and its voxel size.

    Raises
    ------
    TypeError, ValueError
        It is not a 3-D array of real numbers, or the voxel size is unknown.
    """
    if volume is None:
        raise TypeError("volume: give a map, or half_maps whose mean is the map")
    if hasattr(volume, "voxel_size"):
        voxel_size = volume.voxel_size if voxel_size is None else voxel_size
        volume = volume.data  # pyright: ignore[reportAssignmentType]
    volume = as_volume(volume)
    if voxel_size is None:
        raise ValueError("voxel_size: an array has no voxel size; give it in Å")
    if not isinstance(voxel_size, numbers.Real) or not (math.isfinite(voxel_size) and voxel_size > 0):
        raise ValueError(f"voxel_size must be a positive number of Å, not {voxel_size!r}")
    return volume, float(voxel_size)


def checked_settings(settings: Settings) -> Settings:
    """`settings`, or the defaults for None; anything else is a TypeError."""
    if settings is not None and not isinstance(settings, Settings):
        raise TypeError(f"settings must be occupy_jit.Settings(...), not {type(settings).__name__}")
    return settings or Settings()


def joined(half_maps: Any, voxel_size: Any) -> tuple[HalfMaps, np.ndarray, float | None]:
    """Joined half maps: `HalfMaps` unchanged, or copies of a pair of maps or arrays.

    Returns
    -------
    half_maps : HalfMaps
        Without `mean`, which is returned beside it.
    mean : (nz, ny, nx) float32 array
    voxel_size : float or None
        That of the first half map where none was given.
    """
    try:
        one, two = half_maps
    except (TypeError, ValueError):
        raise TypeError("half_maps must be a pair: (first, second)") from None
    if voxel_size is None:
        voxel_size = getattr(one, "voxel_size", None)
    arrays = [half.data if hasattr(half, "voxel_size") else half for half in (one, two)]
    volumes = [as_volume(array, "half maps").copy() for array in arrays]
    if volumes[0].shape != volumes[1].shape:
        raise ValueError(f"half maps: shape {volumes[1].shape} differs from {volumes[0].shape}")
    factor = join_half_maps(*volumes)
    return HalfMaps(volumes[1], None, factor), volumes[0], voxel_size
