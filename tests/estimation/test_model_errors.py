"""Standard errors of parts where the map is not whitened: noise of long waves moves whole parts."""

from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("scipy")

from occupy_jit.estimation.parts.errors import _in_coloured_noise, _spectrum_of_noise  # noqa: E402
from occupy_jit.estimation.parts.fit_grid import make_lattice  # noqa: E402
from occupy_jit.kernels.model.columns import column_pattern, project  # noqa: E402

SPACING = np.full(3, 4.0)
DRAWS = 300


@pytest.fixture(scope="module")
def made():
    """A lattice with three parts, their columns, and the covariance of their least squares."""
    rng = np.random.default_rng(1)
    centres = np.array([[10, 10, 10], [10, 16, 10], [16, 12, 13.0]])
    positions = np.concatenate([centre + rng.uniform(-2, 2, (40, 3)) for centre in centres])
    lattice = make_lattice(rng.standard_normal((26, 26, 26)).astype(np.float32), SPACING, positions, 10.0)
    starts = np.array([0, 40, 80, 120])
    pattern = column_pattern(lattice.fit_index, lattice.n_fit, positions - lattice.corner, starts, SPACING, 10.0)
    values = np.zeros((len(pattern.column), 2), np.float32)
    values[:, 0] = rng.uniform(0.5, 1.5, len(values))
    matrix = np.zeros((lattice.n_fit, 3))
    matrix[np.repeat(np.arange(lattice.n_fit), np.diff(pattern.row_start)), pattern.column] = values[:, 0]
    covariance = np.zeros((6, 6))
    covariance[:3, :3] = np.linalg.inv(matrix.T @ matrix)
    design = SimpleNamespace(pattern=pattern, n_columns=3)
    return lattice, design, SimpleNamespace(covariance=covariance, values=values, share=np.zeros((3, 3)))


def noise(lattice, seed, spectrum):
    white = np.random.default_rng(seed).standard_normal(lattice.data.shape)
    return lattice.at_fit_voxels(np.sqrt(spectrum), np.fft.rfftn(white).astype(np.complex64))


@pytest.mark.slow
@pytest.mark.parametrize("longest", [0.0, 40.0])
def test_the_variance_is_that_of_noise_of_the_spectrum(made, longest):
    lattice, design, step = made
    spectrum = 1 / (1 + (lattice.s * longest) ** 4)
    told = _in_coloured_noise(design, lattice, step, spectrum, 3)
    moved = np.array([step.covariance[:3, :3] @ project(design.pattern, step.values, noise(lattice, k, spectrum))[:, 0]
                      for k in range(DRAWS)])
    # of so many draws a variance is known within its root of 2 / draws
    assert np.all(np.abs((moved**2).mean(axis=0) / told - 1) < 4 * np.sqrt(2 / DRAWS))
    white = np.diag(step.covariance)[:3] * np.mean(noise(lattice, 0, spectrum) ** 2)
    # beyond the shells that are fitted there is no noise here, and it is not white
    assert np.all(told > (2 if longest else 1) * white)


def test_the_spectrum_is_that_of_the_residual_or_of_solvent(made):
    lattice, _, _ = made
    state = SimpleNamespace(whitening=np.ones(len(lattice.s)))
    residual = noise(lattice, 5, np.full(len(lattice.s), 100.0))
    inside = lattice.in_shell > 200
    found = _spectrum_of_noise(lattice, state, residual)[inside]
    assert found.mean() == pytest.approx(100, rel=0.15)
    # the map, of variance 1, is more where there is hardly a residual, within its band
    quiet = _spectrum_of_noise(lattice, state, 1e-3 * residual)
    assert quiet[inside & (lattice.band > 0.95)].mean() == pytest.approx(1, rel=0.3)
