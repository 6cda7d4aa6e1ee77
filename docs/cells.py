"""What the tutorials' cells start with: their folder, and shell cells that can fail."""

import os
import subprocess
import sys

import pandas as pd
from IPython.core.magic import register_cell_magic

os.chdir(os.environ["CHECKOUT"])
pd.options.display.float_format = "{:.3g}".format
pd.options.display.max_columns = 12


@register_cell_magic
def bash(line: str, cell: str) -> None:
    """Run a cell in bash: what it says comes in one piece, a failure ends the build."""
    done = subprocess.run(
        ["bash", "-eo", "pipefail", "-c", cell],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    print(done.stdout, end="")
    sys.stdout.flush()
    if done.returncode:
        raise RuntimeError(f"exit code {done.returncode}")
