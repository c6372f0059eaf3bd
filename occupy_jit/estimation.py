"""From a map to scale, confidence and what was measured on the way. Arrays only, no files."""

import math
from dataclasses import dataclass, field

import numpy as np

from occupy_jit import confidence as confidence_
from occupy_jit import fourier, solvent
from occupy_jit import scale as scale_
from occupy_jit import verdicts as verdicts_
from occupy_jit.errors import InputError
from occupy_jit.kernels import voxel_statistics
from occupy_jit.kernels._jit import as_volume, threads
from occupy_jit.kernels.modification import scale_and_depth
from occupy_jit.kernels.sliding_ball_maximum import sliding_maximum
from occupy_jit.settings import Settings


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
        Value at scale 1, above the zero level, in units of the map.
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
    kernel : occupy_jit.scale.Kernel
    lowpass_angstrom, voxel_size : float
        Å.
    quiet : occupy_jit.scale.Quiet
        Which voxels were taken for empty solvent.
    solvent : occupy_jit.solvent.SolventModel
    verdicts : list of (code, sentence)
        What the user should know about the map.
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
    kernel: object
    lowpass_angstrom: float
    voxel_size: float
    quiet: object
    solvent: object
    verdicts: list = field(default_factory=list)

    @property
    def quiet_share(self):
        """float : Share of the inscribed sphere that is quiet."""
        return self.quiet.share


def derived_lowpass(settings, voxel_size):
    """Low-pass resolution in Å: as given, else the resolution, else six voxels."""
    return settings.lowpass_input_angstrom or settings.resolution_angstrom or scale_.LOWPASS_VOXELS * voxel_size


def estimate(volume, settings=None, *, voxel_size=None, solvent_mask=None, with_confidence=True, keep_lowpass=True,
             overwrite=False, full_scale=None, thread_count=None):
    """Estimate local scale and confidence of a map.

    Parameters
    ----------
    volume : (nz, ny, nx) array, or a map from `occupy_jit.read_map`
        Real, finite.
    settings : Settings, optional
    voxel_size : float, optional
        Å. Needed for a bare array; for a map it is its own.
    solvent_mask : (nz, ny, nx) array, optional
        Marks what is not solvent (soft or binary). It aids the solvent model only; the scale does not depend on it.
    with_confidence, keep_lowpass : bool
        Whether these are wanted in the result.
    overwrite : bool
        `volume` may be used as working space: saves one volume of memory.
    full_scale : float, optional
        Use this full scale (classes that share one) instead of searching.
    thread_count : int, optional
        Never changes the result.

    Returns
    -------
    Result

    Raises
    ------
    TypeError, ValueError
        If `volume` is not a 3-D array of real numbers, or no voxel size is known.
    InputError
        If the map is constant or not finite.
    """
    settings = Settings() if settings is None else settings
    if hasattr(volume, "voxel_size"):
        voxel_size = volume.voxel_size if voxel_size is None else voxel_size
        volume = volume.data
    if voxel_size is None or not (math.isfinite(voxel_size) and voxel_size > 0):
        raise ValueError(f"voxel_size must be a positive number of Å, not {voxel_size}")
    volume = as_volume(volume)
    with threads(thread_count):
        return _estimate(volume, settings, float(voxel_size), solvent_mask, with_confidence, keep_lowpass, overwrite,
                         full_scale, thread_count)


def _estimate(volume, settings, voxel_size, solvent_mask, with_confidence, keep_lowpass, overwrite, known_full_scale,
              thread_count):
    lowest, highest, not_finite = voxel_statistics.volume_range(volume)
    if not_finite:
        raise InputError(f"{not_finite} voxels are NaN or infinite: repair the map first")
    if not lowest < highest:
        raise InputError(f"the map is constant ({lowest:g}): there is nothing to estimate")
    on_raw_map = settings.scale_mode == "resolution"
    repeated = verdicts_.repeated_value_share(volume)
    lowpass_angstrom = derived_lowpass(settings, voxel_size)
    kernel = scale_.choose_kernel(lowpass_angstrom, voxel_size, settings.kernel_size, settings.kernel_radius)

    lowpassed = fourier.lowpass(volume, lowpass_angstrom, voxel_size, threads=thread_count,
                                out=volume if overwrite and not on_raw_map else None)
    quiet = scale_.find_quiet(lowpassed, voxel_size)
    zero, noise, quiet_count = quiet.mean_and_deviation(lowpassed)
    quiet.share = quiet_count / scale_.voxels_in_sphere(volume.shape)
    model = _solvent_model(lowpassed, solvent_mask, verdict_list := [])

    source = volume if on_raw_map else lowpassed
    if on_raw_map:
        zero = quiet.mean_and_deviation(source)[0]
    found = scale_.full_scale(source, zero, kernel, voxel_size, settings.tau, settings.tile_size_angstrom,
                              settings.naive_normalisation)
    full, corner, tile, tau = found
    if known_full_scale is not None:
        full, corner = float(known_full_scale), None
    maximum = sliding_maximum(source, kernel.radius, kernel.size)
    if not keep_lowpass and not on_raw_map and not overwrite:
        del lowpassed
    floor_measured = max(quiet.median(maximum, zero), 0.0)
    _, spread, _ = quiet.mean_and_deviation(maximum)
    floor = floor_measured if settings.noise_floor is None else settings.noise_floor
    full, floor = verdicts_.usable_levels(full, floor, settings.noise_floor is not None, verdict_list)

    depth = cap = None
    if with_confidence and not settings.no_confidence:
        cap = confidence_.cap_level(floor_measured, spread, full)
        depth = np.empty_like(maximum)
    scale = scale_and_depth(maximum, zero, floor, full, np.inf if cap is None else cap, out=maximum, depth=depth)
    confident = None
    if with_confidence:
        if settings.no_confidence:
            confident = confidence_.certain(volume.shape)
        else:
            confident = confidence_.confidence(depth, scale, floor_measured, cap, quiet, kernel, voxel_size,
                                               settings.hedge_confidence)
    result = Result(scale, confident, lowpassed if keep_lowpass else None, full, zero, floor, noise, spread / full,
                    corner, tile, tau, kernel, lowpass_angstrom, voxel_size, quiet, model, verdict_list)
    verdicts_.judge(result, repeated)
    return result


def _solvent_model(lowpassed, solvent_mask, verdict_list):
    """Histogram inside the sphere, or of the solvent part of the mask, and the Gaussian fitted to it."""
    if solvent_mask is not None:
        values = _solvent_values(lowpassed, solvent_mask, verdict_list)
        counts, edges = np.histogram(values.astype(np.float64), solvent.BINS)
        return solvent.fit(counts, edges)
    low, high, _ = voxel_statistics.volume_range(lowpassed, inside=True)
    if not low < high:
        low, high = low - abs(low) * 1e-3 - 1e-30, high + abs(high) * 1e-3 + 1e-30
    counts = voxel_statistics.histogram(lowpassed, low, high, solvent.BINS, inside=True)
    return solvent.fit(counts, np.linspace(low, high, solvent.BINS + 1))


def _solvent_values(lowpassed, mask, verdict_list):
    """Voxels of the solvent side of a mask that marks non-solvent; the side with the lower variance is solvent."""
    mask = as_volume(mask, "solvent mask")
    if mask.shape != lowpassed.shape:
        raise ValueError(f"solvent mask: shape {mask.shape} differs from the map's {lowpassed.shape}")
    middle = 0.5 * (float(mask.min()) + float(mask.max()))
    marked = lowpassed[mask > middle]
    unmarked = lowpassed[mask <= middle]
    if marked.size < 1000 or unmarked.size < 1000:
        raise InputError("the solvent definition marks everything or nothing: it must leave at least 1000 voxels "
                         "on either side")
    if marked.var(dtype=np.float64) < unmarked.var(dtype=np.float64):
        verdict_list.append(("solvent-def-inverted", "the solvent definition marks solvent: used the other way round"))
        return marked
    return unmarked
