"""What all pages are made with: files, the frame of a page, and what it may do."""

from collections.abc import Callable
from functools import cache
from importlib.resources import files

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup

from mtm.page.packing import security_hash


@cache
def asset(name: str) -> str:
    """Text of a file that pages are made with."""
    return files("mtm.page").joinpath("assets", name).read_text(encoding="utf-8")


def rendered(
    template: str, script: str = "", text: Callable[[str], str] = asset, **values: object
) -> str:
    """Fill a template, whatever is in the values escaped.

    Parameters
    ----------
    template
        One of the assets.
    script
        The one script that the page may run; without it, it may run none.
    text
        Gives the text of an asset.
    values
        What stands in the template.

    Returns
    -------
    str
        HTML that needs no other file and asks for none.
    """
    style = asset("page.css")
    policy = (
        "default-src 'none'; base-uri 'none'; form-action 'none'; img-src data:; "
        f"style-src '{security_hash(style)}'"
    )
    if script:
        policy += f"; script-src '{security_hash(script)}'"
    environment = Environment(
        loader=FunctionLoader(text),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(template).render(
        policy=policy, style=Markup(style), script=Markup(script), **values
    )
