"""Loading, or compiling, every kernel that a run needs, ahead of the first large array."""

import contextlib
import importlib.util
import logging
import threading
from collections.abc import Callable
from typing import Any

_loading = None
_remarks = []


def start(announce: Callable[..., Any] | None = None, rest: bool = False, bare: bool = False) -> None:
    """Start a thread that loads the kernels, once per process, while files are checked and read.

    Parameters
    ----------
    announce : callable, optional
        Called once, with a sentence, if the kernels must be compiled.
    rest : bool
        Also kernels that only half maps, regions and maps of factors need.
    bare : bool
        Only kernels that the scale of a map and its core need, if kernels are cached: loading the others takes as long
        as the work on a small map. If they must be compiled, all are compiled at once.
    """
    global _loading
    if _loading is None:
        _loading = threading.Thread(target=_load_quietly, args=(announce, rest, bare), name="kernels",
                                    daemon=True)
        _loading.start()


def wait() -> None:
    """Wait for the thread of `start`."""
    if _loading is not None:
        _loading.join()


def ready() -> None:
    """Load the kernels unless they are loaded."""
    start()
    wait()


def _load_quietly(announce, rest, bare):
    # An error here occurs again, and is reported, when the kernels are used.
    with contextlib.suppress(Exception):
        load(announce, rest, False, bare)


def remarks() -> list[Any]:
    """Messages about the kernels since the last call, list of str: why they are compiled or not cached."""
    said = _remarks[:]
    del _remarks[:len(said)]
    return said


class _Remarks(logging.Handler):
    """Keeps messages of the cache of kernels."""

    def emit(self, record: Any) -> None:
        _remarks.append(record.getMessage())


@contextlib.contextmanager
def _listening():
    """Collect messages of the logger of the package, beside other handlers."""
    logger, handler = logging.getLogger("occupy_jit"), _Remarks()
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.setLevel(level)
        logger.removeHandler(handler)


def load(announce: Callable[..., Any] | None = None, rest: bool = True, model: bool = True, bare: bool = False
        ) -> None:
    """Run everything once on a small map; afterwards all kernels are in memory and in the cache on disk.

    Parameters
    ----------
    announce, rest, bare
        As for `start`.
    model : bool
        Also kernels that only atomic models need, if the extra is installed.
    """
    with _listening():
        from occupy_jit.kernels.jit import cache

        reason = cache.why_compiling()
        if reason is not None:
            _remarks.append(reason)
            if announce is not None:
                announce(_announcement("up to a minute" if model else "ten to thirty seconds"))
        _run_everything(rest, bare and reason is None)
        if model and all(importlib.util.find_spec(name) for name in ("gemmi", "scipy")):
            _run_model()
        if reason is not None and announce is not None and cache.kept_in() is not None and cache.is_cold():
            why = next((remark for remark in _remarks if "could not be kept" in remark), "nothing could be written")
            announce(f"the next run compiles again: {why}; make room in {cache.kept_in()}, or set OCCUPY_CACHE_DIR to "
                     "another directory")


def announce_compiling(announce: Any) -> None:
    """Announce that child processes will compile the kernels, with the reason; see `start`."""
    with _listening():
        from occupy_jit.kernels.jit import cache

        if cache.is_cold():
            announce(_announcement("ten to thirty seconds"))


def _announcement(duration):
    """Message that the kernels are compiled, with the expected time, and the reason if every run compiles them."""
    from occupy_jit.kernels.jit import cache

    if cache.kept_in() is not None:
        return f"compiling the kernels for this machine: takes {duration}, once"
    why = next((remark for remark in _remarks if remark.startswith("compiled kernels")),
               "there is no directory to keep them in; set OCCUPY_CACHE_DIR to a writable one")
    return f"compiling the kernels: takes {duration}, and so does every run: {why}"


def _run_everything(rest, bare):
    import numpy as np

    from occupy_jit.estimation.fourier import filters
    from occupy_jit.estimation.modification import modify
    from occupy_jit.estimation.scale.estimate import estimate
    from occupy_jit.estimation.scale.inputs import Wanted
    from occupy_jit.kernels.grid import binned
    from occupy_jit.kernels.moments import sums_above
    from occupy_jit.kernels.shared_density import shared_density
    from occupy_jit.kernels.voxelwise import confidence_from_evidence
    from occupy_jit.modifications import requested
    from occupy_jit.settings import Settings

    # a blob in deterministic noise, large enough for every kernel
    z, y, x = np.indices((16, 16, 16), np.float32)
    ripple = np.sin(z * 7.1 + np.sin(y * 5.3) * 3 + np.cos(x * 9.7) * 2)
    blob = np.exp(-((z - 8) ** 2 + (y - 8) ** 2 + (x - 8) ** 2) / 12)
    volume = (blob + 0.05 * ripple).astype(np.float32)
    sums_above(volume, 0.0)
    if bare:
        _run_cores(volume, estimate(volume, Settings(), voxel_size=1.0, wanted=Wanted(lowpass=False)))
        return
    settings = Settings(amplify=True, attenuate_gamma=2.0)
    result = estimate(volume, settings, voxel_size=1.0)
    for kind in requested(settings):  # band by band, and by plain factors
        modify.modified(volume, result, settings, kind)
    filters.lowpass(np.pad(volume, ((0, 1), (0, 1), (0, 1))), 6.0, 1.0)  # axes of prime length
    power = _run_cores(volume, result)
    confidence_from_evidence(power, result.scale, 0.0, 1.0)
    for alone in (False, True):
        binned.values_between(power, volume.shape, alone=alone)
    if rest:
        _run_rest(volume, result, settings)
    shared_density(volume, result.scale, result.scale, result.confidence, result.zero, -0.5)


def _run_cores(volume, result):
    """What large maps have on cells, and the cores of small and large maps; returns values on cells."""
    import numpy as np

    from occupy_jit.estimation.scale.confidence import Content
    from occupy_jit.estimation.scale.core import measure_core, measure_core_on_cells
    from occupy_jit.estimation.solvent.quiet_voxels import Quiet
    from occupy_jit.kernels.grid import binned

    power = binned.smoothed_cells(binned.cell_power(volume, 0.0), binned.SIGMA_OF_CELL + 1)
    Quiet(power, np.inf, volume.shape).survey(volume)
    measure_core(result.scale, result.confidence, result.ball, 1.0)
    measure_core_on_cells(result.scale, Content(power, float(power.max()), float(power.min())), result.ball, 1.0)
    return power


def _run_rest(volume, result, settings):
    """Kernels that only some runs need; real half maps are not necessary."""
    import numpy as np

    from occupy_jit.estimation.modification import equalise, modify
    from occupy_jit.estimation.noise import half_maps
    from occupy_jit.estimation.noise.solvent_nearby import nearby_noise
    from occupy_jit.estimation.regions.occupancy_in_masks import occupancy_of_masks
    from occupy_jit.kernels.band_slopes import (
        add_band_to_slope,
        occupancy_without_flexibility,
        relative_b_factor,
    )
    from occupy_jit.kernels.grid import binned
    from occupy_jit.kernels.grid.fields import part_of
    from occupy_jit.kernels.map_pairs import join, pair_sums, share_of_zeros
    from occupy_jit.kernels.standard_error import scale_error
    from occupy_jit.modifications import requested

    mean, difference = volume.copy(), volume[::-1].copy()
    join(mean, difference)
    share_of_zeros(difference)
    pair_sums(mean, difference, 0.0, result.quiet.power, result.quiet.threshold)
    noise = half_maps.local_noise(mean, difference, result.ball, result.voxel_size)
    part_of(noise.variance, mean.shape, tuple(slice(0, n // 2) for n in mean.shape))
    scale_error(mean, result.zero, noise.floor, noise.maximum_variance, result.full_scale, 0.0)
    occupancy_of_masks(result, [("all", result.confidence)])
    nearby_noise(volume, volume, result.zero, result.quiet, result.ball, result.voxel_size)
    sums = np.zeros((5, *volume.shape), np.float32)
    add_band_to_slope(sums, volume, 0.1, 1.0, 0.01, 50, of_map=True)
    occupancy_without_flexibility(result.scale.copy(), binned.cell_mean(relative_b_factor(sums)), [1.0], [0.01], 1.0)
    for kind in requested(settings):
        modify.applied_factor(result, settings, kind)
        if result.bands is not None and equalise.applies(result, settings, kind):
            equalise.applied_factor(result, settings, kind, result.bands, 0, result.scale)


def _run_model():
    """Fit a small model, with residues and half maps, to a map of its own atoms."""
    import numpy as np

    from occupy_jit.estimation.parts.fit import occupancy_of_parts
    from occupy_jit.files.models.reading import AtomicModel, Residue
    from occupy_jit.files.models.residue_names import PROTEIN

    n, voxel_size = 26, 1.5
    at = np.stack(np.indices((7, 7, 7)), -1).reshape(-1, 3)  # pyright: ignore[reportCallIssue]
    xyz = 11 + 2.6 * at + np.sin(at[:, ::-1] * 7.1 + np.sin(at * 5.3) * 3)
    residues = [Residue("AB"[i > 20], "UNK", str(i), True) for i in range(len(at) // 8 + 1)]
    ones = np.ones(len(at))
    model = AtomicModel(None, xyz, np.full(len(at), "C"), np.full(len(at), "CX"), 20 * ones, ones,
                        np.full(len(at), PROTEIN, np.uint8), np.arange(len(at), dtype=np.int32) // 8,
                        np.arange(len(at)), residues)
    counts, _ = np.histogramdd(xyz[:, ::-1] / voxel_size + 0.5, [np.arange(n + 1)] * 3)
    squares = [np.fft.fftfreq(n)[:, None, None] ** 2, np.fft.fftfreq(n)[:, None] ** 2, np.fft.rfftfreq(n) ** 2]
    volume = np.fft.irfftn(np.fft.rfftn(counts) * np.exp(-20 * sum(squares)), counts.shape, axes=(0, 1, 2))
    volume = volume.astype(np.float32)
    occupancy_of_parts(volume, model, voxel_size=voxel_size, residues=True, half_difference=0.1 * volume[::-1].copy())
