"""What several samples of a person are worth, through `mtm predict` itself.

    .venv/bin/python bench/several_sources.py results/gtex_v8_panel/cohort

holds every fifth donor who gave blood out of a joint model, writes their samples and a table of
them, and asks the command for all targets: from blood alone, from blood and one tissue that can be
had from anybody (sun-exposed skin), from all of a person's other samples. Gene-wise rho (log2 TPM
against what was measured), mean over genes and tissues with ten people who have all of these.
"""

import argparse
import tempfile
from pathlib import Path

import anndata
import numpy as np
import pandas as pd

from mtm import cli
from mtm.cohort.cohort import Cohort
from mtm.cohort.scaling import log2_tpm
from mtm.models.base import Training
from mtm.models.registry import build
from mtm.statistics.correlation import row_correlation

SOURCE, BESIDE = "Whole Blood", "Skin - Sun Exposed (Lower leg)"
PARAMETERS = {"n_factors": 14, "fits": 1, "noise_freedom": 0.0}
LEAST = 10


def asked(folder: Path, data: anndata.AnnData, name: str) -> pd.DataFrame:
    """Predict through the command; return log2 TPM by donor and target."""
    data.write_h5ad(folder / f"{name}.h5ad")
    out = folder / f"{name}.told.h5ad"
    code = cli.main(
        ["predict", "--bundle", str(folder / "joint.safetensors"), "--expression",
         str(folder / f"{name}.h5ad"), "--out", str(out), "--target", "all", "--units", "tpm"]
    )  # fmt: skip
    assert code == 0
    told = anndata.read_h5ad(out)
    index = pd.MultiIndex.from_frame(told.obs[["donor", "target"]].astype(str))
    return pd.DataFrame(np.asarray(told.layers["log2"]), index=index)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("cohort", type=Path)
    path = parser.parse_args().cohort
    cohort = Cohort.read(path / "expression.h5ad", path / "donors.tsv")
    source = cohort.tissue_index(SOURCE)
    gave = cohort.donors.index[np.unique(cohort.donor[cohort.tissue == source])]
    held = cohort.of_donors(gave[::5])
    model = build("joint", PARAMETERS)
    training = cohort.of_donors(cohort.donors.index.difference(gave[::5]))
    model.fit(Training(training, source=source, device="cpu"))
    obs = pd.DataFrame({"donor": held.donors.index[held.donor],
                        "tissue": np.array(held.tissues)[held.tissue]},
                       index=held.samples.index)  # fmt: skip
    data = anndata.AnnData(held.expr_tpm, obs=obs, var=held.genes[["symbol"]])
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model.save(folder / "joint.safetensors")
        blood = data[obs["tissue"] == SOURCE].copy()
        both = data[obs["tissue"].isin([SOURCE, BESIDE])].copy()
        told = {"blood": asked(folder, blood, "blood"),
                "blood and skin": asked(folder, both, "both"),
                "all others": asked(folder, data, "all")}  # fmt: skip
    measured = pd.DataFrame(log2_tpm(held.expr_tpm), index=pd.MultiIndex.from_frame(obs))
    has_skin = set(obs["donor"][obs["tissue"] == BESIDE])
    rows = [row for row in measured.index if row[0] in has_skin and row[1] not in (SOURCE, BESIDE)]
    targets = pd.Series([tissue for _, tissue in rows]).value_counts()
    rho = {kind: [] for kind in told}
    for target in targets.index[targets >= LEAST]:
        of_target = [row for row in rows if row[1] == target]
        observed = measured.loc[of_target].to_numpy()
        for kind, table in told.items():
            predicted = table.loc[of_target].to_numpy()
            rho[kind].append(np.nanmean(row_correlation(predicted.T, observed.T)))
    print(f"{int((targets >= LEAST).sum())} tissues, {len(rows)} samples, {len(has_skin)} people")
    for kind, values in rho.items():
        better = np.mean(np.array(values) > np.array(rho["blood"]))
        print(f"{kind}: {np.mean(values):.3f} (above blood alone in {better:.0%} of tissues)")


if __name__ == "__main__":
    main()
