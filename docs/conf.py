"""The site (`make docs`): pages of this folder, of others, of docstrings and of the demo."""

import os
import pkgutil
import re
import shutil
import subprocess
import sys
import tomllib
import warnings
from pathlib import Path

from sphinx.errors import ConfigError

# Of anndata's docstrings.
warnings.filterwarnings("ignore", "Unknown section Params", UserWarning)

HERE = Path(__file__).parent
ROOT = HERE.parent
sys.path.insert(0, str(ROOT / "src"))

import mtm  # noqa: E402

# Pages that are not of this folder, or are made of what is not: written before each build.
MADE = HERE / "made"
# What lies elsewhere in the repository and has a page here.
ELSEWHERE = {
    "config/README.md": "configuration",
    "bench/README.md": "measured",
    "profiles/slurm/README.md": "slurm",
    "CHANGELOG.md": "changelog",
    "CONTRIBUTING.md": "contributing",
    "SECURITY.md": "security",
}
# Where the tutorials' cells run: a checkout with the demo's results.
CHECKOUT = HERE / "_build" / "checkout"
BUNDLE = "results/demo/bundles/ridge.safetensors"
PARTS = ["Snakefile", "CITATION.cff", "config", "profiles", "scripts", "src", "workflow"]
DEMO = Path(os.environ.get("DEMO_RESULTS") or ROOT / "results" / "demo").resolve()

project = "MTM"
copyright = "the MTM pipeline developers"  # noqa: A001
author = copyright
release = version = mtm.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "numpydoc",
    "myst_nb",
    "sphinx_copybutton",
]
exclude_patterns = ["_build", "made/gallery.md"]
html_theme = "sphinx_book_theme"
html_title = f"MTM {release}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_copy_source = False
html_context = {"default_mode": "auto"}
# Excerpts beside what is found are fetched, which no browser does from a disk.
html_show_search_summary = False
html_theme_options = {"show_toc_level": 2, "use_download_button": False}
copybutton_exclude = ".linenos, .gp, .go"

myst_enable_extensions = ["colon_fence", "deflist"]
# Names of hostile files are text, not elements.
myst_disable_syntax = ["html_inline"]
myst_heading_anchors = 3
nb_execution_mode = "force"
nb_execution_timeout = 900
nb_execution_raise_on_error = True
nb_merge_streams = True

# Single backticks of docstrings are code.
default_role = "code"
autodoc_default_options = {"members": True, "member-order": "bysource"}
autodoc_typehints = "none"
autosummary_generate = True
numpydoc_show_class_members = False
numpydoc_class_members_toctree = False


def page_of(source: Path, text: str) -> str:
    """Return a Markdown text whose links to files of the repository lead to pages of the site."""

    def led(match: re.Match) -> str:
        label, target = match[1], match[2]
        path, _, anchor = target.partition("#")
        place = (source.parent / path).resolve()
        anchor = f"#{anchor}" if anchor else ""
        try:
            name = place.relative_to(ROOT).as_posix()
        except ValueError:
            return match[0]
        if name == "README.md":
            return f"[{label}](/index.md)"
        if name in ELSEWHERE:
            return f"[{label}](/made/{ELSEWHERE[name]}.md{anchor})"
        if place.suffix == ".md" and place.is_relative_to(HERE):
            return f"[{label}](/{place.relative_to(HERE).as_posix()}{anchor})"
        if place.suffix == ".png":
            return f"[{label}](/{os.path.relpath(place, HERE)})"
        if not place.exists():
            raise ConfigError(f"{source}: link to {target}, which is not there")
        # Code is read in the repository.
        return f"{label} (`{name}`)" if label.strip("`") != name else f"`{name}`"

    return re.sub(r"\[([^\]\n]+)\]\((?!https?:|#|/|data:)([^)\s]+)\)", led, text)


def write_pages_from_elsewhere() -> None:
    """Write the pages whose text stands elsewhere in the repository."""
    for path, name in ELSEWHERE.items():
        source = ROOT / path
        (MADE / f"{name}.md").write_text(page_of(source, source.read_text()))


def write_gallery() -> None:
    """Write what figures.md takes in: the demo's figures, title and caption from its page."""
    page, lines = (DEMO / "index.html").read_text(), []
    found = re.finditer(
        r"<h3>(?P<category>[^<]+)</h3>"
        r'|<article class="figure" id="(?P<name>\w+)".*?<h4>(?P<title>.*?)</h4>'
        r".*?<figcaption>(?P<caption>.*?)</figcaption>",
        page[page.index('id="figures-title"') :],
        re.DOTALL,
    )
    for item in found:
        if item["category"]:
            lines.append(f"## {item['category']}")
            continue
        shutil.copy(DEMO / "figures" / f"{item['name']}.png", MADE)
        lines += [
            f"### {item['title']}",
            f"```{{image}} /made/{item['name']}.png\n:alt: {item['title']}\n:width: 100%\n```",
            f"```{{raw}} html\n<div class='caption'>{item['caption']}</div>\n```",
        ]
    (MADE / "gallery.md").write_text("\n\n".join(lines) + "\n")


def write_api() -> None:
    """Write a page a room of the library, lowest first, from the docstrings of its modules."""
    layers = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    rooms = [room.strip() for layer in layers["contracts"][0]["layers"][::-1]
             for room in layer.split("|")]  # fmt: skip
    (MADE / "api").mkdir()
    for room in rooms:
        below = pkgutil.walk_packages([ROOT / "src" / room.replace(".", "/")], f"{room}.")
        modules = [room, *(module.name for module in below)]
        parts = [
            f"## `{name}`\n\n```{{eval-rst}}\n.. automodule:: {name}\n```" for name in modules
        ]
        page = "\n\n".join([f"# {room}", *parts])
        (MADE / "api" / f"{room}.md").write_text(f"{page}\n")
    contents = "\n".join(f"api/{room}" for room in rooms)
    (MADE / "api.md").write_text(
        "# Library\n\nThe rooms in the way of the data, lowest first; none imports from one below "
        "it in this list ([decisions](/decisions.md)). The scale of expression is in the name: "
        "`expr_tpm`, `expr_log2`, `expr_z`. PyTorch is imported where needed.\n\n"
        f"```{{toctree}}\n{contents}\n```\n"
    )


def make_checkout() -> None:
    """Lay out the folder that cells run in: links to the code, a copy of the demo's results.

    With one bundle fitted on everybody, by the command that README.md has for it.
    """
    shutil.rmtree(CHECKOUT, ignore_errors=True)
    CHECKOUT.mkdir(parents=True)
    for part in PARTS:
        (CHECKOUT / part).symlink_to(ROOT / part)
    for made in (Path("results", "demo"), Path("resources", "simulated", "demo")):
        shutil.copytree(DEMO.parents[1] / made, CHECKOUT / made)
    os.environ["CHECKOUT"] = str(CHECKOUT)
    os.environ["PYTHONPATH"] = f"{ROOT / 'src'}{os.pathsep}{HERE}"
    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    command = ["snakemake", "--configfile", "config/demo.yaml", "--cores", "2", "--quiet", "all"]
    subprocess.run([*command, "--", BUNDLE], cwd=CHECKOUT, check=True)


def prepare(app) -> None:
    """Write what is made, or refuse: no cell is shown that did not run."""
    if not (DEMO / "index.html").exists():
        raise ConfigError(
            f"{DEMO}: no results of the demo, on which the tutorials' cells run. "
            "`make demo` first, or name the folder: make docs DEMO_RESULTS=FOLDER"
        )
    shutil.rmtree(MADE, ignore_errors=True)
    MADE.mkdir()
    write_pages_from_elsewhere()
    write_gallery()
    write_api()
    make_checkout()


def lead_links(app, name: str, content: list[str]) -> None:
    """Lead links of the pages of this folder to pages of the site."""
    if not name.startswith("made/"):
        content[0] = page_of(HERE / f"{name}.md", content[0])


def setup(app) -> dict:
    """Connect the above."""
    app.connect("builder-inited", prepare, priority=1)
    app.connect("source-read", lead_links)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
