"""What is said of the trials: a line in the terminal for each run, and the page with its pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from claim.report import score_text, title
from claim.results import Figure

from ablations.laboratory import Laboratory
from ablations.outcomes import Outcome, Outcomes
from ablations.page import write_page
from ablations.pictures import draw_choices, draw_optimizers
from ablations.tables import DIVERGED, Tables
from ablations.trials import CHOICES, OPTIMIZERS_PART, SHIPPED, Trial
from w2v_exp.reporting.escape import markdown as escaped

CHOICE_SECTIONS = ["scores", "differences", "vectors"]
OPTIMIZER_SECTIONS = ["optimizers", "by_epoch"]
SECTIONS = [*CHOICE_SECTIONS, *OPTIMIZER_SECTIONS, "circumstances"]


def line(trial: Trial, outcome: Outcome, percent: Mapping[str, bool]) -> str:
    """Return a run that has just been done, on a line."""
    said = f"seed {outcome.training.seed}: {trial.title}: "
    if outcome.end is None or outcome.cost is None:
        return said + DIVERGED
    scores = [
        f"{title(name)} {score_text(Figure.of([outcome.score(name, trial.plan.embedding)]), percent=percent[name])}"
        for name in percent
    ]
    return f"{said}{outcome.end.seconds:.1f} s, cost {outcome.cost:.3f}, {', '.join(scores)}"


def write_report(folder: Path, trials: Sequence[Trial], outcomes: Outcomes, laboratory: Laboratory) -> Path:
    """Write the tables and pictures of all outcomes there are; those of a part that has none stay as they are.

    Returns
    -------
    Path
        The page.
    """
    folder.mkdir(parents=True, exist_ok=True)
    chosen, optimized = (
        Tables([trial for trial in trials if trial.part == part], outcomes, laboratory.percent)
        for part in (CHOICES, OPTIMIZERS_PART)
    )
    sections = {"circumstances": circumstances([*chosen.done, *optimized.done], outcomes, laboratory)}
    if any(trial.name != SHIPPED for trial in chosen.done):
        tables = chosen.scores(), chosen.differences(), chosen.vectors()
        sections |= dict(zip(CHOICE_SECTIONS, tables, strict=True))
        draw_choices(folder / "ablation.png", chosen)
    if optimized.done:
        sections |= dict(zip(OPTIMIZER_SECTIONS, (optimized.scores(), optimized.by_epoch()), strict=True))
        draw_optimizers(folder / "ablation_optimizers.png", optimized)
    return write_page(folder, sections)


def circumstances(done: Sequence[Trial], outcomes: Outcomes, laboratory: Laboratory) -> str:
    """Return on what text, when, with what code and on what machine all this was measured."""
    found = [outcome.circumstances for trial in done for outcome in outcomes.of(trial)]
    text = laboratory.text
    said = {
        "text": f"{text.tokens:,} tokens, {len(text.vocabulary):,} words, SHA-256 `{text.digest[:16]}…`",
        "epochs": ", ".join(dict.fromkeys(str(trial.plan.epochs) for trial in done if trial.plan.epochs)),
        "threads": ", ".join(dict.fromkeys(str(trial.plan.threads) for trial in done)),
        "commits": ", ".join(dict.fromkeys(f"`{one['commit']}`" for one in found)),
        "machine": "; ".join(dict.fromkeys(escaped(one["machine"], longest=200) for one in found)),
        "dates": " to ".join(
            dict.fromkeys([*sorted(one["date"][:10] for one in found)][:: max(1, len(found) - 1)])
        ),
    }
    return "\n".join(f"- **{name}**: {value}" for name, value in said.items())
