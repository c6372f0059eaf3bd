"""Naive implementations, one per kernel, that can be checked by eye. Slow; tests compare with them."""

import math

import numpy as np

# --- full scale ------------------------------------------------------------------------------------------------


def largest_quantile(volume, edge, tau):
    """Sort every cube inside the inscribed sphere; the largest quantile and the first cube that has it."""
    shape = volume.shape
    rank = min(math.floor(tau * edge**3 + 1e-6), edge**3 - 1)
    # Squared distances from the box centre in half voxels, integers. Of 1 x even x even the four about the centre.
    radius_squared = max(min(shape) ** 2, 2)
    z, y, x = np.indices(shape)
    outside = sum((2 * i - (n - 1)) ** 2 for i, n in zip((z, y, x), shape, strict=True)) > radius_squared
    best, where = None, None
    for corner in np.ndindex(*(max(0, n - edge + 1) for n in shape)):
        cube = tuple(slice(c, c + edge) for c in corner)
        if not outside[cube].any():
            value = np.sort(volume[cube], axis=None)[rank]
            if best is None or value > best:
                best, where = value, corner
    return best, where


# --- sliding maximum -------------------------------------------------------------------------------------------


def ball_offsets(radius, size=None):
    """Offsets (dz, dy, dx) of the ball's voxels, one after the other."""
    reach = math.floor(radius + 1e-6) if size is None else min(math.floor(radius + 1e-6), size // 2)
    steps = range(-reach, reach + 1)
    return [(z, y, x) for z in steps for y in steps for x in steps if z * z + y * y + x * x <= radius**2 + 1e-6]


def sliding_maximum(volume, radius, size=None):
    """Of every shifted copy of the volume, its nearest voxel repeated outside, the largest value."""
    indices = np.indices(volume.shape)
    result = volume.copy()
    for offset in ball_offsets(radius, size):
        shifted = tuple(np.clip(i + o, 0, n - 1) for i, o, n in zip(indices, offset, volume.shape, strict=True))
        result = np.maximum(result, volume[shifted])
    return result


# --- smoothing -------------------------------------------------------------------------------------------------


def smooth(volume, sigma):
    """In float64: one axis after the other, every offset of the Gaussian, the nearest voxel repeated outside."""
    radius = max(1, int(3 * sigma + 0.5))
    offsets = range(-radius, radius + 1)
    weights = [math.exp(-0.5 * (k / sigma) ** 2) for k in offsets]
    result = volume.astype(np.float64)
    for axis, n in enumerate(volume.shape):
        result = sum(
            w / sum(weights) * np.take(result, np.clip(np.arange(n) + k, 0, n - 1), axis)
            for w, k in zip(weights, offsets, strict=True)
        )
    return result


# --- histogram -------------------------------------------------------------------------------------------------


def inscribed_sphere(shape):
    """Which voxels have their centre within half the shortest edge of the centre of the box."""
    squared = sum((2 * i - (n - 1)) ** 2 for i, n in zip(np.indices(shape), shape, strict=True))
    return squared <= min(shape) ** 2


def power_threshold(power, inside, iterations=6, spread=4.0):
    """Sorted anew in each iteration; 0 if half of it is exactly 0."""
    values = power[inside].astype(np.float64)
    t = np.median(values)
    if t == 0:
        return 0.0
    for _ in range(iterations):
        quiet = values[values < t]
        centre = np.median(quiet)
        t = centre + spread * 1.4826 * np.median(np.abs(quiet - centre))
    return t


# --- the estimate ----------------------------------------------------------------------------------------------


def lowpass(volume, resolution, voxel_size):
    """The whole Fourier transform times a raised cosine two shells wide around 1 / resolution."""
    if resolution <= 2 * voxel_size:
        return volume.astype(np.float64)
    frequencies = np.meshgrid(*(np.fft.fftfreq(n, voxel_size) for n in volume.shape), indexing="ij")
    s = np.sqrt(sum(f * f for f in frequencies))
    width = 2 / (min(volume.shape) * voxel_size)
    edge = 0.5 + 0.5 * np.cos(np.pi * np.clip((s - (1 / resolution - width / 2)) / width, 0, 1))
    edge[0, 0, 0] = 1
    return np.fft.ifftn(np.fft.fftn(volume.astype(np.float64)) * edge).real


def scale(maximum, zero, floor, full):
    """clip(((M'^q - f^q) / (X^q - f^q))^(1/q), 0, 1), q = 1.5."""
    m = np.maximum(maximum.astype(np.float64) - zero, floor)
    ratio = (m**1.5 - floor**1.5) / (full**1.5 - floor**1.5)
    return np.clip(ratio, 0, 1) ** (2 / 3)


def estimate(volume, voxel_size, radius, size, edge):
    """Scale of a map by the formulas alone, with the default low-pass of 6 voxels."""
    low = lowpass(volume, 6 * voxel_size, voxel_size).astype(np.float32)
    inside = inscribed_sphere(volume.shape)
    power = smooth((low - np.float32(np.sort(low[inside])[inside.sum() // 2])) ** 2, max(4 / voxel_size, 1.0))
    quiet = inside & (power <= power_threshold(power, inside))
    zero = low[quiet].mean(dtype=np.float64)
    maximum = sliding_maximum(low, radius, size)
    floor = np.median(maximum[quiet] - zero)
    n_v = len(ball_offsets(radius, size))
    low_tau, high_tau = 0.0, 1.0
    for _ in range(60):  # bisection of tau^n_v + tau = 1
        tau = (low_tau + high_tau) / 2
        low_tau, high_tau = (tau, high_tau) if tau**n_v + tau < 1 else (low_tau, tau)
    full = largest_quantile(low, edge, tau)[0] - zero
    return scale(maximum, zero, floor, full), zero, floor, full


def modify(value, s, c, zero, factor, limit, exclude):
    """One voxel of section 7, in float64."""
    f = factor(s) if s >= limit else 1.0
    height = float(value) - zero
    return c * height * f if exclude else zero + c * height * f + (1 - c) * height
