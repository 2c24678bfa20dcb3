"""Pictures of a run show what they should, for the article's model and for the oddest of runs."""

import numpy as np
import pytest
from matplotlib import image

from w2v_exp.examples.batches import Examples
from w2v_exp.examples.counts import cost_floor, unigram_cost
from w2v_exp.examples.pairs import window_pairs
from w2v_exp.files import write_checked
from w2v_exp.model.parameters import ArticleInitialization
from w2v_exp.model.softmax import Softmax
from w2v_exp.reporting import style
from w2v_exp.reporting.projections import map_positions
from w2v_exp.reporting.run_plots import draw_costs, draw_pictures, draw_softmax, map_embeddings
from w2v_exp.reporting.run_plots import draw_embedding_map as draw_map
from w2v_exp.text.corpus import ArticleCorpus
from w2v_exp.text.encoding import encode_text
from w2v_exp.text.tokenizers import ArticleTokenizer
from w2v_exp.text.vocabulary import VocabularyRule
from w2v_exp.training.trainer import Trainer


def draw_embedding_map(words, vectors, counts, path):
    draw_map(*map_positions(words, vectors, counts), len(words), path)


HOSTILE = [
    "$x_1^2$", "<script>alert(1)</script>", "日本", "שלום", "مرحبا", "नमस्ते", "a\x00b", "\ud800", "\u202eevil",
    "w" * 80, "_", "&amp;", "\\frac{1}{2}$", "😀", "e\u0301te", "%s", "{}", "-->",
]  # fmt: skip


@pytest.fixture(scope="module")
def article():
    """The article's model after 500 epochs."""
    text = encode_text(ArticleCorpus(), ArticleTokenizer(), VocabularyRule())
    pairs = window_pairs(text.ids, 3, len(text.vocabulary))
    generator = np.random.default_rng(0)
    parameters = ArticleInitialization()(len(text.vocabulary), 50, generator)
    examples = Examples(pairs, labels="sparse", batch_size=128, order="corpus")
    records = Trainer(examples, parameters, epochs=500, generator=generator).train()
    return text.vocabulary, pairs, parameters, records


def test_the_cost_is_drawn_with_its_bounds_named(article, tmp_path, texts_in):
    _, pairs, _, records = article
    costs = [record.cost for record in records]
    draw_costs(
        {"cost": {record.epoch: record.cost for record in records}},
        floor=cost_floor(pairs),
        unigram=unigram_cost(pairs),
        path=tmp_path / "cost.svg",
    )
    texts = texts_in(tmp_path / "cost.svg")
    assert {"cost floor 1.7230", "unigram cost 2.4437", f"cost {costs[-1]:.4f}", "epoch"} <= set(texts)
    explained = (unigram_cost(pairs) - costs[-1]) / (unigram_cost(pairs) - cost_floor(pairs))
    assert any(f"Information explained at the end: {explained:.3f} (" in text for text in texts)
    assert not any("article cost" in text for text in texts)


def test_the_articles_cost_is_drawn_where_there_is_one(tmp_path, texts_in):
    curves = {"cost": {0: 2.0, 1: 1.5}, "article_cost": {0: 1.9, 1: 1.4}}
    draw_costs(curves, floor=1, unigram=2, path=tmp_path / "cost.svg")
    assert "article cost 1.4000" in texts_in(tmp_path / "cost.svg")


def test_the_cost_of_held_out_pairs_is_a_curve_of_its_own(tmp_path, texts_in):
    curves = {"cost": {0: 2.0, 1: 1.5, 2: 1.25}, "validation_cost": {1: 2.5, 2: 2.75}}
    draw_costs(curves, path=tmp_path / "cost.svg")
    texts = texts_in(tmp_path / "cost.svg")
    assert {"cost 1.2500", "validation cost 2.7500"} <= set(texts)
    assert not any("floor" in text or "unigram" in text for text in texts)  # they are not known
    numbers = [float(text.replace("−", "-")) for text in texts if text.replace(".", "").isdigit()]
    assert max(numbers) >= 2.5  # the axis reaches the held-out curve


def test_the_longest_label_of_a_cost_is_inside_the_picture(tmp_path):
    draw_costs({"cost": {0: 20.0, 1: 18.2888}}, estimated=True, path=tmp_path / "cost.png")
    pixels = image.imread(tmp_path / "cost.png")[:, :, :3]
    assert (pixels[:, -8:] == 1).all()
    assert not (pixels[:, -200:] == 1).all()


@pytest.mark.parametrize(
    ("costs", "floor", "unigram", "sentence"),
    [
        ([2.0], 1.0, 2.5, "at the end: 0.333"),
        ([3.0, 3.0], 1.0, 2.0, "at the end: −1.000"),
        ([0.0] * 5, 0.0, 0.0, "no information beyond"),
        ([1.0, np.nan, np.nan], 1.0, 2.5, "not finite"),
        ([np.nan] * 2, 1.0, 2.5, "not finite"),
        ([1e7, np.inf], 1.0, 2.5, "not finite"),
        ([], 1.0, 2.5, "not finite"),
        ([2.0] * 3, np.nan, np.nan, "Last cost: 2.0000 nats per pair."),
    ],
)
def test_odd_costs_are_drawn_and_said_to_be_odd(costs, floor, unigram, sentence, tmp_path, texts_in):
    path = tmp_path / "cost.svg"
    draw_costs({"cost": dict(enumerate(costs))}, floor=floor, unigram=unigram, path=path)
    assert sum(sentence in text for text in texts_in(path)) == 1


def labels_of(words, vectors, counts, tmp_path):
    """Return the labels of a map, after a check that none lies on another."""
    with style.drawing(tmp_path / "map.png", height=6.4) as figure:
        placed = map_embeddings(figure, *map_positions(words, vectors, counts), len(words))
        labels = [label for label in placed if label is not None]
        boxes = [label.get_window_extent() for label in labels]
        assert not [(i, j) for i in range(len(boxes)) for j in range(i) if boxes[i].overlaps(boxes[j])]
        edges = figure.axes[0].get_window_extent()
        assert all(edges.x0 <= box.x0 and box.x1 <= edges.x1 for box in boxes)
    return [label.get_text() for label in labels]


def test_all_words_of_the_article_find_room_on_the_map(article, tmp_path):
    vocabulary, _, parameters, _ = article
    labels = labels_of(vocabulary.words, parameters.embedding, vocabulary.counts, tmp_path)
    assert labels == vocabulary.words


def test_of_many_words_the_most_frequent_are_drawn_and_a_fair_number_named(tmp_path, texts_in):
    vectors = np.random.default_rng(4).normal(size=(2000, 20))
    words, counts = [f"word{i}" for i in range(2000)], np.random.default_rng(5).permutation(2000)
    labels = labels_of(words, vectors, counts, tmp_path)
    assert len(labels) >= 80
    assert {counts[int(label.removeprefix("word"))] for label in labels} <= set(range(1700, 2000))
    assert labels[0] == words[counts.argmax()]
    draw_embedding_map(words, vectors, counts, tmp_path / "map.svg")
    assert any("The 300 most frequent of 2,000 words" in text for text in texts_in(tmp_path / "map.svg"))


def test_the_map_says_how_much_of_the_variance_it_shows(tmp_path, texts_in):
    vectors = np.array([[3.0, 0, 0], [-3, 0, 0], [0, 1, 0], [0, -1, 0]])  # variances as 9 to 1
    draw_embedding_map(list("abcd"), vectors, [1, 1, 1, 1], tmp_path / "map.svg")
    texts = texts_in(tmp_path / "map.svg")
    assert "first principal component (90% of the variance)" in texts
    assert "second principal component (10% of the variance)" in texts


@pytest.mark.parametrize(
    "vectors",
    [
        np.ones((1, 5)),
        np.ones((50, 5)),
        np.arange(50.0)[:, None],
        np.random.default_rng(6).normal(size=(50, 3)) * 1e-30,
        np.random.default_rng(6).normal(size=(50, 3)).astype(np.float32) * 1e12,
    ],
    ids=["one word", "no variance", "one dimension", "tiny", "huge"],
)
def test_odd_vectors_are_drawn(vectors, tmp_path):
    words = [f"word{i}" for i in range(len(vectors))]
    assert labels_of(words, vectors, np.ones(len(vectors)), tmp_path)[0] == "word0"


def test_a_word_whose_vector_is_not_finite_is_left_out(tmp_path):
    vectors = np.random.default_rng(7).normal(size=(4, 3))
    vectors[1, 2] = np.nan
    assert labels_of(list("abcd"), vectors, [1, 9, 1, 1], tmp_path) == ["a", "c", "d"]


def test_hostile_words_are_only_words_on_a_map(tmp_path, texts_in):
    vectors = np.random.default_rng(8).normal(size=(len(HOSTILE), 5))
    draw_embedding_map(HOSTILE, vectors, np.ones(len(HOSTILE)), tmp_path / "map.svg")
    texts = texts_in(tmp_path / "map.svg")
    assert {"$x_1^2$", "a�b", "�evil", "שלום", "w" * 23 + "…"} <= set(texts)
    assert not [text for text in texts if "\u202e" in text or "\x00" in text]


def test_hostile_words_are_only_words_on_a_heat_map(tmp_path, texts_in):
    probabilities = np.random.default_rng(9).dirichlet(np.ones(len(HOSTILE)), len(HOSTILE))
    draw_softmax(HOSTILE, probabilities, probabilities > 0.1, tmp_path / "softmax.svg")
    assert texts_in(tmp_path / "softmax.svg").count("$x_1^2$") == 2


def test_the_softmax_output_is_drawn_with_the_share_of_true_neighbours(article, tmp_path, texts_in):
    vocabulary, pairs, parameters, _ = article
    probabilities = Softmax().probabilities(parameters, np.arange(len(vocabulary)))
    true = np.zeros(probabilities.shape, bool)
    true[pairs.centres, pairs.contexts] = True
    draw_softmax(vocabulary.words, probabilities, true, tmp_path / "softmax.svg")
    texts = texts_in(tmp_path / "softmax.svg")
    assert all(texts.count(word) == 2 for word in vocabulary.words)
    share = np.mean([probabilities[i][true[i]].sum() for i in range(len(vocabulary))])
    assert any(f"share of the probability: {share:.1%}" in text for text in texts)


def test_dark_cells_are_probable_words_and_frames_true_neighbours(tmp_path):
    draw_softmax(["a", "b"], np.array([[0.0, 1.0], [1.0, 0.0]]), np.eye(2, dtype=bool), tmp_path / "s.png")
    picture = image.imread(tmp_path / "s.png")[:, :, :3]
    dark = np.argwhere(picture.sum(axis=2) < 1)
    left_below = dark[(dark[:, 1] < 700)]
    assert left_below[:, 0].mean() > dark[(dark[:, 1] > 900) & (dark[:, 1] < 1350)][:, 0].mean() + 100
    red, green, blue = np.moveaxis(picture, 2, 0)
    frames = np.argwhere((red > 0.8) & (green < 0.45) & (blue < 0.1))
    middle = frames.mean(axis=0)
    corners = {(row > 0, column > 0) for row, column in (frames - middle)}
    assert corners == {(False, False), (True, True)}  # on the diagonal from top left to bottom right


@pytest.mark.parametrize("size", [2, 13, 50])
def test_true_neighbours_leave_their_values_to_be_seen(size, tmp_path):
    """Most of a cell's pixels are the same with the frame as without it, its middle among them."""
    values = np.full((size, size), 0.5)
    pictures = []
    for number, true in enumerate((np.zeros((size, size), bool), np.eye(size, dtype=bool))):
        draw_softmax(["w"] * size, values, true, tmp_path / f"{number}.png")
        pictures.append(image.imread(tmp_path / f"{number}.png")[:, :, :3])
    bare, framed = pictures
    width = bare.shape[1]
    colours, counts = np.unique(bare.reshape(-1, 3), axis=0, return_counts=True)
    counts[colours.sum(axis=1) == 3] = 0  # white
    value = colours[counts.argmax()]  # all cells have one value
    filled = np.abs(bare - value).sum(axis=2) < 0.02
    cells = np.argwhere(filled[:, : int(0.89 * width)])  # without the scale
    (top, left), (bottom, right) = cells.min(axis=0), cells.max(axis=0)
    changed = (bare != framed).any(axis=2)[top:bottom, left:right]
    rows, columns = np.linspace(0, changed.shape[0], size + 1), np.linspace(0, changed.shape[1], size + 1)
    for i in range(size):
        cell = changed[int(rows[i]) : int(rows[i + 1]), int(columns[i]) : int(columns[i + 1])]
        assert 0 < cell.mean() < 0.4
        assert not cell[cell.shape[0] // 2 - 1 : cell.shape[0] // 2 + 2, cell.shape[1] // 2].any()


@pytest.mark.parametrize("size", [1, 2, 50])
def test_vocabularies_of_any_small_size_have_a_heat_map(size, tmp_path):
    draw_softmax([f"w{i}" for i in range(size)], np.eye(size), np.eye(size, dtype=bool), tmp_path / "s.png")
    assert image.imread(tmp_path / "s.png").shape[1] == 1600


def test_too_many_words_for_a_heat_map_are_refused(tmp_path):
    with pytest.raises(ValueError, match="51 words: a heat map shows at most 50"):
        draw_softmax(["w"] * 51, np.eye(51), np.eye(51, dtype=bool), tmp_path / "s.png")


def test_pictures_are_drawn_from_a_file(article, tmp_path):
    """The process that uploads a run draws its pictures: often another one, and possibly later."""
    vocabulary, pairs, parameters, records = article
    words, positions, shares = map_positions(vocabulary.words, parameters.embedding, vocabulary.counts)
    true = np.zeros((len(vocabulary), len(vocabulary)), bool)
    true[pairs.centres, pairs.contexts] = True
    probabilities = Softmax().probabilities(parameters, np.arange(len(vocabulary)))
    curve = {record.epoch: record.cost for record in records}
    values = {
        "curves": {"cost": list(curve.items()), "objective_cost": [(0, np.nan)]},
        "unigram": 2.4,
        "floor": np.nan,
        "estimated": True,
        "vocabulary_size": len(vocabulary),
        "words": words,
        "positions": positions.tolist(),
        "shares": shares,
        "softmax_words": vocabulary.words,
        "probabilities": probabilities.tolist(),
        "true_neighbours": true.tolist(),
    }
    write_checked(tmp_path / "pictures.json", values)
    there, here = tmp_path / "there", tmp_path / "here"
    for folder in (there, here):
        folder.mkdir()
    draw_pictures(tmp_path / "pictures.json", there)
    curves = {"cost": curve, "objective_cost": {0: np.nan}}
    draw_costs(curves, unigram=2.4, estimated=True, path=here / "cost.png")
    draw_map(words, positions, shares, len(vocabulary), here / "embedding_map.png")
    draw_softmax(vocabulary.words, probabilities, true, here / "softmax.png")
    for file in here.iterdir():
        assert (there / file.name).read_bytes() == file.read_bytes()
    assert len(list(there.iterdir())) == 3


def test_a_run_without_epochs_and_with_many_words_has_a_map_only(tmp_path):
    values = {
        **{"curves": {}, "unigram": np.nan, "floor": np.nan, "estimated": False, "vocabulary_size": 51},
        **{"words": ["a"], "positions": [(0.0, 0.0)], "shares": (0.0, 0.0), "softmax_words": []},
    }
    write_checked(tmp_path / "pictures.json", values)
    draw_pictures(tmp_path / "pictures.json", tmp_path)
    assert [file.name for file in tmp_path.glob("*.png")] == ["embedding_map.png"]
