"""Pseudo-atoms eliminated from the normal equations, against dense algebra."""

import numpy as np
import pytest

sparse = pytest.importorskip("scipy.sparse")

from occupy_jit.estimation.parts import normal  # noqa: E402


@pytest.mark.parametrize("groups", [0, 1, 40])
@pytest.mark.parametrize("dense", [0, 1000])
def test_steps_and_covariance_are_those_of_the_whole_matrix(groups, dense, monkeypatch):
    monkeypatch.setattr(normal, "_DENSE", dense)
    rng = np.random.default_rng(groups)
    m = 6
    columns = rng.standard_normal((200, m + groups)) * (rng.random((200, m + groups)) < 0.3)
    whole = columns.T @ columns + np.eye(m + groups)
    right = rng.standard_normal(m + groups)
    equations = normal.Normal(whole[:m, :m], sparse.csr_matrix(whole[:m, m:]), sparse.csr_matrix(whole[m:, m:]))
    step, covariance = equations.solve(right)
    assert np.allclose(step, np.linalg.solve(whole, right), atol=1e-6)
    assert np.allclose(covariance, np.linalg.inv(whole)[:m, :m], atol=1e-6)
