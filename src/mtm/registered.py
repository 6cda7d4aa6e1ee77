"""What modules register by a decorator, read from their code: nothing is imported or run."""

import ast
from functools import cache
from pathlib import Path

from mtm.errors import InputError

SOURCE_ROOT = Path(__file__).resolve().parents[1]


@cache
def registered_modules(
    package: str, decorator: str, source_root: Path = SOURCE_ROOT
) -> dict[str, str]:
    """Map what a package registers by a decorator to the module that defines it.

    Parameters
    ----------
    package
        Dotted name ("mtm.models"); packages below it are searched too.
    decorator
        Name of the decorator, whose first argument is the registered name ("register").
    source_root
        Folder that holds the package.
    """
    found = {}
    for path in sorted(source_root.joinpath(*package.split(".")).rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        if f"@{decorator}(" not in text:
            continue
        module = ".".join(path.relative_to(source_root).with_suffix("").parts)
        for node in ast.parse(text).body:
            for call in getattr(node, "decorator_list", ()):
                if (
                    isinstance(call, ast.Call)
                    and isinstance(call.func, ast.Name)
                    and call.func.id == decorator
                ):
                    found[ast.literal_eval(call.args[0])] = module
    return found


def registered_module(
    package: str, decorator: str, name: str, kind: str, source_root: Path = SOURCE_ROOT
) -> str:
    """Return the module that registers `name`; the rest as in `registered_modules`.

    Raises
    ------
    InputError
        Nothing is registered under that name; `kind` says in the message what it is of.
    """
    modules = registered_modules(package, decorator, source_root)
    if name not in modules:
        raise InputError(kind, repr(name), f"one of {', '.join(sorted(modules))}")
    return modules[name]
