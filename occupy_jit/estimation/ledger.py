"""Memory of a run, told before it: what each step holds, in volumes of the map's size. Standard library only.

The functions that keep the ledger lie beside the work: `occupy_jit.estimation.scale.volumes` for the steps of an
estimate, and modules of the same name in other rooms.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from occupy_jit.settings import Settings


@dataclass(frozen=True)
class Outline:
    """What the memory of a run depends on, known from the header of the map and the options.

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
    solvent_definition, reference_mask, halves : bool
        Whether they are given.
    beside_halves : bool
        The map is another than the mean of its half maps.
    of_group : bool
        The map is one of several on one scale, whose differences are tested.
    model_halves : float
        Volumes that are kept of the half maps for the fit of a model.
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
    halves: bool = False
    beside_halves: bool = False
    of_group: bool = False
    model_halves: float = 0.0

    @property
    def on_raw_map(self) -> bool:
        """bool : The scale is measured on the map before its low-pass."""
        return self.settings.scale_mode == "resolution"


@dataclass
class Ledger:
    """Volumes that are alive, and the most that ever were.

    Attributes
    ----------
    held : dict of str to float
        Name of what is held -> volumes.
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
        """Hold `volumes` more, or instead of what is held under that name."""
        self.held[name] = volumes

    def drop(self, *names: str) -> None:
        """Free what is held under these names."""
        for name in names:
            self.held.pop(name, None)

    def moment(self, working: float = 0.0) -> None:
        """A moment at which `working` volumes live beside what is held."""
        self.most = max(self.most, self.total + working)
