"""Cohorts from elsewhere whose cases and controls are taken through the models."""
# fmt: off

from collections.abc import Iterator
from typing import Annotated, ClassVar, Literal

from pydantic import BeforeValidator, Field, StringConstraints

from mtm.errors import InputError
from mtm.settings.base import Label, Once, Section, key

ExternalName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_]*$", max_length=64)]
Accession = Annotated[str, StringConstraints(pattern=r"^GSE[1-9][0-9]{0,8}$")]
Platform = Annotated[str, StringConstraints(pattern=r"^GPL[1-9][0-9]{0,8}$")]
# One value or several; text may have * and ? for any letters, capitals do not count.
Values = str | int | Annotated[tuple[str | int, ...], Field(min_length=1), Once]
OfField = Annotated[Values, Field(description="Its value, or values, in the samples that count; `*` and `?` stand for any letters.")]
ExternalUnits = Literal["tpm", "log2", "rpkm", "counts"]
SEX, AGE = "sex", "age"


def _null(value: object) -> object:
    return None if value == "null" else value


# Snakemake's `--config external=null` makes text of null.
OrNull = BeforeValidator(_null)


def in_words(values: Values) -> str:
    """Write a value, or several, of a field."""
    return " or ".join(map(str, values)) if isinstance(values, tuple) else str(values)


def _fields_in_words(fields: dict[str, OfField]) -> str:
    return ", ".join(f"{name} {in_words(values)}" for name, values in fields.items())


class Groups(Section):
    """Which people are cases and which controls; all others are left out."""

    section: ClassVar = "external.<name>.group"

    field: str = key("group", "Field of the samples that tells it - a characteristic of the series, a column of the table.")
    case: Values = key("case", "Its value, or values, of cases; `*` and `?` stand for any letters.")
    control: Values = key("control", "Of controls.")


# Nobody is told from anybody.
EVERYBODY = Groups(field="sample", case="*", control="-")


class External(Section):
    """People from elsewhere - a series of GEO by its accession, or files. Fields are named in whatever capitals and signs; `docs/geo.md` has an example."""

    section: ClassVar = "external.<name>"

    geo: Accession | None = key(None, "Accession of a GEO series; its samples and NCBI's TPM of them are fetched.")
    platform: Platform | None = key(None, "Platform whose matrix is read, of a series that has several.")
    expression: str | None = key(None, "Expression of the people in place of a series, genes in rows and samples in columns (or h5ad) - Ensembl ids, Entrez ids or symbols. The name of a dataset, or a file.")
    samples: str | None = key(None, "Table with one row a sample of `expression`, `sample` and the fields below; null where the names of samples tell all (field `sample`).")
    units: ExternalUnits | None = key(None, "Units of `expression`. null takes TPM and refuses what cannot be TPM; `tpm` believes it, of a series too; `rpkm` (or FPKM) become TPM by the sum of the sample over all rows of the file; `counts`, normalised or not, by the lengths of genes in `inputs.gene_model`.")
    source: Label | None = key(None, "Tissue of the samples; null is the key `source`.")
    group: Groups = Groups()
    keep: dict[str, OfField] = key({}, "Samples that are compared - a value, or several, of one or more fields; of a person with several such samples the first counts.")
    follow_up: dict[str, OfField] = key({}, "Later samples of the same people, likewise - the change within a person is compared, too. Needs `donor`.")
    donor: str | None = key(None, "Field that names the person; null takes every sample for a person.")
    sex: str | None = key(SEX, "Field of the sex; people of one sex are permuted among themselves. null where none is to count.")
    age: str | None = key(AGE, "Field of the age in years, a covariate. null where none is to count.")
    contrast: Label | None = key(None, "Contrast of this cohort that the groups stand for; null is `transfer.contrast`.")

    @property
    def in_words(self) -> str:
        """What chooses samples and people, for whoever reads the result."""
        chosen = {"keep": self.keep, "follow-up": self.follow_up}
        said = [f"{name} {_fields_in_words(fields) or 'null'}" for name, fields in chosen.items()]
        return "; ".join([*said, f"donor {self.donor or 'null, each sample a person'}"])

    def problems(self) -> Iterator[InputError]:
        """Demand a series or a file, and people where they come twice; `where` is the key."""
        if (self.geo is None) == (self.expression is None):
            yield InputError("geo", "a series and files" if self.geo else "neither a series nor files", "`geo`, or `expression` and perhaps `samples`")
        if self.geo and self.samples:
            yield InputError("samples", "files beside a series", "`geo`, or `expression` and perhaps `samples`")
        if self.geo and self.units not in (None, "tpm"):
            yield InputError("units", f"{self.units}, as of files beside a series", "null, or `tpm` to believe NCBI's TPM of it")
        if self.platform and not self.geo:
            yield InputError("platform", "a platform without a series", "null")
        if self.follow_up and not self.donor:
            yield InputError("donor", "nothing (null)", "the field that names the person, as `follow_up` is set")
