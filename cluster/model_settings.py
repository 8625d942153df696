"""Settings of what models do: pre-labelling, learning, and how new versions are tried."""

from pydantic import Field

from cluster.domain.models import Precision
from cluster.settings_branch import Branch


class PrelabelSettings(Branch):
    """The model replicas that pre-label.

    A batch costs its rows times its longest, in tokens or pixels, and at most `batch_..._max`;
    while online requests come it is at most `batch_..._shared_max`, as they wait for it. Where they
    are not set, the model chooses for the device it is on. On processors, several replicas of one
    thread each do more than one of several. The fastest `precision` of a device is bfloat16 where
    it has tiles or tensor cores; with `float32` predictions are nearly the same on any. With
    `compile_networks` the networks of base models are compiled by torch as a replica loads them,
    which takes each half a minute more and needs a C++ compiler on processors. As long as
    more replicas may be started, a job has `chunks_per_replica` chunks in flight for each there is:
    more than it works on, so that a backlog calls for more. A job that asks for replicas of its own
    gets up to `dedicated_replicas_max`, each as large as a shared one.
    """

    replicas_min: int = Field(1, ge=0)
    replicas_max: int = Field(2, ge=1)
    cpus_per_replica: float = Field(0.5, ge=0)
    gpus_per_replica: float = Field(0.0, ge=0)
    threads_per_replica: int = Field(1, ge=1)
    precision: Precision = "fastest"
    compile_networks: bool = False
    batch_tokens_max: int | None = Field(None, ge=16)
    batch_tokens_shared_max: int | None = Field(None, ge=16)
    batch_pixels_max: int | None = Field(None, ge=64)
    batch_pixels_shared_max: int | None = Field(None, ge=64)
    chunks_per_replica: int = Field(4, ge=1)
    dedicated_replicas_max: int = Field(8, ge=1)
    models_per_replica_max: int = Field(4, ge=1)
    chunk_timeout_s: float = Field(300.0, gt=0)
    upscale_delay_s: float = Field(5.0, ge=0)
    downscale_delay_s: float = Field(60.0, ge=0)


class LearningSettings(Branch):
    """When and how a job's model is trained on the crowd's consensus.

    A run has `workers`, or as many as there is room for from `workers_min` up, if that is set.
    `shard_weights` spreads the weights of a model too large for one worker over all of them. Where
    a node is announced to go a run is saved, and stays until `preemption_grace_s` after it went.

    With `search`, better recipes are looked for: up to `search_trials`, so many at a time, each on
    as much as a worker takes, for `search_time_s` and, where a trial's hour has a price, until
    `search_spend` is spent. A search takes no more than `search_job_share` of the time to its job's
    deadline, nor, where that hour has a price, of the money the job has left.
    """

    enabled: bool = True
    workers: int = Field(2, ge=1)
    workers_min: int | None = Field(None, ge=1)
    cpus_per_worker: float = Field(0.25, ge=0)
    gpus_per_worker: float = Field(0.0, ge=0)
    shard_weights: bool = False
    preemption_grace_s: float = Field(0.0, ge=0)
    mlflow_uri: str = ""
    trainings_max: int = Field(6, ge=0)
    search: bool = False
    search_trials: int = Field(16, ge=1)
    search_trials_at_once: int = Field(2, ge=1)
    search_time_s: float = Field(1_800.0, gt=0)
    search_spend: float | None = Field(None, ge=0)
    search_trial_hour_price: float = Field(0.0, ge=0)
    search_job_share: float = Field(0.1, ge=0, le=1)


class RolloutSettings(Branch):
    """How a version that has passed its audit gate comes to answer online requests.

    While its line is asked online (a request within `traffic_window_s`), it first answers
    `shadow_share` of the requests unseen, until it has had `shadow_items_min` items, then
    `canary_share` of them for real, until `canary_items_min`; either for `phase_s_max` at most,
    unless it was asked nothing. A share of 0 leaves the phase out. It is rejected where audit
    answers show at `confidence` that it is worse, where it fails on more items, or takes over
    `slower_max` times as long as the live version; and a live version is rolled back on the same
    evidence, where `rollback` says so. Answers are looked at every `look_every_s`.
    """

    shadow_share: float = Field(0.1, ge=0, le=1)
    shadow_items_min: int = Field(200, ge=1)
    canary_share: float = Field(0.1, ge=0, le=1)
    canary_items_min: int = Field(200, ge=1)
    traffic_window_s: float = Field(3_600.0, ge=0)
    phase_s_max: float = Field(86_400.0, gt=0)
    confidence: float = Field(0.95, ge=0.5, lt=1)
    slower_max: float = Field(5.0, gt=1)
    rollback: bool = True
    look_every_s: float = Field(10.0, gt=0)
