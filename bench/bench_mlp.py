"""Time the per-tissue network (rival S3): stacked, one by one, and as a plain PyTorch loop.

    nice -n 10 .venv/bin/python bench/bench_mlp.py --genes 59 --threads 1

The plain loop has a network and two Adams a tissue and leaves the gradients to PyTorch, as the
published code does. All are timed in turns in one run, so that a machine whose speed drifts treats
them alike. Beside the clock stands the time the processor itself was at work, which other
processes on the machine disturb less (on a GPU it says nothing). Data are random: only the time is
of interest. The projection is for one fold of GTEx v8: 48 tissues, ``--tissue-steps`` optimiser
steps an epoch over all of them, each taken to be a full batch.
"""

import argparse
import time

import numpy as np
import torch
from torch import nn

from mtm.models.device import choose_device
from mtm.models.mlp.stack import TissueStack
from mtm.settings.models.mlp import MLPParameters


class PlainLoop:
    """One tissue, trained as in the published code but on resident data.

    Parameters
    ----------
    parameters
        Hyper-parameters; `precision` is ``"float32"`` or ``"bfloat16"``.
    expr_z
        The first batch is the source, the second the target.
    """

    def __init__(self, parameters: MLPParameters, expr_z: torch.Tensor):
        p = self.parameters = parameters
        self.x, self.y = expr_z.split(p.batch_size)
        n_genes = expr_z.shape[1]
        self.networks = [
            self._network((n_genes, *p.encoder_widths, p.code_width)).to(expr_z.device),
            self._network((p.code_width, *p.decoder_widths, n_genes)).to(expr_z.device),
        ]
        self.adams = [
            torch.optim.Adam(network.parameters(), p.learning_rate, (p.beta1, p.beta2))
            for network in self.networks
        ]

    @staticmethod
    def _network(widths: tuple[int, ...]) -> nn.Sequential:
        layers = []
        for n_in, n_out in zip(widths[:-1], widths[1:], strict=True):
            layers += [nn.Linear(n_in, n_out), nn.LeakyReLU()]
        return nn.Sequential(*layers[:-1])

    def step(self) -> None:
        """Take one step."""
        encoder, decoder = self.networks
        bfloat16 = self.parameters.precision == "bfloat16"
        with torch.autocast(self.x.device.type, torch.bfloat16, enabled=bfloat16):
            made = decoder(encoder(self.x))
        loss = self.parameters.lambda_individual * nn.functional.l1_loss(made.float(), self.y)
        for adam in self.adams:
            adam.zero_grad()
        loss.backward()
        for adam in self.adams:
            adam.step()


def stacks(parameters: MLPParameters, expr_z: torch.Tensor, sizes: list[int]) -> list[TissueStack]:
    """Return stacks of `sizes` tissues that share the data."""
    n = parameters.batch_size
    pairs = np.stack([np.arange(n), np.arange(n, 2 * n)], 1)
    return [
        TissueStack(parameters, dict.fromkeys(range(size), pairs), expr_z, parameters.precision, 0)
        for size in sizes
    ]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--genes", type=int, default=59)
    parser.add_argument("--tissues", type=int, default=4, help="in a stack")
    parser.add_argument("--steps", type=int, default=6)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--tissue-steps", type=int, default=66, help="an epoch, all tissues")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    device = choose_device(arguments.device)
    generator = torch.Generator().manual_seed(0)
    default = MLPParameters()
    shape = (2 * default.batch_size, arguments.genes)
    expr_z = torch.randn(shape, generator=generator).to(device)
    n = arguments.tissues
    steps = {}
    for precision in ("float32", "bfloat16"):
        p = default.with_(precision=precision)
        plain = [PlainLoop(p, expr_z) for _ in range(n)]
        steps[f"plain loop, one by one, {precision}"] = [loop.step for loop in plain]
        for sizes in ([1] * n, [n]):
            steps[f"engine, stacks of {sizes[0]}, {precision}"] = [
                lambda stack=stack: stack.epoch(0) for stack in stacks(p, expr_z, sizes)
            ]
    wall = {label: [] for label in steps}
    busy = {label: [] for label in steps}
    for turn in range(arguments.steps + 1):
        for label, calls in steps.items():
            clock, processor = time.perf_counter(), time.process_time()
            for call in calls:
                call()
            if device == "cuda":
                torch.cuda.synchronize()
            if turn:
                wall[label].append((time.perf_counter() - clock) / n)
                busy[label].append((time.process_time() - processor) / n)
    hours = default.epochs * arguments.tissue_steps / 3600
    judged = wall if device == "cuda" else busy
    first = np.median(judged["plain loop, one by one, float32"])
    print(
        f"{device}, {arguments.threads} threads, {arguments.genes} genes, published widths, "
        f"batch {default.batch_size}; {default.epochs} epochs of {arguments.tissue_steps} steps"
    )
    print(
        f"{'one tissue, one step':<34}{'clock ms':>10}{'busy ms':>9}{'plain / this':>14}"
        f"{'fold, hours of clock':>22}{'busy':>7}"
    )
    for label in steps:
        clock, processor = np.median(wall[label]), np.median(busy[label])
        times = first / np.median(judged[label])
        print(
            f"{label:<34}{clock * 1e3:>10.1f}{processor * 1e3:>9.1f}{times:>14.2f}"
            f"{clock * hours:>22.2f}{processor * hours:>7.2f}"
        )


if __name__ == "__main__":
    main()
