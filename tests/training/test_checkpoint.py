"""A training that goes on from a checkpoint ends with the same bytes as one that was never interrupted."""

import dataclasses
import itertools
import json
import re
import zipfile

import numpy as np
import pytest

from w2v_exp.examples.batches import ORDERS, Examples
from w2v_exp.examples.blocks import BlockExamples
from w2v_exp.examples.cbow import CbowContexts, CbowExamples, StreamedCbow
from w2v_exp.examples.counted import CountedExamples, CountsRule
from w2v_exp.examples.counts import count_window_pairs
from w2v_exp.examples.pairs import window_pairs
from w2v_exp.examples.sampling import SUBSAMPLINGS, TextSampler
from w2v_exp.examples.streamed import StreamedExamples, StreamRule
from w2v_exp.model.hierarchical_softmax import HierarchicalSoftmax
from w2v_exp.model.negative_sampling import NegativeSampling
from w2v_exp.model.parameters import ArticleInitialization, Parameters
from w2v_exp.model.sampled_softmax import RoundExamples, SampledSoftmax
from w2v_exp.model.softmax import Softmax
from w2v_exp.training.checkpoints import DamagedCheckpointError, open_checkpoint, write_checkpoint
from w2v_exp.training.optimizers import OPTIMIZERS
from w2v_exp.training.schedules import Linear
from w2v_exp.training.steps import BlockSteps
from w2v_exp.training.trainer import Trainer

V, WINDOW, DIM, EPOCHS = 13, 2, 5, 3
TEXT = np.random.default_rng(5).zipf(1.5, 70).clip(max=V).astype(np.int32) - 1
DROPPING = {"subsampling": SUBSAMPLINGS["word2vec"](threshold=0.1), "shrinking_window": True}


def sparse(order, dtype):
    return Examples(window_pairs(TEXT, WINDOW, V), batch_size=50, order=order, dtype=dtype)


def dense(order, dtype):
    return Examples(window_pairs(TEXT, WINDOW, V), labels="dense", batch_size=50, order=order, dtype=dtype)


def counts(order, dtype):
    return CountedExamples(
        count_window_pairs([TEXT], WINDOW, V), CountsRule(centres=4), order=order, dtype=dtype
    )


def rounds(order, dtype):
    rule = CountsRule(centres=1, smoothing=1.0)
    return RoundExamples(count_window_pairs([TEXT], WINDOW, V), rule, order=order, dtype=dtype)


def streamed(order, dtype):
    return StreamedExamples(TEXT, WINDOW, V, StreamRule(block=12), batch_size=30, order=order, **DROPPING)


def bags(order, dtype):
    drawn = TextSampler(TEXT, WINDOW, np.random.default_rng(0)).whole()
    return CbowExamples(CbowContexts.of(drawn), V, batch_size=15, order=order, dtype=dtype)


def streamed_bags(order, dtype):
    return StreamedCbow(
        TEXT, WINDOW, V, StreamRule(block=12), batch_size=15, order=order, dtype=dtype, **DROPPING
    )


def blocks(order, dtype):
    return BlockExamples(TEXT, WINDOW, V, 10, order=order, **DROPPING)


def make_trainer(
    make_examples, order="corpus", objective="softmax", optimizer="sgd", dtype=np.float64, **rule
):
    generator = np.random.default_rng(3)
    examples = make_examples(order, dtype)
    parameters = ArticleInitialization(scale=0.3)(V, DIM, generator, dtype)
    steps = None
    if objective == "softmax":
        made = Softmax(**rule)
        parameters = Parameters(
            parameters.embedding, parameters.output, made.initial_offset(examples.context_shares, dtype)
        )
    elif objective == "sampled_softmax":
        made = SampledSoftmax(frequent_words=4, sampled_words=3).bind(examples, None, generator)
        parameters = made.initial_parameters(parameters, examples)
    elif objective == "hierarchical_softmax":
        made = HierarchicalSoftmax(**rule).bind(examples)
        parameters = Parameters(parameters.embedding, parameters.output[: V - 1].copy())
    else:
        made = NegativeSampling(**rule).bind(examples, np.bincount(TEXT, minlength=V), generator)
        if make_examples is blocks:
            steps = BlockSteps(made, parameters)
    return Trainer(
        examples,
        parameters,
        objective=made,
        optimizer=OPTIMIZERS[optimizer](),
        steps=steps,
        schedule=Linear(floor=0.1),
        epochs=EPOCHS,
        learning_rate=0.05,
        generator=generator,
    )


class Photographer:
    """A callback that writes a checkpoint after chosen steps and epochs, as if the process were killed then."""

    def __init__(self, trainer, folder, moments):
        self.trainer, self.folder, self.moments = trainer, folder, moments
        self.number = 0
        self.files = []
        trainer.add_callback(self)

    def on_step(self, pairs_done):
        self.attempt()

    def on_epoch(self, record):
        self.attempt()

    def attempt(self):
        if self.number in self.moments:
            self.files.append(self.folder / f"{self.number}.npz")
            write_checkpoint(self.files[-1], self.trainer.state(), {"moment": self.number})
        self.number += 1


def result_of(trainer):
    """Return all that training comes to but for its seconds."""
    records = [record[:4] for record in trainer.records]
    arrays = [trainer.parameters.embedding, trainer.parameters.output]
    return json.dumps(records), trainer.pairs_done, [array.tobytes() for array in arrays]


PAIRS = [sparse, dense, counts, streamed, bags, streamed_bags]
SAMPLED = [sparse, counts, streamed, streamed_bags]
CASES = [
    *itertools.product(PAIRS, ORDERS, ["softmax"], ["sgd"], [np.float64]),
    *itertools.product([sparse, streamed], ["shuffled"], ["softmax"], sorted(OPTIMIZERS), [np.float32]),
    *itertools.product(
        [sparse, streamed], ["shuffled"], ["hierarchical_softmax"], ["lazy_adam"], [np.float64]
    ),
    *itertools.product([counts], ORDERS, ["hierarchical_softmax"], ["adagrad"], [np.float32]),
    *itertools.product([rounds], ORDERS, ["sampled_softmax"], ["adagrad"], [np.float32]),
    *itertools.product(SAMPLED, ORDERS, ["negative_sampling"], ["adam"], [np.float32]),
    *itertools.product(
        [blocks], ["corpus", "blocks"], ["negative_sampling"], ["sgd"], [np.float32, np.float64]
    ),
]


@pytest.mark.cases(every=4)
@pytest.mark.parametrize(
    ("examples", "order", "objective", "optimizer", "dtype"),
    CASES,
    ids=lambda value: value if isinstance(value, str) else value.__name__,
)
def test_what_goes_on_from_any_moment_ends_with_the_same_bytes(
    examples, order, objective, optimizer, dtype, tmp_path
):
    choices = (examples, order, objective, optimizer, dtype)
    rule = {"output_offset": "learned"} if objective == "softmax" else {}
    whole = make_trainer(*choices, **rule)
    watching = Photographer(whole, tmp_path, range(0, 100, 5))
    whole.train()
    assert len(watching.files) > 2
    for file in watching.files:
        trainer = make_trainer(*choices, **rule)
        checkpoint = open_checkpoint(file)
        trainer.restore(checkpoint.state)
        assert checkpoint.notes == {"moment": int(file.stem)}
        checkpoint.close()
        trainer.train()
        assert result_of(trainer) == result_of(whole)


def test_it_may_be_interrupted_after_every_step(tmp_path):
    whole = make_trainer(streamed, "shuffled", "negative_sampling", "adam")
    whole.train()
    moments = 0
    while True:
        trainer = make_trainer(streamed, "shuffled", "negative_sampling", "adam")
        if moments:
            checkpoint = open_checkpoint(tmp_path / "0.npz")
            trainer.restore(checkpoint.state)
            checkpoint.close()
        watching = Photographer(trainer, tmp_path, [0])
        trainer.add_callback(killer := Killer())
        try:
            trainer.train()
            break
        except KeyboardInterrupt:
            moments += 1
            assert killer.calls == len(watching.files) == 1
    assert moments > 20
    assert result_of(trainer) == result_of(whole)


class Killer:
    """A callback that ends training as soon as it is called."""

    calls = 0

    def on_step(self, pairs_done):
        self.calls += 1
        raise KeyboardInterrupt

    def on_epoch(self, record):
        self.on_step(0)


def test_time_goes_on_from_where_it_was(tmp_path):
    whole = make_trainer(sparse)
    watching = Photographer(whole, tmp_path, [5])
    whole.train()
    checkpoint = open_checkpoint(watching.files[0])
    state = dataclasses.replace(checkpoint.state, train_seconds=1000.0)
    trainer = make_trainer(sparse)
    trainer.restore(state)
    checkpoint.close()
    assert 1000 < trainer.train()[-1].train_seconds < 1010


def test_any_of_numpys_generators_goes_on(tmp_path):
    for kind in (np.random.PCG64, np.random.Philox, np.random.MT19937, np.random.SFC64):
        trainers = []
        for _ in range(2):
            trainer = make_trainer(sparse, "shuffled")
            trainer.generator = np.random.Generator(kind(7))
            trainers.append(trainer)
        whole, interrupted = trainers
        watching = Photographer(whole, tmp_path, [4])
        whole.train()
        checkpoint = open_checkpoint(watching.files[0])
        interrupted.restore(checkpoint.state)
        checkpoint.close()
        interrupted.train()
        assert result_of(interrupted) == result_of(whole)


def test_the_state_of_another_training_is_refused(tmp_path):
    whole = make_trainer(sparse, optimizer="adam")
    watching = Photographer(whole, tmp_path, [4])
    whole.train()
    checkpoint = open_checkpoint(watching.files[0])
    for other in (
        make_trainer(sparse, optimizer="momentum"),
        make_trainer(sparse, optimizer="adam", dtype=np.float32),
    ):
        with pytest.raises(ValueError, match="The state is of another training: its array"):
            other.restore(checkpoint.state)
    checkpoint.close()


# ---------------------------------------------------------------- the file


@pytest.fixture
def file(tmp_path):
    trainer = make_trainer(sparse, optimizer="adam")
    watching = Photographer(trainer, tmp_path, [4])
    trainer.train()
    return watching.files[0]


def arrays_of(path):
    """Return the bytes, shape and dtype of each array of a checkpoint, and its notes."""
    checkpoint = open_checkpoint(path)
    saved = checkpoint.state.arrays
    arrays = {name: (saved[name].tobytes(), saved[name].shape, saved[name].dtype) for name in saved}
    checkpoint.close()
    return arrays, checkpoint.notes


@pytest.mark.cases(every=4)
@pytest.mark.parametrize("bit", range(8))
def test_every_flipped_bit_is_detected_or_does_not_matter(file, tmp_path, bit):
    """A few are of no consequence: dates of a zip archive's members, for instance. Each byte has one bit flipped."""
    content = file.read_bytes()
    expected = arrays_of(file)
    damaged = tmp_path / "damaged.npz"
    refused = 0
    offsets = range(bit, len(content), 8)
    for offset in offsets:
        damaged.write_bytes(content[:offset] + bytes([content[offset] ^ (1 << bit)]) + content[offset + 1 :])
        try:
            found = arrays_of(damaged)
        except DamagedCheckpointError:
            refused += 1
        else:
            assert found == expected
    assert refused > 0.7 * len(offsets)


@pytest.mark.parametrize("name", ["embedding", "output.mean", "description"])
def test_every_byte_of_a_member_is_under_its_checksum(file, tmp_path, name):
    """A member's header too: NumPy would read fewer bytes where it claims a smaller shape, and check no CRC-32."""
    content = file.read_bytes()
    with zipfile.ZipFile(file) as archive:
        member = archive.getinfo(f"{name}.npy")
        start = content.index(archive.read(member), member.header_offset)
    for offset in range(start, start + member.file_size):
        damaged = bytearray(content)
        damaged[offset] ^= 1
        (tmp_path / "damaged.npz").write_bytes(damaged)
        with pytest.raises(DamagedCheckpointError, match=f"Bad CRC-32|the CRC-32 of {name}.npy is wrong"):
            open_checkpoint(tmp_path / "damaged.npz")


def test_a_missing_array_is_detected(file, tmp_path):
    with np.load(file) as archive:
        arrays = dict(archive)
    del arrays["output.mean"]
    np.savez(tmp_path / "less.npz", **arrays)
    with pytest.raises(DamagedCheckpointError, match=re.escape("it has no output.mean")):
        open_checkpoint(tmp_path / "less.npz")


def test_a_file_that_is_cut_off_is_refused(file, tmp_path):
    content = file.read_bytes()
    for length in range(len(content)):
        (tmp_path / "cut.npz").write_bytes(content[:length])
        with pytest.raises(DamagedCheckpointError):
            open_checkpoint(tmp_path / "cut.npz")


def test_nothing_is_unpickled(tmp_path):
    np.savez(tmp_path / "pickled.npz", description=np.array([print], object))
    with pytest.raises(DamagedCheckpointError, match="allow_pickle"):
        open_checkpoint(tmp_path / "pickled.npz")


def test_the_file_of_another_format_is_refused_with_both_numbers(file, tmp_path):
    with np.load(file) as archive:
        arrays = dict(archive)
    values = json.loads(arrays["description"].tobytes()) | {"format_version": 99}
    arrays["description"] = np.frombuffer(json.dumps(values).encode(), np.uint8)
    np.savez(tmp_path / "other.npz", **arrays)
    with pytest.raises(DamagedCheckpointError, match="format_version is 99, and this w2v_exp reads 2"):
        open_checkpoint(tmp_path / "other.npz")
