"""Results of a run on states, for all outputs."""

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
    """Results of a run on states.

    Attributes
    ----------
    result : occupy_jit.estimation.states.ensemble.StatesResult
    maps : list of str
        Names of the volumes in the tables.
    volumes : occupy_jit.runs.states.volumes.Volumes
        The volumes in the tables; without headers if no map was read.
    particles : occupy_jit.files.particles.sources.Particles or None
        Behind all given volumes.
    place : list of int
        For every volume in the tables, its number among all given volumes.
    scales : dict
        Path -> value of 1 in units of the volume, on the scale of its own fit; empty if no map was read.
    blocks : occupy_jit.estimation.states.blocks.Blocks or None
        Without a model.
    kept_means : tuple of str
        Mean maps of the same states from an earlier run, in order.
    prepared : occupy_jit.estimation.states.prepared_fit.PreparedFit or None
        If there was a model and this run fitted the volumes.
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
        """bool : Whether shares count particles."""
        return self.particles is not None

    @property
    def counts(self) -> list[float] | None:
        """list of float or None : Number of particles of every volume in the tables, if known."""
        if not self.whole or self.particles is None:
            return None
        return [float(self.particles.count[index]) for index in self.place]

    @property
    def whole(self) -> bool:
        """bool : Whether numbers of particles are known, and not only shares."""
        return self.particles is not None and self.particles.whole
