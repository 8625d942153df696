"""Settings: every variable by name, typed, and refused where it is wrong."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import BaseModel, ValidationError

from cluster.settings import Settings, unknown_variables

VARIABLES = [
    "MUSTER_DATA_DIR",
    "MUSTER_DATABASE_URL",
    "MUSTER_OBJECTS_URI",
    "MUSTER_ALLOWED_ROOTS",
    "MUSTER_LEASE_SECRET",
    "MUSTER_ENCRYPTION_KEYS",
    "MUSTER_HTTP__HOST",
    "MUSTER_HTTP__PORT",
    "MUSTER_HTTP__REPLICAS",
    "MUSTER_HTTP__THREADS",
    "MUSTER_LIMITS__REQUEST_BYTES_MAX",
    "MUSTER_LIMITS__BODY_TIMEOUT_S",
    "MUSTER_LIMITS__BODIES_BYTES_MAX",
    "MUSTER_LIMITS__UPLOAD_BYTES_MAX",
    "MUSTER_LIMITS__UPLOAD_PART_BYTES",
    "MUSTER_LIMITS__UPLOAD_PART_TIMEOUT_S",
    "MUSTER_HTTP__KEY_KEPT_S",
    "MUSTER_PRELABEL__DEDICATED_REPLICAS_MAX",
    "MUSTER_LIMITS__UPLOAD_PARTS_MAX",
    "MUSTER_LIMITS__UPLOAD_STREAMS_MAX",
    "MUSTER_LIMITS__UPLOAD_TTL_S",
    "MUSTER_LIMITS__UNFINISHED_UPLOADS_MAX",
    "MUSTER_LIMITS__UNFINISHED_BYTES_MAX",
    "MUSTER_LIMITS__SOURCE_BYTES_MAX",
    "MUSTER_LIMITS__INLINE_ITEMS_MAX",
    "MUSTER_LIMITS__ROW_BYTES_MAX",
    "MUSTER_LIMITS__IMAGE_BYTES_MAX",
    "MUSTER_LIMITS__IMAGE_PIXELS_MAX",
    "MUSTER_LIMITS__PAGE_ROWS_MAX",
    "MUSTER_LIMITS__CLAIM_MAX",
    "MUSTER_LIMITS__REJECTED_ROWS_MAX",
    "MUSTER_RETENTION__JOB_TTL_S",
    "MUSTER_RETENTION__ORPHAN_AFTER_S",
    "MUSTER_RETENTION__SWEEP_EVERY_S",
    "MUSTER_QUOTAS__JOBS_UNFINISHED_MAX",
    "MUSTER_QUOTAS__ITEMS_MAX",
    "MUSTER_QUOTAS__UPLOAD_BYTES_MAX",
    "MUSTER_QUOTAS__UPLOAD_STREAMS_MAX",
    "MUSTER_EGRESS__HTTP_ALLOWED",
    "MUSTER_EGRESS__PORTS",
    "MUSTER_EGRESS__PRIVATE_HOSTS",
    "MUSTER_WEBHOOKS__AT_ONCE_MAX",
    "MUSTER_WEBHOOKS__LOOK_EVERY_S",
    "MUSTER_WEBHOOKS__RETRIES_S",
    "MUSTER_WEBHOOKS__SECRET_OVERLAP_S",
    "MUSTER_WEBHOOKS__TENANT_MAX",
    "MUSTER_WEBHOOKS__TIMEOUT_S",
    "MUSTER_WEBHOOKS__WAITING_MAX",
    "MUSTER_INGEST__CHUNK_ROWS",
    "MUSTER_INGEST__CHUNK_BYTES_MAX",
    "MUSTER_PII__SPACY_MODEL",
    "MUSTER_PII__LANGUAGE",
    "MUSTER_PII__PHONE_REGIONS",
    "MUSTER_PII__TEXT_CHARS_MAX",
    "MUSTER_PII__FINDINGS_MAX",
    "MUSTER_ALLOCATOR__SHARDS",
    "MUSTER_ALLOCATOR__PARTITION_ITEMS_MAX",
    "MUSTER_ALLOCATOR__LEASES_PER_WORKER_MAX",
    "MUSTER_ASKING__REBALANCE_EVERY_S",
    "MUSTER_ASKING__REFIT_EVERY_S",
    "MUSTER_ASKING__CONSENSUS_EVERY_S",
    "MUSTER_ASKING__MACHINE_PRICE_PER_HOUR",
    "MUSTER_ASKING__CROWD_PATIENCE_S",
    "MUSTER_ASKING__PATIENCE_S",
    "MUSTER_ASKING__DELIVERY_ROWS_MIN",
    "MUSTER_RAY__ADDRESS",
    "MUSTER_RAY__CPUS",
    "MUSTER_RAY__LOG_TO_DRIVER",
    "MUSTER_RAY__METRICS_PORT",
    "MUSTER_RUNNER__JOBS_MAX",
    "MUSTER_RUNNER__SPELL_S",
    "MUSTER_RATES__CLIENT_PER_S",
    "MUSTER_RATES__CLIENT_BURST",
    "MUSTER_RATES__WORKER_PER_S",
    "MUSTER_RATES__WORKER_BURST",
    "MUSTER_STREAMS__LOOK_EVERY_S",
    "MUSTER_STREAMS__TENANT_MAX",
    "MUSTER_STREAMS__REPLICA_MAX",
    "MUSTER_PRELABEL__REPLICAS_MIN",
    "MUSTER_PRELABEL__REPLICAS_MAX",
    "MUSTER_PRELABEL__COMPILE_NETWORKS",
    "MUSTER_PRELABEL__CPUS_PER_REPLICA",
    "MUSTER_PRELABEL__GPUS_PER_REPLICA",
    "MUSTER_PRELABEL__THREADS_PER_REPLICA",
    "MUSTER_PRELABEL__PRECISION",
    "MUSTER_PRELABEL__BATCH_TOKENS_MAX",
    "MUSTER_PRELABEL__BATCH_TOKENS_SHARED_MAX",
    "MUSTER_PRELABEL__BATCH_PIXELS_MAX",
    "MUSTER_PRELABEL__BATCH_PIXELS_SHARED_MAX",
    "MUSTER_PRELABEL__CHUNKS_PER_REPLICA",
    "MUSTER_PRELABEL__MODELS_PER_REPLICA_MAX",
    "MUSTER_PRELABEL__CHUNK_TIMEOUT_S",
    "MUSTER_PRELABEL__UPSCALE_DELAY_S",
    "MUSTER_PRELABEL__DOWNSCALE_DELAY_S",
    "MUSTER_LEARNING__ENABLED",
    "MUSTER_LEARNING__WORKERS",
    "MUSTER_LEARNING__CPUS_PER_WORKER",
    "MUSTER_LEARNING__GPUS_PER_WORKER",
    "MUSTER_LEARNING__TRAININGS_MAX",
    "MUSTER_LEARNING__MLFLOW_URI",
    "MUSTER_LEARNING__PREEMPTION_GRACE_S",
    "MUSTER_LEARNING__SEARCH",
    "MUSTER_LEARNING__SEARCH_JOB_SHARE",
    "MUSTER_LEARNING__SEARCH_SPEND",
    "MUSTER_LEARNING__SEARCH_TIME_S",
    "MUSTER_LEARNING__SEARCH_TRIALS",
    "MUSTER_LEARNING__SEARCH_TRIALS_AT_ONCE",
    "MUSTER_LEARNING__SEARCH_TRIAL_HOUR_PRICE",
    "MUSTER_LEARNING__SHARD_WEIGHTS",
    "MUSTER_LEARNING__WORKERS_MIN",
    "MUSTER_ROLLOUT__CANARY_ITEMS_MIN",
    "MUSTER_ROLLOUT__CANARY_SHARE",
    "MUSTER_ROLLOUT__CONFIDENCE",
    "MUSTER_LOGS__AS_JSON",
    "MUSTER_LOGS__LEVEL",
    "MUSTER_ROLLOUT__LOOK_EVERY_S",
    "MUSTER_TRACES__OTLP_URL",
    "MUSTER_TRACES__SHARE",
    "MUSTER_ROLLOUT__PHASE_S_MAX",
    "MUSTER_ROLLOUT__ROLLBACK",
    "MUSTER_ROLLOUT__SHADOW_ITEMS_MIN",
    "MUSTER_ROLLOUT__SHADOW_SHARE",
    "MUSTER_ROLLOUT__SLOWER_MAX",
    "MUSTER_ROLLOUT__TRAFFIC_WINDOW_S",
]
"""A snapshot: a variable that is renamed or removed here breaks somebody's deployment."""


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


def variables_of(model: type[BaseModel], prefix: str) -> Iterator[str]:
    for name, field in model.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield from variables_of(kind, f"{prefix}{name.upper()}__")
        else:
            yield prefix + name.upper()


def test_these_are_all_the_variables_there_are() -> None:
    found = set(variables_of(Settings, "MUSTER_"))

    assert (sorted(found - set(VARIABLES)), sorted(set(VARIABLES) - found)) == ([], [])


def test_variables_reach_the_tree_with_their_types(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MUSTER_DATA_DIR", "/srv/muster")
    monkeypatch.setenv("MUSTER_HTTP__PORT", "9000")
    monkeypatch.setenv("MUSTER_ALLOCATOR__SHARDS", "4")
    monkeypatch.setenv("MUSTER_LEARNING__ENABLED", "false")
    monkeypatch.setenv("MUSTER_ALLOWED_ROOTS", '["file:///data", "s3://bucket/in"]')

    settings = Settings()

    assert settings.data_dir == Path("/srv/muster")
    assert (settings.http.port, settings.http.host) == (9000, Settings().http.host)
    assert settings.allocator.shards == 4
    assert settings.learning.enabled is False
    assert settings.allowed_roots == ("file:///data", "s3://bucket/in")


def test_an_unrelated_variable_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MUSTER_DATA", "/somewhere")

    assert Settings() == Settings(data_dir=Path("var"))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("MUSTER_HTTP__PORT", "65536"),
        ("MUSTER_HTTP__PORT", "http"),
        ("MUSTER_HTTP__PROT", "9000"),
        ("MUSTER_ALLOCATOR__SHARDS", "0"),
        ("MUSTER_PRELABEL__CHUNK_TIMEOUT_S", "0"),
        ("MUSTER_LEARNING__ENABLED", "perhaps"),
    ],
)
def test_a_wrong_value_or_name_is_refused(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)

    with pytest.raises(ValidationError):
        Settings()


def test_every_setting_there_is_is_known_in_any_case() -> None:
    assert unknown_variables([*VARIABLES, *(name.lower() for name in VARIABLES)]) == ()


def test_variables_of_the_command_and_of_others_are_no_settings_and_no_mistakes() -> None:
    others = ["MUSTER_URL", "MUSTER_KEY", "MUSTER_DATA", "PATH", "MUSTERING", "XMUSTER_HTTP"]

    assert unknown_variables([*others, "MUSTER_TEST_DATABASE_URL"]) == ()


@pytest.mark.parametrize(
    "name", ["MUSTER_HTPP__PORT", "MUSTER_PORT", "MUSTER_HTTP_PORT", "MUSTER_", "MUSTER___"]
)
def test_a_branch_that_does_not_exist_is_found(name: str) -> None:
    assert unknown_variables(["MUSTER_HTTP__PORT", name]) == (name,)


def test_what_is_wrong_below_a_branch_is_found_by_the_tree_itself(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MUSTER_HTTP__PROT", "1")

    assert unknown_variables(["MUSTER_HTTP__PROT"]) == ()
    with pytest.raises(ValidationError, match="prot"):
        Settings()


def test_unknown_variables_come_sorted() -> None:
    assert unknown_variables(["MUSTER_B", "MUSTER_A"]) == ("MUSTER_A", "MUSTER_B")


def test_settings_cannot_change() -> None:
    settings = Settings()

    with pytest.raises(ValidationError):
        settings.lease_secret = "other"  # type: ignore[misc]  # noqa: S105
    with pytest.raises(ValidationError):
        settings.http.port = 1  # type: ignore[misc]


def test_settings_travel_by_value() -> None:
    settings = Settings(data_dir=Path("/srv"), allowed_roots=("file:///data",))

    assert Settings.model_validate_json(settings.model_dump_json()) == settings


def test_the_database_and_the_objects_lie_in_the_data_folder_unless_set() -> None:
    near = Settings(data_dir=Path("/srv/muster"))
    far = Settings(database_url="postgresql://db/muster", objects_uri="s3://bucket/muster")

    assert near.database == "sqlite:////srv/muster/muster.db"
    assert near.objects == "file:///srv/muster/objects"
    assert (far.database, far.objects) == ("postgresql://db/muster", "s3://bucket/muster")


def test_a_relative_data_folder_is_made_absolute(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)

    assert Settings(data_dir=Path("x")).database == f"sqlite:///{tmp_path}/x/muster.db"
    assert Settings(data_dir=Path("x")).objects == f"file://{tmp_path}/x/objects"
