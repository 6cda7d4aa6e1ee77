"""Where the cohort comes from, what enters it, and how donors are held out."""
# fmt: off

from collections.abc import Iterator
from typing import Annotated, ClassVar, Literal

from pydantic import Field, StringConstraints

from mtm.errors import InputError
from mtm.settings.base import Labels, Once, Section, key, seed
from mtm.vocabulary import Units

Use = Literal["covariate", "trait", "status"]
OwnName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9_]*$", max_length=64)]


class Inputs(Section):
    """The cohort's files. Each is the name of a dataset of `config/datasets.tsv`, which is fetched, or the path of a file."""

    section: ClassVar = "inputs"

    expression: str = key(..., "Gene expression of every sample - GCT, a table of genes (rows) by samples, tab-separated or `.csv`, either may be gzipped, or h5ad.")
    units: Units | None = key(None, "Units of the expression file. null takes it for TPM and refuses what does not look like it, sample by sample; `tpm` believes it. Turned to TPM are `log2`, which is log2(1+TPM), `rpkm` (or FPKM) and `counts` of reads, by the lengths of genes in `gene_model`; without it counts become CPM. Kept on their scale are `zscores` and `intensity`, logarithms of anything else (intensities of arrays, ratios, CPM); what needs TPM is left out.")
    sample_attributes: str = key(..., "Table with one row a sample, tab-separated or `.csv` (GTEx SampleAttributesDS) - sample, tissue and, but for GTEx's own sample ids, donor; further columns as far as it has them. `columns` names them.")
    subject_phenotypes: str | None = key(None, "Table with one row a donor (GTEx SubjectPhenotypesDS) - donor and, as far as it has them, sex, age and Hardy class. Without it, what the table of samples says of donors is taken.")
    gene_model: str | None = key(None, "Gene model (GTF) that gives genes their biotype and symbol; needed where `filters.gene_biotypes` is set.")
    gene_list: str | None = key(None, "Table of the genes to keep, in place of a choice by biotype.")
    controlled_phenotypes: str | None = key(None, "Controlled-access table with one row a donor (dbGaP phs000424) - exact age, BMI, race, medical history. Without it, the analyses that need it are listed as skipped in the report.")
    conservation: str | None = key(None, "Conservation of every base as bigWig (phastCons100way of the genome build of `gene_model`), or a table with a column `gene_id` and one value a gene.")
    interactions: str | None = key(None, "Protein interactions in one of HIPPIE's download formats (tab or MITAB), or a table of two columns that name partners.")
    gene_identifiers: str | None = key(None, "Table that ties Ensembl gene ids to symbols, Entrez ids and UniProt accessions (HGNC's complete set); used to place interactions.")
    landmarks: str | None = key(None, "List of the genes that a panel assay measures, by Ensembl id or symbol; the others are told from them (methods 6.22).")
    rank_encoder: str | None = key(None, "Weights that the encoder of rank values starts from (`.safetensors`, written by this analysis for any genes); they must be of donors whom no fold here holds out (methods 6.25).")
    counts: str | None = key(None, "Read counts of the samples of `expression`, by the same ids of samples and genes, in any of its forms; whole numbers. Needed by the imputation of counts (methods 6.24).")


class OwnColumn(Section):
    """A covariate of your own, by the name it has in results. It is the donors' where it stands in their table, or is the same in all samples of every donor."""

    section: ClassVar = "columns.covariates.<name>"

    column: str | None = key(None, "Its column; null is the name itself. One that would be read by its GTEx name, AGE for instance, is then this covariate alone.")
    kind: Literal["number", "category"] | None = key(None, "What it holds; null takes numbers where every filled field is one. Levels that are numbers get the name before them (`diet=1`).")
    use: Annotated[tuple[Use, ...], Field(min_length=1), Once] = key(("covariate",), "What it is for - `covariate` of every model that takes any, and of accuracy beyond covariates; `trait` that genes may go with (donors'); `status` of cases and controls.")
    case: str | int | None = key(None, "Value of a case, where it is a status; all others are controls. null takes a column of 0 and 1 (a case).")


class Columns(Section):
    """Names of columns in the tables of samples and donors, GTEx's by default. Of those that you do not name a table may lack any but the sample's id, donor and tissue."""

    section: ClassVar = "columns"

    sample_id: str = key("SAMPID", "Sample, as in the expression file.")
    donor: str = key("SUBJID", "Donor, in both tables. A table of samples without SUBJID has donors in GTEx's own sample ids.")
    donor_id: str | None = key(None, "Donor in the table of donors, where it has another name there.")
    tissue: str = key("SMTSD", "Tissue.")
    batch: str = key("SMGEBTCH", "Batch of a sample.")
    center: str = key("SMCENTER", "Center of a sample; a covariate.")
    rin: str = key("SMRIN", "RNA integrity number; a covariate.")
    ischemic_minutes: str = key("SMTSISCH", "Minutes from death to sampling; a covariate.")
    autolysis: str = key("SMATSSCR", "Autolysis, 0 to 3.")
    pathology_notes: str = key("SMPTHNTS", "Notes of the pathologist on a sample.")
    sex: str = key("SEX", "Sex; 1, M and Male are 1 in results, 2, F and Female 2, whatever their case. A covariate.")
    age: str = key("AGE", "Age in years or as a bracket of years, 60-69; an age in other units is a covariate of your own. A covariate.")
    hardy: str = key("DTHHRDY", "Hardy class of death, 0 to 4; a covariate.")
    covariates: dict[OwnName, OwnColumn] = key({}, "Covariates of your own, by a name of your choice.")

    def used_for(self, use: Use) -> tuple[str, ...]:
        """Names of the cohort's own covariates that are for `use`."""
        return tuple(name for name, own in self.covariates.items() if use in own.use)

    def is_named(self, role: str) -> bool:
        """Whether the configuration names the column of a role itself."""
        return getattr(self, role) != type(self).model_fields[role].default

    def read_as(self, role: str) -> str | None:
        """Name of the column of a role; None where a covariate of your own takes GTEx's."""
        own = {own.column or name for name, own in self.covariates.items()}
        column = getattr(self, role)
        return None if column in own and not self.is_named(role) else column

    def disagreements(self) -> Iterator[InputError]:
        """Keep names of results apart, and what only a status has to a status."""
        taken = {*type(self).model_fields, "age_bracket", "freeze", "column", "symbol", "fold", "cohort", "model"}
        for name, own in self.covariates.items():
            if name in taken:
                yield InputError(f"covariates.{name}", f"the name {name}", "a name that no column of results has")
            if own.case is not None and "status" not in own.use:
                yield InputError(f"covariates.{name}.case", repr(own.case), "none, as it is no status")


class Filters(Section):
    """Which samples, donors, tissues and genes enter the cohort; applied in the order of the rows of `cohort/filtering.tsv`."""

    section: ClassVar = "filters"

    gene_biotypes: tuple[str, ...] | None = key(("protein_coding",), "Gene types of the gene model to keep; null keeps every gene.")
    min_samples_per_tissue: int = key(50, "A tissue with fewer samples is left out. He et al. 2023 keep 49 of 54 tissues with 50.", ge=1, unit="samples")
    min_samples_per_donor: int = key(2, "A donor with fewer samples in the kept tissues is left out; 2 is the least that gives a pair.", ge=1, unit="samples")
    exclude_tissues: Labels = key((), "Tissues (SMTSD) to leave out whatever their size.")


class Folds(Section):
    """How donors are held out; every sample of a donor is held out in the same fold."""

    section: ClassVar = "folds"

    scheme: Literal["published", "balanced", "holdout"] = key("published", "`published` - each donor's fold drawn independently as in the published code (unequal folds); `balanced` - folds balanced over donors with the source tissue and rare tissues; `holdout` - one fold, a fifth of the donors at random.")
    n_folds: int = key(5, "Number of folds; 1 with the scheme `holdout`, 2 or more with any other.", ge=1, le=100, unit="folds")
    seed: int = seed("Seed of the draw; 666 is the published code's.", 666)

    def disagreements(self) -> Iterator[InputError]:
        """Hold a scheme to its numbers of folds."""
        if (self.scheme == "holdout") != (self.n_folds == 1):
            yield InputError(
                "n_folds",
                f"{self.n_folds} with the scheme {self.scheme}",
                "1 with the scheme holdout, 2 or more with any other",
            )
