"""Blocks of a complex without a model: regions of the maps that come and go together over many volumes.

Notes
-----
Volumes are low-passed to 10 Å and put on one grey scale by the voxels in which all agree. On cells of 10 Å the
coefficient of each volume in a regression on the mean map is an occupancy relative to the mean, with an error from
solvent. Cells whose coefficients agree over the volumes are one block: the method that divides volumes into states
(`groups`) also divides cells into blocks. Every voxel then joins the block whose profile over the volumes explains it
best, profiles are updated from the voxels, and blocks that became alike, or are too small to distinguish from noise,
are merged with others. Finally, the volumes are fitted with the densities of all blocks jointly, as with parts of a
model.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from occupy_jit.errors import InputError
from occupy_jit.estimation.states.continuum import compare_with_continuum
from occupy_jit.estimation.states.groups import IMPURITY, WITHIN, find_states, group_means, log_evidence, merge

if TYPE_CHECKING:
    from collections.abc import Callable

DETAIL = 10.0  # Å
_SPACING = DETAIL / 3
_CELL = 10.0  # Å
_MOST_CELLS = 800
_SMALLEST = 8000.0  # Å^3
_ROUNDS = 6
_CELL_ROUNDS = 3
_CONTENT, _EDGE = 0.15, 0.1
"""Share of the density of a block, below which there is solvent."""
_LEAST_MEAN = 0.1
"""Share of the typical density: lower limit of the mean when density is computed from mean and scatter."""
_RARE_WITHIN, _RARE_SURE, _RARE_LIKELY, _RARE_DENSITY, _RARE_AROUND = 8.0, 5.0, 2.0, 0.25, 0.1
"""Å; standard deviations above solvent at which density in few volumes is certain, and at which it is likely beside
that; its share of the typical density; and the required share of certain surroundings."""
_SMOOTHING = 4.0  # Å: range of neighbours that influence the block of a voxel
_NEAR, _AROUND = 5.0, 15.0  # Å
_FULL = 0.5
_DENSER = 0.75
_LEAST_DENSITY = 0.25  # of that of the largest block
SPILL = 0.05
"""Error of the occupancy of a block by neighbouring blocks of the same density, and by the grey scale."""
_MASK_EDGE = 3.0  # Å
_LEAST_SUM = 0.8
_RIDGE = 0.01


@dataclass
class Blocks:
    """Blocks of a complex.

    Attributes
    ----------
    label : ndarray (z, y, x), int
        Block of every coarse voxel, from 0; -1 is solvent.
    density : ndarray (z, y, x), float32
        At full occupancy.
    spacing : ndarray (3,), float64
        Å along z, y, x.
    occupancy, noise : ndarray (volumes, blocks), float64
        Relative to the full block, and the standard error by noise.
    correlation : ndarray (blocks, blocks), float64
        Correlation of the noise.
    scale, level : ndarray (volumes,), float64
        Grey scale of every volume: (density - level) / scale is comparable between volumes.
    """

    label: np.ndarray
    density: np.ndarray
    spacing: np.ndarray
    occupancy: np.ndarray
    noise: np.ndarray
    correlation: np.ndarray
    scale: np.ndarray
    level: np.ndarray

    @property
    def n_blocks(self) -> int:
        """int : Number of blocks."""
        return self.occupancy.shape[1]

    @property
    def spill(self) -> np.ndarray:
        """ndarray (blocks,), float64 : `spilled` of their densities."""
        own = (self.density[self.label == b] for b in range(self.n_blocks))
        return spilled(np.array([np.quantile(values, _DENSER) if len(values) else 0.0 for values in own]))

    @property
    def volume(self) -> np.ndarray:
        """ndarray (blocks,), float64 : Volume of each block in Å^3 in which its density is at least half of its
        mean."""
        inside = self.label >= 0
        label, density = self.label[inside], self.density[inside]
        mean = np.bincount(label, density, self.n_blocks) / np.maximum(np.bincount(label, minlength=self.n_blocks), 1)
        dense = density > _FULL * mean[label]
        return np.bincount(label[dense], minlength=self.n_blocks) * float(np.prod(self.spacing))


def spilled(density: np.ndarray) -> np.ndarray:
    """Error of the occupancy of each block by neighbouring blocks and the grey scale, larger for less dense blocks.

    Parameters
    ----------
    density : ndarray (blocks,)
        At full occupancy.
    """
    return SPILL * np.maximum(density.max() / np.maximum(density, 1e-6 * density.max()), 1)


def soft_mask(blocks: Blocks, block: int, shape: tuple[int, ...]) -> np.ndarray:
    """Mask of a block on the grid of the volumes: 1 inside, 0 outside, 1/2 where the block ends.

    Parameters
    ----------
    blocks : Blocks
    block : int
    shape : tuple of int
        Of the volumes.

    Returns
    -------
    ndarray (z, y, x), float32
    """
    inside = (blocks.label == block).astype(float)
    coarse = blocks.label.shape
    axes = [np.fft.fftfreq(coarse[0], blocks.spacing[0]), np.fft.fftfreq(coarse[1], blocks.spacing[1]),
            np.fft.rfftfreq(coarse[2], blocks.spacing[2])]
    square = axes[0][:, None, None] ** 2 + axes[1][None, :, None] ** 2 + axes[2] ** 2
    transform = np.fft.rfftn(inside) * np.exp(-2 * (np.pi * _MASK_EDGE) ** 2 * square)
    fine = np.zeros((*shape[:2], shape[2] // 2 + 1), complex)
    where = [np.rint(np.fft.fftfreq(n) * n).astype(int) for n in coarse[:2]]
    fine[np.ix_(where[0] % shape[0], where[1] % shape[1], np.arange(coarse[2] // 2 + 1))] = transform
    # the coarse grid has hardly any power at its highest frequency, which is ambiguous on an even grid
    blurred = np.fft.irfftn(fine, shape, axes=(0, 1, 2)) * (np.prod(shape) / np.prod(coarse))
    return np.clip(2 * blurred - 0.5, 0, 1).astype(np.float32)


def coarse_grid(shape: tuple[int, ...], voxel_size: float) -> tuple[tuple[int, ...], np.ndarray]:
    """Shape of the grid for the search of blocks, and its spacing in Å along z, y, x."""
    length = np.array(shape) * voxel_size
    new = np.minimum(np.array(shape), 2 * np.ceil(length / _SPACING / 2).astype(int))
    return tuple(int(n) for n in new), length / new


def to_coarse(data: np.ndarray, voxel_size: float) -> np.ndarray:
    """A volume on the coarse grid, low-passed at the detail used: ndarray (z, y, x), float32.

    Parameters
    ----------
    data : ndarray (z, y, x)
    voxel_size : float
        Å.
    """
    shape, spacing = coarse_grid(data.shape, voxel_size)
    transform = np.fft.rfftn(np.asarray(data, np.float32))
    for axis, n in enumerate(shape[:2]):
        keep = np.rint(np.fft.fftfreq(n) * n).astype(int)
        transform = np.take(transform, keep, axis=axis)
    transform = transform[:, :, :shape[2] // 2 + 1]
    axes = [np.fft.fftfreq(shape[0], spacing[0]), np.fft.fftfreq(shape[1], spacing[1]),
            np.fft.rfftfreq(shape[2], spacing[2])]
    s = np.sqrt(axes[0][:, None, None] ** 2 + axes[1][None, :, None] ** 2 + axes[2] ** 2)
    window = 0.5 + 0.5 * np.cos(np.pi * np.clip((s * DETAIL - 1) / 0.5 + 0.5, 0, 1))
    coarse = np.fft.irfftn(transform * window, shape, axes=(0, 1, 2))
    return (coarse * np.prod(np.array(shape) / np.array(data.shape))).astype(np.float32)


class BlockSearch:
    """Volumes, gathered one by one, for the search of blocks.

    Parameters
    ----------
    mean, spread : ndarray (z, y, x), float32
        Mean and standard deviation over the volumes on the coarse grid, each volume divided by its standard deviation.
    spacing : ndarray (3,)
        Å.

    Raises
    ------
    InputError
        Nothing stands above solvent.
    """

    def __init__(self, mean: np.ndarray, spread: np.ndarray, spacing: np.ndarray) -> None:
        self.shape, self.spacing = mean.shape, np.asarray(spacing, float)
        axes = [(np.arange(n) - (n - 1) / 2) / (n / 2) for n in mean.shape]
        outside = axes[0][:, None, None] ** 2 + axes[1][None, :, None] ** 2 + axes[2] ** 2 > 1
        quiet = np.median(mean[outside]), _spread(mean[outside]), np.median(spread[outside]), _spread(spread[outside])
        found = (mean > quiet[0] + 5 * quiet[1]) | (spread > quiet[2] + 5 * quiet[3])
        if not (found & (mean > quiet[0])).any():
            raise InputError("nothing stands above solvent in the mean of the volumes; is the contrast inverted?")
        # density present in a share q of the volumes has a mean of q and a mean square of q, relative to itself
        above = np.maximum(mean - quiet[0], 0)
        square = above**2 + np.maximum(spread**2 - quiet[2] ** 2, 0)
        # weighted by the density itself, because solvent of decoded volumes may vary more than content
        typical = float((above[found] ** 2).sum() / above[found].sum())
        blurred = self._blurred(np.where(found & (above > 0), square / np.maximum(above, _LEAST_MEAN * typical), 0))
        found = blurred > _EDGE * float((blurred * above)[found].sum() / above[found].sum())
        self.content = (found | self._rare(found, mean - quiet[0], spread, outside, typical)) & ~outside
        near = self._blurred(self.content.astype(float), _NEAR) > 0.02
        around = self._blurred(self.content.astype(float), _AROUND) > 0.02
        self._quiet = ~near
        # the level of solvent is measured around the content, which shares noise of long wavelengths
        self._rim = around & ~near if (around & ~near).sum() > 100 else self._quiet
        self._outside = self._quiet
        self._rows, self._noises, self._levels, self._correlations, self._powers = [], [], [], [], []
        self._cells = 1
        self._shell, self._counts = _shells(self.shape, self.spacing)

    def _rare(self, found, mean, spread, outside, typical):
        """Regions with density in few volumes: too little in single voxels, but enough over some nanometres.

        Content found earlier is removed first, so that it does not spread.
        """
        power = mean**2 + spread**2
        level = np.median(power[outside])
        power, above = (self._blurred(np.where(found, 0, values), _RARE_WITHIN) for values in (power - level, mean))
        score = (power - np.median(power[outside])) / _spread(power[outside])
        dense = power > _RARE_DENSITY * typical * np.maximum(above, _LEAST_MEAN * typical)
        around = self._blurred(((score > _RARE_SURE) & dense).astype(float), _RARE_WITHIN) > _RARE_AROUND
        return around & dense & (score > _RARE_LIKELY)

    def add(self, coarse: np.ndarray) -> None:
        """Add a volume on the coarse grid."""
        level = float(np.median(coarse[self._rim]))
        self._levels.append(level)
        self._rows.append((coarse[self.content] - level).astype(np.float32))
        self._noises.append(float(np.std(coarse[self._quiet])))
        self._correlations.append(_correlation(coarse - level, self._outside, self._cell_edge()))
        # power of the noise: that of solvent, extended to the whole box
        solvent = np.where(self._quiet, coarse - level, 0)
        self._powers.append(self._power_of(solvent) / self._quiet.sum())

    def _power_of(self, grid):
        """Mean square of the transform in every shell."""
        transform = np.fft.rfftn(grid)
        square = transform.real**2 + transform.imag**2
        return np.bincount(self._shell, (square * self._counts).ravel()) / self._in_shell

    @property
    def _in_shell(self):
        return np.maximum(np.bincount(self._shell, np.broadcast_to(self._counts, self._transformed).ravel()), 1e-300)

    @property
    def _transformed(self):
        return (*self.shape[:2], self.shape[2] // 2 + 1)

    def _errors(self, density, label, n, scale):
        """Errors by noise of sums of volumes times block densities: (blocks, volumes)."""
        powers = np.array(self._powers) / scale[:, None] ** 2
        errors = np.empty((n, len(scale)))
        for b in range(n):
            grid = np.zeros(self.shape)
            grid[self.content] = np.where(label == b, density, 0)
            own = self._power_of(grid) * self._in_shell / np.prod(self.shape)
            errors[b] = np.sqrt(powers @ own)
        return errors

    def _cell_edge(self):
        return np.maximum(1, np.rint(_CELL / self.spacing)).astype(int)

    def find(self, say: Callable[[str], None] = lambda sentence: None) -> Blocks:
        """Blocks, and their occupancies in every volume.

        Returns
        -------
        Blocks

        Raises
        ------
        InputError
            The volumes do not differ by more than noise.
        """
        values = np.array(self._rows)
        say("blocks: one grey scale")
        scale = _grey_scales(values)
        values /= scale[:, None].astype(np.float32)
        noise = np.array(self._noises) / scale
        inflation = float(np.median(self._correlations))
        say("blocks: cells")
        profiles = self._of_cells(values, noise, inflation)
        say("blocks: voxels")
        label, profiles = self._of_voxels(values, noise, profiles, scale)
        say("blocks: which states tell apart")
        label, profiles = self._told_by_states(values, noise, label, profiles, scale)
        return self._fitted(values, noise, label, profiles, scale)

    def _of_cells(self, values, noise, inflation):
        """Profiles of groups of cells over the volumes, the strongest first."""
        edge = self._cell_edge()
        place = np.argwhere(self.content)
        while True:
            cell = np.unique(place // edge, axis=0, return_inverse=True)[1].ravel()
            if cell.max() + 1 <= _MOST_CELLS:
                break
            edge = edge + 1
        self._cells = int(cell.max()) + 1
        coefficient, density = values.mean(1)[None], values.mean(0)
        for _ in range(_CELL_ROUNDS):
            square = np.maximum(np.bincount(cell, density**2), 1e-300)
            product = np.array([np.bincount(cell, row * density) for row in values]).T
            coefficient = product / square[:, None]
            coefficient /= np.array([_full_level(row) for row in coefficient])[:, None]
            density = _density(values, np.maximum(coefficient, 0)[cell].T)
        square = np.bincount(cell, density**2)
        error = np.sqrt(inflation / square)[:, None] * noise
        strong = square > 0.1 * np.median(square)
        label = merge(coefficient[strong], 1 / (error[strong] ** 2 + WITHIN**2))[0]
        profiles, weights = group_means(coefficient[strong], np.repeat(square[strong][:, None], len(values), 1), label)
        return profiles[np.argsort(-weights[:, 0], kind="stable")]

    def _of_voxels(self, values, noise, profiles, scale):
        """Block of every voxel of the content, and the resulting profiles."""
        weight, voxel = 1 / noise**2, float(np.prod(self.spacing))
        for _ in range(_ROUNDS):
            label = self._assign(values, weight, profiles)
            before = len(profiles)
            keep = self._substantial(values, label, profiles, voxel)
            if keep.any() and not keep.all():
                profiles = profiles[keep]
                label = self._assign(values, weight, profiles)
            profiles, errors = self._profiles(values, label, profiles, scale)
            size = np.bincount(label, minlength=len(profiles))
            profiles = _without_mixtures(*_joined(profiles, errors, size, self._cells))
            if len(profiles) == before and _ > 0:
                break
        return self._assign(values, weight, profiles), profiles

    def _substantial(self, values, label, profiles, voxel):
        """Blocks that are large and dense enough not to be noise at the rim of others."""
        size = np.bincount(label, minlength=len(profiles))
        density = self._densities(values, label, profiles)
        return (size * voxel > _SMALLEST) & (density > _LEAST_DENSITY * density[np.argmax(size)])

    def _densities(self, values, label, profiles):
        """Density of every block at full occupancy, in its denser part, because it may include the rim of others."""
        scaled = np.array([profile / _full_level(profile) for profile in profiles])
        return np.array([np.quantile(row @ values[:, label == b], _DENSER) / (row @ row) if (label == b).any() else 0.0
                         for b, row in enumerate(scaled)])

    def _told_by_states(self, values, noise, label, profiles, scale):
        """Merge blocks that are present in the same states, because no volumes distinguish them."""
        profiles, errors = self._profiles(values, label, profiles, scale)
        errors = np.hypot(errors, spilled(self._densities(values, label, profiles))[:, None])
        states = find_states(profiles.T, errors.T)
        family = compare_with_continuum(profiles.T, errors.T, states.label)
        if family is not None and family.preferred:  # states do not distinguish blocks that vary continuously
            return label, profiles
        weights = 1 / ((errors.T * states.growth) ** 2 + WITHIN**2)
        mean, _ = group_means(profiles.T, weights, states.label)
        there = mean > _FULL
        # a block that is present in no state is residual noise
        if there.any(0).any():
            profiles, there = profiles[there.any(0)], there[:, there.any(0)]
            label = self._assign(values, 1 / noise**2, profiles)
        pattern = np.unique(there.T, axis=0, return_inverse=True)[1].ravel()
        if pattern.max() + 1 < len(profiles):
            joined = np.array([profiles[pattern == p].mean(0) for p in range(int(pattern.max()) + 1)])
            profiles, _ = self._profiles(values, pattern[label], joined, scale)
            label = self._assign(values, 1 / noise**2, profiles)
        return label, profiles

    def _profiles(self, values, label, before, scale):
        """Profile of every block by regression on its own density (1 if full), and the errors.

        Its density is the mean over the volumes weighted by its earlier profile: a block that is present in few
        volumes has hardly any density in the plain mean.
        """
        n = len(before)
        density = _density(values, np.maximum(before, 0)[label].T)
        square = np.maximum(np.bincount(label, density**2, n), 1e-300)[:, None]
        profile = np.array([np.bincount(label, row * density, n) for row in values]).T / square
        full = np.array([_full_level(row) for row in profile])[:, None]
        return profile / full, self._errors(density, label, n, scale) / square / full

    def _assign(self, values, weight, profiles):
        """The block with the most density at and around each voxel, in a fit of all profiles."""
        weighted = profiles * weight
        gram = weighted @ profiles.T
        gram += np.eye(len(gram)) * _RIDGE * np.trace(gram) / len(gram)
        density = np.linalg.solve(gram, weighted @ values)
        return np.argmax([self._smoothed(row) for row in density], 0)

    def _smoothed(self, values):
        """Gaussian mean over neighbouring voxels of the content."""
        grid = np.zeros(self.shape)
        grid[self.content] = values
        return self._blurred(grid)[self.content]

    def _blurred(self, grid, sigma=_SMOOTHING):
        axes = [np.fft.fftfreq(self.shape[0], self.spacing[0]), np.fft.fftfreq(self.shape[1], self.spacing[1]),
                np.fft.rfftfreq(self.shape[2], self.spacing[2])]
        square = axes[0][:, None, None] ** 2 + axes[1][None, :, None] ** 2 + axes[2] ** 2
        window = np.exp(-2 * (np.pi * sigma) ** 2 * square)
        return np.fft.irfftn(np.fft.rfftn(grid) * window, self.shape, axes=(0, 1, 2))

    def _fitted(self, values, noise, label, profiles, scale):
        """Densities of the blocks at full occupancy, and their occupancies by joint least squares."""
        n = len(profiles)
        weight = 1 / noise**2
        profiles = np.array([profile / _full_level(profile) for profile in profiles])
        amplitude = np.zeros(values.shape[1])
        for b in range(n):
            own = label == b
            amplitude[own] = (weight * profiles[b]) @ values[:, own] / (weight * profiles[b] ** 2).sum()
        blurred = np.maximum(self._smoothed(np.maximum(amplitude, 0)), 0)
        typical = np.bincount(label, blurred**2, n) / np.maximum(np.bincount(label, blurred, n), 1e-300)
        inside = blurred > _CONTENT * typical[label]
        square = np.bincount(label[inside], amplitude[inside] ** 2, n)
        occupancy = np.array([np.bincount(label[inside], row[inside] * amplitude[inside], n) for row in values])
        occupancy = occupancy / square
        errors = self._errors(np.where(inside, amplitude, 0), label, n, scale).T / square
        full = np.array([_full_level(column) for column in occupancy.T])
        order = np.argsort(-np.bincount(label[inside], amplitude[inside], n), kind="stable")
        rank = np.argsort(order)
        grid = np.full(self.shape, -1)
        grid[self.content] = np.where(inside, rank[label], -1)
        density = np.zeros(self.shape, np.float32)
        density[self.content] = amplitude * full[label] * inside
        return Blocks(grid, density, self.spacing, (occupancy / full)[:, order], (errors / full)[:, order], np.eye(n),
                      scale, np.array(self._levels))


def _density(values, weight):
    """Density of voxels at a weight (volumes, voxels) of 1, by least squares."""
    return np.einsum("kv,kv->v", weight, values) / np.maximum(np.einsum("kv,kv->v", weight, weight), 1e-300)


def _shells(shape, spacing):
    """Shell of every coefficient of a transform, flattened, and the number of coefficients that each represents."""
    axes = [np.fft.fftfreq(shape[0], spacing[0]), np.fft.fftfreq(shape[1], spacing[1]),
            np.fft.rfftfreq(shape[2], spacing[2])]
    s = np.sqrt(axes[0][:, None, None] ** 2 + axes[1][None, :, None] ** 2 + axes[2] ** 2)
    counts = np.full(s.shape[2], 2.0)
    counts[0] = 1
    if shape[2] % 2 == 0:
        counts[-1] = 1
    return np.rint(s * float(np.max(np.array(shape) * spacing))).astype(int).ravel(), counts


def _spread(values):
    """Standard deviation by quartiles, hardly affected by content."""
    low, high = np.quantile(values, (0.25, 0.75))
    return max(float(high - low) / 1.349, 1e-12)


def _correlation(data, outside, edge):
    """Factor by which the variance of means over cells of solvent exceeds that of independent voxels."""
    pieces = [n // e for n, e in zip(data.shape, edge, strict=True)]
    crop = tuple(slice(0, p * e) for p, e in zip(pieces, edge, strict=True))
    shape = [m for p, e in zip(pieces, edge, strict=True) for m in (p, e)]
    cells = data[crop].reshape(shape).mean((1, 3, 5))
    whole = outside[crop].reshape(shape).all((1, 3, 5))
    if whole.sum() < 20:
        return float(np.prod(edge))
    variance = float(np.var(data[outside]))
    return float(np.var(cells[whole])) * float(np.prod(edge)) / max(variance, 1e-300)


def _grey_scales(values):
    """Grey scale of every volume: its regression on the mean over the voxels that vary least."""
    scale = np.array([float(np.sqrt((row**2).mean())) for row in values])
    for _ in range(10):
        relative = values / scale[:, None]
        mean, spread = relative.mean(0), relative.std(0)
        strong = mean > np.quantile(mean, 0.5)
        steady = strong & (spread / np.maximum(mean, 1e-12) <= np.quantile((spread / np.maximum(mean, 1e-12))[strong],
                                                                           0.3))
        new = values[:, steady] @ mean[steady] / (mean[steady] ** 2).sum()
        if (np.abs(new / scale - 1) < 1e-4).all():
            break
        scale = new
    return scale


def _full_level(profile):
    """Level that counts as full: the mean of the volumes above half of it."""
    full = float(np.quantile(profile, 0.95))
    for _ in range(20):
        above = profile > _FULL * full
        if not above.any():
            break
        new = float(profile[above].mean())
        if abs(new - full) < 1e-6 * abs(full):
            break
        full = new
    return max(full, 1e-12)


def _joined(profiles, errors, size, cells):
    """Merge equal blocks, the most similar first; returns profiles, errors and sizes.

    A block of noise may be at any of the cells, so the evidence for a block must outweigh their number.
    """
    variance = errors**2 + WITHIN**2
    while len(profiles) > 1:
        evidence = np.full((len(profiles),) * 2, np.inf)
        for i in range(1, len(profiles)):
            evidence[i, :i] = log_evidence(profiles[i] - profiles[:i], variance[i] + variance[:i])
        i, j = np.unravel_index(np.argmin(evidence), evidence.shape)
        if not evidence[i, j] < np.log(len(profiles) * (len(profiles) - 1) / 2) + np.log(20 * cells):
            break
        share = size[i] / (size[i] + size[j])
        profiles[j] = share * profiles[i] + (1 - share) * profiles[j]
        errors[j] = np.minimum(errors[i], errors[j])
        size[j] += size[i]
        variance[j] = errors[j] ** 2 + WITHIN**2
        profiles, errors, variance, size = (np.delete(a, i, 0) for a in (profiles, errors, variance, size))
    return profiles, errors, size


def _without_mixtures(profiles, errors, size):
    """Profiles without mixtures of others, which arise where two blocks meet."""
    for b in np.argsort(size, kind="stable"):
        others = [i for i in range(len(profiles)) if i != b and size[i] > size[b] and np.isfinite(profiles[i, 0])]
        if len(others) < 2:
            continue
        share = _shares(profiles[others], profiles[b])
        if not (_LEAST_SUM < share.sum() < 2 - _LEAST_SUM and share.max() < _LEAST_SUM + 0.1):
            continue
        left = (profiles[b] - share @ profiles[others]) ** 2 / (errors[b] ** 2 + 2 * IMPURITY**2)
        if left.mean() < 1.5:
            profiles[b] = np.nan
    return profiles[np.isfinite(profiles[:, 0])]


def _shares(rows, wanted):
    """Least squares of a row on others with non-negative shares, by coordinate descent."""
    gram, right = rows @ rows.T, rows @ wanted
    share = np.zeros(len(rows))
    for _ in range(300):
        before = share.copy()
        for i in range(len(rows)):
            share[i] = max(0.0, share[i] + (right[i] - gram[i] @ share) / max(gram[i, i], 1e-300))
        if np.abs(share - before).max() < 1e-6:
            break
    return share
