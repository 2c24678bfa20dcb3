"""Callbacks: called after every epoch, after every step if they have `on_step`, outside the training time."""

from __future__ import annotations

import time

import numpy as np

from w2v_exp import ArticleInitialization, Examples, Trainer, window_pairs
from w2v_exp.training.trainer import EpochRecord


class Watcher:
    def __init__(self, seconds: float = 0.0) -> None:
        self.steps: list[int] = []
        self.epochs: list[int] = []
        self.seconds = seconds

    def on_step(self, pairs_done: int) -> None:
        time.sleep(self.seconds)
        self.steps.append(pairs_done)

    def on_epoch(self, record: EpochRecord) -> None:
        self.epochs.append(record.epoch)


class EpochWatcher:
    def __init__(self) -> None:
        self.epochs: list[int] = []

    def on_epoch(self, record: EpochRecord) -> None:
        self.epochs.append(record.epoch)


def trainer(*callbacks: Watcher | EpochWatcher) -> Trainer:
    pairs = window_pairs(np.array([0, 1, 2, 0, 1, 2], np.int32), 1, 3)  # 10 pairs
    parameters = ArticleInitialization()(3, 2, np.random.default_rng(0))
    return Trainer(Examples(pairs, batch_size=4), parameters, epochs=2, callbacks=callbacks)


def test_a_step_callback_gets_the_number_of_pairs_done() -> None:
    watcher = Watcher()
    trainer(watcher).train()
    assert watcher.steps == [4, 8, 10, 14, 18, 20]
    assert watcher.epochs == [0, 1]


def test_a_callback_without_on_step_is_called_after_epochs_only() -> None:
    watcher = EpochWatcher()
    trainer(watcher).train()
    assert watcher.epochs == [0, 1]


def test_the_time_of_callbacks_is_not_training_time() -> None:
    started = time.perf_counter()
    records = trainer(Watcher(seconds=0.05)).train()
    assert 0 < records[-1].train_seconds <= time.perf_counter() - started - 6 * 0.05
