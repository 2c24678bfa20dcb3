"""Pages: one HTML file each, whose content policy allows only its own script and style, and no request."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from w2v_exp.version import __version__

if TYPE_CHECKING:
    from jinja2 import Environment

WEB = Path(__file__).parent / "web"
# Okabe & Ito's palette without its yellow, which is lost on white: distinct with any kind of colour vision.
COLOURS = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#444444"]
# The same hues on a dark ground.
COLOURS_ON_DARK = ["#3f9fdc", "#f0803c", "#2fbf95", "#dc96bd", "#edb23a", "#8accf3", "#b5bac2"]


def render_page(folder: Path, scripts: Sequence[str] = (), data: object = None, **values: Any) -> str:
    """Return a page; the same arguments give the same bytes.

    Values are escaped unless the template has ``|safe``; an undefined name in a template is an error.

    Parameters
    ----------
    folder : Path
        Has the template ``page.html``, which extends ``base.html``, and its style ``page.css``, also a template.
    scripts : sequence of str
        Names of scripts in the folder, in order. They see the functions of ``dom.js``.
    data : object
        JSON for the scripts, in the element with the id ``data``.
    **values
        Variables of both templates.
    """
    environment = _templates(folder)
    colours = {"colours": COLOURS, "colours_on_dark": COLOURS_ON_DARK}
    styles = [environment.get_template(name).render(colours | values) for name in ("base.css", "page.css")]
    style = "\n".join(styles)
    script = ""
    if scripts:
        files = [WEB / "dom.js", *(folder / name for name in scripts)]
        # In a block, so that none of its names becomes one of the window's.
        script = "\n".join(['"use strict";', "{", *(file.read_text(encoding="utf-8") for file in files), "}"])
    return environment.get_template("page.html").render(
        values,
        policy=content_policy(style, script),
        style=style,
        script=script,
        data=json_in_html(data),
        version=__version__,
    )


@cache
def _templates(folder: Path) -> Environment:
    """Return the templates of a page, compiled once: that takes ten times as long as filling them in."""
    # Here, since a run without a page imports this module for the settings of the explorer.
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    return Environment(
        loader=FileSystemLoader([folder, WEB]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def render_text(file: Path, **values: Any) -> str:
    """Return a text file with its variables ``{{ name }}`` replaced; an undefined name is an error."""
    from jinja2 import Environment, StrictUndefined

    environment = Environment(undefined=StrictUndefined, keep_trailing_newline=True)
    return environment.from_string(file.read_text(encoding="utf-8")).render(values)


def content_policy(style: str, script: str) -> str:
    """Return the Content-Security-Policy of a page with this style and this script, known by their SHA-256.

    Pictures may be in the page as ``data:``; everything else is forbidden.
    """
    style_hash, script_hash = (
        base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in (style, script)
    )
    script_source = f"'sha256-{script_hash}'" if script else "'none'"
    return (
        f"default-src 'none'; script-src {script_source}; style-src 'sha256-{style_hash}'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )


def json_in_html(value: object) -> str:
    r"""Return JSON in which no text can end or open an element.

    >>> json_in_html(["</script>", "&"])
    '["\\u003c/script\\u003e","\\u0026"]'
    """
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    for character in "<>&\u2028\u2029":  # outside of strings JSON has none of these
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text
