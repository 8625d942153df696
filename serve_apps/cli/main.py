"""The `muster` command: every subcommand in one place."""

from collections.abc import Callable

import typer

from serve_apps.cli import jobs, keys, models, workers
from serve_apps.cli.aggregate import aggregate
from serve_apps.cli.backtest import backtest
from serve_apps.cli.results import results
from serve_apps.cli.submit import submit
from serve_apps.cli.up import up


def _built() -> typer.Typer:
    built = typer.Typer(
        help="Label data in bulk with a stated and certified accuracy.",
        epilog="Exit codes: 0 done, 1 job failed or cancelled, 2 wrong use, 3 refused by the "
        "service, 4 no answer from it.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        add_completion=False,
    )
    for command in (up, submit, jobs.jobs, jobs.watch, results, jobs.cancel, aggregate, backtest):
        built.command()(command)
    built.add_typer(
        _group(
            list=workers.list_workers,
            show=workers.show_worker,
            register=workers.register_worker,
        ),
        name="workers",
        help="The crowd: list, show, register.",
    )
    built.add_typer(
        _group(list=models.list_models, versions=models.list_versions, live=models.live_version),
        name="models",
        help="What pre-labels your jobs: list, versions, live.",
    )
    built.add_typer(
        _group(issue=keys.issue_key, revoke=keys.revoke_key),
        name="keys",
        help="API keys: issue, revoke.",
    )
    return built


def _group(**commands: Callable[..., None]) -> typer.Typer:
    group = typer.Typer(no_args_is_help=True)
    for name, command in commands.items():
        group.command(name)(command)
    return group


app = _built()
