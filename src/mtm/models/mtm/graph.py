"""How MTM's engine uses its device: what stays there, and one CUDA graph a step (methods 1.6)."""

from __future__ import annotations

import ctypes
import logging
import platform
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

if TYPE_CHECKING:
    from mtm.models.mtm.engine import Engine
    from mtm.models.mtm.pairs import Batch

LOGGER = logging.getLogger(__name__)
# Of the free device memory; the rest is left to the allocator's fragments and to the driver.
USABLE = 0.9
# Weight, gradient and two moments, and the copy that bfloat16 products read.
BYTES_PER_WEIGHT = 18
# Arrays of batch x genes that a step holds at once, generously counted.
WIDE_ARRAYS = 40
WARM_UP_STEPS = 3
# Elements, more than PyTorch gives one thread of an elementwise function.
VECTOR_GRAIN = 65_536
# Largest difference of a graph's first update from the same update without it, as a share of it;
# reordered sums in bfloat16 stay far below, other dropout masks or inputs far above.
GRAPH_TOLERANCE = 0.1


@dataclass(frozen=True)
class DevicePlan:
    """What was chosen for one training run.

    Parameters
    ----------
    chunk_rows
        Samples on the device at a time; 0 keeps all of them there.
    graph
        Whether to replay a step as one CUDA graph.
    """

    chunk_rows: int = 0
    graph: bool = False

    def __str__(self) -> str:
        kept = f"{self.chunk_rows} samples at a time" if self.chunk_rows else "all samples"
        return (
            f"{kept} on the device, {'one CUDA graph a step' if self.graph else 'no CUDA graph'}"
        )


def plan_device(
    device: str,
    free_bytes: int,
    n_samples: int,
    n_genes: int,
    n_weights: int,
    batch_size: int,
    max_sources: int,
    itemsize: int = 4,
) -> DevicePlan:
    """Choose what a run keeps on its device; a pure function of the arguments.

    Parameters
    ----------
    device
        ``"cpu"`` or ``"cuda"``. A CPU keeps everything: it has no second memory.
    free_bytes
        Free memory of the device before anything of the run is on it.
    n_samples, n_genes
        Of the training cohort.
    n_weights
        Of all networks.
    batch_size, max_sources
        As in `mtm.settings.models.mtm.MTMParameters`. Several sources make steps of varying
        shapes, which a CUDA graph cannot replay.
    itemsize
        Bytes of a number.
    """
    if device != "cuda":
        return DevicePlan()
    row_bytes = 2 * n_genes * itemsize
    working = n_weights * BYTES_PER_WEIGHT * itemsize // 4
    working += WIDE_ARRAYS * batch_size * n_genes * itemsize
    rows = int((USABLE * free_bytes - working) // row_bytes)
    least = batch_size * (max_sources + 1)
    chunk_rows = 0 if rows >= n_samples else min(max(rows, least), n_samples)
    return DevicePlan(chunk_rows, graph=max_sources == 1)


def keep_freed_memory() -> bool:
    """Have the C library keep what is freed for the next step; return whether it could be told.

    By default glibc hands every large array back to the system and asks for it anew, which clears
    it page by page: a third of a training step at 19,291 genes. Holds for the whole process.
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    mallopt = ctypes.CDLL(None).mallopt
    no_trim, no_mapping = mallopt(-1, -1), mallopt(-4, 0)  # M_TRIM_THRESHOLD, M_MMAP_MAX
    return bool(no_trim and no_mapping)


def settle_vector_math() -> None:
    """Have every thread of a CPU use the vector library once, and discard what it gives.

    On a busy machine the first call that several threads share was seen to give one thread's part
    to 2e-5 rather than to the last bit (MKL through PyTorch 2.13, one process in forty): a
    training would not repeat, and would not take up its own checkpoint.
    """
    torch.log2(torch.ones(torch.get_num_threads() * VECTOR_GRAIN))


def capture(step: Callable[[], None], generator: torch.Generator) -> Callable[[], None]:
    """Record what `step` launches as a CUDA graph and return the function that replays it.

    Parameters
    ----------
    step
        Reads and writes tensors that stay where they are. It is not carried out.
    generator
        The one `step` draws from; every replay moves it on.
    """
    graph = torch.cuda.CUDAGraph()
    graph.register_generator_state(generator)
    with torch.cuda.graph(graph):
        step()
    return graph.replay


class StepRunner:
    """Takes an engine's steps, as one CUDA graph each where the plan says so.

    The graph is recorded after a few plain steps. Its first replay is compared with the same step
    taken plainly; where it differs, or recording fails, the run goes on with plain steps and the
    log says why. Batches of another size are always plain.

    Parameters
    ----------
    engine
        Its plan decides whether to record a graph.
    record
        Called as `capture`.
    """

    def __init__(self, engine: Engine, record: Callable[..., Callable[[], None]] = capture):
        self.engine, self.record = engine, record
        self.wanted = engine.plan.graph
        self.plain_steps = 0
        self.replay: Callable[[], None] | None = None
        self.inputs: list[Tensor] = []

    def __call__(self, batch: Batch) -> None:
        """Take one step."""
        engine = self.engine
        drawn = engine.draw(len(batch.source))
        if not self.wanted or len(batch.source) != engine.parameters.batch_size:
            engine.step(batch, *drawn)
        elif self.replay is not None:
            for place, value in zip(self.inputs, (*batch[:2], *drawn), strict=True):
                place.copy_(value)
            self.replay()
        elif self.plain_steps < WARM_UP_STEPS:
            self.plain_steps += 1
            _beside(engine.device, lambda: engine.step(batch, *drawn))
        else:
            self._start(batch, drawn)

    def _start(self, batch: Batch, drawn: tuple[Tensor, Tensor]) -> None:
        """Record the graph and take one step both ways."""
        engine = self.engine
        self.inputs = [value.clone() for value in (*batch[:2], *drawn)]
        still = batch._replace(source=self.inputs[0], target=self.inputs[1])
        before, random = _copies(engine), engine.generator.get_state()
        stream = torch.cuda.current_stream() if engine.device == "cuda" else None

        def step() -> None:
            engine.step(still, *self.inputs[2:])

        problem, replay = "", None
        try:
            replay = self.record(step, engine.generator)
        except RuntimeError as error:
            problem = str(error).strip().splitlines()[0]
            # What a failed recording may have left behind.
            if stream is not None:
                torch.cuda.set_stream(stream)
            engine.set_generator(random)
        step()
        plain, random_after = _copies(engine), engine.generator.get_state()
        if replay is not None:
            _put_back(engine, before)
            engine.generator.set_state(random)
            replay()
            n_network = len(engine.networks.state_dict())
            difference = _difference(*(x[:n_network] for x in (before, plain, _copies(engine))))
            _put_back(engine, plain)
            engine.generator.set_state(random_after)
            if not difference <= GRAPH_TOLERANCE:
                problem = f"its first update differed by {difference:.1%} from the plain one"
        if problem:
            self.wanted = False
            engine.set_generator(random_after)
            LOGGER.warning("no CUDA graph (%s); steps are launched one by one", problem)
        else:
            self.replay = replay
            LOGGER.info("steps are replayed as one CUDA graph")


def _beside(device: str, step: Callable[[], Any]) -> None:
    """Run warm-up work on a stream of its own, as the CUDA graph manual asks."""
    if device != "cuda":
        step()
        return
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        step()
    torch.cuda.current_stream().wait_stream(stream)


def _learned(engine: Engine) -> list[Tensor]:
    """Every tensor that a step changes, the networks' first."""
    moments = [
        value
        for optimizer in (engine.optimizer, engine.critic)
        for state in optimizer.state.values()
        for value in state.values()
    ]
    return [*engine.networks.state_dict().values(), *moments, engine.totals]


def _copies(engine: Engine) -> list[Tensor]:
    return [value.detach().to("cpu", copy=True) for value in _learned(engine)]


def _put_back(engine: Engine, values: list[Tensor]) -> None:
    with torch.no_grad():
        for place, value in zip(_learned(engine), values, strict=True):
            place.copy_(value)


def _difference(before: list[Tensor], plain: list[Tensor], other: list[Tensor]) -> float:
    """Distance of `other` from `plain`, as a share of the way from `before` to `plain`."""
    pairs = list(zip(before, plain, other, strict=True))
    moved = sum(float((b - a).double().square().sum()) for a, b, _ in pairs)
    apart = sum(float((c - b).double().square().sum()) for _, b, c in pairs)
    return (apart / moved) ** 0.5 if moved else float(apart > 0)
