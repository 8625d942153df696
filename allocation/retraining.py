"""When another training is worth what it costs: an expected saving of answers against a price.

A model saves answers by what it tells of an item, in nats: a log loss lower by one nat tells one
nat more of every item, and an answer tells as much as it shares with the truth (their mutual
information).
How far the loss will have fallen is foretold from the trainings so far by a power law of the rows
(J. Hestness et al.: Deep Learning Scaling is Predictable, Empirically, 2017) that starts from
knowing nothing: with n rows it is

    floor + (log K - floor) (1 + n / n0) ** -alpha

Floor, n0 and alpha are uncertain: each triple of a grid counts as it explains the losses seen.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from allocation.quality.fusion import Truth
from allocation.quality.votes import Floats
from cluster.domain.work import AnswerColumns

GROWTH_MIN = 1.2
"""No model is trained again for fewer rows than these times those of the last one.

The gate could not tell it from the last one, and what it had learnt since would be unproven. The
trainings a job has left are spread over the rows still to come, each time by the same factor.
"""

GROWTH_BLIND = 1.5
"""The same where no training has told yet how fast the loss falls."""

FLOORS: Floats = np.linspace(0.0, 0.95, 20)
"""Where the loss may end, as shares of knowing nothing."""

SCALES: Floats = np.geomspace(3.0, 30_000.0, 13)
ALPHAS: Floats = np.array([0.25, 0.5, 0.75, 1.0])

ROW_DEVIATION = 0.6
"""About how much the losses of single rows differ, in nats."""

LAW_DEVIATION = 0.02
"""How far off the law itself may be: rows are not drawn alike, and the crowd errs less in time."""

TRAINING_S = 60.0
"""What a training is taken to last where none has been timed."""

INFORMATION_MIN = 1e-3
"""No answer is taken to tell less than this, in nats."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """A training: how many rows it learnt from, and its cross-fitted loss in nats a row."""

    rows: int
    log_loss: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """The trainings of a job's model line so far, oldest first, and what another one takes.

    There are about `earlier_rows` of other jobs to learn from. `training_s` passes from a decision
    until the crowd is asked again, pre-labelling included; an hour of the machines costs
    `price_per_hour`, in the currency of the answers' prices.
    """

    trained: tuple[Trained, ...] = ()
    earlier_rows: int = 0
    training_s: float = TRAINING_S
    price_per_hour: float = 0.0

    def cost_answers(self, answers: AnswerColumns) -> float:
        """Return what a training costs in answers, given those of the job so far.

        Those its price would buy, and those the crowd would have given while it waits.
        """
        if not len(answers):
            return 0.0
        spent_s = max(float(np.ptp(answers.answered_at)), 1.0)
        waited_for = self.training_s * len(answers) / spent_s
        price, paid = self.price_per_hour * self.training_s / 3_600.0, float(answers.prices.mean())
        return waited_for + (price / paid if paid > 0.0 else 0.0)


class Told(NamedTuple):
    """The answers so far, and what they tell."""

    answers: AnswerColumns
    truth: Truth


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """A job's items as rows to learn from.

    Its last training learnt from `learnt`, `known` can be learnt from by now, and `possible` ever.
    """

    learnt: int
    known: int
    possible: int


def worth_it(past: Past, rows: Rows, left: int, doubtful: int, told: Told) -> bool:
    """Return whether a training is expected to save more answers than it costs.

    The job may train `left` times more, and `doubtful` of its items could use a better model: their
    labels are not sure enough yet, and it can be told whether it is one. Where no training has
    told yet how the loss falls, a fixed growth decides.
    """
    if left <= 0 or rows.known == 0:
        return False
    if not past.trained:
        return rows.known >= GROWTH_BLIND * rows.learnt
    last = past.trained[-1].rows
    now, most = past.earlier_rows + rows.known, past.earlier_rows + rows.possible
    if now < last * max(GROWTH_MIN, (most / last) ** (1.0 / left)):
        return False
    saved = saved_answers(past.trained, now, doubtful, told.truth)
    return saved > past.cost_answers(told.answers)


def saved_answers(trained: Sequence[Trained], rows: int, doubtful: int, truth: Truth) -> float:
    """Return the answers that a model trained on so many rows may save, beside the last one."""
    labels = len(truth.log_pooled)
    gain = loss_at(trained, trained[-1].rows, labels) - loss_at(trained, rows, labels)
    told = answer_nats(truth.log_pooled, np.exp(truth.log_full).mean(axis=0))
    return gain * doubtful / max(told, INFORMATION_MIN)


def loss_at(trained: Sequence[Trained], rows: int, labels: int) -> float:
    """Return the log loss, in nats, that is expected of a training on so many rows."""
    blind = np.log(labels)
    found = np.zeros((len(FLOORS), len(SCALES), len(ALPHAS)))
    for each in trained:
        deviation = np.hypot(LAW_DEVIATION, ROW_DEVIATION / np.sqrt(max(each.rows, 1)))
        found -= 0.5 * ((_law(each.rows) * blind - each.log_loss) / deviation) ** 2
    weights = np.exp(found - found.max())
    return float((weights * _law(rows)).sum() / weights.sum() * blind)


def answer_nats(log_confusion: Floats, prior: Floats) -> float:
    """Return the mutual information of an answer and the truth, in nats.

    `log_confusion` (K, K) is log P(answer | truth), `prior` (K,) how probable each truth is.
    """
    confusion = np.exp(log_confusion)
    answers = prior @ confusion
    ratio = log_confusion - np.log(np.maximum(answers, 1e-12))
    return float((prior[:, None] * confusion * ratio).sum())


def _law(rows: int) -> Floats:
    """Return the loss at so many rows as a share of knowing nothing, (floors, n0s, alphas)."""
    decay = (1.0 + rows / SCALES[:, None]) ** -ALPHAS
    return np.asarray(FLOORS[:, None, None] + (1.0 - FLOORS[:, None, None]) * decay)
