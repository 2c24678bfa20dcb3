"""The skeleton of pages: escaped values, a content policy that fits the page, the same bytes again."""

import base64
import hashlib
import json
import re

import pytest
from jinja2 import UndefinedError

from w2v_exp.reporting.pages import json_in_html, render_page

PAGE = (
    '{% extends "base.html" %}{% block title %}{{ title }}{% endblock %}'
    "{% block main %}<p>{{ text }}</p>{% endblock %}"
)
HOSTILE = "</style></script><script>alert(1)</script><!--'\"&"


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "page.html").write_text(PAGE)
    (tmp_path / "page.css").write_text("p { color: {{ colours[0] }}; }")
    (tmp_path / "page.js").write_text('byId("data");')
    return tmp_path


def hash_of(text):
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def test_the_policy_allows_the_style_and_the_script_of_the_page_alone(folder):
    page = render_page(folder, ["page.js"], {"k": HOSTILE}, title="t", text="x")
    (style,) = re.findall(r"<style>(.*?)</style>", page, re.DOTALL)
    (script,) = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    assert "p { color: #0072b2; }" in style
    assert 'byId("data");' in script
    assert "function element(" in script
    (policy,) = re.findall(r'Security-Policy" content="([^"]+)"', page)
    assert policy.replace("&#39;", "'") == (
        f"default-src 'none'; script-src 'sha256-{hash_of(script)}'; style-src 'sha256-{hash_of(style)}'; "
        "img-src data:; base-uri 'none'; form-action 'none'"
    )
    (data,) = re.findall(r'id="data">(.*?)</script>', page, re.DOTALL)
    assert json.loads(data) == {"k": HOSTILE}


def test_a_page_without_scripts_allows_none(folder):
    page = render_page(folder, title="t", text="x")
    assert "script-src &#39;none&#39;" in page
    assert "<script" not in page


def test_values_are_escaped_and_unknown_names_are_errors(folder):
    page = render_page(folder, title=HOSTILE, text=HOSTILE)
    assert "<script" not in page
    assert page.count("&lt;script&gt;alert(1)") == 2
    with pytest.raises(UndefinedError, match="text"):
        render_page(folder, title="t")


def test_numbers_that_json_does_not_have_are_errors():
    with pytest.raises(ValueError, match="not JSON compliant"):
        json_in_html({"cost": float("nan")})
