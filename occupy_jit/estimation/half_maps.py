"""What two half maps tell: the noise at every place, and whether they are halves at all.

Half of their difference is a sample of the very noise of their mean, also inside content, where no solvent can tell.
"""

from dataclasses import dataclass

import numpy as np

from occupy_jit.errors import InputError
from occupy_jit.kernels.sliding_ball_maximum import sliding_maximum
from occupy_jit.kernels.smoothing import smooth, smoothed_power
from occupy_jit.kernels.sphere import section_inside

WINDOW_ANGSTROM = 10.0
"""Sigma of the Gaussian that local noise is averaged with."""

_IDENTICAL = 1e-8
_LEAST_CORRELATION, _LEAST_OVERALL = 0.5, -0.1
_RATIOS = (0.8, 1.25)
_INDEPENDENCE = (0.8, 1.3)
EQUAL_SHARE = 0.02
"""Share of equal voxels above which the halves were masked alike: those voxels tell nothing of noise."""

_MOSTLY_EQUAL = 0.5


@dataclass(frozen=True)
class LocalNoise:
    """Noise around each voxel, each a (nz, ny, nx) float32 array.

    Attributes
    ----------
    floor : array
        Noise floor: mean sliding maximum of noise alone.
    variance : array
        Of the low-passed map.
    maximum_variance : array or None
        Of its sliding maximum, where half maps tell it.
    """

    floor: np.ndarray
    variance: np.ndarray
    maximum_variance: np.ndarray | None


class _Average:
    """Gaussian average over the voxels where the halves differ: where they were masked there is no noise to see."""

    def __init__(self, known, voxel_size):
        self._sigma = max(WINDOW_ANGSTROM / voxel_size, 0.5)
        self._known = None if known is None else known.astype(np.float32)
        self._weight = None if known is None else np.maximum(smooth(self._known, self._sigma), np.float32(1e-3))

    def __call__(self, volume):
        """Average of a volume, which is overwritten."""
        if self._known is not None:
            volume *= self._known
        smooth(volume, self._sigma, out=volume)
        if self._known is not None:
            volume /= self._weight
        return np.maximum(volume, 0, out=volume)

    def of_squares(self, volume):
        """Average of the square of a volume."""
        if self._known is None:
            return smoothed_power(volume, 0.0, self._sigma)
        return self(np.square(volume))


def local_noise(source, difference, ball, voxel_size, known=None):
    """Noise of the low-passed map, and of its sliding maximum, around each voxel.

    Parameters
    ----------
    source : (nz, ny, nx) float32 array
        Mean of the low-passed half maps.
    difference : (nz, ny, nx) float32 array
        Half of their difference.
    ball : occupy_jit.estimation.ball.Ball
    voxel_size : float
        Å.
    known : (nz, ny, nx) array of bool, optional
        Where the halves differ, if they were masked alike.

    Returns
    -------
    LocalNoise
    """
    average = _Average(known, voxel_size)
    variance = average.of_squares(difference)
    # two maxima of pure noise, up and down; their mean is twice as well known as either
    floor = sliding_maximum(difference, ball.radius, ball.size)
    work = -difference
    floor += sliding_maximum(work, ball.radius, ball.size)
    floor *= np.float32(0.5)
    floor = average(floor)
    np.add(source, difference, out=work)
    apart = sliding_maximum(work, ball.radius, ball.size)
    np.subtract(source, difference, out=work)
    apart -= sliding_maximum(work, ball.radius, ball.size)
    apart *= np.float32(0.5)
    return LocalNoise(floor, variance, average.of_squares(apart))


def equal_share(difference):
    """Share of the voxels of the inscribed sphere at which both halves have the same value."""
    equal = total = 0
    for z, section in enumerate(difference):
        inside = section_inside(difference.shape, z)
        equal += np.count_nonzero((section == 0) & inside)
        total += np.count_nonzero(inside)
    return float(equal / total)


def judge(source, difference, zero, quiet, equal, verdicts):
    """Whether two maps are half maps of one, and what is wrong with them.

    Parameters
    ----------
    source, difference : (nz, ny, nx) float32 arrays
        Mean and half of the difference of the low-passed halves.
    zero : float
        Zero level.
    quiet : occupy_jit.estimation.quiet.Quiet
        Of the mean.
    equal : float
        From `equal_share`, before the low-pass.
    verdicts : list of (code, sentence)
        What the user should know is appended.

    Returns
    -------
    dict
        correlation and ratio of both in content, independence of the noise (1 is ideal), equal_share.

    Raises
    ------
    InputError
        If they are the same map twice, or not two halves of one map.
    """
    sums = np.zeros(7)
    for z in range(source.shape[0]):
        inside = section_inside(source.shape, z)
        calm = quiet.section(z)
        content = inside & ~calm
        mean = source[z].astype(np.float64) - zero
        half = difference[z].astype(np.float64)
        one, two = (mean + half)[content], (mean - half)[content]
        sums += (one @ two, one @ one, two @ two, np.square(half[calm]).sum(), np.square(mean[calm]).sum(),
                 np.square(half[inside]).sum(), np.square(mean[inside]).sum())
    product, first, second, noise, solvent, differing, power = sums
    if differing <= _IDENTICAL * power:
        raise InputError("the half maps are the same map twice: give the other half")
    correlation = product / np.sqrt(max(first * second, 1e-300))
    # of all voxels: that of independent noise alone is 0; content of inverted contrast is in the difference, and the
    # mean shows none
    overall = (power - differing) / (power + differing)
    if overall < _LEAST_OVERALL:
        correlation = overall
    if not correlation >= _LEAST_CORRELATION:
        raise InputError(f"the half maps correlate by {correlation:.2f} only where there is content: they are not two "
                         "halves of one map, or not aligned, or of other hand or contrast")
    ratio = float(np.sqrt(second / first))
    if not _RATIOS[0] <= ratio <= _RATIOS[1]:
        verdicts.append(("half-maps-scaled", f"one half map is {max(ratio, 1 / ratio):.2f} times as strong as the "
                         "other: bring both to one grey scale; the difference counts as noise here"))
    if equal > _MOSTLY_EQUAL:
        verdicts.append(("half-maps-masked", f"the half maps are equal at {equal:.0%} of the voxels: they were masked, "
                         "and the errors hold inside the mask only; use unmasked half maps"))
    independence = float(noise / max(solvent, 1e-300))
    if equal <= EQUAL_SHARE and independence < _INDEPENDENCE[0]:
        factor = 1 / np.sqrt(max(independence, 1e-6))
        verdicts.append(("half-maps-dependent", "the noise of the half maps is correlated, or one contains the other: "
                         f"errors are too small by up to {factor:.1f} times"))
    elif equal <= EQUAL_SHARE and independence > _INDEPENDENCE[1]:
        verdicts.append(("half-maps-differ", "the half maps differ by more than the noise in solvent: misaligned, or "
                         "sharpened differently; errors are too large"))
    return {"correlation": float(correlation), "ratio": ratio, "independence": independence, "equal_share": equal}
