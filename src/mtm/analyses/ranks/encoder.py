"""The encoder: a transformer that names masked genes of a sentence (methods 6.25)."""

import json
import logging
import math
from pathlib import Path

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional

from mtm.analyses.one_cycle import stepper
from mtm.analyses.ranks.sentences import NO_GENE
from mtm.analyses.ranks.weights import GENES, MOST_GENES, Described, described
from mtm.errors import InputError, shown
from mtm.io import atomic_path
from mtm.settings.ranks import Ranks

log = logging.getLogger(__name__)

# Sentences encoded at a time hold so many genes.
AT_A_TIME = 1 << 16
# Norm of a step's gradient.
MOST_GRADIENT = 1.0


class Encoder(nn.Module):
    """Genes and places as vectors, then layers of attention before a norm.

    Parameters
    ----------
    n_genes
        Of the cohort. Two more rows of `genes` are the mask and the end of a sentence.
    length
        Of the longest sentence.
    settings
        Layers and their width.
    """

    def __init__(self, n_genes: int, length: int, settings: Ranks):
        super().__init__()
        self.n_genes = n_genes
        self.mask, self.end = n_genes, n_genes + 1
        self.genes = nn.Embedding(n_genes + 2, settings.width)
        self.places = nn.Embedding(length, settings.width)
        for table in (self.genes, self.places):
            nn.init.normal_(table.weight, std=0.02)
        layer = nn.TransformerEncoderLayer(
            settings.width, settings.heads, 4 * settings.width, settings.dropout, "gelu",
            batch_first=True, norm_first=True,
        )  # fmt: skip
        # Dropout of attention itself costs a third of the training.
        layer.self_attn.dropout = 0.0
        self.layers = nn.TransformerEncoder(layer, settings.layers, enable_nested_tensor=False)
        self.norm = nn.LayerNorm(settings.width)
        self.bias = nn.Parameter(torch.zeros(n_genes))

    def forward(self, sentences: Tensor) -> Tensor:
        """Return a vector for every gene of a sentence, ``(n, length, width)``.

        `sentences` holds genes, `mask`, and `NO_GENE` at the end.
        """
        ended = sentences == NO_GENE
        known = torch.where(ended, self.end, sentences)
        places = torch.arange(sentences.shape[1], device=sentences.device)
        vectors = self.genes(known) + self.places(places)
        mask = ended if bool(ended.any()) else None
        return self.norm(self.layers(vectors, src_key_padding_mask=mask))

    def code(self, sentences: Tensor) -> Tensor:
        """Mean vector of a sentence's genes, ``(n, width)``; 0 where it has none."""
        there = (sentences != NO_GENE).unsqueeze(-1)
        vectors = torch.where(there, self(sentences), 0.0)
        return vectors.sum(1) / there.sum(1).clamp(min=1)

    def loss(self, sentences: Tensor, masked: Tensor) -> Tensor:
        """Minus log probability of every masked gene, ``(n_masked,)``, sentence by sentence.

        A gene is in a sentence once: those that are shown cannot be it, and have none.
        """
        vectors = self(sentences.masked_fill(masked, self.mask))
        logits = vectors[masked] @ self.genes.weight[: self.n_genes].T + self.bias
        return elimination_loss(logits, sentences, masked, self.n_genes)


def elimination_loss(logits: Tensor, sentences: Tensor, masked: Tensor, n_genes: int) -> Tensor:
    """Cross entropy over the genes that a sentence does not show; see `Encoder.loss`.

    Parameters
    ----------
    logits
        Of every masked gene, ``(n_masked, n_genes)``.
    sentences, masked
        ``(n, length)``: genes or `NO_GENE`, and which are masked.
    n_genes
        Genes that there are.
    """
    shown_genes = torch.zeros(len(sentences), n_genes + 1, dtype=torch.bool, device=logits.device)
    visible = torch.where(masked | (sentences == NO_GENE), n_genes, sentences)
    shown_genes.scatter_(1, visible, True)
    row = masked.nonzero()[:, 0]
    logits = logits.float().masked_fill(shown_genes[row, :n_genes], -torch.inf)
    return functional.cross_entropy(logits, sentences[masked], reduction="none")


def draw_masks(sentences: np.ndarray, share: float, seed: int) -> np.ndarray:
    """Mask a share of each sentence's genes, one at least; bool, shape of `sentences`."""
    rng = np.random.default_rng(seed)
    there = sentences != NO_GENE
    order = np.where(there, rng.random(sentences.shape), 2.0).argsort(1).argsort(1)
    return there & (order < np.maximum(np.rint(share * there.sum(1)), 1)[:, None])


def train(
    sentences: np.ndarray,
    n_genes: int,
    settings: Ranks,
    seed: int,
    device: str,
    first: dict[str, Tensor] | None = None,
) -> tuple[Encoder, list[dict]]:
    """Train an encoder on sentences, ``(n, length)``.

    Parameters
    ----------
    n_genes
        Of the cohort.
    settings, seed
        How; the seed is of weights, order and masks.
    device
        ``"cpu"`` or ``"cuda"``.
    first
        Weights to start from, from `weights_for`.

    Returns
    -------
    Encoder
        In the state for use.
    list of dict
        ``epoch`` and its mean ``loss``.
    """
    table = []
    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        torch.manual_seed(seed)
        encoder = Encoder(n_genes, sentences.shape[1], settings)
        if first is not None:
            encoder.load_state_dict(first, strict=False)
        encoder.to(device)
        steps = settings.epochs * math.ceil(len(sentences) / settings.batch_size)
        step = stepper(encoder, settings.learning_rate, steps, MOST_GRADIENT)
        for epoch in range(settings.epochs):
            masks = draw_masks(sentences, settings.masked, seed * 100_003 + epoch)
            encoder.train()
            losses = []
            for batch in torch.randperm(len(sentences)).split(settings.batch_size):
                rows = batch.numpy()
                loss = encoder.loss(*_placed(device, sentences[rows], masks[rows])).mean()
                step(loss)
                losses.append(float(loss.detach()))
            table.append({"epoch": epoch + 1, "loss": float(np.mean(losses))})
            log.info("epoch %d: loss %.3f", epoch + 1, table[-1]["loss"])
    return encoder.eval(), table


def _placed(device: str, sentences: np.ndarray, *others: np.ndarray) -> list[Tensor]:
    """Cut what no sentence reaches, and put it on the device."""
    end = max(int((sentences != NO_GENE).sum(1).max(initial=1)), 1)
    arrays = (sentences[:, :end].astype(np.int64), *(other[:, :end] for other in others))
    return [torch.from_numpy(np.ascontiguousarray(array)).to(device) for array in arrays]


@torch.inference_mode()
def codes(encoder: Encoder, sentences: np.ndarray) -> np.ndarray:
    """Codes of sentences, ``(n, width)``, float32; of longer ones than it knows the beginning."""
    sentences = sentences[:, : encoder.places.num_embeddings]
    device = encoder.bias.device.type
    step = max(1, AT_A_TIME // max(sentences.shape[1], 1))
    parts = [
        encoder.code(*_placed(device, sentences[start : start + step])).float().cpu().numpy()
        for start in range(0, len(sentences), step)
    ]
    return np.concatenate([np.empty((0, encoder.norm.normalized_shape[0]), np.float32), *parts])


@torch.inference_mode()
def masked_losses(encoder: Encoder, sentences: np.ndarray, masks: np.ndarray) -> np.ndarray:
    """Minus log probability of every masked gene, ``(n_masked,)``, sentence by sentence."""
    device = encoder.bias.device.type
    step = max(1, AT_A_TIME // 4 // max(sentences.shape[1], 1))
    parts = [
        encoder.loss(*_placed(device, sentences[i : i + step], masks[i : i + step])).cpu().numpy()
        for i in range(0, len(sentences), step)
    ]
    return np.concatenate([np.empty(0, np.float32), *parts])


def save(encoder: Encoder, genes: list[str], path: str | Path) -> None:
    """Write the weights and the ids of genes; what is in it is of no single person."""
    weights = {name: value.contiguous().cpu() for name, value in encoder.state_dict().items()}
    with atomic_path(path) as temporary:
        # safetensors gives a file to its owner alone; others' rights are the umask's to say.
        temporary.touch()
        mode = temporary.stat().st_mode
        save_file(weights, str(temporary), metadata={GENES: json.dumps(genes)})
        temporary.chmod(mode)


def weights_for(
    path: str | Path, genes: list[str], length: int, settings: Ranks
) -> dict[str, Tensor]:
    """Read weights for the genes of a cohort; the file is never unpickled.

    Genes that the file lacks start as they would without it; places beyond its longest sentence,
    too.

    Raises
    ------
    InputError
        It is no safetensors file that `save` wrote, of other layers, or has none of the genes.
    """
    known = described(path)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        own = Encoder(len(genes), length, settings).state_dict()
    try:
        _check_shapes(known, own, settings)
        with safe_open(str(path), framework="pt") as handle:
            read = {name: handle.get_tensor(name) for name in own}
    except InputError as error:
        raise error.within(path) from error
    for name, values in read.items():
        if not torch.isfinite(values).all():
            raise InputError(path, f"{name} with values that are not finite", "numbers")
    place_of = {gene: place for place, gene in enumerate(known.genes)}
    pairs = [(i, place_of[gene]) for i, gene in enumerate(genes) if gene in place_of]
    if not pairs:
        raise InputError(path, "none of the cohort's genes", "weights of some of its gene ids")
    mine, theirs = (torch.tensor(side) for side in zip(*pairs, strict=True))
    # The mask and the end stand behind all genes.
    specials = read["genes.weight"][len(known.genes) :]
    for name in ("genes.weight", "bias"):
        own[name][mine] = read.pop(name)[theirs]
    n_places = min(length, len(read["places.weight"]))
    own["genes.weight"][len(genes) :] = specials
    own["places.weight"][:n_places] = read.pop("places.weight")[:n_places]
    return own | read


def _check_shapes(known: Described, own: dict[str, Tensor], settings: Ranks) -> None:
    """Refuse weights of another encoder."""
    if set(known.shapes) != set(own):
        found = f"{len(known.shapes)} arrays, or others"
        raise InputError("its arrays", found, f"those of {settings.layers} layers")
    expected = {name: tuple(value.shape) for name, value in own.items()}
    expected["genes.weight"] = (len(known.genes) + 2, settings.width)
    expected["bias"] = (len(known.genes),)
    n_places = known.shapes["places.weight"][:1]
    if n_places and n_places[0] <= MOST_GENES:
        expected["places.weight"] = (*n_places, settings.width)
    for name, shape in expected.items():
        if known.shapes[name] != shape:
            raise InputError(
                name, f"shape {shown(known.shapes[name])}", f"{shape}, as the settings say",
                "Give ranks.layers and ranks.width of the training that wrote it.",
            )  # fmt: skip
