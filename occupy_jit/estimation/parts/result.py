"""Results for the parts of a model."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from occupy_jit.estimation.ligands.occupancy import Ligands
    from occupy_jit.estimation.parts.halves import PartHalves
    from occupy_jit.estimation.parts.registration import Frame
    from occupy_jit.files.models.reading import AtomicModel


class PartOccupancy(NamedTuple):
    """One row of the table."""

    part: str
    atoms: int
    occupancy: float
    se: float
    dB: float  # noqa: N815, what the field calls it
    se_dB: float  # noqa: N815
    cc: float
    full: bool


class ResidueOccupancy(NamedTuple):
    """One residue."""

    chain: str
    name: str
    number: str
    part: str
    occupancy: float
    se: float
    cc: float


@dataclass
class Evidence:
    """Data for the error of a difference from another map of the same model.

    Attributes
    ----------
    covariance, formula : ndarray (parts, parts)
        Of the occupancies at a full scale of 1: the larger of both, as for the
        standard errors, and by the formula alone.
    influence : ndarray (blocks, parts), float32
        Contribution of the residual in each block of space to each occupancy.
    residual : ndarray (voxels,), float32
        Of the whitened map.
    of_ice : ndarray (parts,)
        Error by the uncertain contrast of nucleic acid.
    grid : tuple
        Blocks and voxels of two maps are the same if their grids are equal.
    """

    covariance: np.ndarray
    formula: np.ndarray
    influence: np.ndarray
    residual: np.ndarray
    of_ice: np.ndarray
    grid: tuple


@dataclass
class PartsResult:
    """Occupancies of the parts of a model. Iterating over it gives the rows: ``pandas.DataFrame(result)`` is the table.

    Attributes
    ----------
    names : list of str
    atoms : ndarray (parts,), int
    occupancy, se : ndarray (parts,), float64
        Relative to the fullest parts, and the standard error. Not clipped.
    offset, se_offset : ndarray (parts,), float64
        B factor relative to the fullest parts, Å^2.
    cc : ndarray (parts,), float64
        Correlation of the whitened map and fit at the part.
    full : ndarray (parts,), bool
        Which parts make up full scale.
    covariance : ndarray (parts, parts), float64
        Of the occupancies, without systematic errors of the method.
    explained : float
        Share of the whitened map that the model explains at its atoms.
    pseudo_atoms : int
        Number of carbons placed in density without a model.
    b_factors : {"flat", "model"}
        Which explains more.
    detail : float
        Å, finest detail used.
    density : float
        Full scale in units of the map: density per unit of scattering at the lowest frequencies. Between maps
        of one kind (classes, volumes), occupancies multiplied by it are on one scale.
    frame : Frame
    halves : PartHalves or None
        What either half map says, and the noise.
    residues : list of ResidueOccupancy
    warnings : list of str
    model : AtomicModel
    part_of_atom : ndarray (model atoms,), int
    residue_of_table : ndarray (residues,), int
        Index of each of `residues` in the model's.
    evidence : Evidence
        For `compare_parts`.
    ligands : occupy_jit.estimation.ligands.occupancy.Ligands or None
        None without ligands. The other attributes hold the same occupancies of ligands.
    """

    names: list
    atoms: np.ndarray
    occupancy: np.ndarray
    se: np.ndarray
    offset: np.ndarray
    se_offset: np.ndarray
    cc: np.ndarray
    full: np.ndarray
    covariance: np.ndarray
    explained: float
    pseudo_atoms: int
    b_factors: str
    detail: float
    density: float
    frame: Frame
    halves: PartHalves | None = None
    residues: list = field(default_factory=list)
    warnings: list = field(default_factory=list)
    model: AtomicModel | None = None
    part_of_atom: np.ndarray | None = None
    residue_of_table: np.ndarray | None = None
    evidence: Evidence | None = None
    ligands: Ligands | None = None

    def __len__(self) -> int:
        return len(self.names)

    def __iter__(self) -> Iterator[Any]:
        for i, name in enumerate(self.names):
            yield PartOccupancy(name, int(self.atoms[i]), float(self.occupancy[i]), float(self.se[i]),
                                float(self.offset[i]), float(self.se_offset[i]), float(self.cc[i]), bool(self.full[i]))

    def of_atoms(self) -> np.ndarray:
        """Occupancy of every atom of the model: that of its residue if residues were fitted, or else of its part."""
        values = self.occupancy[self.part_of_atom]
        if self.residues:
            of_residue = np.full(len(self.model.residues), np.nan)
            of_residue[self.residue_of_table] = [r.occupancy for r in self.residues]
            own = of_residue[self.model.residue]
            values = np.where(np.isnan(own), values, own)
        return values
