"""How often checks of new samples warn of held-out donors, and of what they are there to find.

    .venv/bin/python bench/false_alarms.py FOLDER [--scale tpm_z]

reads ``FOLDER/cohort`` (made by
``snakemake --configfile tests/real/panel.yaml results/gtex_v8_panel/cohort/folds.tsv``). In each
fold `Reference` is fitted on training donors (with the model ``same_gene``, whose fit costs
nothing), and every sample of the donors held out is checked as it is, and spoiled. Shares in
percent, by check (a sample may be warned of by several) and in all.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from mtm.cohort.cohort import Cohort
from mtm.cohort.folds import read_folds
from mtm.cohort.scaling import log2_tpm
from mtm.models.base import Predictor, Training
from mtm.models.registry import build
from mtm.predictions.checks import WARNED, WARNINGS, check_samples
from mtm.vocabulary import SCALES

GOOD = "as it is"
CODES = list(dict.fromkeys(WARNINGS.values()))


def spoiled(
    model: Predictor, new: Cohort, tissue: int, rng: np.random.Generator
) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Yield what is done to a tissue's samples, their values and the sex they are said to have."""
    rows = np.flatnonzero(new.tissue == tissue)
    expr_tpm, sex = new.expr_tpm[rows], new.donors["sex"].to_numpy()[new.donor[rows]]
    organ = np.array([name.split(" - ")[0] for name in new.tissues])[new.tissue]
    apart, mine = new.tissue != tissue, organ == organ[rows[0]]
    other = new.expr_tpm[rng.choice(np.flatnonzero(apart & ~mine), len(rows))]
    sisters = np.flatnonzero(apart & mine)
    zeros = np.zeros_like(expr_tpm)
    changed = {
        GOOD: expr_tpm,
        "gene ids permuted": expr_tpm[:, rng.permutation(new.n_genes)],
        "TPM / 100": expr_tpm / 100,
        "TPM / 10": expr_tpm / 10,
        "TPM x 10": expr_tpm * 10,
        "log2(1+TPM) read as TPM": log2_tpm(expr_tpm),
        "TPM read as log2(1+TPM)": np.exp2(np.minimum(expr_tpm, 60)) - 1,
        "all zeros": zeros,
        "the training mean": model.scaler.inverse(zeros, np.full(len(rows), tissue)),
        "half of another organ": (expr_tpm + other) / 2,
        "another organ": other,
    }
    if len(sisters):
        changed["another tissue of the organ"] = new.expr_tpm[rng.choice(sisters, len(rows))]
    for what, values in changed.items():
        yield what, values.astype(np.float32), sex
    yield "the other sex", expr_tpm, 3 - sex


def checked(cohort: Cohort, fold: pd.Series, source: str, scale: str) -> Iterator[dict]:
    """Check the donors of each fold, and count."""
    rng = np.random.default_rng(0)
    for number in sorted(fold[fold >= 0].unique()):
        held_out = fold.index[fold == number]
        training = cohort.of_donors(cohort.donors.index.difference(held_out))
        model = build("same_gene", {"scale": scale})
        model.fit(Training(training, source=cohort.tissue_index(source), device="cpu"))
        new = cohort.of_donors(held_out)
        for tissue in np.unique(new.tissue):
            name, ids = cohort.tissues[tissue], list(new.samples.index[new.tissue == tissue])
            for what, values, sex in spoiled(model, new, tissue, rng):
                table = check_samples(model, values, ids, name, sex=sex)
                row = {"named": name, "given": what, "n": len(table)}
                row["any"] = int((table["status"] == WARNED).sum())
                codes = table["warnings"].str.split(";").explode().value_counts()
                yield row | codes.reindex(CODES, fill_value=0).to_dict()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--source", default="Whole Blood")
    parser.add_argument("--scale", default="log2_z", choices=SCALES)
    options = parser.parse_args()
    place = options.folder / "cohort"
    cohort = Cohort.read(place / "expression.h5ad", place / "donors.tsv")
    fold = read_folds(place / "folds.tsv", list(cohort.donors.index))
    table = pd.DataFrame(checked(cohort, fold, options.source, options.scale))
    numbers = ["n", "any", *CODES]
    of_source = table[table["named"] == options.source]
    for what, part in ((options.source, of_source), ("all tissues", table)):
        sums = part.groupby("given", sort=False)[numbers].sum()
        shares = sums.div(sums["n"], axis=0).mul(100).round(2).assign(n=sums["n"])
        print(f"\n{what} (%)\n{shares.to_string()}")
    good = table[table["given"] == GOOD].groupby("named")[numbers].sum()
    share = good["any"] / good["n"]
    print(f"\n{GOOD}: {int(good['any'].sum())} of {int(good['n'].sum())} samples; by tissue")
    print(f"from {share.min():.1%} to {share.max():.1%}, the highest:")
    print(good.loc[share.sort_values().index].tail(5).to_string())


if __name__ == "__main__":
    main()
