"""What modules register by a decorator, read from their code: nothing is imported or run."""

import ast
from functools import cache
from pathlib import Path

from mtm.errors import InputError

SOURCE_ROOT = Path(__file__).resolve().parents[1]
# Where the two files of a model stand, and what registers each.
HALVES = {"mtm.settings.models": "parameters", "mtm.models": "register"}


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

    Raises
    ------
    InputError
        A name is no text in quotes.
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
                    found[_name(call, path)] = module
    return found


def _name(call: ast.Call, path: Path) -> str:
    """Return the name that a decorator is given; modules are not run to tell it."""
    if len(call.args) == 1 and isinstance(call.args[0], ast.Constant):
        return call.args[0].value
    decorator = call.func.id
    where, found = f"{path}, line {call.lineno}", f"@{ast.unparse(call)}"
    raise InputError(where, found, f'@{decorator}("..."), the name itself in quotes')


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
        hint = other_half(package, name, source_root)
        raise InputError(kind, repr(name), f"one of {', '.join(sorted(modules))}", hint)
    return modules[name]


def other_half(package: str, name: str, source_root: Path = SOURCE_ROOT) -> str:
    """Say what is missing of a model that has one of its two files, not that of `package`."""
    for other in HALVES.keys() - {package} if package in HALVES else ():
        module = registered_modules(other, HALVES[other], source_root).get(name)
        if module is not None:
            wanted = f"@{HALVES[package]}({name!r}) in src/{package.replace('.', '/')}"
            return f"{module} is there; a file with {wanted} is missing (docs/extending.md)."
    return ""
