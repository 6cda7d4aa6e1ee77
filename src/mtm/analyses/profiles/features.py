"""What surrounds a gene, as numbers: never anything of its own expression (methods 6.23)."""

from dataclasses import dataclass

import numpy as np

from mtm.analyses.profiles.table import Table

# Added to a gene's sd over tissues: what is below it is noise.
FLOOR = 0.3
# Neighbours are weighted by exp(-distance / scale); bases.
SCALES = (5e3, 50e3, 300e3, 1500e3)
REACH = 12
# Neighbours whose level and distance stand by themselves, on either side.
NEXT = 3
DIVERGENT_SCALE = 10e3
# A family of n others is believed as n / (n + this).
FAMILY_WEIGHT = 3


@dataclass(frozen=True)
class Shapes:
    """Profiles about the mean of each tissue, as level and shape.

    Parameters
    ----------
    level
        Mean over the tissues seen, shape ``(n_genes,)``; 0 where none is.
    sd
        Over them, shape ``(n_genes,)``.
    shape
        Deviation from the level over sd + `FLOOR`, shape ``(n_genes, n_tissues)``; 0 in a hole.
    """

    level: np.ndarray
    sd: np.ndarray
    shape: np.ndarray

    @classmethod
    def of(cls, centred: np.ndarray) -> "Shapes":
        """Take profiles about the tissue means apart; NaN is a hole."""
        seen = np.isfinite(centred)
        n = seen.sum(1).clip(min=1)
        level = np.where(seen, centred, 0).sum(1) / n
        about = np.where(seen, centred - level[:, None], 0)
        sd = np.sqrt((about**2).sum(1) / n)
        return cls(level, sd, about / (sd + FLOOR)[:, None])


@dataclass(frozen=True)
class Neighbour:
    """The gene that is so many further along the chromosome.

    Parameters
    ----------
    row
        Of the table, shape ``(n_genes,)``; any where there is none.
    there
        Whether there is one.
    bases
        Between the starts.
    same_strand, divergent
        Whether both are read in one direction, or away from each other.
    """

    row: np.ndarray
    there: np.ndarray
    bases: np.ndarray
    same_strand: np.ndarray
    divergent: np.ndarray


def neighbour(table: Table, step: int) -> Neighbour:
    """Find the gene `step` (not 0) further along the chromosome."""
    chrom, tss, strand = (table.genes[name].to_numpy() for name in ("chrom", "tss", "strand"))
    here = np.arange(table.n_genes)
    row = (here + step).clip(0, table.n_genes - 1)
    there = (row == here + step) & (chrom[row] == chrom)
    bases = np.abs(tss[row] - tss).astype(float)
    same = there & (strand[row] == strand) & (strand != 0)
    divergent = there & (strand == -np.sign(step)) & (strand[row] == np.sign(step))
    return Neighbour(row, there, bases, same, divergent)


def nearest(table: Table, measured: np.ndarray) -> np.ndarray:
    """Return the row of the nearest gene that is `measured`; -1 where there is none."""
    best = np.full(table.n_genes, -1)
    least = np.full(table.n_genes, np.inf)
    for step in [*range(-REACH, 0), *range(1, REACH + 1)]:
        one = neighbour(table, step)
        closer = one.there & measured[one.row] & (one.bases < least)
        best[closer], least[closer] = one.row[closer], one.bases[closer]
    return best


def neighbour_features(table: Table, known: Shapes) -> np.ndarray:
    """Return what the genes beside each have: shapes by distance and direction, levels, distances.

    Returns
    -------
    np.ndarray
        Shape ``(n_genes, 5 n_tissues + 18)``.
    """
    sums = np.zeros((len(SCALES) + 1, *known.shape.shape))
    near = []
    for step in [*range(-REACH, 0), *range(1, REACH + 1)]:
        one = neighbour(table, step)
        for place, scale in enumerate(SCALES):
            weight = np.where(one.there, np.exp(-one.bases / scale), 0)
            sums[place] += weight[:, None] * known.shape[one.row]
        if abs(step) <= NEXT:
            weight = np.where(one.there, np.exp(-one.bases / DIVERGENT_SCALE), 0)
            sums[-1] += (weight * one.divergent)[:, None] * known.shape[one.row]
            level = np.where(one.there, known.level[one.row], 0)
            bases = np.log1p(np.where(one.there, one.bases, SCALES[-1]))
            near += [level, bases, weight * one.same_strand]
    return np.hstack([*sums, np.stack(near, 1)])


def family_features(family: np.ndarray, known: Shapes, measured: np.ndarray) -> np.ndarray:
    """Return the mean shape and level of a gene's family without itself, shrunk as it is small.

    Returns
    -------
    np.ndarray
        Shape ``(n_genes, n_tissues + 2)``; the last is how many there are, as ``log1p``.
    """
    values = np.hstack([known.shape, known.level[:, None]])
    n_families = family.max(initial=-1) + 1
    counts = measured & (family >= 0)
    sums = np.zeros((n_families + 1, values.shape[1]))
    np.add.at(sums, family[counts], values[counts])
    n = np.bincount(family[counts], minlength=n_families + 1)[family] - counts
    n = np.where(family >= 0, n, 0)
    others = sums[family] - np.where(counts[:, None], values, 0)
    mean = np.where(n[:, None] > 0, others, 0) / (n + FAMILY_WEIGHT)[:, None]
    return np.hstack([mean, np.log1p(n)[:, None]])


def conservation_features(value: np.ndarray) -> np.ndarray:
    """Return conservation and its square about their means, 0 where it is not known."""
    both = np.stack([value, value**2], 1)
    known = np.isfinite(value)
    return np.where(known[:, None], both - both[known].mean(0), 0)


@dataclass(frozen=True)
class Surroundings:
    """What is known of genes beside expression.

    Parameters
    ----------
    table
        The genes.
    parts
        Names of the linear parts to use, in order.
    fixed
        Features that no expression enters, by part, each ``(n_genes, n_features)``.
    promoters
        Sequences; empty where there is none.
    """

    table: Table
    parts: tuple[str, ...]
    fixed: dict[str, np.ndarray]
    promoters: list[str]

    def features(self, expr_log2: np.ndarray, tissue_mean: np.ndarray) -> dict[str, np.ndarray]:
        """Return the features of every part, of what is to be seen of the table.

        Parameters
        ----------
        expr_log2
            The table's, shape ``(n_genes, n_tissues)``, genes that must not be seen being holes.
        tissue_mean
            Of training genes, shape ``(n_tissues,)``.
        """
        known = Shapes.of(expr_log2 - tissue_mean)
        measured = np.isfinite(expr_log2).any(1)
        made = dict(self.fixed)
        if "neighbours" in self.parts:
            made["neighbours"] = neighbour_features(self.table, known)
        if "family" in self.parts:
            made["family"] = family_features(self.table.family(), known, measured)
        return {part: made[part] for part in self.parts}
