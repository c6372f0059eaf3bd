"""What a run on states has found, for all that writes about it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from occupy_jit.estimation.states.blocks import Blocks
    from occupy_jit.estimation.states.ensemble import StatesResult
    from occupy_jit.estimation.states.prepared_fit import PreparedFit
    from occupy_jit.files.particles.sources import Particles
    from occupy_jit.runs.states.volumes import Volumes


@dataclass
class Findings:
    """What is written about.

    Attributes
    ----------
    result : occupy_jit.estimation.states.ensemble.StatesResult
    maps : list of str
        Names of the volumes in the tables.
    volumes : occupy_jit.runs.states.volumes.Volumes
        Those of the tables; without headers where no map was read.
    particles : occupy_jit.files.particles.sources.Particles or None
        Behind all volumes that were given.
    place : list of int
        Of every volume of the tables, its number among all that were given.
    scales : dict
        Path -> what 1 is in units of the volume, on the scale of its own fit; empty where no map was read.
    blocks : occupy_jit.estimation.states.blocks.Blocks or None
        Without a model.
    kept_means : tuple of str
        Mean maps of the same states that an earlier run has left, in their order.
    prepared : occupy_jit.estimation.states.prepared_fit.PreparedFit or None
        Where there was one, and its volumes were fitted in this run.
    """

    result: StatesResult
    maps: list
    volumes: Volumes
    particles: Particles | None
    place: list
    scales: dict
    blocks: Blocks | None = None
    prepared: PreparedFit | None = None
    kept_means: tuple = ()

    @property
    def counts_particles(self) -> bool:
        """bool : Whether shares are those of particles."""
        return self.particles is not None

    @property
    def counts(self) -> list[float] | None:
        """list of float or None : Particles of every volume of the tables, where their numbers are known."""
        if not self.whole or self.particles is None:
            return None
        return [float(self.particles.count[index]) for index in self.place]

    @property
    def whole(self) -> bool:
        """bool : Whether numbers of particles are known, and not only shares."""
        return self.particles is not None and self.particles.whole
