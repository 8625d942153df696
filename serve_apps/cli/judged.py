"""What a table of classes says of those who answered, and of how hard the items are."""

from dataclasses import dataclass

import pyarrow as pa

from allocation.quality import dawid_skene
from allocation.quality.ability import crowd_prior
from allocation.quality.difficulty import difficulty
from allocation.quality.reliability import Accuracies, accuracies, evidence
from allocation.quality.spam import spam_probability
from allocation.quality.votes import Floats, Votes
from serve_apps.answer_tables import AnswerTable


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Judged:
    """Accuracies and spam probabilities of the workers, (workers,), and difficulties, (items,)."""

    accuracies: Accuracies
    spam: Floats
    difficulty: Floats


def judge(votes: Votes) -> Judged:
    """Judge workers and items by Dawid-Skene with the pooled prior, whatever labels them.

    Of all methods its own doubt about labels is the one to go by where workers are judged.
    """
    fit = dawid_skene.fit(votes, prior="pooled")
    found = evidence(votes, fit)
    judged = accuracies(found, crowd_prior(found))
    return Judged(
        accuracies=judged,
        spam=spam_probability(dawid_skene.expected_counts(votes, fit.posterior)),
        difficulty=difficulty(votes, judged.mean, fit.class_prior),
    )


def worker_rows(table: AnswerTable, judged: Judged) -> pa.Table:
    """Return one row a worker, in the order of the table."""
    return pa.table(
        {
            "worker_id": list(table.worker_ids),
            "answers": judged.accuracies.answers,
            "accuracy": judged.accuracies.mean,
            "lower": judged.accuracies.lower,
            "upper": judged.accuracies.upper,
            "spam": judged.spam,
        }
    )
