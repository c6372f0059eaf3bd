"""Data for single sites: density of the map without the ligand, and columns of the ligand and its neighbours.

All voxels within one detail of the atoms of a ligand are used, whether other atoms are near or not.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from occupy_jit.estimation.parts.columns import Design
from occupy_jit.estimation.parts.part_boxes import PartBoxes
from occupy_jit.kernels.model.atoms import density_at, distance_to_atoms

if TYPE_CHECKING:
    from occupy_jit.estimation.ligands.sites import Site
    from occupy_jit.estimation.parts.atoms import Atoms
    from occupy_jit.estimation.parts.errors import Solution
    from occupy_jit.estimation.parts.fit_grid import Lattice
    from occupy_jit.estimation.parts.preparation import Preparation

_VOXELS_WITHIN = 1.0  # details
_NEIGHBOURS_WITHIN = 1.5  # details (6 Å)
_NOISE_WITHIN = 2.0  # details: range in which the residual measures the local noise
_COLUMN_REACH = 2.25  # details
_TYPICAL_WEIGHT = 60.0
"""Number of independent residual values near a site with the same weight as the typical noise of the map."""
_TAKEN_UP = 1.06
"""Noise that the residual lacks, because the fit with its pseudo-atoms absorbed it."""


class FittedModel(NamedTuple):
    """The fit of all parts, for the analysis of ligands.

    Attributes
    ----------
    lattice : Lattice
    atoms : Atoms
    b_factors : ndarray (atoms,)
        As fitted.
    design : Design
        Of the parts, and of pseudo-atoms after them.
    solution : Solution
    made : Preparation
        Results kept from an earlier map on the same grid.
    place : tuple
        The frame of the map, and whether the B factors of the file are used; kept results depend on both.
    """

    lattice: Lattice
    atoms: Atoms
    b_factors: np.ndarray
    design: Design
    solution: Solution
    made: Preparation
    place: tuple

    def once(self, name: str, make: Callable[[], Any]) -> Any:
        """Results that depend on model, grid and choice of B factors alone, as in `Preparation.once`."""
        return self.made.once((name, *self.place), make)


class Surroundings:
    """Voxels around all sites, the residual there, its noise, and the columns of the neighbours.

    Parameters
    ----------
    fitted : FittedModel
    sites : list of Site
    """

    def __init__(self, fitted: FittedModel, sites: list[Site]) -> None:
        lattice, state = fitted.lattice, fitted.solution.state
        self.transfer = state.gain * state.whitening * lattice.band
        self.s = lattice.s
        self._fitted, self._sites = fitted, sites
        positions = fitted.atoms.positions
        inside, self.voxels, index, self._near = fitted.once("voxels about ligands", self._voxels)
        residual = (lattice.filtered(state.whitening * lattice.band)
                    - fitted.design.on_grid(self.transfer, state.offset, state.occupancy))
        self._residual = residual[inside].astype(float)
        self._measure_noise(residual)
        self._raw = density_at(np.ascontiguousarray(lattice.data, np.float32), positions)
        self._find_neighbours(replace(lattice, fit_index=index, n_fit=len(self.voxels)))
        self._as_fitted, self._even = fitted.once("boxes of ligands", self._boxes)

    def __len__(self) -> int:
        return len(self._sites)

    def _voxels(self):
        """Voxels around all sites: indices [z, y, x], numbers on the grid, and the voxels of every site."""
        lattice, positions = self._fitted.lattice, self._fitted.atoms.positions
        reach = _VOXELS_WITHIN * lattice.detail
        own = np.concatenate([positions[site.atoms] for site in self._sites])
        inside = distance_to_atoms(lattice.data.shape, own, lattice.spacing, reach) < reach
        voxels = np.argwhere(inside)
        index = np.full(lattice.data.shape, -1, np.int32)
        index[inside] = np.arange(len(voxels), dtype=np.int32)
        return inside, voxels, index, self._within(voxels, reach)

    def _within(self, voxels, reach):
        """Rows of `voxels` within reach of the atoms of every site."""
        from scipy.spatial import cKDTree

        spacing, positions = self._fitted.lattice.spacing, self._fitted.atoms.positions
        tree = cKDTree(voxels * spacing)
        return [_union(tree.query_ball_point(positions[site.atoms] * spacing, reach)) for site in self._sites]

    def _measure_noise(self, residual):
        """Power of the residual in shells, and its ratio around each site to the typical power.

        With half maps, the noise is at least that of their difference.
        """
        lattice = self._fitted.lattice
        per_voxel = self.independent = float((lattice.in_shell * lattice.band**2).sum() / lattice.data.size)
        fit_voxels = lattice.fit_index >= 0
        masked = lattice.spread(residual[fit_voxels])
        self.power = lattice.power(masked, masked) / lattice.in_shell / lattice.n_fit
        square = np.square(residual, dtype=float)
        if lattice.noise is not None:
            state = self._fitted.solution.state
            noise = np.square(lattice.filtered(state.whitening * lattice.band, lattice.noise), dtype=float)
            self.power = np.maximum(self.power, float(noise[fit_voxels].mean()) / per_voxel * lattice.band**2)
            square = np.maximum(square, noise)
        typical = float(square[fit_voxels].mean())
        values = square[fit_voxels]
        self.local = []
        for near in self._fitted.once("noise about ligands", lambda: self._within(
                np.argwhere(fit_voxels), _NOISE_WITHIN * lattice.detail)):
            independent = len(near) * per_voxel
            here = values[near].sum() * per_voxel / typical
            self.local.append((_TYPICAL_WEIGHT + here) / (_TYPICAL_WEIGHT + independent))

    def _find_neighbours(self, lattice):
        """Columns times occupancies of residues beside sites and of pseudo-atoms, on the voxels around sites."""
        fitted = self._fitted
        atoms, design = fitted.atoms, fitted.design
        of_model = fitted.once("residues beside ligands", lambda: self._beside_sites(
            lattice, (atoms.positions, atoms.weights, atoms.types, fitted.b_factors), atoms.part, atoms.residue,
            [atoms.residue[site.atoms] for site in self._sites]))
        extra = slice(len(atoms.part), None)
        given = [values[extra] for values in design.given]
        of_pseudo_atoms = self._beside_sites(lattice, given[:4], given[4], given[4], [[]] * len(self))
        self._beside, self._columns = [np.zeros(0, int)] * len(self), []
        for beside, part_of, fine in (of_model, of_pseudo_atoms):
            self._beside = [np.concatenate([one, more + len(self._columns)])
                            for one, more in zip(self._beside, beside, strict=True)]
            self._columns += self._filtered(part_of, fine)

    def _beside_sites(self, lattice, given, part, column, ligands):
        """Columns at every site of the atoms beside it, the part of each column, and the design.

        `ligands` are the columns of the sites themselves.
        """
        from scipy.spatial import cKDTree

        fitted = self._fitted
        atoms, design = fitted.atoms, fitted.design
        if not len(part):
            return [np.zeros(0, int)] * len(self), np.zeros(0, int), None
        tree = cKDTree(given[0] * lattice.spacing)
        beside = []
        for site, ligand in zip(self._sites, ligands, strict=True):
            found = _union(tree.query_ball_point(atoms.positions[site.atoms] * lattice.spacing,
                                                 _NEIGHBOURS_WITHIN * lattice.detail))
            beside.append(np.setdiff1d(column[found], ligand))
        used = np.unique(np.concatenate(beside))
        chosen = np.flatnonzero(np.isin(column, used))
        number = np.searchsorted(used, column[chosen])
        part_of = np.zeros(len(used), int)
        part_of[number] = part[chosen]
        fine = None
        if len(used):
            fine = Design(lattice, *(values[chosen] for values in given), number, design.owner[part_of], design.kinds,  # pyright: ignore[reportCallIssue]
                          _COLUMN_REACH * lattice.detail)  # pyright: ignore[reportCallIssue]
        return [np.searchsorted(used, columns) for columns in beside], part_of, fine

    def _filtered(self, part_of, fine):
        """Voxels and values, times the occupancies, of every column of a design."""
        if fine is None:
            return []
        solution = self._fitted.solution
        values = fine.values(self.transfer, solution.offset)
        columns = []
        start = fine.pattern.column_start
        for k, (first, last) in enumerate(zip(start[:-1], start[1:], strict=True)):
            place = fine.pattern.place[first:last]
            columns.append((fine.pattern.voxel[first:last],
                            solution.occupancy[part_of[k]] * values[place, 0].astype(float)))
        return columns

    def _boxes(self):
        """Transforms of every site: as fitted, and with the B factor of its surroundings for all atoms."""
        fitted = self._fitted
        atoms = fitted.atoms
        order = np.concatenate([site.atoms for site in self._sites])
        start = np.concatenate([[0], np.cumsum([len(site.atoms) for site in self._sites])])
        even = np.repeat([site.b_factor for site in self._sites], np.diff(start))
        return [PartBoxes(fitted.lattice, atoms.positions[order], atoms.weights[order], atoms.types[order], b, start,
                          fitted.design.kinds) for b in (fitted.b_factors[order], even)]

    def density(self, site: int) -> np.ndarray:
        """The whitened map at the voxels of a site, less everything fitted except the ligand."""
        one, solution = self._sites[site], self._fitted.solution
        box = LigandBox(self._as_fitted.boxes[site], self, site)
        column = box.columns(solution.offset[one.part], gradients=False)[:, 0]
        return self._residual[self._near[site]] + solution.occupancy[one.part] * column

    def raw(self, site: int) -> float:
        """Density of the map at the atoms of a site, above solvent, as a share of the density of the large part.

        Parameters
        ----------
        site : int

        Returns
        -------
        float
        """
        one = self._sites[site]
        beside = float(self._raw[self._fitted.atoms.part == one.parent].mean())
        return float(self._raw[one.atoms].mean()) / beside if beside > 0 else 1.0

    def ligand(self, site: int) -> LigandBox:
        """`LigandBox` of a site, with the B factor of its surroundings for all atoms."""
        return LigandBox(self._even.boxes[site], self, site)

    def voxels_of(self, site: int) -> np.ndarray:
        """[z, y, x] of the voxels of a site."""
        return self.voxels[self._near[site]]

    def beside(self, site: int) -> np.ndarray:
        """Columns of the neighbours of a site at its voxels: (voxels, neighbours)."""
        near = self._near[site]
        out = np.zeros((len(near), len(self._beside[site])))
        for k, column in enumerate(self._beside[site]):
            voxel, values = self._columns[column]
            at = np.searchsorted(near, voxel)
            there = (at < len(near)) & (near[np.minimum(at, len(near) - 1)] == voxel)
            out[at[there], k] = values[there]
        return out

    def noise(self, site: int, box: LigandBox, b_factor: float) -> float:
        """Variance of the noise for a column at its site; 1 for whitened noise."""
        spectrum = box.spectrum(b_factor, len(self.power))
        return _TAKEN_UP * max(1.0, self.local[site] * float(spectrum @ self.power / spectrum.sum()))


def _union(found):
    return np.unique(np.concatenate([np.array(some, int) for some in found]))


class LigandBox:
    """A ligand in its own box: its column at any B factor and shift.

    Parameters
    ----------
    box : tuple
        Of `PartBoxes`: corner, shape, squares of frequencies, transform.
    surroundings : Surroundings
    site : int

    Attributes
    ----------
    independent : float
        Independent values of whitened noise per voxel.
    """

    def __init__(self, box: tuple[Any, ...], surroundings: Surroundings, site: int) -> None:
        corner, self._shape, squares, transform = box[:4]
        self._s = np.sqrt(squares[0][:, None, None] + squares[1][None, :, None] + squares[2]).astype(np.float32)
        self._step = surroundings.s[1]
        self.independent = surroundings.independent
        transfer = np.interp(self._s, surroundings.s, surroundings.transfer, right=0.0).astype(np.float32)
        self._transform = (transform * transfer).astype(np.complex64)
        self._quarter_square = -0.25 * self._s**2
        signs = [np.sign(np.fft.fftfreq(n)) for n in self._shape[:2]] + [1.0]
        along = [(sign * np.sqrt(square)).astype(np.float32) for sign, square in zip(signs, squares, strict=True)]
        self._frequencies = along[0][:, None, None], along[1][None, :, None], along[2][None, None, :]
        at = surroundings.voxels_of(site) - corner
        self._inside = ((at >= 0) & (at < self._shape)).all(1)
        self._at = tuple(at[self._inside].T)

    def columns(self, b_factor: float, shift: Any = (0.0, 0.0, 0.0), gradients: bool = True) -> np.ndarray:
        """The column at the voxels of the site, and its derivatives by the shift along z, y, x.

        Parameters
        ----------
        b_factor : float
            Å^2, added to that of the transform.
        shift : (z, y, x)
            Å.
        gradients : bool

        Returns
        -------
        ndarray (voxels, 4), or (voxels, 1) without gradients
        """
        import scipy.fft as fft

        spectra = np.empty((4 if gradients else 1, *self._transform.shape), np.complex64)
        np.multiply(self._transform, np.exp(np.float32(b_factor) * self._quarter_square), out=spectra[0])
        if np.any(shift):
            for f, d in zip(self._frequencies, shift, strict=True):
                spectra[0] *= np.exp(np.complex64(-2j * np.pi * d) * f)
        for k, f in enumerate(self._frequencies if gradients else ()):
            np.multiply(spectra[0], np.complex64(-2j * np.pi) * f, out=spectra[k + 1])
        boxes = fft.irfftn(spectra, self._shape, axes=(1, 2, 3), overwrite_x=True)
        out = np.zeros((len(self._inside), len(spectra)))
        out[self._inside] = boxes[(slice(None), *self._at)].T
        return out

    def spectrum(self, b_factor: float, shells: int) -> np.ndarray:
        """Power of the column in the shells of the radial tables."""
        power = np.abs(self._transform) ** 2 * np.exp(2 * b_factor * self._quarter_square)
        shell = np.minimum(np.rint(self._s / self._step).astype(int), shells - 1)
        return np.bincount(shell.ravel(), power.ravel(), shells)
