"""What Hydra calls for every run, in this process or in another."""

from __future__ import annotations

from omegaconf import DictConfig

from w2v_exp.errors import UserError
from w2v_exp.experiment.identity import Identity
from w2v_exp.experiment.interruption import termination_as_exception
from w2v_exp.experiment.run import Run
from w2v_exp.experiment.sweep import write_result
from w2v_exp.plan import make_plan
from w2v_exp.reporting.results import RunResult


def job(config: DictConfig) -> RunResult:
    """Run one configuration and return how it ended.

    In a sweep a run that fails, for whatever reason the user can mend, does not stop the others: its reason is
    written to its folder like a result. A single run that cannot begin raises.

    Raises
    ------
    UserError
        If a single run cannot begin.
    """
    identity = Identity.of_current_job(config)
    with termination_as_exception():
        try:
            result = Run(make_plan(config), identity).execute()
        except UserError as error:
            if identity.sweep is None:
                raise
            result = RunResult(
                name=identity.name,
                swept=identity.swept,
                seed=int(config.seed),
                status="FAILED",
                reason=str(error).replace("\n", " "),
            )
        write_result(result, identity.folder)
        return result
