"""Prediction of the memory of a run: what each step holds, in volumes of the size of the map. Standard library only.

The functions that keep the ledger are beside the computations: `occupy_jit.estimation.scale.volumes` for the steps of
an estimate, and modules of the same name in other folders.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from occupy_jit.settings import Settings


@dataclass(frozen=True)
class Outline:
    """Everything that determines the memory of a run, from the header of the map and the options.

    Attributes
    ----------
    shape : (nz, ny, nx)
    voxel_size : float
        Å.
    settings : occupy_jit.settings.Settings
    confidence, lowpass, volume : bool
        Whether the confidence, the low-passed map and the map are still needed after the estimate.
    error : bool
        The standard error of the scale is written.
    solvent_definition, reference_mask, nucleic_mask, halves : bool
        Whether these inputs are given.
    beside_halves : bool
        The map is not the mean of its half maps.
    of_group : bool
        The map is one of several on one scale that are compared.
    model_halves : float
        Volumes of the half maps that are kept for the fit of a model.
    """

    shape: tuple[int, int, int]
    voxel_size: float
    settings: Settings
    confidence: bool
    lowpass: bool
    volume: bool
    error: bool = False
    solvent_definition: bool = False
    reference_mask: bool = False
    nucleic_mask: bool = False
    halves: bool = False
    beside_halves: bool = False
    of_group: bool = False
    model_halves: float = 0.0

    @property
    def on_raw_map(self) -> bool:
        """bool : The scale is measured on the map without a low-pass."""
        return self.settings.scale_mode == "resolution"


@dataclass
class Ledger:
    """Volumes that are held now, and the largest number so far.

    Attributes
    ----------
    held : dict of str to float
        Number of volumes by name.
    most : float
        Largest sum at any moment.
    """

    held: dict[str, float] = field(default_factory=dict)
    most: float = 0.0

    @property
    def total(self) -> float:
        """float : Volumes that are held now."""
        return sum(self.held.values())

    def hold(self, name: str, volumes: float) -> None:
        """Hold further `volumes`, or replace those of the same name."""
        self.held[name] = volumes

    def drop(self, *names: str) -> None:
        """Free the volumes of these names."""
        for name in names:
            self.held.pop(name, None)

    def moment(self, working: float = 0.0) -> None:
        """Record a moment with `working` volumes beside those held."""
        self.most = max(self.most, self.total + working)
