"""Equalising without amplifying noise: the power of every resolution band is made equal everywhere.

Where a part of the map has the scale S, its signal has S^2 of the power P that it has at scale 1, but the noise N is
the same: dividing by S would raise the noise above that of the full parts. In a band with P and N,

    f(S) = sqrt(((1 + e^2) P + N) / ((S^2 + e^2) P + N))

gives the part the same power as full parts, signal and noise together. The scale has the error e, mostly because
strong parts spread into weak ones: E[S^2] is S^2 + e^2, and a weak part that is amplified by its local estimate
of the scale agrees less with the truth than before. Without noise f is 1/S where S is far above e, without
signal 1, and f(1) = 1 always. Any other factor above 1 is a power of 1/S, and becomes the same power of this one;
factors below 1 do not amplify and are not changed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from occupy_jit.estimation import grids
from occupy_jit.estimation.fourier import filters
from occupy_jit.estimation.modification.band_changes import changes
from occupy_jit.estimation.modification.neighbourhood import SECTIONS, Neighbourhood
from occupy_jit.estimation.sections import Sections
from occupy_jit.kernels import band_equalisation as kernels
from occupy_jit.kernels import voxelwise
from occupy_jit.kernels.grid import binned
from occupy_jit.kernels.grid.arguments import as_volume
from occupy_jit.kernels.grid.smoothing import smooth
from occupy_jit.kernels.jit.decorator import threads
from occupy_jit.modifications import requested

if TYPE_CHECKING:
    from occupy_jit.estimation.scale.result import Result
    from occupy_jit.modifications import Modification
    from occupy_jit.settings import Settings

BANDS = 8
"""Number of bands, of equal width from 0 to the Nyquist frequency. 4 are worse, 16 are no better."""

CONTENT_SCALE = 0.15
"""Scale above which a voxel counts for the signal."""

NOTHING_TO_EQUALISE = 10.0
"""Ratio of noise to signal. Above it in every band, a part at scale 0.1 would be amplified by less than 5%."""

SCALE_ERROR = 0.2
"""Standard deviation of the scale of the neighbourhood inside a part (e): a smaller value is worse for the weakest
parts, a larger one for the map as a whole."""

_INTERVALS = 1024  # of the tables
_LEAST_SCALE = 0.01  # factors are constant below it
_NEGLIGIBLE = 0.02  # smallest change by a band that is worth a transform, as a share of the amplitude of full parts


@dataclass(frozen=True)
class Bands:
    """Signal and noise of a map in resolution bands.

    Attributes
    ----------
    signal, noise : (BANDS,) float64 arrays
        Power of the signal at scale 1 and of the noise, per voxel: white noise of variance v has v in every band.
    voxel_size : float
        Å.
    frequency, signal_spectrum, noise_spectrum : (shells,) float64 arrays
        The same in shells, at frequencies in 1/Å; the signal may be below 0 where noise dominates.
    noise_variance : (nz, ny, nx) float32 array or `Sections`, or None
        Local variance of the noise relative to `noise`; None if it is uniform.
    reading : float
        Mean ratio of the scale of the neighbourhood to the scale, weighted by the power of the content.
    neighbourhood : occupy_jit.estimation.modification.neighbourhood.Neighbourhood or None
        Of the map in which the bands were measured.
    """

    signal: np.ndarray
    noise: np.ndarray
    voxel_size: float
    frequency: np.ndarray
    signal_spectrum: np.ndarray
    noise_spectrum: np.ndarray
    noise_variance: np.ndarray | None = None
    reading: float = 1.0
    neighbourhood: Neighbourhood | None = None

    @property
    def edges(self) -> np.ndarray:
        """(BANDS + 1,) float64 array : Limits of the bands in 1/Å, in the middle of their flanks."""
        return np.linspace(0, 0.5 / self.voxel_size, BANDS + 1)

    @property
    def noise_over_signal(self) -> np.ndarray:
        """(BANDS,) float64 array : Noise over signal, infinite without signal."""
        with np.errstate(divide="ignore"):
            return np.where(self.signal > 0, self.noise / np.where(self.signal > 0, self.signal, 1), np.inf)

    def factor(self, band: int, scale: np.ndarray | float, noise_variance: np.ndarray | float = 1.0
              ) -> np.ndarray | float:
        """f(S) of a band."""
        signal, noise = self.signal[band], self.noise[band] * noise_variance
        if signal <= 0:
            return np.ones(np.broadcast_shapes(np.shape(scale), np.shape(noise_variance)))
        scale = np.maximum(scale, _LEAST_SCALE)
        uncertain = SCALE_ERROR ** 2
        return np.sqrt(((1 + uncertain) * signal + noise) / ((np.square(scale) + uncertain) * signal + noise))

    def range_text(self, band: int) -> str:
        """The resolutions of a band as text."""
        low, high = self.edges[band:band + 2]
        return f"{'infinity' if band == 0 else f'{1 / low:.3g}'} to {1 / high:.3g} Å"

    def response(self, band: int, frequency: np.ndarray) -> np.ndarray:
        """Share of each frequency that belongs to a band: cos^2 flanks, which add up to 1 over the bands."""
        return response(band, frequency, self.voxel_size)

    def highest_frequency(self, band: int) -> float:
        """Frequency beyond which a band is 0; the last band includes everything beyond the Nyquist frequency."""
        return np.inf if band == BANDS - 1 else (band + 1.25) * 0.5 / self.voxel_size / BANDS

    @property
    def hopeless(self) -> bool:
        """bool : Whether noise exceeds the signal in every band by so much that nothing can be equalised."""
        return bool(np.all(self.noise_over_signal > NOTHING_TO_EQUALISE))

    def most_telling(self) -> tuple[int, int]:
        """The two most informative bands: the lowest, and the one whose factor for scale 0.5 is closest to 1.5."""
        others = [abs(float(self.factor(band, 0.5)) - 1.5) for band in range(1, BANDS)]
        return 0, 1 + int(np.argmin(others))


def applies(result: Result, settings: Settings, kind: Modification) -> bool:
    """Whether a modification works band by band: it amplifies, without plain factors, and the noise is known."""
    return kind.amplifies and not settings.plain_factors and not result.noise_unknown


def wanted(settings: Settings) -> bool:
    """Whether a modification in `settings` works band by band, provided that the noise is known."""
    return any(kind.amplifies for kind in requested(settings)) and not settings.plain_factors


def prepare(volume: np.ndarray, result: Result, noise: np.ndarray | None = None, thread_count: int | None = None
           ) -> Bands | None:
    """Signal and noise in resolution bands, for modifications that amplify.

    Parameters
    ----------
    volume, result, thread_count
        As for `measure`.
    noise : (nz, ny, nx) float32 array, optional
        From half maps; the bands then use it and the local noise of `result`.

    Returns
    -------
    Bands or None
        None if the noise is unknown.
    """
    if result.noise_unknown:
        return None
    variance = None if noise is None else result.local_noise.variance
    return measure(volume, result, noise, variance, thread_count)


def verdicts(result: Result) -> list[Any]:
    """Verdicts on equalising, if bands were requested: list of (code, sentence)."""
    if not result.facts.bands_wanted:
        return []
    if result.bands is None:
        return [("plain-factors", "the solvent was flattened, so the noise is unknown: signal and noise were "
                                  "amplified alike")]
    if result.bands.hopeless:
        return [("nothing-to-equalise", "noise is more than ten times the signal in every resolution band: hardly "
                                        "anything is amplified")]
    return []


def response(band: int, frequency: np.ndarray, voxel_size: float) -> np.ndarray:
    """Share of each frequency, in 1/Å, that belongs to a band: flanks of cos^2, half a band wide."""
    place = np.asarray(frequency, np.float64) * (2 * voxel_size * BANDS) - band  # 0 to 1 within the band

    def flank(position):
        return np.sin(np.pi / 2 * np.clip(2 * position + 0.5, 0, 1)) ** 2

    rise = 1.0 if band == 0 else flank(place)
    fall = 1.0 if band == BANDS - 1 else 1 - flank(place - 1)
    return rise * fall * np.ones_like(place)


def measure(volume: np.ndarray, result: Result, noise: np.ndarray | None = None,
            noise_variance: np.ndarray | None = None, thread_count: int | None = None) -> Bands:
    """Signal and noise of a map in bands.

    Parameters
    ----------
    volume : (nz, ny, nx) float32 array
        The unfiltered map.
    result : occupy_jit.estimation.scale.result.Result
        With confidence.
    noise : (nz, ny, nx) float32 array, optional
        A sample of the noise in the map, also inside content (half the difference of half maps). Without it
        the noise comes from the quiet voxels.
    noise_variance : float32 array, optional
        Local variance of the noise, of each voxel or over cells of two, in any unit: `noise` in the bands is then that
        of its mean over the content.
    thread_count : int, optional

    Returns
    -------
    Bands

    Notes
    -----
    The noise: power of the map over the quiet voxels, divided by their share. The signal: power of the map times a soft
    mask of its content, divided by the mean square of the mask, less the noise, and, for scale 1, divided by the
    mean square of the scale under the mask.
    """
    volume = as_volume(volume)
    voxel_size = result.voxel_size
    with threads(thread_count):
        if noise is None:
            mean, _, count = result.quiet.mean_and_deviation(volume)
            alone = result.quiet.sections_alone(volume, mean)
            frequency, noise_power = filters.radial_spectrum(alone, voxel_size, thread_count)
            noise_power = noise_power * (volume.size / max(count, 1))
        neighbourhood = Neighbourhood(result.scale, result.ball)
        reading = _reading(result, neighbourhood)
        mask = _content(result)
        mask_power, scale_power = _mean_squares(mask, result.scale)
        if noise is not None:
            frequency, noise_power = filters.radial_spectrum(_times(mask, noise), voxel_size, thread_count)
            noise_power = noise_power / max(mask_power, np.finfo(np.float32).tiny)
        if noise_variance is not None:
            mean = _weighted_mean(mask, _of_cells(noise_variance, volume.shape))
            noise_variance = _of_cells(noise_variance / np.float32(mean), volume.shape)  # pyright: ignore[reportAssignmentType]
        _, power = filters.radial_spectrum(_times(mask, volume, result.zero), voxel_size, thread_count)
    signal_power = (power / mask_power - noise_power) / scale_power if mask_power > 0 else np.zeros_like(power)
    signal, noise_level = (_in_bands(spectrum, frequency, voxel_size) for spectrum in (signal_power, noise_power))
    return Bands(np.maximum(signal, 0), noise_level, voxel_size, frequency, signal_power, noise_power, noise_variance,
                 reading, neighbourhood)


def _reading(result, neighbourhood):
    """Ratio of the mean scale of the neighbourhood to the mean scale, over confident voxels, weighted by its square."""
    sums = np.zeros(2)
    for first in range(0, result.scale.shape[0], SECTIONS):
        part = slice(first, first + SECTIONS)
        scale = result.scale[part]
        weight = np.where(scale > CONTENT_SCALE, result.confidence[part], np.float32(0)) * np.square(scale)
        if weight.any():
            around = neighbourhood.sections(first, first + len(scale))
            sums += [np.multiply(weight, values, dtype=np.float64).sum() for values in (around, scale)]
    return float(sums[0] / sums[1]) if sums[0] > 0 else 1.0


def _content(result):
    """Confidence without the lowest scales, softened so that its edge does not change the spectrum."""
    shape, sigma = result.scale.shape, max(grids.SOFTENING_ANGSTROM / result.voxel_size, 0.5)

    def hard(part):
        return np.where(result.scale[part] > CONTENT_SCALE, result.confidence[part], np.float32(0))

    if not (grids.is_thin(shape) and sigma >= grids.LEAST_SIGMA):
        mask = hard(slice(None))
        return smooth(mask, sigma, out=mask)
    coarse = np.empty(binned.cell_shape(shape), np.float32)
    for of_cells, voxels in binned.sections_of_cells(shape[0], SECTIONS // 2):
        binned.cell_mean_of_sections(hard(voxels), of_cells, shape[0], coarse[of_cells])
    binned.smoothed_cells(coarse, sigma)
    return _of_cells(coarse, shape)


def _of_cells(values, shape):
    """Values over cells as a volume that is made section by section; a volume is returned unchanged."""
    if values.shape == shape:
        return values
    return Sections(shape, lambda first, last: binned.values_between(values, shape, binned.sections(first, last), True))


def _times(mask, volume, zero=0.0):
    """A volume above its zero level, times a mask, section by section."""
    def make(first, last):
        height = volume[first:last] - np.float32(zero)
        height *= mask[first:last]
        return height

    return Sections(volume.shape, make)


def _mean_squares(mask, scale):
    """Mean of the squared mask over the box, and of the squared scale under the mask."""
    squares = []
    for z in range(len(mask)):
        m = mask[z:z + 1]
        squares.append((np.square(m, dtype=np.float64).sum(), np.square(m * scale[z:z + 1], dtype=np.float64).sum()))
    weight, total = np.sum(squares, axis=0)
    return weight / mask.size, total / weight if weight > 0 else 1.0


def _weighted_mean(mask, values):
    """Mean of values under the squared mask."""
    return _mean_squares(mask, Sections(values.shape, lambda first, last: np.sqrt(values[first:last])))[1]


def _in_bands(spectrum, frequency, voxel_size):
    """Mean of a spectrum over each band: shells are weighted by their surface and by the square of their share in the
    band."""
    weights = np.array([frequency ** 2 * response(band, frequency, voxel_size) ** 2 for band in range(BANDS)])
    total = weights.sum(axis=1)
    return (weights @ spectrum) / np.where(total > 0, total, 1)


def gains(bands: Bands, kind: Modification, settings: Settings) -> np.ndarray:
    """Tables for the kernel: factor of each band, minus 1, at evenly spaced scales.

    Returns
    -------
    (BANDS, noise variances, scales) float32 array
        One noise variance if the noise is uniform.
    """
    scale = np.maximum(np.linspace(0, 1, _INTERVALS + 1), _LEAST_SCALE)
    plain = plain_factor(scale, kind, settings)
    above = (plain > 1) & (scale < 1)
    exponent = np.zeros_like(scale)
    exponent[above] = np.log(plain[above]) / -np.log(scale[above])
    variances = np.ones(1)
    if bands.noise_variance is not None:
        variances = 2.0 ** ((np.arange(kernels.NOISE_ROWS) - kernels.NOISE_ROWS // 2) / kernels.NOISE_STEPS_PER_OCTAVE)
    tables = [np.where(above, bands.factor(band, scale, variances[:, None]) ** exponent, plain) - 1
              for band in range(BANDS)]
    return np.array(tables).astype(np.float32)


def plain_factor(scale: np.ndarray, kind: Modification, settings: Settings) -> np.ndarray:
    """f(S) of a modification without regard to noise, at any scales: (n,) float64 arrays."""
    ones = np.ones((1, 1, scale.size), np.float32)
    factor = voxelwise.modify(ones, scale.reshape(ones.shape), ones, 0.0, getattr(voxelwise, kind.factor),
                              kind.strength, 0.0, settings.pivot)
    return factor.reshape(-1).astype(np.float64)


def equalised(volume: np.ndarray, result: Result, settings: Settings, kind: Modification, bands: Bands,  # noqa: PLR0913 (what `modified` hands on, and the bands)
              value_range: tuple[Any, ...] | None = None, out: np.ndarray | None = None,
              thread_count: int | None = None) -> np.ndarray:
    """Apply a modification that amplifies, band by band.

    Parameters
    ----------
    volume : (nz, ny, nx) float32 array
        The unfiltered map.
    result : occupy_jit.estimation.scale.result.Result
        With confidence.
    settings : occupy_jit.settings.Settings
    kind : occupy_jit.modifications.Kind
    bands : Bands
    value_range : (low, high), optional
        The result is clipped to it.
    out : array, optional
        May be the confidence itself.
    thread_count : int, optional
        Never changes the result.

    Returns
    -------
    (nz, ny, nx) float32 array
        ``rho + c sum_j (f_j - 1) B_j``, the input bit for bit where no factor differs from 1; without solvent
        ``c (rho - b + sum_j (f_j - 1) B_j)``.
    """
    volume = as_volume(volume)
    out = np.empty_like(volume) if out is None else out
    tables = gains(bands, kind, settings)
    changing = changing_bands(bands, tables, settings.amplify_limit)
    with threads(thread_count):
        for part, change in changes(volume, result, bands, tables, changing, settings.amplify_limit, thread_count):
            kernels.equalised(volume[part], change, result.confidence[part], result.zero, settings.exclude_solvent,
                              value_range, out[part])
    return out


def changing_bands(bands: Bands, tables: np.ndarray, limit: float) -> np.ndarray:
    """Bands that change the amplitude noticeably at any scale from `limit` on: (n,) int array."""
    scale = np.linspace(0, 1, _INTERVALS + 1)
    volumes = np.diff(np.arange(BANDS + 1.0) ** 3)
    amplitude = np.sqrt(volumes[:, None] * (bands.signal[:, None] * np.square(scale) + bands.noise[:, None]))
    change = (np.abs(tables).max(axis=1) * amplitude)[:, scale >= limit].max(axis=1, initial=0)
    return np.flatnonzero(change > _NEGLIGIBLE * math.sqrt(np.square(amplitude[:, -1]).sum()))


def applied_factor(result: Result, settings: Settings, kind: Modification, bands: Bands, band: int, scale: np.ndarray,
                   out: np.ndarray | None = None) -> np.ndarray:
    """Factor of a band of the height above the zero level: ``1 + c (f_j - 1)``, or c f_j.

    Parameters
    ----------
    result, settings, kind, bands, out
        As in `equalised`.
    band : int
    scale : (nz, ny, nx) float32 array
        From `scale_in_force`.

    Returns
    -------
    (nz, ny, nx) float32 array
    """
    out = np.empty_like(scale) if out is None else out
    out.fill(0)
    table, noise = gains(bands, kind, settings)[band], None
    for first in range(0, len(scale), SECTIONS):
        part = slice(first, min(first + SECTIONS, len(scale)))
        ones = np.ones_like(scale[part])
        if bands.noise_variance is not None:
            noise = kernels.noise_position(bands.noise_variance[part], kernels.NOISE_ROWS)
        kernels.add_band(out[part], ones, scale[part], table, settings.amplify_limit, noise)
        kernels.equalised(ones, out[part], result.confidence[part], 0.0, settings.exclude_solvent, out=out[part])
    return out
