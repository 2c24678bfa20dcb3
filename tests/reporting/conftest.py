"""What tests of pictures share."""

import re
from xml.etree import ElementTree

import pytest


@pytest.fixture
def texts_in():
    """Read the texts of an SVG: matplotlib draws letters as shapes, each text with a comment beside it."""

    def read(path):
        source = path.read_text(encoding="utf-8")
        root = ElementTree.fromstring(source)
        assert not [element for element in root.iter() if element.tag.endswith("script")]
        unescaped = re.findall(r"<!-- (.*?) -->", source, re.DOTALL)
        return [text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&") for text in unescaped]

    return read
