"""The networks of `mtm.analyses.landmarks.methods`: linear layers, dropout, early stopping."""

import numpy as np
import torch
from torch import nn

from mtm.analyses.one_cycle import stepper, train_to_best
from mtm.settings.landmarks import DGEXSettings

ACTIVATIONS = {"tanh": nn.Tanh, "gelu": nn.GELU}
ROWS_AT_A_TIME = 4096


def tell(
    kept: np.ndarray,
    left_out: np.ndarray,
    asked: np.ndarray,
    kept_y: np.ndarray,
    left_out_y: np.ndarray,
    settings: DGEXSettings,
    seed: int,
    device: str,
) -> np.ndarray:
    """Train a network by squared error and predict with it.

    The weights are those of the pass after which training donors left out are told best; where
    none tells them better than nothing does (0), neither does the prediction say anything.

    Parameters
    ----------
    kept, left_out, asked
        Features of samples that are trained on, of those that say when to stop, and of those to
        predict, each ``(n_samples, n_features)``.
    kept_y, left_out_y
        What is told of the first two, ``(n_samples, n_genes)``.
    settings
        Layers and training.
    seed
        Of weights, dropout and the order of samples.
    device
        ``"cpu"`` or ``"cuda"``.

    Returns
    -------
    np.ndarray
        Shape ``(n_asked, n_genes)``, float32.
    """
    if not len(kept):
        return np.zeros((len(asked), kept_y.shape[1]), np.float32)
    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        torch.manual_seed(seed)
        net = _network(kept.shape[1], kept_y.shape[1], settings).to(device)
        x, y, x_out, y_out = (
            torch.from_numpy(np.asarray(array, np.float32)).to(device)
            for array in (kept, kept_y, left_out, left_out_y)
        )
        train_to_best(
            net,
            _passes(net, x, y, settings),
            lambda: float((_predict(net, x_out) - y_out).square().mean()),
            settings,
            float(y_out.square().mean()),
        )
    return _predict(net, torch.from_numpy(np.asarray(asked, np.float32)).to(device)).cpu().numpy()


def _network(n_features: int, n_genes: int, settings: DGEXSettings) -> nn.Sequential:
    """Stack the layers; the last starts at 0, which is the tissue's mean."""
    layers: list[nn.Module] = []
    widths = (n_features, *settings.widths)
    for before, after in zip(widths[:-1], widths[1:], strict=True):
        layers += [nn.Linear(before, after), ACTIVATIONS[settings.activation]()]
        layers.append(nn.Dropout(settings.dropout))
    last = nn.Linear(widths[-1], n_genes)
    nn.init.zeros_(last.weight)
    nn.init.zeros_(last.bias)
    return nn.Sequential(*layers, last)


def _passes(net: nn.Sequential, x: torch.Tensor, y: torch.Tensor, settings: DGEXSettings):
    """Train pass by pass, and yield after each."""
    batches = -(-len(x) // settings.batch_size)
    step = stepper(net, settings.learning_rate, settings.epochs * batches)
    for _ in range(settings.epochs):
        net.train()
        order = torch.randperm(len(x), device="cpu").to(x.device)
        for batch in order.split(settings.batch_size):
            step((net(x[batch]) - y[batch]).square().mean())
        yield


@torch.no_grad()
def _predict(net: nn.Sequential, x: torch.Tensor) -> torch.Tensor:
    net.eval()
    return torch.cat([net(part) for part in x.split(ROWS_AT_A_TIME)])
