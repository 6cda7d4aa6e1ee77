"""Figures of a run: picture, caption, table, and how to draw it again."""

import base64
import io
import re
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
from jinja2.sandbox import SandboxedEnvironment
from markupsafe import Markup, escape
from PIL import Image

from mtm.io import NAMES, NOTE
from mtm.page.packing import pack_table
from mtm.page.results import Results
from mtm.vocabulary import in_units

# Inline marks of the captions, as reStructuredText has them.
MARKS = [
    (re.compile(r"``(.+?)``"), r"<code>\1</code>"),
    (re.compile(r"\*\*(.+?)\*\*"), r"<strong>\1</strong>"),
    (re.compile(r"\*(\S(?:.*?\S)?)\*"), r"<em>\1</em>"),
]
COLORS = 128
# Pixels of a picture to one of the page, so that all figures have letters of one size.
DENSITY = 2
# A packed table that is larger stays beside the page.
MOST_PACKED = 400_000


@dataclass(frozen=True)
class Picture:
    """One figure as the page shows it.

    Parameters
    ----------
    name, title, category, place
        As the rule has them.
    caption
        Safe to print.
    reason
        Why there is nothing to draw; empty where there is.
    image
        The picture as a data address; empty with a reason.
    width, height
        On the page, in its pixels.
    n_rows
        Rows of its table.
    table
        Its packed table; empty where it is left beside the page.
    command
        What draws it again.
    """

    name: str
    title: str
    category: str
    place: str
    caption: Markup
    reason: str
    image: str
    width: int
    height: int
    n_rows: int
    table: str
    command: str


def pictures(results: Results, figures: dict[str, dict], captions: Path) -> list[Picture]:
    """Return the figures of a run in the order of their categories.

    Parameters
    ----------
    results
        Of the run.
    figures
        By name, ``category`` and ``title`` of each; where they are not the name's own, ``figure``
        (whose caption it has) and ``place`` (of its files, below the run's folder).
    captions
        Folder of the captions, templates that take ``snakemake.config``.
    """
    categories = list(dict.fromkeys(figure["category"] for figure in figures.values()))
    in_order = sorted(figures, key=lambda name: categories.index(figures[name]["category"]))
    return [
        _picture(
            results, name, figures[name], captions / f"{figures[name].get('figure', name)}.rst"
        )
        for name in in_order
    ]


def _picture(results: Results, name: str, figure: dict, caption: Path) -> Picture:
    """Read one figure."""
    place = figure.get("place", f"figures/{name}")
    # Not `mtm.io.read_table`: the note in place of a table is what is to be said.
    table = pd.read_csv(
        results.path(f"{place}.tsv"), sep="\t", keep_default_na=False, na_values=[""], dtype=NAMES
    )
    reason = ""
    if list(table.columns) == NOTE:
        reason = f"{table['reason'].iloc[0]}. To have it: {table['remedy'].iloc[0]}."
    elif table.empty:
        reason = "Nothing to draw: this cohort has no result of this analysis."
    image, width, height = ("", 0, 0) if reason else data_image(
        results.path(f"{place}.png")
    )  # fmt: skip
    packed = "" if reason else pack_table(table)
    cohort = results.config["cohort"]
    return Picture(
        name=name,
        title=figure["title"],
        category=figure["category"],
        place=place,
        caption=written(caption.read_text(encoding="utf-8"), results.config),
        reason=reason,
        image=image,
        width=width,
        height=height,
        n_rows=len(table),
        table=packed if len(packed) <= MOST_PACKED else "",
        command=f"snakemake --cores 1 --forcerun draw_{name} -- results/{cohort}/index.html",
    )


def data_image(path: Path) -> tuple[str, int, int]:
    """Return a picture as an address that holds it, with its width and height on the page.

    The shades at the edges of letters become `COLORS`, which halves it; no line is lost.
    """
    with Image.open(path) as picture:
        few = picture.convert("RGB").quantize(COLORS, Image.Quantize.MAXCOVERAGE, dither=0)
        written_to = io.BytesIO()
        few.convert("RGB").save(written_to, "WEBP", lossless=True, method=3)
        text = base64.b64encode(written_to.getvalue()).decode("ascii")
        width, height = picture.size
        return f"data:image/webp;base64,{text}", width // DENSITY, height // DENSITY


def written(caption: str, config: dict) -> Markup:
    """Fill a caption in and turn its marks into HTML; whatever else it holds is text."""
    template = SandboxedEnvironment().from_string(caption)
    text = template.render(snakemake=SimpleNamespace(config=config))
    text = str(escape(in_units(text, config["inputs"]["units"])))
    for pattern, replacement in MARKS:
        text = pattern.sub(replacement, text)
    return Markup("".join(f"<p>{part.strip()}</p>" for part in re.split(r"\n\s*\n", text)))
