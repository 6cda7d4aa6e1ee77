"""What networks of every model share: their activation, and how precisely they compute."""

import torch

LEAKY_SLOPE = 0.01


def choose_precision(precision: str, device: str) -> str:
    """Turn ``"auto"`` into ``"bfloat16"`` where the device multiplies it in hardware."""
    if precision != "auto":
        return precision
    if device == "cuda":
        return "bfloat16" if torch.cuda.is_bf16_supported(including_emulation=False) else "float32"
    return "bfloat16" if torch.cpu.get_capabilities().get("amx_bf16") else "float32"


def kept_type(precision: str) -> str:
    """Return the type of weights in a bundle, trained in `precision`."""
    return "float64" if precision == "float64" else "float32"


def set_precision(precision: str, device: str) -> torch.dtype:
    """Set how a GPU multiplies float32; return the type of weights and data.

    Parameters
    ----------
    precision
        As `choose_precision` returns it.
    """
    if device == "cuda":
        torch.backends.cuda.matmul.fp32_precision = "tf32" if precision == "tf32" else "ieee"
    return torch.float64 if precision == "float64" else torch.float32
