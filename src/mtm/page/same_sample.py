"""Cards of what a sample's own genes and codes tell."""

from collections.abc import Iterator

import pandas as pd

from mtm.figures import names
from mtm.page.results import Results, rows
from mtm.page.words import count, listed, measured, number, share
from mtm.vocabulary import MEAN_OF_TISSUES, OTHERS


def landmarks(results: Results) -> Iterator[str]:
    """Say how well panels are made whole, and by what."""
    table = rows(results.joined("landmarks/accuracy/*.tsv"), level="gene_wise",
                 tissue=MEAN_OF_TISSUES)  # fmt: skip
    if table.empty:
        return
    for panel, part in rows(table, genes=OTHERS).groupby("panel", sort=False):
        part = part.sort_values("mean_rho", ascending=False, kind="stable")
        row = part.iloc[0]
        others = [f"{names.LANDMARK_METHODS[one['method']]} {number(one['mean_rho'])}"
                  for _, one in part.iloc[1:].iterrows()]  # fmt: skip
        yield (
            f"{count(row['n_landmarks'])} landmarks ({panel}): within a tissue, "
            f"{count(row['n_genes'])} other genes of the same sample are told with "
            f"{measured(row)} by {names.LANDMARK_METHODS[row['method']].lower()}"
            + (f"; {listed(others)}." if others else ".")
        )
    yield "The mean of the tissue tells 0 there, whatever it explains between tissues."


def imputed_genes(results: Results) -> Iterator[str]:
    """Say how well failed genes are imputed, and by what."""
    table = rows(results.table("imputation/accuracy.tsv"), level="gene_wise",
                 tissue=MEAN_OF_TISSUES)  # fmt: skip
    table = table.sort_values("mean_rho", ascending=False, kind="stable") if len(table) else table
    if table.empty:
        return
    row = table.iloc[0]
    others = [f"{_imputer(one)} {number(one['mean_rho'])}"
              for _, one in table.iloc[1:].iterrows()]  # fmt: skip
    yield (
        f"Within a tissue, a gene that failed with others is imputed with {measured(row)} by the "
        f"{_imputer(row)}; {listed(others)}."
    )


def _imputer(row: pd.Series) -> str:
    """Name of what imputes within a sentence."""
    name = names.IMPUTERS[row["method"]]
    return name if name.startswith("Gaussian") else name[0].lower() + name[1:]


def codes_of_samples(results: Results) -> Iterator[str]:
    """Say what codes tell of tissue and donor, and whether a network's is worth more."""
    table = results.table("imputation/probes.tsv")
    if table is None or table.empty:
        return
    found = {
        name: [rows(part, target=target).sort_values("score", na_position="first").iloc[-1]
               for target in ("tissue", "donor", "expression")]
        for name, part in table.groupby("code", sort=False)
    }  # fmt: skip
    for name, (tissue, donor, expression) in found.items():
        yield (
            f"{names.CODE_KINDS[name]}: {share(tissue['score'], 1)} of tissues named (chance "
            f"{share(tissue['chance'], 1)}), AUC of the same donor {measured(donor, 'score')}, "
            f"other tissues' genes {number(expression['score'])}."
        )
    plain, penalised = found["minus_means"], found["vae_penalty"]
    free = penalised[0]["score"] <= plain[0]["ci_high"]
    more = any(one["score"] > other["ci_high"]
               for one, other in zip(penalised[1:], plain[1:], strict=True))  # fmt: skip
    gain = "a gain" if free and more else "no gain"
    yield f"The penalised autoencoder is {gain} over taking off the tissue's mean."
