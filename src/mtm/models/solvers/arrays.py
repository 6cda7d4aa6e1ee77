"""Small tools of the batched solvers."""

from collections.abc import Iterator

import numpy as np
import torch

FLOAT64_BYTES = 8
# Of the free memory of a GPU; the rest is for what the bound on a block does not count.
GPU_SHARE = 0.5
# Features whose variance is a smaller share of their squares do not vary: it is rounding.
ROUNDING = 1e-9


def float64(array: np.ndarray, device: str) -> torch.Tensor:
    """Return `array` as a float64 tensor on `device`."""
    return torch.from_numpy(np.ascontiguousarray(array, dtype=np.float64)).to(device)


def gene_blocks(
    n_genes: int, floats_per_gene: int, memory_mb: float, device: str = "cpu"
) -> Iterator[slice]:
    """Yield slices over genes such that one block's float64 working set fits `memory_mb`.

    On a GPU it fits half of the memory that is free there, whatever `memory_mb` says.
    """
    if device == "cuda":
        memory_mb = GPU_SHARE * torch.cuda.mem_get_info()[0] / 2**20
    size = max(1, int(memory_mb * 2**20 // (floats_per_gene * FLOAT64_BYTES)))
    for start in range(0, n_genes, size):
        yield slice(start, min(start + size, n_genes))


def centred(array: torch.Tensor, rows: np.ndarray | slice = slice(None)) -> torch.Tensor:
    """Return `array` less its column means over `rows`; columns constant there become exact zeros.

    Parameters
    ----------
    array
        Shape ``(n_samples, n_columns)``. The zeros are set in `rows` alone.
    """
    reference = array[rows]
    result = array - reference.mean(0)
    constant = (reference == reference[:1]).all(0)
    if constant.any():
        result[rows] = torch.where(constant, 0, result[rows])
    return result


def standardised(array: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return z-scores of columns (ddof 1), their means and sds; constant columns become zeros."""
    values = centred(array)
    sd = values.square().sum(0).div(max(len(array) - 1, 1)).sqrt()
    sd = torch.where(sd > 0, sd, 1)
    return values / sd, array.mean(0), sd
