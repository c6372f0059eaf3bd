"""Local noise from two half maps, and a check that they belong together.

Half of their difference is a sample of the noise of their mean, also inside content, where there is
no solvent to measure it.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from occupy_jit.errors import InputError
from occupy_jit.estimation import grids
from occupy_jit.kernels import map_pairs as kernels
from occupy_jit.kernels.grid import binned
from occupy_jit.kernels.sliding_ball_maximum import sliding_maximum

if TYPE_CHECKING:
    from occupy_jit.estimation.scale.ball import Ball
    from occupy_jit.estimation.solvent.quiet_voxels import Quiet

WINDOW_ANGSTROM = 10.0
"""Sigma of the Gaussian that averages local noise; at least `grids.LEAST_SIGMA` voxels."""

_IDENTICAL = 1e-8
_LEAST_CORRELATION, _LEAST_OVERALL = 0.5, -0.1
_RATIOS = (0.8, 1.25)
_INDEPENDENCE = (0.8, 1.3)
EQUAL_SHARE = 0.02
"""Share of equal voxels above which the half maps were masked alike: equal voxels are not informative."""

_MOSTLY_EQUAL = 0.5
_LEAST_WEIGHT = 1e-3  # share of the surrounding voxels, if some are left out
_NO_CONTENT = (1.1, 1.3)
"""Local mean of the sliding maximum, in units of the local noise floor, up to which there is only noise, and from which
on there is content. Noise alone gives 1; its mean over a window of 10 Å is known within a few percent."""


@dataclass(frozen=True)
class LocalNoise:
    """Noise around each voxel, on the map's grid of cells (`occupy_jit.kernels.grid.binned`), each a float32 array.

    It is an average over 10 Å, so that cells of two voxels represent it; linear interpolation between them
    differs by at most an eighth of the square of a cell over that of the Gaussian, 0.7% of the local changes
    for voxels of 1.2 Å and 12% at the coarsest, where the Gaussian is two voxels wide.

    Attributes
    ----------
    floor : array
        Noise floor: mean sliding maximum of noise alone.
    variance : array
        Of the low-passed map.
    maximum_variance : array or None
        Of its sliding maximum, if measured with half maps.
    """

    floor: np.ndarray
    variance: np.ndarray
    maximum_variance: np.ndarray | None


@dataclass(frozen=True)
class HalfMaps:
    """Two half maps, joined by `join_half_maps`.

    Attributes
    ----------
    difference : (nz, ny, nx) float32 array
        Half of their difference.
    mean : (nz, ny, nx) float32 array or None
        Their mean, if another map is estimated.
    factor : float
        Factor applied to the second half map.
    """

    difference: np.ndarray
    mean: np.ndarray | None = None
    factor: float = 1.0


@dataclass(frozen=True)
class HalfMapsFacts:
    """Agreement of two half maps.

    Attributes
    ----------
    correlation, ratio : float
        Of both in content.
    independence : float or None
        Power of their difference in solvent, 1 if their noise is independent; None without solvent.
    equal_share : float
        Share of the inscribed sphere in which both are equal.
    map_correlation, map_flattened : float or None
        Correlation with the map made from them, and the share of solvent that was flattened in that map only.
    second_multiplied_with : float
        Factor that brings the second half map to the grey scale of the first.
    """

    correlation: float
    ratio: float
    independence: float | None
    equal_share: float
    map_correlation: float | None = None
    map_flattened: float | None = None
    second_multiplied_with: float = 1.0

    def as_record(self) -> dict:
        """dict : Entries of the JSON record."""
        unknown = () if self.map_correlation is not None else ("map_correlation", "map_flattened")
        return {name: value for name, value in asdict(self).items() if name not in unknown}


def _window(voxel_size):
    """Sigma of the Gaussian that averages local noise, in voxels."""
    return max(WINDOW_ANGSTROM / voxel_size, grids.LEAST_SIGMA)


class _Average:
    """Gaussian average over the voxels in which the half maps differ: masked voxels show no noise."""

    def __init__(self, volume: np.ndarray, known: Any, voxel_size: float) -> None:
        self._sigma = _window(voxel_size)
        self._weight = None
        if known is not None:
            self._weight = binned.smoothed_cells(kernels.pair_cells(volume, volume, kernels.KNOWN, known), self._sigma)
            np.maximum(self._weight, np.float32(_LEAST_WEIGHT), out=self._weight)

    def __call__(self, means: np.ndarray) -> np.ndarray:
        """Average of means over cells; overwrites its input."""
        binned.smoothed_cells(means, self._sigma)
        if self._weight is not None:
            means /= self._weight
        return np.maximum(means, 0, out=means)


def join_half_maps(one: np.ndarray, two: np.ndarray) -> float:
    """Replace two half maps by their mean and half of their difference, on the grey scale of the first.

    If the structure of the half maps differs by more than a quarter in strength, they have different grey scales, and
    the second is scaled to the first: otherwise the difference would be content, not noise. Strength is the standard
    deviation of means over 4 voxels along each axis, which contain little noise.

    Parameters
    ----------
    one, two : (nz, ny, nx) float32 arrays, C-contiguous
        Overwritten: `one` with the mean, `two` with half of the difference.

    Returns
    -------
    float
        Factor applied to the second half map; 1 if both had one grey scale.

    Examples
    --------
    >>> import numpy, occupy_jit
    >>> rng = numpy.random.default_rng(0)
    >>> signal = rng.normal(0, 1, (16, 16, 16)).astype(numpy.float32)
    >>> one, two = (signal + rng.normal(0, 0.1, signal.shape).astype(numpy.float32) for _ in range(2))
    >>> difference = one - two
    >>> occupy_jit.join_half_maps(one, two)
    1.0
    >>> bool(numpy.allclose(two, difference / 2, atol=1e-6))
    True
    """
    coarse = [binned.cell_mean(binned.cell_mean(volume)).std(dtype=np.float64) for volume in (one, two)]
    ratio = coarse[1] / coarse[0] if coarse[0] > 0 and coarse[1] > 0 else 1.0
    factor = 1.0 if _RATIOS[0] <= ratio <= _RATIOS[1] else float(1 / ratio)
    kernels.join(one, two, factor)
    return factor


def local_noise(source: np.ndarray, difference: np.ndarray, ball: Ball, voxel_size: float,
                known: np.ndarray | None = None) -> LocalNoise:
    """Noise of the low-passed map, and of its sliding maximum, around each voxel.

    Parameters
    ----------
    source : (nz, ny, nx) float32 array
        Mean of the low-passed half maps.
    difference : (nz, ny, nx) float32 array
        Half of their difference.
    ball : occupy_jit.estimation.scale.ball.Ball
    voxel_size : float
        Å.
    known : (nz, ny, nx) array of bool, optional
        Voxels in which the half maps differ, if they were masked alike.

    Returns
    -------
    LocalNoise
    """
    shape = source.shape
    average = _Average(source, known, voxel_size)
    variance = kernels.pair_cells(difference, difference, kernels.POWER, known)
    floor, apart = np.empty_like(variance), np.empty_like(variance)
    n_z, halo = shape[0], ball.size // 2
    buffers = None
    # some sections at a time: there is never a whole volume of the maxima
    for of_cells, voxels in binned.sections_of_cells(n_z, grids.sections_at_a_time(n_z) // 2):
        first, last = max(0, voxels.start - halo), min(n_z, voxels.stop + halo)
        if buffers is None or len(buffers[0]) < last - first:
            buffers = [np.empty((last - first, *shape[1:]), np.float32) for _ in range(3)]
        work, one, two = (buffer[:last - first] for buffer in buffers)
        mean, noise = source[first:last], difference[first:last]
        inner = slice(voxels.start - first, voxels.stop - first)
        within = None if known is None else known[voxels]

        def of_pair(kind, out, one=one, two=two, inner=inner, within=within, of_cells=of_cells):
            kernels.pair_cells(one[inner], two[inner], kind, within, of_cells, n_z, out[of_cells])

        # two maxima of pure noise, upwards and downwards; their mean has half the variance
        sliding_maximum(noise, ball.radius, ball.size, out=one)
        sliding_maximum(kernels.combine(mean, noise, 0, -1, work), ball.radius, ball.size, out=two)
        of_pair(kernels.HALF_SUM, floor)
        sliding_maximum(kernels.combine(mean, noise, 1, 1, work), ball.radius, ball.size, out=one)
        sliding_maximum(kernels.combine(mean, noise, 1, -1, work), ball.radius, ball.size, out=two)
        of_pair(kernels.POWER_OF_HALF_DIFFERENCE, apart)
    return LocalNoise(average(floor), average(variance), average(apart))


def with_common_part(floor: np.ndarray, in_solvent: float, measured: float) -> np.ndarray:
    """Local noise floor with features of solvent that both half maps share.

    Ripples of the reconstruction around content are the same in both half maps, and so is shared noise. The sliding
    maximum in quiet solvent shows them: variances add, so the excess of its square over that of the floor is added
    everywhere.

    Parameters
    ----------
    floor : float32 array
        Noise floor around each voxel, from `LocalNoise`.
    in_solvent : float
        Its median over quiet solvent.
    measured : float
        Median of the sliding maximum of the map there.

    Returns
    -------
    float32 array
        `floor` itself if there is no excess.
    """
    lacking = measured ** 2 - in_solvent ** 2
    if lacking <= 0:
        return floor
    total = np.square(floor)
    total += np.float32(lacking)
    return np.sqrt(total, out=total)


def solvent_floor_without_content(floor: np.ndarray, maximum: np.ndarray, zero: float, of_solvent: float,
                                  voxel_size: float) -> np.ndarray:
    """Local noise floor that is nowhere below the floor of solvent except in content.

    Noise of reconstructions falls towards the edge of the box, over distances shorter than the window that
    averages local noise. Half of the noise above a floor that follows it remains as halo, so a floor that falls
    towards the edge leaves more halo than one floor for all solvent. Low floors are for weak content: where the sliding
    maximum is that of noise there is no content, and the floor of solvent applies, with a gradual transition.

    Parameters
    ----------
    floor : float32 array
        Noise floor around each voxel, over cells.
    maximum : (nz, ny, nx) float32 array
        Sliding maximum of the map.
    zero : float
        Zero level.
    of_solvent : float
        Median of the sliding maximum over quiet solvent, above the zero level.
    voxel_size : float
        Å.

    Returns
    -------
    float32 array
        Over cells; nowhere below `floor`.
    """
    around = binned.smoothed_cells(binned.cell_mean(maximum), _window(voxel_size))
    around -= np.float32(zero)
    nothing, content = (np.float32(limit) * floor for limit in _NO_CONTENT)
    share = (content - around) / np.maximum(content - nothing, np.finfo(np.float32).tiny)
    return floor + np.maximum(np.float32(of_solvent) - floor, 0) * np.clip(share, 0, 1)


def judge(source: np.ndarray, difference: np.ndarray, zero: float, quiet: Quiet, equal: float) -> HalfMapsFacts:
    """Check that two maps are half maps of one map, and measure their agreement.

    Parameters
    ----------
    source, difference : (nz, ny, nx) float32 arrays
        Mean and half of the difference of the low-passed halves.
    zero : float
        Zero level.
    quiet : occupy_jit.estimation.solvent.quiet_voxels.Quiet
        Of the mean.
    equal : float
        Share of the inscribed sphere where both halves had the same value before the low-pass.

    Returns
    -------
    HalfMapsFacts

    Raises
    ------
    InputError
        If they are identical, or not two half maps of one map.
    """
    sums = kernels.pair_sums(source, difference, zero, quiet.power, quiet.threshold)
    product, first, second, noise, solvent, differing, power = sums
    if differing <= _IDENTICAL * power:
        raise InputError("the two half maps are identical: give the other half")
    if not first * second > 0:
        raise InputError("nothing in the half maps stands out from solvent: they are not two halves of one map, or "
                         "the box is too small to contain both content and solvent")
    correlation = product / np.sqrt(first * second)
    # of all voxels: for independent noise it is 0; content of inverted contrast is in the difference, and the
    # mean does not show it
    overall = (power - differing) / (power + differing)
    if overall < _LEAST_OVERALL:
        correlation = overall
    if not correlation >= _LEAST_CORRELATION:
        raise InputError(f"the correlation of the half maps is only {correlation:.2f} in content: they are not two "
                         "halves of one map, not aligned, or of opposite hand or contrast")
    return HalfMapsFacts(float(correlation), float(np.sqrt(second / first)), float(noise / max(solvent, 1e-300)), equal)


def verdicts(facts: HalfMapsFacts) -> list[tuple[Any, ...]]:
    """Verdicts on half maps.

    Parameters
    ----------
    facts : HalfMapsFacts

    Returns
    -------
    list of (code, sentence)
    """
    found = []
    ratio, equal, independence = facts.ratio, facts.equal_share, facts.independence
    if not _RATIOS[0] <= ratio <= _RATIOS[1]:
        found.append(("half-maps-scaled", f"one half map is {max(ratio, 1 / ratio):.2f} times as strong as the other, "
                                          "and the difference counts as noise: bring both to the same grey scale"))
    if equal > _MOSTLY_EQUAL:
        found.append(("half-maps-masked", f"the half maps are identical at {equal:.0%} of the voxels: they were "
                                          "masked, and the errors are valid inside the mask only; use unmasked half "
                                          "maps"))
    if equal > EQUAL_SHARE or independence is None:
        return found
    if independence < _INDEPENDENCE[0]:
        factor = 1 / np.sqrt(max(independence, 1e-6))
        found.append(("half-maps-dependent", "the noise of the half maps is correlated in solvent, or one contains "
                                             "the other: errors may be underestimated by a factor of up to "
                                             f"{factor:.1f}. They are correct if both show real faint density there"))
    elif independence > _INDEPENDENCE[1]:
        found.append(("half-maps-differ", "the half maps differ by more than the noise in solvent: they are "
                                          "misaligned or were sharpened differently, and the errors are "
                                          "overestimated"))
    return found


def verdict_on_factor(facts: HalfMapsFacts) -> list[Any]:
    """Verdict if the second half map was scaled to the first: list of (code, sentence)."""
    factor = facts.second_multiplied_with
    if factor == 1:
        return []
    return [("half-maps-scaled", f"the second half map is {1 / factor:.2f} times as strong as the first: it was "
                                 "scaled to the first")]
