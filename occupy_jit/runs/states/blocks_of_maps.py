"""A run without a model: blocks from the maps alone, and their masks."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from occupy_jit.errors import InputError, OccupyError, explain
from occupy_jit.runs.states.mean_map import read_volume

if TYPE_CHECKING:
    from occupy_jit.estimation.states.blocks import Blocks
    from occupy_jit.files.output.transaction import Outputs
    from occupy_jit.reports.runlog import RunLog
    from occupy_jit.runs.states.volumes import Volumes
    from occupy_jit.settings import Options



def find_blocks(volumes: Volumes, options: Options, log: RunLog) -> Blocks:
    """Blocks of the volumes, without unusable ones.

    Parameters
    ----------
    volumes : occupy_jit.runs.states.volumes.Volumes
    options : occupy_jit.settings.Options
    log : occupy_jit.reports.runlog.RunLog

    Returns
    -------
    occupy_jit.estimation.states.blocks.Blocks
        With a row for each remaining volume.

    Raises
    ------
    InputError
        Nothing stands above solvent, or the volumes are not aligned.
    """
    from occupy_jit.estimation.states.without_model import FirstPass, SecondPass
    from occupy_jit.runs.states.fitting import require_same_place

    first = FirstPass(volumes.header.voxel_size)
    with log.timed("mean of the volumes"):
        for number, path in enumerate(list(volumes.paths), 1):
            log.step(f"volumes: mean, {number} of {len(volumes.paths)}")
            try:
                first.add(read_volume(path, options))
            except (OccupyError, OSError) as error:
                volumes.leave_out(path, explain(error)[2], log)
    volumes.require_enough()
    second, shifts = SecondPass(first, volumes.header.shape), {}
    with log.timed("blocks"):
        for number, path in enumerate(list(volumes.paths), 1):
            log.step(f"volumes: {number} of {len(volumes.paths)}")
            try:
                shifts[path] = second.add(read_volume(path, options))
            except InputError as error:
                volumes.leave_out(path, str(error), log)
        require_same_place(shifts, volumes, 10.0, log)
        volumes.require_enough()
        blocks = second.search.find(log.step)
    log.step()
    return blocks


def rows_of(blocks: Blocks) -> list[dict[str, Any]]:
    """Size of every block, for the record: list of dict."""
    return [{"block": f"block_{b + 1}", "volume_angstrom3": float(volume),
             "mask": f"block_{b + 1}.mrc"} for b, volume in enumerate(blocks.volume)]


def write_masks(blocks: Blocks, volumes: Volumes, outputs: Outputs, options: Options) -> list[tuple[str, str]]:
    """Write the soft mask of every block; returns (path, description) of each."""
    from occupy_jit.estimation.states.blocks import soft_mask
    from occupy_jit.files.maps.writing import write_map
    from occupy_jit.runs.one_map.writing import map_label

    written = []
    for b, volume in enumerate(blocks.volume):
        path = os.path.join(options.output_dir, f"block_{b + 1}.mrc")
        write_map(path, soft_mask(blocks, b, volumes.header.shape), volumes.header,
                  map_label(f"soft mask of block {b + 1}"), outputs=outputs)
        written.append((path, f"soft mask of block {b + 1}, {volume:.0f} Å^3"))
    return written
