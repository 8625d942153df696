"""What a tenant may have: everybody's quotas, but for the exceptions made for it."""

from cluster.domain.ids import TenantId
from cluster.settings import QuotaSettings
from cluster.tenant_errors import QuotaExceeded
from serve_apps.gateway.services import Services


def quotas_of(services: Services, tenant_id: TenantId) -> QuotaSettings:
    """Return the quotas that hold for a tenant."""
    own = services.stores.quotas.exception(tenant_id)
    exceptions = {
        "jobs_unfinished_max": own.jobs_unfinished_max,
        "items_max": own.items_max,
        "upload_bytes_max": own.upload_bytes_max,
    }
    given = {name: limit for name, limit in exceptions.items() if limit is not None}
    return services.settings.quotas.model_copy(update=given)


def check_room_for_job(services: Services, tenant_id: TenantId, items: int) -> None:
    """Raise QuotaExceeded where a tenant has no room for a job of at least so many items."""
    quotas, usage = quotas_of(services, tenant_id), services.stores.quotas.usage(tenant_id)
    if usage.jobs_unfinished >= quotas.jobs_unfinished_max:
        raise QuotaExceeded("jobs_unfinished", usage.jobs_unfinished, quotas.jobs_unfinished_max)
    if usage.items + items > quotas.items_max:
        raise QuotaExceeded("items", usage.items, quotas.items_max)


def check_room_for_bytes(services: Services, tenant_id: TenantId, size_bytes: int) -> None:
    """Raise QuotaExceeded where a tenant has no room for an upload of at least so many bytes."""
    used = services.stores.quotas.usage(tenant_id).upload_bytes
    most = quotas_of(services, tenant_id).upload_bytes_max
    if used + size_bytes > most:
        raise QuotaExceeded("upload_bytes", used, most)
