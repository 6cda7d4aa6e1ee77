"""For Python: a bundle loaded, samples checked and predicted, AnnData in and out."""

import logging
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import anndata
import pandas as pd

from mtm.cohort.fields import FIELDS, check_traits
from mtm.errors import InputError, shown
from mtm.models.base import Predictor
from mtm.models.registry import load as load_predictor
from mtm.predictions.alignment import align_to_training
from mtm.predictions.answer_files import provenance, to_anndata
from mtm.predictions.answers import ask, targets_for
from mtm.predictions.gene_overlap import GeneChoice, find_genes
from mtm.predictions.sample_tables import (
    CHECKED_COVARIATE,
    TISSUE_COLUMNS,
    UNKNOWN,
    absent_covariates,
    absent_in_words,
    check_obs_columns,
)
from mtm.predictions.samples import (
    NewSamples,
    checks_of,
    fill_missing,
    samples_of_matrix,
)
from mtm.vocabulary import MIN_OVERLAP, NewAlignment, Units

LOGGER = logging.getLogger(__name__)


# As messages name options of `mtm predict`, and what some are here.
_OPTION = re.compile(r"(?<![^\s(])--([a-z]+(?:-[a-z]+)*)")
_IN_ADATA = {"traits": "obs", "samples": "obs"}


@contextmanager
def _named_as_arguments() -> Iterator[None]:
    """Name in an error what the command line calls --min-overlap as Python does, min_overlap."""

    def argument(option: re.Match) -> str:
        return _IN_ADATA.get(option[1], option[1].replace("-", "_"))

    try:
        yield
    except InputError as error:
        raise error.reworded(lambda text: _OPTION.sub(argument, text)) from None


class Model:
    """A fitted model of a bundle; made by `load`.

    Parameters
    ----------
    predictor
        The model itself, for whoever wants more of it than is here.
    bundle
        The file it is from; None for none.
    """

    def __init__(self, predictor: Predictor, bundle: Path | None = None):
        self.predictor = predictor
        self.bundle = bundle

    def __repr__(self) -> str:
        return (
            f"<mtm.Model {self.predictor.name}: {len(self.tissues)} tissues, "
            f"{len(self.genes):,} genes>"
        )

    @property
    def tissues(self) -> tuple[str, ...]:
        """Names of the tissues that it knows, of which it had training samples."""
        return self.predictor.known_tissues

    @property
    def genes(self) -> pd.DataFrame:
        """Its genes, indexed by Ensembl id: ``symbol``."""
        return self.predictor.genes

    # Long as it says what AnnData has on both sides.
    @_named_as_arguments()
    def predict(
        self,
        adata: anndata.AnnData,
        *,
        source: str | None = None,
        target: str | Iterable[str] | None = None,
        layer: str | None = None,
        units: Units | None = None,
        align: NewAlignment = "shift",
        genes: str | Iterable[str] | None = None,
        min_reliability: str | float | None = None,
        min_overlap: float = MIN_OVERLAP,
    ) -> anndata.AnnData:
        """Predict tissues of people.

        Covariates of the model that no sample has are missing for all, with a warning in the log.

        Parameters
        ----------
        adata
            Samples as observations, genes as variables, named by Ensembl id with or without
            version; TPM in X. ``obs`` may have ``donor`` (samples of one donor are used together
            by models that can), ``tissue``, and covariates (``sex``, ``age``, ...); columns that
            the model does not use are passed over.
        source
            Tissue of the samples; None where ``obs["tissue"]`` says it.
        target
            Tissue or tissues to predict; None for all others of the model.
        layer
            Take values from this layer in place of X.
        units
            ``"tpm"`` or ``"log2"``, log2(1+TPM); None takes TPM and refuses what cannot be TPM.
        align
            How samples are brought to what training samples are like: ``"shift"``, ``"combat"``,
            ``"quantile"`` or ``"none"``.
        genes
            Symbol or id of a gene to tell, or several; None for all.
        min_reliability
            Tell genes of this class at least (``"low"``, ``"moderate"``, ``"high"``), or of this
            expected correlation; elsewhere values are NaN.
        min_overlap
            Smallest share of the model's genes that the samples must have.

        Returns
        -------
        anndata.AnnData
            One observation a person and target. X and layer ``tpm`` are TPM, ``log2`` is
            log2(1+TPM), ``z`` the z-score in the target among training samples; with a certified
            bundle ``low`` and ``high`` are the ends of the widest interval, in TPM, and
            ``varm["reliability"]`` and ``varm["reliability_class"]`` have a column for each of
            ``uns["mtm"]["targets"]``. ``uns["mtm"]`` says what was done with what.

        Raises
        ------
        mtm.errors.InputError
            The samples, a name or a value are not what they should be.
        """
        model = self.predictor
        choice = GeneChoice.every(len(model.genes))
        if genes is not None:
            choice = GeneChoice(find_genes(model.genes, _names(genes), "genes").columns)
        if min_reliability is not None:
            choice = choice.least(model.certificate, str(min_reliability))
        samples = self._samples(adata, source, layer, units, min_overlap)
        asked = None if target is None else _names(target)
        targets = targets_for(model, samples, asked)
        moved = align_to_training(model, samples, align)
        filled = fill_missing(model, samples)
        answers, _ = ask(model, samples, targets, choice)
        if absent := absent_covariates(model, samples.table):
            LOGGER.warning("%s", absent_in_words(absent))
        said = provenance(
            model, self.bundle, moved, genes_set_to_training_mean=filled, covariates_missing=absent
        )
        return to_anndata(answers, said)

    @_named_as_arguments()
    def check(
        self,
        adata: anndata.AnnData,
        *,
        source: str | None = None,
        layer: str | None = None,
        units: Units | None = None,
        min_overlap: float = MIN_OVERLAP,
    ) -> pd.DataFrame:
        """Hold samples against what the training donors' are like.

        Parameters
        ----------
        adata, source, layer, units, min_overlap
            As in `predict`. ``obs["sex"]`` (1 male, 2 female) is held against the sex genes.

        Returns
        -------
        pandas.DataFrame
            A row a sample, indexed by it: ``status`` ("pass", "warn", "unchecked"), ``says``
            (why, in words) and the figures behind it.

        Raises
        ------
        mtm.errors.InputError
            The samples, a name or a value are not what they should be.
        """
        samples = self._samples(adata, source, layer, units, min_overlap)
        return checks_of(self.predictor, samples).set_index("sample_id")

    def _samples(
        self,
        adata: anndata.AnnData,
        source: str | None,
        layer: str | None,
        units: Units | None,
        min_overlap: float,
    ) -> NewSamples:
        """Take samples and what is known of them out of AnnData."""
        obs = adata.obs
        check_obs_columns(self.predictor, obs, "obs", source is not None)
        table = pd.DataFrame({"sample_id": adata.obs_names.astype(str)})
        donor = pd.Series(obs["donor"] if "donor" in obs else adata.obs_names)
        for sample in adata.obs_names[donor.isna().to_numpy()][:1]:
            raise InputError("obs", f"no donor of sample {shown(sample)}", "one in every row")
        table["donor"] = donor.astype(str).to_numpy()
        said = next((obs[name] for name in TISSUE_COLUMNS if name in obs), None)
        if source is not None or said is not None:
            table["tissue"] = source if source is not None else said.astype(str).to_numpy()
        used = dict.fromkeys((CHECKED_COVARIATE, *self.predictor.used_covariates))
        taken = (*table, *TISSUE_COLUMNS)
        covariates = obs[[name for name in used if name in obs and name not in taken]]
        covariates = covariates.astype(object)
        covariates = covariates.mask(covariates.map(_is_blank))
        checked = [name for name in covariates if name in FIELDS]
        # A model's own levels may be words such as "None".
        covariates[checked] = covariates[checked].mask(covariates[checked].isin(UNKNOWN))
        covariates = covariates.assign(**check_traits(covariates[checked], "obs"))
        table = pd.concat([table, covariates.reset_index(drop=True)], axis=1)
        values = _values_of(adata, layer)
        return samples_of_matrix(
            self.predictor, values, adata.var_names, table, units, min_overlap, "adata"
        )


def _names(given: str | Iterable[str]) -> list[str]:
    """Return names as a list: one alone, or any collection of them."""
    return [given] if isinstance(given, str) else [str(name) for name in given]


def _values_of(adata: anndata.AnnData, layer: str | None):
    """Return X, or a layer."""
    layers = list(adata.layers)
    if layer is None and adata.X is not None:
        return adata.X
    if layer is not None and layer in layers:
        return adata.layers[layer]
    there = f"layer={', '.join(map(shown, layers))}" if layers else "no layer is there"
    if layer is None:
        raise InputError("adata", "no values in X", f"TPM in X, or of a layer ({there})")
    raise InputError("adata", f"no layer {shown(layer)}", f"a layer that is there ({there}), or X")


def _is_blank(value: object) -> bool:
    return isinstance(value, str) and not value.strip()


def load(path: str | Path) -> Model:
    """Load a bundle; no code in the file is ever run.

    Parameters
    ----------
    path
        A bundle (.safetensors).

    Raises
    ------
    mtm.errors.InputError
        The file is no bundle, or a damaged one.
    """
    return Model(load_predictor(path), Path(path))
