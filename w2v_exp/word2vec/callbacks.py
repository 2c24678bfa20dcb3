"""Callbacks by gensim's names: called at begin and end of training and of each epoch."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from w2v_exp.errors import SettingError, require_kind, short
from w2v_exp.training.trainer import EpochRecord


class CallbackAny2Vec:
    """Base class of callbacks, whose methods are called with the model."""

    def on_train_begin(self, model: Any) -> None:
        """Handle the begin of a training."""

    def on_train_end(self, model: Any) -> None:
        """Handle the end of a training."""

    def on_epoch_begin(self, model: Any) -> None:
        """Handle the begin of an epoch."""

    def on_epoch_end(self, model: Any) -> None:
        """Handle the end of an epoch."""


class Calls:
    """Calls gensim's callbacks from the trainer's."""

    def __init__(self, model: Any, callbacks: Sequence[Any], epochs: int) -> None:
        self._model, self._callbacks, self._epochs = model, callbacks, epochs

    def begin_epoch(self) -> None:
        """Call ``on_epoch_begin``."""
        if self._epochs:
            for callback in self._callbacks:
                callback.on_epoch_begin(self._model)

    def on_epoch(self, record: EpochRecord) -> None:
        """Take the loss, and call ``on_epoch_end``, then ``on_epoch_begin``."""
        self._model._loss = record.cost
        self._model.wv.fill_norms(force=True)
        for callback in self._callbacks:
            callback.on_epoch_end(self._model)
        if record.epoch + 1 < self._epochs:
            self.begin_epoch()


def checked_callbacks(callbacks: Any) -> list[Any]:
    """Return callbacks as a list, each with all four methods; one alone is accepted."""
    names = ("on_train_begin", "on_train_end", "on_epoch_begin", "on_epoch_end")
    if callable(getattr(callbacks, names[0], None)):
        callbacks = [callbacks]
    require_kind("callbacks", callbacks, Iterable, "a list of callbacks")
    checked = list(callbacks)
    for callback in checked:
        missing = [name for name in names if not callable(getattr(callback, name, None))]
        if missing:
            raise SettingError(
                "callbacks", short(callback), f"has no method {missing[0]}. Inherit from CallbackAny2Vec."
            )
    return checked
