"""Which device computes, and how precisely its matrix products run."""

import torch

from mtm.errors import InputError


def choose_device(device: str) -> str:
    """Turn ``"auto"`` into ``"cuda"`` where there is a GPU, else ``"cpu"``.

    Raises
    ------
    InputError
        ``"cuda"`` is asked for and no GPU is to be had.
    """
    if device not in ("auto", "cpu", "cuda"):
        raise InputError("training.device", repr(device), "auto, cpu or cuda")
    if device == "cuda" and not torch.cuda.is_available():
        raise InputError("training.device", "cuda, but no GPU is visible", "auto or cpu")
    return "cuda" if device != "cpu" and torch.cuda.is_available() else "cpu"


def choose_precision(precision: str, device: str) -> str:
    """Turn ``"auto"`` into ``"bfloat16"`` where the device multiplies it in hardware."""
    if precision != "auto":
        return precision
    if device == "cuda":
        return "bfloat16" if torch.cuda.is_bf16_supported(including_emulation=False) else "float32"
    return "bfloat16" if torch.cpu.get_capabilities().get("amx_bf16") else "float32"
