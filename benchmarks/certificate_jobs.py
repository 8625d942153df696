"""Simulated jobs whose truth is known, with labels that came about as a job's do.

Nothing here is what the certificate assumes, except how the audit sample is drawn. The model is
over- or under-confident, items differ in difficulty, classes in size, and workers in how well they
answer and in what they mix up. Where the crowd audits, its rates are known only from the label
answers, under beliefs that are wrong in the same way, and up to half of the wrong labels look right
to auditors as well.
"""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from allocation.quality.audit import Audit, Labels
from allocation.quality.dawid_skene import expected_counts
from allocation.quality.votes import Codes, Floats, Votes
from allocation.sampling import AuditPlan, doubting_plan, uniform_plan
from cluster.domain.jobs import CrowdTerms

LABEL_ANSWERS_MAX = 7
CROWD_AUDITORS = 3


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Crowd:
    """How each worker answers: `confusion` (workers, K, K) is P(answer | truth)."""

    confusion: Floats

    def answers(self, rng: np.random.Generator, workers: Codes, truth: Codes) -> Codes:
        """Return what each of these workers answers to a question with this truth, (n,)."""
        cumulated = self.confusion[workers, truth].cumsum(axis=1)[:, :-1]
        found: Codes = (rng.random(len(truth))[:, None] > cumulated).sum(axis=1)
        return found


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class SimulatedJob:
    """A job at its end; `right` (items,) is what the certificate may not know.

    The `audit` is the service's for a job with a trained model, `uniform` what it is without.
    """

    audit: Audit
    uniform: Audit
    right: npt.NDArray[np.bool_]
    counts: Floats
    reviewed: bool
    label_answers: int

    @property
    def audit_answers(self) -> int:
        """How many answers the audit took."""
        return len(self.audit.votes)


def simulated(seed: int, *, items: int, reviewed: bool, audit_share: float) -> SimulatedJob:
    """Return a job of a kind of its own, with as many audit answers as this share of its items.

    A reviewer looks at each audited item, or three of the crowd do.
    """
    rng = np.random.default_rng(seed)
    k = int(rng.integers(2, 11))
    prior = rng.dirichlet(np.full(k, rng.choice([1.0, 5.0, 50.0])))
    truth = rng.choice(k, items, p=prior).astype(np.int64)
    crowd = drawn_crowd(rng, k)
    start = rng.integers(len(crowd.confusion), size=items)
    log_belief = drawn_beliefs(rng, truth, prior)
    first = np.exp(log_belief.max(axis=1))
    goal = float(rng.uniform(0.85, 0.98))
    label_votes = _ask(rng, crowd, truth, start, log_belief, goal)
    belief = np.exp(_normalised(log_belief))
    codes = belief.argmax(axis=1)
    labels = Labels(
        codes=codes,
        auto=label_votes.answers_per_item() == 0,
        believed=belief.max(axis=1),
    )
    each = 1 if reviewed else CROWD_AUDITORS
    terms = CrowdTerms(audit_share=audit_share / each, audit_items_min=0, audit_items_max=items)
    key = int(rng.integers(2**63))
    seen = truth if reviewed else _as_auditors_see(rng, truth, codes)

    def audited(plan: AuditPlan) -> Audit:
        positions = plan.order
        rows = np.repeat(np.arange(len(positions)), each)
        workers = (start[positions[rows]] + LABEL_ANSWERS_MAX + np.arange(len(rows)) % each) % len(
            crowd.confusion
        )
        truths = seen[positions[rows]]
        said = truths if reviewed else crowd.answers(rng, workers, truths)
        votes = Votes.of(
            rows, workers, said, n_items=len(positions), n_workers=len(crowd.confusion), n_labels=k
        )
        return Audit(
            labels=labels,
            positions=positions,
            votes=votes,
            planned=len(positions),
            weights=plan.weights,
        )

    return SimulatedJob(
        audit=audited(doubting_plan(first, goal, terms, key)),
        uniform=audited(uniform_plan(items, terms, key)),
        right=codes == truth,
        counts=expected_counts(label_votes, belief),
        reviewed=reviewed,
        label_answers=len(label_votes),
    )


def beginning(audit: Audit, items: int) -> Audit:
    """Return an audit of `simulated` as it stood after some of its items."""
    votes = audit.votes
    kept = slice(0, items * (len(votes) // votes.n_items))
    return replace(
        audit,
        positions=audit.positions[:items],
        votes=replace(
            votes,
            items=votes.items[kept],
            workers=votes.workers[kept],
            labels=votes.labels[kept],
            n_items=items,
        ),
    )


def drawn_crowd(rng: np.random.Generator, k: int) -> Crowd:
    """Return workers whose accuracies are Beta distributed and who mix up similar classes."""
    workers, mean, strength = int(rng.integers(20, 80)), rng.uniform(0.75, 0.95), rng.uniform(8, 40)
    accuracy = rng.beta(mean * strength, (1.0 - mean) * strength, workers)
    mixed_up = rng.dirichlet(np.full(k - 1, 1.0), k)
    off = np.zeros((k, k))
    off[~np.eye(k, dtype=np.bool_)] = mixed_up.ravel()
    return Crowd(
        confusion=accuracy[:, None, None] * np.eye(k) + (1.0 - accuracy)[:, None, None] * off
    )


def drawn_beliefs(rng: np.random.Generator, truth: Codes, prior: Floats) -> Floats:
    """Return the log probabilities of a model, (items, K), which trusts itself too much or little.

    Its evidence is the true class plus normal noise, and weaker on harder items.
    """
    strength = rng.uniform(1.0, 3.0) * rng.lognormal(0.0, 0.3, len(truth))
    evidence = rng.standard_normal((len(truth), len(prior)))
    evidence[np.arange(len(truth)), truth] += strength
    trust = rng.lognormal(0.0, 0.4) * strength.mean()
    found: Floats = _normalised(np.log(prior) + trust * evidence)
    return found


def _ask(
    rng: np.random.Generator,
    crowd: Crowd,
    truth: Codes,
    start: Codes,
    log_belief: Floats,
    goal: float,
) -> Votes:
    """Ask about items in doubt until none is or each has all its answers; updates the beliefs."""
    trust = rng.lognormal(0.0, 0.3)
    log_confusion = np.log(np.maximum(crowd.confusion, 1e-3))
    items, workers, labels = [], [], []
    for turn in range(LABEL_ANSWERS_MAX):
        open_items = np.flatnonzero(log_belief.max(axis=1) < np.log(goal))
        asked = (start[open_items] + turn) % len(crowd.confusion)
        said = crowd.answers(rng, asked, truth[open_items])
        log_belief[open_items] = _normalised(
            log_belief[open_items] + trust * log_confusion[asked, :, said]
        )
        items.append(open_items)
        workers.append(asked)
        labels.append(said)
    return Votes.of(
        np.concatenate(items),
        np.concatenate(workers),
        np.concatenate(labels),
        n_items=len(truth),
        n_workers=len(crowd.confusion),
        n_labels=log_belief.shape[1],
    )


def _as_auditors_see(rng: np.random.Generator, truth: Codes, codes: Codes) -> Codes:
    """Return what auditors take for the truth: a share of the wrong labels looks right to them."""
    shared = rng.random(len(truth)) < rng.uniform(0.0, 0.5)
    found: Codes = np.where(shared, codes, truth)
    return found


def _normalised(log: Floats) -> Floats:
    log = log - log.max(axis=1, keepdims=True)
    found: Floats = log - np.log(np.exp(log).sum(axis=1, keepdims=True))
    return found
