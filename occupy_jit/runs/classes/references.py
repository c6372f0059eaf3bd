"""References for the next classification: the mean of the classes, with the occupancy of each."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from occupy_jit.machine.threads import thread_count
from occupy_jit.runs.classes.reference_scales import reference_scales
from occupy_jit.runs.one_map.writing import map_label

if TYPE_CHECKING:
    from occupy_jit.files.output.transaction import Outputs
    from occupy_jit.reports.runlog import RunLog
    from occupy_jit.runs.classes.group import Group
    from occupy_jit.settings import Options, Settings


def write_references(group: Group, settings: Settings, options: Options, outputs: Outputs, log: RunLog) -> None:
    """Write the modified map of every class, from the mean of all.

    Parameters
    ----------
    group : occupy_jit.runs.classes.group.Group
        With finished classes, whose scales and maps are read again.
    settings : occupy_jit.settings.Settings
    options : occupy_jit.settings.Options
    outputs : occupy_jit.files.output.transaction.Outputs
    log : occupy_jit.reports.runlog.RunLog
    """
    from occupy_jit.estimation.classes_on_mean import classes_on_mean, mean_map
    from occupy_jit.estimation.scale.hot_voxels import repair
    from occupy_jit.files.maps.reading import read_map
    from occupy_jit.files.maps.writing import write_map

    usable = group.usable
    headers = []

    def volumes():
        for entry in usable:
            volume = read_map(entry.path, options.voxel_size)
            repair(volume.data)
            headers.append(replace(volume, data=None))
            yield volume.data

    weights = _weights(usable)
    with log.timed("mean of the classes"):
        mean = mean_map(volumes(), weights)
    label = map_label(f"mean of {len(usable)} classes, amount {settings.amplify_amount:g}"
                      + (", solvent excluded" if settings.exclude_solvent else ""))
    voxel_size = usable[0].plan.header.voxel_size
    with log.timed("references"), reference_scales(usable, group.common, settings, options) as found:
        if found.settings is not settings:
            wide = found.settings.lowpass_input_angstrom
            log.say(f"scales for the references: after a low-pass of {wide:g} Å, from the median resolution of the "
                    "classes (--lowpass-input: another low-pass for all scales)")
        modified = classes_on_mean(mean, found.scales, weights, found.settings, voxel_size, found.full_scale,
                                   thread_count(options.threads))
        for entry, header, data in zip(usable, headers, modified, strict=True):
            write_map(entry.on_mean.path, data, header, label, outputs=outputs)
    log.say(f"the modified maps are the mean of {len(usable)} classes, weighted by particles, times the relative "
            "occupancy of each class (--class-density own: modify each map by itself)")


def _weights(classes):
    """Shares of the particles; equal if the STAR file does not give all of them."""
    shares = [entry.share for entry in classes]
    return [1.0] * len(shares) if None in shares or not sum(shares) > 0 else shares
