"""Lists of selected particles: rows of the user's file, or their numbers."""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from occupy_jit.files.output.transaction import Outputs
    from occupy_jit.files.particles.sources import Particles


def write_subset(particles: Particles, volumes: Sequence[int], start: str, outputs: Outputs) -> tuple[list[str], int]:
    """Write the particles of some volumes, in their original order.

    Parameters
    ----------
    particles : occupy_jit.files.particles.sources.Particles
        With known single particles.
    volumes : sequence of int
        Indices of volumes.
    start : str
        Path of the files without suffix.
    outputs : occupy_jit.files.output.transaction.Outputs

    Returns
    -------
    paths : list of str
    number : int
        Of particles.
    """
    chosen = np.flatnonzero(np.isin(particles.volume, list(volumes)))
    written = []

    def write(suffix, save):
        path = start + suffix
        with outputs.open(path) as file:
            save(file)
        written.append(path)

    if particles.star is not None:
        write(".star", lambda file: file.write(particles.star.subset(chosen.tolist())))
    if particles.table is not None:
        write(".cs", lambda file: np.save(file, particles.table[chosen], allow_pickle=False))
    if particles.by_index or not written:
        write(".npy", lambda file: np.save(file, chosen, allow_pickle=False))
        write(".pkl", lambda file: pickle.dump(chosen, file, protocol=4))
    return written, len(chosen)
