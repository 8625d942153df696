"""Where each stored object lies; the only place that spells object paths."""

import re
from hashlib import blake2b

from cluster.domain.ids import JobId, ModelName, TenantId, UnixSeconds


def upload(tenant_id: TenantId, upload_id: str) -> str:
    """Return the path of a client's uploaded file."""
    return f"uploads/{slug(tenant_id)}/{slug(upload_id)}"


UPLOAD_PARTS = "upload_parts"
"""The folder of uploads that arrive in pieces."""


def upload_part(tenant_id: TenantId, upload_id: str, name: str) -> str:
    """Return the path of a part of an upload that arrives in pieces."""
    return f"{UPLOAD_PARTS}/{slug(tenant_id)}/{slug(upload_id)}/{slug(name)}"


def upload_began_at(upload_id: str) -> UnixSeconds:
    """Return when an upload was created, which its id tells; 0 for an id that tells nothing."""
    found = re.match(r"upl-([0-9a-f]{12})", upload_id)
    return int(found[1], 16) / 1_000 if found else 0.0


def upload_manifest(tenant_id: TenantId, upload_id: str) -> str:
    """Return the path of the list of parts that makes an upload in pieces whole."""
    return f"{UPLOAD_PARTS}/{slug(tenant_id)}/{slug(upload_id)}/manifest.json"


def job(job_id: JobId) -> str:
    """Return the folder of all that is stored of a job."""
    return f"jobs/{job_id}"


def adapter_records(tenant_id: TenantId, kind: str) -> str:
    """Return the folder of what an adapter keeps of a tenant, beside what the service knows."""
    return f"adapters/{slug(tenant_id)}/{kind}"


def adapter_record(tenant_id: TenantId, kind: str, name: str) -> str:
    """Return the path of one thing an adapter keeps."""
    return f"{adapter_records(tenant_id, kind)}/{slug(name)}.json"


OPENAI_FILES = "openai-files"
"""What is kept of an upload that is known as a file of OpenAI's."""


def openai_file(tenant_id: TenantId, upload_id: str) -> str:
    """Return the path of what is kept of an upload as a file of OpenAI's."""
    return adapter_record(tenant_id, OPENAI_FILES, f"file-{upload_id}")


def items(job_id: JobId, chunk: int) -> str:
    """Return the path of a chunk's accepted items."""
    return f"jobs/{job_id}/items/{chunk:06d}.parquet"


def vault(job_id: JobId, chunk: int) -> str:
    """Return the path of what was masked in a chunk's items, sealed."""
    return f"jobs/{job_id}/vault/{chunk:06d}.parquet"


def features(job_id: JobId, base_model: str, chunk: int) -> str:
    """Return the path of a chunk's frozen-encoder features."""
    return f"jobs/{job_id}/features/{slug(base_model)}/{chunk:06d}.parquet"


def predictions(job_id: JobId, version: int, chunk: int) -> str:
    """Return the path of a chunk's pre-labels by one model version."""
    return f"jobs/{job_id}/predictions/{version:06d}/{chunk:06d}.parquet"


def errors(job_id: JobId) -> str:
    """Return the path of a job's error file."""
    return f"jobs/{job_id}/errors.jsonl"


def error_part(job_id: JobId, part: int) -> str:
    """Return the path of the lines that a part of a job's ingest adds to its error file."""
    return f"jobs/{job_id}/errors/{part:06d}.jsonl"


def joined_errors(job_id: JobId) -> str:
    """Return the path of a job's error file with the items in it that models failed on."""
    return f"jobs/{job_id}/errors-joined.jsonl"


def all_model_failures(job_id: JobId) -> str:
    """Return the folder of the items that models failed on."""
    return f"jobs/{job_id}/model_failures"


def model_failures(job_id: JobId, version: int, chunk: int) -> str:
    """Return the path of the items of a chunk that one model version failed on."""
    return f"{all_model_failures(job_id)}/{version:06d}/{chunk:06d}.jsonl"


def consensus(job_id: JobId, round_number: int) -> str:
    """Return the path of the consensus after a round of answers."""
    return f"jobs/{job_id}/consensus/{round_number:06d}.parquet"


def audit_plan(job_id: JobId) -> str:
    """Return the path of the plan of which items are audited."""
    return f"jobs/{job_id}/audit_plan.parquet"


def snapshot(job_id: JobId, round_number: int) -> str:
    """Return the folder of a training snapshot."""
    return f"jobs/{job_id}/snapshots/{round_number:06d}"


def replayed(job_id: JobId, earlier: JobId) -> str:
    """Return the path of what a job's trainings have read of the items of an earlier job."""
    return f"jobs/{job_id}/replayed/{slug(earlier)}.parquet"


def workers(job_id: JobId) -> str:
    """Return the path of how a finished job's workers did."""
    return f"jobs/{job_id}/workers.parquet"


def results(job_id: JobId, segment: int) -> str:
    """Return the path of a segment of final labels."""
    return f"jobs/{job_id}/results/{segment:06d}.parquet"


def export(job_id: JobId, suffix: str) -> str:
    """Return the path of the finished data set, by file suffix."""
    return f"jobs/{job_id}/export/labels.{suffix}"


def model(name: ModelName, version: int) -> str:
    """Return the folder of a model version."""
    return f"models/{slug(name)}/{version:06d}"


def held_out_of(name: ModelName) -> str:
    """Return the folder of what no version of a model line may learn from."""
    return f"models/{slug(name)}/held_out"


def held_out(name: ModelName, job_id: JobId) -> str:
    """Return the path of what no version may learn from, as one job audits it."""
    return f"{held_out_of(name)}/{slug(job_id)}.parquet"


def tallies(name: ModelName, trial: str) -> str:
    """Return the folder of what audits say of a version while it is live, or on trial."""
    return f"models/{slug(name)}/tallies/{slug(trial)}"


def tally(name: ModelName, trial: str, job_id: JobId) -> str:
    """Return the path of what one job's audit says of it."""
    return f"{tallies(name, trial)}/{slug(job_id)}.json"


def recipe(name: ModelName, base: str) -> str:
    """Return the path of what was found for a model line in place of the recipe `base`."""
    return f"models/{slug(name)}/recipes/{slug(base)}.json"


def slug(name: str) -> str:
    """Return a name as one path segment, the same for equal names and different for others."""
    plain = re.fullmatch(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}", name)
    if plain and not re.fullmatch(r".*-[0-9a-f]{16}", name):
        return name
    digest = blake2b(name.encode(errors="surrogatepass"), digest_size=8).hexdigest()
    return f"{re.sub(r'[^A-Za-z0-9_-]+', '-', name)[:40]}-{digest}"
