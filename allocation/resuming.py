"""A job's campaign from the stores: what was planned, predicted and delivered before."""

from allocation.audit_plan_file import kept_plan
from allocation.campaign import Campaign
from allocation.feature_files import read_directions
from allocation.prediction_files import read_predictions
from allocation.retraining import Past
from cluster.domain.jobs import Job
from cluster.ports import Stores
from cluster.result_writer import DeliveredLabels


def resumed(
    stores: Stores, job: Job, trainings_max: int, delivered: DeliveredLabels, past: Past
) -> Campaign:
    """Return a job's campaign as it stood, but for the answers, which the log has."""
    progress = job.progress
    found = read_predictions(stores, job.job_id, progress.items, len(job.spec.label_set))
    campaign = Campaign(
        job.agreed,
        progress.items,
        trainings_max=trainings_max,
        trainings=progress.trainings,
        trained_items=progress.trained_items,
        past=past,
        audit_plan=kept_plan(stores, job, found),
    )
    if found is not None:
        campaign.set_model(*found)
    base_model = job.spec.base_model
    campaign.set_features(read_directions(stores, job.job_id, base_model, progress.items))
    campaign.deliveries.restore(delivered.label, delivered.revision)
    return campaign
