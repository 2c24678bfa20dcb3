"""The page in the docs: its prose is written by hand, its tables are put between markers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from w2v_exp.errors import UserError
from w2v_exp.files import replacing

TEMPLATE = Path(__file__).parent / "page.md"
NAME = "ablation.md"


def write_page(folder: Path, sections: Mapping[str, str]) -> Path:
    """Put sections into the page of a folder, and leave the rest of it as it is; begin a new one if there is none.

    Parameters
    ----------
    folder : Path
        Where the page is.
    sections : mapping of str to str
        What belongs between ``<!-- name -->`` and ``<!-- /name -->``, by name.

    Raises
    ------
    UserError
        If the page has no place for one of them.
    """
    page = folder / NAME
    text = (page if page.exists() else TEMPLATE).read_text(encoding="utf-8")
    for name, section in sections.items():
        text = put(text, name, section, page)
    with replacing(page) as stream:
        stream.write(text)
    return page


def require_places(folder: Path, names: list[str]) -> None:
    """Raise `UserError` if the page of a folder, should there be one, has no place for one of these sections."""
    page = folder / NAME
    if page.exists():
        text = page.read_text(encoding="utf-8")
        for name in names:
            put(text, name, "", page)


def put(text: str, name: str, section: str, page: Path) -> str:
    """Return a text with a section between its markers, instead of what was there."""
    begin, end = f"<!-- {name} -->", f"<!-- /{name} -->"
    place = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}", re.DOTALL)
    if not place.search(text):
        raise UserError(
            f"{page} has no place for a table, from {begin} to {end}; add it, or delete the page."
        )
    return place.sub(lambda _: f"{begin}\n{section}\n{end}", text, count=1)
