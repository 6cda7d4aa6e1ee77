"""The configuration of a run: every section."""
# fmt: off

from collections.abc import Iterator
from difflib import get_close_matches
from typing import Annotated

from pydantic import Field, StringConstraints

from mtm.errors import InputError, shown
from mtm.settings.accuracy import AccuracySettings
from mtm.settings.any_sources import AnySources
from mtm.settings.base import Label, Section, Switch, key
from mtm.settings.cohort import Columns, Filters, Folds, Inputs
from mtm.settings.comparison import Comparison
from mtm.settings.disease import DiseaseSettings
from mtm.settings.disease_status import StatusSettings
from mtm.settings.evaluation import Evaluation
from mtm.settings.external import External, ExternalName, OrNull
from mtm.settings.gene_characteristics import GeneCharacteristics
from mtm.settings.growth import Growth
from mtm.settings.imputation import COUNTED, Imputation
from mtm.settings.intervals import IntervalSettings
from mtm.settings.landmarks import Landmarks
from mtm.settings.model_card import ModelCard
from mtm.settings.profiles import ProfileSettings
from mtm.settings.ranks import Ranks
from mtm.settings.representations import Representations
from mtm.settings.scaling import Scaling
from mtm.settings.simulation import SimulationSettings
from mtm.settings.storage import Storage
from mtm.settings.training import (
    ModelSettings,
    TrainingSettings,
    model_problems,
    names_of,
    sharing_problems,
    takes_several,
    with_fits,
)
from mtm.settings.traits import TraitSettings
from mtm.settings.transfer import TransferSection
from mtm.vocabulary import OWN_UNITS

CohortName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$", max_length=64)]
ModelName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_]*$", max_length=64)]
File = Annotated[str, Field(description="Path of the file.")]

# Where a simulation's own truth may stand among models: it is fitted to nothing.
OF_ORACLE = ("traits.models", "representations.models")
# Names at least so alike differ by a slip of the hand.
TYPO = 0.8


class Config(Section):
    """One cohort, its models and how they are scored."""

    cohort: CohortName = key(..., "Name of the cohort; the folder of its results under `results/`.")
    inputs: Inputs
    columns: Columns = Columns()
    local_files: dict[str, File] = key({}, "Files already at hand, by dataset name of `config/datasets.tsv`. They are used in place of a download, which makes a run fully offline.")
    filters: Filters = Filters()
    source: Label = key("Whole Blood", "Tissue (SMTSD) that single-source models predict from.")
    folds: Folds = Folds()
    scaling: Scaling = Scaling()
    training: TrainingSettings = TrainingSettings()
    storage: Storage = Storage()
    models: dict[ModelName, ModelSettings] = key(..., "Models to fit and compare, by a name of your choice.", min_length=1)
    comparison: Comparison = Comparison()
    gene_characteristics: GeneCharacteristics = GeneCharacteristics()
    traits: TraitSettings = TraitSettings()
    disease: DiseaseSettings = DiseaseSettings()
    disease_status: StatusSettings = StatusSettings()
    transfer: TransferSection = TransferSection()
    representations: Representations = Representations()
    accuracy: AccuracySettings = AccuracySettings()
    any_sources: AnySources = AnySources()
    growth: Growth = Growth()
    landmarks: Landmarks = Landmarks()
    profiles: ProfileSettings = ProfileSettings()
    ranks: Ranks = Ranks()
    imputation: Imputation = Imputation()
    intervals: IntervalSettings = IntervalSettings()
    evaluation: Evaluation = Evaluation()
    external: Annotated[dict[ExternalName, External] | None, OrNull] = key(None, "Cohorts from elsewhere of one tissue, cases and controls, by a name of your choice; null where there is none.")
    simulation: SimulationSettings | None = None
    final_bundle: Switch = key(False, "Also fit every model on all donors and write `bundles/{model}.safetensors`, for predictions of new people, with intervals and reliability from the cross-validation.")
    model_card: ModelCard = ModelCard()
    warm_start: Switch = key(False, "Start jobs of one thread where the libraries are loaded already, not as a fresh Python each: for small cohorts, whose jobs take less time than their imports. Concerns jobs on this machine (Linux) without a graphics card; `--max-threads 1` makes it all of these.")
    fewest_people: int = key(1, "Rows of fewer people are left out of what leaves the building: the result page, its figures, and `tables/`. 1 leaves all in; terms of data ask for 5 or 10 (docs/sharing.md).", ge=1, le=1000, unit="people")

    def disagreements(self) -> Iterator[InputError]:
        """Yield what keys of one section demand of another's."""
        excluded = set(self.filters.exclude_tissues)
        if self.filters.gene_biotypes and not (self.inputs.gene_list or self.inputs.gene_model):
            yield InputError(
                "inputs.gene_model",
                "nothing (null)",
                "a gene model, which filters.gene_biotypes needs",
                "Set filters.gene_biotypes to null to keep every gene.",
            )
        if self.source in excluded:
            yield InputError(
                "filters.exclude_tissues",
                f"the source tissue {self.source!r}",
                "tissues other than the key `source`",
            )
        if self.simulation is not None and self.simulation.source != self.source:
            yield InputError(
                "simulation.source",
                repr(self.simulation.source),
                f"the same tissue as the key `source`, {self.source!r}",
            )
        if self.simulation is not None and "oracle" in self.models:
            yield InputError(
                "models.oracle",
                "a model called 'oracle'",
                "another name",
                "A simulated cohort's own oracle takes this name.",
            )
        yield from self._of_external()
        yield from self._unknown_models()
        yield from self._without_tpm()
        yield from self._without_counts()
        yield from sharing_problems(self.models)
        models = with_fits(self.models)
        yield from model_problems(models)
        for name, model in models.items():
            lost = excluded.intersection(() if isinstance(model.sources, str) else model.sources)
            if lost:
                yield InputError(
                    f"models.{name}.sources",
                    f"excluded tissues {', '.join(sorted(lost))}",
                    "tissues that filters.exclude_tissues keeps",
                )
            elif not takes_several(model, models) and model.sources not in (
                "source",
                (self.source,),
            ):
                yield InputError(
                    f"models.{name}.sources",
                    repr(model.sources if isinstance(model.sources, str) else list(model.sources)),
                    f"source, as a model of class {model.class_} sees one tissue",
                )

    def _without_tpm(self) -> Iterator[InputError]:
        """Yield what demands TPM of expression on another scale."""
        cpm = self.inputs.units == "counts" and not self.inputs.gene_model
        for name, other in self.evaluation.external.items():
            if other.units == "counts" and not cpm:
                expected = "TPM: lengths of genes are not read for another cohort"
                yield InputError(f"evaluation.external.{name}.units", "counts", expected)
        if self.inputs.units not in OWN_UNITS:
            return
        why = f"as inputs.units {self.inputs.units} has no TPM"
        for name, model in self.models.items():
            for where in ("scale", "target_scale"):
                if model.parameters.get(where) == "tpm_z":
                    yield InputError(f"models.{name}.parameters.{where}", "tpm_z", f"log2_z, {why}")
        if self.evaluation.external and "tpm" in self.evaluation.alignments:
            yield InputError("evaluation.alignments", "tpm", f"none or log2, {why}")

    def _without_counts(self) -> Iterator[InputError]:
        """Yield what imputation demands of counts."""
        counted = [name for name in self.imputation.methods if name in COUNTED]
        if counted and not self.inputs.counts:
            yield InputError(
                "imputation.methods",
                f"{' and '.join(counted)} without read counts",
                "a file of read counts (inputs.counts), or gaussian and vae alone",
            )
        if counted and self.inputs.units in OWN_UNITS:
            yield InputError("imputation.methods", " and ".join(counted), f"gaussian and vae alone, as inputs.units {self.inputs.units} has no TPM")

    def _of_external(self) -> Iterator[InputError]:
        """Yield what external cohorts demand of each other, and of the models."""
        for name, external in (self.external or {}).items():
            for problem in external.problems():
                where = f"external.{name}.{problem.where}"
                yield InputError(where, problem.found, problem.expected)
            if external.source not in (None, self.source) and not self._any_source():
                yield InputError(
                    f"external.{name}.source",
                    repr(external.source),
                    f"{self.source!r}, the key `source`, or transfer.models that take any tissue",
                )

    def _any_source(self) -> bool:
        """Whether all models that external cohorts are taken through can take any tissue."""
        models = with_fits(self.models)
        named = [models[name] for name in self.transfer.models or () if name in models]
        return bool(named) and all(takes_several(model, models) for model in named)

    def _unknown_models(self) -> Iterator[InputError]:
        """Yield names that sections have for models which the run has not."""
        known = {one for name, model in self.models.items() for one in names_of(name, model)}
        oracle = {"oracle"} if self.simulation is not None else set()
        comparison = self.comparison
        named = {f"{section}.models": value.models or () for section, value in self if hasattr(value, "models")}
        named |= {f"comparison.pairs.{place}": pair for place, pair in enumerate(comparison.pairs)}
        # The baseline of the default may be missing: it is one of many runs.
        named |= {
            f"{section}.baseline": (value.baseline,)
            for section, value in self
            if hasattr(value, "baseline") and value.baseline != type(value)().baseline
        }
        named["storage.drop_fold_bundles"] = self.storage.drop_fold_bundles
        named["comparison.venn_models"] = comparison.venn_models or ()
        for where, names in named.items():
            for name in names:
                if name not in known | (oracle if where in OF_ORACLE else set()):
                    near = get_close_matches(name, known, n=1)
                    # Of a model that was taken out nothing is kept; what is mistyped is told.
                    if where == "storage.drop_fold_bundles" and not get_close_matches(name, known, 1, TYPO):
                        continue
                    hint = f"Did you mean {near[0]!r}?" if near else ""
                    yield InputError(where, shown(name), f"models of the run: {', '.join(self.models)}", hint)
