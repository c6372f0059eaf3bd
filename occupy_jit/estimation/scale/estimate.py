"""From a map to scale, confidence and what was measured on the way. Arrays only, no files."""

import math

import numpy as np

from occupy_jit.errors import InputError
from occupy_jit.estimation import flexibility
from occupy_jit.estimation.fourier import filters
from occupy_jit.estimation.grids import in_place, sections_at_a_time
from occupy_jit.estimation.modification import equalise
from occupy_jit.estimation.noise import half_maps, halves_of_other_map, solvent_nearby
from occupy_jit.estimation.scale import confidence, errors, reference, verdicts
from occupy_jit.estimation.scale import full_scale as levels
from occupy_jit.estimation.scale.ball import LOWPASS_VOXELS, choose_ball
from occupy_jit.estimation.scale.result import Result
from occupy_jit.estimation.solvent import definition as solvent_definition
from occupy_jit.estimation.solvent import model as solvent
from occupy_jit.estimation.solvent.quiet_voxels import find_quiet
from occupy_jit.kernels import moments, quantiles
from occupy_jit.kernels.grid.arguments import as_volume
from occupy_jit.kernels.grid.sphere import voxels_in_sphere
from occupy_jit.kernels.jit.decorator import threads
from occupy_jit.kernels.map_pairs import share_of_zeros
from occupy_jit.kernels.sliding_ball_maximum import sliding_maximum
from occupy_jit.kernels.sliding_sections import overwrite_with_maximum
from occupy_jit.kernels.standard_error import scale_error
from occupy_jit.kernels.voxelwise import scale_and_depth
from occupy_jit.modifications import requested
from occupy_jit.settings import LARGEST_VALUE, LOCAL, SMALLEST_RANGE, Settings


def derived_lowpass(settings, voxel_size):
    """Low-pass resolution in Å: as given, else the resolution, else six voxels."""
    return settings.lowpass_input_angstrom or settings.resolution_angstrom or LOWPASS_VOXELS * voxel_size


def estimate(volume, settings=None, *, voxel_size=None, solvent_mask=None, with_confidence=True, keep_lowpass=True,
             overwrite=False, full_scale=None, half_difference=None, half_mean=None, overwrite_halves=False,
             with_error=False, with_noise_error=False, reference_mask=None, strongest_corner=None, value_range=None,
             thread_count=None):
    """Estimate local scale and confidence of a map.

    Parameters
    ----------
    volume : (nz, ny, nx) array, or a map from `occupy_jit.read_map`
        Real, finite.
    settings : Settings, optional
    voxel_size : float, optional
        Å. Needed for a bare array; for a map it is its own.
    solvent_mask : (nz, ny, nx) array, optional
        Marks what is not solvent (soft or binary). Confidence and solvent model are judged by the solvent's side of
        it; the scale does not depend on it.
    with_confidence, keep_lowpass : bool
        Whether these are wanted in the result.
    overwrite : bool
        `volume` may be used as working space: saves one volume of memory.
    full_scale : float, optional
        Use this full scale (classes that share one) instead of searching.
    half_difference : (nz, ny, nx) float32 array, optional
        Half of the difference of two half maps whose mean `volume` is: noise is then known at every place. See
        `occupy_jit.join_half_maps`.
    half_mean : (nz, ny, nx) float32 array, optional
        The mean of the half maps, where `volume` is another map that was made of them: scale and confidence are then
        those of the halves, brought to the spectrum and the zero level of `volume`.
    overwrite_halves : bool
        `half_difference` and `half_mean` may be used as working space.
    with_error : bool
        Whether the standard error of the scale is wanted.
    with_noise_error : bool
        Whether that of noise alone is, which is what two maps of one structure differ by.
    reference_mask : (nz, ny, nx) array, optional
        Marks (soft or binary) a part that is fully occupied: full scale is what it reads.
    strongest_corner : (z, y, x), optional
        With `full_scale`: first voxel of the cube that this map's own full scale would be read in, where errors see how
        uneven content is.
    value_range : (low, high), optional
        Smallest and largest value, where they are known and finite: they are not looked for again.
    thread_count : int, optional
        Never changes the result.

    Returns
    -------
    Result

    Raises
    ------
    TypeError, ValueError
        If `volume` is not a 3-D array of real numbers, or `settings` are none, or no voxel size is known; if full scale
        is both given and to be that of a mask; if flexibility is to be told from occupancy without what that needs.
    InputError
        If the map is constant or not finite, or the reference mask holds too little, or flexibility cannot be told.
    """
    settings = _settings(settings)
    volume, voxel_size = _checked(volume, voxel_size)
    if reference_mask is not None and full_scale is not None:
        raise ValueError("full_scale and reference_mask: each sets full scale, give one of them")
    if half_difference is not None:
        half_difference = as_volume(half_difference, "half maps")
    if half_mean is not None:
        if half_difference is None:
            raise ValueError("half_mean goes with half_difference")
        half_mean = as_volume(half_mean, "half maps")
    if settings.separate_flexibility:
        if overwrite or not keep_lowpass or full_scale is not None:
            raise ValueError("separate_flexibility: the map and its low-pass are needed afterwards, and full scale has "
                             "to be its own")
        overwrite_halves = False  # they are needed, too
    with threads(thread_count):
        bands_wanted = with_confidence and not overwrite and equalise.wanted(settings)
        result = _estimate(volume, settings, voxel_size, solvent_mask, with_confidence, keep_lowpass, overwrite,
                           full_scale, half_difference, half_mean, overwrite_halves, with_error, with_noise_error,
                           reference_mask, strongest_corner, bands_wanted, value_range, thread_count)
        if with_confidence and not overwrite:
            # now that the estimate's own working space is free
            noise = half_difference
            if bands_wanted and result.half_gain is not None:
                noise = filters.filter_radially(noise, result.half_gain, result.voxel_size, threads=thread_count,
                                                out=noise if overwrite_halves else None)
            equalise.prepare(volume, result, settings, noise, thread_count)
        if settings.separate_flexibility:
            of_halves = volume if half_mean is None else half_mean
            result.flexibility = flexibility.separate(of_halves, half_difference, result, reference_mask, thread_count)
            flexibility.judge(result)
    return result


def measure_full_scale(volume, settings=None, *, voxel_size=None, overwrite=False, reference_mask=None,
                       thread_count=None):
    """Full scale alone, as `estimate` would find it: what several maps on one scale are first asked for.

    Parameters
    ----------
    volume, settings, voxel_size, overwrite, reference_mask, thread_count
        As for `estimate`.

    Returns
    -------
    FullScale

    Raises
    ------
    TypeError, ValueError, InputError
        As `estimate` does.
    """
    settings = _settings(settings)
    volume, voxel_size = _checked(volume, voxel_size)
    with threads(thread_count):
        _require_content(volume)
        on_raw_map = settings.scale_mode == "resolution"
        lowpass_angstrom = derived_lowpass(settings, voxel_size)
        ball = choose_ball(lowpass_angstrom, voxel_size, settings.kernel_size, settings.kernel_radius)
        lowpassed = filters.lowpass(volume, lowpass_angstrom, voxel_size, threads=thread_count,
                                    out=volume if overwrite and not on_raw_map else None)
        source = volume if on_raw_map else lowpassed
        quiet = find_quiet(lowpassed, voxel_size)
        zero, noise, _ = quiet.mean_and_deviation(source)
        maximum = local = None
        if reference_mask is not None or settings.noise_floor == LOCAL:
            maximum = sliding_maximum(source, ball.radius, ball.size)
        if settings.noise_floor == LOCAL:
            local = solvent_nearby.nearby_noise(source, maximum, zero, quiet, ball, voxel_size)
        found = levels.full_scale(source, zero, noise, ball, voxel_size, settings.tau, settings.tile_size_angstrom,
                                  settings.naive_normalisation, variance=local and local.variance)
        if reference_mask is None:
            return found
        floor = settings.noise_floor
        if local is not None:
            floor = local.floor
        elif floor is None:
            floor = max(quiet.median(maximum, zero), 0.0)
        return reference.full_scale_in_mask(reference_mask, source, maximum, None, zero, floor, quiet, ball, voxel_size,
                                            found)[0]


def _settings(settings):
    if settings is not None and not isinstance(settings, Settings):
        raise TypeError(f"settings must be occupy_jit.Settings(...), not {type(settings).__name__}")
    return settings or Settings()


def _checked(volume, voxel_size):
    """A map or an array as a volume of the kernels, and its voxel size."""
    if hasattr(volume, "voxel_size"):
        voxel_size = volume.voxel_size if voxel_size is None else voxel_size
        volume = volume.data
    if voxel_size is None or not (math.isfinite(voxel_size) and voxel_size > 0):
        raise ValueError(f"voxel_size must be a positive number of Å, not {voxel_size}")
    return as_volume(volume), float(voxel_size)


def _require_content(volume, known=None, what="the map"):
    """Smallest and largest value, if there is anything to estimate."""
    lowest, highest, not_finite = moments.volume_range(volume) if known is None else (*known, 0)
    if not_finite:
        raise InputError(f"{not_finite} voxels are NaN or infinite: repair the map first")
    if not lowest < highest:
        raise InputError(f"{what} is constant ({lowest:g}): there is nothing to estimate")
    if not SMALLEST_RANGE < highest - lowest < LARGEST_VALUE:
        raise InputError(f"the values span {highest - lowest:g}, too {'little' if highest - lowest < 1 else 'much'} to "
                         "compute with in single precision: multiply the map by a suitable number")
    return lowest, highest


def _estimate(volume, settings, voxel_size, solvent_mask, with_confidence, keep_lowpass, overwrite, known_full_scale,
              difference, half_mean, overwrite_halves, with_error, with_noise_error, reference_mask, strongest_corner,
              bands_wanted, value_range, thread_count):
    is_mean = difference is not None and half_mean is None
    lowest, highest = _require_content(volume, value_range, "the mean of the half maps" if is_mean else "the map")
    on_raw_map = settings.scale_mode == "resolution"
    repeated = verdicts.repeated_value_share(volume if half_mean is None else half_mean)
    lowpass_angstrom = derived_lowpass(settings, voxel_size)
    ball = choose_ball(lowpass_angstrom, voxel_size, settings.kernel_size, settings.kernel_radius)

    known = equal = None
    if difference is not None:
        known, equal = _where_halves_differ(difference, volume)
    whole_spectrum = on_raw_map or bands_wanted
    gain = _gain_of_halves(volume, half_mean, None if whole_spectrum else lowpass_angstrom, voxel_size, thread_count)
    measured, reusable = (volume, overwrite) if half_mean is None else (half_mean, overwrite_halves)
    lowpassed = filters.lowpass(measured, lowpass_angstrom, voxel_size, threads=thread_count,
                                out=measured if reusable and not on_raw_map else None, gain=gain)
    quiet = find_quiet(lowpassed, voxel_size)
    zero, noise, quiet_count, low, high = quiet.survey(lowpassed)
    quiet.share = quiet_count / voxels_in_sphere(volume.shape)
    told_of_map = None
    if gain is not None:
        zero, shift, told_of_map = _brought_to_map(volume, lowpassed, zero, quiet, known, overwrite, lowpass_angstrom,
                                                   voxel_size, thread_count)
        low, high = low + shift, high + shift
    whole = model = _solvent_model(lowpassed, low, high)
    verdict_list = []
    if told_of_map is not None:
        halves_of_other_map.judge(*told_of_map, verdict_list)
    judging = quiet
    if solvent_mask is not None:
        definition = solvent_definition.understand(lowpassed, solvent_mask, verdict_list)
        model = solvent.fit(*solvent_definition.histogram(lowpassed, definition))
        if with_confidence and not settings.no_confidence:
            judging = solvent_definition.solvent_side(definition, ball, quiet, verdict_list)

    source = measured if on_raw_map else lowpassed
    source_noise, zero_of_lowpassed = noise, zero
    if on_raw_map and gain is not None:
        source = filters.filter_radially(half_mean, gain, voxel_size, threads=thread_count)
        mean, source_noise, _ = quiet.mean_and_deviation(source)
        source += np.float32(zero - mean)
    elif on_raw_map:
        zero, source_noise, _ = quiet.mean_and_deviation(source)
    local = judged = maximum = None
    if difference is not None:
        room = difference if overwrite_halves and not (on_raw_map or bands_wanted) else None
        filtered = filters.lowpass(difference, lowpass_angstrom, voxel_size, threads=thread_count, out=room, gain=gain)
        judged = half_maps.judge(lowpassed, filtered, zero_of_lowpassed, quiet, equal, verdict_list)
        if not on_raw_map:
            difference = filtered
        elif gain is not None:
            difference = filters.filter_radially(difference, gain, voxel_size, threads=thread_count,
                                                 out=difference if overwrite_halves and not bands_wanted else None)
        del filtered
        if told_of_map is not None:
            judged |= {"map_correlation": told_of_map[0], "map_flattened": told_of_map[1]}
        local = half_maps.local_noise(source, difference, ball, voxel_size, known)
        known = None
    elif settings.noise_floor == LOCAL:
        maximum = sliding_maximum(source, ball.radius, ball.size)
        local = solvent_nearby.nearby_noise(source, maximum, zero, quiet, ball, voxel_size)
    found = levels.full_scale(source, zero, source_noise, ball, voxel_size, settings.tau, settings.tile_size_angstrom,
                              settings.naive_normalisation, known_full_scale, local and local.variance)
    full_error = errors.full_scale_error(source, source_noise, found)
    strongest = found if strongest_corner is None else found._replace(corner=tuple(strongest_corner))
    of_source = errors.defining_values(source, strongest, reference_mask) if with_error else None
    if maximum is None and in_place(source.shape, with_confidence,
                                    keep_lowpass or on_raw_map or reference_mask is not None):
        maximum = overwrite_with_maximum(source, ball.radius, ball.size, sections_at_a_time(len(source)))
    elif maximum is None:
        maximum = sliding_maximum(source, ball.radius, ball.size)
    # where nobody wants it any more it is working space
    spare = None if keep_lowpass else lowpassed
    floor_measured = max(quiet.median(maximum, zero), 0.0)
    _, spread, _ = quiet.mean_and_deviation(maximum, smooth=True)
    given = settings.noise_floor not in (None, LOCAL)
    floor = settings.noise_floor if given else floor_measured
    locally = local is not None and not given
    told = None
    if reference_mask is not None:
        found, full_error, told = reference.full_scale_in_mask(
            reference_mask, source, maximum, difference, zero, local.floor if locally else floor, quiet, ball,
            voxel_size, found)
    full, floor = verdicts.usable_levels(found.value, found.quantile, floor, given, verdict_list)
    if told is not None:
        reference.judge(told, full, verdict_list)

    floors = floor
    locally = locally and floor > 0
    if locally:
        floors, floor = local.floor, max(quiet.median_of(local.floor), 0.0)
    error = noise_error = None
    of_map = difference is None
    variance = source_noise ** 2
    if local is not None:
        variance = local.variance if of_map else local.maximum_variance
    if with_noise_error:
        noise_error = scale_error(maximum, zero, floors, variance, full, 0.0, of_map)
    if with_error:
        structure = errors.structural_variation(of_source, maximum, floors, variance, strongest, full, of_map,
                                                         reference_mask)
        room = None if of_map or keep_lowpass or on_raw_map else difference
        error = scale_error(maximum, zero, floors, variance, full, structure, of_map, out=room)
    del source

    depth = cap = even = None
    if with_confidence and not settings.no_confidence and difference is not None and locally:
        even = floor, confidence.least_floor(floor, full)
        depth = spare if spare is not None and quiet.on_cells else np.empty_like(maximum)
    elif with_confidence and not settings.no_confidence:
        cap_from = floor_measured, spread
        if judging is not quiet:
            cap_from = max(judging.median(maximum, zero), 0.0), judging.mean_and_deviation(maximum, smooth=True)[1]
        cap = confidence.cap_level(*cap_from, full)
        # on the grid of cells the evidence needs no volume of its own: the one that is no longer wanted holds it
        depth = spare if spare is not None and quiet.on_cells else np.empty_like(maximum)
    scale = scale_and_depth(maximum, zero, floors, full, np.inf if cap is None else cap, out=maximum, depth=depth,
                            even=even)
    if even is not None:
        # levels of what is in units of the noise around each voxel
        cap_from = max(-judging.median(depth), 0.0), judging.mean_and_deviation(depth, smooth=True)[1]
        cap = confidence.cap_level(*cap_from, full)
        for section in depth:
            np.maximum(section, np.float32(-cap), out=section)
    confident = None
    if with_confidence:
        if settings.no_confidence:
            confident = confidence.certain(volume.shape)
        else:
            confident = confidence.confidence(depth, scale, cap_from[0], cap, judging, ball, voxel_size,
                                              settings.hedge_confidence, _gate(settings), spare, judging is not quiet)
    result = Result(scale, confident, lowpassed if keep_lowpass else None, full, zero, floor, noise, spread / full,
                    found.corner, found.tile, found.tau, ball, lowpass_angstrom, voxel_size, quiet, model,
                    (lowest, highest), verdict_list, full_scale_quantile=found.quantile, full_scale_error=full_error,
                    error=error, half_difference=difference if keep_lowpass else None,
                    local_noise=local if keep_lowpass or judged is not None else None, half_maps=judged,
                    half_gain=gain, reference=told,
                    floor_is_local=locally, noise_error=noise_error)
    result.content_noise = source_noise / full
    result.solvent_limit = levels.solvent_limit(floor_measured, spread, floor, full)
    verdicts.judge(result, repeated, whole, given)
    return result


def _gain_of_halves(volume, half_mean, lowpass_angstrom, voxel_size, thread_count):
    """What brings half maps to the spectrum of a map, as far as the low-pass reaches; None where they are the map."""
    if half_mean is None:
        return None
    if half_mean.shape != volume.shape:
        raise ValueError(f"half maps: shape {half_mean.shape} differs from the map's {volume.shape}")
    highest = np.inf
    if lowpass_angstrom is not None:
        highest = filters.highest_frequency_of(lowpass_angstrom, voxel_size, volume.shape)
    return halves_of_other_map.gain(volume, half_mean, voxel_size, highest, thread_count)


def _brought_to_map(volume, lowpassed, zero, quiet, known, overwrite, lowpass_angstrom, voxel_size, thread_count):
    """Shift the low-passed half maps to the zero level of the map; that, the shift, and how well they go together."""
    level, flattened = halves_of_other_map.zero_level(volume, quiet, known)
    own = filters.lowpass(volume, lowpass_angstrom, voxel_size, threads=thread_count, out=volume if overwrite else None)
    agreement = halves_of_other_map.correlation(lowpassed, own, quiet)
    lowpassed += np.float32(level - zero)
    return level, level - zero, (agreement, flattened)


def _where_halves_differ(difference, volume):
    """Where noise can be seen, if not everywhere, and the share of the sphere where it cannot."""
    if difference.shape != volume.shape:
        raise ValueError(f"half maps: shape {difference.shape} differs from the map's {volume.shape}")
    equal = share_of_zeros(difference)
    return (difference != 0 if equal > half_maps.EQUAL_SHARE else None), equal


def _gate(settings):
    """Scale at which confidence starts and is complete."""
    amplifies = any(kind.amplifies for kind in requested(settings))
    return confidence.STRICT_GATE if amplifies and settings.exclude_solvent else confidence.GATE


def _solvent_model(lowpassed, low, high):
    """Histogram inside the sphere and the Gaussian fitted to it."""
    edges = solvent.edges_between(low, high)
    return solvent.fit(quantiles.histogram(lowpassed, edges[0], edges[-1], solvent.BINS, inside=True), edges)
