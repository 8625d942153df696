"""`muster models`: what pre-labels your jobs."""

from typing import Annotated

import typer

from serve_apps.cli.options import DEFAULT_URL, AsJson, Key, Url, connected
from serve_apps.cli.output import show_json, show_table
from serve_apps.gateway.schemas.models import (
    ModelPage,
    StepPage,
    StepView,
    VersionList,
    VersionView,
)

ModelArgument = Annotated[str, typer.Argument(help="Name of the model line")]
VersionArgument = Annotated[int, typer.Argument(min=0, help="Number of the version")]
Reason = Annotated[str, typer.Option(help="Why, for the line's history")]
ExpectedLive = Annotated[
    int | None, typer.Option(min=0, help="Only if this version is live at that moment")
]


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


def show_history(
    name: ModelArgument, *, url: Url = DEFAULT_URL, key: Key = "", as_json: AsJson = False
) -> None:
    """Show how a model line came to its live version, newest step first."""
    with connected(url, key, as_json=as_json) as client:
        found = tuple(client.model_history(name))
    if as_json:
        show_json(StepPage(steps=found, next_cursor=None))
    else:
        _show_steps(found)


def make_live(
    name: ModelArgument,
    version: VersionArgument,
    *,
    reason: Reason = "",
    expected_live: ExpectedLive = None,
    url: Url = DEFAULT_URL,
    key: Key = "",
    as_json: AsJson = False,
) -> None:
    """Make a version of a model line live."""
    with connected(url, key, as_json=as_json) as client:
        step = client.make_live(name, version, expected_live=expected_live, reason=reason)
    _show_step(step, as_json=as_json)


def roll_back(
    name: ModelArgument,
    *,
    reason: Reason = "",
    expected_live: ExpectedLive = None,
    url: Url = DEFAULT_URL,
    key: Key = "",
    as_json: AsJson = False,
) -> None:
    """Make the version live again that was so before the live one."""
    with connected(url, key, as_json=as_json) as client:
        step = client.roll_back(name, expected_live=expected_live, reason=reason)
    _show_step(step, as_json=as_json)


def _show_step(step: StepView, *, as_json: bool) -> None:
    if as_json:
        show_json(step)
    else:
        _show_steps((step,))


def _show_steps(found: tuple[StepView, ...]) -> None:
    show_table(
        ("at", "version", "stage", "live", "by", "reason"),
        [
            (
                f"{each.at:%Y-%m-%d %H:%M:%S}",
                each.version,
                each.stage,
                each.live,
                each.by,
                each.reason,
            )
            for each in found
        ],
    )


def _show(found: tuple[VersionView, ...]) -> None:
    show_table(
        ("name", "version", "stage", "base model", "trained by", "metrics"),
        [
            (
                each.name,
                each.version,
                each.stage,
                each.base_model,
                each.lineage and f"{each.lineage.job_id}, round {each.lineage.round}",
                ", ".join(f"{name} {value:.3f}" for name, value in sorted(each.metrics.items())),
            )
            for each in found
        ],
    )
