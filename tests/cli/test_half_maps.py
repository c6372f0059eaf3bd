"""--half-maps in the whole command: the standard error that it writes, and what is refused."""

import numpy as np
import pytest

from tests.command import particle, run, values, write


@pytest.fixture(scope="module")
def halves(tmp_path_factory):
    """Two half maps of one particle: the same signal, noise of their own."""
    here = tmp_path_factory.mktemp("halves")
    signal = particle(noise=0.0)
    random = np.random.default_rng(7)
    for number in (1, 2):
        noise = random.normal(0, 0.1, signal.shape).astype(np.float32)
        write(here / f"run_half{number}_class001_unfil.mrc", signal + noise)
    write(here / "small.mrc", particle(32))
    return here


def names(halves):
    return [halves / f"run_half{number}_class001_unfil.mrc" for number in (1, 2)]


def test_scale_and_error_are_those_of_both(halves, tmp_path):
    one, two = names(halves)
    given = run("--half-maps", one, two, "--output-dir", tmp_path / "given", "--report", "--quiet")
    found = run("-i", one, "--half-maps", "auto", "--output-dir", tmp_path / "found", "--quiet")
    assert given.returncode == found.returncode == 0, given.stderr + found.stderr
    for prefix in ("scale_", "sd_"):
        a, b = (values(tmp_path / folder / f"{prefix}{one.name}") for folder in ("given", "found"))
        assert np.array_equal(a, b)
    scale, error = (values(tmp_path / "given" / f"{prefix}{one.name}") for prefix in ("scale_", "sd_"))
    assert np.isfinite(error).all() and error.min() >= 0
    html = (tmp_path / "given" / f"report_{one.stem}.html").read_text()
    assert 'id="volume-error"' in html, "the report shows the error"
    content = scale > 0.5
    assert content.any() and 0.005 < np.median(error[content]) < 0.3


def test_what_are_no_halves_is_refused_in_one_line(halves, tmp_path):
    one, two = names(halves)
    for arguments, status in ((("--half-maps", one, one), 3), (("--half-maps", one, halves / "small.mrc"), 3),
                              (("-i", halves / "small.mrc", "--half-maps", "auto"), 3), (("--half-maps", one), 2),
                              (("-i", one, "--half-maps", one, two), 2)):
        ran = run(*arguments, "--output-dir", tmp_path / "out")
        assert ran.returncode == status, (arguments, ran.stderr)
        said = [line for line in ran.stderr.splitlines() if line.startswith("OccuPy: ")]
        assert len(said) == 1 and "Traceback" not in ran.stderr, ran.stderr
        assert not (tmp_path / "out").exists()
