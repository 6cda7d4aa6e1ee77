"""People outside the cross-validation whom models are scored on."""
# fmt: off

from collections.abc import Iterator
from typing import Annotated, ClassVar

from pydantic import Field, StringConstraints

from mtm.errors import InputError
from mtm.settings.base import Names, Once, Section, key
from mtm.settings.transfer import Alignment
from mtm.vocabulary import MIN_OVERLAP, Units

OF_ANOTHER_COHORT = ("expression", "sample_attributes", "subject_phenotypes")
OF_A_PART = ("hold_out", "values")
EvaluationName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$")]


class ExternalEvaluation(Section):
    """Who is scored - another cohort (its three files, as in `inputs`), or all donors of this one with certain values in a column."""

    section: ClassVar = "evaluation.external.<name>"

    expression: str | None = key(None, "Another cohort's expression, as `inputs.expression`; its source tissue and others of the same donors, tissues named as in this cohort.", unit="TPM")
    sample_attributes: str | None = key(None, "Its samples, as `inputs.sample_attributes`.")
    subject_phenotypes: str | None = key(None, "Its donors, as `inputs.subject_phenotypes`.")
    units: Units | None = key(None, "Units of its expression, as `inputs.units`.")
    hold_out: str | None = key(None, "Column of this cohort's samples or donors in place of another cohort - `center`, `batch`, `hardy`, a column of `cohort/donors.tsv`. Models are trained without the donors who have one of `values` in any sample.")
    values: Annotated[tuple[str | int, ...], Once] = key((), "Values of the column `hold_out` that are held out, all together.")


class Evaluation(Section):
    """Whether accuracy holds for people from elsewhere (methods 6.14)."""

    section: ClassVar = "evaluation"

    external: dict[EvaluationName, ExternalEvaluation] = key({}, "Cohorts, sites or batches held out whole, by a name of your choice.")
    models: Names | None = key(None, "Models to score; null takes every model that predicts from the source tissue alone.")
    alignments: Annotated[tuple[Alignment, ...], Field(min_length=1), Once] = key(("none", "log2"), "How the mean and sd of every gene in the external source samples are brought to those of the training samples - not at all, of log2(1+TPM), or of TPM. The samples that are predicted are never touched.")
    min_gene_overlap: float = key(MIN_OVERLAP, "Least share of the cohort's genes that an external expression file must have; genes it lacks stand at their training mean and are not scored.", gt=0, le=1, unit="share of genes")

    def disagreements(self) -> Iterator[InputError]:
        """Demand another cohort or a part of this one, under every name."""
        for name, evaluation in self.external.items():
            given = [key for key in (*OF_ANOTHER_COHORT, *OF_A_PART) if getattr(evaluation, key)]
            if tuple(given) not in (OF_ANOTHER_COHORT[:2], OF_ANOTHER_COHORT, OF_A_PART):
                yield InputError(
                    f"external.{name}",
                    " and ".join(given) or "nothing",
                    f"{', '.join(OF_ANOTHER_COHORT)} of another cohort, or {' and '.join(OF_A_PART)}",
                )
