"""Workers of a dask cluster that run as SLURM jobs and end with the run."""

import contextlib
import subprocess
import time
from collections.abc import Callable

from occupy_jit.errors import OccupyError, UsageError, missing_packages
from occupy_jit.files.output.signals import forget_interrupt, on_interrupt
from occupy_jit.runs.workers.dask import DaskWorkers, quiet_distributed, words

_SECONDS_TO_SUBMIT = 15


class SlurmWorkers(DaskWorkers):
    """Workers as SLURM jobs, by dask-jobqueue and the dask configuration of the user.

    Parameters
    ----------
    jobs : int
    say : callable
        Called with one line.
    """

    def __init__(self, jobs: int, say: Callable[[str], None]) -> None:
        distributed = quiet_distributed()
        try:
            from dask_jobqueue import SLURMCluster  # pyright: ignore[reportPrivateImportUsage]
        except ImportError:
            raise missing_packages("--cluster slurm", "dask-jobqueue") from None
        try:
            self._cluster = SLURMCluster()
        except (ValueError, TypeError) as error:
            raise UsageError("dask's configuration does not define a SLURM job: write cores, memory, queue and "
                             f"walltime under jobqueue: slurm: into ~/.config/dask/jobqueue.yaml ({words(error)})"
                             ) from None
        try:
            _require_accepted(self._cluster.job_script())
            client = distributed.Client(self._cluster, set_as_default=False, name="occupy_jit")
            self._submit(jobs)
        except BaseException:
            self._cluster.close(timeout=5)
            raise
        on_interrupt(self._cancel)
        self._begin(client, "SLURM", patience=float("inf"))  # the queue may be long
        say(f"submitted {jobs} job{'s' if jobs > 1 else ''} to SLURM; work begins when the first one starts")

    def _submit(self, jobs: int) -> None:
        self._cluster.scale(jobs=jobs)
        deadline = time.monotonic() + _SECONDS_TO_SUBMIT
        while len(self.job_numbers()) < jobs:
            if time.monotonic() > deadline:
                raise OccupyError("SLURM takes no jobs; see what sbatch says to the script that "
                                  "dask_jobqueue.SLURMCluster().job_script() gives")
            time.sleep(0.1)

    def job_numbers(self) -> list[str]:
        """list of str : Numbers of the accepted SLURM jobs."""
        return [str(job.job_id) for job in list(self._cluster.workers.values()) if getattr(job, "job_id", None)]

    def _cancel(self) -> None:
        """End the jobs if a signal ends this process."""
        subprocess.run(["scancel", *self.job_numbers()], capture_output=True, timeout=5)

    def close(self) -> None:
        """End the jobs."""
        forget_interrupt(self._cancel)
        super().close()
        with contextlib.suppress(Exception):
            self._cluster.close(timeout=10)


def _require_accepted(script: str) -> None:
    """Raise OccupyError with the message of SLURM if it does not accept jobs."""
    try:
        done = subprocess.run(["sbatch", "--test-only"], input=script, capture_output=True, text=True, timeout=60)
    except OSError as error:
        raise OccupyError(f"sbatch: {error.strerror}; workers on SLURM are submitted on a machine that has its commands"
                          ) from None
    except subprocess.TimeoutExpired:
        raise OccupyError("SLURM does not answer; try sinfo, and again later") from None
    if done.returncode:
        reason = done.stderr.strip().splitlines()[-1:] or ["no reason given"]
        raise OccupyError(f"SLURM refuses the jobs ({reason[0]}); correct jobqueue: slurm: in "
                          "~/.config/dask/jobqueue.yaml")
