"""The steps of an estimate, each from earlier results to a small frozen value.

Memory: a step may overwrite arrays that no later step needs, as the inputs allow; a value then holds the new array.
`volumes` lists the volumes in memory during each step.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from occupy_jit.errors import InputError
from occupy_jit.estimation.fourier import filters
from occupy_jit.estimation.grids import in_place, sections_at_a_time
from occupy_jit.estimation.noise import half_maps, halves_of_other_map, solvent_nearby
from occupy_jit.estimation.noise.half_maps import HalfMapsFacts, LocalNoise
from occupy_jit.estimation.noise.halves_of_other_map import Gain
from occupy_jit.estimation.scale import composition, errors, facts, reference
from occupy_jit.estimation.scale import confidence as confidences
from occupy_jit.estimation.scale import full_scale as levels
from occupy_jit.estimation.scale.ball import evidence_lowpass
from occupy_jit.estimation.scale.full_scale import noise_free_maximum
from occupy_jit.estimation.scale.inputs import Inputs, Room
from occupy_jit.estimation.scale.reference import Reference
from occupy_jit.estimation.scale.result import FullScale, IgnoredFloor
from occupy_jit.estimation.scale.strongest_cube import weight_of_quantile
from occupy_jit.estimation.solvent import definition as definitions
from occupy_jit.estimation.solvent import flattened, model
from occupy_jit.estimation.solvent.model import SolventModel
from occupy_jit.estimation.solvent.quiet_voxels import Quiet, find_quiet
from occupy_jit.kernels import moments, quantiles
from occupy_jit.kernels.grid.binned import cell_mean
from occupy_jit.kernels.grid.sphere import voxels_in_sphere
from occupy_jit.kernels.map_pairs import share_of_zeros
from occupy_jit.kernels.sliding_ball_maximum import sliding_maximum
from occupy_jit.kernels.sliding_sections import overwrite_with_maximum
from occupy_jit.kernels.standard_error import scale_error
from occupy_jit.kernels.voxelwise import scale_and_depth
from occupy_jit.modifications import requested
from occupy_jit.settings import LARGEST_VALUE, LOCAL, SMALLEST_RANGE, Settings

_STRONGEST, _STRONG = 0.999, 0.75  # content above this share of this quantile measures what a wider low-pass keeps
_LEAST_KEPT = 0.1


@dataclass(frozen=True)
class LowPassed:
    """The map after its low-pass.

    Attributes
    ----------
    volume : (nz, ny, nx) float32 array
    value_range : (float, float)
        Smallest and largest value before the low-pass.
    repeated_share : float
        Share of the voxels with the most frequent value before the low-pass.
    gain : Gain or None
        Factors that brought half maps to the spectrum of the map.
    halves_differ : (nz, ny, nx) array of bool, or None
        Voxels in which the half maps differ, if they were masked alike.
    equal_share : float or None
        Share of the inscribed sphere in which they are equal.
    """

    volume: np.ndarray
    value_range: tuple[float, float]
    repeated_share: float
    gain: Gain | None
    halves_differ: np.ndarray | None
    equal_share: float | None


@dataclass(frozen=True)
class Solvent:
    """The solvent, its level and its noise.

    Attributes
    ----------
    quiet : Quiet
    quiet_share : float
        Share of the inscribed sphere that is quiet.
    zero, noise : float
        Mean and standard deviation of the low-passed map over the quiet voxels.
    model, whole : SolventModel
        Of the solvent side of a solvent definition, and of the whole sphere; the same without a definition.
    judging : Quiet
        The solvent voxels for the confidence.
    definition_inverted : bool
    definition_left : int or None
        Number of voxels that a tight solvent definition leaves.
    map_correlation, map_flattened : float or None
        Agreement of half maps with the map made from them.
    """

    quiet: Quiet
    quiet_share: float
    zero: float
    noise: float
    model: SolventModel
    whole: SolventModel
    judging: Quiet
    definition_inverted: bool = False
    definition_left: int | None = None
    map_correlation: float | None = None
    map_flattened: float | None = None


@dataclass(frozen=True)
class Noise:
    """The input of the sliding maximum, and its noise.

    Attributes
    ----------
    source : (nz, ny, nx) float32 array
    zero, deviation : float
        Its mean and standard deviation over the quiet voxels.
    difference : (nz, ny, nx) float32 array or None
        Half of the difference of the half maps, with the filter of the source.
    local : LocalNoise or None
    half_maps : HalfMapsFacts or None
    maximum : (nz, ny, nx) float32 array or None
        Sliding maximum of the source, if local noise needed it.
    """

    source: np.ndarray
    zero: float
    deviation: float
    difference: np.ndarray | None
    local: LocalNoise | None
    half_maps: HalfMapsFacts | None
    maximum: np.ndarray | None


@dataclass(frozen=True)
class SearchedFullScale:
    """Full scale, and the values that define it.

    Attributes
    ----------
    found : FullScale
    error : float
        Standard error in units of the map.
    strongest : FullScale
        The region in which errors measure uneven content.
    values : (1, 1, n) float32 array or None
        Of the source there.
    """

    found: FullScale
    error: float
    strongest: FullScale
    values: np.ndarray | None


@dataclass(frozen=True)
class Contrast:
    """The sliding maximum with the levels that convert it into a scale.

    Attributes
    ----------
    maximum : (nz, ny, nx) float32 array
    found : FullScale
    full, floor : float
        Full scale and noise floor in use.
    floors : float or float32 array
        The local noise floor, if known.
    floor_measured, spread : float
        Median and standard deviation of the maximum over the quiet voxels.
    full_error : float
    stands_above_solvent : bool
    ignored_floor : IgnoredFloor or None
    reference : Reference or None
    error, noise_error : (nz, ny, nx) float32 array or None
    """

    maximum: np.ndarray
    found: FullScale
    full: float
    floor: float
    floors: float | np.ndarray
    floor_measured: float
    spread: float
    full_error: float
    stands_above_solvent: bool
    ignored_floor: IgnoredFloor | None
    reference: Reference | None
    error: np.ndarray | None = None
    noise_error: np.ndarray | None = None

    @property
    def is_local(self) -> bool:
        """bool : The noise floor is local."""
        return np.ndim(self.floors) > 0


@dataclass(frozen=True)
class Scale:
    """The local scale, and the basis of the confidence.

    Attributes
    ----------
    scale : (nz, ny, nx) float32 array
        Replaces the sliding maximum in memory.
    depth : (nz, ny, nx) float32 array or None
        ``-min(M', cap)``.
    floor, cap : float or None
        Noise floor and cap of the depth.
    cells : (cz, cy, cx) float32 array or None
        Means of the depth over the cells of two voxels, where the core needs them.
    """

    scale: np.ndarray
    depth: np.ndarray | None = None
    floor: float | None = None
    cap: float | None = None
    cells: np.ndarray | None = None


@dataclass(frozen=True)
class Evidence:
    """The data behind the confidence.

    Attributes
    ----------
    inputs : Inputs
        With the low-pass and the ball of the evidence.
    solvent : Solvent
        The solvent after that low-pass.
    spread : float
        Standard deviation of its sliding maximum over quiet solvent, as a share of full scale after that low-pass.
    wide : Scale or None
        With the depth after the wider low-pass, and without its scale; None if the depth of the scale suffices.
    """

    inputs: Inputs
    solvent: Solvent
    spread: float
    wide: Scale | None = None

    @property
    def lowpass_angstrom(self) -> float | None:
        """float or None : Resolution of its low-pass, Å; None where it is the low-pass of the scale."""
        return None if self.wide is None else self.inputs.lowpass_angstrom


def require_content(volume: np.ndarray, known: tuple[float, float] | None = None, what: str = "the map"
                   ) -> tuple[float, float]:
    """Smallest and largest value of a map, after a check of its values.

    Raises
    ------
    InputError
        Values are not finite, all equal, or not fit for single precision.
    """
    lowest, highest, not_finite = moments.volume_range(volume) if known is None else (*known, 0)
    if not_finite:
        raise InputError(f"{not_finite} voxels are NaN or infinite: repair the map first")
    if not lowest < highest:
        raise InputError(f"{what} is constant ({lowest:g}): there is nothing to estimate")
    if not SMALLEST_RANGE < highest - lowest < LARGEST_VALUE:
        raise InputError(f"the values span {highest - lowest:g}, too {'little' if highest - lowest < 1 else 'much'} to "
                         "compute with in single precision: multiply the map by a suitable number")
    return lowest, highest


def low_pass(inputs: Inputs) -> LowPassed:
    """Low-pass the map, or the mean of its half maps scaled to its spectrum."""
    is_mean = inputs.half_maps is not None and not inputs.beside_halves
    value_range = require_content(inputs.volume, inputs.room.value_range,
                                  "the mean of the half maps" if is_mean else "the map")
    repeated = flattened.repeated_value_share(inputs.measured)
    differ = equal = None
    if inputs.half_maps is not None:
        differ, equal = _where_halves_differ(inputs.difference, inputs.volume)
    gain = _gain_of_halves(inputs)
    out = inputs.measured if inputs.measured_is_free and not inputs.on_raw_map else None
    lowpassed = filters.lowpass(inputs.measured, inputs.lowpass_angstrom, inputs.voxel_size,
                                threads=inputs.thread_count, out=out, gain=gain)
    return LowPassed(lowpassed, value_range, repeated, gain, differ, equal)


def _where_halves_differ(difference, volume):
    """Voxels that show noise, if not all, and the share of the sphere without noise."""
    if difference.shape != volume.shape:
        raise ValueError(f"half maps: shape {difference.shape} differs from the map's {volume.shape}")
    equal = share_of_zeros(difference)
    return (difference != 0 if equal > half_maps.EQUAL_SHARE else None), equal


def _gain_of_halves(inputs):
    """Factors that bring half maps to the spectrum of a map; None if the map is their mean."""
    if not inputs.beside_halves:
        return None
    mean = inputs.half_maps.mean
    if mean.shape != inputs.volume.shape:
        raise ValueError(f"half maps: shape {mean.shape} differs from the map's {inputs.volume.shape}")
    highest = np.inf
    if not (inputs.on_raw_map or inputs.bands_wanted):
        highest = filters.highest_frequency_of(inputs.lowpass_angstrom, inputs.voxel_size, inputs.volume.shape)
    return halves_of_other_map.gain(inputs.volume, mean, inputs.voxel_size, highest, inputs.thread_count)


def find_solvent(inputs: Inputs, lowpassed: LowPassed) -> Solvent:
    """Find the quiet voxels, the zero level and the noise; low-passed half maps are shifted to the level of the map."""
    quiet = find_quiet(lowpassed.volume, inputs.voxel_size)
    zero, noise, count, low, high = quiet.survey(lowpassed.volume)
    share = count / voxels_in_sphere(inputs.volume.shape)
    agreement = flat = None
    if inputs.beside_halves:
        level, flat, agreement = _bring_to_map(inputs, lowpassed, quiet)
        shift = level - zero
        lowpassed.volume[...] += np.float32(shift)
        zero, low, high = level, low + shift, high + shift
    edges = model.edges_between(low, high)
    whole = model.fit(quantiles.histogram(lowpassed.volume, edges[0], edges[-1], model.BINS, inside=True), edges)
    if flat is not None:
        halves_of_other_map.require_agreement(agreement)
    found = Solvent(quiet, share, zero, noise, whole, whole, quiet, map_correlation=agreement, map_flattened=flat)
    return found if inputs.masks.solvent is None else _with_definition(inputs, lowpassed, found)


def _bring_to_map(inputs, lowpassed, quiet):
    """Zero level of the map, the flattened share of its solvent, and its agreement with the half maps."""
    level, flat = halves_of_other_map.zero_level(inputs.volume, quiet, lowpassed.halves_differ)
    own = filters.lowpass(inputs.volume, inputs.lowpass_angstrom, inputs.voxel_size, threads=inputs.thread_count,
                          out=inputs.volume if inputs.room.volume else None)
    return level, flat, halves_of_other_map.correlation(lowpassed.volume, own, quiet)


def _with_definition(inputs, lowpassed, found):
    """The solvent by a solvent definition."""
    definition = definitions.understand(lowpassed.volume, inputs.masks.solvent)
    fitted = model.fit(*definitions.histogram(lowpassed.volume, definition))
    judging, left, enough = found.judging, None, True
    if inputs.judges_content:
        judging, left, enough = definitions.solvent_side(definition, inputs.ball, found.quiet)
    return Solvent(found.quiet, found.quiet_share, found.zero, found.noise, fitted, found.whole, judging,
                   definition.inverted, None if enough else left, found.map_correlation, found.map_flattened)


def even_out(inputs: Inputs, lowpassed: LowPassed, solvent: Solvent) -> None:
    """Give nucleic acid that a mask marks the contrast of protein, in the low-passed map itself."""
    if inputs.masks.nucleic is not None:
        composition.as_protein(lowpassed.volume, solvent.zero, inputs.masks.nucleic)


def measure_noise(inputs: Inputs, lowpassed: LowPassed, solvent: Solvent) -> Noise:
    """The input of the sliding maximum, with its uniform or local noise."""
    source, zero, deviation = _source(inputs, lowpassed, solvent)
    nucleic = inputs.masks.nucleic
    if nucleic is not None and inputs.on_raw_map:  # the low-passed map has been evened out
        source = composition.as_protein(source, zero, nucleic, copy=True)
    if inputs.half_maps is not None:
        return _noise_of_halves(inputs, lowpassed, solvent, (source, zero, deviation))
    if inputs.settings.noise_floor != LOCAL:
        return Noise(source, zero, deviation, None, None, None, None)
    maximum = sliding_maximum(source, inputs.ball.radius, inputs.ball.size)
    local = solvent_nearby.nearby_noise(source, maximum, zero, solvent.quiet, inputs.ball, inputs.voxel_size)
    return Noise(source, zero, deviation, None, local, None, maximum)


def _source(inputs, lowpassed, solvent):
    """The input of the sliding maximum, its zero level and its deviation in solvent."""
    if not inputs.on_raw_map:
        return lowpassed.volume, solvent.zero, solvent.noise
    if lowpassed.gain is None:
        zero, deviation, _ = solvent.quiet.mean_and_deviation(inputs.measured)
        return inputs.measured, zero, deviation
    source = filters.filter_radially(inputs.half_maps.mean, lowpassed.gain, inputs.voxel_size,
                                     threads=inputs.thread_count)
    mean, deviation, _ = solvent.quiet.mean_and_deviation(source)
    source += np.float32(solvent.zero - mean)
    return source, solvent.zero, deviation


def _noise_of_halves(inputs, lowpassed, solvent, of_source):
    """The noise by half maps; raises InputError if they do not belong together."""
    source, zero, deviation = of_source
    difference, gain = inputs.difference, lowpassed.gain
    free = inputs.room.half_maps and not inputs.bands_wanted
    filtered = filters.lowpass(difference, inputs.lowpass_angstrom, inputs.voxel_size, threads=inputs.thread_count,
                               out=difference if free and not inputs.on_raw_map else None, gain=gain)
    nucleic = inputs.masks.nucleic
    if nucleic is not None:
        filtered = composition.as_protein(filtered, 0.0, nucleic, copy=not free or inputs.on_raw_map)
    judged = half_maps.judge(lowpassed.volume, filtered, solvent.zero, solvent.quiet, lowpassed.equal_share)
    judged = replace(judged, map_correlation=solvent.map_correlation, map_flattened=solvent.map_flattened,
                     second_multiplied_with=inputs.half_maps.factor)
    if not inputs.on_raw_map:
        difference = filtered
    elif gain is not None:
        difference = filters.filter_radially(difference, gain, inputs.voxel_size, threads=inputs.thread_count,
                                             out=difference if free else None)
    if nucleic is not None and inputs.on_raw_map:
        difference = composition.as_protein(difference, 0.0, nucleic, copy=True)
    del filtered
    local = half_maps.local_noise(source, difference, inputs.ball, inputs.voxel_size, lowpassed.halves_differ)
    return Noise(source, zero, deviation, difference, local, judged, None)


def find_full_scale(inputs: Inputs, noise: Noise) -> SearchedFullScale:
    """Search full scale, or use the common one of several maps."""
    known = inputs.full_scale
    level = levels.NoiseLevel(noise.zero, noise.deviation, noise.local and noise.local.variance,
                              inputs.masks.nucleic)
    found = levels.full_scale(noise.source, level, inputs.ball, inputs.voxel_size, inputs.settings,
                              None if known is None else known.value)
    of_quantile = 1.0 if inputs.settings.tau is not None else weight_of_quantile(inputs.ball, inputs.voxel_size)
    error = errors.full_scale_error(noise.source, noise.deviation, found, inputs.ball, of_quantile)
    strongest = found if known is None or known.corner is None else found._replace(corner=tuple(known.corner))
    values = None
    if inputs.wanted.error:
        values = errors.defining_values(noise.source, strongest, inputs.masks.reference)
    return SearchedFullScale(found, error, strongest, values)


def sliding_maximum_of(inputs: Inputs, noise: Noise) -> Any:
    """The sliding maximum of the source, in place if the source is not needed later."""
    if noise.maximum is not None:
        return noise.maximum
    source, ball = noise.source, inputs.ball
    kept = inputs.wanted.lowpass or inputs.on_raw_map or inputs.masks.reference is not None
    if in_place(source.shape, inputs.wanted.confidence or inputs.may_widen_evidence, kept):
        return overwrite_with_maximum(source, ball.radius, ball.size, sections_at_a_time(len(source)))
    return sliding_maximum(source, ball.radius, ball.size)


def measure_contrast(inputs: Inputs, solvent: Solvent, noise: Noise, searched: SearchedFullScale) -> Contrast:
    """The sliding maximum, full scale and noise floor in use, and the resulting standard errors."""
    maximum, quiet = sliding_maximum_of(inputs, noise), solvent.quiet
    floor_measured, spread = _floor_and_spread(quiet, maximum, noise.zero)
    given = inputs.settings.noise_floor not in (None, LOCAL)
    floor = inputs.settings.noise_floor if given else floor_measured
    locally = noise.local is not None and not given
    found, full_error, shown = searched.found, searched.error, None
    around = _floor_around(inputs, solvent, noise, maximum, (floor_measured, spread)) if locally else None
    if inputs.masks.reference is not None:
        found, full_error, shown = reference.full_scale_in_mask(
            inputs, noise, floor if around is None else around, quiet, found)
    full, floor, ignored = facts.usable_levels(found.value, found.quantile, floor, given)
    floors = floor
    if around is not None and floor > 0:
        floors, floor = around, max(quiet.median_of(around), 0.0)
    contrast = Contrast(maximum, found, full, floor, floors, floor_measured, spread, full_error, found.value > 0,
                        ignored, shown)
    return _with_errors(inputs, noise, searched, contrast)


def _floor_and_spread(quiet, maximum, zero):
    """Median above zero, and standard deviation, of the sliding maximum over quiet voxels."""
    return max(quiet.median(maximum, zero), 0.0), quiet.mean_and_deviation(maximum, smooth=True)[1]


def _floor_around(inputs, solvent, noise, maximum, of_solvent):
    """Local noise floor; with half maps and solvent, corrected by the noise in solvent."""
    floors, (measured, spread) = noise.local.floor, of_solvent
    if noise.half_maps is None or facts.solvent_is_missing(solvent, spread, measured):
        return floors
    floors = half_maps.with_common_part(floors, max(solvent.quiet.median_of(floors), 0.0), measured)
    return half_maps.solvent_floor_without_content(floors, maximum, noise.zero, measured, inputs.voxel_size)


def _with_errors(inputs, noise, searched, contrast):
    """The contrast with the requested standard errors of the scale."""
    if not (inputs.wanted.error or inputs.wanted.noise_error):
        return contrast
    error = noise_error = None
    of_map = noise.difference is None
    variance = noise.deviation ** 2
    if noise.local is not None:
        variance = noise.local.variance if of_map else noise.local.maximum_variance
    maximum, zero, floors, full = contrast.maximum, noise.zero, contrast.floors, contrast.full
    if inputs.wanted.noise_error:
        noise_error = scale_error(maximum, zero, floors, variance, full, 0.0, of_map)
    if inputs.wanted.error:
        structure = errors.structural_variation(searched, contrast, variance, of_map, inputs.masks.reference)
        room = None if of_map or inputs.wanted.lowpass or inputs.on_raw_map else noise.difference
        error = scale_error(maximum, zero, floors, variance, full, structure, of_map, out=room)
    return replace(contrast, error=error, noise_error=noise_error)


def make_scale(inputs: Inputs, solvent: Solvent, noise: Noise, contrast: Contrast, spare: np.ndarray | None) -> Scale:
    """The local scale, in place of the sliding maximum, and the depth for the confidence.

    Parameters
    ----------
    inputs, solvent, noise, contrast
        The steps before; `noise` no longer needs its source.
    spare : (nz, ny, nx) float32 array or None
        Working space.
    """
    maximum, zero, full = contrast.maximum, noise.zero, contrast.full
    if not inputs.judges_content:
        return Scale(scale_and_depth(maximum, zero, contrast.floors, full, np.inf, out=maximum, depth=None, even=None))
    # on the grid of cells the evidence needs no further volume: it replaces one that is no longer needed
    room = spare if solvent.quiet.on_cells else None
    if noise.difference is not None and contrast.is_local:
        scale = _scale_in_local_noise(solvent.judging, noise, contrast, room)
    else:
        scale = _scale_in_even_noise(inputs, solvent, noise, contrast, room)
    if inputs.core_on_cells and scale.cells is None:
        scale = replace(scale, cells=cell_mean(scale.depth))
    return scale


def _scale_in_local_noise(judging, noise, contrast, room):
    """The scale, with depths in units of the local noise, whose levels follow afterwards."""
    maximum, full = contrast.maximum, contrast.full
    depth = np.empty_like(maximum) if room is None else room
    even = contrast.floor, confidences.least_floor(contrast.floor, full)
    scale = scale_and_depth(maximum, noise.zero, contrast.floors, full, np.inf, out=maximum, depth=depth, even=even)
    floor, spread = max(-judging.median(depth), 0.0), judging.mean_and_deviation(depth, smooth=True)[1]
    cap = confidences.cap_level(floor, spread, full)
    for section in depth:
        np.maximum(section, np.float32(-cap), out=section)
    return Scale(scale, depth, floor, cap)


def _scale_in_even_noise(inputs, solvent, noise, contrast, room):
    """The scale, with depths in units of the map; only on cells if nothing but the core needs them."""
    maximum, zero, full = contrast.maximum, noise.zero, contrast.full
    floor, spread = contrast.floor_measured, contrast.spread
    if solvent.judging is not solvent.quiet:
        floor, spread = _floor_and_spread(solvent.judging, maximum, zero)
    cap = confidences.cap_level(floor, spread, full)
    if not inputs.confidence_from_evidence:
        cells = cell_mean(maximum, centre=zero, cap=cap)
        scale = scale_and_depth(maximum, zero, contrast.floors, full, np.inf, out=maximum, depth=None, even=None)
        return Scale(scale, None, floor, cap, np.negative(cells, out=cells))
    depth = np.empty_like(maximum) if room is None else room
    scale = scale_and_depth(maximum, zero, contrast.floors, full, cap, out=maximum, depth=depth, even=None)
    return Scale(scale, depth, floor, cap)


def gather_evidence(inputs: Inputs, lowpassed: LowPassed, solvent: Solvent, noise: Noise, contrast: Contrast
                    ) -> Evidence:
    """The data behind the confidence, if they differ from those of the scale.

    In noisy maps with coarse voxels the low-pass of the scale has few voxels, and its maximum is mostly noise in weak
    content. The evidence then comes from a wider low-pass, with its own ball, solvent and noise.

    Inside a mask of nucleic acid, the evidence is the full contrast, with the default ball.
    """
    wide = None
    if inputs.judges_content and not inputs.on_raw_map:
        # noise has a higher maximum over the default ball than over a narrower one
        relative_floor = contrast.floor_measured / contrast.full * inputs.ball.noise_of_default
        wide = evidence_lowpass(inputs.lowpass_angstrom, inputs.voxel_size, relative_floor)
    nucleic = inputs.masks.nucleic
    apart = nucleic is not None and inputs.judges_content and contrast.floor_measured > 0
    if wide is None and (inputs.on_raw_map or not apart):
        return Evidence(inputs, solvent, contrast.spread / contrast.full)
    resolution = inputs.lowpass_angstrom if wide is None else wide
    settings = replace(inputs.settings, lowpass_input_angstrom=resolution, kernel_size=None, kernel_radius=None)
    inputs = replace(inputs, volume=lowpassed.volume, settings=settings, half_maps=None, room=Room(),
                     masks=replace(inputs.masks, nucleic=None))
    volume = lowpassed.volume.copy() if wide is None else filters.lowpass(
        lowpassed.volume, wide, inputs.voxel_size, threads=inputs.thread_count)
    if nucleic is not None and not contrast.is_local:  # what stands out of the same noise everywhere is not evened out
        composition.as_nucleic(volume, solvent.zero, nucleic)
    found = find_solvent(inputs, replace(lowpassed, volume=volume))
    maximum = sliding_maximum(volume, inputs.ball.radius, inputs.ball.size)
    del volume
    floor, spread = _floor_and_spread(found.quiet, maximum, found.zero)
    kept = _kept_contrast(contrast, noise.zero, maximum, found.zero, floor)
    lower = floor / contrast.floor_measured  # local noise is lower by the same factor
    contrast = replace(contrast, maximum=maximum, floor_measured=floor, spread=spread, floor=contrast.floor * lower,
                       floors=contrast.floors * np.float32(lower))
    scale = make_scale(inputs, found, replace(noise, zero=found.zero), contrast, None)
    return Evidence(inputs, found, spread / (kept * contrast.full), replace(scale, scale=maximum[:0]))


def _kept_contrast(contrast, zero, wide, wide_zero, floor):
    """Share of the contrast of the strongest content that a wider low-pass keeps.

    The content is selected after the wider low-pass, which has less noise.
    """
    every = (slice(None, None, 2),) * 3
    left = noise_free_maximum(wide[every] - np.float32(wide_zero), floor)
    strong = left >= _STRONG * np.quantile(left, _STRONGEST)
    own = noise_free_maximum(contrast.maximum[every][strong] - np.float32(zero), contrast.floor_measured)
    full = float(np.median(own))
    return max(float(np.median(left[strong])) / full, _LEAST_KEPT) if full > 0 else 1.0


def find_confidence(evidence: Evidence, scale: Scale, spare: np.ndarray | None) -> np.ndarray | None:
    """Confidence, (nz, ny, nx) float32 array in place of the depth; None if not requested."""
    inputs, solvent = evidence.inputs, evidence.solvent
    if not inputs.wanted.confidence:
        return None
    if inputs.settings.no_confidence:
        return confidences.certain(inputs.volume.shape)
    depth = (evidence.wide or scale).depth
    return confidences.confidence(depth, scale.scale, _ramp(evidence, scale), solvent.judging, inputs.ball,
                                  inputs.voxel_size, spare)


def _ramp(evidence, scale):
    """How the evidence becomes confidence."""
    judged, settings, solvent = evidence.wide or scale, evidence.inputs.settings, evidence.solvent
    return confidences.Ramp(judged.floor, judged.cap, gate(settings), settings.hedge_confidence,
                            solvent.judging is not solvent.quiet)


def find_content(evidence: Evidence, scale: Scale) -> confidences.Content | None:
    """Where a large map has content, as its core needs it; None if not wanted, or for a small map."""
    cells = (evidence.wide or scale).cells
    if cells is None:
        return None
    inputs = evidence.inputs
    return confidences.content_on_cells(cells, _ramp(evidence, scale), evidence.solvent.judging, inputs.ball,
                                        inputs.voxel_size)


def gate(settings: Settings) -> tuple[float, float]:
    """Scale at which confidence starts and is complete, for the requested modifications."""
    amplifies = any(kind.amplifies for kind in requested(settings))
    return confidences.STRICT_GATE if amplifies and settings.exclude_solvent else confidences.GATE
