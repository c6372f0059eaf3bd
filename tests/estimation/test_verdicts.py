"""What is said about maps that call for it, and that nothing is said about those that do not: through the command."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from occupy_jit.estimation.solvent import flattened as flat
from tests.command import particle, run, write
from tests.data_folder import simulator

pytestmark = pytest.mark.slow

N = 72  # the default kernel, 7 voxels, is just below a tenth of this


def radii(shape):
    """Distance of each voxel from the middle of the box."""
    return np.sqrt(sum((axis - (n - 1) / 2) ** 2 for axis, n in zip(np.indices(shape), shape, strict=True)))


def flattened():
    data = particle(N)
    data[radii(data.shape) > 0.33 * N] = 0
    return data


def masked_softly():
    data = particle(N) + np.float32(0.3)
    return data * np.clip((0.4 * N - radii(data.shape)) / 5, 0, 1).astype(np.float32)


def cropped():
    return particle(128, 0.02)[45:85, 45:85, 45:85]


def inverted():
    return -particle(N)


def inverted_and_offset():
    return np.float32(10) - 3 * particle(N)


def sharpened():
    """Amplitudes raised until what is left is noise: exp(B s^2 / 4) with B = 400 Å^2 at 1 Å a voxel."""
    data = particle(N, 0.3)
    squares = [np.fft.fftfreq(N)[:, None, None] ** 2, np.fft.fftfreq(N)[:, None] ** 2, np.fft.rfftfreq(N) ** 2]
    rise = np.exp(100 * np.minimum(sum(squares), 0.25))
    return np.fft.irfftn(np.fft.rfftn(data) * rise, s=data.shape, axes=(0, 1, 2)).astype(np.float32)


def noise_alone():
    return np.random.default_rng(4).normal(size=(N, N, N)).astype(np.float32)


def steps():
    """Solvent on three levels, in columns: no single Gaussian describes them."""
    _, y, x = np.indices((N, N, N))
    return particle(N) + ((x // 12 % 2 + y // 12 % 2) * 0.1).astype(np.float32)


def ramp():
    """A background that rises through the box by more than the particle stands above it."""
    return particle(N) + (np.indices((N, N, N))[2] * (0.5 / N)).astype(np.float32)


def small():
    return particle(48)


def plain():
    return particle(N)


def noisy():
    return particle(N, 0.3)


def one_grey_in_eight_bits():
    """Few steps of grey: ties everywhere, but nothing was flattened."""
    return np.round(particle(N, 0.1) * 40)


CASES = [
    (plain, [], set(), set()),
    (noisy, [], set(), set()),
    (one_grey_in_eight_bits, [], set(), set()),
    (flattened, [], {"solvent-flattened", "plain-factors"}, set()),
    (masked_softly, [], {"solvent-flattened", "plain-factors"}, {"contrast-inverted", "solvent-fit-poor"}),
    (cropped, [], {"no-solvent"}, {"kernel-large", "solvent-fit-poor", "confidence-everything"}),
    (inverted, [], {"contrast-inverted"}, {"no-content", "noise-floor-ignored", "noise-dominates", "solvent-fit-poor",
                                           "confidence-nothing", "no-solvent"}),
    (inverted_and_offset, [], {"contrast-inverted"}, {"no-content", "noise-floor-ignored", "noise-dominates",
                                                      "solvent-fit-poor", "confidence-nothing", "no-solvent"}),
    # the wider low-pass of the confidence sees the particle, but no band has signal
    (sharpened, ["--lowpass-input", "2"], {"noise-dominates"}, {"noise-floor-ignored", "confidence-nothing",
                                                                "nothing-to-equalise"}),
    (noise_alone, [], {"noise-dominates"}, {"noise-floor-ignored", "confidence-nothing"}),
    (steps, [], {"solvent-fit-poor"}, set()),
    (ramp, [], {"solvent-fit-poor", "noise-dominates", "confidence-nothing", "nothing-to-equalise"},
     {"no-solvent", "contrast-inverted"}),
    (small, [], {"kernel-large"}, set()),
    (plain, ["--kernel-size", "9"], {"kernel-large"}, set()),
    (plain, ["--no-confidence"], {"confidence-everything"}, set()),
    (plain, ["--hedge-confidence", "100"], set(), set()),
    (plain, ["--noise-floor", "100"], {"noise-floor-ignored"}, set()),
]


@pytest.mark.parametrize(("make", "options", "expected", "allowed"), CASES,
                         ids=[" ".join([case[0].__name__, *case[1]]) for case in CASES])
def test_verdicts(make, options, expected, allowed, tmp_path):
    """The map is done all the same; each verdict is in the record and the log, and one line on the terminal."""
    write(tmp_path / "map.mrc", make(), 1.0)
    ran = run("-i", "map.mrc", "--amplify", *options, cwd=tmp_path)
    assert ran.returncode == 0 and all(line.startswith("OccuPy: warning: map.mrc: ")
                                       for line in ran.stderr.splitlines()), ran.stderr
    with open(tmp_path / "occupy_map.json") as file:
        found = {verdict["code"]: verdict["sentence"] for verdict in json.load(file)["verdicts"]}
    assert expected <= set(found) <= expected | allowed, found
    log = (tmp_path / "log_map.txt").read_text()
    for code, sentence in found.items():
        assert f"verdict {code}: {sentence}" in log
        assert f"OccuPy: warning: map.mrc: {sentence}" in ran.stderr.splitlines()
        assert (tmp_path / "out_map.mrc").exists()


def test_a_solvent_definition_changes_only_what_is_said_of_the_fit(tmp_path):
    """Any mask, also one that has little to do with the map: what is said of the map comes from the whole of it."""
    write(tmp_path / "map.mrc", particle(N), 1.0)
    write(tmp_path / "mask.mrc", (radii((N, N, N)) < 0.45 * N).astype(np.float32), 1.0)
    write(tmp_path / "odd.mrc", (np.indices((N, N, N))[0] > 0.6 * N).astype(np.float32), 1.0)
    for mask in ("mask.mrc", "odd.mrc"):
        ran = run("-i", "map.mrc", "--solvent-def", mask, "--output-dir", mask[:-4], cwd=tmp_path)
        assert ran.returncode == 0, ran.stderr
        with open(tmp_path / mask[:-4] / "occupy_map.json") as file:
            codes = {verdict["code"] for verdict in json.load(file)["verdicts"]}
        assert codes <= {"solvent-fit-poor", "solvent-def-inverted"}
    scales = [(tmp_path / name / "scale_map.mrc").read_bytes() for name in ("mask", "odd")]
    assert scales[0] == scales[1]


@pytest.mark.slow
@pytest.mark.test_data
@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.parametrize("noise", ["clean", "mid", "poor"])
def test_none_on_simulated_proteins(noise, tmp_path):
    """Whole proteins in solvent with plain noise: nothing is wrong with them, at any noise level."""
    simulate = simulator()
    truth = simulate.simulate("rubisco", noise)
    write(tmp_path / "map.mrc", truth["full"].astype(np.float32), truth["vox"])
    assert run("-i", "map.mrc", "--amplify", "--quiet", cwd=tmp_path).returncode == 0
    with open(tmp_path / "occupy_map.json") as file:
        codes = {verdict["code"] for verdict in json.load(file)["verdicts"]}
    assert codes <= ({"solvent-fit-poor"} if noise == "clean" else set())


def test_share_of_repeated_values():
    """Of the inscribed sphere, whatever lies in the corners; and steps of grey are no plateau."""
    random = np.random.default_rng(0)
    data = random.normal(size=(60, 50, 40)).astype(np.float32)
    assert flat.repeated_value_share(data) < 0.01
    outside = radii(data.shape) > 20.5
    data[outside] = 7
    assert flat.repeated_value_share(data) < 0.01  # all of the sphere is as it was
    data[radii(data.shape) > 16] = 7
    # of the sphere of radius 20 the shell beyond 16 holds 1 - 0.8^3; the sample has some thousand voxels
    assert flat.repeated_value_share(data) == pytest.approx(1 - 0.8 ** 3, abs=0.05)
    assert flat.repeated_value_share(np.round(random.normal(size=(40, 40, 40)) * 3).astype(np.float32)) == 0


@given(st.lists(st.integers(0, 5), min_size=1))
def test_the_most_frequent_value_is_that_of_counting(values):
    value, share, times = flat.most_frequent_value(np.array(values, np.float32))
    count = {v: values.count(v) for v in values}
    assert count[int(value)] == max(count.values()) and share == count[int(value)] / len(values)
    following = sorted(count.values())[-2] if len(count) > 1 else 0
    assert times == (count[int(value)] / following if following else np.inf)
