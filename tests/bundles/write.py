"""Write a tiny bundle of every class of model with what it predicts, once a bundle version.

    PYTHONPATH=.:src .venv/bin/python -m tests.bundles.write

They are never written again: `tests/models/test_old_bundles.py` loads them for ever. Run it when a
class is new, and when `BUNDLE_VERSION` rises, and keep the folders of versions before.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from tests.cohorts import simulated_cohort
from tests.hostile.models import CLASSES, KEY, SOURCE, TINY, certificate, write_people

from mtm import cli
from mtm.cohort.cohort import Cohort
from mtm.models.base import Training
from mtm.models.bundle import BUNDLE_VERSION
from mtm.models.registry import build
from mtm.vocabulary import RELIABILITY

PLACE = Path(__file__).parent
N_TISSUES, N_GENES, N_DONORS = 3, 8, 14
PEOPLE, TRAITS = "people.tsv", "traits.tsv"
KEYS = ["sample_id", "source", "target"]
# What is told, by its column.
QUANTITIES = {"prediction": "z", "low": "z_low", "high": "z_high", "reliability": "reliability",
              "reliability_class": "reliability_class"}  # fmt: skip
RANKS = {"inputs": "ranks"}
KINDS = TINY | {
    "dual_ridge": {"min_pairs": 3},
    "shareable_ridge": {"min_pairs": 3},
    "ridge_of_ranks": RANKS,
    "joint_of_ranks": TINY["joint"] | RANKS,
}
CLASS_OF = CLASSES | {"ridge_of_ranks": "ridge", "joint_of_ranks": "joint"}


def predicted(bundle: Path, folder: Path, out: Path, traits: bool = True) -> pd.DataFrame:
    """Return what ``mtm predict`` tells of the people kept beside bundles, on the scale z.

    One row a sample, target and quantity of `QUANTITIES` that is told at all, genes as columns.
    """
    command = ["predict", "--bundle", bundle, "--expression", folder / PEOPLE, "--source", SOURCE]
    command += ["--out", out, "--force", "--align", "none"]
    command += traits * ["--traits", folder / TRAITS]
    assert cli.main([*map(str, command)]) == 0
    told = pd.read_parquet(out)
    told["reliability_class"] = told["reliability_class"].map(
        RELIABILITY.index, na_action="ignore"
    )
    tables = {
        quantity: told.pivot(index=KEYS, columns="gene_id", values=column).astype(float)
        for quantity, column in QUANTITIES.items()
        if told[column].replace("", np.nan).notna().any()
    }
    return pd.concat(tables, names=["quantity"]).reset_index().rename_axis(columns=None)


def write_new_people(folder: Path, everyone: Cohort) -> None:
    """Write people like the training donors, and their covariates."""
    lines = [f"person-{i}\t{1 + i % 2}\t{30 + i}\t{i}\t7.{i}" for i in range(3)]
    text = "\n".join(["sample_id\tsex\tage\thardy\trin", *lines])
    (folder / TRAITS).write_text(text + "\n")
    blood = everyone.expr_tpm[everyone.tissue == everyone.tissue_index(SOURCE)][:3]
    new = blood * np.random.default_rng(1).lognormal(0, 0.2, blood.shape)
    write_people(folder / PEOPLE, list(everyone.genes.index), new.T)


def write_kind(folder: Path, name: str, everyone: Cohort) -> None:
    """Write a bundle of `KINDS`, whose members are there, and what it tells."""
    parameters = KINDS[name]
    fat = name in ("dual_ridge", "shareable_ridge")
    cohort = everyone.of_donors(everyone.donors.index[:6]) if fat else everyone
    members = {part: folder / f"{part}.safetensors" for part in parameters.get("models", ())}
    model = build("ridge" if fat else CLASS_OF.get(name, name), parameters)
    source = cohort.tissue_index(SOURCE)
    model.fit(Training(cohort, source, device="cpu", members=members, donors_key=KEY))
    if name == "joint":
        model.certificate = certificate((N_TISSUES, N_GENES), own_sd=True)
    if name == "shareable_ridge":
        model = model.shareable(3, 1)
    bundle, out = folder / f"{name}.safetensors", folder / "told.parquet"
    model.save(bundle, KEY)
    table = predicted(bundle, folder, out)
    table.to_csv(bundle.with_suffix(".tsv"), sep="\t", index=False, float_format="%.9g")
    out.unlink()


def main() -> None:
    """Write what the folder of this bundle version lacks; what is there stays as it is."""
    folder = PLACE / f"version_{BUNDLE_VERSION}"
    folder.mkdir(exist_ok=True)
    everyone = simulated_cohort(N_DONORS, N_GENES, N_TISSUES, keep=1.0)
    everyone = replace(everyone, samples=everyone.samples.assign(rin=7.0 + 0.1 * everyone.donor))
    if not (folder / PEOPLE).exists():
        write_new_people(folder, everyone)
    for name in KINDS:
        if not (folder / f"{name}.safetensors").exists():
            write_kind(folder, name, everyone)


if __name__ == "__main__":
    main()
