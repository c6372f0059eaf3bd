"""From a map to scale, confidence and further results. Arrays only, no files."""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from occupy_jit.errors import InputError
from occupy_jit.estimation import flexibility
from occupy_jit.estimation.fourier import filters
from occupy_jit.estimation.modification import equalise
from occupy_jit.estimation.noise.half_maps import HalfMaps
from occupy_jit.estimation.scale import facts, hot_voxels, steps
from occupy_jit.estimation.scale import full_scale as levels
from occupy_jit.estimation.scale.inputs import (
    Inputs,
    Masks,
    Room,
    Wanted,
    checked_map,
    checked_settings,
    joined,
)
from occupy_jit.estimation.scale.result import Facts, FullScale, Result
from occupy_jit.estimation.scale.verdicts import verdicts
from occupy_jit.estimation.scale.visibility import spread_in_content, visibility
from occupy_jit.kernels.grid.arguments import as_volume
from occupy_jit.kernels.jit.decorator import threads
from occupy_jit.settings import LOCAL

if TYPE_CHECKING:
    from occupy_jit.settings import Settings


def estimate(volume: np.ndarray | None = None, settings: Settings | None = None, *, voxel_size: float | None = None,  # noqa: PLR0913 (the public interface)
             half_maps: tuple[np.ndarray, np.ndarray] | None = None, masks: Masks | None = None,
             wanted: Wanted | None = None, full_scale: float | FullScale | None = None,
             thread_count: int | None = None, **former: Any) -> Result:
    """Estimate local scale and confidence of a map.

    Parameters
    ----------
    volume : (nz, ny, nx) array, or a map from `occupy_jit.read_map`
        Real and finite. Optional with half maps: the map is then their mean.
    settings : Settings, optional
    voxel_size : float, optional
        Å. Required for an array; by default that of a map.
    half_maps : pair of (nz, ny, nx) arrays or maps, optional
        The two half maps of `volume`, which are not changed: they measure the local noise, and the scale is
        measured on their mean, brought to the spectrum and the zero level of `volume`.
    masks : Masks, optional
        Masks that mark solvent, and a part that is fully occupied.
    wanted : Wanted, optional
        Volumes of the result beside the scale; by default confidence and low-passed map.
    full_scale : float or FullScale, optional
        A full scale in units of the map, common to several maps, instead of a search.
    thread_count : int, optional
        Never changes the result.
    **former
        Keywords of earlier releases, with a DeprecationWarning.

    Returns
    -------
    Result

    Raises
    ------
    TypeError, ValueError
        If `volume` is not a 3-D array of real numbers, `settings` are not Settings, or the voxel size is unknown; if
        full scale is both given and to be measured in a mask; if the inputs do not allow the separation of flexibility.
    InputError
        If the map is constant or not finite, the reference mask is too small, the half maps do not belong to one
        map, or flexibility cannot be separated.
    """
    room = Room()
    if former:
        former = _FormerKeywords(former)  # pyright: ignore[reportAssignmentType]
        masks, wanted, full_scale, room = former.translated(masks, wanted, full_scale)  # pyright: ignore[reportAttributeAccessIssue]
    settings = checked_settings(settings)
    if half_maps is not None:
        joint, mean, voxel_size = joined(half_maps, voxel_size)
        volume, half_maps = (mean, joint) if volume is None else (volume, replace(joint, mean=mean))  # pyright: ignore[reportAssignmentType]
        room = replace(room, half_maps=True)  # they are copies
    elif former:
        half_maps = former.half_maps()  # pyright: ignore[reportAttributeAccessIssue]
    volume, voxel_size = checked_map(volume, voxel_size)
    if isinstance(full_scale, (int, float)):
        full_scale = FullScale(float(full_scale), None, 0, 0.0, 0.0, float(full_scale))
    return run_estimate(Inputs(volume, voxel_size, settings, half_maps, masks or Masks(), wanted or Wanted(),
                               full_scale, room, thread_count))


def run_estimate(inputs: Inputs) -> Result:
    """Estimate local scale and confidence from checked inputs; see `estimate`.

    Parameters
    ----------
    inputs : Inputs

    Returns
    -------
    Result
    """
    inputs = _without_hot_voxels(_consistent(inputs))
    with threads(inputs.thread_count):
        lowpassed = steps.low_pass(inputs)
        solvent = steps.find_solvent(inputs, lowpassed)
        steps.even_out(inputs, lowpassed, solvent)
        noise = steps.measure_noise(inputs, lowpassed, solvent)
        lowpassed = replace(lowpassed, halves_differ=None)
        searched = steps.find_full_scale(inputs, noise)
        contrast = steps.measure_contrast(inputs, solvent, noise, searched)
        evidence = steps.gather_evidence(inputs, lowpassed, solvent, noise, contrast)
        noise = replace(noise, source=None, maximum=None)
        spare = None if inputs.wanted.lowpass else lowpassed.volume  # no longer needed
        scale = steps.make_scale(inputs, solvent, noise, contrast, spare)
        contrast = replace(contrast, maximum=None)
        content = steps.find_content(evidence, scale)
        confidence = steps.find_confidence(evidence, scale, spare)
        result = _result(inputs, lowpassed, solvent, noise, contrast, (scale.scale, confidence, content, evidence))
        del spare, scale, confidence, content, evidence, contrast, noise, lowpassed
        if inputs.bands_wanted:
            result = replace(result, bands=_bands(inputs, result))
        if inputs.settings.separate_flexibility:
            result = replace(result, flexibility=flexibility.separate(
                inputs.measured, inputs.difference, result, inputs.masks.reference, inputs.thread_count))
        return replace(result, verdicts=verdicts(result))


LEAST_EDGE = 8
"""Fewest voxels along an axis for content and solvent."""


def _without_hot_voxels(inputs):
    """The inputs with a sufficiently large map without hot voxels."""
    if min(inputs.volume.shape) < LEAST_EDGE:
        shape = " x ".join(str(n) for n in inputs.volume.shape)
        raise InputError(f"the map has {shape} voxels: at least {LEAST_EDGE} along each axis are needed")
    volume, number = hot_voxels.without_hot_voxels(inputs.volume, inputs.room.volume)
    if not number:
        return inputs
    return replace(inputs, volume=volume, hot_voxels=inputs.hot_voxels + number,
                   room=replace(inputs.room, value_range=None))


def _consistent(inputs):
    """The inputs, if they are compatible."""
    if inputs.masks.reference is not None and inputs.full_scale is not None:
        raise ValueError("full_scale and reference_mask: each sets full scale, give one of them")
    if not inputs.settings.separate_flexibility:
        return inputs
    if inputs.room.volume or not inputs.wanted.lowpass or inputs.full_scale is not None:
        raise ValueError("separate_flexibility: the map and its low-pass are needed afterwards, and full scale has "
                         "to be its own")
    return replace(inputs, room=replace(inputs.room, half_maps=False))  # they are needed, too


def _bands(inputs, result):
    """Signal and noise in bands of the spectrum; None if the noise is unknown."""
    noise = inputs.difference
    if result.half_gain is not None:
        noise = filters.filter_radially(noise, result.half_gain, inputs.voxel_size, threads=inputs.thread_count,
                                        out=noise if inputs.room.half_maps else None)
    return equalise.prepare(inputs.volume, result, noise, inputs.thread_count)


def _result(inputs, lowpassed, solvent, noise, contrast, volumes):
    """The result without bands, flexibility and verdicts."""
    scale, confidence, content, evidence = volumes
    kept, full, found = inputs.wanted.lowpass, contrast.full, contrast.found
    given = inputs.settings.noise_floor not in (None, LOCAL)
    flat = facts.is_flattened(lowpassed.repeated_share)
    # the maximum reveals content in quiet voxels only if the ball is as wide as the finest detail of the low-pass
    wide = 2 * inputs.ball.radius * inputs.voxel_size > 0.99 * inputs.lowpass_angstrom
    scale_noise = contrast.spread / full
    missing = facts.solvent_is_missing(solvent, scale_noise * full, contrast.floor if wide and not given else 0.0)
    if (evidence.lowpass_angstrom or 0) > inputs.lowpass_angstrom:
        missing = missing or facts.peak_is_narrow(evidence.solvent, facts.NARROW_PEAK_OF_FEW)
    missing = missing and not flat
    local, halves = noise.local, noise.half_maps
    if contrast.is_local:
        local = replace(local, floor=contrast.floors)
    if missing and halves is not None:
        halves = replace(halves, independence=None)  # without solvent the expected difference is unknown
    return Result(
        scale=scale, confidence=confidence, lowpass=lowpassed.volume if kept else None, full_scale=full,
        zero=noise.zero, floor=contrast.floor, noise=solvent.noise, scale_noise=scale_noise,
        full_scale_corner=found.corner, tile=found.tile, tau=found.tau, ball=inputs.ball,
        lowpass_angstrom=inputs.lowpass_angstrom, voxel_size=inputs.voxel_size, quiet=solvent.quiet,
        quiet_share=solvent.quiet_share, solvent=solvent.model, range=lowpassed.value_range,
        facts=Facts(
            repeated_share=lowpassed.repeated_share, solvent_flattened=flat, solvent_missing=missing,
            content_is_dark=facts.content_is_dark(solvent.whole), stands_above_solvent=contrast.stands_above_solvent,
            ignored_floor=contrast.ignored_floor, definition_inverted=solvent.definition_inverted,
            definition_left=solvent.definition_left,
            confidence_share=_covered_share(confidence, content),
            bands_wanted=inputs.bands_wanted, hot_voxels=inputs.hot_voxels,
            evidence_lowpass_angstrom=evidence.lowpass_angstrom,
            visibility=_visibility(inputs, noise, contrast, scale, evidence.spread, flat, missing)),
        solvent_limit=levels.solvent_limit(contrast.floor_measured, contrast.spread, contrast.floor, full),
        content_noise=noise.deviation / full, full_scale_quantile=found.quantile,
        full_scale_error=contrast.full_error, floor_is_local=contrast.is_local, error=contrast.error,
        noise_error=contrast.noise_error, half_difference=noise.difference if kept else None,
        local_noise=local if kept or halves is not None else None, half_maps=halves, half_gain=lowpassed.gain,
        reference=contrast.reference, content=content)


def _covered_share(confidence, content):
    """Share of the box that is content; None where that was not judged."""
    if confidence is not None:
        return facts.covered_share(confidence)
    return None if content is None else float(np.mean(content.sure))


def _visibility(inputs, noise, contrast, scale, spread, flat, missing):
    """The visibility limit, for the noise of content if that is known."""
    if contrast.is_local:
        floor = 0.0 if flat else contrast.floor / contrast.full
        spread = spread_in_content(spread, floor, noise.local.floor / contrast.full, scale)
    # the noise is known from the quiet voxels or from half maps
    known = not missing and (noise.half_maps is not None or not flat)
    return visibility(spread, steps.gate(inputs.settings), known)


def measure_full_scale(volume: Any, settings: Settings | None = None, *, voxel_size: Any = None, masks: Any = None,
                       room: Room | None = None, thread_count: int | None = None) -> FullScale:
    """Full scale alone, as in `estimate`: the first step for several maps on one scale.

    Parameters
    ----------
    volume, settings, voxel_size, masks, thread_count
        As for `estimate`.
    room : Room, optional
        What may be overwritten.

    Returns
    -------
    FullScale

    Raises
    ------
    TypeError, ValueError, InputError
        As `estimate` does.
    """
    volume, voxel_size = checked_map(volume, voxel_size)
    return run_full_scale(Inputs(volume, voxel_size, checked_settings(settings), masks=masks or Masks(),
                                 wanted=Wanted(confidence=False, lowpass=False), room=room or Room(),
                                 thread_count=thread_count))


def run_full_scale(inputs: Inputs) -> FullScale:
    """Full scale from checked inputs: the first steps of `run_estimate`, and the contrast if a mask sets full scale."""
    inputs = _without_hot_voxels(inputs)
    with threads(inputs.thread_count):
        lowpassed = steps.low_pass(inputs)
        solvent = steps.find_solvent(inputs, lowpassed)
        steps.even_out(inputs, lowpassed, solvent)
        noise = steps.measure_noise(inputs, lowpassed, solvent)
        searched = steps.find_full_scale(inputs, noise)
        if inputs.masks.reference is None:
            return searched.found
        contrast = steps.measure_contrast(inputs, solvent, noise, searched)
        return contrast.found._replace(value=contrast.full)


class _FormerKeywords:
    """Keywords of the first release, which still work."""

    _KNOWN = {"solvent_mask": None, "reference_mask": None, "with_confidence": True, "keep_lowpass": True,
              "with_error": False, "with_noise_error": False, "overwrite": False, "overwrite_halves": False,
              "value_range": None, "strongest_corner": None, "half_difference": None, "half_mean": None}

    def __init__(self, given: Any) -> None:
        for name in given:
            if name not in self._KNOWN:
                raise TypeError(f"estimate() got an unexpected keyword argument '{name}'")
        self._given = {**self._KNOWN, **given}
        warnings.warn(f"estimate({', '.join(f'{name}=' for name in given)}): use half_maps, masks and wanted instead",
                      DeprecationWarning, stacklevel=3)

    def translated(self, masks: Any, wanted: Any, full_scale: Any) -> tuple[Any, Any, Any, Any]:
        """Masks, wanted volumes, full scale and room, including former keywords."""
        old = self._given
        masks = masks or Masks(old["solvent_mask"], old["reference_mask"])
        wanted = wanted or Wanted(old["with_confidence"], old["keep_lowpass"], old["with_error"],
                                  old["with_noise_error"])
        if full_scale is not None and old["strongest_corner"] is not None:
            full_scale = FullScale(float(full_scale), tuple(old["strongest_corner"]), 0, 0.0, 0.0, float(full_scale))
        return masks, wanted, full_scale, Room(old["overwrite"], old["overwrite_halves"], old["value_range"])

    def half_maps(self) -> Any:
        """Half maps that were given already joined."""
        difference, mean = self._given["half_difference"], self._given["half_mean"]
        if difference is None:
            if mean is not None:
                raise ValueError("half_mean goes with half_difference")
            return None
        return HalfMaps(as_volume(difference, "half maps"), None if mean is None else as_volume(mean, "half maps"))
