"""The design of the least-squares fit: for each part a column and its derivative by the B factor, for any filter."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from occupy_jit.estimation.parts.part_boxes import PartBoxes
from occupy_jit.estimation.parts.scattering import RadialTransform, scattering_curves
from occupy_jit.files.models.residue_names import NUCLEIC, PROTEIN
from occupy_jit.kernels.model import columns as kernels
from occupy_jit.kernels.model.atoms import spread_atoms

if TYPE_CHECKING:
    from occupy_jit.estimation.parts.fit_grid import Lattice

REACH = 3.0
"""In details (12 Å at 4 Å): reach of the function of an atom. A shorter reach loses its negative surround, which
matters most where parts are flexible."""
_KEPT = 2.25
"""In details: columns are kept at the fit voxels within this distance of their part."""
B_STEP = 0.3
"""Levels of B factors of atoms, in squares of the detail: 5 Å^2 at 4 Å, an error of 2% at the edge of the band."""


class Design:
    """Columns of parts on the fit voxels.

    Parameters
    ----------
    lattice : Lattice
    positions : ndarray (atoms, 3), float64
        In voxels [z, y, x] of the lattice.
    weights : ndarray (atoms,), float64
    types : ndarray (atoms,), int32
        Index into `kinds`.
    b_factors : ndarray (atoms,), float64
        Relative to that of the map, Å^2.
    column : ndarray (atoms,), int
        Column of each atom.
    owner : ndarray (columns,), int
        Index of the B factor offset for each column.
    kinds : list of (element, kind)
        Of the types.
    reach : float
        Å, reach of the functions of atoms in columns without boxes.
    boxes : int or PartBoxes
        Number of columns, the first ones, that are computed by Fourier transforms in their own boxes: those with many
        atoms. The others are summed atom by atom.
    """

    def __init__(self, lattice: Lattice, positions: np.ndarray, weights: np.ndarray, types: np.ndarray,  # noqa: PLR0913 (each array of the atoms by itself)
                 b_factors: np.ndarray, column: np.ndarray, owner: np.ndarray, kinds: list[tuple[Any, ...]],
                 reach: float | None = None, boxes: int | PartBoxes = 0) -> None:
        self.lattice = lattice
        self.given = (positions, weights, types, b_factors, column)
        self.kinds = kinds
        self.owner = np.asarray(owner)
        nucleic = np.array([k == NUCLEIC for _, k in kinds])
        share = nucleic[types].mean() if len(types) else 0.0
        self.mixed = bool(0.02 < share < 0.98)
        self.reach = REACH * lattice.detail if reach is None else reach
        order = np.argsort(column, kind="stable")
        self.positions = np.ascontiguousarray(positions[order], dtype=float)
        self.weights = np.ascontiguousarray(weights[order], dtype=float)
        self.atom_start = np.searchsorted(column[order], np.arange(len(self.owner) + 1)).astype(np.int64)
        if isinstance(boxes, int):
            first = self.atom_start[:boxes + 1]
            boxes = PartBoxes(lattice, self.positions, self.weights, types[order], b_factors[order], first, kinds,
                              NUCLEIC if self.mixed else None)
        self.boxes = boxes
        self._set_up_rows(types[order], b_factors[order], column[order])
        self.pattern = kernels.column_pattern(lattice.fit_index, lattice.n_fit, self.positions, self.atom_start,
                                              lattice.spacing, min(self.reach, _KEPT * lattice.detail))
        self.coordinates = np.argwhere(lattice.fit_index >= 0).astype(np.int16)
        self.pair_start, self.pair_other = kernels.neighbours(self.pattern)

    def _set_up_rows(self, types, b_factors, column):
        """Radial functions of the atoms in columns without boxes: type, B factor and offset of each."""
        self.direct = slice(int(self.atom_start[len(self.boxes)]), len(self.positions))
        step = B_STEP * self.lattice.detail**2
        level = np.rint(b_factors[self.direct] / step).astype(np.int64)
        keys = np.stack([self.owner[column[self.direct]], types[self.direct].astype(np.int64), level], 1)
        self.rows, index = np.unique(keys, axis=0, return_inverse=True)
        self.row = np.zeros(len(self.positions), np.int32)
        self.row[self.direct] = index.ravel()
        self.level = self.rows[:, 2] * step
        if len(self.rows):
            atoms, ice = scattering_curves(self.kinds, self.lattice.s)
            self.curves = atoms - ice
            self.transform = RadialTransform(self.lattice.s, self.reach)

    def with_carbons(self, positions: np.ndarray, amplitudes: np.ndarray, group: np.ndarray, owners: np.ndarray
                    ) -> Design:
        """This design with a further column per group of pseudo-atoms.

        Parameters
        ----------
        positions : ndarray (n, 3), float64
        amplitudes : ndarray (n,)
            In carbons.
        group : ndarray (n,), int
        owners : ndarray (groups,), int
            The part whose offset applies to each group.
        """
        kinds = [*self.kinds, ("C", PROTEIN)]
        n = len(positions)
        more = (positions, amplitudes, np.full(n, len(kinds) - 1, np.int32), np.zeros(n), self.n_columns + group)
        given = [np.concatenate(pair) for pair in zip(self.given, more, strict=True)]
        return Design(self.lattice, *given, np.concatenate([self.owner, owners]), kinds, self.reach, self.boxes)  # pyright: ignore[reportCallIssue]

    @property
    def n_columns(self) -> int:
        return len(self.owner)

    def _tables(self, transfer, offsets):
        """Radial functions of every row of atoms after a filter: (rows, entries, 2), float32."""
        s = self.lattice.s
        b = self.level + offsets[self.rows[:, 0]]
        spectra = self.curves[self.rows[:, 1]] * transfer * np.exp(-b[:, None] * s * s / 4)
        return np.stack([self.transform(spectra), self.transform(spectra * (-s * s / 4))], 2)

    def values(self, transfer: np.ndarray, offsets: np.ndarray) -> np.ndarray:
        """Entries of the columns and of their derivatives, ordered by rows: (entries, 2), float32.

        Parameters
        ----------
        transfer : ndarray (shells,)
            The filter.
        offsets : ndarray (owners,)
            B factor offsets in Å^2.
        """
        values = np.zeros((len(self.pattern.column), 2), np.float32)
        self.boxes.fill(self.pattern, self.coordinates, transfer, offsets, values)
        if len(self.rows):
            kernels.fill_columns(self.pattern, self.lattice.fit_index, self.positions, self.weights, self.row,
                                 self.atom_start, self._tables(transfer, offsets), self.transform.squares_per_entry,
                                 self.lattice.spacing, len(self.boxes), values)
        return values

    def on_grid(self, transfer: np.ndarray, offsets: np.ndarray, occupancy: np.ndarray) -> np.ndarray:
        """Sum of the columns times their occupancies on the whole grid: (z, y, x), float32."""
        grid = np.zeros(self.lattice.data.shape, np.float32)
        self.boxes.add_to(grid, transfer, offsets, occupancy)
        if len(self.rows):
            column = np.repeat(np.arange(self.n_columns), np.diff(self.atom_start))[self.direct]
            grid += spread_atoms(grid.shape, self.positions[self.direct],
                                 self.weights[self.direct] * occupancy[column], self.row[self.direct],
                                 self._tables(transfer, offsets), self.transform.squares_per_entry,
                                 self.lattice.spacing)[..., 0]
        return grid

    def ice_of_nucleic_acid(self, transfer: Any, offsets: Any, occupancy: Any) -> Any:
        """Contribution to the fit of the ice displaced by nucleic acid: (voxels,), float64."""
        grid = np.zeros(self.lattice.data.shape, np.float32)
        self.boxes.add_to(grid, transfer, offsets, occupancy, only_ice=True)
        return -grid[self.lattice.fit_index >= 0].astype(np.float64)

    def fit(self, values: np.ndarray, occupancy: np.ndarray) -> np.ndarray:
        """Product of the matrix and the occupancies."""
        return kernels.combine(self.pattern, values, np.stack([occupancy, np.zeros_like(occupancy)], 1))

    def products(self, values: np.ndarray) -> np.ndarray:
        """Products of all columns and their derivatives that share voxels: the blocks of the normal matrix."""
        return kernels.normal_products(self.pattern, values, self.pair_start, self.pair_other)
