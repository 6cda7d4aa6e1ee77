"""Digests of the code a workflow rule runs, so that reruns follow content and not time stamps.

A digest covers a script or module and every module of this package that it imports, directly or
through others, and the tables (.tsv) beside a module that its code names. Comments, docstrings,
what settings mean in words, and layout do not enter it.
Nothing is executed: imports are read from the syntax tree.
"""

import ast
import hashlib
import re
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

from mtm.errors import InputError
from mtm.registered import SOURCE_ROOT, registered_module

PACKAGE = "mtm"
# The name of a table, as `ast.unparse` writes a text.
_TABLE = re.compile(r"'([\w-]+\.tsv)'")


def code_digest(
    script: str | Path,
    modules: Iterable[str] = (),
    without: Iterable[str] = (),
    source_root: Path = SOURCE_ROOT,
) -> str:
    """Digest of a script and of all modules of the package that it uses.

    Parameters
    ----------
    script
        Path of the script.
    modules
        Further modules that the script uses without importing them by name
        ("mtm.models.mtm.model").
    without
        Modules that cannot change the script's output; they and what they alone import are left
        out.
    source_root
        Folder that holds the package.

    Returns
    -------
    str
        16 hexadecimal digits.

    Raises
    ------
    InputError
        The script or one of `modules` does not exist or is no Python.
    """
    script = Path(script)
    digest = hashlib.sha256(_code(script).digest)
    used = set(_imports(script, "", source_root))
    for module in modules:
        if _file_of(module, source_root) is None:
            raise InputError("code digest", f"module {module!r}", f"a module in {source_root}")
        used.add(module)
    for module in sorted(_closure(used, set(without), source_root)):
        path = _file_of(module, source_root)
        code = _code(path)
        digest.update(module.encode() + b"\0" + code.digest)
        for table in map(path.with_name, code.tables):
            if table.is_file():
                digest.update(table.name.encode() + b"\0" + table.read_bytes())
    return digest.hexdigest()[:16]


def files_digest(folder: Path) -> str:
    """Digest of all files in a folder that are no code of the package, 16 hexadecimal digits."""
    digest = hashlib.sha256()
    for path in sorted(folder.iterdir()):
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:16]


def model_module(name: str, source_root: Path = SOURCE_ROOT) -> str:
    """Return the module that defines the model registered as `name`.

    Raises
    ------
    InputError
        No model is registered under that name.
    """
    return registered_module(f"{PACKAGE}.models", "register", name, "model", source_root)


def figure_module(name: str, source_root: Path = SOURCE_ROOT) -> str:
    """Return the module that defines the figure registered as `name`.

    Raises
    ------
    InputError
        No figure is registered under that name.
    """
    return registered_module(f"{PACKAGE}.figures", "figure", name, "figure", source_root)


class _Code(NamedTuple):
    """Digest of a file's code in one layout, without what is there for readers.

    And its imports, and the names of tables in it.
    """

    digest: bytes
    imports: list[ast.Import | ast.ImportFrom]
    tables: list[str]


def _code(path: Path) -> _Code:
    try:
        return _code_of(_text(path, path.stat().st_mtime_ns))
    except (OSError, SyntaxError) as error:
        raise InputError(path, f"no readable code ({error})", "a Python file") from error


@cache
def _text(path: Path, written: int) -> str:
    """Text of a file as it is since it was `written`."""
    return path.read_text(encoding="utf-8")


@cache
def _code_of(text: str) -> _Code:
    tree = ast.parse(text)
    scopes = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
    imports = []
    for node in _statements(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            imports.append(node)
        elif isinstance(node, scopes) and ast.get_docstring(node, clean=False) is not None:
            node.body = node.body[1:] or [ast.Pass()]
        elif isinstance(node, ast.AnnAssign) and isinstance(node.value, ast.Call):
            # What a setting means, in words.
            if isinstance(node.value.func, ast.Name) and node.value.func.id == "key":
                del node.value.args[1:]
    code = ast.unparse(tree)
    tables = sorted(set(_TABLE.findall(code)))
    return _Code(hashlib.sha256(code.encode()).digest(), imports, tables)


def _statements(node: ast.AST) -> Iterator[ast.AST]:
    """Yield `node` and all statements in it; expressions, of which there are many, hold none."""
    yield node
    for block in ("body", "handlers", "orelse", "finalbody", "cases"):
        for statement in getattr(node, block, ()):
            yield from _statements(statement)


@cache
def _file_of(module: str, source_root: Path) -> Path | None:
    """File of a module of the package; None where `module` is no module of it."""
    if module.split(".")[0] != PACKAGE:
        return None
    base = source_root.joinpath(*module.split("."))
    candidates = (base / "__init__.py", base.with_suffix(".py"))
    return next((path for path in candidates if path.is_file()), None)


def _imports(path: Path, module: str, source_root: Path) -> frozenset[str]:
    """Return the modules of the package that a file imports itself, with the packages around them.

    `module` is the file's own name, "" for a script; relative imports start from it.
    """
    named = set()
    for node in _code(path).imports:
        if isinstance(node, ast.Import):
            named.update(alias.name for alias in node.names)
        else:
            origin = _origin(node, path, module)
            named.add(origin)
            named.update(f"{origin}.{alias.name}" for alias in node.names)
    with_parents = {
        ".".join(name.split(".")[: depth + 1])
        for name in named
        for depth in range(len(name.split(".")))
    }
    return frozenset(name for name in with_parents if _file_of(name, source_root))


def _origin(node: ast.ImportFrom, path: Path, module: str) -> str:
    """Absolute name of the module that a ``from`` import names."""
    if not node.level:
        return node.module
    package = module.split(".") if path.name == "__init__.py" else module.split(".")[:-1]
    package = package[: len(package) - node.level + 1]
    return ".".join([*package, node.module] if node.module else package)


def _closure(modules: Iterable[str], without: set[str], source_root: Path) -> set[str]:
    """Return `modules` and all that they import, directly or not, stopping at `without`."""
    seen, waiting = set(), list(modules)
    while waiting:
        module = waiting.pop()
        if module not in seen | without:
            seen.add(module)
            waiting.extend(_imports(_file_of(module, source_root), module, source_root))
    return seen
