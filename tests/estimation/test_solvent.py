"""The Gaussian of the solvent peak."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from occupy_jit.estimation.solvent import model as solvent
from tests import naive, simulated
from tests.estimates import estimate


def histogram(values, low=None, high=None):
    low, high = values.min() if low is None else low, values.max() if high is None else high
    counts, edges = np.histogram(values, solvent.BINS, (low, high))
    return counts, edges


def mixture(seed, number, share, sigma=1.0, mean=0.0):
    """Solvent, and content on the high side, wide and from one sigma on."""
    rng = np.random.default_rng(seed)
    content = mean + sigma * (1 + rng.gamma(2.0, 2.5, int(share * number)))
    return np.concatenate([rng.normal(mean, sigma, number), content])


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 999), st.sampled_from([50_000, 400_000]))
def test_a_gaussian_alone_is_recovered(seed, number):
    values = np.random.default_rng(seed).normal(3.0, 2.0, number)
    model = solvent.fit(*histogram(values))
    # A parabola fitted to logarithms over -2.5 to 0.5 sigma. In units of sigma, the variance of its parameters is the
    # inverse of N times the moments of (1, u, u^2) over the normal density there.
    u = np.linspace(-2.5, 0.5, 301)
    density = np.exp(-u * u / 2) / np.sqrt(2 * np.pi) * 0.01
    design = np.stack([np.ones_like(u), u, u * u])
    variance = np.linalg.inv((design * density) @ design.T) / number
    # mu moves with the linear term, sigma with the quadratic one (both by 1 at u = 0); five of their deviations
    assert abs(model.mean - 3) < 5 * 2 * np.sqrt(variance[1, 1]) + 2 * 2e-3
    assert abs(model.sigma / 2 - 1) < 5 * np.sqrt(variance[2, 2]) + 2e-3
    assert model.fitted and model.goodness > 0.9
    assert model.counts.sum() == number
    assert model.at(model.mean) == model.amplitude
    # the model falls below one voxel at the edge
    assert model.at(model.edge) == pytest.approx(1, rel=1e-6)


@pytest.mark.parametrize("share", [0.05, 0.2, 0.5])
def test_content_on_the_high_side_is_ignored(share):
    """From one sigma on there is content, up to half as much as solvent; the fit looks below 0.5 sigma."""
    for seed in range(4):
        model = solvent.fit(*histogram(mixture(seed, 300_000, share)))
        assert abs(model.mean) < 0.05
        assert abs(model.sigma - 1) < 0.04
        # where moments of everything would be far off
        assert mixture(seed, 300_000, share).std() > 1.2


@settings(deadline=None, max_examples=25)
@given(st.floats(-1e6, 1e6), st.floats(-9, 9))
def test_it_follows_shifts_and_scalings(shift, exponent):
    counts, edges = histogram(mixture(1, 100_000, 0.1))
    gain = 10.0**exponent
    one, other = solvent.fit(counts, edges), solvent.fit(counts, (edges + shift) * gain)
    rounding = 1e-9 + 1e-12 * abs(shift)
    assert abs(other.mean / gain - shift - one.mean) < rounding
    assert abs(other.sigma / gain - one.sigma) < rounding
    assert abs(other.edge / gain - shift - one.edge) < rounding
    assert other.amplitude == pytest.approx(one.amplitude, rel=1e-9)
    assert other.goodness == pytest.approx(one.goodness, abs=1e-9)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.integers(0, 1000), min_size=5, max_size=60))
def test_any_histogram_gives_a_model(counts):
    model = solvent.fit(np.array(counts), np.linspace(-1, 1, len(counts) + 1))
    assert np.isfinite([model.mean, model.sigma, model.edge, model.amplitude]).all()
    assert model.sigma > 0 and 0 <= model.goodness <= 1


def test_one_value_alone_is_not_called_a_gaussian():
    counts = np.zeros(solvent.BINS, int)
    counts[300] = 100_000
    model = solvent.fit(counts, np.linspace(0, 1, solvent.BINS + 1))
    assert not model.fitted
    assert abs(model.mean - 0.3005) < 1e-3


@pytest.fixture(scope="module")
def made():
    return simulated.complex_with_occupancies(3, seed=2, occupancies=(1.0, 0.6, 0.3), box=72)


def test_the_model_of_a_map_is_its_noise(made):
    """To a tenth of sigma: content of low occupancy widens the peak a little."""
    found = estimate(made.map, voxel_size=made.voxel_size)
    low = naive.lowpass(made.map - made.signal, 6 * made.voxel_size, made.voxel_size)
    inside = naive.inscribed_sphere(made.map.shape)
    assert found.solvent.sigma == pytest.approx(low[inside].std(), rel=0.1)
    assert abs(found.solvent.mean - low[inside].mean()) < 0.1 * low[inside].std()
    assert found.solvent.fitted and found.solvent.goodness > 0.97
    assert found.solvent.counts.sum() == inside.sum()


def test_a_solvent_definition_narrows_the_histogram(made):
    """Marked content is left out; marked solvent (less varied) is used the other way round, with the same result."""
    content = made.distance < 5
    found = estimate(made.map, voxel_size=made.voxel_size, solvent_mask=content.astype(np.float32))
    turned = estimate(made.map, voxel_size=made.voxel_size, solvent_mask=1 - content.astype(np.float32))
    assert found.solvent.counts.sum() == np.count_nonzero(~content)
    assert np.array_equal(found.solvent.counts, turned.solvent.counts)
    assert (found.solvent.mean, found.solvent.sigma) == (turned.solvent.mean, turned.solvent.sigma)
    low = naive.lowpass(made.map - made.signal, 6 * made.voxel_size, made.voxel_size)
    assert found.solvent.sigma == pytest.approx(low[~content].std(), rel=0.05)
    soft = np.clip(1.2 - made.distance / 5, 0, 1)  # crosses its middle at 3.5 Å
    assert estimate(made.map, voxel_size=made.voxel_size, solvent_mask=soft).solvent.counts.sum() == np.count_nonzero(
        soft.astype(np.float32) <= 0.5)
