"""Solvent without a mask: the quiet voxels of a map, and statistics over them."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from occupy_jit.estimation import grids
from occupy_jit.estimation.sections import Sections
from occupy_jit.kernels import moments, quantiles
from occupy_jit.kernels.grid import binned
from occupy_jit.kernels.grid.smoothing import smoothed_power
from occupy_jit.kernels.grid.sphere import section_inside


@dataclass
class Quiet:
    """Quiet voxels: those inside the inscribed sphere with a smoothed power of at most `threshold`.

    Attributes
    ----------
    power : float32 array
        Power of the low-passed map around its median, smoothed with a Gaussian of 4 Å: voxel by voxel, or on the grid
        of cells (`occupy_jit.kernels.grid.binned`) of the map, if that can represent it.
    threshold : float
    shape : (nz, ny, nx)
        Of the map.
    """

    power: np.ndarray
    threshold: float
    shape: tuple

    @property
    def on_cells(self) -> bool:
        """bool : Whether the power is known on the grid of cells."""
        return self.power.shape != tuple(self.shape)

    @property
    def thin(self) -> bool:
        """bool : Whether every other voxel along each axis suffices for statistics of smooth volumes."""
        return grids.is_thin(self.shape)

    def forget(self) -> None:
        """Free the memory; no statistics are possible afterwards."""
        self.power = None  # pyright: ignore[reportAttributeAccessIssue]

    def mean_and_deviation(self, volume: np.ndarray, smooth: bool = False) -> tuple[float, float, int]:
        """Mean and standard deviation of `volume` over the quiet voxels, and their number.

        `smooth`: the volume varies so slowly that every other voxel suffices. It may also be on the grid of
        cells of the power.
        """
        return moments.quiet_moments(volume, self.power, self.threshold, smooth and self._thinned(volume))

    def survey(self, volume: np.ndarray) -> tuple[Any, ...]:
        """Mean, standard deviation and number of the quiet voxels, smallest and largest value of the whole sphere."""
        return moments.quiet_survey(volume, self.power, self.threshold)

    def section(self, z: int) -> np.ndarray:
        """Quiet voxels of section z: (ny, nx) array of bool."""
        quiet = self.power[self._cells(0)[z]] <= self.threshold
        return section_inside(self.shape, z) & quiet[self._cells(1)][:, self._cells(2)]

    def _cells(self, axis):
        """Index into the power of each voxel along an axis."""
        n = self.shape[axis]
        return binned.cell_of(n) if self.power.shape[axis] != n else np.arange(n)

    def _thinned(self, volume):
        """Whether every other voxel of a smooth volume suffices; a grid of cells is already sparse."""
        return self.thin and not (self.on_cells and volume.shape == self.power.shape)

    def alone(self, volume: Any, mean: Any) -> Any:
        """`volume` - `mean` at the quiet voxels, 0 elsewhere: (nz, ny, nx) float32 array."""
        return self.sections_alone(volume, mean)[:]

    def sections_alone(self, volume: np.ndarray, mean: float) -> Sections:
        """The same, section by section on request: `occupy_jit.estimation.sections.Sections`."""
        def make(first, last):
            out = np.zeros((last - first, *volume.shape[1:]), np.float32)
            for z in range(first, last):
                np.subtract(volume[z], np.float32(mean), out=out[z - first], where=self.section(z))
            return out

        return Sections(volume.shape, make)

    def median(self, volume: np.ndarray, zero: float = 0.0) -> float:
        """Median of `volume` - `zero`, a smooth volume (or one on the grid of cells), over the quiet voxels."""
        return quantiles.quiet_median(volume, zero, self.power, self.threshold, self._thinned(volume))

    def median_of(self, values: np.ndarray) -> float:
        """Median over the quiet voxels of a smooth volume, also one over cells if the power is not."""
        if values.shape != tuple(self.shape) and not self.on_cells:
            values = binned.values_between(values, self.shape)
        return self.median(values)

    def quantile(self, volume: Any, fractions: Any) -> Any:
        """Quantiles of `volume`, a smooth volume (or one on the grid of cells), over the quiet voxels: list."""
        return quantiles.quantile(volume, fractions, True, self.power, self.threshold, self._thinned(volume))


def find_quiet(lowpassed: np.ndarray, voxel_size: float) -> Quiet:
    """Find solvent without a histogram or a mask.

    The squared deviation of the low-passed map from its median is smoothed; the quietest half of the inscribed
    sphere is a first guess, and voxels below ``median + 4 * 1.4826 * MAD`` of the power there are kept, six times over.

    Parameters
    ----------
    lowpassed : (nz, ny, nx) float32 array
    voxel_size : float
        Å.

    Returns
    -------
    Quiet
    """
    thin = grids.is_thin(lowpassed.shape)
    centre = quantiles.quantile(lowpassed, 0.5, inside=True, thin=thin)
    sigma = max(grids.QUIET_SMOOTHING_ANGSTROM / voxel_size, 1.0)
    if grids.cells_hold(lowpassed.shape, voxel_size):
        power = binned.smoothed_cells(binned.cell_power(lowpassed, centre), sigma)
        return Quiet(power, quantiles.power_threshold(power), lowpassed.shape)
    power = smoothed_power(lowpassed, centre, sigma)
    return Quiet(power, quantiles.power_threshold(power, thin=thin), lowpassed.shape)
