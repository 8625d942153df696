"""Names for identifiers, so that a worker id can never be passed where a job id is meant."""

from typing import NewType

TenantId = NewType("TenantId", str)
"""Who pays for a job and alone may see it."""

JobId = NewType("JobId", str)
"""One bulk labelling job; opaque, sortable by creation time."""

ItemId = NewType("ItemId", str)
"""The client's own name for an item, unique within its job."""

WorkerId = NewType("WorkerId", str)
"""One member of the crowd: a person, an LLM or another model."""

KeyId = NewType("KeyId", str)
"""The public half of an API key."""

ModelName = NewType("ModelName", str)
"""A line of model versions for one tenant and label set."""

ShardId = NewType("ShardId", int)
"""Index of an allocator shard, from 0."""

Position = int
"""Dense index of an accepted item in its job, from 0, in input order."""

UnixSeconds = float
"""Seconds since 1970-01-01 UTC."""
