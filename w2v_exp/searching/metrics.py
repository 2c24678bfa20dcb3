"""What runs log that a search can be for, known before they run."""

from __future__ import annotations

from w2v_exp.embeddings.evaluation import StandardEvaluation, set_name
from w2v_exp.errors import SettingError
from w2v_exp.experiment.bounds import costs_all_pairs
from w2v_exp.experiment.measured_cost import COST, VALIDATION_COST
from w2v_exp.plan import Plan
from w2v_exp.searching.settings import KEY, Direction, SearchSettings
from w2v_exp.validation import suggestion

LESS: Direction = "minimize"
MORE: Direction = "maximize"


def search_direction(settings: SearchSettings, plan: Plan) -> Direction:
    """Return whether a search minimizes or maximizes its metric.

    Raises
    ------
    SettingError
        If runs of this plan do not log the metric.
    """
    known = logged_metrics(plan)
    if settings.metric not in known:
        raise SettingError(
            f"{KEY}.metric",
            settings.metric,
            f"is not what such a run logs{suggestion(settings.metric, known)} It logs: {', '.join(known)}.",
        )
    return settings.direction or known[settings.metric]


def logged_metrics(plan: Plan) -> dict[str, Direction]:
    """Return the metrics of a finished run of this plan, each with the direction that is better.

    What depends on the text, such as how many words of an evaluation set it has, is taken for granted.
    """
    metrics: dict[str, Direction] = {COST: LESS}
    if plan.epochs:
        metrics |= {plan.objective.cost_metric: LESS, "train_seconds": LESS, "pairs_per_second": MORE}
    if plan.validation.share:
        metrics[VALIDATION_COST] = LESS
    if plan.bounds and costs_all_pairs(plan):
        metrics |= {"information_explained": MORE, "cost_gap": LESS}
    metrics |= dict.fromkeys(_evaluation_metrics(plan), MORE)
    metrics |= {
        "neighbour_precision": MORE,
        "peak_memory_mb": LESS,
        "estimated_memory_mb": LESS,
    }
    return metrics


def _evaluation_metrics(plan: Plan) -> list[str]:
    evaluation = plan.evaluation
    if not isinstance(evaluation, StandardEvaluation):
        return []
    pairs = [set_name("word_pairs", source) for source in evaluation.word_pairs]
    analogies = [set_name("analogies", source) for source in evaluation.analogies]
    return [
        *pairs,
        *analogies,
        *(f"{name}_{kind}" for name in analogies for kind in ("semantic", "syntactic")),
    ]
