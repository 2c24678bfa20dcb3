"""Point 1: tokens, words and pairs of the sentence, and the worked example."""

from __future__ import annotations

from article.model import WINDOW, PublishedFigures, article_pairs, article_text, contexts_of
from article.report import Claim, Point, prose, table
from w2v_exp.reporting.escape import markdown
from w2v_exp.text.corpus import ArticleCorpus
from w2v_exp.text.tokenizers import ArticleTokenizer

EXAMPLE_WINDOW = 5
WHY_EXACT = "counts are not random"


def examine(published: PublishedFigures, seeds: range) -> Point:
    """Tokenize the sentence, count, and make the pairs of the example's word."""
    text, pairs = article_text(), article_pairs()
    ours = {
        "tokens": text.tokens,
        "words": len(text.vocabulary),
        f"pairs at window {WINDOW}": len(pairs),
    }
    claims = [
        Claim(what.capitalize(), str(value), str(ours[what]), "exact", WHY_EXACT, ours[what] == value)
        for what, value in published.counts.items()
    ]
    word = published.pairs[0][0]
    expected = [context for _, context in published.pairs]
    obtained = contexts_of(word, article_pairs(EXAMPLE_WINDOW))
    listed = {
        "published": [markdown(context) for context in expected],
        "obtained": [markdown(context) for context in obtained],
    }
    claims.append(
        Claim(
            f"Contexts of `{word}` at window {EXAMPLE_WINDOW}, in order",
            ", ".join(listed["published"]),
            ", ".join(listed["obtained"]),
            "exact",
            WHY_EXACT,
            obtained == expected,
        )
    )
    return Point(
        title="The worked example",
        statement=f"The tokens of the sentence, and the {len(expected)} pairs of `{word}`",
        stands=True,
        finding=f"{text.tokens} tokens, {len(text.vocabulary)} words and {len(pairs)} pairs, and the same "
        f"{len(obtained)} pairs of `{word}` in the same order.",
        claims=claims,
        body=prose(
            "worked_example",
            sentence=ArticleCorpus.sentence,
            typographic=len(ArticleTokenizer()(ArticleCorpus.sentence.replace("'", "’"))),
            word=word,
            window=EXAMPLE_WINDOW,
            pairs=table(
                ["", *(str(number + 1) for number in range(len(expected)))],
                [[whose, *contexts] for whose, contexts in listed.items()],
            ),
        ),
    )
