"""Write a synthetic GCT of GTEx v8's shape and text, with the files a cohort is built from.

    .venv/bin/python bench/synthetic_gct.py FOLDER [--fraction 0.1] [--seed 0]

A fraction is one of the genes; every row keeps all 17,382 samples. Level by gene and biotype,
tissue and sample give TPM with four significant digits, about half of them 0 and those mostly
outside the protein-coding genes, and about as many compressed bytes a cell as GTEx's own file
has. The values are good for timing and for nothing else.
"""

import argparse
import time
import zlib
from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from mtm.io import atomic_path
from mtm.settings.simulation import GTEX_V8_SAMPLES
from mtm.simulation.population import GTEX_V8_DONORS

N_GENES, N_CODING = 56_200, 19_291
N_SAMPLES = sum(GTEX_V8_SAMPLES.values())
# Share of expressed genes, then centre of log10 TPM of expressed and of silent genes.
CODING = (0.8, 0.9, -2.2)
OTHER = (0.25, -0.4, -2.9)
LEVEL_SD, TISSUE_SD, SAMPLE_SD = 0.7, 0.6, 0.4
STEPS_A_DECADE = 1 << 14
LOWEST, HIGHEST = -2, 5
BLOCK = 64
COMPRESSION = 6
THREADS_AHEAD = 4


@dataclass(frozen=True)
class Files:
    """Where the files of one synthetic GTEx lie."""

    folder: Path

    @property
    def expression(self) -> Path:
        """Return the GCT."""
        return self.folder / "gene_tpm.gct.gz"

    @property
    def gene_model(self) -> Path:
        """Return the GTF, whose protein-coding genes are a third."""
        return self.folder / "genes.gtf"

    @property
    def sample_attributes(self) -> Path:
        """Return the sample attributes."""
        return self.folder / "sample_attributes.txt"

    @property
    def subject_phenotypes(self) -> Path:
        """Return the subject phenotypes."""
        return self.folder / "subject_phenotypes.txt"


def scaled(fraction: float) -> tuple[int, int]:
    """Return the number of genes, and of protein-coding ones, in a fraction of GTEx."""
    return max(1, round(N_GENES * fraction)), max(1, round(N_CODING * fraction))


def sample_table(rng: np.random.Generator) -> pd.DataFrame:
    """Return donor and tissue of every sample, in an order that mixes both."""
    donors = np.array([f"GTEX-1{index:04d}" for index in range(GTEX_V8_DONORS)])
    parts = [
        pd.DataFrame({"donor": rng.choice(donors, n, replace=False), "tissue": tissue})
        for tissue, n in GTEX_V8_SAMPLES.items()
    ]
    samples = pd.concat(parts, ignore_index=True).sort_values("donor", kind="stable")
    suffix = [f"-{index % 9000 + 1000:04d}-SM-{index:05X}" for index in range(len(samples))]
    return samples.set_index(samples["donor"] + suffix)


def number_texts() -> pa.Array:
    """Return a tab and a number for every step of log10 TPM; the last one is 0."""
    steps = np.arange(LOWEST * STEPS_A_DECADE, HIGHEST * STEPS_A_DECADE)
    values = 10 ** (steps / STEPS_A_DECADE)
    return pa.array([f"\t{value:.4g}" for value in values] + ["\t0"])


def row_blocks(
    names: list[str], coding: np.ndarray, tissue: np.ndarray, rng: np.random.Generator
) -> Iterator[bytes]:
    """Yield the text of `BLOCK` rows after another."""
    texts = number_texts()
    zero = len(texts) - 1
    n_tissues = tissue.max() + 1
    for start in range(0, len(names), BLOCK):
        of_block = slice(start, start + BLOCK)
        share, high, low = np.where(coding[of_block, None], CODING, OTHER).T
        n_genes = len(share)
        level = np.where(rng.random(n_genes) < share, high, low)
        level = level + rng.normal(0, LEVEL_SD, n_genes)
        by_tissue = level[:, None] + rng.normal(0, TISSUE_SD, (n_genes, n_tissues))
        step = rng.standard_normal((n_genes, len(tissue)), dtype=np.float32)
        step *= SAMPLE_SD
        step += by_tissue.astype(np.float32)[:, tissue]
        step -= LOWEST
        step *= STEPS_A_DECADE
        chosen = np.where(step < 0, zero, np.minimum(step, zero - 1)).astype(np.int32)
        rows = []
        for name, index in zip(names[of_block], chosen, strict=True):
            row = texts.take(pa.array(index))
            rows += [name.encode(), memoryview(row.buffers()[2]), b"\n"]
        yield b"".join(rows)


def write_gzip(path: Path, blocks: Iterator[bytes]) -> None:
    """Compress `blocks` in two threads into one gzip member, as gzip itself writes one."""

    def deflate(block: bytes) -> bytes:
        stream = zlib.compressobj(COMPRESSION, zlib.DEFLATED, -15)
        return stream.compress(block) + stream.flush(zlib.Z_SYNC_FLUSH)

    checksum = size = 0
    with atomic_path(path) as temporary, open(temporary, "wb") as file:
        file.write(b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff")
        with ThreadPoolExecutor(2) as pool:
            pending = deque()
            for block in blocks:
                checksum = zlib.crc32(block, checksum)
                size += len(block)
                pending.append(pool.submit(deflate, block))
                if len(pending) == THREADS_AHEAD:
                    file.write(pending.popleft().result())
            for done in pending:
                file.write(done.result())
        file.write(zlib.compressobj(COMPRESSION, zlib.DEFLATED, -15).flush(zlib.Z_FINISH))
        file.write(checksum.to_bytes(4, "little") + (size % 2**32).to_bytes(4, "little"))


def make(folder: Path, fraction: float = 1.0, seed: int = 0) -> Files:
    """Write the files of one synthetic GTEx; the GCT last, so that it tells that all are there."""
    folder.mkdir(parents=True, exist_ok=True)
    files = Files(folder)
    rng = np.random.default_rng(seed)
    samples = sample_table(rng)
    n_genes, n_coding = scaled(fraction)
    coding = rng.permutation(np.arange(n_genes) < n_coding)
    gene_ids = [f"ENSG{223_972 + 97 * index:011d}.{index % 9 + 1}" for index in range(n_genes)]

    attributes = pd.DataFrame({"SAMPID": samples.index, "SMTSD": samples["tissue"]})
    attributes.assign(SMAFRZE="RNASEQ").to_csv(files.sample_attributes, sep="\t", index=False)
    donors = sorted(set(samples["donor"]))
    phenotypes = pd.DataFrame(
        {
            "SUBJID": donors,
            "SEX": rng.integers(1, 3, len(donors)),
            "AGE": rng.choice(["20-29", "40-49", "50-59", "60-69"], len(donors)),
            "DTHHRDY": rng.integers(0, 5, len(donors)),
        }
    )
    phenotypes.to_csv(files.subject_phenotypes, sep="\t", index=False)
    with open(files.gene_model, "w") as file:
        for gene_id, is_coding in zip(gene_ids, coding, strict=True):
            biotype = "protein_coding" if is_coding else "lncRNA"
            file.write(
                f'chr1\tx\tgene\t1\t2\t.\t+\t.\tgene_id "{gene_id}"; gene_type "{biotype}";\n'
            )

    def text() -> Iterator[bytes]:
        names = "\t".join(["Name", "Description", *samples.index])
        yield f"#1.2\n{n_genes}\t{len(samples)}\n{names}\n".encode()
        names = [f"{gene_id}\tSYMBOL{index}" for index, gene_id in enumerate(gene_ids)]
        yield from row_blocks(names, coding, pd.factorize(samples["tissue"])[0], rng)

    write_gzip(files.expression, text())
    return files


def main() -> None:
    """Write the files and say how large the GCT is."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--fraction", type=float, default=1.0, help="of the genes; default all")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    started = time.perf_counter()
    files = make(arguments.folder, arguments.fraction, arguments.seed)
    size = files.expression.stat().st_size
    cells = scaled(arguments.fraction)[0] * N_SAMPLES
    print(
        f"{files.expression}: {size / 1e6:,.0f} MB, {size / cells:.2f} bytes a cell, "
        f"{time.perf_counter() - started:.0f} s"
    )


if __name__ == "__main__":
    main()
