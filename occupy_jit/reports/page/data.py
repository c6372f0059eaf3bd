"""Data of a report: plain arrays and numbers from the memory of a run.

Optional data may be left out, and then do not appear on the page.
"""

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from occupy_jit.reports.page.display_grid import Grid, nearest_to, reduce_to, whole_grid


@dataclass(frozen=True)
class Histogram:
    """Densities of the low-passed map, with the solvent model.

    Attributes
    ----------
    edges : (n + 1,) float64 array
        Density.
    counts : (n,) int64 array
    gaussian : (amplitude, mean, sigma) or None
        Solvent model, in voxels per bin; None if none could be fitted.
    marks : tuple of (label, density) or (label, density, number)
        Vertical lines; the number is shown instead of the density.
    """

    edges: np.ndarray
    counts: np.ndarray
    gaussian: tuple | None
    marks: tuple = ()


@dataclass(frozen=True)
class Bands:
    """Power of signal and noise in resolution bands, and the factors of equalising.

    Attributes
    ----------
    limits_per_angstrom : (n + 1,) float64 array
        Borders of the bands, 1/Å.
    signal, noise : (n,) float64 array
        Power at scale 1, and of the noise, in the same units.
    scales : tuple of float
        Scales of the factors.
    factors : (len(scales), n) float64 array
    """

    limits_per_angstrom: np.ndarray
    signal: np.ndarray
    noise: np.ndarray
    scales: tuple
    factors: np.ndarray


@dataclass(frozen=True)
class Part:
    """Occupancy of a part: a chain, a residue range, the inside of a mask.

    Attributes
    ----------
    name : str
    occupancy : float
    error : float or None
        Standard error; None if the part is too small.
    note : str
        For example its number of atoms.
    b_factor : (float, float) or None
        Relative B factor and its standard error, Å^2.
    correlation : float or None
        Of map and model at the part.
    region : (int, int) or None
        Layer of `ReportData.regions` and the number of the part in it.
    """

    name: str
    occupancy: float
    error: float | None
    note: str = ""
    b_factor: tuple | None = None
    correlation: float | None = None
    region: tuple | None = None


@dataclass(frozen=True)
class Parts:
    """A table of parts, under a heading."""

    heading: str
    rows: tuple
    note: str = ""


@dataclass(frozen=True)
class Profile:
    """Occupancies of the residues of a part, in order.

    Attributes
    ----------
    name : str
        Of the part.
    labels : tuple of str
        Numbers of the residues.
    occupancy, error : (n,) float array
    """

    name: str
    labels: tuple
    occupancy: np.ndarray
    error: np.ndarray


@dataclass(frozen=True)
class LigandSite:
    """The density at a ligand, in the plane in which it is widest, and the atoms there.

    Attributes
    ----------
    name, said : str
        Name of the ligand, and its result in words.
    details : str
        Further results.
    section : (ny, nx) float32 array
        Mean density near the plane, from 0 to 1.
    pixel : float
        Å.
    atoms, others : (n, 2) float array
        Positions [x, y] in Å from the lower left corner: of the atoms of the ligand, and of others near the plane.
    bonds, other_bonds : (n, 2) int array
        Pairs of these.
    """

    name: str
    said: str
    details: str
    section: np.ndarray
    pixel: float
    atoms: np.ndarray
    bonds: np.ndarray
    others: np.ndarray
    other_bonds: np.ndarray


@dataclass(frozen=True)
class ReportData:
    """One map. All volumes are reduced to one grid, so that a run need not keep them.

    Attributes
    ----------
    name : str
        Of the map, without directory and suffix.
    record : dict
        Of the run, as in its JSON file; its results hold `occupy_jit.reports.answer.core_numbers` under "core".
    box : (nz, ny, nx)
        Voxels of the map.
    voxel_size : float
        Å, of the map.
    grid : occupy_jit.reports.page.display_grid.Grid
    input, scale, confidence : (gz, gy, gx) float32 array
    core : occupy_jit.estimation.scale.core.Core
    surface_level : float
        Density of the first surface.
    position : (x, y, z)
        Of the first voxel of the map in Å, as in viewers.
    modified : tuple of (label, (gz, gy, gx) float32 array)
    error : (gz, gy, gx) float32 array or None
        Standard error of the scale.
    occupancy, b_factor : (gz, gy, gx) float32 array or None
        Scale without flexibility, and relative B factor in Å^2.
    histogram : Histogram or None
    bands : Bands or None
    parts : tuple of Parts
    profiles : tuple of Profile
    regions : tuple of (gz, gy, gx) uint8 array
        Layers of numbers with the positions of parts.
    sites : tuple of LigandSite
    files : tuple of (role, path, SHA-256 or None)
    links : tuple of (text, relative address)
        To other pages of the same run.
    common_scale : bool
        Whether full scale is common to several maps.
    entry : dict
        EMDB entry of the map, if any: title, resolution_angstrom and contour_level, as far as known.
    """

    name: str
    record: dict
    box: tuple
    voxel_size: float
    grid: Grid
    input: np.ndarray
    scale: np.ndarray
    confidence: np.ndarray
    core: Any
    surface_level: float
    position: tuple = (0.0, 0.0, 0.0)
    modified: tuple = ()
    error: np.ndarray | None = None
    occupancy: np.ndarray | None = None
    b_factor: np.ndarray | None = None
    histogram: Histogram | None = None
    bands: Bands | None = None
    parts: tuple = ()
    profiles: tuple = ()
    regions: tuple = ()
    sites: tuple = ()
    files: tuple = ()
    links: tuple = ()
    common_scale: bool = False
    entry: dict = field(default_factory=dict)


def coarser(data: ReportData, share: float) -> ReportData:
    """The same data with about this share of the voxels.

    Parameters
    ----------
    data : ReportData
    share : float
        Below 1.

    Returns
    -------
    ReportData
    """
    factor = share ** (-1 / 3)
    whole = whole_grid(data.grid.shape, factor)

    def reduced(volume):
        return None if volume is None else reduce_to(whole, volume)

    return replace(
        data, grid=Grid(data.grid.crop, data.grid.step * factor, whole.shape), input=reduced(data.input),
        scale=reduced(data.scale), confidence=reduced(data.confidence), error=reduced(data.error),
        occupancy=reduced(data.occupancy), b_factor=reduced(data.b_factor),
        modified=tuple((label, reduced(volume)) for label, volume in data.modified),
        regions=tuple(nearest_to(whole, numbers) for numbers in data.regions))
