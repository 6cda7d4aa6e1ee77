"""What is kept on disk."""
# fmt: off

from typing import ClassVar, Literal

from mtm.settings.base import Names, Section, key

NumberType = Literal["float32", "float16"]


class Storage(Section):
    """What is kept on disk of a run that is large (docs/decisions.md, memory and disk)."""

    section: ClassVar = "storage"

    predictions: NumberType = key("float32", "Numbers of the prediction files. `float16` halves them; with 71 to 492 donors a tissue it moves the correlation of a gene by 2e-5 (mean) to 7e-4 (the most seen), means over genes by less than 1e-6.")
    drop_fold_bundles: Names = key((), "Models whose bundles of single folds are removed once every job of the run that reads them is done. What reads them later, or predicts again, trains again. Names of models that the run has not are passed over, mistyped ones refused.")
