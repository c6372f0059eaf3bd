"""A real RELION 3.1 runs the program as an External job and continues from modified classes."""

import os
import shutil
import subprocess
import sys
import time

import numpy as np
import pytest

from tests.command import ROOT, environment, in_time, particle, run, values, write

PROGRAMS = ("relion_project", "relion_reconstruct", "relion_refine", "relion_pipeliner", "relion_star_printtable")
_MISSING = [name for name in PROGRAMS if shutil.which(name) is None]
pytestmark = [
    pytest.mark.relion,
    pytest.mark.skipif(bool(_MISSING), reason=f"RELION is not installed ({', '.join(_MISSING)} missing)"),
]

BOX, VOXEL_SIZE = 48, 3.0
PARTICLES = f"""
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
1 one 300.0 2.7 0.1 {VOXEL_SIZE} {BOX} 2

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
_rlnImageName #10
"""
JOB = """
# version 30001

data_job

_rlnJobType                            99
_rlnJobIsContinue                       0


# version 30001

data_joboptions_values

loop_
_rlnJobOptionVariable #1
_rlnJobOptionValue #2
do_queue No
fn_exe {executable}
nr_threads 1
"""


def relion(project, *words, **more):
    """Run a program of RELION in a project."""
    done = subprocess.run(list(map(str, words)), cwd=project, capture_output=True, text=True, timeout=200,
                          env=environment(**more.pop("env", {})), **more)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr
    return done.stdout


def _classify(project, job, reference, iterations):
    (project / job).mkdir(parents=True)
    relion(project, "relion_refine", "--i", "particles.star", "--o", f"{job}/run", "--ref", reference, "--K", 2,
           "--iter", iterations, "--ini_high", 20, "--particle_diameter", 120, "--ctf", "--flatten_solvent",
           "--zero_mask", "--skip_align", "--norm", "--scale", "--ref_angpix", VOXEL_SIZE, "--j", 1,
           "--dont_check_norm", "--pad", 1, "--random_seed", 1)


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A project with particles of two compositions, their map, and a 3D classification."""
    here = tmp_path_factory.mktemp("project")
    rng = np.random.default_rng(1)
    rows = []
    for number, left in enumerate((1.0, 0.2)):
        data = particle(BOX, noise=0)
        data[:, :, :BOX // 2] *= left
        write(here / f"c{number}.mrc", data, VOXEL_SIZE)
        angles = zip(rng.uniform(-180, 180, 150), np.degrees(np.arccos(rng.uniform(-1, 1, 150))),
                     rng.uniform(-180, 180, 150), strict=True)
        mine = [f"{rot:.2f} {tilt:.2f} {psi:.2f} 0 0 15000 15000 0 1 {k:06d}@c{number}.mrcs"
                for k, (rot, tilt, psi) in enumerate(angles, 1)]
        (here / "angles.star").write_text(PARTICLES + "\n".join(mine) + "\n")
        relion(here, "relion_project", "--i", f"c{number}.mrc", "--o", f"c{number}", "--ang", "angles.star", "--ctf",
               "--angpix", VOXEL_SIZE, "--add_noise", "--white_noise", 1)
        rows += mine
    (here / "particles.star").write_text(PARTICLES + "\n".join(rows) + "\n")
    relion(here, "relion_reconstruct", "--i", "particles.star", "--o", "consensus.mrc", "--ctf", "--angpix", VOXEL_SIZE)
    _classify(here, "Class3D/job001", "consensus.mrc", 2)
    (here / "default_pipeline.star").write_text(
        "\n# version 30001\n\ndata_pipeline_general\n\n_rlnPipeLineJobCounter                       2\n \n")
    (here / ".gui_projectdir").touch()
    (here / "occupy.sh").write_text(f'#!/bin/bash\nPYTHONPATH={ROOT} exec {sys.executable} -m occupy_jit "$@"\n')
    (here / "occupy.sh").chmod(0o755)
    return here


def _add_job(project, **options):
    """Add an External job to the project's pipeline; returns its directory."""
    before = set((project / "External").iterdir()) if (project / "External").is_dir() else set()
    text = JOB.format(executable=project / "occupy.sh")
    text += "".join(f'{name} {value or chr(34) * 2}\n' for name, value in options.items())
    (project / "job.star").write_text(text)
    relion(project, "relion_pipeliner", "--addJobFromStar", "job.star")
    [new] = set((project / "External").iterdir()) - before
    return f"External/{new.name}/"


def _run_job(project, job):
    relion(project, "relion_pipeliner", "--RunJobs", job, "--sec_wait_after", 0)
    return set(os.listdir(project / job))


def _pipeline(project, table, *columns):
    return [line.split() for line in relion(project, "relion_star_printtable", "default_pipeline.star", table,
                                            *columns).splitlines()]


def test_an_external_job_on_a_map(project):
    write(project / "mask.mrc", (values(project / "consensus.mrc") > 0.05).astype("f4"), VOXEL_SIZE)
    job = _add_job(project, in_3dref="consensus.mrc", in_mask="mask.mrc", param1_label="amplify", param1_value="",
                   param2_label="lowpass_input", param2_value="18", param3_label="plot", param3_value="no")
    files = _run_job(project, job)
    assert {"RELION_JOB_EXIT_SUCCESS", "scale_consensus.mrc", "out_consensus.mrc"} <= files
    said = (project / job / "run.err").read_text().splitlines()
    assert all(line.startswith("OccuPy: warning: consensus.mrc: ") for line in said)
    nodes = _pipeline(project, "data_pipeline_nodes", "_rlnPipeLineNodeName", "_rlnPipeLineNodeType")
    assert [f"{job}scale_consensus.mrc", "12"] in nodes and [f"{job}out_consensus.mrc", "6"] in nodes
    edges = _pipeline(project, "data_pipeline_output_edges", "_rlnPipeLineEdgeProcess", "_rlnPipeLineEdgeToNode")
    assert [job, f"{job}out_consensus.mrc"] in edges
    statuses = dict(_pipeline(project, "data_pipeline_processes", "_rlnPipeLineProcessName",
                              "_rlnPipeLineProcessStatus"))
    assert statuses[job] == "2", "RELION itself says that it is finished"


def test_an_external_job_that_fails(project):
    (project / "text.mrc").write_text("no map")
    job = _add_job(project, in_3dref="text.mrc")
    files = _run_job(project, job)
    assert "RELION_JOB_EXIT_FAILURE" in files and "RELION_OUTPUT_NODES.star" not in files
    assert "text.mrc: is not an MRC map" in (project / job / "run.err").read_text()


def test_an_external_job_on_classes_and_refinement_from_them(project):
    job = _add_job(project, param1_label="relion-classes", param1_value="Class3D/job001/run_it002_model.star",
                   param2_label="amplify-amount", param2_value="-0.5", param3_label="amplify", param3_value="")
    files = _run_job(project, job)
    assert {"RELION_JOB_EXIT_SUCCESS", "out_run_it002_model.star", "out_run_it002_class001.mrc"} <= files
    found = relion(project, "relion_star_printtable", f"{job}out_run_it002_model.star", "data_model_classes",
                   "_rlnReferenceImage").split()
    assert found == [f"{job}out_run_it002_class00{k}.mrc" for k in (1, 2)]
    nodes = _pipeline(project, "data_pipeline_nodes", "_rlnPipeLineNodeName", "_rlnPipeLineNodeType")
    assert all([name, "6"] in nodes for name in found)
    _classify(project, "Class3D/job099", f"{job}out_run_it002_model.star", 1)
    for k in (1, 2):
        # iteration 0 is what RELION has read, low-passed: our map of this class, not the other one
        start = values(project / f"Class3D/job099/run_it000_class00{k}.mrc").ravel()
        ours = [np.corrcoef(start, values(project / found[other - 1]).ravel())[0, 1] for other in (1, 2)]
        assert np.argmax(ours) == k - 1 and ours[k - 1] > 0.8
    assert (project / "Class3D/job099/run_it001_model.star").exists()


def test_abort(project):
    """RELION writes a file; its job must end within two seconds and report this."""
    write(project / "large.mrc", np.tile(particle(), (7, 7, 7)), VOXEL_SIZE)
    run("--warm-up")

    @in_time
    def seconds(attempt):
        job = project / f"External/job5{attempt:02}"
        job.mkdir(parents=True)
        (job / "RELION_OUTPUT_NODES.star").touch()  # of an earlier run: the program removes it when it begins
        words = [project / "occupy.sh", "--o", f"External/{job.name}/", "--in_3dref", "large.mrc", "--j", "1",
                 "--amplify"]
        with subprocess.Popen(words, cwd=project, env=environment(), stdout=subprocess.DEVNULL) as child:
            while (job / "RELION_OUTPUT_NODES.star").exists():
                assert child.poll() is None
                time.sleep(0.02)
            time.sleep(0.5)  # into the work: it takes some seconds
            (job / "RELION_JOB_ABORT_NOW").touch()
            start = time.monotonic()
            child.wait(60)
            seconds = time.monotonic() - start
        if (job / "RELION_JOB_EXIT_SUCCESS").exists():
            return None
        assert os.listdir(job) == ["RELION_JOB_EXIT_ABORTED"]
        return seconds if seconds < 2 else None  # the machine may have been busy

    assert seconds < 2


def test_a_call_that_cannot_be_obeyed(project):
    ran = run("--o", "External/job600/", "--in_mics", "micrographs.star", cwd=project)
    assert ran.returncode == 2 and "micrographs" in ran.stderr and ran.stderr.count("\n") == 1
    assert os.listdir(project / "External/job600") == ["RELION_JOB_EXIT_FAILURE"]


def _shells(one, two):
    """Correlation of two maps over Fourier shells (FSC)."""
    first, second = np.fft.fftn(one), np.fft.fftn(two)
    f = np.fft.fftfreq(len(one)) * len(one)
    shell = np.rint(np.sqrt(f[:, None, None] ** 2 + f[None, :, None] ** 2 + f**2)).astype(int).ravel()

    def total(values):
        return np.bincount(shell, values.ravel())[1:len(one) // 2]

    return total((first * second.conj()).real) / np.sqrt(total(np.abs(first) ** 2) * total(np.abs(second) ** 2))


def test_particles_of_a_state_make_the_map_of_that_state(project, tmp_path):
    """RELION reads our STAR file; the map is that of these particles, and agrees with the truth within their purity."""
    head, rows = PARTICLES.rstrip() + " \n_rlnClassNumber #11\n", []
    for row in (project / "particles.star").read_text()[len(PARTICLES):].split("\n"):
        if not row:
            continue
        composition, number = row.split("@c")[1][0] == "1", int(row.split()[-1].split("@")[0])
        # four classes, two of each composition; one particle in 15 is in a class of the other one
        rows.append((row, composition, 1 + number % 2 + 2 * (composition ^ (number % 15 == 0))))
    shuffled = [rows[k] for k in np.random.default_rng(3).permutation(len(rows))]

    def reconstructed(name, chosen):
        (project / f"{name}.star").write_text(head + "".join(f"{row} {k}\n" for row, _, k in chosen))
        relion(project, "relion_reconstruct", "--i", f"{name}.star", "--o", f"{name}.mrc", "--ctf", "--angpix",
               VOXEL_SIZE)
        return values(project / f"{name}.mrc")

    # the states must not depend on the noise that RELION adds, which is another one each time
    rng = np.random.default_rng(4)
    for k in range(1, 5):
        data = values(project / f"c{(k - 1) // 2}.mrc")
        data = data + 0.02 * data.std() * rng.standard_normal(data.shape).astype(np.float32)
        write(project / f"class{k}.mrc", data, VOXEL_SIZE)
    (project / "all.star").write_text(head + "".join(f"{row} {k}\n" for row, _, k in shuffled))
    ran = run("-i", *(f"class{k}.mrc" for k in range(1, 5)), "--states", "2", "--particles", "all.star",
              "--output-dir", "states", cwd=project)
    assert ran.returncode == 0, ran.stderr
    table = (project / "states" / "states_volumes.csv").read_text().split()[1:]
    of_class = {int(line[5]): int(line.split(",")[1]) for line in table}
    assert of_class[1] == of_class[2] != of_class[3] == of_class[4]
    for composition in (False, True):
        state = of_class[1 + 2 * composition]
        relion(project, "relion_reconstruct", "--i", f"states/particles_state{state}.star", "--o", "ours.mrc", "--ctf",
               "--angpix", VOXEL_SIZE)
        ours = values(project / "ours.mrc")
        same = reconstructed("same", [row for row in shuffled if of_class[row[2]] == state])
        assert np.abs(ours - same).max() < 1e-4 * np.abs(same).max()
        pure = reconstructed("pure", [row for row in shuffled if row[1] == composition])
        truth = values(project / f"c{int(composition)}.mrc")
        # of both, a fifteenth of the particles differ: noise is as large, and that share of the other map is added
        assert (_shells(ours, truth) > _shells(pure, truth) - 2 / 15).all()
