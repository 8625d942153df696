"""What every branch of the settings is."""

from pydantic import BaseModel, ConfigDict


class Branch(BaseModel):
    """One part of the settings: it never changes, and refuses what it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid")
