"""All that wants a card, in one command of at most nine minutes.

    make bench-gpu
    .venv/bin/python -m bench.gpu results/bench_gpu --minutes 9

runs the tests marked gpu, MTM's step at full size, the rivals S1 to S3, the joint model, scoring
and, where its data are beside the project, the 59-gene panel through the workflow: each in a
process of its own, each with a share of the time. ``gpu.json`` and ``gpu.md`` in the folder are
written anew after every part, so that a run that is cut short leaves what it had. What takes
longer than its share is ended, keeps what it had printed, and the rest goes on.

    .venv/bin/python -m bench.gpu results/rehearsal --device cpu --share 0.1

is the rehearsal without a card, a tenth of the genes.
"""

import argparse
import json
import os
import platform
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from mtm.io import atomic_path

ROOT = Path(__file__).parents[1]
PANEL = "tests/real/panel.yaml"
PANEL_DATA = ROOT.parent / "shared" / "data" / "gtex_v8_panel"
# A cohort of its own, so that nobody's results are trained anew.
PANEL_COHORT = "bench_gpu_panel"
PANEL_MODELS = ("joint", "mtm_log2", "ridge_covariates")
GENES = 19_291
# Last lines of a part that stand in the report.
SHOWN = 60


@dataclass
class Part:
    """One thing to run.

    Parameters
    ----------
    name
        Of the part, and of its log.
    command
        What Python is given.
    most
        Seconds that it may take.
    status, seconds
        ``done``, ``failed (STATUS)``, ``cut`` or ``left out``, and the time it took.
    """

    name: str
    command: list[str]
    most: float
    status: str = ""
    seconds: float = 0.0

    def run(self, folder: Path, seconds: float) -> None:
        """Run it in a process group of its own, for at most `seconds`."""
        log = folder / f"{self.name}.log"
        if seconds <= 0:
            self.status = "left out"
            return
        started = time.monotonic()
        with log.open("w") as out:
            process = subprocess.Popen(
                [sys.executable, *self.command],
                cwd=ROOT,
                env=os.environ | {"PYTHONUNBUFFERED": "1"},
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            try:
                status = process.wait(min(seconds, self.most))
                self.status = "done" if status == 0 else f"failed ({status})"
            except subprocess.TimeoutExpired:
                self.status = "cut"
            finally:
                _end(process)
        self.seconds = round(time.monotonic() - started, 1)


def parts(device: str, share: float) -> Iterator[Part]:
    """Yield what is to be run, the most wanted first."""
    genes = str(round(GENES * share))
    on = ["--device", device]
    yield Part("tests", ["-m", "pytest", "-m", "gpu", "-rs", "-n", "0", "tests"], 90)
    yield Part("step", ["bench/bench_step.py", "--genes", genes, *on], 120)
    panel_folds = [
        f"results/{PANEL_COHORT}/predictions/{model}/fold{fold}.h5ad"
        for model in PANEL_MODELS
        for fold in range(5)
    ]
    if PANEL_DATA.exists():
        once = ["--cores", "all", "--resources", "gpu=1", "--configfile", PANEL]
        once += ["--config", f"cohort={PANEL_COHORT}", "--forceall", "--"]
        yield Part("panel", ["-m", "snakemake", *once, *panel_folds], 150)
    yield Part("rivals", ["bench/bench_rivals.py", "--genes", genes, *on], 60)
    yield Part("mlp", ["bench/bench_mlp.py", "--genes", genes, *on], 40)
    sizes = [genes, str(round(750 * max(share, 0.1))), "14"]
    yield Part("joint", ["bench/bench_joint.py", "--size", *sizes, *on], 60)
    scored = ["--analyses", "score_model"]
    yield Part("scoring", ["bench/bench_analyses.py", *scored, "--genes", genes], 90)


def report(folder: Path, device: str, share: float, done: list[Part]) -> None:
    """Write what is known so far, as JSON and as a page of Markdown."""
    about = {
        "device": torch.cuda.get_device_name() if device == "cuda" else platform.processor(),
        "torch": torch.__version__,
        "cuda": torch.version.cuda,
        "cores": os.cpu_count(),
        "share_of_genes": share,
    }
    facts = {"about": about, "parts": [asdict(part) for part in done]}
    _write(json.dumps(facts, indent=1), folder / "gpu.json")
    lines = ["# On a card", "", ", ".join(f"{key} {value}" for key, value in about.items()), ""]
    lines += ["| part | status | s |", "|---|---|---|"]
    lines += [f"| {part.name} | {part.status} | {part.seconds:.0f} |" for part in done]
    for part in done:
        log = folder / f"{part.name}.log"
        said = log.read_text(errors="replace").splitlines()[-SHOWN:] if log.exists() else []
        lines += ["", f"## {part.name}", f"`python {' '.join(part.command)}`", "", "```", *said]
        lines += ["```"]
    _write("\n".join(lines), folder / "gpu.md")


def _write(text: str, path: Path) -> None:
    with atomic_path(path) as beside:
        beside.write_text(text + "\n")


def _end(process: subprocess.Popen) -> None:
    """End a process and all that it started."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    process.wait()


def main() -> int:
    """Run all parts; 1 where one failed or was cut."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="for the report and the logs")
    parser.add_argument("--minutes", type=float, default=9)
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
    parser.add_argument("--share", type=float, default=1.0, help="of GTEx's genes")
    parser.add_argument("--parts", nargs="+", help="names of those to run")
    given = parser.parse_args()
    if given.device == "cuda" and not torch.cuda.is_available():
        parser.error("no card is to be had; --device cpu --share 0.1 rehearses without one")
    given.folder.mkdir(parents=True, exist_ok=True)
    ends, done = time.monotonic() + 60 * given.minutes, []
    for part in parts(given.device, given.share):
        if given.parts and part.name not in given.parts:
            continue
        part.run(given.folder, ends - time.monotonic())
        print(f"{part.name:<10}{part.status:<14}{part.seconds:>7.1f} s", flush=True)
        done.append(part)
        report(given.folder, given.device, given.share, done)
    return int(any(part.status != "done" for part in done))


if __name__ == "__main__":
    sys.exit(main())
