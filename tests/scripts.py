"""Scripts of rules run as Snakemake runs them, without Snakemake."""

import importlib.util
from pathlib import Path
from types import SimpleNamespace

from mtm.pipeline.scripting import run

SCRIPTS = Path(__file__).parents[1] / "scripts"


class Named(dict):
    """Snakemake's named list, as far as scripts use it."""

    def __init__(self, *given, toclone=None, custom_map=None, **values):
        super().__init__(*given, **values)
        if toclone is not None:
            self.update({name: custom_map(value) for name, value in toclone.items()})

    __getattr__ = dict.__getitem__

    def __iter__(self):
        return iter(self.values())


def load_script(name: str):
    """Return a script as a module."""
    spec = importlib.util.spec_from_file_location(f"script_{name}", SCRIPTS / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def run_script(name: str, log: Path, *, threads: int = 1, wildcards=None, **given) -> None:
    """Run script `name`; `given` holds ``input``, ``output``, ``params``, ``config`` as dicts."""
    snakemake = SimpleNamespace(
        rule=name,
        threads=threads,
        log=[str(log)],
        wildcards=Named(wildcards or {}),
        **{key: Named(values) for key, values in given.items()},
    )
    script = load_script(name)
    with run(snakemake):
        script.main(snakemake)
