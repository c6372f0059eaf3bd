"""A SLURM of one node on this machine, for tests: needs root, and the Debian packages slurm-wlm and munge."""

import contextlib
import os
import secrets
import shutil
import socket
import subprocess
import time

PROGRAMS = ("slurmctld", "slurmd", "munged", "sbatch")
_KEY = "/etc/munge/munge.key"


def why_not():
    """Why no SLURM can be started here; None if it can."""
    missing = [name for name in PROGRAMS if shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin") is None]
    if missing:
        return f"SLURM is not installed ({', '.join(missing)} missing: apt-get install slurm-wlm munge)"
    return None if os.geteuid() == 0 else "a SLURM for tests is started by root only"


def _free_port():
    with socket.socket() as place:
        place.bind(("127.0.0.1", 0))
        return place.getsockname()[1]


class Slurm:
    """Runs as long as the ``with`` block.

    Attributes
    ----------
    environment : dict
        Variables with which its commands find it.
    """

    def __init__(self, folder, cpus=2):
        self.folder, self.cpus = str(folder), cpus
        self.environment = {"SLURM_CONF": os.path.join(self.folder, "slurm.conf")}

    def __enter__(self):
        self._munge()
        for name in ("state", "spool", "log"):
            os.makedirs(os.path.join(self.folder, name), exist_ok=True)
        host = socket.gethostname().split(".")[0]
        lines = {
            "ClusterName": "tests", "SlurmctldHost": f"{host}(127.0.0.1)", "SlurmUser": "root", "SlurmdUser": "root",
            "AuthType": "auth/munge", "StateSaveLocation": f"{self.folder}/state",
            "SlurmdSpoolDir": f"{self.folder}/spool", "SlurmctldPidFile": f"{self.folder}/slurmctld.pid",
            "SlurmdPidFile": f"{self.folder}/slurmd.pid", "SlurmctldLogFile": f"{self.folder}/log/slurmctld",
            "SlurmdLogFile": f"{self.folder}/log/slurmd", "SlurmctldPort": _free_port(), "SlurmdPort": _free_port(),
            "ProctrackType": "proctrack/linuxproc", "TaskPlugin": "task/none", "SelectType": "select/cons_tres",
            "SelectTypeParameters": "CR_Core", "SchedulerParameters": "sched_interval=1,batch_sched_delay=0",
            "ReturnToService": 2, "SlurmdParameters": "config_overrides", "KillWait": 30, "OverTimeLimit": 0,
            "JobAcctGatherType": "jobacct_gather/none", "AccountingStorageType": "accounting_storage/none",
        }
        with open(self.environment["SLURM_CONF"], "w") as file:
            file.writelines(f"{name}={value}\n" for name, value in lines.items())
            file.write(f"NodeName={host} NodeAddr=127.0.0.1 CPUs={self.cpus} RealMemory=4000 State=UNKNOWN\n"
                       f"PartitionName=tests Nodes={host} Default=YES MaxTime=60 State=UP\n")
        self._children = [subprocess.Popen([self._program("slurmctld"), "-D", "-c"], **self._quiet()),
                          subprocess.Popen([self._program("slurmd"), "-D"], **self._quiet())]
        deadline = time.monotonic() + 60
        while "idle" not in self.run("sinfo", "-h", "-o", "%t", check=False).stdout:
            if time.monotonic() > deadline:
                self.__exit__()
                raise RuntimeError(f"SLURM does not start; see {self.folder}/log")
            time.sleep(0.2)
        return self

    def __exit__(self, *exc):
        self.run("scancel", "--user", "root", check=False)
        deadline = time.monotonic() + 15
        while self.run("squeue", "-h", check=False).stdout.strip() and time.monotonic() < deadline:
            time.sleep(0.2)
        for child in reversed(self._children):
            child.terminate()
        for child in self._children:
            try:
                child.wait(10)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
        if self._munged is not None:
            self._munged.terminate()
            self._munged.wait()

    def _quiet(self):
        return {"env": {**os.environ, **self.environment}, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL,
                "stdin": subprocess.DEVNULL}

    @staticmethod
    def _program(name):
        return shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin")

    def _munge(self):
        """SLURM's parts know one another by munge; one that runs already is left alone."""
        self._munged = None
        if subprocess.run(["munge", "-n"], capture_output=True).returncode == 0:
            return
        if not os.path.exists(_KEY) or not os.path.getsize(_KEY):
            with open(_KEY, "wb") as file:
                file.write(secrets.token_bytes(1024))
        shutil.chown(_KEY, "munge", "munge")
        os.chmod(_KEY, 0o400)
        os.makedirs("/run/munge", exist_ok=True)
        shutil.chown("/run/munge", "munge", "munge")
        self._munged = subprocess.Popen(["runuser", "-u", "munge", "--", self._program("munged"), "--foreground"],
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 20
        while subprocess.run(["munge", "-n"], capture_output=True).returncode:
            if time.monotonic() > deadline:
                raise RuntimeError("munge does not start")
            time.sleep(0.1)

    def run(self, *command, check=True, **more):
        """Run a command of SLURM; returns the completed process."""
        return subprocess.run(command, check=check, capture_output=True, text=True, timeout=120,
                              env={**os.environ, **self.environment, **more.pop("env", {})}, **more)

    def submit(self, script, *options, cwd, env=None):
        """Submit a script; returns the job's number."""
        done = self.run("sbatch", "--parsable", *options, script, cwd=cwd, env=env or {})
        return done.stdout.strip().split(";")[0]

    def wait_for(self, job, seconds=240):
        """Wait until a job, with all its tasks, is over."""
        deadline = time.monotonic() + seconds
        while self.run("squeue", "-h", "-j", job, check=False).stdout.strip():
            if time.monotonic() > deadline:
                raise TimeoutError(f"job {job} does not end")
            time.sleep(0.3)


@contextlib.contextmanager
def started(folder):
    """A running `Slurm`."""
    with Slurm(folder) as slurm:
        yield slurm
