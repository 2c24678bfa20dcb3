"""Texts from outside are shown as they are and are never read as markup."""

import html
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from w2v_exp.errors import JOINERS, shown
from w2v_exp.reporting.escape import markdown

anything = st.text(st.characters(codec=None), max_size=40)
# Hypothesis seldom finds a way into markup by itself.
signs = st.text(st.sampled_from("a1 *_`|<>&\\[]()!#~^$@:/.=-+{}\"'\n\t\r"), max_size=40)


@given(anything | signs, st.integers(1, 30))
def test_what_is_shown_is_printable_and_not_too_long(text, longest):
    visible = shown(text, longest)
    assert all(c.isprintable() or c in JOINERS for c in visible)
    assert len(visible) <= longest


@given(st.text(st.characters(categories=["L", "N", "P", "S"]), max_size=24))
def test_what_can_be_seen_is_shown_unchanged(text):
    assert shown(text) == text


@given(anything | signs)
def test_markdown_shows_the_text_and_nothing_else(text):
    parser = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
    rendered = parser.render(f"| key |\n| --- |\n| x{markdown(text)}x |\n")
    cells = re.fullmatch(
        r"<table>\n<thead>\n<tr>\n<th>key</th>\n</tr>\n</thead>\n<tbody>\n<tr>\n<td>([^<]*)</td>\n"
        r"</tr>\n</tbody>\n</table>\n",
        rendered,
    )
    assert cells, rendered
    assert html.unescape(cells[1]) == f"x{shown(text, 60)}x"


@pytest.mark.parametrize(
    "text", ["https://a.example", "www.example.com", "@someone", ":smile:", "a@b.example"]
)
def test_what_some_dialects_make_a_link_or_a_picture_of_is_taken_apart(text):
    assert text not in markdown(text)


@pytest.mark.parametrize(
    "text", ["window=3 dim=10", "learning_rate=0.05", "objective.update=sum", "Failed: too big."]
)
def test_ordinary_settings_stay_readable(text):
    assert markdown(text) == text
