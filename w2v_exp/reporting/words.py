"""Words from a corpus, and values from a command line, made safe to show: both are texts from outside."""

from __future__ import annotations

import re

JOINERS = "\u200c\u200d"  # not printable, but Persian and the scripts of India are spelled with them


def shown(text: str, longest: int = 24) -> str:
    r"""Return a text as it can be shown on one line.

    What has no shape of its own (control characters, lone surrogates, marks that turn the direction of
    writing) becomes ``�``, and a text of more than `longest` characters is cut.

    >>> shown("a\x1b[31mb"), shown("wordlessness", longest=5)
    ('a�[31mb', 'word…')
    """
    visible = "".join(c if c.isprintable() or c in JOINERS else "�" for c in text)
    return visible if len(visible) <= longest else visible[: longest - 1] + "…"


# What no Markdown dialect reads anything into: letters, digits, some signs, and others where harmless:
# an underscore or full stop inside a word (but not that of www.), a full stop or colon at its end.
_PLAIN = re.compile(
    r"""[^\W_] | [^\x00-\x7f] | [ =,()/%+?'"-] | (?<=[^\W_])(?<![wW]{3})[_.](?=[^\W_]) | [.:](?=\ |$)""",
    re.VERBOSE,
)


def markdown(text: str, longest: int = 60) -> str:
    """Return a text that Markdown shows as it is, in a table as well; whatever is doubtful becomes an entity.

    >>> markdown("objective.update=sum"), markdown("<b>|*")
    ('objective.update=sum', '&#60;b&#62;&#124;&#42;')
    """
    visible = shown(text, longest)
    return "".join(c if _PLAIN.match(visible, i) else f"&#{ord(c)};" for i, c in enumerate(visible))
