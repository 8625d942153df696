"""Quotas: what a tenant may have and has, and exceptions made by admins."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path

from cluster.domain.ids import TenantId
from cluster.domain.quotas import Quotas
from serve_apps.gateway.access import Authenticated, Wired, require_role
from serve_apps.gateway.acting import Acting
from serve_apps.gateway.quotas import quotas_of
from serve_apps.gateway.schemas.quotas import Quota, QuotaRequest, QuotaView
from serve_apps.gateway.services import Services
from serve_apps.gateway.strict_json import StrictJsonRoute

router = APIRouter(tags=["quotas"], route_class=StrictJsonRoute)

TenantPath = Annotated[str, Path(pattern=r"^[a-z0-9][a-z0-9-]{0,31}$")]


@router.get("/v1/quota", dependencies=[Depends(require_role("client"))])
def show_quota(caller: Authenticated, services: Wired) -> QuotaView:
    """Show what the tenant may have, and has."""
    return _view(services, caller.tenant_id)


@router.get("/v1/quotas/{tenant_id}", dependencies=[Depends(require_role())])
def show_quota_of(tenant_id: TenantPath, services: Wired) -> QuotaView:
    """Show what a tenant may have, and has."""
    return _view(services, TenantId(tenant_id))


@router.put("/v1/quotas/{tenant_id}", dependencies=[Depends(require_role())])
def set_quota_of(
    tenant_id: TenantPath, request: QuotaRequest, services: Wired, actor: Acting
) -> QuotaView:
    """Let a tenant's quotas differ from everybody's, in place of how they did before."""
    exception = Quotas(
        jobs_unfinished_max=request.jobs_unfinished_max,
        items_max=request.items_max,
        upload_bytes_max=request.upload_bytes_max,
    )
    act = actor.act("quota.set", tenant_id, request)
    services.stores.quotas.set_exception(TenantId(tenant_id), exception, act)
    return _view(services, TenantId(tenant_id))


def _view(services: Services, tenant_id: TenantId) -> QuotaView:
    stores, quotas = services.stores, quotas_of(services, tenant_id)
    usage = stores.quotas.usage(tenant_id)
    webhooks = len(stores.webhooks.of_tenant(tenant_id))
    return QuotaView(
        jobs_unfinished=Quota(limit=quotas.jobs_unfinished_max, used=usage.jobs_unfinished),
        items=Quota(limit=quotas.items_max, used=usage.items),
        upload_bytes=Quota(limit=quotas.upload_bytes_max, used=usage.upload_bytes),
        webhooks=Quota(limit=services.settings.webhooks.tenant_max, used=webhooks),
        upload_streams_max=quotas.upload_streams_max,
    )
