"""Crowd and model as witnesses of one truth.

Every item has one true label. Workers answer through their confusion matrices (Dawid-Skene with a
prior), and the model speaks through its calibrated probabilities, which enter as the item's prior.
The model's opinion on an item must not contain answers to that item: versions are cross-fitted
(`cluster.domain.items.fold_of`), which is what makes it a witness of its own.

Answers of two kinds are kept apart. Label answers decide an item's label; audit answers check it
and take no part in it until the job ends. Answers of a crowd that audits itself tell how good the
workers are, whatever they were given for. What reviewers say does not: workers fitted to it would
look better on the audited items than on all others, and so would the labels the audit is about.
"""

from dataclasses import dataclass

import numpy as np

from allocation.quality import dawid_skene, opinion_pool
from allocation.quality.calibration import fit_sharpness, fit_temperature, normalised, scaled
from allocation.quality.opinion_pool import DOUBT_MIN, Opinions, believe
from allocation.quality.votes import Bools, Floats, Votes

REVIEWER_ERROR = 0.01
"""What a reviewer's word is taken for: right but for this."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Witnesses:
    """All that is known of a job's items; K labels, workers coded alike in both sets of votes.

    `model` (items, K) holds the model's own cross-fitted probabilities, None before there is one.
    Where `reviewed`, audit votes are the reference: they come from reviewers, not from the crowd.
    """

    label_votes: Votes
    audit_votes: Votes
    model: Floats | None
    reviewed: bool = False

    @property
    def crowd_votes(self) -> Votes:
        """All that the crowd itself has answered."""
        return self.label_votes if self.reviewed else _joined(self.label_votes, self.audit_votes)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Truth:
    """What the witnesses say together; log probabilities of shape (items, K) unless noted.

    `log_prior` is the calibrated model with the base rates; `log_label` adds the label answers:
    the labels the job would deliver now. `log_full` adds the audit answers too. `log_crowd` and
    `log_audit` hold the base rates with only the label or only the audit answers: what a model
    may learn from, and what it may be judged by. `log_confusion` (workers, K, K) is
    log P(answer | truth), `log_pooled` (K, K) the same for a worker nobody knows. `temperature` is
    the factor by which the model's log probabilities were scaled, `sharpness` that of the labels'
    with answers where reviewers checked them: a crowd cannot judge how far to believe itself.
    """

    log_prior: Floats
    log_label: Floats
    log_full: Floats
    log_crowd: Floats
    log_audit: Floats
    log_confusion: Floats
    log_pooled: Floats
    temperature: float
    sharpness: float


def fuse(witnesses: Witnesses) -> Truth:
    """Return the joint truth of crowd and model."""
    label_votes, audit_votes = witnesses.label_votes, witnesses.audit_votes
    crowd_votes = witnesses.crowd_votes
    reference = _reference(audit_votes) if witnesses.reviewed else None
    alone = opinion_pool.learn(crowd_votes)
    log_prior, temperature = _calibrated(witnesses, alone, reference)
    together = opinion_pool.learn(crowd_votes, log_prior)
    base_rates = np.log(np.maximum(alone.class_prior, DOUBT_MIN))[None]
    log_label = believe(label_votes, together, log_prior)
    if reference is None:
        sharpness = 1.0
        log_full = believe(crowd_votes, together, log_prior)
        log_audit = believe(audit_votes, together, base_rates)
    else:
        answered = label_votes.answers_per_item() > 0
        sharpness = _sharpness(log_label, answered, audit_votes, reference)
        # What the model alone says is calibrated by the reviewers already.
        log_label = np.where(answered[:, None], normalised(sharpness * log_label), log_label)
        log_full, log_audit = normalised(log_label + reference), normalised(base_rates + reference)
    counts = dawid_skene.expected_counts(crowd_votes, np.exp(log_full))
    return Truth(
        log_prior=log_prior,
        log_label=log_label,
        log_full=log_full,
        log_crowd=believe(label_votes, together, base_rates),
        log_audit=log_audit,
        log_confusion=together.log_pooled,
        log_pooled=dawid_skene.pooled_confusion(counts),
        temperature=temperature,
        sharpness=sharpness,
    )


def _sharpness(log_label: Floats, answered: Bools, audit_votes: Votes, reference: Floats) -> float:
    """Return the factor on log probabilities under which what reviewers found is likeliest.

    That is of items that the crowd has answered, and learned from such items alone.
    """
    audited = answered & (audit_votes.answers_per_item() > 0)
    return fit_sharpness(np.exp(log_label[audited]), reference[audited])


def _calibrated(
    witnesses: Witnesses, alone: Opinions, reference: Floats | None
) -> tuple[Floats, float]:
    votes = witnesses.label_votes
    if witnesses.model is None:
        base_rates = np.log(np.maximum(alone.class_prior, DOUBT_MIN))
        return np.tile(normalised(base_rates[None]), (votes.n_items, 1)), 1.0
    audit_votes = witnesses.audit_votes
    checked = _evidence(audit_votes, alone) if reference is None else reference
    evidence = _evidence(votes, alone) + checked
    answered = (votes.answers_per_item() > 0) | (audit_votes.answers_per_item() > 0)
    temperature = fit_temperature(witnesses.model[answered], evidence[answered])
    return scaled(witnesses.model, temperature), temperature


def _evidence(votes: Votes, opinions: Opinions) -> Floats:
    """Return log P(answers to the item | label), (items, K)."""
    return dawid_skene.log_joint(votes, opinions.log_pooled, np.zeros(votes.n_labels))


def _reference(votes: Votes) -> Floats:
    """Return what reviewers said as log evidence, (items, K); zero where they said nothing."""
    right, wrong = np.log(1.0 - REVIEWER_ERROR), np.log(REVIEWER_ERROR / (votes.n_labels - 1))
    counts = votes.counts()
    answered = counts.sum(axis=1, keepdims=True)
    return np.asarray(counts * right + (answered - counts) * wrong)


def _joined(first: Votes, second: Votes) -> Votes:
    return Votes(
        items=np.concatenate([first.items, second.items]),
        workers=np.concatenate([first.workers, second.workers]),
        labels=np.concatenate([first.labels, second.labels]),
        n_items=first.n_items,
        n_workers=first.n_workers,
        n_labels=first.n_labels,
    )
