"""Compare two results folders, file by file, after a change of the code that changes no number.

Usage: python bench/compare_results.py results/before results/after [--any-order]

Tables (.tsv, .parquet), matrices (.h5ad) and bundles (.safetensors) are compared by value to 1e-9
(--tolerance), in the order of their rows or, for tables, in any; columns that measure time are
left out. Prints a line for every file that differs or stands on one side alone, and exits with 1
if there is one.
"""

import argparse
import sys
from pathlib import Path

import anndata
import numpy as np
import pandas as pd
from safetensors.numpy import load_file

TIMES = {"seconds", "s"}
READERS = {
    ".tsv": lambda path: pd.read_csv(path, sep="\t", low_memory=False),
    ".parquet": pd.read_parquet,
    ".h5ad": lambda path: _of_anndata(anndata.read_h5ad(path)),
    ".safetensors": load_file,
}


def _of_anndata(data: anndata.AnnData) -> dict[str, np.ndarray]:
    obs = data.obs.reset_index()
    columns = {f"obs/{name}": obs[name].to_numpy() for name in obs}
    return {"X": np.asarray(data.X), "var": data.var_names.to_numpy(str), **columns}


def _text(values: np.ndarray) -> np.ndarray:
    return pd.Series(values.ravel()).fillna("").astype(str).to_numpy()


def difference(before, after, tolerance: float) -> str:
    """Say in a few words how two contents differ; empty where they do not."""
    names = [[key for key in side if key not in TIMES] for side in (before, after)]
    found = []
    if names[0] != names[1]:
        found.append(f"columns {sorted(set(names[0]) ^ set(names[1])) or 'in another order'}")
    for name in (name for name in names[0] if name in names[1]):
        a, b = np.asarray(before[name]), np.asarray(after[name])
        if a.shape != b.shape:
            return f"{name}: shape {a.shape} and {b.shape}"
        if a.dtype.kind in "fiub" and b.dtype.kind in "fiub":
            a, b = a.astype(float), b.astype(float)
            other = (a != b) & ~(np.isnan(a) & np.isnan(b))
            # Relative for values above 1, such as TPM.
            apart = np.abs(a - b)[other] / np.maximum(1, np.abs(a[other]))
            if np.isnan(apart).any() or (apart > tolerance).any():
                found.append(f"{name}: {other.sum()} of {a.size}, by {apart.max():.1e}")
        elif (_text(a) != _text(b)).any():
            found.append(f"{name}: other text")
    return "; ".join(found[:4])


def _sorted(content):
    """Sort a table by its columns that hold no decimal numbers."""
    if not isinstance(content, pd.DataFrame):
        return content
    keys = [name for name in content if content[name].dtype.kind != "f"]
    return content.sort_values(keys, ignore_index=True, key=lambda column: column.astype(str))


def main() -> int:
    """Compare the folders of the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("before", type=Path)
    parser.add_argument("after", type=Path)
    parser.add_argument("--tolerance", type=float, default=1e-9)
    parser.add_argument("--any-order", action="store_true", help="compare tables' rows sorted")
    options = parser.parse_args()
    sides = [
        {path.relative_to(folder) for path in folder.rglob("*") if path.suffix in READERS}
        for folder in (options.before, options.after)
    ]
    differing = 0
    for path in sorted(sides[0] | sides[1]):
        if path not in sides[0] or path not in sides[1]:
            text = "stands on one side alone"
        else:
            both = [READERS[path.suffix](side / path) for side in (options.before, options.after)]
            if options.any_order:
                both = [_sorted(content) for content in both]
            text = difference(*both, options.tolerance)
        if text:
            differing += 1
            print(f"{path}: {text}")
    print(f"{len(sides[0] | sides[1])} files compared, {differing} differ")
    return int(differing > 0)


if __name__ == "__main__":
    sys.exit(main())
