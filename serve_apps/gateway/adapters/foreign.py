"""Requests in the words of others."""

from pydantic import BaseModel, ConfigDict


class Foreign(BaseModel):
    """A request of which only some fields are read here; what is read is as strict as elsewhere."""

    model_config = ConfigDict(frozen=True, extra="ignore", strict=True, allow_inf_nan=False)
