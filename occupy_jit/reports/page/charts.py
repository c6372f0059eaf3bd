"""Charts of a report as SVG. Colours come from the style sheet, so that they follow light and dark.

They contain only numbers and constant text; other labels are escaped.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np

from occupy_jit.reports import colours

if TYPE_CHECKING:
    from occupy_jit.reports.page.data import Bands, Histogram, Profile

_WIDTH, _HEIGHT = 640, 320
_LEFT, _RIGHT, _TOP, _BOTTOM = 54, 16, 34, 50
_FEWEST_BARS, _MOST_BARS = 20, 250
_TAIL = 1e-5  # of the voxels, at either end
_FLOOR = 0.5  # a bin of no voxels, on a logarithmic axis
_GAUSSIAN_POINTS = 121
_LABEL_GAP = 6
_LEAST_WHISKERS = 5.0


def ticks(low: float, high: float, most: int = 6) -> list[float]:
    """Round numbers between two values, at most about `most` of them.

    Returns
    -------
    list of float
    """
    if not high > low:
        return []
    step = 10.0 ** math.floor(math.log10((high - low) / most))
    step *= next(m for m in (1, 2, 2.5, 5, 10) if (high - low) / (step * m) <= most)
    return [round(k * step, 12) for k in range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)]


class _Frame:
    """Positions of values in a chart."""

    def __init__(self, low: float, high: float, top: float) -> None:
        self.low, self.high, self.top = low, high, top
        self.base = _HEIGHT - _BOTTOM

    def x(self, value: float) -> float:
        return _LEFT + (value - self.low) / (self.high - self.low) * (_WIDTH - _LEFT - _RIGHT)

    def y(self, height: float) -> float:
        return _TOP + (self.base - _TOP) * (1 - height / self.top)

    def below(self, values: list[float], label: str) -> list[str]:
        """Labels of the axis below."""
        marks = [f'<path class="tick" d="M{self.x(v):.1f},{self.base}v5"/>'
                 f'<text x="{self.x(v):.1f}" y="{self.base + 18}" text-anchor="middle">{v:g}</text>' for v in values]
        middle = (_LEFT + _WIDTH - _RIGHT) / 2
        return [f'<path class="axis" d="M{_LEFT},{self.base}H{_WIDTH - _RIGHT}"/>', *marks,
                f'<text x="{middle}" y="{_HEIGHT - 6}" text-anchor="middle">{escape(label)}</text>']

    def beside(self, values: list[Any], texts: list[str]) -> list[str]:
        """Labels and lines of the axis on the left."""
        return [f'<path class="rule" d="M{_LEFT},{self.y(v):.1f}H{_WIDTH - _RIGHT}"/>'
                f'<text x="{_LEFT - 7}" y="{self.y(v) + 4:.1f}" text-anchor="end">{text}</text>'
                for v, text in zip(values, texts, strict=True)]


def _svg(label, parts):
    return (f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{escape(label)}">' + "".join(parts)
            + "</svg>")


def _powers_of_ten(exponents):
    """Labels of a logarithmic axis."""
    return [f'10<tspan dy="-5" font-size="9">{e}</tspan>' for e in exponents]


def _short(value):
    """A number of voxels or Å^3 in few characters."""
    for size, sign in ((1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:.3g}{sign}"
    return f"{value:.3g}"


def density_histogram(histogram: Histogram) -> str:
    """Histogram of densities, logarithmic, with the solvent model and the levels.

    Parameters
    ----------
    histogram : occupy_jit.reports.page.data.Histogram

    Returns
    -------
    str
        SVG.
    """
    edges, counts, joined = _fewer_bins(*_without_tails(histogram))
    top = math.log10(max(counts.max(), 10) * 3)
    frame = _Frame(float(edges[0]), float(edges[-1]), top - math.log10(_FLOOR))

    def height(count):
        return math.log10(max(count, _FLOOR)) - math.log10(_FLOOR)

    decades = range(int(top) + 1)
    parts = frame.beside([height(10 ** e) for e in decades], _powers_of_ten(decades))
    steps = "".join(f"V{frame.y(height(n)):.1f}H{frame.x(edge):.1f}" for n, edge in zip(counts, edges[1:], strict=True))
    parts.append(f'<path class="hist" d="M{_LEFT},{frame.base}{steps}V{frame.base}Z"/>')
    if histogram.gaussian is not None:
        parts.append(_gaussian(frame, histogram.gaussian, joined, height))
    parts += _marks(frame, histogram.marks)
    parts += frame.below(ticks(frame.low, frame.high, 8), "density of the low-passed map")
    return _svg("Histogram of densities with the solvent model", parts)


def _without_tails(histogram):
    """Bins without the last few voxels at both ends, which would leave much of a chart empty, but with all marks."""
    edges, counts = histogram.edges, histogram.counts
    few = _TAIL * counts.sum()
    first = int(np.searchsorted(np.cumsum(counts), few, side="right"))
    last = counts.size - int(np.searchsorted(np.cumsum(counts[::-1]), few, side="right"))
    for _, value, *_ in histogram.marks:
        place = int(np.searchsorted(edges, value, side="right")) - 1
        if 0 <= place < counts.size:
            first, last = min(first, place), max(last, place + 2)
    first, last = max(0, min(first, counts.size - 1)), min(last, counts.size)
    return edges[first:last + 1], counts[first:last]


def _fewer_bins(edges, counts):
    """Joined bins, no more than a chart shows, and the number of bins in each."""
    joined = max(1, -(-counts.size // _MOST_BARS))
    starts = np.arange(0, counts.size, joined)
    return np.append(edges[:-1][starts], edges[-1]), np.add.reduceat(counts, starts), joined


def _gaussian(frame, gaussian, joined, height):
    amplitude, mean, sigma = gaussian
    values = np.linspace(mean - 5.5 * sigma, mean + 5.5 * sigma, _GAUSSIAN_POINTS)
    model = joined * amplitude * np.exp(-0.5 * ((values - mean) / sigma) ** 2)
    shown = (model > _FLOOR) & (values >= frame.low) & (values <= frame.high)
    points = " ".join(f"{frame.x(v):.1f},{frame.y(height(m)):.1f}"
                      for v, m in zip(values[shown], model[shown], strict=True))
    return f'<polyline class="model" points="{points}"/>'


def mark_in_words(label: str, value: float, as_logged: float | None = None) -> str:
    """A vertical line of the histogram in words."""
    return f"{label} {value if as_logged is None else as_logged:.3g}"


def _marks(frame, marks):
    """Vertical lines, with labels in two rows if they would overlap."""
    parts, last = [], -math.inf
    row = 0
    for label, value, *as_logged in sorted(marks, key=lambda mark: mark[1]):
        if not frame.low <= value <= frame.high:
            continue
        x = frame.x(value)
        text = mark_in_words(label, value, *as_logged)
        right = x > _WIDTH * 0.72
        width = 6.4 * len(text) + 2 * _LABEL_GAP
        start = x - width if right else x
        row = 1 - row if start < last else 0
        last = start + width
        y = _TOP - 8 - 14 * row
        parts.append(f'<path class="mark" d="M{x:.1f},{_TOP - 4}V{frame.base}"/><text class="strong crowded" '
                     f'x="{x - _LABEL_GAP if right else x:.1f}" y="{y}" text-anchor="{"end" if right else "start"}">'
                     f"{escape(text)}</text>")
    return parts


def volume_by_scale(core: Any, weak: str) -> str:
    """Histogram of the scale of the core, in its colours.

    Parameters
    ----------
    core : occupy_jit.estimation.scale.core.Core
    weak : str
        Weak share in words.

    Returns
    -------
    str
        SVG.
    """
    volumes = core.counts * core.voxel_volume_angstrom3 / 1000
    top = float(volumes.max()) * 1.08 or 1.0
    frame = _Frame(0.0, 1.0, top)
    values = ticks(0, top, 5)
    parts = frame.beside(values, [_short(v) for v in values])
    n = volumes.size
    for k, volume in enumerate(volumes):
        left, right, y = frame.x(k / n), frame.x((k + 1) / n), frame.y(volume)
        parts.append(f'<rect x="{left + 0.5:.1f}" y="{y:.1f}" width="{right - left - 1:.1f}" '
                     f'height="{frame.base - y:.1f}" fill="{colours.of_scale((k + 0.5) / n)}" class="bar"/>')
    parts.append(f'<path class="half" d="M{frame.x(0.5):.1f},{_TOP - 4}V{frame.base}"/>')
    parts.append(f'<text class="strong" x="{frame.x(0.5) - 6:.1f}" y="{_TOP - 8}" text-anchor="end">'
                 f"weaker than half: {escape(weak)}</text>")
    parts.append(f'<text class="strong" x="{_WIDTH - _RIGHT}" y="{_TOP - 8}" text-anchor="end">'
                 f"0.8 or more: {core.strong_share:.0%}</text>")
    parts += frame.below([0, 0.2, 0.4, 0.6, 0.8, 1], "local scale")
    parts.append(f'<text x="{_LEFT - 7}" y="{_TOP - 14}" text-anchor="end">nm³</text>')
    return _svg("Volume of the core by its local scale", parts)


def occupancy_range(values: Sequence[tuple[float, float | None]]) -> tuple[float, float]:
    """Limits of an axis for every occupancy of a table with its error, at least 0 to 1.

    Parameters
    ----------
    values : sequence of (occupancy, error or None)

    Returns
    -------
    low, high : float
        Within -0.5 and 2; values beyond are drawn at the end.
    """
    ends = [value + sign * (_known(error) or 0.0) for value, error in values for sign in (-1, 1)
            if math.isfinite(value)]
    low, high = min([0.0, *ends]), max([1.0, *ends])
    return max(-0.5, math.floor(low * 20 + 1e-9) / 20), min(2.0, math.ceil(high * 20 - 1e-9) / 20)


def _known(error: float | None) -> float | None:
    """A drawable error, or None."""
    return error if error is not None and math.isfinite(error) else None


def whisker(occupancy: float, error: float | None, axis: tuple[float, float] = (0.0, 1.0)) -> str:
    """Bar of an occupancy with its error: a small SVG.

    Parameters
    ----------
    occupancy : float
    error : float or None
    axis : (float, float)
        From `occupancy_range`: all bars of a table share one axis, with marks at 0 and 1.

    Returns
    -------
    str
    """
    low, high = axis

    def x(value):
        return 4 + 192 * (min(max(value, low), high) - low) / (high - low)

    start, end = sorted((x(0.0), x(occupancy)))
    parts = [f'<rect x="{x(0):.1f}" y="8" width="{x(1) - x(0):.1f}" height="4" class="track"/>',
             f'<rect x="{start:.1f}" y="5" width="{max(end - start, 0.8):.1f}" height="10" '
             f'fill="{colours.of_scale(occupancy)}" class="bar"/>', f'<path class="one" d="M{x(1):.1f},2V18"/>']
    drawn = _known(error)
    if drawn is not None:
        left, right = x(occupancy - drawn), x(occupancy + drawn)
        if right - left < _LEAST_WHISKERS:  # an invisible error would seem to be 0
            middle = min(max(x(occupancy), 4 + _LEAST_WHISKERS / 2), 196 - _LEAST_WHISKERS / 2)
            left, right = middle - _LEAST_WHISKERS / 2, middle + _LEAST_WHISKERS / 2
        whiskers = f"M{left:.1f},10H{right:.1f}M{left:.1f},4V16M{right:.1f},4V16"
        parts.append(f'<path class="whiskers" d="{whiskers}"/>')
    return (f'<svg class="small" viewBox="0 0 200 20" role="img" aria-label="{occupancy:.2f}">' + "".join(parts)
            + "</svg>")


def profile(values: Profile, axis: tuple[float, float]) -> str:
    """Occupancies of residues along a part, with a band of one standard error.

    Parameters
    ----------
    values : occupy_jit.reports.page.data.Profile
    axis : (float, float)
        From `occupancy_range`, common to all parts.

    Returns
    -------
    str
        SVG.
    """
    low, high = axis
    width, height, left, right, top, bottom = 640, 130, 40, 20, 8, 24
    n = len(values.labels)

    def x(k):
        return left + (k + 0.5) / n * (width - left - right)

    def y(value):
        return top + (height - top - bottom) * (high - min(max(value, low), high)) / (high - low)

    over, under = ([f"{x(k):.1f},{y(o + sign * s):.1f}" for k, (o, s) in
                    enumerate(zip(values.occupancy, values.error, strict=True))] for sign in (1, -1))
    line = " ".join(f"{x(k):.1f},{y(o):.1f}" for k, o in enumerate(values.occupancy))
    marks = sorted({min(n - 1, round(share * (n - 1))) for share in (0, 0.25, 0.5, 0.75, 1)})
    parts = [f'<path class="rule" d="M{left},{y(v):.1f}H{width - right}"/><text x="{left - 6}" y="{y(v) + 4:.1f}" '
             f'text-anchor="end">{v:g}</text>' for v in (0, 0.5, 1)]
    parts += [f'<polygon class="errors" points="{" ".join(over + under[::-1])}"/>',
              f'<polyline class="line" points="{line}"/>']
    parts += [f'<text x="{x(k):.1f}" y="{height - 6}" text-anchor="middle">{escape(values.labels[k])}</text>'
              for k in marks]
    label = f"Occupancy along the residues of {values.name}"
    return (f'<svg viewBox="0 0 {width} {height}" class="profile" role="img" aria-label="{escape(label)}">'
            + "".join(parts) + "</svg>")


def band_power(bands: Bands) -> str:
    """Power of signal and noise in each band, logarithmic.

    Parameters
    ----------
    bands : occupy_jit.reports.page.data.Bands

    Returns
    -------
    str
        SVG.
    """
    both = np.concatenate([bands.signal, bands.noise])
    positive = both[both > 0]
    if not positive.size:
        return ""
    lowest = math.floor(math.log10(positive.min()))
    top = max(math.ceil(math.log10(positive.max())), lowest + 1)
    frame = _band_frame(bands, top - lowest)
    decades = range(lowest, top + 1, max(1, -(-(top - lowest) // 6)))
    parts = frame.beside([e - lowest for e in decades], _powers_of_ten(decades))
    for name, power in (("signal", bands.signal), ("noise", bands.noise)):
        heights = [math.log10(p) - lowest if p > 0 else 0.0 for p in power]
        parts.append(f'<path class="{name}" d="{_steps(frame, bands.limits_per_angstrom, heights)}"/>')
    return _svg("Power of signal and noise by resolution", parts + _resolutions(frame))


def band_factors(bands: Bands) -> str:
    """Factors of each band for some scales.

    Parameters
    ----------
    bands : occupy_jit.reports.page.data.Bands

    Returns
    -------
    str
        SVG.
    """
    top = max(1.0, float(np.max(bands.factors))) * 1.1
    frame = _band_frame(bands, top)
    values = ticks(0, top, 5)
    parts = frame.beside(values, [f"{v:g}" for v in values])
    for k, (scale, factors) in enumerate(zip(bands.scales, bands.factors, strict=True)):
        line = _steps(frame, bands.limits_per_angstrom, factors)
        parts.append(f'<path class="factor" stroke="{colours.of_scale(scale)}" stroke-dasharray="{dash(k)[0]}" '
                     f'd="{line}"/>')
    return _svg("Amplification by resolution band", parts + _resolutions(frame))


def dash(k: int) -> tuple[str, str]:
    """Dashes of line number k, for drawing and as text, because low scales share one colour."""
    return (("none", "—"), ("9 4", "– –"), ("2.5 3", "···"))[k % 3]


def _band_frame(bands, top):
    return _Frame(0.0, float(bands.limits_per_angstrom[-1]), top)


def _steps(frame, limits, heights):
    points = "".join(f"V{frame.y(h):.1f}H{frame.x(b):.1f}" for h, b in zip(heights, limits[1:], strict=True))
    return f"M{frame.x(limits[0]):.1f},{frame.y(heights[0]):.1f}" + points


def _resolutions(frame):
    """Axis of resolutions in Å, linear in 1/Å."""
    wanted = [r for r in (40, 20, 12, 8, 6, 5, 4, 3.5, 3, 2.5, 2.2, 2, 1.8, 1.6, 1.5) if 1 / r <= frame.high]
    kept, last = [], -math.inf
    for resolution in wanted:
        if frame.x(1 / resolution) - last > 44:
            kept.append(resolution)
            last = frame.x(1 / resolution)
    marks = [f'<path class="tick" d="M{frame.x(1 / r):.1f},{frame.base}v5"/><text x="{frame.x(1 / r):.1f}" '
             f'y="{frame.base + 18}" text-anchor="middle">{r:g}</text>' for r in kept]
    middle = (_LEFT + _WIDTH - _RIGHT) / 2
    return [f'<path class="axis" d="M{_LEFT},{frame.base}H{_WIDTH - _RIGHT}"/>', *marks,
            f'<text x="{middle}" y="{_HEIGHT - 6}" text-anchor="middle">resolution, Å</text>']
