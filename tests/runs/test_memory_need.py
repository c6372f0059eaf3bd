"""The estimate of memory against what runs take, and what happens where there is less."""

import os
import re
import subprocess
import sys

import numpy as np
import pytest

from occupy_jit.machine import free_memory
from tests.command import command, environment, run, write

pytestmark = pytest.mark.slow

linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="measures resident memory as Linux counts it")


# --- what a run needs -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """A map of 160 voxels an edge, 16 MB, in two axis orders."""
    n = 160
    here = tmp_path_factory.mktemp("large")
    random = np.random.default_rng(0)
    data = random.normal(size=(n, n, n)).astype(np.float32) * np.float32(0.1)
    middle = slice(n // 4, 3 * n // 4)
    data[middle, middle, middle] += random.random((n // 2,) * 3, np.float32)
    write(here / "plain.mrc", data, 1.0)
    write(here / "turned.mrc", data, 1.0, (3, 2, 1))
    mask = np.zeros_like(data)
    mask[middle, middle, middle] = 1  # an eighth of the box: content, and more than most targets are
    write(here / "mask.mrc", mask, 1.0)
    few = slice(middle.start - 12, middle.start + 12)
    (here / "small").mkdir()
    for name, values, order in (("plain", data, (1, 2, 3)), ("turned", data, (3, 2, 1)), ("mask", mask, (1, 2, 3))):
        write(here / "small" / f"{name}.mrc", np.ascontiguousarray(values[few, few, few]), 1.0, order)
    return here


def peak(arguments, cwd):
    """Largest resident memory of a process, in bytes."""
    # ru_maxrss of a child starts with what its parent had when it was forked: so a small process stands between them
    between = ("import resource, subprocess, sys; status = subprocess.call(sys.argv[1:]); "
               "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024); sys.exit(status)")
    ran = subprocess.run([sys.executable, "-S", "-c", between, *command(*arguments)], cwd=cwd, env=environment(),
                         capture_output=True, text=True, timeout=300)
    assert ran.returncode == 0, ran.stderr
    return int(ran.stdout)


@pytest.mark.slow
@linux
@pytest.mark.parametrize("options", [[], ["-i", "mean.mrc"], ["--amplify"], ["-i", "mean.mrc", "--amplify"]],
                         ids=lambda value: " ".join(value) or "scale")
def test_the_estimate_is_right_for_half_maps(options, tmp_path):
    n = 160
    random = np.random.default_rng(0)
    signal = np.zeros((n, n, n), np.float32)
    middle = slice(n // 4, 3 * n // 4)
    signal[middle, middle, middle] = random.random((n // 2,) * 3, np.float32)
    total = 0
    for number in (1, 2):
        half = signal + random.normal(size=signal.shape).astype(np.float32) * np.float32(0.1)
        total += half
        write(tmp_path / f"half{number}.mrc", half, 1.0)
    write(tmp_path / "mean.mrc", total, 1.0)
    options = [str(tmp_path / option) if option.endswith(".mrc") else option for option in options]
    arguments = [*options, "--half-maps", tmp_path / "half1.mrc", tmp_path / "half2.mrc", "--output-dir", tmp_path]
    ran = run(*arguments, "--dry-run")
    assert ran.returncode == 0, ran.stderr
    said = float(ran.stdout.split("memory: about ")[1].split(" MB")[0]) * 1e6
    assert said == pytest.approx(peak([*arguments, "--quiet"], tmp_path), rel=0.1)


@pytest.mark.slow
@linux
@pytest.mark.parametrize(("name", "options"), [
    ("plain.mrc", []), ("plain.mrc", ["--amplify"]), ("turned.mrc", []), ("turned.mrc", ["--amplify"]),
    ("turned.mrc", ["--amplify", "--save-all-maps", "--plot"]), ("plain.mrc", ["--scale-mode", "resolution"]),
    ("plain.mrc", ["--attenuate-gamma", "2", "--subtraction-mask"]),
    ("plain.mrc", ["--amplify", "--solvent-def", "mask.mrc"]),
    ("plain.mrc", ["--report"]), ("turned.mrc", ["--amplify", "--report"]),
    ("plain.mrc", ["--exclude-solvent", "--match-histogram"]), ("plain.mrc", ["--target-mask", "mask.mrc"])],
    ids=lambda value: value if isinstance(value, str) else " ".join(value))
def test_the_estimate_is_right_within_10_percent(name, options, large, tmp_path):
    if "--plot" in options:
        pytest.importorskip("matplotlib")

    def arguments_in(folder):
        here = [str(folder / option) if option.endswith(".mrc") else option for option in options]
        return ["-i", folder / name, *here, "--output-dir", tmp_path]

    arguments = arguments_in(large)
    run(*arguments_in(large / "small"))  # compiling takes memory, too
    ran = run(*arguments, "--dry-run")
    assert ran.returncode == 0, ran.stderr
    said = float(ran.stdout.split("memory: about ")[1].split(" MB")[0]) * 1e6
    close = 0.15 if "--target-mask" in options else 0.1  # how many voxels are on peaks is not known before
    assert said == pytest.approx(peak([*arguments, "--quiet"], tmp_path), rel=close)


def test_too_large_a_map_is_refused_with_both_numbers(tmp_path, monkeypatch):
    """Before it is read: what it needs, and what there is."""
    from occupy_jit.runs.one_map.run import run_one
    from occupy_jit.runs.plan.plan import check_memory, plan_map
    from occupy_jit.settings import Options, Settings

    path = write(tmp_path / "map.mrc", np.random.default_rng(0).normal(size=(16, 16, 16)).astype(np.float32))
    plan = plan_map(path, Settings(), Options(output_dir=str(tmp_path / "out")))
    monkeypatch.setattr(free_memory, "available", lambda: plan.memory_bytes - 1)
    monkeypatch.setattr("occupy_jit.files.maps.reading.read_map", lambda *_, **__: pytest.fail("the map was read"))
    outcome = run_one(plan)
    assert outcome.status == 1 and re.search(r"map.mrc: needs about .* of memory, .* available", outcome.message)
    assert os.listdir(tmp_path) == ["map.mrc"]
    monkeypatch.setattr(free_memory, "available", lambda: plan.memory_bytes)
    check_memory(plan)
    monkeypatch.setattr(free_memory, "available", lambda: None)
    check_memory(plan)


@pytest.mark.slow
@linux
@pytest.mark.parametrize("options", [[], ["--residues"]], ids=str)
def test_a_model_counts(options, tmp_path):
    gemmi = pytest.importorskip("gemmi")
    pytest.importorskip("scipy")
    n, voxel_size = 112, 1.4
    random = np.random.default_rng(3)
    atoms = np.stack(np.meshgrid(*[np.arange(36) * 2.7] * 3, indexing="ij"), -1).reshape(-1, 3)
    atoms += random.uniform(-0.6, 0.6, atoms.shape) + 30
    whole, chains = gemmi.Structure(), {}
    whole.add_model(gemmi.Model(1))
    for first in range(0, len(atoms), 8):
        name = "ABCDEFGHIJKL"[first * 12 // len(atoms)]
        if name not in chains:
            chains[name] = gemmi.Chain(name)
        residue = gemmi.Residue()
        residue.name, residue.seqid = "LYS", gemmi.SeqId(first // 8 + 1, " ")
        for at, place in enumerate(atoms[first:first + 8]):
            atom = gemmi.Atom()
            atom.name, atom.element = ("N", "CA", "C", "O", "CB", "CG", "CD", "CE")[at], gemmi.Element("C")
            atom.pos = gemmi.Position(*place)
            residue.add_atom(atom)
        chains[name].add_residue(residue)
    for chain in chains.values():
        whole[0].add_chain(chain)
    whole.make_mmcif_document().write_file(str(tmp_path / "model.cif"))
    counts, _ = np.histogramdd(atoms[:, ::-1] / voxel_size + 0.5, [np.arange(n + 1)] * 3)
    squares = [np.fft.fftfreq(n)[:, None, None] ** 2, np.fft.fftfreq(n)[:, None] ** 2, np.fft.rfftfreq(n) ** 2]
    density = np.fft.irfftn(np.fft.rfftn(counts) * np.exp(-20 * sum(squares)), counts.shape, axes=(0, 1, 2))
    write(tmp_path / "map.mrc", (density + 0.2 * density.std() * random.normal(size=density.shape)), voxel_size)
    arguments = ["-i", "map.mrc", "--model", "model.cif", *options]
    ran = run(*arguments, "--dry-run", cwd=tmp_path)
    assert ran.returncode == 0, ran.stderr
    said = float(ran.stdout.split("memory: about ")[1].split(" MB")[0]) * 1e6
    assert run(*arguments, "--quiet", cwd=tmp_path).returncode == 0  # compilers take memory, too, the first time
    # what pseudo-atoms take, and how parts lie about each other, is not known beforehand
    assert said == pytest.approx(peak([*arguments, "--quiet"], tmp_path), rel=0.25)
