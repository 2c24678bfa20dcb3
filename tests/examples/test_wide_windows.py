"""Windows that are wider than the text: the result of one that reaches over its longest segment, at its cost."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from plans import plan_of
from properties import examples

from w2v_exp.examples.counted import CountsRule
from w2v_exp.examples.counts import count_window_pairs
from w2v_exp.examples.held_out import sample_pairs
from w2v_exp.examples.pairs import count_ids, count_pairs, effective_window, mean_pairs, window_pairs
from w2v_exp.examples.sampling import TextPart, TextSampler
from w2v_exp.examples.streamed import StreamedExamples
from w2v_exp.experiment.build import build_examples, build_trainer, held_out_sample, pair_statistics
from w2v_exp.experiment.estimate import estimate_run
from w2v_exp.experiment.measures import training_bounds

V = 7
IDS = np.random.default_rng(3).integers(V, size=60, dtype=np.int32)
SEGMENTS = np.array([0, 11, 13, 40, 60])  # the longest has 27 words
ANY_WIDTH = [27, 10**6, 2**53, 2**62, 2**63 - 1]
WAYS = [
    "labels=dense",
    "labels=sparse",
    "labels=sparse objective.update=overwrite",
    "labels=counts",
    "labels=streamed",
    "labels=sparse subsampling=word2vec subsampling.threshold=0.1",
    "labels=counts subsampling=word2vec subsampling.threshold=0.1",
    "labels=streamed subsampling=word2vec subsampling.threshold=0.1",
    "labels=sparse model=cbow",
    "labels=streamed model=cbow",
    "labels=sparse objective=hierarchical_softmax",
    "labels=counts objective=hierarchical_softmax",
    "labels=sparse objective=negative_sampling",
    "labels=counts objective=negative_sampling",
    "labels=streamed objective=negative_sampling",
    "labels=blocks objective=negative_sampling",
    "labels=blocks objective=negative_sampling model=cbow",
    "labels=blocks objective=negative_sampling objective.sharing=pair",
]


@st.composite
def texts(draw):
    """Return ids, and segments or None."""
    ids = draw(st.lists(st.integers(0, V - 1), min_size=2, max_size=30))
    cuts = draw(st.lists(st.integers(1, len(ids) - 1), unique=True, max_size=5))
    segments = np.array([0, *sorted(cuts), len(ids)]) if draw(st.booleans()) else None
    return np.array(ids, np.int32), segments


def trained(way, *choices):
    """Return the bytes that two epochs end with."""
    plan = plan_of(*way.split(), *choices, "epochs=2", "dim=4", "batch_size=50", "learning_rate=0.1")
    examples = build_examples(plan, IDS, V, SEGMENTS)
    trainer = build_trainer(plan, examples, plan.initialization, word_counts=count_ids(IDS, V))
    trainer.train()
    return trainer.parameters.embedding.tobytes() + trainer.parameters.output.tobytes()


@pytest.mark.cases(every=3)
@pytest.mark.parametrize("way", WAYS)
def test_a_window_beyond_the_longest_segment_trains_to_the_bytes_of_one_that_reaches_over_it(way):
    reference = trained(way, "window=26")
    assert trained(way, "window=25") != reference
    for width in ANY_WIDTH:
        assert trained(way, f"window={width}") == reference, width


@pytest.mark.cases(every=2)
@pytest.mark.parametrize("way", WAYS)
def test_windows_that_shrink_may_be_drawn_from_any_width(way):
    # Nearly all that are drawn from so many are beyond the segment.
    whole = trained(way, "window=26")
    few = trained(way, "window=26", "shrinking_window=true")
    widest = trained(way, f"window={2**62}", "shrinking_window=true")
    assert few != whole
    if "labels=counts" not in way and "subsampling" not in way:
        # What chance decides is drawn alike, and here every window is beyond the segment.
        assert trained(way, f"window={2**63 - 1}", "shrinking_window=true") == widest


@given(texts(), st.integers(1, 400), st.integers(0, 99))
def test_drawn_windows_are_those_of_a_longer_text_cut_at_the_segment(text, window, seed):
    ids, segments = text
    edges = np.array([0, len(ids)]) if segments is None else segments
    # A segment behind the text that is as long as the window: nothing is cut.
    longer = np.concatenate([ids, np.zeros(window + 1, np.int32)])
    cut = TextSampler(ids, window, np.random.default_rng(seed), shrinking_window=True, segments=segments)
    uncut = TextSampler(
        longer,
        window,
        np.random.default_rng(seed),
        shrinking_window=True,
        segments=np.append(edges, len(longer)),
    )
    spans = cut.whole(), uncut.span(0, len(ids))
    reach = effective_window(window, len(ids), segments)
    np.testing.assert_array_equal(spans[0].window, np.minimum(spans[1].window, reach))
    for one, other in zip(*(span.pairs() for span in spans), strict=True):
        np.testing.assert_array_equal(one, other)


@given(texts(), st.integers(1, 100))
def test_the_mean_over_shrinking_windows_is_that_of_their_pairs(text, window):
    ids, segments = text
    counted = [count_pairs(len(ids), width, segments) for width in range(1, window + 1)]
    assert mean_pairs(len(ids), window, segments) == sum(counted) / window


@given(texts(), st.sampled_from([1, 5, 29, 30, 31, 10**6, 2**31, 2**62, 2**63 - 1]))
def test_shrinking_windows_of_any_width_are_counted_with_the_weights_of_their_distances(text, window):
    ids, segments = text
    expected = np.zeros((V, V))
    edges = [0, len(ids)] if segments is None else segments.tolist()
    for start, stop in pairwise(edges):
        for centre in range(start, stop):
            for context in range(start, stop):
                distance = abs(centre - context)
                if 1 <= distance <= window:
                    expected[ids[centre], ids[context]] += (window - distance + 1) / window
    rule = CountsRule()
    for counts in (
        count_window_pairs([ids], window, V, shrinking=True, segments=segments, threads=1),
        rule.count(ids, window, V, np.random.default_rng(0), shrinking_window=True, segments=segments),
        sample_pairs(
            TextPart(ids, segments), window, V, np.random.default_rng(0), shrinking_window=True
        ).counts,
    ):
        found = np.zeros((V, V))
        centres, contexts, values = counts.distinct()
        found[centres, contexts] = values
        np.testing.assert_allclose(found, expected, rtol=1e-6)
    assert mean_pairs(len(ids), window, segments) == pytest.approx(expected.sum())
    if expected.any():
        examples = StreamedExamples(ids, window, V, shrinking_window=True, segments=segments)
        np.testing.assert_allclose(examples.context_shares, expected.sum(axis=0) / expected.sum(), atol=1e-12)


@given(texts(), st.sampled_from(ANY_WIDTH))
@settings(max_examples=examples(30))
def test_listed_pairs_of_any_width_are_all_of_the_segments(text, window):
    ids, segments = text
    reach = effective_window(window, len(ids), segments)
    listed = [window_pairs(ids, width, V, segments) for width in (window, np.int64(window), reach)]
    for other in listed[1:]:
        assert other.centres.tobytes() == listed[0].centres.tobytes()
        assert other.contexts.tobytes() == listed[0].contexts.tobytes()


@pytest.mark.cases(every=3)
@pytest.mark.parametrize("shrinking", [False, True])
@pytest.mark.parametrize("way", WAYS)
def test_what_is_estimated_and_measured_of_a_wide_window_is_that_of_the_longest_segment(way, shrinking):
    def found(width):
        plan = plan_of(
            *way.split(), f"window={width}", f"shrinking_window={str(shrinking).lower()}", "cache=none"
        )
        text = TextPart(IDS, SEGMENTS)
        examples = build_examples(plan, IDS, V, SEGMENTS)
        sample = held_out_sample(plan, text, V).counts
        statistics = pair_statistics(plan, text, V)
        return (
            estimate_run(plan, text, V),
            statistics.window,
            statistics.gaps,
            training_bounds(plan, None, text, examples),
            examples.pairs_per_epoch,
            sample.contexts.tobytes(),
            sample.counts.tobytes(),
        )

    same, whole = found(2**62), found(10**9 if shrinking else 26)
    if not shrinking:
        assert same == whole
    assert same[1:3] == (26, 26 * 3)
    assert same[3].cost_floor == pytest.approx(whole[3].cost_floor, rel=1e-5)
    assert same[3].unigram_cost == pytest.approx(whole[3].unigram_cost, rel=1e-5)


@pytest.mark.parametrize("kind", [np.uint8, np.int16, np.uint64, np.array])
def test_windows_may_be_whole_numbers_of_any_kind(kind):
    window = kind(200)  # twice of it, or less of it, is no uint8
    draw = TextSampler(IDS, window, np.random.default_rng(0), shrinking_window=True, segments=SEGMENTS)
    reference = TextSampler(IDS, 200, np.random.default_rng(0), shrinking_window=True, segments=SEGMENTS)
    np.testing.assert_array_equal(draw.whole().window, reference.whole().window)
    for shrinking in (False, True):
        counted = [
            count_window_pairs([IDS], width, V, shrinking=shrinking, segments=SEGMENTS, threads=1)
            for width in (window, 200)
        ]
        np.testing.assert_array_equal(counted[0].counts, counted[1].counts)
        streamed = [
            StreamedExamples(IDS, width, V, shrinking_window=shrinking, segments=SEGMENTS).context_shares
            for width in (window, 200)
        ]
        np.testing.assert_array_equal(*streamed)


@given(
    st.lists(st.lists(st.integers(0, V - 1), max_size=12), min_size=1, max_size=6),
    st.integers(1, 14),
    st.sampled_from([2, 7, 1 << 20]),
    st.booleans(),
)
def test_counting_within_the_reach_of_each_centre_counts_the_same(texts, window, chunk, shrinking):
    ids = np.array([word for text in texts for word in text], np.int32)
    segments = np.cumsum([0, *map(len, texts)])

    def counted(wide):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("w2v_exp.examples.counts.CHUNK_TOKENS", chunk)
            for module in ("pairs", "counts"):
                patch.setattr(f"w2v_exp.examples.{module}.WIDE_WINDOW", wide)
            return count_window_pairs(
                [ids, ids], window, V, shrinking=shrinking, segments=segments, threads=1
            )

    found, reference = counted(0), counted(1 << 20)
    for name in ("starts", "contexts", "counts"):
        np.testing.assert_array_equal(getattr(found, name), getattr(reference, name))


def test_counting_lines_of_a_wide_window_looks_at_their_own_contexts_only():
    lines = np.arange(0, 40_001, 8)
    ids = (np.arange(40_300) % 50).astype(np.int32)
    ids[40_000:] = 50  # a last line of 300 words, the window of all
    short_lines = count_window_pairs([ids[:40_000]], 7, 51, segments=lines)
    counts = count_window_pairs([ids], 2**40, 51, segments=np.append(lines, 40_300))
    assert counts.total == short_lines.total + 300 * 299
