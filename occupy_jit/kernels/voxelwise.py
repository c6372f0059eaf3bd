"""Voxel-wise kernels: scale from the sliding maximum, confidence from its evidence, modification.

Each is one pass over memory, in blocks of a fixed number of voxels; every voxel is computed from its own
values only, so the bits do not depend on the number of threads.
"""

from typing import Any

import numpy as np
from numba import prange
from numba.extending import overload

from occupy_jit.kernels.contrast import noise_free
from occupy_jit.kernels.grid.arguments import as_volume, require_volume
from occupy_jit.kernels.grid.binned import cell_shape, value_row, weights_between, weights_in
from occupy_jit.kernels.grid.fields import field, field_row
from occupy_jit.kernels.jit.decorator import kernel, launch

AMPLIFY_AMOUNT, AMPLIFY_GAMMA, ATTENUATE_GAMMA, SIGMOID_GAMMA = range(4)
"""The factors that `modify` knows."""

_BLOCK = 1 << 15


@kernel
def _scale_block(maximum, zero, floors, full, scale):
    """One row of `scale_and_depth`."""
    zero_scale, one = np.float32(0), np.float32(1)
    for i in range(maximum.shape[0]):
        floor = floors[i]
        m = maximum[i] - zero
        above = m if m > floor else one  # selects values without a branch or division by 0
        s = noise_free(above, floor) / full
        s = s if s < one else one
        scale[i] = s if m > floor else zero_scale


@kernel
def _depth_block(maximum, zero, cap, depth):
    for i in range(maximum.shape[0]):
        m = maximum[i] - zero
        depth[i] = -(m if m < cap else cap)


@kernel
def _even_depth_block(maximum, zero, floors, even, least, depth):
    for i in range(maximum.shape[0]):
        floor = floors[i] if floors[i] > least else least
        depth[i] = -(maximum[i] - zero) * (even / floor)


@kernel(parallel=True)
def _scale(maximum, zero, floor, full, cap, even, least, with_depth, scale, depth):
    n_z, n_y, n_x = maximum.shape
    for z in prange(n_z):
        scratch, row = np.empty(floor.values.shape[2], np.float32), np.empty(n_x, np.float32)
        for y in range(n_y):
            floors = field_row(floor, z, y, scratch, row)
            if with_depth and even > np.float32(0):
                _even_depth_block(maximum[z, y], zero, floors, even, least, depth[z, y])
            elif with_depth:
                _depth_block(maximum[z, y], zero, cap, depth[z, y])
            _scale_block(maximum[z, y], zero, floors, full, scale[z, y])


@kernel
def _confidence_block(evidence, scale, low, high, gate_low, gate_high, hedge, out):
    step = np.float32(1) / (high - low)
    gate_step = np.float32(1) / (gate_high - gate_low)
    zero, one = np.float32(0), np.float32(1)
    for i in range(evidence.shape[0]):
        c = (evidence[i] - low) * step
        c = c if c > zero else zero
        c = c if c < one else one
        g = (scale[i] - gate_low) * gate_step
        g = g if g > zero else zero
        g = g if g < one else one
        out[i] = c * g
    if hedge != one:
        for i in range(out.shape[0]):
            if out[i] > zero and out[i] < one:
                out[i] = out[i] ** hedge


@kernel(parallel=True)
def _confidence(evidence, scale, low, high, gate_low, gate_high, hedge, out):
    n = evidence.shape[0]
    for block in prange((n + _BLOCK - 1) // _BLOCK):
        start = block * _BLOCK
        stop = min(n, start + _BLOCK)
        _confidence_block(evidence[start:stop], scale[start:stop], low, high, gate_low, gate_high, hedge,
                          out[start:stop])


@kernel(parallel=True)
def _confidence_between_cells(evidence, lower, of_lower, of_upper, scale, low, high, gate_low, gate_high, hedge, out):
    n_z, n_y, n_x = scale.shape
    for z in prange(n_z):
        scratch, row = np.empty(evidence.shape[2], np.float32), np.empty(n_x, np.float32)
        for y in range(n_y):
            value_row(evidence, z, y, lower, of_lower, of_upper, scratch, row)
            _confidence_block(row, scale[z, y], low, high, gate_low, gate_high, hedge, out[z, y])


@kernel(parallel=True)
def _doubt_between_cells(evidence, lower, of_lower, of_upper, scale, corner, low, high, gate_low, gate_high, out):
    n_z, n_y, n_x = out.shape
    one, half = np.float32(1), np.float32(0.5)
    for z in prange(n_z):
        scratch = np.empty(evidence.shape[2], np.float32)
        row, sure = np.empty(n_x, np.float32), np.empty(n_x, np.float32)
        for y in range(n_y):
            value_row(evidence, z, y, lower, of_lower, of_upper, scratch, row)
            _confidence_block(row, scale[corner[0] + z, corner[1] + y, corner[2]:corner[2] + n_x], low, high, gate_low,
                              gate_high, one, sure)
            line = out[z, y]
            for x in range(n_x):
                line[x] = np.float32(0) if sure[x] > half else one


@kernel
def factor(scale: Any, kind: Any, strength: Any, pivot_ratio: Any, limit: Any) -> Any:
    """f(S) of one voxel; 1 below the limit. See `modify` for the kinds."""
    one = np.float32(1)
    if scale < limit or scale <= np.float32(0):
        return one
    if scale >= one:
        return one
    if kind == AMPLIFY_AMOUNT:
        f = one + strength * (one / scale - one)
        return f if f > np.float32(0) else np.float32(0)
    if kind == AMPLIFY_GAMMA:
        return scale ** (one / strength - one)
    if kind == ATTENUATE_GAMMA:
        return scale ** (strength - one)
    ratio = pivot_ratio * (one - scale) / scale
    if ratio > one:  # the power of a large ratio may overflow; that of its inverse is 0
        power = (one / ratio) ** strength
        return power / (one + power) / scale
    return one / (one + ratio ** strength) / scale


@kernel
def _modify_block(volume, scale, confidence, noise, zero, kind, strength, pivot_ratio, limit, exclude, low, high, out):
    refill = noise.shape[0] > 0
    for i in range(volume.shape[0]):
        c = confidence[i]
        value = volume[i]
        if c <= np.float32(0):
            out[i] = np.float32(0) if exclude else value
            continue
        height = value - zero
        f = factor(scale[i], kind, strength, pivot_ratio, limit)
        if exclude:
            result = c * height * f
        else:
            # zero + c height f + (1 - c) height, written so that f = 1 changes nothing; the test is for -0
            result = value if f == np.float32(1) else value + height * (c * (f - np.float32(1)))
        if refill and f < np.float32(1):
            # noise of the voxel keeps f^2 of its variance; this adds the rest
            result += c * np.sqrt(np.float32(1) - f * f) * noise[i]
        result = low if result < low else result
        out[i] = high if result > high else result


@kernel(parallel=True)
def _modify(volume, scale, confidence, noise, zero, kind, strength, pivot_ratio, limit, exclude, low, high, out):
    n = volume.shape[0]
    refill = noise.shape[0] > 0
    for block in prange((n + _BLOCK - 1) // _BLOCK):
        start = block * _BLOCK
        stop = min(n, start + _BLOCK)
        _modify_block(volume[start:stop], scale[start:stop], confidence[start:stop],
                      noise[start:stop] if refill else noise[:0], zero, kind, strength, pivot_ratio, limit, exclude,
                      low, high, out[start:stop])


def scale_and_depth(maximum: np.ndarray, zero: float, floor: float | np.ndarray, full: float, cap: float = np.inf,
                    out: np.ndarray | None = None, depth: np.ndarray | None = None,
                    even: tuple[Any, ...] | None = None) -> np.ndarray:
    """Local scale from the sliding maximum, and heights for the evidence of content.

    ``S = min(m / x, 1)`` with ``m = M' - f^2 / M'`` where ``M' = M - b > f``, and 0 elsewhere: m is M' without
    noise with maximum f.

    Parameters
    ----------
    maximum : (nz, ny, nx) float32 array
        Sliding maximum M.
    zero, full : float
        Zero level b in units of the map; full scale x > 0 above it.
    floor : float or float32 array
        Noise floor f >= 0 above b: one for all voxels, that of each, or means over the cells of two voxels
        (`occupy_jit.kernels.grid.binned`), with linear interpolation between them.
    cap : float
        Limit of `depth`, above b.
    out : array, optional
        Where the scale goes; may be `maximum` itself.
    depth : array, optional
        If given, ``-min(M', cap)`` is written there: its sliding maximum is minus the grey closing of the map.
    even : (reference, least), optional
        Write ``-M' reference / max(f, least)`` into `depth` instead, with no cap: heights in units of the noise around
        each voxel.

    Returns
    -------
    (nz, ny, nx) float32 array
        The scale.

    Raises
    ------
    ValueError
        If `full` is not positive, or `floor` is negative.
    """
    maximum = as_volume(maximum, "maximum")
    if not (np.min(floor) >= 0 and full > 0):
        raise ValueError(f"full scale must be positive, not {full}, and the noise floor not negative, not "
                         f"{np.min(floor)}")
    out = np.empty_like(maximum) if out is None else out
    f = np.float32
    reference, least = (0.0, 0.0) if even is None else even
    launch(_scale, maximum, f(zero), field(floor, maximum.shape, "floor"), f(full), f(cap), f(reference), f(least),
           depth is not None, out, maximum if depth is None else depth)
    return out


def confidence_from_evidence(evidence: np.ndarray, scale: np.ndarray, low: float, high: float,
                             gate: tuple[float, float] = (0.0, 1e-6), hedge: float = 1.0,
                             out: np.ndarray | None = None) -> np.ndarray:
    """Confidence: a ramp from 0 at `low` to 1 at `high`, times a ramp of the scale over `gate`, to the power `hedge`.

    `low` and `high` may be given in falling order: then less evidence means more confidence.

    Parameters
    ----------
    evidence : float32 array
        Of the shape of `scale`, or on its grid of cells (`occupy_jit.kernels.grid.binned`): with linear
        interpolation between them.
    scale : (nz, ny, nx) float32 array
    low, high : float
        Evidence at confidence 0 and 1.
    gate : (low, high)
        Scales between which confidence rises, too.
    hedge : float
        Exponent.
    out : (nz, ny, nx) float32 array, optional
        May be `evidence` itself where that has the same shape.

    Returns
    -------
    (nz, ny, nx) float32 array
        In [0, 1]; never lower at more evidence or at a higher scale.
    """
    evidence = as_volume(evidence, "evidence")
    scale = as_volume(scale, "scale")
    out = np.empty_like(scale) if out is None else out
    ramps = [np.float32(value) for value in (low, high, gate[0], gate[1], hedge)]
    if evidence.shape == scale.shape:
        launch(_confidence, evidence.reshape(-1), scale.reshape(-1), *ramps, out.reshape(-1))
    elif evidence.shape == cell_shape(scale.shape):
        launch(_confidence_between_cells, evidence, *weights_between(scale.shape), scale, *ramps, out)
    else:
        raise ValueError(f"evidence: shape {evidence.shape} does not go with the scale's {scale.shape}")
    return out


def doubt_between_cells(evidence: np.ndarray, scale: np.ndarray, ramps: tuple[float, float, float, float],
                        region: tuple[slice, slice, slice]) -> np.ndarray:
    """Where `confidence_from_evidence` on cells is at most one half, in a region.

    Parameters
    ----------
    evidence : (cz, cy, cx) float32 array
        On the grid of cells of `scale`.
    scale : (nz, ny, nx) float32 array
    ramps : (low, high, gate_low, gate_high)
        Evidence of none and of full confidence, and scales between which the confidence rises.
    region : (slice, slice, slice)
        Voxels along z, y and x, with start and stop.

    Returns
    -------
    (z, y, x) float32 array
        1 there, 0 elsewhere.
    """
    scale, evidence = as_volume(scale, "scale"), as_volume(evidence, "evidence")
    if evidence.shape != cell_shape(scale.shape):
        raise ValueError(f"evidence: shape {evidence.shape} does not go with the scale's {scale.shape}")
    out = np.empty([along.stop - along.start for along in region], np.float32)
    if out.size:
        launch(_doubt_between_cells, evidence, *weights_in(scale.shape, region), scale,
               tuple(along.start for along in region), *(np.float32(value) for value in ramps), out)
    return out


def modify(volume: np.ndarray, scale: np.ndarray, confidence: np.ndarray, zero: float, kind: int, strength: float,
           limit: float = 0.05, pivot: float = 0.5, exclude_solvent: bool = False, noise: np.ndarray | None = None,
           value_range: tuple[Any, ...] | None = None, out: np.ndarray | None = None) -> np.ndarray:
    """Confidence-weighted modification of a map by its local scale, in one pass.

    ::

        out = b + c (rho - b) f(S) + (1 - c) (rho - b)      solvent retained
        out =     c (rho - b) f(S)                          solvent excluded

        AMPLIFY_AMOUNT   f = max(0, 1 + a (1/S - 1))        a in [-1, 1]
        AMPLIFY_GAMMA    f = S^(1/g - 1)
        ATTENUATE_GAMMA  f = S^(g - 1)
        SIGMOID_GAMMA    f = s(S) / S, s(S) = 1 / (1 + (m (1 - S) / (S (1 - m)))^g), s(pivot) = pivot

    f = 1 where S < `limit`. Amount 0 and gamma 1 return the input bit for bit where solvent is retained.

    Parameters
    ----------
    volume, scale, confidence : (nz, ny, nx) float32 arrays
    zero : float
        Zero level b.
    kind : int
        One of the four above.
    strength : float
        Amount a or exponent g.
    limit : float
        Scale below which nothing changes.
    pivot : float
        Scale m without change by SIGMOID_GAMMA.
    exclude_solvent : bool
    noise : (nz, ny, nx) float32 array, optional
        Solvent noise around 0 that replaces density removed by f < 1.
    value_range : (low, high), optional
        The result is clipped to it.
    out : (nz, ny, nx) float32 array, optional

    Returns
    -------
    (nz, ny, nx) float32 array
    """
    volume = as_volume(volume)
    scale = as_volume(scale, "scale")
    confidence = as_volume(confidence, "confidence")
    if not (volume.shape == scale.shape == confidence.shape):
        raise ValueError(f"shapes differ: {volume.shape}, {scale.shape}, {confidence.shape}")
    out = np.empty_like(volume) if out is None else out
    noise = np.empty(0, np.float32) if noise is None else as_volume(noise, "noise").reshape(-1)
    low, high = (-np.inf, np.inf) if value_range is None else value_range
    ratio = sigmoid_ratio(pivot, strength) if kind == SIGMOID_GAMMA else 1.0
    f = np.float32
    launch(_modify, volume.reshape(-1), scale.reshape(-1), confidence.reshape(-1), noise, f(zero), kind, f(strength),
           f(ratio), f(limit), bool(exclude_solvent), f(low), f(high), out.reshape(-1))
    return out


def sigmoid_ratio(pivot: float, gamma: float) -> float:
    """m / (1 - m) of the sigmoid for which ``s(pivot) = pivot``.

    From ``s(t) = t``: ``(m (1-t) / ((1-m) t))^g = (1-t) / t``, so ``m / (1-m) = ((1-t)/t)^(1/g - 1)``.
    """
    return ((1 - pivot) / pivot) ** (1 / gamma - 1)


@overload(modify)
def _overload_modify(volume, scale, confidence, zero, kind, strength):
    for array, name in ((volume, "volume"), (scale, "scale"), (confidence, "confidence")):
        require_volume(array, name)

    def implementation(volume, scale, confidence, zero, kind, strength):
        out = np.empty_like(volume)
        infinity = np.float32(np.inf)
        _modify(volume.reshape(-1), scale.reshape(-1), confidence.reshape(-1), np.empty(0, np.float32),
                np.float32(zero), kind, np.float32(strength), np.float32(1), np.float32(0.05), False,
                -infinity, infinity, out.reshape(-1))
        return out
    return implementation
