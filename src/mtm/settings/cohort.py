"""Where the cohort comes from, what enters it, and how donors are held out."""
# fmt: off

from collections.abc import Iterator
from typing import ClassVar, Literal

from mtm.errors import InputError
from mtm.settings.base import Labels, Section, key, seed
from mtm.vocabulary import Units


class Inputs(Section):
    """The cohort's files. Each is the name of a dataset of `config/datasets.tsv`, which is fetched, or the path of a file."""

    section: ClassVar = "inputs"

    expression: str = key(..., "Gene expression of every sample in TPM, not log-transformed, as GCT (may be gzipped) or h5ad.", unit="TPM")
    units: Units | None = key(None, "Units of the expression file. null takes it for TPM and refuses what does not look like it, sample by sample; `tpm` believes it; `log2` is log2(1+TPM), which is turned to TPM.")
    sample_attributes: str = key(..., "Table with one row a sample (GTEx SampleAttributesDS) - SAMPID, SMTSD and, where it has them, SMRIN, SMTSISCH, SMCENTER, SMGEBTCH, SMATSSCR, SMPTHNTS.")
    subject_phenotypes: str = key(..., "Table with one row a donor (GTEx SubjectPhenotypesDS) - SUBJID, SEX, AGE in 10-year brackets, DTHHRDY.")
    gene_model: str | None = key(None, "Gene model (GTF) that gives genes their biotype and symbol; needed where `filters.gene_biotypes` is set.")
    gene_list: str | None = key(None, "Table of the genes to keep, in place of a choice by biotype.")
    controlled_phenotypes: str | None = key(None, "Controlled-access table with one row a donor (dbGaP phs000424) - exact age, BMI, race, medical history. Without it, the analyses that need it are listed as skipped in the report.")
    conservation: str | None = key(None, "Conservation of every base as bigWig (phastCons100way of the genome build of `gene_model`), or a table with a column `gene_id` and one value a gene.")
    interactions: str | None = key(None, "Protein interactions in one of HIPPIE's download formats (tab or MITAB), or a table of two columns that name partners.")
    gene_identifiers: str | None = key(None, "Table that ties Ensembl gene ids to symbols, Entrez ids and UniProt accessions (HGNC's complete set); used to place interactions.")
    landmarks: str | None = key(None, "List of the genes that a panel assay measures, by Ensembl id or symbol; the others are told from them (methods 6.20).")
    external_expression: str | None = key(None, "Expression of an external cohort's source tissue in TPM, not log-transformed, genes in rows and samples in columns.", unit="TPM")
    external_samples: str | None = key(None, "Table with one row a sample of the external cohort - `sample`, `group` and, where they are known, `sex` and `age`.")


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
