"""What every row's process starts with: imported once by the server that they are forked from."""

import anndata  # noqa: F401
import matplotlib  # noqa: F401
import pyarrow.parquet  # noqa: F401
import safetensors.numpy  # noqa: F401
import smart_open  # noqa: F401
import snakemake.cli
import snakemake.script  # noqa: F401
import snakemake.workflow  # noqa: F401
import torch  # noqa: F401

import mtm.cli  # noqa: F401
import mtm.cohort.build  # noqa: F401
import mtm.models.registry  # noqa: F401
import mtm.predictions.files  # noqa: F401
import mtm.predictions.new_people  # noqa: F401
import mtm.settings.check  # noqa: F401
import mtm.settings.manual

# Its plugins, and what a wrong key is compared with.
snakemake.cli.get_argument_parser()
mtm.settings.manual.key_rows()
