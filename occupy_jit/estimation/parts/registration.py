"""Whether the model lies in the density: search over all shifts and over small rotations."""

from dataclasses import dataclass

import numpy as np

from occupy_jit.estimation.parts.fit_grid import soft_step
from occupy_jit.estimation.threads import threads_allowed
from occupy_jit.kernels.model.atoms import density_at, spread_atoms

_LEAST_SCORE = 8.0
_OVER_ELSEWHERE = 1.5
_ANGLES = (6.0, 12.0, 18.0)  # degrees
_COARSE = 2.5  # details: resolution of the search for rotations
_MOST_ATOMS = 2000
_BETTER = 1.25
_NOTICED, _TOO_FAR = 0.2, 0.5  # details, rms
_SIZES = np.linspace(0.85, 1.15, 31)  # relative range of voxel sizes, for wrong calibrations
_SIZE_NOTICED, _SIZE_NOTICED_OF_DETAIL, _SIZE_BETTER = 0.006, 0.03, 1.1


@dataclass
class Frame:
    """Placement of a model in a map.

    Attributes
    ----------
    score_here, score_elsewhere : float
        Largest correlation with the whitened map for shifts of less than one detail, and of more than three; in
        standard deviations over all shifts.
    best_score : float
        Over all shifts.
    shift : ndarray (3,)
        Best shift of the model along x, y, z in Å.
    rotation : float
        Rotation to the best fit, degrees.
    displacement : float
        Displacement of the atoms by rotation and shift, Å, rms.
    gain : float
        Factor by which the density at the atoms would rise.
    voxel_factor : float
        Voxel size with the best fit, relative to the one in use; 1 if no other is better.
    origin : ndarray (3,) or None
        Position of the first voxel of the map in the frame of the model, along x, y, z in Å.
    """

    score_here: float
    score_elsewhere: float
    best_score: float
    shift: np.ndarray
    rotation: float = 0.0
    displacement: float = 0.0
    gain: float = 1.0
    voxel_factor: float = 1.0
    origin: np.ndarray | None = None

    @property
    def refused(self) -> bool:
        """Whether the model does not lie in the density."""
        return self.score_here < max(_LEAST_SCORE, _OVER_ELSEWHERE * self.score_elsewhere)

    @property
    def rotated(self) -> bool:
        """Whether the model is rotated from its position in the density."""
        return self.gain > _BETTER

    def too_far(self, detail: float) -> bool:
        """Whether the displacement is too large for the fit."""
        return self.rotated and self.displacement > _TOO_FAR * detail


class Registration:
    """A model for comparison with maps on one grid: as it is, shifted and rotated.

    Parameters
    ----------
    shape : tuple of int
        Of the maps at the detail used.
    spacing : ndarray (3,)
        Å.
    positions : ndarray (atoms, 3), float64
        In voxels [z, y, x].
    weights : ndarray (atoms,)
        Scattering of every atom, in any unit.
    detail : float
        Å.
    """

    def __init__(self, shape: tuple[int, ...], spacing: np.ndarray, positions: np.ndarray, weights: np.ndarray,
                 detail: float) -> None:
        import scipy.fft as fft

        self._shape, self._spacing, self._detail = shape, spacing, detail
        self._positions, self._weights = positions, weights
        axes = [fft.fftfreq(shape[0], spacing[0]), fft.fftfreq(shape[1], spacing[1]),
                fft.rfftfreq(shape[2], spacing[2])]
        square = axes[0][:, None, None] ** 2 + axes[1][None, :, None] ** 2 + axes[2] ** 2
        self._s = s = np.sqrt(square).astype(np.float32)
        step = 1 / float((np.array(shape) * spacing).max())
        self._shell = np.rint(s / step).astype(np.int32)
        self._band = soft_step(s, 1 / detail, 0.4 / detail) * (1 - soft_step(s, 0.13 / detail, 0.12 / detail))
        self._modelled = self._of_atoms(positions)
        away = [np.minimum(np.arange(n), n - np.arange(n)) * d for n, d in zip(shape, spacing, strict=True)]
        away = np.sqrt(away[0][:, None, None] ** 2 + away[1][None, :, None] ** 2 + away[2] ** 2)
        self._near, self._elsewhere = away < detail, away > 3 * detail
        self._blur = np.exp(-2 * (np.pi * detail) ** 2 * square).astype(np.float32)
        self._far: np.ndarray | None = None

    def frame(self, coarse: np.ndarray) -> Frame:
        """Placement of the model in a map.

        Parameters
        ----------
        coarse : ndarray (z, y, x), float32
            At the detail used.

        Returns
        -------
        Frame
        """
        observed = self._whitened(coarse - np.float32(np.median(coarse)))
        frame = self._frame_of(observed, self._modelled)
        about = (self._s, self._shape, self._spacing, self._positions, self._weights, self._detail)
        if not frame.refused:
            _try_rotations(frame, observed, *about)
        factor, gain, scaled = _try_voxel_sizes(observed, *about)
        # a rotation does not point to another voxel size, whatever its effect on the density
        if (gain > _SIZE_BETTER and (frame.rotation < _ANGLES[0] / 2 or gain > frame.gain)
                and not self._frame_of(observed, self._of_atoms(scaled)).refused):
            frame.voxel_factor = factor
        return frame

    def _of_atoms(self, positions):
        """Whitened transform of the model with its atoms at these positions."""
        return self._whitened(_atoms_as_gaussians(self._shape, self._spacing, positions, self._weights, self._detail))

    def _whitened(self, grid):
        import scipy.fft as fft

        transform = fft.rfftn(grid, workers=threads_allowed())
        shell = self._shell
        power = np.bincount(shell.ravel(), np.abs(transform).ravel() ** 2) / np.bincount(shell.ravel())
        return transform * (self._band / np.sqrt(np.maximum(power, 1e-12 * power.max()))[shell]).astype(np.float32)

    def _frame_of(self, observed, modelled):
        import scipy.fft as fft

        score = fft.irfftn(observed * np.conj(modelled), self._shape, workers=threads_allowed())
        score /= score.std()
        best = np.array(np.unravel_index(np.argmax(score), self._shape))
        best = np.where(best > np.array(self._shape) // 2, best - self._shape, best) * self._spacing
        return Frame(float(score[self._near].max()), float(score[self._elsewhere].max(initial=0)), float(score.max()),
                     best[::-1])

    def uncovered_share(self, coarse: np.ndarray) -> float:
        """Volume of density above half of that at the atoms, farther than 1.5 details from them.

        Parameters
        ----------
        coarse : ndarray (z, y, x), float32

        Returns
        -------
        float
            As a share of the volume of such density in the whole map.
        """
        import scipy.fft as fft

        from occupy_jit.kernels.model.atoms import distance_to_atoms

        if self._far is None:
            reach = 1.5 * self._detail
            self._far = distance_to_atoms(self._shape, self._positions, self._spacing, reach) >= reach
        transform = fft.rfftn(coarse - np.float32(np.median(coarse)), workers=threads_allowed())
        blurred = fft.irfftn(transform * self._blur, self._shape, workers=threads_allowed())
        level = 0.5 * np.median(density_at(np.ascontiguousarray(blurred, np.float32), self._positions))
        high = blurred > level
        return float((high & self._far).sum() / max(high.sum(), 1))


def _atoms_as_gaussians(shape, spacing, positions, weights, detail):
    """The model at about the detail used."""
    sigma = 0.35 * detail
    reach = 4 * sigma
    entries = 512
    per_entry = (entries - 2) / reach**2
    table = np.exp(-0.5 * np.arange(entries) / per_entry / sigma**2)
    table[-2:] = 0
    tables = np.repeat(table.astype(np.float32)[None, :, None], 2, 2)
    rows = np.zeros(len(positions), np.int32)
    return np.ascontiguousarray(spread_atoms(shape, positions, weights, rows, tables, per_entry, spacing)[..., 0])


def _try_rotations(frame, observed, s, shape, spacing, positions, weights, detail):  # noqa: PLR0913 (the map, and the model in it)
    """Rotate and shift the atoms in coarse density, refine there, and compare in full detail."""
    import scipy.fft as fft
    from scipy.optimize import minimize

    smoothed = observed * np.exp(-(np.pi * 0.35 * _COARSE * detail * s) ** 2)
    coarse = fft.irfftn(smoothed, shape, workers=threads_allowed())
    fine = fft.irfftn(observed, shape, workers=threads_allowed())
    some = np.arange(0, len(positions), max(1, len(positions) // _MOST_ATOMS))
    xyz = positions[some] * spacing
    centre = xyz.mean(0)
    size = np.sqrt(((xyz - centre) ** 2).sum(1).mean())
    weight = weights[some]

    def density(grid, pose):
        return float(weight @ density_at(grid, moved(pose) / spacing))

    def moved(pose):
        # rotations are measured by the path of an atom at the radius of gyration, so that all six parameters are
        # lengths
        return (xyz - centre) @ rotation_matrix(pose[:3] / size).T + centre + pose[3:]

    axes = np.array([(z, y, x) for z in (-1, 0, 1) for y in (-1, 0, 1) for x in (-1, 0, 1) if (z, y, x) != (0, 0, 0)])
    axes = axes / np.linalg.norm(axes, axis=1)[:, None]
    poses = [np.zeros(6)] + [np.concatenate([np.deg2rad(angle) * size * axis, np.zeros(3)])
                             for angle in _ANGLES for axis in axes]
    best = max(poses, key=lambda pose: density(coarse, pose))
    for grid in (coarse, fine):
        simplex = np.concatenate([best[None], best + np.eye(6) * detail])
        best = minimize(lambda pose, g=grid: -density(g, pose), best, method="Nelder-Mead",
                        options={"initial_simplex": simplex, "maxfev": 200, "xatol": 0.05, "fatol": 0.0}).x
    displacement = float(np.sqrt(((moved(best) - xyz) ** 2).sum(1).mean()))
    here, there = density(fine, np.zeros(6)), density(fine, best)
    if displacement > _NOTICED * detail and there > _BETTER * max(here, 0):
        frame.rotation = float(np.rad2deg(np.linalg.norm(best[:3] / size)))
        frame.displacement = displacement
        frame.gain = there / max(here, 1e-3 * there)


def _try_voxel_sizes(observed, s, shape, spacing, positions, weights, detail):
    """Scale the model, the inverse of scaling the voxels: about the first voxel, or about its own centre.

    The first is the effect of a wrong size in the header on a model that lay in the map, the second on a model
    that was fitted into the map with the wrong size.

    Returns
    -------
    factor : float
        The best voxel size relative to `spacing`.
    gain : float
        Factor by which the density at the atoms rises; 1 for the given size.
    positions : ndarray (atoms, 3)
        Of the scaled and shifted atoms.
    """
    import scipy.fft as fft
    from scipy.optimize import minimize

    coarse, fine = (fft.irfftn(spectrum, shape, workers=threads_allowed()) for spectrum in (
        observed * np.exp(-(np.pi * 0.35 * _COARSE * detail * s) ** 2), observed))
    some = np.arange(0, len(positions), max(1, len(positions) // _MOST_ATOMS))
    centre = positions.mean(0) * spacing
    size = np.sqrt(((positions * spacing - centre) ** 2).sum(1).mean())
    xyz, weight = positions[some] * spacing, weights[some]

    def moved(atoms, pose):
        return ((atoms - centre) * (1 + pose[0] / size) + centre + pose[1:]) / spacing

    def density(grid, pose):
        return float(weight @ density_at(grid, moved(xyz, pose)))

    poses = [np.concatenate([[(1 / factor - 1) * size], (1 / factor - 1) * centre * about_origin])
             for factor in _SIZES for about_origin in (0, 1)]
    best = max(poses, key=lambda pose: density(coarse, pose))
    for grid in (coarse, fine):
        simplex = np.concatenate([best[None], best + np.eye(4) * 0.5 * detail])
        best = minimize(lambda pose, g=grid: -density(g, pose), best, method="Nelder-Mead",
                        options={"initial_simplex": simplex, "maxfev": 200, "xatol": 0.02, "fatol": 0.0}).x
    factor = float(1 / (1 + best[0] / size))
    if abs(factor - 1) < max(_SIZE_NOTICED, _SIZE_NOTICED_OF_DETAIL * detail / size):
        return 1.0, 1.0, positions
    here, there = density(fine, np.zeros(4)), density(fine, best)
    return factor, there / max(here, 1e-3 * abs(there), 1e-30), moved(positions * spacing, best)


def rotation_matrix(vector: np.ndarray) -> np.ndarray:
    """Rotation around a vector by its length in radians (Rodrigues)."""
    angle = np.linalg.norm(vector)
    if angle == 0:
        return np.eye(3)
    a, b, c = vector / angle
    cross = np.array([[0, -c, b], [c, 0, -a], [-b, a, 0]])
    return np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross
