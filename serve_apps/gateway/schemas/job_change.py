"""What a client changes of a job that runs."""

from typing import Annotated

from pydantic import Field

from serve_apps.gateway.schemas.base import Incoming
from serve_apps.gateway.schemas.job_request import INT_MAX


class BudgetChange(Incoming):
    """Limits to change: null takes one off, one that is missing stays."""

    answers_max: Annotated[int, Field(ge=0, le=INT_MAX)] | None = None
    cost_max: Annotated[float, Field(ge=0, le=1e12)] | None = None
    deadline_s: Annotated[float, Field(ge=0, le=1e9)] | None = None


class JobChange(Incoming):
    """Other terms for a job; what is missing, or null, stays as it is."""

    weight: Annotated[float, Field(gt=0, le=1_000)] | None = None
    budget: BudgetChange | None = None
