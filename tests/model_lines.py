"""Steps of model lines as tests take them."""

from cluster.domain.ids import ModelName
from cluster.domain.lines import LineStep, Stage
from cluster.errors import ModelNotFound
from cluster.ports import ModelLines
from training.rollout import Why, begun, entered, rejected, rolled_back

WHY = Why(by="a test", reason="it asked for it", at=1_000.0)


def go_live(lines: ModelLines, name: ModelName, version: int) -> LineStep:
    """Make a version live, also as the first of its line."""
    try:
        step = entered(lines.standing(name), version, Stage.LIVE, WHY)
    except ModelNotFound:
        step = begun(name, version, WHY)
    lines.take(step)
    return step


def try_out(lines: ModelLines, name: ModelName, version: int, stage: Stage) -> LineStep:
    """Put a version on trial."""
    step = entered(lines.standing(name), version, stage, WHY)
    lines.take(step)
    return step


def end_trial(lines: ModelLines, name: ModelName) -> LineStep:
    """Reject the version that is on trial."""
    step = rejected(lines.standing(name), WHY)
    lines.take(step)
    return step


def go_back(lines: ModelLines, name: ModelName, to: int) -> LineStep:
    """Roll a line back."""
    step = rolled_back(lines.standing(name), to, WHY)
    lines.take(step)
    return step
