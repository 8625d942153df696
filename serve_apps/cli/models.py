"""`muster models`: what pre-labels your jobs."""

from typing import Annotated

import typer

from serve_apps.cli.options import DEFAULT_URL, AsJson, Key, Url, connected
from serve_apps.cli.output import show_json, show_table
from serve_apps.gateway.schemas.models import ModelPage, VersionList, VersionView

ModelArgument = Annotated[str, typer.Argument(help="Name of the model line")]


def list_models(*, url: Url = DEFAULT_URL, key: Key = "", as_json: AsJson = False) -> None:
    """List your model lines."""
    with connected(url, key, as_json=as_json) as client:
        found = tuple(client.models())
    if as_json:
        show_json(ModelPage(models=found, next_cursor=None))
    else:
        show_table(("name", "live version"), [(each.name, each.live_version) for each in found])


def list_versions(
    name: ModelArgument, *, url: Url = DEFAULT_URL, key: Key = "", as_json: AsJson = False
) -> None:
    """List the versions of a model line."""
    with connected(url, key, as_json=as_json) as client:
        found = client.model_versions(name)
    if as_json:
        show_json(VersionList(versions=found))
    else:
        _show(found)


def live_version(
    name: ModelArgument, *, url: Url = DEFAULT_URL, key: Key = "", as_json: AsJson = False
) -> None:
    """Show the version of a model line that pre-labels now."""
    with connected(url, key, as_json=as_json) as client:
        found = client.live_model(name)
    if as_json:
        show_json(found)
    else:
        _show((found,))


def _show(found: tuple[VersionView, ...]) -> None:
    show_table(
        ("name", "version", "base model", "trained by", "metrics"),
        [
            (
                each.name,
                each.version,
                each.base_model,
                each.lineage and f"{each.lineage.job_id}, round {each.lineage.round}",
                ", ".join(f"{name} {value:.3f}" for name, value in sorted(each.metrics.items())),
            )
            for each in found
        ],
    )
