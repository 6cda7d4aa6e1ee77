"""MTM's step as one CUDA graph (methods 1.6)."""

import logging
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from mtm.models.mtm.engine import Engine
from mtm.models.mtm.pairs import Batch

LOGGER = logging.getLogger(__name__)
WARM_UP_STEPS = 3
# Largest difference of a graph's first update from the same update without it, as a share of it;
# reordered sums in bfloat16 stay far below, other dropout masks or inputs far above.
GRAPH_TOLERANCE = 0.1


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
