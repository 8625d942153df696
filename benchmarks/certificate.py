"""`python -m benchmarks.certificate`: is what a certificate says true, and how narrow is it?

Every job is simulated to its end and its certificate read after every single audited item. It is
broken where any reading exceeds the true accuracy of the labels it is about. Half of the jobs are
audited by reviewers, half by the crowd itself. Each is audited twice, side by side: by a sample
that favours labels in doubt, as where a trained model is live, and by a uniform one, as where none
is. `--whole-jobs` more go the long way, through the service's own loop (`certificate_whole`), and
are read at every look. `--jobs` makes it shorter. `--data` (or MUSTER_DATA) names a folder of
recorded crowds, whose answers are split into labels and audits.
"""

import argparse
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from multiprocessing import get_context
from pathlib import Path
from statistics import fmean

import numpy as np
from rich.console import Console
from scipy.stats import beta

from allocation.quality.audit import Audit
from allocation.quality.certificate import certify
from allocation.reference import certify_reviewed
from benchmarks import certificate_recorded, certificate_whole
from benchmarks.certificate_jobs import SimulatedJob, beginning, simulated
from benchmarks.figures import Figure, at_most, informing, present
from cluster.domain.jobs import Certificate

JOBS, WHOLE_JOBS, PROCESSES = 1_000, 400, 2
ITEMS, FEW_ITEMS = 10_000, 1_000
FIRST_SEED = 8_000
"""Jobs before this one were looked at when constants were chosen."""

AUDIT_SHARE = 0.07
CONFIDENCE = 0.95
BROKEN_MAX = 1.0 - CONFIDENCE
SLACK_POINTS_MAX = 2.0
AUDIT_SHARE_MAX = 0.08
STRATA = ("overall", "auto", "crowd")


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """One job: the strata whose certificate was ever broken, and how it stood at the end.

    `uniform_broken`, `uniform_slack` and `uniform_error` are those of the uniform sample;
    `plain_slack` is its slack where nothing is believed of single labels; `fixed_broken` whether
    Clopper and Pearson's bound, made to be read once, would have been broken, None for crowds.
    """

    reviewed: bool
    items: int
    accuracy: float
    error: float
    broken: frozenset[str]
    uniform_broken: frozenset[str]
    slack: float
    uniform_slack: float
    uniform_error: float
    plain_slack: float
    fixed_broken: bool | None
    label_answers: int
    audit_answers: int


def outcome(seed: int) -> Outcome:
    """Return what became of the job with this number."""
    items = FEW_ITEMS if seed % 8 < 2 else ITEMS
    job = simulated(seed, items=items, reviewed=seed % 2 == 0, audit_share=AUDIT_SHARE)
    certificate, labels = _certifier(job), job.audit.labels
    accuracy = float(job.right.mean())
    blind = replace(labels, believed=np.full(items, labels.believed.mean()))
    last, uniform = certificate(job.audit).overall, certificate(job.uniform).overall
    plain = certificate(replace(job.uniform, labels=blind)).overall
    return Outcome(
        reviewed=job.reviewed,
        items=items,
        accuracy=accuracy,
        error=last.accuracy_estimate - accuracy,
        broken=_broken(job, job.audit),
        uniform_broken=_broken(job, job.uniform),
        slack=accuracy - last.accuracy_lower,
        uniform_slack=accuracy - uniform.accuracy_lower,
        uniform_error=uniform.accuracy_estimate - accuracy,
        plain_slack=accuracy - plain.accuracy_lower,
        fixed_broken=_fixed_broken(job) if job.reviewed else None,
        label_answers=job.label_answers,
        audit_answers=job.audit_answers,
    )


def _broken(job: SimulatedJob, audit: Audit) -> frozenset[str]:
    """Return the strata whose certificate was broken at any step of an audit."""
    certificate, auto, items = _certifier(job), audit.labels.auto, len(audit.positions)
    right = {
        "overall": float(job.right.mean()),
        "auto": float(job.right[auto].mean()) if auto.any() else 1.0,
        "crowd": float(job.right[~auto].mean()) if not auto.all() else 1.0,
    }
    return frozenset(
        stratum.name
        # Reviewers' scores stay what they are, so their bound never falls: the last is the highest.
        for audited in range(items if job.reviewed else 1, items + 1)
        for stratum in certificate(beginning(audit, audited)).strata
        if stratum.accuracy_lower > right[stratum.name]
    )


def _certifier(job: SimulatedJob) -> Callable[[Audit], Certificate]:
    def certificate(audit: Audit) -> Certificate:
        if job.reviewed:
            return certify_reviewed(audit, confidence=CONFIDENCE)
        return certify(audit, job.counts, confidence=CONFIDENCE)

    return certificate


def _fixed_broken(job: SimulatedJob) -> bool:
    agreed = np.cumsum(job.uniform.votes.labels == job.uniform.delivered)
    seen = np.arange(1, len(agreed) + 1)
    bound = beta.ppf(1.0 - CONFIDENCE, agreed, seen - agreed + 1)
    return bool((bound > job.right.mean()).any())


def figures(outcomes: Sequence[Outcome]) -> list[Figure]:
    """Return what the outcomes say together."""
    spent = sum(found.audit_answers for found in outcomes)
    answers = spent + sum(found.label_answers for found in outcomes)
    by_job = fmean(
        found.audit_answers / (found.audit_answers + found.label_answers) for found in outcomes
    )
    fixed = [found.fixed_broken for found in outcomes if found.fixed_broken is not None]
    return [
        informing("jobs", len(outcomes), "jobs"),
        *(
            at_most(f"{part}: ever broken", _share_broken(outcomes, {part}), "share", BROKEN_MAX)
            for part in STRATA
        ),
        informing("any stratum: ever broken", _share_broken(outcomes, set(STRATA)), "share"),
        at_most(
            "uniform sample, overall: ever broken",
            fmean("overall" in found.uniform_broken for found in outcomes),
            "share",
            BROKEN_MAX,
        ),
        informing("a bound to be read once: ever broken", fmean(fixed), "share"),
        at_most("answers spent on the audit", spent / answers, "share", AUDIT_SHARE_MAX),
        informing("answers spent on the audit, mean of jobs", by_job, "share"),
        *_of("reviewers", [found for found in outcomes if found.reviewed]),
        *_of("crowd", [found for found in outcomes if not found.reviewed]),
    ]


def _of(who: str, outcomes: Sequence[Outcome]) -> list[Figure]:
    large = [found for found in outcomes if found.items == ITEMS]
    slack = 100 * fmean(found.slack for found in large)
    uniform = 100 * fmean(found.uniform_slack for found in large)
    plain = 100 * fmean(found.plain_slack for found in large)
    error, uniform_error = (
        100 * float(np.sqrt(np.mean(np.square(errors))))
        for errors in ([f.error for f in large], [f.uniform_error for f in large])
    )
    return [
        informing(f"{who}: overall ever broken", _share_broken(outcomes, {"overall"}), "share"),
        at_most(f"{who}: slack at {ITEMS:,} items", slack, "points", SLACK_POINTS_MAX),
        informing(f"{who}: slack of a uniform sample", uniform, "points"),
        informing(f"{who}: the same without the control variate", plain, "points"),
        informing(f"{who}: true accuracy", fmean(found.accuracy for found in large), "share"),
        informing(f"{who}: estimate less truth", 100 * fmean(f.error for f in large), "points"),
        informing(f"{who}: error of the estimate", error, "points"),
        informing(f"{who}: the same of a uniform sample", uniform_error, "points"),
        informing(f"{who}: label answers", fmean(f.label_answers for f in large), "answers"),
        informing(f"{who}: audit answers", fmean(f.audit_answers for f in large), "answers"),
    ]


def _share_broken(outcomes: Sequence[Outcome], strata: set[str]) -> float:
    return fmean(bool(found.broken & strata) for found in outcomes)


def main() -> None:
    """Run the benchmark as the command line asks."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--jobs", type=int, default=JOBS)
    parser.add_argument("--whole-jobs", type=int, default=WHOLE_JOBS)
    folder = os.environ.get("MUSTER_DATA")
    parser.add_argument("--data", type=Path, default=folder, help="recorded crowds, as for truth")
    asked, console = parser.parse_args(), Console(width=120)
    with get_context("spawn").Pool(PROCESSES) as pool:
        outcomes = pool.map(outcome, range(FIRST_SEED, FIRST_SEED + asked.jobs), chunksize=8)
        seeds = range(FIRST_SEED, FIRST_SEED + asked.whole_jobs)
        whole = chain.from_iterable(pool.map(certificate_whole.whole_jobs, seeds, chunksize=2))
    found = [*figures(outcomes), *certificate_whole.figures(list(whole))]
    if asked.data is not None:
        found += certificate_recorded.figures(asked.data, console)
    present("certificate", found, console)


if __name__ == "__main__":
    main()
