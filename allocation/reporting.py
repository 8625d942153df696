"""What the asking stage stores of a campaign: labels as delivered, and how far the job has come."""

from dataclasses import replace

import numpy as np

from allocation.campaign import Campaign
from allocation.conclusions import Delivery
from cluster.domain.jobs import Job, Progress
from cluster.domain.models import ZERO_SHOT
from cluster.result_writer import DecidedLabels, ResultWriter


def decided(delivery: Delivery) -> DecidedLabels:
    """Return a delivery as the labels that are stored."""
    trained = delivery.model_version != ZERO_SHOT
    told = (delivery.answers > 0) | delivery.audited
    witnesses = np.where(told, "model+crowd" if trained else "crowd", "model")
    return DecidedLabels(
        positions=delivery.positions,
        label=delivery.labels,
        probability=delivery.probability,
        decided_by=witnesses.tolist(),
        answers=delivery.answers,
        model_version=np.full(len(delivery.positions), delivery.model_version, dtype=np.int32),
        audited=delivery.audited,
        revision=delivery.revisions,
        difficulty=delivery.difficulties,
    )


def progress_of(
    job: Job, campaign: Campaign, writer: ResultWriter, open_questions: int
) -> Progress:
    """Return how far a job has come by the last refit, with so many questions open."""
    standing = campaign.standing()
    return replace(
        job.progress,
        auto_accepted=job.progress.items - standing.asked,
        asked=standing.asked,
        final=int(campaign.deliveries.final.sum()),
        model_failed=writer.model_failed,
        answers=standing.answers,
        audit_answers=standing.audit_answers,
        cost=standing.cost,
        trainings=campaign.trainings,
        trained_items=campaign.trained_items,
        open_questions=open_questions,
        expected_accuracy=standing.expected_accuracy,
    )
