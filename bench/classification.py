"""``python -m bench.classification``: gain by --relion-classes in a 3D classification with RELION.

Complexes are built from chains that fill balls. RELION projects particles of two compositions, with all parts and
without some, with CTF and noise, and normalises them. A classification of few iterations starts from the map of all
particles; a second one starts from its classes, once unchanged and once as written by ``OccuPy --relion-classes``.
Purity is the share of particles in the class of their composition (0.5 is chance). Orientations are known and kept.
Needs RELION 3.1 (Debian: apt-get install relion) and gemmi.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import mrcfile
import numpy as np

from bench.measure import ROOT

PROGRAMS = ("relion_project", "relion_reconstruct", "relion_refine")
VOXEL_SIZE = 3.0
START_ITERATIONS, START_RESOLUTION, NEXT_RESOLUTION = 4, 15, 20
SHOWN_AFTER = (1, 2, 4, 8)

_STEP = 3.8  # Å between residues
_VOLUME = 133.0  # Å^3 of a residue
_TABLE = """
# version 30001

data_optics

loop_
_rlnOpticsGroup #1
_rlnOpticsGroupName #2
_rlnVoltage #3
_rlnSphericalAberration #4
_rlnAmplitudeContrast #5
_rlnImagePixelSize #6
_rlnImageSize #7
_rlnImageDimensionality #8
1 opticsGroup1 300.0 2.7 0.1 {voxel_size} {box} 2

# version 30001

data_particles

loop_
_rlnAngleRot #1
_rlnAngleTilt #2
_rlnAnglePsi #3
_rlnOriginXAngst #4
_rlnOriginYAngst #5
_rlnDefocusU #6
_rlnDefocusV #7
_rlnDefocusAngle #8
_rlnOpticsGroup #9
_rlnRandomSubset #10
_rlnImageName #11
"""


@dataclass(frozen=True)
class Complex:
    """A simulated complex.

    Attributes
    ----------
    centres : tuple of (z, y, x)
        Of its parts, in Å from the centre.
    radii : tuple of float
        Of the parts, in Å.
    missing : tuple of int
        Parts missing in half of the particles.
    box : int
        Voxels.
    noise : tuple of float
        Standard deviations of the noise of a pixel, in root mean squares of the content: good, mid, poor.
    """

    centres: tuple
    radii: tuple
    missing: tuple
    box: int
    noise: tuple


def _ring(number, radius, z=0.0, turn=0.0):
    angles = 2 * np.pi * (np.arange(number) + turn) / number
    return tuple((z, radius * np.sin(a), radius * np.cos(a)) for a in angles)


COMPLEXES = {
    "ring of five": Complex(_ring(5, 34), (19,) * 5, (0,), 48, (8, 11, 14)),
    "tetramer and two": Complex((*_ring(4, 29), (26, 0, 0), (-26, 0, 0)), (21,) * 4 + (14, 14), (4,), 48, (5, 7, 9)),
    "two rings": Complex((*_ring(5, 32, -19), *_ring(5, 32, 19, 0.5)), (18,) * 10, (2, 7), 52, (10, 14, 18)),
}


def _chain(rng, centre, radius):
    """Residues of a chain that fills a ball: each step takes the direction with most space, of a few."""
    places = np.empty((int(4 / 3 * np.pi * radius**3 / _VOLUME), 3))
    places[0] = centre
    for number in range(1, len(places)):
        steps = rng.normal(size=(40, 3))
        options = places[number - 1] + _STEP * steps / np.linalg.norm(steps, axis=1)[:, None]
        options = options[np.linalg.norm(options - centre, axis=1) < radius]
        room = np.linalg.norm(options[:, None] - places[None, :number], axis=2).min(axis=1)
        # near existing residues without overlap: chains are compact
        places[number] = options[np.argmin(np.abs(room - _STEP))] if len(options) else centre
    return places


def build(what, seed=1):
    """Maps of both compositions, with a root mean square of 1 in the content.

    Parameters
    ----------
    what : Complex
    seed : int

    Returns
    -------
    maps : list of two (n, n, n) arrays
        With all parts, and without the missing ones.
    diameter : float
        Å.
    """
    rng = np.random.default_rng(seed)
    chains = [_chain(rng, np.array(centre), radius) for centre, radius in zip(what.centres, what.radii, strict=True)]
    full = _density(np.concatenate(chains), what.box)
    partial = _density(np.concatenate([c for k, c in enumerate(chains) if k not in what.missing]), what.box)
    level = np.sqrt((full[full > 0.1 * full.max()] ** 2).mean())
    reach = max(np.linalg.norm(chain, axis=1).max() for chain in chains)
    return [full / level, partial / level], 2.2 * reach


def _density(places, box):
    """Residues as Gaussians, minus wider Gaussians of displaced solvent."""
    squares = sum(f * f for f in np.meshgrid(np.fft.fftfreq(box, VOXEL_SIZE), np.fft.fftfreq(box, VOXEL_SIZE),
                                             np.fft.rfftfreq(box, VOXEL_SIZE), indexing="ij", sparse=True))
    binned = np.zeros((box,) * 3)
    voxels = places / VOXEL_SIZE + box // 2
    low = np.floor(voxels).astype(int)
    part = voxels - low
    for corner in np.ndindex(2, 2, 2):
        np.add.at(binned, tuple((low + corner).T), np.prod(np.where(corner, part, 1 - part), axis=1))
    shape = np.exp(-2 * np.pi**2 * 2.2**2 * squares) - 0.6 * np.exp(-2 * np.pi**2 * 3.2**2 * squares)
    return np.fft.irfftn(np.fft.rfftn(binned) * shape, binned.shape, axes=(0, 1, 2))


# Particles -----------------------------------------------------------------------------------------------------------


def _relion(project, *words):
    done = subprocess.run(list(map(str, words)), cwd=project, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{words[0]} failed:\n{done.stdout[-2000:]}{done.stderr}")


def _write(path, data):
    with mrcfile.new(path, overwrite=True) as file:
        file.set_data(np.ascontiguousarray(data, dtype=np.float32))
        file.voxel_size = VOXEL_SIZE


def make_particles(project, what, noise, number, seed=1):
    """Write particles.star, consensus.mrc and truth.json.

    Parameters
    ----------
    project : Path
        Directory, which must exist.
    what : Complex
    noise : float
    number : int
        Particles of each composition.
    seed : int
    """
    rng = np.random.default_rng(seed)
    maps, diameter = build(what, seed)
    head = _TABLE.format(voxel_size=VOXEL_SIZE, box=what.box)
    y, x = np.indices((what.box,) * 2) - what.box // 2
    background = np.hypot(y, x) * VOXEL_SIZE > diameter / 2
    rows, truth = [], {}
    for composition, volume in enumerate(maps):
        name = f"composition{composition}"
        _write(project / f"{name}.mrc", volume)
        mine = []
        for k in range(number):
            rot, psi, tilt = rng.uniform(-180, 180), rng.uniform(-180, 180), np.degrees(np.arccos(rng.uniform(-1, 1)))
            defocus = rng.uniform(8000, 20000)
            image = f"{k + 1:06d}@{name}.mrcs"
            mine.append(f"{rot:.4f} {tilt:.4f} {psi:.4f} 0 0 {defocus:.1f} {defocus:.1f} 0 1 {1 + k % 2} {image}")
            truth[image] = composition
        (project / "angles.star").write_text(head + "\n".join(mine) + "\n")
        _relion(project, "relion_project", "--i", f"{name}.mrc", "--o", name, "--ang", "angles.star", "--ctf",
                "--angpix", VOXEL_SIZE, "--add_noise", "--white_noise", noise)
        images = np.array(mrcfile.read(project / f"{name}.mrcs"))
        around = images[:, background]
        mean, deviation = (value[:, None, None] for value in (around.mean(axis=1), around.std(axis=1)))
        _write(project / f"{name}.mrcs", (images - mean) / deviation)
        rows += mine
    rng.shuffle(rows)
    (project / "particles.star").write_text(head + "\n".join(rows) + "\n")
    (project / "truth.json").write_text(json.dumps({"truth": truth, "diameter": diameter}))
    _relion(project, "relion_reconstruct", "--i", "particles.star", "--o", "consensus.mrc", "--ctf", "--angpix",
            VOXEL_SIZE)


# Classifications -----------------------------------------------------------------------------------------------------


def classify(project, output, reference, iterations, seed, *more):
    """Class3D with known orientations; returns the purity after every iteration."""
    told = json.loads((project / "truth.json").read_text())
    (project / output).mkdir(parents=True, exist_ok=True)
    _relion(project, "relion_refine", "--i", "particles.star", "--o", f"{output}/run", "--ref", reference,
            "--iter", iterations, "--random_seed", seed, "--particle_diameter", round(told["diameter"]), "--ctf",
            "--firstiter_cc", "--flatten_solvent", "--zero_mask", "--skip_align", "--norm", "--scale",
            "--tau2_fudge", 4, "--ref_angpix", VOXEL_SIZE, "--skip_gridding", "--dont_check_norm", "--j", 1,
            *more)
    return [purity(project / output / f"run_it{k:03d}_data.star", told["truth"]) for k in range(1, iterations + 1)]


def purity(star, truth):
    """Share of particles in the class of their composition."""
    from gemmi import cif

    counts = np.zeros((2, 2))
    for name, number in cif.read(str(star)).find_block("particles").find(["_rlnImageName", "_rlnClassNumber"]):
        counts[truth[name], int(number) - 1] += 1
    return max(np.trace(counts), np.trace(counts[:, ::-1])) / counts.sum()


def one_seed(project, seed, iterations, arguments=()):
    """Purity after every iteration from unchanged classes, and from those of this program."""
    here = f"seed{seed}"
    classify(project, f"{here}/start", "consensus.mrc", START_ITERATIONS, seed, "--K", 2, "--ini_high",
             START_RESOLUTION)
    model = f"{here}/start/run_it{START_ITERATIONS:03d}_model.star"
    path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    subprocess.run([sys.executable, "-m", "occupy_jit", "--relion-classes", model, "--output-dir", f"{here}/occupy",
                    "--quiet", *arguments], cwd=project, check=True, env={**os.environ, "PYTHONPATH": path})
    ours = f"{here}/occupy/out_run_it{START_ITERATIONS:03d}_model.star"
    return [classify(project, f"{here}/{name}", reference, iterations, seed, "--ini_high", NEXT_RESOLUTION)
            for name, reference in (("plain", model), ("ours", ours))]


# The table -----------------------------------------------------------------------------------------------------------


def summary(name, found):
    """A row of the table: purity from unchanged classes and from this program, and the mean gain with its error.

    Parameters
    ----------
    name : str
    found : (runs, 2, iterations) array
    """
    found = np.asarray(found)
    cells = [name, str(len(found))]
    for after in (k for k in SHOWN_AFTER if k <= found.shape[2]):
        plain, ours = found[:, 0, after - 1], found[:, 1, after - 1]
        gain = ours - plain
        error = gain.std(ddof=1) / np.sqrt(len(gain)) if len(gain) > 1 else np.nan
        cells.append(f"{plain.mean():.3f} {ours.mean():.3f} {gain.mean():+.3f} ± {error:.3f}")
    # 0.02: twenty of a thousand particles
    cells.append(str(int((found[:, 1, -1] < found[:, 0, -1] - 0.02).sum())))
    return "| " + " | ".join(cells) + " |"


def heading(iterations):
    """The head of the table."""
    cells = ["particles", "runs", *(f"after {k}: as they are, ours, gain" for k in SHOWN_AFTER if k <= iterations),
             "runs that lost"]
    return "| " + " | ".join(cells) + " |\n" + "|---" * len(cells) + "|"


def main(argv=None):
    """Measure, and print a table in Markdown."""
    parser = argparse.ArgumentParser(prog="python -m bench.classification", description=__doc__.split("\n\n")[1],
                                     epilog="What follows -- is given to OccuPy.")
    parser.add_argument("--complexes", nargs="+", choices=COMPLEXES, default=list(COMPLEXES), metavar="NAME",
                        help=", ".join(COMPLEXES))
    parser.add_argument("--levels", nargs="+", type=int, choices=range(3), default=[0, 1, 2],
                        help="levels of noise: 0 good, 1 mid, 2 poor")
    parser.add_argument("--seeds", type=int, default=8, help="seeds of classification for each of these (default: 8)")
    parser.add_argument("--particles", type=int, default=500, help="particles of each composition (default: 500)")
    parser.add_argument("--iterations", type=int, default=4, help="iterations of second classification (default: 4)")
    parser.add_argument("--folder", type=Path, help="folder for all files (default: a temporary directory)")
    argv = sys.argv[1:] if argv is None else argv
    cut = argv.index("--") if "--" in argv else len(argv)
    options, rest = parser.parse_args(argv[:cut]), argv[cut + 1:]
    missing = [program for program in PROGRAMS if shutil.which(program) is None]
    if missing:
        parser.error(f"RELION is not installed ({', '.join(missing)} missing): apt-get install relion")
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary)
        print(heading(options.iterations))
        everything = []
        for name in options.complexes:
            of_complex = []
            for level in options.levels:
                project = folder / f"{name.replace(' ', '_')}_{level}"
                if not (project / "consensus.mrc").exists():
                    project.mkdir(parents=True)
                    make_particles(project, COMPLEXES[name], COMPLEXES[name].noise[level], options.particles)
                found = [one_seed(project, seed, options.iterations, rest) for seed in range(1, options.seeds + 1)]
                of_complex += found
                print(summary(f"{name}, {('good', 'mid', 'poor')[level]}", found), flush=True)
            print(summary(f"{name}, all", of_complex), flush=True)
            everything += of_complex
        print(summary("all", everything))
    return 0


if __name__ == "__main__":
    sys.exit(main())
