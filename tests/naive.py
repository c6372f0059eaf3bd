"""Naive implementations, one per kernel, that can be checked by eye. Slow; tests compare with them."""

import itertools
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
    """Which voxels have their centre within half the shortest edge of the centre of the box.

    Of 1 x even x even the four about the centre.
    """
    squared = sum((2 * i - (n - 1)) ** 2 for i, n in zip(np.indices(shape), shape, strict=True))
    return squared <= max(min(shape) ** 2, 2)


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
    """min(m / x, 1), m = M' - f^2 / M' where M' > f."""
    height = maximum.astype(np.float64) - zero
    m = np.array([h - floor**2 / h if h > floor else 0.0 for h in height.ravel()]).reshape(height.shape)
    return np.minimum(m / full, 1)


def without_noise(quantile, cube, zero, noise):
    """mu + (X - mu) sqrt(1 - sigma^2 / s^2), of heights above zero."""
    values = cube.astype(np.float64).ravel() - zero
    mean = sum(values) / values.size
    variance = sum((values - mean) ** 2) / values.size
    return mean + (quantile - mean) * math.sqrt(max(1 - noise**2 / variance, 0.05))


def level_of_cube(volume, maximum, zero, corner, edge, noise, quantile, of_quantile):
    """0.974 u - 3.8 sigma^2 / u, u three quarters the mean of M' in the cube, weighted with squares of heights.

    The quantile without noise has the weight `of_quantile` beside it.
    """
    total = reading = 0.0
    for z, y, x in itertools.product(*(range(first, first + edge) for first in corner)):
        weight = max(float(volume[z, y, x]) - zero, 0.0) ** 2
        total += weight
        reading += weight * (float(maximum[z, y, x]) - zero)
    cube = volume[tuple(slice(first, first + edge) for first in corner)]
    quantile = without_noise(quantile, cube, zero, noise)
    reading = 0.75 * reading / total + 0.25 * quantile
    level = max(0.974 * reading - 3.8 * noise**2 / reading, 0.2 * reading)
    return (1 - of_quantile) * level + of_quantile * quantile


def find_quiet(low, voxel_size):
    """Smoothed power around the median, and the threshold up to which it is quiet."""
    inside = inscribed_sphere(low.shape)
    middle = np.sort(low[inside])[inside.sum() // 2]
    power = smooth((low - np.float32(middle)) ** 2, max(4 / voxel_size, 1.0))
    return power, power_threshold(power, inside)


def tau_of(n_v):
    """Bisection of tau^n_v + tau = 1."""
    low, high = 0.0, 1.0
    for _ in range(60):
        tau = (low + high) / 2
        low, high = (tau, high) if tau**n_v + tau < 1 else (low, tau)
    return tau


def estimate(volume, quiet, voxel_size, radius, size, edge, on_raw_map=False):
    """Everything by the formulas alone, from the quiet voxels on, with the default low-pass of 6 voxels."""
    source = volume if on_raw_map else lowpass(volume, 6 * voxel_size, voxel_size).astype(np.float32)
    zero = source[quiet].mean(dtype=np.float64)
    maximum = sliding_maximum(source, radius, size)
    floor = np.median(maximum[quiet] - zero)
    quantile, corner = largest_quantile(source, edge, tau_of(len(ball_offsets(radius, size))))
    of_quantile = 0.5 * min(max((len(ball_offsets(radius, size)) - 81) / 42, radius * voxel_size - 4.5, 0), 1)
    full = level_of_cube(source, maximum, zero, corner, edge, source[quiet].std(dtype=np.float64), quantile - zero,
                         of_quantile)
    s = scale(maximum, zero, floor, full)
    return s, confidence(maximum - zero, s, floor, full, quiet, voxel_size, radius, size), zero, floor, full


def confidence(height, s, floor, full, quiet, voxel_size, radius, size):
    """Closing of the map, capped and smoothed, against its spread over the quiet voxels; none at the lowest scales."""
    cap = floor + 4 * max(height[quiet].std(), 0.01 * full)
    closed = -sliding_maximum(-np.minimum(height, cap), radius, size)
    evidence = smooth(closed, max(4.5 / voxel_size, 1.0))
    spread = max(evidence[quiet].std(), 0.02 * (cap - floor))
    ramp = np.clip((evidence - np.median(evidence[quiet])) / spread - 2, 0, 1)
    return ramp * np.clip((s - 0.07) / (0.15 - 0.07), 0, 1)


def modify(value, s, c, zero, factor, limit, exclude):
    """One voxel of section 7, in float64."""
    f = factor(s) if s >= limit else 1.0
    height = float(value) - zero
    return c * height * f if exclude else zero + c * height * f + (1 - c) * height


# Comparison of scales ------------------------------------------------------------------------------------------------


def compare_scales(scales, errors, occupied, level, least):
    """Means in the union, its voxels, and (more, less, errors, voxels, peak, centre) for every ordered pair.

    How many standard errors are needed: the first of 0, 0.02, 0.04 ... at which the voxels that noise would bring there
    are at most the level times those that are there.
    """
    scales, errors = scales.astype(float), errors.astype(float)
    number = len(scales)
    union = np.zeros(scales[0].shape, bool)
    for scale, above in zip(scales, occupied, strict=True):
        union |= scale > above
    means = [scale[union].mean() if union.any() else np.nan for scale in scales]
    rows = []
    for a in range(number):
        for b in range(number):
            if a == b:
                continue
            difference = scales[a] - scales[b]
            error = np.sqrt(errors[a] ** 2 + errors[b] ** 2)
            z = np.array([12.0 if e == 0 and d else 0.0 if e == 0 else min(abs(d) / e, 12.0)
                          for d, e in zip(difference.ravel(), error.ravel(), strict=True)]).reshape(difference.shape)
            needed = None
            for step in range(601):
                there = np.count_nonzero(z[union] >= step * 0.02)
                if there and union.sum() * math.erfc(step * 0.02 / math.sqrt(2)) <= level * there:
                    needed = step * 0.02
                    break
            chosen = union & (difference > least) & (z >= (np.inf if needed is None else needed))
            centre, peak = None, 0.0
            if chosen.any():
                peak = float(difference[chosen].max())
                places = np.argwhere(chosen)[:, ::-1]
                centre = (places * difference[chosen][:, None]).sum(axis=0) / difference[chosen].sum()
            rows.append((a, b, needed, int(chosen.sum()), peak, centre))
    return means, int(union.sum()), rows


# --- classes on one density ------------------------------------------------------------------------------------


def shared_density(mean, scale, mean_scale, confidence, zero, amount, limit, exclude):
    """The mean map, its height above zero times the ratio of lowered scales; differences grow at most eightfold."""
    out = np.empty(mean.shape)
    for place in np.ndindex(mean.shape):
        height, s, s0, c = (float(v) for v in (mean[place] - np.float64(zero), scale[place], mean_scale[place],
                                               confidence[place]))
        a = float(amount)
        ratio = 1.0
        if s0 >= limit and s0 > 0:
            lowered = s0 + a * (1 - s0)
            gain = min(8.0, (1 - a) * s0 / lowered) if lowered > 0 else 8.0
            ratio = max(0.0, 1 + gain * (s - s0) / s0)
        out[place] = c * height * ratio if exclude else float(zero) + c * height * ratio + (1 - c) * height
    return out


# --- cells -----------------------------------------------------------------------------------------------------


def cell_mean(volume):
    """Pairs of voxels counted from the centre of the box, one axis after the other, in float64."""
    result = volume.astype(np.float64)
    for axis, n in enumerate(volume.shape):
        middle, pairs = n // 2, []
        right = [[i, i + 1] for i in range(middle + n % 2, n - 1, 2)]
        if (n - middle - n % 2) % 2:
            right.append([n - 1])
        left = [sorted(n - 1 - i for i in pair) for pair in reversed(right)]
        if n % 2 == 0 and middle % 2:  # the two in the middle are a pair
            right = [[i, i + 1] for i in range(middle + 1, n - 1, 2)]
            left = [[n - 2 - i, n - 1 - i] for i, _ in reversed(right)]
            pairs = [*left, [middle - 1, middle], *right]
        elif n % 2 == 0:
            pairs = [*left, *right]
        else:
            pairs = [*left, [middle], *right]
        result = np.stack([np.take(result, pair, axis).mean(axis) for pair in pairs], axis)
    return result


def at_voxels_of_cells(cells, shape):
    """The value of each voxel's own cell."""
    result = cells
    for axis, n in enumerate(shape):
        middle = n // 2
        if n % 2:
            side = [1 + i // 2 for i in range(middle)]
            index = np.array([*(-s for s in reversed(side)), 0, *side])
            index -= index.min()
        else:
            index = np.arange(n) // 2
        result = np.take(result, index, axis)
    return result


# Regions -------------------------------------------------------------------------------------------------------------


def scale_on_peaks(lowpass, maximum, zero, floor, full):
    """Voxel by voxel; and where rounding cannot decide otherwise whether it is a peak."""
    out, sure = np.full(lowpass.shape, -1.0), np.ones(lowpass.shape, bool)
    for at in np.ndindex(lowpass.shape):
        here, height = float(lowpass[at]) - zero, float(maximum[at]) - zero
        if height > 0 and here > height / 2:
            out[at] = (height - float(floor[at]) ** 2 / height) / full if height > floor[at] else 0.0
        sure[at] = abs(here - height / 2) > 1e-5
    return out, sure


def covered(mask, samples, edge):
    """Values, weights and cubes in the order of the volume."""
    cubes = [(n + edge - 1) // edge for n in mask.shape]
    rows = [(samples[at], min(np.float32(mask[at]), np.float32(1)),
             np.ravel_multi_index([i // edge for i in at], cubes))
            for at in np.ndindex(mask.shape) if mask[at] > 0 and samples[at] >= 0]
    values, weights, blocks = zip(*rows, strict=True) if rows else ((), (), ())
    return np.array(values, np.float32), np.array(weights, np.float32), np.array(blocks, np.int64)


# --- equalising band by band -----------------------------------------------------------------------------------


def band_response(band, bands, frequency, voxel_size):
    """Share of a frequency that belongs to a band: cos^2 flanks half a band wide about its ends."""
    width = 0.5 / voxel_size / bands
    low, high, flank = band * width, (band + 1) * width, width / 2
    if band > 0 and frequency < low + flank / 2:
        return math.cos(math.pi / 2 * min(max((low + flank / 2 - frequency) / flank, 0), 1)) ** 2
    if band < bands - 1 and frequency > high - flank / 2:
        return math.cos(math.pi / 2 * min(max((frequency - high + flank / 2) / flank, 0), 1)) ** 2
    return 1.0


def in_bands(volume, bands, voxel_size):
    """The map in bands, each by the whole transform in float64: they add up to the map."""
    frequencies = np.meshgrid(*(np.fft.fftfreq(n, voxel_size) for n in volume.shape), indexing="ij")
    distance = np.sqrt(sum(f * f for f in frequencies))
    transform = np.fft.fftn(volume.astype(np.float64))
    share = np.vectorize(band_response, otypes=[np.float64])
    return [np.fft.ifftn(transform * share(band, bands, distance, voxel_size)).real for band in range(bands)]


def neighbourhood_scale(scale, radius, size, sigma):
    """G(C^3) / G(C^2), C the closing: the smallest of a ball. 0 where there is none."""
    closed = -sliding_maximum(-scale, radius, size).astype(np.float64)
    cubes, squares = smooth(closed**3, sigma), smooth(closed**2, sigma)
    return np.divide(cubes, squares, out=np.zeros_like(cubes), where=squares > 1e-12)


def uncertain(scale, error=0.2):
    """The scale that a part has to be lifted from, if its own is known with this error: 1 stays 1."""
    return np.sqrt((scale**2 + error**2) / (1 + error**2))


def equalised(volume, neighbourhood, confidence, zero, signal, noise, voxel_size, exponent, limit):
    """b + c sum_j f_j^e B_j + (1 - c)(rho - b), with e(S) and noise as numbers or as volumes; no clipping."""
    height = volume.astype(np.float64) - zero
    total = np.zeros(volume.shape)
    for band, part in enumerate(in_bands(height, len(signal), voxel_size)):
        s = np.maximum(neighbourhood, 0.01)
        factor = np.ones(volume.shape)
        if signal[band] > 0:
            power = 1.04 * signal[band]  # 1 + the square of the scale's error, .2
            factor = np.sqrt((power + noise[band]) / (uncertain(s)**2 * power + noise[band])) ** exponent(s)
        total += np.where(neighbourhood >= limit, factor, 1) * part
    return zero + confidence * total + (1 - confidence) * height


def scale_error(maximum, zero, floor, variance, full, structure, of_map):
    """Voxel by voxel: slope of the scale times the spread of the maximum, and the spread of content."""
    out = np.empty(maximum.shape)
    for at in np.ndindex(maximum.shape):
        height, f = float(maximum[at]) - zero, float(floor[at])
        share = (f / height) ** 2 if height > f else 1.0
        spread = math.sqrt(variance[at]) * ((1 - 0.3 * share) if of_map else 1.0)
        scale = (height - f * f / height) / full if height > f else 0.0
        out[at] = math.hypot((1 + share) * spread / full, math.sqrt(structure) * scale)
    return out


# --- flexibility -----------------------------------------------------------------------------------------------


def relative_b_factor(bands, of_map):
    """A weighted straight line through ln(C / C_reference) / 2, place by place; bands of (C, v, C_reference, x, n)."""
    shape = bands[0][0].shape
    out = np.zeros(shape)
    for place in np.ndindex(*shape):
        weights, xs, levels = [], [], []
        for power, noise, reference, x, samples in bands:
            c, v = float(power[place]), float(noise if np.ndim(noise) == 0 else noise[place])
            signal = max(c, 0)
            variance = (v * v + 2 * v * signal + 2 * signal * signal) / samples
            if of_map:
                variance = (2 * v * v + 4 * signal * v + 2 * signal * signal) / samples + (0.05 * v) ** 2
            deviation = math.sqrt(variance)
            weights.append(1 / (variance / (4 * c * c) + 0.05**2) if c > deviation else 1e-3)
            xs.append(x)
            levels.append(0.5 * math.log(max(c, deviation, 1e-12 * reference) / reference))
        w, x, y = map(np.array, (weights, xs, levels))
        x = x - (w * x).sum() / w.sum()
        slope = (w * x * (y - (w * y).sum() / w.sum())).sum() / ((w * x * x).sum() + (4 / 120) ** 2)
        out[place] = np.clip(-4 * slope, -250, 400)
    return out


def occupancy_without_flexibility(scale, b_factor, powers, squares, rest, least):
    """S / att, att^2 = (rest + sum P exp(-B s^2 / 2)) / (rest + sum P); B is 0 where there is nothing."""
    out, kept = np.zeros(scale.shape), np.zeros(scale.shape)
    for place in np.ndindex(*scale.shape):
        b = float(b_factor[place]) if scale[place] >= least else 0.0
        left = rest + sum(p * math.exp(-b * s / 2) for p, s in zip(powers, squares, strict=True))
        out[place], kept[place] = min(scale[place] / math.sqrt(left / (rest + sum(powers))), 1), b
    return out, kept
