"""How MTM's engine uses its device: what stays there, and what a CPU is told (methods 1.6)."""

import ctypes
import platform
from dataclasses import dataclass

import torch

# Of the free device memory; the rest is left to the allocator's fragments and to the driver.
USABLE = 0.9
# Weight, gradient and two moments, and the copy that bfloat16 products read.
BYTES_PER_WEIGHT = 18
# Arrays of batch x genes that a step holds at once, generously counted.
WIDE_ARRAYS = 40
# Elements, more than PyTorch gives one thread of an elementwise function.
VECTOR_GRAIN = 65_536


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
