"""The interface for Python programs: maps as files or arrays, and results that can be saved, modified and viewed."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from occupy_jit.estimation.scale import estimate as spine
from occupy_jit.estimation.scale.inputs import Masks, Wanted
from occupy_jit.estimation.scale.result import FullScale, Result
from occupy_jit.files.maps.maps import Map, map_from_array
from occupy_jit.files.maps.reading import read_map
from occupy_jit.settings import Settings

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    MapLike = str | os.PathLike[str] | Map | np.ndarray


@dataclass(frozen=True, repr=False)
class Estimate(Result):
    """A `Result` with its map.

    Attributes
    ----------
    map : occupy_jit.files.maps.maps.Map
        The map, or the mean of its half maps.
    settings : Settings
    """

    map: Map | None = None
    settings: Settings = Settings()

    @property
    def name(self) -> str:
        """str : Name of the file without its directory, or "array"."""
        return os.path.basename(self.map.path) if self.map.path else "array"

    def amplify(self, amount: float = 1.0, *, exclude_solvent: bool = False, plain_factors: bool = False) -> np.ndarray:
        """The map with partial occupancy amplified in confident content.

        Parameters
        ----------
        amount : float
            From -1 to 1: 1 equalises, 0 changes nothing, and a negative amount lowers partial occupancy further.
        exclude_solvent : bool
            Set solvent to 0.
        plain_factors : bool
            Divide by the scale, noise included, instead of amplifying each resolution band as far as its noise
            allows.

        Returns
        -------
        (nz, ny, nx) float32 array

        Raises
        ------
        UsageError
            The amount is out of range.
        ValueError
            The estimate was made without a confidence.
        """
        return self._modified(Settings(amplify=True, amplify_amount=amount, exclude_solvent=exclude_solvent,
                                       plain_factors=plain_factors, amplify_limit=self.settings.amplify_limit))

    def exclude_solvent(self) -> np.ndarray:
        """The map with solvent set to 0: (nz, ny, nx) float32 array."""
        return self._modified(Settings(exclude_solvent=True))

    def _modified(self, settings):
        from occupy_jit.estimation.modification import equalise, modify
        from occupy_jit.modifications import requested

        if self.confidence is None:
            raise ValueError("the estimate holds no confidence: make it with wanted=Wanted(confidence=True)")
        result = self
        if self.bands is None and equalise.wanted(settings):
            result = replace(self, bands=equalise.prepare(self.map.data, self))
        return modify.modified(self.map.data, result, settings, requested(settings)[0])

    def save(self, directory: str | os.PathLike[str] = ".", *, report: bool = False, plot: bool = False) -> list[str]:
        """Write the files of the command: scale, modified map, ChimeraX script, log and JSON record.

        A map from an array is also written, as ``array.mrc``.

        Parameters
        ----------
        directory : str or path
            Created if it does not exist.
        report, plot : bool
            Also write the HTML report, and pictures.

        Returns
        -------
        list of str
            Paths of the files.
        """
        from occupy_jit.runs.one_map.run import save_result

        if report and self.confidence is None:
            raise ValueError("the estimate holds no confidence, which the report shows: make it with "
                             "wanted=Wanted(confidence=True)")
        return save_result(self.map, self, self.settings, os.fspath(directory), report=report, plot=plot)

    def plot(self) -> Figure:
        """Central sections of map and scale in three directions, as a matplotlib figure (needs matplotlib)."""
        from occupy_jit.reports.sections import sections_figure

        return sections_figure(self.map.data, self.scale, self.name, self.confidence, self.ball.radius)

    def __repr__(self) -> str:
        shape = " x ".join(str(n) for n in self.scale.shape)
        said = "".join(f", {verdict.code}" for verdict in self.verdicts)
        return (f"<Estimate of {self.name}: {shape} voxels of {self.voxel_size:.4g} Å, "
                f"full scale {self.full_scale:.4g}, noise floor {self.floor:.3g}{said}>")

    def _repr_html_(self) -> str:
        """A thumbnail and six numbers, for notebooks."""
        from occupy_jit.reports.sections import thumbnail_html

        occupied = self.scale > max(0.2, self.solvent_limit)
        volume = np.count_nonzero(occupied) * self.voxel_size ** 3
        mean = float(self.scale[occupied].mean()) if occupied.any() else 0.0
        limit, at_least = self.facts.visibility.limit, "≥ " if self.facts.visibility.noise_hides else ""
        numbers = {"full scale": f"{self.full_scale:.4g}", "noise floor": f"{self.floor:.3g}",
                   "low-pass": f"{self.lowpass_angstrom:.3g} Å", "occupied": f"{at_least}{volume:,.0f} Å³",
                   "mean scale there": f"{mean:.2f}",
                   "visible from": "unknown" if limit is None else f"scale {limit:.2f}"}
        return thumbnail_html(self.map.data, self.scale, self.name, numbers, [v.sentence for v in self.verdicts],
                              (self.confidence, self.ball.radius))


def estimate(volume: MapLike | None = None, settings: Settings | None = None, *,  # noqa: PLR0913 (public interface)
             voxel_size: float | None = None, half_maps: Sequence[MapLike] | None = None, masks: Masks | None = None,
             wanted: Wanted | None = None, full_scale: float | FullScale | None = None,
             thread_count: int | None = None, **former: Any) -> Estimate:
    """Estimate local scale and confidence of a map.

    Parameters
    ----------
    volume : str, path, Map, or (nz, ny, nx) array
        A file name, a map from `read_map`, or an array with `voxel_size`. Optional with half maps: the map is then
        their mean.
    settings : Settings, optional
    voxel_size : float, optional
        Å. Required for an array; overrides the header of a file.
    half_maps : pair of the same, optional
        The two half maps of `volume`, which are not changed: they measure the local noise.
    masks : Masks, optional
        Masks that mark solvent, and a part that is fully occupied.
    wanted : Wanted, optional
        Volumes of the result beside the scale; by default confidence and low-passed map.
    full_scale : float or FullScale, optional
        A full scale in units of the map, common to several maps, instead of a search.
    thread_count : int, optional
        Never changes the result.
    **former
        Keywords of the first release, which still work with a DeprecationWarning.

    Returns
    -------
    Estimate

    Raises
    ------
    TypeError, ValueError
        An argument has the wrong type, or arguments contradict each other.
    InputError
        A file cannot be read, or nothing can be estimated from the map.
    UsageError
        A setting is out of range.

    Examples
    --------
    >>> import numpy, occupy_jit
    >>> box = numpy.random.default_rng(0).normal(0, 0.1, (40, 40, 40))
    >>> box[12:28, 12:28, 12:28] += 1
    >>> result = occupy_jit.estimate(box, voxel_size=1.5)
    >>> result.scale.shape, bool(result.scale[20, 20, 20] > 0.9)
    ((40, 40, 40), True)
    >>> result.amplify().shape
    (40, 40, 40)
    """
    volume = _read(volume, voxel_size)
    if isinstance(half_maps, (list, tuple)):
        half_maps = [_read(half, voxel_size) for half in half_maps]
    found = spine.estimate(volume, settings, voxel_size=voxel_size, half_maps=half_maps, masks=masks, wanted=wanted,
                           full_scale=full_scale, thread_count=thread_count, **former)
    if volume is None:
        one, two = (half.data if isinstance(half, Map) else np.asarray(half, np.float32) for half in half_maps)
        mean = np.float32(0.5) * (one + np.float32(found.half_maps.second_multiplied_with) * two)
        volume = _around(mean, half_maps[0], found.voxel_size)
    elif not isinstance(volume, Map):
        volume = map_from_array(volume, found.voxel_size)
    return Estimate(**vars(found), map=volume, settings=settings or Settings())


def classes(volumes: Sequence[MapLike], settings: Settings | None = None, *, voxel_size: float | None = None,
            masks: Masks | None = None, thread_count: int | None = None) -> list[Estimate]:
    """Estimate maps on one common scale, such as the classes of a 3D classification.

    Full scale is the largest of all maps, so that occupancy can be compared between them; each map keeps its own
    zero level and noise floor.

    Parameters
    ----------
    volumes : sequence of str, path, Map or (nz, ny, nx) array
    settings, voxel_size, masks, thread_count
        As for `estimate`.

    Returns
    -------
    list of Estimate

    Raises
    ------
    TypeError, ValueError, InputError, UsageError
        As `estimate` does; ValueError also for no maps.

    Examples
    --------
    >>> import numpy, occupy_jit
    >>> box = numpy.random.default_rng(0).normal(0, 0.1, (40, 40, 40))
    >>> box[12:28, 12:28, 12:28] += 1
    >>> first, second = occupy_jit.classes([box, 0.5 * box], voxel_size=1.5)
    >>> round(float(second.scale[20, 20, 20]), 1)
    0.5
    """
    if isinstance(volumes, (str, os.PathLike)) or len(volumes) == 0:
        raise ValueError("volumes must be a sequence of at least one map")
    own = [spine.measure_full_scale(_read(one, voxel_size), settings, voxel_size=voxel_size, masks=masks,
                                    thread_count=thread_count) for one in volumes]
    common = max(one.value for one in own)
    without_reference = None if masks is None else replace(masks, reference=None)
    return [estimate(one, settings, voxel_size=voxel_size, masks=without_reference, thread_count=thread_count,
                     full_scale=found._replace(value=common)) for one, found in zip(volumes, own, strict=True)]


def _read(volume, voxel_size):
    """The map of a file name; other values unchanged."""
    if isinstance(volume, (str, os.PathLike)):
        return read_map(os.fspath(volume), voxel_size)
    return volume


def _around(data, like, voxel_size):
    """A map of `data` with the header of `like`, if that is a map."""
    if isinstance(like, Map):
        return replace(like, data=data, path=None, minimum=None, maximum=None)
    return map_from_array(data, voxel_size)
