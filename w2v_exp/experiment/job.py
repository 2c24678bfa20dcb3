"""What Hydra calls for every run, in this process or in another."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress

from omegaconf import DictConfig

from w2v_exp.errors import UserError
from w2v_exp.experiment.folders import clear_earlier, require_free
from w2v_exp.experiment.inputs import RunInputs
from w2v_exp.experiment.resuming import result_of_before
from w2v_exp.experiment.run import Run
from w2v_exp.experiment.run_checkpoints import remove_checkpoints
from w2v_exp.experiment.run_info import RunInfo
from w2v_exp.files import locked
from w2v_exp.plan import make_plan
from w2v_exp.processes import interruptible, interruptions_deferred, termination_as_exception
from w2v_exp.runs import RunResult, write_result
from w2v_exp.tracking.history import LOCK


def job(config: DictConfig) -> RunResult:
    """Run one configuration and return how it ended, or how the same run ended before, if that will do.

    In a sweep a run that fails, for whatever reason the user can mend, does not stop the others: its reason is
    written to its folder like a result. A single run that cannot begin raises.

    Raises
    ------
    UserError
        If a single run cannot begin.
    """
    info = RunInfo.of_current_job(config)
    with termination_as_exception(), interruptions_deferred(), ExitStack() as held:
        try:
            with interruptible():
                require_free(info.folder)
                clear_earlier(info.folder)
                held.enter_context(_seen_to_be_alive(info))
                plan = make_plan(config)
                inputs = RunInputs.read(plan)
                result = result_of_before(plan, info, inputs)
            if result is not None and result.done:
                remove_checkpoints(plan, inputs.fingerprint)
            if result is None:
                with interruptible():
                    run = Run(plan, info, inputs)
                result = run.execute()
        except UserError as error:
            if info.sweep is None:
                raise
            result = RunResult(
                name=info.name,
                swept=info.swept,
                seed=int(config.seed),
                status="FAILED",
                reason=str(error).replace("\n", " "),
            )
        try:
            write_result(result, info.folder, info.sweep)
        except OSError as error:
            print(
                f"{info.folder}: its result cannot be written ({error.strerror or error}).",
                file=sys.stderr,
            )
        return result


@contextmanager
def _seen_to_be_alive(info: RunInfo) -> Iterator[None]:
    """Hold a lock by which others see that the run is alive; where files have no locks, its heartbeat must do."""
    with ExitStack() as stack:
        with suppress(OSError):
            stack.enter_context(locked(info.folder / LOCK))
        yield
