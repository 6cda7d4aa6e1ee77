"""The card of the encoder of rank values."""

from collections.abc import Iterator

import pandas as pd

from mtm.page.results import Results
from mtm.page.words import count, listed, measured, number, p_value
from mtm.vocabulary import (
    BLOOD_TO_TISSUE,
    CODE,
    COMPONENTS,
    PERPLEXITY,
    PROBE,
    UNIGRAM,
    UNIGRAM_OF_PLACE,
)


def ranks_card(results: Results) -> Iterator[str]:
    """Say what the encoder knows beside what knows it without it, and which genes move it."""
    table = results.table("ranks/summary.tsv")
    if table is None or table.empty:
        return
    scores = table.set_index(["part", "target", "input"])["score"]
    masked = table[table["part"] == PERPLEXITY].set_index("input")["score"]
    yield (
        f"Of masked genes an encoder is as unsure as of {number(masked[CODE])} equally likely "
        f"ones; counting genes that are not shown leaves {number(masked[UNIGRAM])}, by their "
        f"place {number(masked[UNIGRAM_OF_PLACE])}."
    )
    probes = table[(table["part"] == PROBE) & (table["input"] == CODE)]
    told = [
        f"{row['target']} {number(row['score'])} (components "
        f"{number(scores.get((PROBE, row['target'], COMPONENTS)))}, "
        f"chance {number(row['chance'])})"
        for _, row in probes.iterrows()
    ]
    if told:
        yield f"A linear probe of its code tells, in balanced accuracy, {listed(told)}."
    rows = table[table["part"] == BLOOD_TO_TISSUE]
    mine = rows[rows["input"] == CODE].rename(columns={"score": "mean_rho"})
    if len(mine):
        others = [f"{row['input']} {number(row['score'])}"
                  for _, row in rows[rows["input"] != CODE].iterrows()]  # fmt: skip
        yield (
            f"From the source's code a ridge tells other tissues with {measured(mine.iloc[0])}; "
            f"{listed(others)}."
        )
    yield from _moved(results.table("ranks/perturbation.tsv"))


def _moved(table: pd.DataFrame | None) -> Iterator[str]:
    """Name the perturbations that move codes to the other state."""
    if table is None or not table["p"].notna().any():
        return
    table = table.dropna(subset="p")
    best = table.nsmallest(4, "p", keep="first")
    named = [
        f"{row['symbol']} ({row['perturbation']}, {row['from_state']} to {row['to_state']}, "
        f"P {p_value(row['p'])}, q {p_value(row['q'])})"
        for _, row in best.iterrows()
    ]
    yield (
        f"Of {count(len(table))} perturbations, these move codes most towards the other state: "
        f"{listed(named)}."
    )
