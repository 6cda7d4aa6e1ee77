"""What jobs of a warm start find imported: see `mtm.pipeline.warm_start`.

Imported by the process that they are forks of, and by nothing else.
"""

import gc
import os
from contextlib import suppress
from importlib import import_module

THREAD_COUNTS = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
)
LIBRARIES = (
    # A new process of `multiprocessing` imports the command that its parent was started by.
    "snakemake.cli",
    "anndata",
    "matplotlib.backends.backend_agg",
    "matplotlib.backends.backend_pdf",
    "matplotlib.figure",
    "pandas",
    "pyarrow.parquet",
    "scipy.optimize",
    "scipy.stats",
    "sklearn.linear_model",
    "snakemake.script",
    "torch",
    # The first step of an optimiser imports it, and a computer algebra system with it.
    "torch._dynamo",
    "mtm.models.registry",
    "mtm.pipeline.scripting",
    "mtm.settings.config",
)

# Libraries count their threads when they are loaded.
os.environ.update(dict.fromkeys(THREAD_COUNTS, "1"))
for name in LIBRARIES:
    # PyTorch is an extra; and what is broken, only the jobs that need it shall tell of.
    with suppress(Exception):
        import_module(name)
# What is never looked through again is never copied into a job's own memory for that.
gc.freeze()
