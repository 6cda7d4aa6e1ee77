"""A real Slurm of two nodes on this machine: everything on 127.0.0.1, in a folder of its own."""

import getpass
import os
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path

import psutil

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "squeue", "scontrol", "scancel")
# Debian keeps daemons where a user's PATH does not look.
SEARCH = os.pathsep.join([os.environ["PATH"], "/usr/sbin", "/sbin"])
# n0 has the one (fake) GPU; the weights send other jobs to n1 first. `config_overrides` lets the
# nodes claim more than this machine has: nothing here holds a job to what it asked for.
CONFIG = """\
ClusterName=loop
SlurmctldHost={host}(127.0.0.1)
SlurmUser={user}
SlurmdUser={user}
SlurmctldPort={ports[0]}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.sock
CredType=cred/munge
CommunicationParameters=NoInAddrAny,NoCtldInAddrAny
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd-%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/none
MpiDefault=none
SwitchType=switch/none
SchedulerType=sched/backfill
SchedulerParameters=bf_interval=2
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SlurmdParameters=config_overrides
ReturnToService=2
MinJobAge=3600
SlurmdTimeout={node_timeout}
SlurmctldTimeout=30
InactiveLimit=0
KillWait=5
GresTypes=gpu
NodeName=n0 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[1]} CPUs=4 RealMemory=64000 \
Gres=gpu:1 Weight=9
NodeName=n1 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[2]} CPUs=4 RealMemory=64000 Weight=1
PartitionName=cpu Nodes=n0,n1 Default=YES MaxTime=1440 State=UP
PartitionName=gpu Nodes=n0 MaxTime=1440 State=UP
"""
GRES = "NodeName=n0 Name=gpu Count=1 File=/dev/null\n"
NODES = ("n0", "n1")


def missing_programs():
    """Return the programs of Slurm and munge that this machine lacks."""
    return [name for name in PROGRAMS if shutil.which(name, path=SEARCH) is None]


def wait_for(condition, seconds, what):
    """Return what `condition` returns once that is true; fail after some seconds."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, f"waited {seconds} s for {what}"
        time.sleep(0.2)
    return value


def free_ports(count):
    """Return ports of 127.0.0.1 that nothing listens on."""
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


class TwoNodeSlurm:
    """Daemons from `start` to `stop`, and what a test asks of them."""

    def __init__(self, node_timeout=10):
        # munged wants a folder that others may enter, which pytest's own is not.
        self.folder = Path(tempfile.mkdtemp(prefix="slurm-"))
        self.folder.chmod(0o755)
        self.config = self.folder / "slurm.conf"
        programs = self.folder / "bin"
        for path in (programs, self.folder / "state"):
            path.mkdir()
        # Job steps lose SLURM_CONF; a site's slurm.conf stands in the default folder.
        srun = programs / "srun"
        real = shutil.which("srun", path=SEARCH)
        srun.write_text(f'#!/bin/sh\nSLURM_CONF={self.config} exec {real} "$@"\n')
        srun.chmod(0o755)
        self.environment = {k: v for k, v in os.environ.items() if not k.startswith("SLURM")} | {
            "PATH": f"{programs}{os.pathsep}{SEARCH}",
            "SLURM_CONF": str(self.config),
        }
        self.config.write_text(
            CONFIG.format(
                host=socket.gethostname().split(".")[0],
                user=getpass.getuser(),
                folder=self.folder,
                ports=free_ports(3),
                node_timeout=node_timeout,
            )
        )
        (self.folder / "gres.conf").write_text(GRES)
        self.daemons = {}

    def call(self, *command):
        """Run one of Slurm's commands and return what it prints."""
        run = subprocess.run(
            command, env=self.environment, capture_output=True, text=True, timeout=30
        )
        assert run.returncode == 0, f"{command}: {run.stdout}{run.stderr}"
        return run.stdout

    def start(self):
        """Start munged, slurmctld and both nodes, and wait until the nodes are idle."""
        key = self.folder / "munge.key"
        key.write_bytes(os.urandom(128))
        key.chmod(0o600)
        files = {"key-file": "key", "socket": "sock", "pid-file": "pid", "log-file": "log"}
        options = [f"--{option}={self.folder}/munge.{end}" for option, end in files.items()]
        self._daemon("munged", *options, f"--seed-file={self.folder}/munge.seed", "--foreground")
        wait_for((self.folder / "munge.sock").exists, 20, "munged")
        self._daemon("slurmctld", "-D")
        for node in NODES:
            self.start_node(node)
        wait_for(lambda: all(self.node_state(n) == "IDLE" for n in NODES), 60, "idle nodes")

    def _daemon(self, *command, name=None):
        name = name or command[0]
        with open(self.folder / f"{name}.out", "a") as output:
            self.daemons[name] = subprocess.Popen(
                command,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                executable=shutil.which(command[0], path=SEARCH),
                start_new_session=True,
            )

    def start_node(self, node):
        """Start the daemon of a node."""
        self._daemon("slurmd", "-D", "-N", node, name=node)

    def node_state(self, node):
        """Return a node's state as Slurm names it, without flags."""
        try:
            text = self.call("scontrol", "show", "node", node, "-o")
        except AssertionError:
            return "UNKNOWN"
        return text.split("State=")[1].split()[0].split("+")[0].rstrip("*")

    def jobs(self):
        """Return every job so far, oldest first, by the fields of `scontrol show job`."""
        lines = self.call("scontrol", "show", "job", "-o").splitlines()
        found = [
            dict(word.split("=", 1) for word in line.split() if "=" in word)
            for line in lines
            if "JobId=" in line
        ]
        return sorted(found, key=lambda job: int(job["JobId"]))

    def running(self, comment):
        """Return the running job whose comment (rule and wildcards) has this text, or None."""
        fits = (j for j in self.jobs() if comment in j["Comment"] and j["JobState"] == "RUNNING")
        return next(fits, None)

    def kill_node(self, node):
        """Kill a node's daemon and all that its jobs started, at once, as a power cut would."""
        steps, rest = set(), set()
        for process in self._processes():
            if process.environ().get("SLURMD_NODENAME") == node:
                rest.add(process)
                parent = process.parent()
                if parent is not None and parent.name().startswith("slurmstepd"):
                    steps.add(parent)
        # First those that would report the death of the others.
        doomed = [psutil.Process(self.daemons.pop(node).pid), *steps, *rest]
        for process in doomed:
            process.kill()
        psutil.wait_procs(doomed, timeout=10)

    def _processes(self):
        """Return the processes of this Slurm: its environment names this configuration."""
        found = []
        for process in psutil.process_iter():
            try:
                if process.environ().get("SLURM_CONF") == str(self.config):
                    found.append(process)
            except psutil.Error:
                continue
        return found

    def stop(self):
        """End jobs, then daemons, then what is left of either; remove the folder."""
        if "slurmctld" in self.daemons:
            subprocess.run(
                ["scancel", f"--user={getpass.getuser()}"], env=self.environment, timeout=30
            )
            time.sleep(1)
        for daemon in reversed(self.daemons.values()):
            daemon.terminate()
        for daemon in self.daemons.values():
            try:
                daemon.wait(timeout=10)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()
        for process in self._processes():
            if process.pid != os.getpid():
                process.kill()
        shutil.rmtree(self.folder, ignore_errors=True)
