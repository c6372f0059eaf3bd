"""Scale of a map that was made from two half maps and then sharpened or masked, estimated from the half maps.

Only the half maps show the noise, so the scale is estimated on their mean. They are first scaled to the
spectrum of the map, shell by shell, and to its zero level, so that levels and noise agree with the map.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from occupy_jit.errors import InputError
from occupy_jit.estimation.fourier import filters
from occupy_jit.estimation.sections import Sections
from occupy_jit.estimation.solvent.flattened import even_sample, most_frequent_value
from occupy_jit.kernels.grid.sphere import section_inside

if TYPE_CHECKING:
    from occupy_jit.estimation.solvent.quiet_voxels import Quiet

LEAST_CORRELATION, GOOD_CORRELATION = 0.5, 0.9
"""Correlations of the low-passed map and the mean of the half maps in content: below the first they do not belong
together, below the second the map was changed by more than a filter of its spectrum."""

_FLATTENED = 0.5  # of the quiet voxels
_MASKED = 0.05  # of all voxels


class Gain(NamedTuple):
    """Factors for the shells of Fourier space of the half maps.

    Attributes
    ----------
    frequency : (shells,) float64 array
        1/Å.
    factor : (shells,) float64 array
        Never negative.
    """

    frequency: np.ndarray
    factor: np.ndarray

    def __call__(self, frequency: np.ndarray) -> np.ndarray:
        """Factor at any frequencies, in 1/Å."""
        return np.interp(frequency, self.frequency, self.factor)


def gain(volume: np.ndarray, mean: np.ndarray, voxel_size: float, highest_frequency: float = np.inf,
         threads: int | None = None) -> Gain:
    """Factor of each shell that brings the mean of the halves to the map.

    This is the least-squares factor, ``sum Re(F_map conj F_mean) / sum |F_mean|^2``; the shell of the mean, which the
    zero level replaces, has the factor of the next shell. Where the map was flattened the mean is flattened, too: noise
    in only one of them would lower the factor in all noisy shells.

    Parameters
    ----------
    volume, mean : (nz, ny, nx) float32 arrays
    voxel_size : float
        Å.
    highest_frequency : float
        Upper limit of the factors, 1/Å.
    threads : int, optional

    Returns
    -------
    Gain
    """
    value, share, _ = most_frequent_value(even_sample(volume)[0])  # of the whole box: masks flatten its corners
    if share > _MASKED:
        mean = _flattened_alike(volume, value, mean)  # pyright: ignore[reportAssignmentType]
    frequency, cross, power = filters.radial_cross_spectrum(volume, mean, voxel_size, highest_frequency, threads)
    factor = np.maximum(cross, 0) / np.where(power > 0, power, 1)
    if factor.size > 1:
        factor[0] = factor[1]
    return Gain(frequency, factor)


def _flattened_alike(volume, value, mean):
    """The mean of the half maps, set to its solvent level wherever the map has the value of flattened solvent."""
    total, number = 0.0, 0
    for section, of_mean in zip(volume, mean, strict=True):
        flat = of_mean[section == value]
        total, number = total + flat.sum(dtype=np.float64), number + flat.size
    level = np.float32(total / max(number, 1))
    return Sections(mean.shape, lambda first, last: np.where(volume[first:last] == value, level, mean[first:last]))


def zero_level(volume: np.ndarray, quiet: Quiet, known: np.ndarray | None = None) -> tuple[float, float]:
    """Zero level of the map: its mean over the quiet voxels of the half maps, without flattened voxels.

    Parameters
    ----------
    volume : (nz, ny, nx) float32 array
        The map itself.
    quiet : occupy_jit.estimation.solvent.quiet_voxels.Quiet
        Of the halves.
    known : (nz, ny, nx) array of bool, optional
        Where the halves differ.

    Returns
    -------
    zero : float
        The flattened value if there are no other quiet voxels.
    flattened : float
        Share of the quiet voxels that were flattened in the map but not in the half maps.
    """
    value, _, _ = most_frequent_value(even_sample(volume)[0])
    total, number, flat, only = 0.0, 0, 0, 0
    for z, section in enumerate(volume):
        calm = quiet.section(z)
        even = calm & (section == value)
        rest = section[calm & ~even]
        total += rest.sum(dtype=np.float64)
        number += rest.size
        flat += np.count_nonzero(even)
        only += np.count_nonzero(even if known is None else even & known[z])
    share = float(only / max(number + flat, 1))
    if share <= _FLATTENED and number + flat:
        total, number = total + value * flat, number + flat
    return float(total / number if number else value), share


def correlation(first: np.ndarray, second: np.ndarray, quiet: Quiet) -> float:
    """Correlation of two volumes over the voxels of the inscribed sphere that are not quiet."""
    sums = np.zeros(6)
    for z in range(first.shape[0]):
        content = section_inside(first.shape, z) & ~quiet.section(z)
        one, two = (volume[z][content].astype(np.float64) for volume in (first, second))
        sums += (one.size, one.sum(), two.sum(), one @ two, one @ one, two @ two)
    n, one, two, product, first_squared, second_squared = sums
    variances = (n * first_squared - one * one) * (n * second_squared - two * two)
    return float((n * product - one * two) / np.sqrt(variances)) if variances > 0 else 0.0


def require_agreement(agreement: float) -> None:
    """Refuse a map and half maps that do not belong together.

    Parameters
    ----------
    agreement : float
        From `correlation`.

    Raises
    ------
    InputError
    """
    if not agreement >= LEAST_CORRELATION:
        raise InputError(f"the correlation of the map with the mean of the half maps is only {agreement:.2f} in "
                         "content: these are the half maps of another map, or they are not aligned with it")


def verdicts(agreement: float, flattened: float) -> list[tuple[Any, ...]]:
    """Verdicts if the map is not the mean of the half maps, or was flattened.

    Parameters
    ----------
    agreement : float
        From `correlation`.
    flattened : float
        From `zero_level`.

    Returns
    -------
    list of (code, sentence)
    """
    found = []
    if agreement < GOOD_CORRELATION:
        found.append(("half-maps-of-another", "the correlation of the map with the mean of the half maps is "
                                              f"{agreement:.2f} in content, even at the same low-pass: the map was "
                                              "modified by more than a filter, or comes from another reconstruction; "
                                              "the errors apply to the half maps"))
    if flattened > _FLATTENED:
        found.append(("map-flattened", f"{flattened:.0%} of the solvent is flattened in the map but not in the half "
                                       "maps: noise and noise floor were measured in the half maps, and the zero "
                                       "level in the remaining solvent"))
    return found
