"""The sweeper of grids as Hydra finds it."""

from __future__ import annotations

from collections.abc import Sequence

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper


class GridSweeper(BasicSweeper):  # type: ignore[misc]
    """Hydra's own, without its pause before the first run.

    It composes the configuration of every run once, only to see that it can: minutes, for a thousand runs. Values
    of plain keys, such as seeds, have been checked by themselves, and nothing else depends on them; so runs that
    differ in nothing else are composed once.
    """

    def validate_batch_is_legal(self, batch: Sequence[Sequence[str]]) -> None:
        """Compose those runs of a batch that differ in more than values of plain keys."""
        from w2v_exp.choices import GROUPS  # late: Hydra loads this file in every process

        def shape(overrides: Sequence[str]) -> tuple[str, ...]:
            keys = [text.split("=", 1)[0] for text in overrides]
            return tuple(
                key
                if key.isidentifier() and key not in GROUPS and key not in ("experiment", "sweep")
                else text
                for key, text in zip(keys, overrides, strict=True)
            )

        super().validate_batch_is_legal([*{shape(overrides): overrides for overrides in batch}.values()])
