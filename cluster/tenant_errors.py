"""The leaves of the error tree (`cluster.errors`) that concern what a tenant keeps here."""

from cluster.domain.ids import JobId, ModelName, TenantId
from cluster.errors import BadInput, Conflict, Denied, Fault, NotFound


class ForbiddenUrl(BadInput):
    """A URL names a scheme, a port or an address that the service must not call."""

    def __init__(self, url: str, reason: str) -> None:
        super().__init__(f"{url} must not be called: {reason}")
        self.url, self.reason = url, reason


class JobExpired(NotFound):
    """What the job held was kept until now and no longer."""

    def __init__(self, job_id: JobId) -> None:
        super().__init__(f"job {job_id} has expired; what it held is deleted")
        self.job_id = job_id


class WebhookNotFound(NotFound):
    """The tenant has no such webhook."""

    def __init__(self, tenant_id: TenantId, webhook_id: str) -> None:
        super().__init__(f"there is no webhook {webhook_id}")
        self.tenant_id, self.webhook_id = tenant_id, webhook_id


class NoEarlierVersion(Conflict):
    """No other version was live before the one that is."""

    def __init__(self, name: ModelName, version: int) -> None:
        super().__init__(f"version {version} of model {name} has none before it to go back to")
        self.name, self.version = name, version


class WebhookDisabled(Conflict):
    """The webhook is not sent to any more."""

    def __init__(self, webhook_id: str, state: str) -> None:
        super().__init__(f"webhook {webhook_id} is {state}; enable it first")
        self.webhook_id, self.state = webhook_id, state


class QuotaExceeded(Denied):
    """A tenant would have more of something than it may; `used` is what it has now."""

    def __init__(self, name: str, used: int, limit: int) -> None:
        super().__init__(f"quota {name} is {limit:,}, and {used:,} are used")
        self.name, self.used, self.limit = name, used, limit


class SecretUnreadable(Fault):
    """A stored secret cannot be opened with the encryption keys there are."""

    def __init__(self, place: str, reason: str) -> None:
        super().__init__(f"the secret of {place} cannot be read: {reason}")
        self.place, self.reason = place, reason
