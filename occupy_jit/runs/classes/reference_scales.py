"""Scales that the references for the next classification are made of.

Near their resolution class maps are half noise, which lifts the scale of weak parts and differs between classes. For
the references, the scales of classes of low resolution are therefore measured again, after a wider low-pass. The scales
that are written, and what compares the classes, keep theirs.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import TYPE_CHECKING

import numpy as np

from occupy_jit.machine.threads import thread_count
from occupy_jit.runs.plan.output_kinds import Role
from occupy_jit.runs.plan.plan import masks

if TYPE_CHECKING:
    from occupy_jit.runs.classes.group import ClassMap
    from occupy_jit.settings import Options, Settings


@dataclass(frozen=True)
class ReferenceScales:
    """Scales of all classes on one full scale.

    Attributes
    ----------
    scales : sequence of (nz, ny, nx) float32 arrays
        Memory maps.
    full_scale : float
    settings : occupy_jit.settings.Settings
        With which they were measured.
    """

    scales: Sequence[np.ndarray]
    full_scale: float
    settings: Settings


def lowpass_of(classes: Sequence[ClassMap], settings: Settings, options: Options) -> float | None:
    """Low-pass for the scales of the references, in Å.

    Parameters
    ----------
    classes : sequence of occupy_jit.runs.classes.group.ClassMap
    settings : occupy_jit.settings.Settings
    options : occupy_jit.settings.Options

    Returns
    -------
    float or None
        None if the scales that were written serve: a low-pass, kernel or mask was given, the resolution of the classes
        is unknown, or it is high.
    """
    from occupy_jit.estimation.scale.ball import lowpass_of_classes

    given = (settings.lowpass_input_angstrom, settings.resolution_angstrom, settings.kernel_size,
             settings.kernel_radius)
    known = [entry.resolution for entry in classes if entry.resolution]
    if any(value is not None for value in given) or masks(options) or not known:
        return None
    # the median, because classes of few particles have poor maps
    return lowpass_of_classes(median(known), classes[0].plan.header.voxel_size)


@contextlib.contextmanager
def reference_scales(classes: Sequence[ClassMap], common: float, settings: Settings, options: Options
                     ) -> Iterator[ReferenceScales]:
    """Scales for the references, in a file without a name while they are needed if they are not those written.

    Parameters
    ----------
    classes : sequence of occupy_jit.runs.classes.group.ClassMap
        Finished.
    common : float
        Full scale of the scales that were written.
    settings : occupy_jit.settings.Settings
    options : occupy_jit.settings.Options
    """
    from occupy_jit.files.maps.reading import view_map

    wide = lowpass_of(classes, settings, options)
    if wide is None:
        yield ReferenceScales([view_map(entry.plan.path_of(Role.SCALE)) for entry in classes], common, settings)
        return
    with tempfile.TemporaryFile(dir=options.output_dir) as file:
        yield _measured_again(classes, replace(settings, lowpass_input_angstrom=wide), options, file)


def _measured_again(classes, settings, options, file):
    """Scales after the low-pass of the settings, on the largest full scale of all, in `file`."""
    from occupy_jit.estimation.scale.estimate import estimate, measure_full_scale
    from occupy_jit.estimation.scale.inputs import Wanted
    from occupy_jit.files.maps.reading import read_map

    threads = thread_count(options.threads)
    shape, voxel_size = classes[0].plan.header.shape, classes[0].plan.header.voxel_size

    def volume(entry):
        return read_map(entry.path, options.voxel_size).data

    full = max(measure_full_scale(volume(entry), settings, voxel_size=voxel_size, thread_count=threads).value
               for entry in classes)
    scales = np.memmap(file, np.float32, "w+", shape=(len(classes), *shape))
    for scale, entry in zip(scales, classes, strict=True):
        scale[...] = estimate(volume(entry), settings, voxel_size=voxel_size, full_scale=full,
                              wanted=Wanted(confidence=False, lowpass=False), thread_count=threads).scale
    return ReferenceScales(list(scales), full, settings)
