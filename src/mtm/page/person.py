"""A page about what a model says of one person, or of a few."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from mtm.errors import InputError
from mtm.models.card import accuracy_of
from mtm.models.cut import of_the_whole
from mtm.models.header import TargetAccuracy
from mtm.page.parts import rendered
from mtm.page.words import between, count, listed, number
from mtm.predictions.answers import Answers, Block, of_class, trust
from mtm.vocabulary import RELIABILITY

MOST_PEOPLE, MOST_GENES = 10, 50
# Genes of these classes are told.
RELIABLE = RELIABILITY.index("moderate")
# Half of what the picture of an interval is wide of, in sds, and its width and height on the page.
REACH, WIDTH, HEIGHT = 3.0, 160, 14
NOT_A_DIAGNOSIS = (
    "Not a diagnosis. These are estimates of what samples of these tissues would show, made for "
    "research from people who had died; no decision on anybody's health may rest on them."
)


@dataclass(frozen=True)
class _Told:
    """What stands out in a tissue of a person."""

    target: str
    source: str
    genes: list[dict]
    n_reliable: int
    certified: bool


def demand_few(n_people: int) -> None:
    """Refuse to make a page about a crowd."""
    if n_people > MOST_PEOPLE:
        raise InputError("--report", f"{n_people} people", f"at most {MOST_PEOPLE} on one page")


def build_person_page(
    answers: Answers, said: Mapping, notes: list[str], checks: pd.DataFrame | None = None
) -> str:
    """Make the page.

    Parameters
    ----------
    answers
        Of at most `MOST_PEOPLE` people.
    said
        From `mtm.predictions.answer_files.provenance`.
    notes
        What was done with the samples, in sentences.
    checks
        A row a sample, of `mtm.predictions.checks`; None where nothing was checked.

    Returns
    -------
    str
        HTML without a script that needs no other file and asks for none.
    """
    donors = list(dict.fromkeys(answers.rows["donor"]))
    demand_few(len(donors))
    told: dict[str, list[_Told]] = {donor: [] for donor in donors}
    for block in answers.blocks():
        for donor, tissue in _of_block(answers, block):
            told[donor].append(tissue)
    people = [
        {"name": donor, "place": f"person-{place}", "tissues": told[donor]}
        for place, donor in enumerate(donors)
    ]
    return rendered(
        "person.html.jinja",
        sections={"samples": "Samples", "tissues": "Tissues"}
        | {person["place"]: person["name"] for person in people},
        first_line=NOT_A_DIAGNOSIS,
        warning=True,
        who=listed(donors),
        sources=listed(_sources(answers)),
        people=people,
        tissues=_tissues(answers),
        trust=trust(answers),
        whole=of_the_whole(answers.model.cut),
        notes=notes,
        checks=[] if checks is None else checks.fillna("").to_dict("records"),
        said=said,
        in_tpm=answers.in_tpm,
        most=MOST_GENES,
        picture={"width": WIDTH, "height": HEIGHT, "reach": f"{REACH:g}"},
    )


def _sources(answers: Answers) -> list[str]:
    """Names of the tissues that anything is told from."""
    used = answers.requests.source_rows
    return [answers.model.tissues[i] for i in np.unique(answers.inputs.tissue[used[used >= 0]])]


def _tissues(answers: Answers) -> list[dict]:
    """Return how well each target is told, the best first."""
    measured = {row.target: row for row in accuracy_of(answers.model)}
    _, classes = answers.reliability(answers.targets)
    rows = []
    for place, name in enumerate(answers.targets):
        if unknown := _not_measured(answers, name):
            rows.append({"name": name, "unknown": unknown, "order": -1})
            continue
        counts = [int((classes[place] == code).sum()) for code in range(len(RELIABILITY))]
        row = measured.get(name, TargetAccuracy(target=name, n_samples=0, n_genes=0))
        limits = between(row.ci_low, row.ci_high)
        rows.append(
            {
                "name": name,
                "unknown": "",
                "n": count(row.n_samples),
                "rho": number(row.rho) + (f" ({limits})" if limits else ""),
                "covariates": number(row.covariates_rho),
                "counts": [count(n) for n in reversed(counts)],
                "order": sum(counts[RELIABLE:]),
            }
        )
    return sorted(rows, key=lambda row: -row["order"])


def _not_measured(answers: Answers, target: str) -> str:
    """Say why nothing is known of how well a target is told; empty where something is."""
    known, mine = answers.model.certificate, (answers.rows["target"] == target).to_numpy()
    if known is None or answers.certified[mine].any():
        return ""
    told = answers.rows["source"][mine].str.replace(";", " and ").unique()
    measured = " and ".join(known.sources)
    return f"not known of {target} told from {' or '.join(told[:3])}: measured from {measured}"


def _of_block(answers: Answers, block: Block) -> Iterator[tuple[str, _Told]]:
    """Yield the genes of each person and tissue that stand out among reliable ones."""
    genes = answers.genes
    for place, row in enumerate(answers.rows.iloc[block.part].itertuples()):
        rho, classes = (values[0] for values in answers.reliability([row.target]))
        certified = bool(answers.certified[block.part.start + place])
        reliable = (classes >= RELIABLE) & certified
        size = np.where(reliable & ~np.isnan(block.z[place]), np.abs(block.z[place]), -1)
        first = np.argsort(-size, kind="stable")[:MOST_GENES]
        shown = [
            {
                "symbol": str(genes["symbol"].iloc[g]),
                "gene_id": str(genes.index[g]),
                "z": _with_interval(block, place, g, "z", 2),
                "tpm": _with_interval(block, place, g, "tpm", 1),
                "rho": number(rho[g]),
                "class": of_class(classes[[g]])[0],
                "picture": _picture(block, place, g),
            }
            for g in first[size[first] >= 0]
        ]
        yield row.donor, _Told(row.target, row.source, shown, int(reliable.sum()), certified)


def _with_interval(block: Block, row: int, gene: int, scale: str, digits: int) -> str:
    """Write a value with the ends of its interval."""
    ends = (getattr(block, f"{end}_{scale}")[row, gene] for end in ("low", "high"))
    limits = between(*ends, digits)
    value = number(getattr(block, scale)[row, gene], digits)
    return f"{value} ({limits})" if limits else value


def _picture(block: Block, row: int, gene: int) -> dict[str, float]:
    """Return places of value and interval from left to right."""
    values = {
        "value": block.z[row, gene],
        "low": block.low_z[row, gene],
        "high": block.high_z[row, gene],
    }
    return {
        name: round(float(np.clip(np.nan_to_num(z) / REACH, -1, 1) + 1) * WIDTH / 2, 1)
        for name, z in values.items()
    }
