"""What code and documents refer to is there: sections of docs/methods.md, files, names."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = ("src", "workflow", "scripts", "config", "bench", "docs", "tests")
SUFFIXES = {".py", ".smk", ".yaml", ".tsv", ".md", ".rst"}
PAGES = [ROOT / "README.md", *(ROOT / "docs").glob("*.md"),
         *(ROOT / "docs/tutorials").glob("*.md"), ROOT / "CONTRIBUTING.md",
         *(ROOT / folder / "README.md" for folder in ("bench", "config"))]  # fmt: skip
METHODS = (ROOT / "docs/methods.md").read_text()

SECTION = r"\d(?:\.\d{1,2})?(?!\d)"
TOKEN = re.compile(
    r"(?:,? and | of |, | )?"
    r"(?:bug (?P<bug>B\d)|row (?P<row>\d+)|(?P<id>[RSb]\d+)(?:-(?P<to>R\d+))?"
    rf"|(?:section )?(?P<section>{SECTION})(?:-(?P<last>{SECTION}))?)(?=\W|$)"
)
BARE = re.compile(r"\bbug (?P<bug>B\d)|\b(?P<id>R\d{1,2})(?:-(?P<to>R\d{1,2}))?\b")
BASELINES = re.compile(r"\b[Bb]aselines? b\d+(?:(?:, | and )b\d+)*")
PATH = re.compile(
    r"(?<![\w./{}-])(?:src|docs|config|bench|scripts|tests|workflow|mtm)/[\w./{}*-]+"
)
DOTTED = re.compile(r"(?<![\w./-])mtm(?:\.[A-Za-z_]\w*)+(?!\w*/)")
NO_NAMES = (".py", ".yaml", ".tsv", ".safetensors", ".md")


def known_ids(methods: str) -> set[str]:
    """What can be referred to: "1.4", "1.4 row 8", "R16", "b2", "S1", "B1"."""
    ids, section = set(), ""
    for line in methods.splitlines():
        if heading := re.match(r"#{2,3} (\d[\d.]*|S\d) ", line):
            assert heading[1] not in ids, f"two headings {heading[1]}"
            ids.add(heading[1])
            section = section if heading[1].startswith("S") else heading[1]
        elif row := re.match(r"\| (\d+) \|", line):
            ids.add(f"{section} row {row[1]}")
        elif row := re.match(r"\| ([Rb]\d+) \|", line):
            ids.add(row[1])
        ids.update(re.findall(r"\*\*(B\d)\*\*", line))
    return ids


def spread(first: str, last: str | None) -> list[str]:
    """Whatever lies between two ids: "R16", "R18" or "1.2", "1.4"."""
    head, start = re.fullmatch(r"(.*?)(\d+)", first).groups()
    end = int(re.search(r"\d+$", last)[0]) if last else int(start)
    return [f"{head}{number}" for number in range(int(start), end + 1)]


def referred_ids(text: str) -> set[str]:
    """Return the ids of docs/methods.md that a text refers to, as `known_ids` writes them."""
    text, found = re.sub(r"\s*\n\s*(?:# )?", " ", text), set()
    for match in re.finditer(r"\bmethods(?= (?:section )?\d)", text):
        position, section = match.end(), ""
        while token := TOKEN.match(text, position):
            position = token.end()
            if token["section"]:
                found.update(spread(token["section"], token["last"]))
                section = token["last"] or token["section"]
            elif token["row"]:
                found.add(f"{section} row {token['row']}")
            elif token["id"]:
                found.update(spread(token["id"], token["to"]))
    for match in BARE.finditer(text):
        found.update([match["bug"]] if match["bug"] else spread(match["id"], match["to"]))
    for match in BASELINES.findall(text):
        found.update(re.findall(r"b\d+", match))
    return found


def missing_paths(text: str) -> set[str]:
    """Return files and folders in backticks that are not there; `{name}` stands for anything."""
    quoted = " ".join(re.findall(r"`([^`\n]+)`", text))
    paths = {path.rstrip(".") for path in PATH.findall(quoted)}
    patterns = {path: re.sub(r"\{\w+\}", "*", path).rstrip("/") for path in paths}
    folder = {path: ROOT / "src" if path.startswith("mtm/") else ROOT for path in paths}
    return {path for path in paths if not any(folder[path].glob(patterns[path]))}


@cache
def tree(path: Path) -> ast.Module:
    """Parse a module."""
    return ast.parse(path.read_text())


def members(node: ast.AST) -> dict[str, ast.AST]:
    """Names that a module or a class defines, and `self.name` of a class's methods."""
    names = {}
    for item in node.body:
        if isinstance(item, ast.FunctionDef | ast.ClassDef):
            names[item.name] = item
            if isinstance(node, ast.ClassDef):
                names |= {
                    inner.attr: inner
                    for inner in ast.walk(item)
                    if isinstance(inner, ast.Attribute) and isinstance(inner.ctx, ast.Store)
                }
        for target in getattr(item, "targets", [getattr(item, "target", None)]):
            if isinstance(target, ast.Name):
                names[target.id] = item
    return names


def resolves(dotted: str) -> bool:
    """Whether a dotted name is a package, a module or what a module defines."""
    path, parts = ROOT / "src", dotted.split(".")
    while parts and (path / parts[0]).is_dir():
        path /= parts.pop(0)
    if not parts:
        return (path / "__init__.py").exists()
    module = path / f"{parts[0]}.py"
    if module.exists():
        parts.pop(0)
    else:
        module = path / "__init__.py"
    node = tree(module)
    for part in parts:
        node = members(node).get(part) if hasattr(node, "body") else None
        if node is None:
            return False
    return True


def dangling_names(text: str) -> set[str]:
    """Return dotted names of the library that are not defined."""
    names = {name for name in DOTTED.findall(text) if not name.endswith(NO_NAMES)}
    return {name for name in names if not resolves(name)}


def docstrings(path: Path) -> str:
    """All docstrings of a module."""
    kinds = ast.Module | ast.ClassDef | ast.FunctionDef
    found = (ast.get_docstring(node) for node in ast.walk(tree(path)) if isinstance(node, kinds))
    return "\n".join(filter(None, found))


def texts() -> list[Path]:
    """Text files of the repository, this one left out: it makes up references."""
    files = (path for folder in FOLDERS for path in (ROOT / folder).rglob("*"))
    own = [path for path in files if path.suffix in SUFFIXES and path != Path(__file__)]
    return [*own, ROOT / "README.md", ROOT / "Snakefile"]


def short(path: Path) -> str:
    """Path from the root of the repository."""
    return path.relative_to(ROOT).as_posix()


def test_references_to_methods_resolve():
    known = known_ids(METHODS)
    referred = {short(path): referred_ids(path.read_text()) for path in texts()}
    assert sum(map(len, referred.values())) > 100
    assert {path: ids - known for path, ids in referred.items() if ids - known} == {}


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("(methods 1.4, row 8, and 1.5)", {"1.4", "1.4 row 8", "1.5"}),
        ("(methods\n    1.4, row 6)", {"1.4", "1.4 row 6"}),
        ("# two lines (methods 3,\n# R16-R18, and 6.5).", {"3", "R16", "R17", "R18", "6.5"}),
        ("methods 1.2-1.4 and bug B1", {"1.2", "1.3", "1.4", "B1"}),
        ("methods section 7 and 59 genes", {"7"}),
        ("methods 4, b3 and b6; baselines b1 and b2", {"4", "b1", "b2", "b3", "b6"}),
        ("methods 2, S1 (a)", {"2", "S1"}),
        ("other methods, R2; B1 alone is a center", {"R2"}),
    ],
)
def test_references_are_read(text, ids):
    assert referred_ids(text) == ids


@pytest.mark.parametrize(
    "text",
    ["methods 9.9", "methods 1.4, row 99", "R99", "methods 4, b77", "bug B9", "methods 2, S7"],
)
def test_made_up_reference_is_found(text):
    assert referred_ids(text) - known_ids(METHODS)


@pytest.mark.parametrize("page", PAGES, ids=short)
def test_files_and_names_on_pages_exist(page):
    text = page.read_text()
    links = re.findall(r"\]\((?!https?:)([^)#\s]+)\)", text)
    assert [link for link in links if not (page.parent / link).exists()] == []
    # The page on extending names files that its reader is about to write.
    if page.name != "extending.md":
        assert missing_paths(text) == set()
    assert dangling_names(re.sub(r"```.*?```", "", text, flags=re.DOTALL)) == set()


@pytest.mark.slow
def test_names_in_docstrings_exist():
    folders = ("src", "scripts", "bench")
    paths = [path for folder in folders for path in (ROOT / folder).rglob("*.py")]
    dangling = {short(path): dangling_names(docstrings(path)) for path in paths}
    assert {path: names for path, names in dangling.items() if names} == {}


def test_made_up_file_and_name_are_found():
    assert missing_paths("`src/mtm/io.py`, `python bench/nothing.py 1`") == {"bench/nothing.py"}
    assert missing_paths("`workflow/report/{name}.rst`, `docs/{name}.pdf`") == {"docs/{name}.pdf"}
    names = "mtm, mtm.io, mtm.io.atomic_path, `mtm.models.base.Predictor.predict`, envs/mtm.yaml"
    assert dangling_names(names) == set()
    wrong = {"mtm.io.nothing", "mtm.nothing", "mtm.models.base.Predictor.nothing", "mtm.io.os"}
    assert dangling_names(f"{names}, {', '.join(sorted(wrong))}") == wrong


def test_deviations_are_listed():
    marked = {
        path.relative_to(ROOT / "src").as_posix()
        for path in (ROOT / "src").rglob("*.py")
        if "# Deviation:" in path.read_text()
    }
    section = re.search(r"^## \d+ Deviations\n(.*?)^## ", METHODS, re.DOTALL | re.MULTILINE)[1]
    assert marked == set(re.findall(r"^- `(mtm/[\w/]+\.py)`", section, re.MULTILINE)) != set()
