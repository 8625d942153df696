"""Every setting of Muster in one frozen tree; the only reader of the environment.

Variables begin with `MUSTER_` and name a path in the tree with double underscores:
`MUSTER_HTTP__PORT=9000`, `MUSTER_ALLOCATOR__SHARDS=4`. Settings travel by value to every process.
"""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict, SettingsError

from cluster.errors import InvalidField
from cluster.logs import Level
from cluster.model_settings import LearningSettings, PrelabelSettings, RolloutSettings
from cluster.settings_branch import Branch

_MIB = 2**20

PREFIX = "MUSTER_"
NOT_SETTINGS = frozenset({"MUSTER_URL", "MUSTER_KEY", "MUSTER_DATA", "MUSTER_TEST_DATABASE_URL"})
"""Variables that the command line and the tests read, which say nothing to the service."""


class HttpSettings(Branch):
    """Where the HTTP API listens, and how many gateways stand behind it.

    Each goes by what it knew of a key up to `key_kept_s` ago, so that long a revoked key may work.
    """

    host: str = "127.0.0.1"
    port: int = Field(8400, ge=0, le=65_535)
    replicas: int = Field(1, ge=1, le=100)
    threads: int = Field(32, ge=1, le=1_000)
    key_kept_s: float = Field(1.0, ge=0, le=60)


class RateSettings(Branch):
    """How often one key may call one gateway: in the long run, and at once.

    A worker key speaks for many workers; an admin's is kept as a client's.
    """

    client_per_s: float = Field(100.0, gt=0)
    client_burst: int = Field(500, ge=1)
    worker_per_s: float = Field(2_000.0, gt=0)
    worker_burst: int = Field(4_000, ge=1)


class StreamSettings(Branch):
    """Streams of events: how often a watched job is looked at, and how many may be open.

    Both bounds are of one gateway.
    """

    look_every_s: float = Field(1.0, gt=0)
    tenant_max: int = Field(50, ge=1)
    replica_max: int = Field(250, ge=1, le=900)


class Limits(Branch):
    """Upper bounds on everything a client can send or ask for."""

    request_bytes_max: int = 8 * _MIB
    body_timeout_s: float = Field(60.0, gt=0)
    bodies_bytes_max: int = Field(64 * _MIB, ge=1)
    upload_bytes_max: int = 2_048 * _MIB
    upload_part_bytes: int = Field(4 * _MIB, ge=1)
    upload_part_timeout_s: float = Field(60.0, gt=0)
    upload_parts_max: int = Field(20_000, ge=1)
    upload_streams_max: int = Field(64, ge=1)
    upload_ttl_s: float = Field(86_400.0, gt=0)
    unfinished_uploads_max: int = Field(100, ge=1)
    unfinished_bytes_max: int = 64 * 1_024 * _MIB
    source_bytes_max: int = 64 * 1_024 * _MIB
    inline_items_max: int = 10_000
    row_bytes_max: int = 1 * _MIB
    image_bytes_max: int = 20 * _MIB
    image_pixels_max: int = 50_000_000
    page_rows_max: int = 1_000
    claim_max: int = Field(100, ge=1)
    rejected_rows_max: int = 100_000


class EgressSettings(Branch):
    """Which URLs of tenants the service may call.

    `http_allowed` is for development. `private_hosts` lists names (`hooks.corp.example`) and
    networks (`10.1.0.0/16`) that may be called although they are not public; no `ports` means any.
    """

    http_allowed: bool = False
    private_hosts: tuple[str, ...] = ()
    ports: tuple[int, ...] = (80, 443, 8080, 8443)


class WebhookSettings(Branch):
    """How tenants are told of events.

    A message that was not taken is sent again after each of `retries_s` in turn. A secret that was
    replaced goes on signing for `secret_overlap_s`. At most `waiting_max` messages wait for an
    endpoint; later ones are dropped.
    """

    tenant_max: int = Field(10, ge=1)
    waiting_max: int = Field(1_000, ge=1)
    at_once_max: int = Field(64, ge=1)
    timeout_s: float = Field(15.0, gt=0)
    retries_s: tuple[float, ...] = (
        5.0,
        300.0,
        1_800.0,
        7_200.0,
        18_000.0,
        36_000.0,
        50_400.0,
        72_000.0,
        86_400.0,
    )
    secret_overlap_s: float = Field(86_400.0, ge=0)
    look_every_s: float = Field(1.0, gt=0)


class QuotaSettings(Branch):
    """How much of the service one tenant may have.

    `upload_streams_max` are the uploads it sends to one gateway at once; `upload_bytes_max` and
    `items_max` are what is stored of it at a time.
    """

    jobs_unfinished_max: int = Field(100, ge=1)
    items_max: int = Field(100_000_000, ge=1)
    upload_bytes_max: int = Field(256 * 1_024 * _MIB, ge=1)
    upload_streams_max: int = Field(16, ge=1)


class RetentionSettings(Branch):
    """How long things are kept.

    A job that names no time expires `job_ttl_s` after its end, or never where that is not set.
    Parts of uploads that nobody knows of go when their upload began over `orphan_after_s` ago.
    """

    job_ttl_s: float | None = Field(None, gt=0)
    orphan_after_s: float = Field(2 * 86_400.0, gt=0)
    sweep_every_s: float = Field(600.0, gt=0)


class IngestSettings(Branch):
    """How sources become chunks."""

    chunk_rows: int = Field(256, ge=1, le=65_536)
    chunk_bytes_max: int = 64 * _MIB


class PiiSettings(Branch):
    """How personal data is recognised in the texts of jobs that mask it (extra `pii`).

    Names of persons and places are recognised by `spacy_model`, an installed package or a folder,
    of `language`; without one no job may ask for them. Phone numbers are those of `phone_regions`.
    A text over `text_chars_max`, or an item with over `findings_max` parts to mask, is rejected.
    """

    spacy_model: str = ""
    language: str = Field("en", pattern="^[a-z]{2,3}$")
    phone_regions: tuple[str, ...] = ("US", "GB", "DE", "FR", "IL", "IN", "CA", "BR")
    text_chars_max: int = Field(8_192, ge=1, le=131_072)
    findings_max: int = Field(1_000, ge=1)


class AllocatorSettings(Branch):
    """The allocator shards and the rules every lease follows."""

    shards: int = Field(2, ge=1, le=1_000)
    partition_items_max: int = Field(250_000, ge=1)
    leases_per_worker_max: int = Field(100, ge=1)


class AskingSettings(Branch):
    """The rhythm of the asking stage.

    New answers are inferred from every `refit_every_s`, and what is believed is stored for those
    who look in every `consensus_every_s`; both come more rarely where they take long. A job whose
    questions nobody good enough has taken for `patience_s` asks anybody, for ten times as long. One
    all whose workers have answered everything that is still asked waits for others for
    `crowd_patience_s`, and then ends with what it has. Every `rebalance_every_s` it looks whether
    partitions should move to another shard. An hour of the machines that train and pre-label costs
    `machine_price_per_hour`, in the currency of the workers' prices: a model is trained again once
    that is less than the answers it should save.
    """

    refit_every_s: float = Field(1.0, gt=0)
    consensus_every_s: float = Field(5.0, gt=0)
    patience_s: float = Field(10.0, ge=0)
    crowd_patience_s: float = Field(3_600.0, ge=0)
    delivery_rows_min: int = Field(64, ge=1)
    rebalance_every_s: float = Field(10.0, gt=0)
    machine_price_per_hour: float = Field(0.5, ge=0)


class RaySettings(Branch):
    """The cluster to join; without an address one is started on this machine, with `cpus`.

    That one exports metrics at `metrics_port`, or at any free port.
    """

    address: str = ""
    cpus: float | None = Field(None, gt=0)
    metrics_port: int | None = Field(None, ge=1, le=65_535)
    log_to_driver: bool = False


class RunnerSettings(Branch):
    """How many jobs run at a time; where others wait, one that asks gives way after `spell_s`."""

    jobs_max: int = Field(16, ge=1)
    spell_s: float = Field(300.0, ge=10)


class LogSettings(Branch):
    """Lines of the log: from which level on, and whether each is a JSON object."""

    level: Level = "INFO"
    as_json: bool = False


class TraceSettings(Branch):
    """Where spans are sent by OTLP over HTTP (`http://collector:4318/v1/traces`); nowhere if empty.

    Of requests that come without a trace, `share` are traced; of others, those whose caller says.
    """

    otlp_url: str = ""
    share: float = Field(0.01, ge=0, le=1)


EncryptionKey = Annotated[str, Field(min_length=32)]


class Settings(BaseSettings):
    """The whole tree.

    `allowed_roots` lists the folders (`file:///data`) and buckets (`s3://bucket/prefix`, `gs://…`)
    that jobs may read from; uploads and inline items need none. `lease_secret` signs lease tokens;
    where it is empty one is made and kept in `data_dir`. So are `encryption_keys`, texts of 32
    random characters or more under which secrets of tenants are stored: the first seals, all open.
    """

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_nested_delimiter="__", frozen=True, extra="forbid"
    )

    data_dir: Path = Path("var")
    database_url: str = ""
    objects_uri: str = ""
    allowed_roots: tuple[str, ...] = ()
    lease_secret: str = ""
    encryption_keys: tuple[EncryptionKey, ...] = ()
    http: HttpSettings = HttpSettings()
    rates: RateSettings = RateSettings()
    streams: StreamSettings = StreamSettings()
    limits: Limits = Limits()
    quotas: QuotaSettings = QuotaSettings()
    retention: RetentionSettings = RetentionSettings()
    egress: EgressSettings = EgressSettings()
    webhooks: WebhookSettings = WebhookSettings()
    ingest: IngestSettings = IngestSettings()
    pii: PiiSettings = PiiSettings()
    allocator: AllocatorSettings = AllocatorSettings()
    asking: AskingSettings = AskingSettings()
    ray: RaySettings = RaySettings()
    runner: RunnerSettings = RunnerSettings()
    prelabel: PrelabelSettings = PrelabelSettings()
    learning: LearningSettings = LearningSettings()
    rollout: RolloutSettings = RolloutSettings()
    logs: LogSettings = LogSettings()
    traces: TraceSettings = TraceSettings()

    @property
    def database(self) -> str:
        """The SQLAlchemy URL of the database; SQLite in `data_dir` unless set."""
        return self.database_url or f"sqlite:///{self.data_dir.absolute() / 'muster.db'}"

    @property
    def objects(self) -> str:
        """The URI of the object store; a folder in `data_dir` unless set."""
        return self.objects_uri or f"file://{self.data_dir.absolute() / 'objects'}"


def environment_settings() -> Settings:
    """Return the settings of this process's environment.

    Raises InvalidField for a variable that means nothing or cannot be parsed, and pydantic's
    ValidationError for a value out of its bounds.
    """
    unknown = unknown_variables(os.environ)
    if unknown:
        raise InvalidField("environment", f"no setting is called {', '.join(unknown)}")
    try:
        return Settings()
    except SettingsError as error:
        raise InvalidField("environment", str(error)) from None


def unknown_variables(names: Iterable[str]) -> tuple[str, ...]:
    """Return those `MUSTER_` variables that name no branch of the tree, sorted.

    A typo below a branch is refused when the tree is read; one in a branch's own name is not.
    """
    branches = {f"{PREFIX}{name}".upper() for name in Settings.model_fields}
    ours = (name for name in names if name.startswith(PREFIX) and name not in NOT_SETTINGS)
    return tuple(sorted(name for name in ours if name.split("__")[0].upper() not in branches))
