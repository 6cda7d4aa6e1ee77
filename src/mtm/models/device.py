"""Which device computes."""

from mtm.errors import InputError


def choose_device(device: str) -> str:
    """Turn ``"auto"`` into ``"cuda"`` where there is a GPU, else ``"cpu"``.

    Raises
    ------
    InputError
        ``"cuda"`` is asked for and no GPU is to be had.
    """
    import torch  # where only linear models predict, it is never needed

    if device not in ("auto", "cpu", "cuda"):
        raise InputError("training.device", repr(device), "auto, cpu or cuda")
    if device == "cuda" and not torch.cuda.is_available():
        raise InputError("training.device", "cuda, but no GPU is visible", "auto or cpu")
    return "cuda" if device != "cpu" and torch.cuda.is_available() else "cpu"
