"""Time MTM's training step at full size: the fused engine beside a plain PyTorch loop, in one run.

    .venv/bin/python bench/bench_step.py
    .venv/bin/python bench/bench_step.py --genes 59 --width 1

The plain loop is the literal step of methods 1.3 (tests/models/mtm/mtm_reference.py): float32,
a DataLoader that ships batches, no fusion. The loops are timed in turns, so that a machine whose
speed drifts treats all alike, and the matrix-product and copy rates they are held against are
measured in the same run. Data are random: only the time is of interest. Without a GPU the hidden
layers have a tenth of the published width.
"""

import argparse
import importlib.util
import resource
import time
from collections import defaultdict
from dataclasses import replace
from functools import partial
from itertools import cycle
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from mtm.cohort.cohort import Cohort
from mtm.cohort.scaling import TissueScaler
from mtm.models.device import choose_device
from mtm.models.mtm.engine import Engine
from mtm.models.mtm.graph import WARM_UP_STEPS, StepRunner
from mtm.models.mtm.pairs import PairSampler, ordered_pairs
from mtm.settings.models.mtm import MTMParameters

REFERENCE = Path(__file__).parents[1] / "tests" / "models" / "mtm" / "mtm_reference.py"
# Steps of a fold of GTEx v8 (methods 1.6), and an H200's rates as given there.
STEPS_A_FOLD = 214_000
H200_FLOPS, H200_BYTES = 790e12, 4.3e12
# Weights read, their gradients written, activations: about 2.4 GB.
H200_OTHER_BYTES = 2.4e9
H200_REALISTIC_MS = (2.0, 2.4)
GTEX_GENES = 19_291
ADAM_BYTES = 28
PRODUCTS = ("aten::mm", "aten::addmm")


def random_cohort(n_donors: int, n_genes: int, n_tissues: int, seed: int = 0) -> Cohort:
    """Make random expression in GTEx's pattern: each donor has about 18 of 49 tissues."""
    rng = np.random.default_rng(seed)
    donor, tissue = np.nonzero(rng.random((n_donors, n_tissues)) < 18 / 49)
    expr_log2 = rng.standard_normal((len(donor), n_genes), dtype=np.float32)
    expr_log2 += rng.uniform(0, 8, n_genes).astype(np.float32)
    return Cohort(
        np.exp2(expr_log2, out=expr_log2),
        pd.DataFrame(index=[f"s{i}" for i in range(len(donor))]),
        donor.astype(np.int64),
        tissue.astype(np.int64),
        pd.DataFrame(index=[f"d{i:04d}" for i in range(n_donors)]),
        tuple(f"t{i:02d}" for i in range(n_tissues)),
        pd.DataFrame({"symbol": "x"}, index=[f"g{i}" for i in range(n_genes)]),
    )


def scaled_parameters(width: float) -> MTMParameters:
    """Return the published hyper-parameters, hidden layers and code `width` times as wide."""
    default = MTMParameters()

    def scaled(widths):
        return tuple(max(2, round(width * n)) for n in widths)

    names = ("encoder_widths", "generator_widths", "discriminator_widths", "mapping_widths")
    changed = {name: scaled(getattr(default, name)) for name in names}
    return default.with_(code_width=scaled([default.code_width])[0], **changed)


def plain_loop(parameters, cohort, scaler, device):
    """Return a function that takes one plain step."""
    spec = importlib.util.spec_from_file_location("mtm_reference", REFERENCE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    torch.set_default_device(device)
    reference = module.Reference(
        parameters, scaler.mean, scaler.sd, dropout=parameters.dropout, dtype=torch.float32
    )
    for name in "EGDM":
        getattr(reference, name).to(device)
    torch.set_default_device("cpu")
    expr_z = torch.from_numpy(scaler.transform(cohort.expr_tpm, cohort.tissue))
    tissue = torch.from_numpy(cohort.tissue)
    pairs = torch.from_numpy(ordered_pairs(cohort.donor))
    pairs = pairs[torch.randperm(len(pairs), generator=torch.Generator().manual_seed(0))]

    class Pairs(torch.utils.data.Dataset):
        def __len__(self):
            return len(pairs)

        def __getitem__(self, i):
            a, b = pairs[i]
            return expr_z[a], tissue[a], expr_z[b], tissue[b]

    loader = iter(torch.utils.data.DataLoader(Pairs(), batch_size=parameters.batch_size))

    def step():
        batch = [x.to(device) for x in next(loader)]
        n = len(batch[0])
        noise = torch.randn(n, parameters.noise_width, device=device)
        reference.step(*batch, noise, torch.randint(len(cohort.tissues), (n,), device=device))

    return step


def fused_loop(parameters, cohort, scaler, device, graph=True):
    """Return a function that takes one step as training does, and the engine.

    Without `graph`, steps are launched one by one where a graph would be replayed.
    """
    engine = Engine(parameters, cohort, scaler, device, seed=0)
    if not graph:
        engine.plan = replace(engine.plan, graph=False)
    home = "cpu" if engine.plan.chunk_rows else device
    batches = engine.feed(PairSampler(cohort.donor, parameters, 0, home).batches(0))
    take_step = StepRunner(engine)
    return lambda: take_step(next(batches)), engine


def seconds_of(call, device: str) -> float:
    """Time one call, the device's work included.

    One thread on a CPU is timed by the processor's clock, which other work does not move on.
    """
    clock = time.perf_counter
    if device == "cuda":
        torch.cuda.synchronize()
    elif torch.get_num_threads() == 1:
        clock = time.process_time
    started = clock()
    call()
    if device == "cuda":
        torch.cuda.synchronize()
    return clock() - started


def best_seconds(call, device: str, budget: float = 1.0) -> float:
    """Return the shortest time of a call repeated for `budget` seconds."""
    call()
    ended, times = time.perf_counter() + budget, []
    while len(times) < 3 or time.perf_counter() < ended:
        times.append(seconds_of(call, device))
    return min(times)


def product_rate(rows: int, wide: int, narrow: int, dtype, device: str) -> float:
    """Measure FLOP/s of what the large layers multiply, each product alone and repeated.

    Six products: forward and both gradients of a layer from `wide` to `narrow` features and of one
    back. Three sets of operands take turns, so that a repeated product does not find its own in
    the cache.
    """
    seconds = 0.0
    for n_in, n_out in ((wide, narrow), (narrow, wide)):
        shapes = (rows, n_in), (n_out, n_in), (rows, n_out)
        sets = cycle(
            [[torch.randn(*s, device=device).to(dtype) for s in shapes] for _ in range(3)]
        )
        products = (
            lambda x, weight, grad: x @ weight.t(),
            lambda x, weight, grad: grad @ weight,
            lambda x, weight, grad: grad.t() @ x,
        )
        for product in products:
            call = partial(lambda multiply, sets: multiply(*next(sets)), product, sets)
            seconds += best_seconds(call, device)
    return 6 * 2 * rows * wide * narrow / seconds


def copy_rate(device: str, n_bytes: int = 2**28) -> float:
    """Measure bytes/s of a copy, read and written bytes both counted."""
    source = torch.randn(n_bytes // 4, device=device)
    target = torch.empty_like(source)
    return 2 * n_bytes / best_seconds(lambda: target.copy_(source), device)


class ProductBytes(TorchDispatchMode):
    """Counts the bytes that matrix products read and write, each operand once a product."""

    total = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        if func.overloadpacket._qualified_op_name in PRODUCTS:
            tensors = [x for x in (*args, out) if isinstance(x, torch.Tensor)]
            self.total += sum(x.numel() * x.element_size() for x in tensors)
        return out


def work_of(step) -> tuple[float, float]:
    """Count the FLOP of a step's matrix products and the bytes they move."""
    with FlopCounterMode(display=False) as flops, ProductBytes() as moved:
        step()
    return float(flops.get_total_flops()), float(moved.total)


class ProductTimes(TorchDispatchMode):
    """Times matrix products that have the genes as one dimension."""

    def __init__(self, n_genes: int, device: str):
        super().__init__()
        self.n_genes, self.device = n_genes, device
        self.seconds = defaultdict(list)

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        shapes = tuple(tuple(x.shape) for x in args if isinstance(x, torch.Tensor) and x.ndim == 2)
        wanted = func.overloadpacket._qualified_op_name in PRODUCTS
        if not wanted or all(self.n_genes not in shape for shape in shapes):
            return func(*args, **(kwargs or {}))
        out = []
        took = seconds_of(lambda: out.append(func(*args, **(kwargs or {}))), self.device)
        self.seconds[shapes].append(took)
        return out[0]


def large_layer_rate(step, n_genes: int, device: str) -> float:
    """Measure FLOP/s within a step's products that have the genes as one dimension.

    On a GPU these must be among the steps that are taken before a graph is recorded.
    """
    with ProductTimes(n_genes, device) as products:
        for _ in range(WARM_UP_STEPS - 1 if device == "cuda" else 5):
            step()
    flops = seconds = 0.0
    for ((n, k), (_, m)), times in products.seconds.items():
        flops += 2.0 * n * k * m
        seconds += float(np.median(times))
    return flops / seconds


def full_size_work() -> tuple[float, float]:
    """FLOP and bytes of one step at GTEx's size in published widths, bfloat16 (methods 1.6)."""
    p, n = MTMParameters(), 256
    networks = {
        # Rows forward; rows whose input's gradient is wanted; rows with a gradient of the weights.
        (GTEX_GENES, *p.encoder_widths, p.code_width): (3 * n, 2 * n, 3 * n),
        (p.code_width, *p.generator_widths, GTEX_GENES): (3 * n, 3 * n, 3 * n),
        # Its own step on three parts, and frozen on the fakes.
        (GTEX_GENES, *p.discriminator_widths, 1): (4 * n, n, 3 * n),
    }
    flops = n_weights = 0
    for widths, (forward, to_input, to_weights) in networks.items():
        for depth, (a, b) in enumerate(zip(widths[:-1], widths[1:], strict=True)):
            n_weights += a * b
            passes = forward + to_weights + (forward if depth else to_input)
            flops += 2 * passes * a * b
    return float(flops), float(n_weights)


def print_projection() -> None:
    """Print what an H200 would take, from counted work alone."""
    flops, n_weights = full_size_work()
    moved = ADAM_BYTES * n_weights + H200_OTHER_BYTES
    compute, memory = flops / H200_FLOPS, moved / H200_BYTES
    low, high = (ms * STEPS_A_FOLD / 6e4 for ms in H200_REALISTIC_MS)
    floor = max(compute, memory) * STEPS_A_FOLD / 60
    print("\nPROJECTION for an H200 (not measured), 19,291 genes, published widths, bfloat16:")
    print(
        f"  {flops / 1e9:.0f} GFLOP a step = {compute * 1e3:.2f} ms at {H200_FLOPS / 1e12:.0f} "
        f"TFLOP/s; {moved / 1e9:.1f} GB a step = {memory * 1e3:.2f} ms at "
        f"{H200_BYTES / 1e12:.1f} TB/s"
    )
    print(
        f"  no fold in less than {floor:.1f} min; {low:.1f} to {high:.1f} min at the "
        f"{H200_REALISTIC_MS[0]} to {H200_REALISTIC_MS[1]} ms a step that methods 1.6 expects; "
        f"five folds {5 * low:.0f} to {5 * high:.0f} min"
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--genes", type=int, default=GTEX_GENES)
    parser.add_argument("--width", type=float, help="share of the published hidden widths")
    parser.add_argument("--donors", type=int, default=60)
    parser.add_argument("--tissues", type=int, default=49)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="auto")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    device = choose_device(arguments.device)
    width = arguments.width or (1.0 if device == "cuda" else 0.1)
    cohort = random_cohort(arguments.donors, arguments.genes, arguments.tissues)
    scaler = TissueScaler.fit(cohort.expr_tpm, cohort.tissue, len(cohort.tissues), "tpm_z")
    default = scaled_parameters(width)
    n = default.batch_size

    dtypes = {"float32": torch.float32, "bfloat16": torch.bfloat16}
    narrow = default.encoder_widths[0]

    def ceilings():
        rates = {
            name: product_rate(2 * n, arguments.genes, narrow, dtype, device)
            for name, dtype in dtypes.items()
        }
        return rates | {"copy": copy_rate(device)}

    before = ceilings()
    loops, engines = {"plain loop, float32": plain_loop(default, cohort, scaler, device)}, {}
    for name in dtypes:
        loops[f"engine, {name}"], engines[name] = fused_loop(
            default.with_(precision=name), cohort, scaler, device
        )
    if device == "cuda":
        loops["no graph, bfloat16"], _ = fused_loop(
            default.with_(precision="bfloat16"), cohort, scaler, device, graph=False
        )
    work = {name: work_of(step) for name, step in loops.items()}
    large = {name: large_layer_rate(loops[name], arguments.genes, device) for name in loops}
    seconds = defaultdict(list)
    for turn in range(arguments.steps + 4):
        for name, step in loops.items():
            took = seconds_of(step, device)
            if turn >= 4:
                seconds[name].append(took)
    ceiling = {name: max(rate, before[name]) for name, rate in ceilings().items()}
    copied = ceiling.pop("copy")
    n_weights = sum(w.numel() for w in engines["float32"].networks.parameters())

    unit = f"{arguments.threads} thread(s)" if device == "cpu" else torch.cuda.get_device_name()
    print(
        f"{device}, {unit}; {arguments.genes} genes, {width:g} of the published widths, "
        f"{n_weights / 1e6:.1f} million weights, batch {n}"
        + ("; processor time" if device == "cpu" and arguments.threads == 1 else "")
    )
    print(
        f"measured ceilings at {2 * n} x {arguments.genes} x {narrow}: "
        + ", ".join(f"{name} products {rate / 1e9:.0f} GFLOP/s" for name, rate in ceiling.items())
        + f"; copy {copied / 1e9:.1f} GB/s"
    )
    header = (
        f"{'step':<21}{'ms':>8}{'pairs/s':>9}{'GFLOP/s':>9}{'of ceil.':>9}{'large layers':>14}"
        f"{'of ceil.':>9}{'GB/s':>7}{'of copy':>8}{'h/fold':>8}{'h/5':>7}{'plain/this':>11}"
    )
    print(header)
    plain = np.median(seconds["plain loop, float32"])
    for name in loops:
        middle = float(np.median(seconds[name]))
        top = ceiling[name.split(", ")[1]]
        flops, moved = work[name]
        moved += ADAM_BYTES * n_weights
        fold = middle * STEPS_A_FOLD / 3600
        print(
            f"{name:<21}{middle * 1e3:>8.1f}{n / middle:>9.0f}{flops / middle / 1e9:>9.0f}"
            f"{flops / middle / top:>9.0%}{large[name] / 1e9:>14.0f}{large[name] / top:>9.0%}"
            f"{moved / middle / 1e9:>7.1f}{moved / middle / copied:>8.0%}"
            f"{fold:>8.1f}{5 * fold:>7.0f}{plain / middle:>11.2f}"
        )
    host = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"peak memory of all loops together: host {host:,.0f} MB", end="")
    if device == "cuda":
        print(f", device {torch.cuda.max_memory_allocated() / 1e6:,.0f} MB", end="")
    print(f"; h/fold and h/5: {STEPS_A_FOLD:,} steps at this size, and five times that")
    print_projection()


if __name__ == "__main__":
    main()
