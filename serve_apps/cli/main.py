"""The `muster` command: every subcommand in one place."""

from collections.abc import Mapping
from types import MappingProxyType

import typer

from serve_apps.cli.lazy import add_lazily

Commands = Mapping[str, tuple[str, str]]
"""By name: where a command's function is, and what it does."""

COMMANDS: Commands = MappingProxyType(
    {
        "up": ("up:up", "Start Muster on this machine and serve until stopped."),
        "submit": ("submit:submit", "Submit a job; a local file is uploaded first."),
        "jobs": ("jobs:jobs", "List your jobs, newest first."),
        "watch": (
            "jobs:watch",
            "Follow a job until it ends; the exit code is 1 where it fails or is cancelled.",
        ),
        "follow": (
            "jobs:follow_history",
            "Print what happens to a job; the exit code is 1 where it does not complete.",
        ),
        "results": (
            "results:results",
            "Print final labels as JSON Lines, also while the job runs.",
        ),
        "pause": ("jobs:pause", "Pause a job: nothing new is asked; what is out may be answered."),
        "resume": ("jobs:resume", "Go on with a paused job."),
        "amend": (
            "jobs:amend",
            "Change the weight or the budget of a job; what is not given stays.",
        ),
        "assign": (
            "assignments:assign",
            "Lease questions of a job to many workers at once, each to whom it suits best.",
        ),
        "cancel": ("jobs:cancel", "Cancel a job; labels delivered until then stay."),
        "quota": ("jobs:quota", "Show what your tenant may have, and has."),
        "aggregate": (
            "aggregate:aggregate",
            "Infer one answer an item from many workers' answers, and how good the workers are.",
        ),
        "backtest": (
            "backtest:backtest",
            "Replay a recorded crowd: what would this accuracy have cost?",
        ),
        "forecast": (
            "forecast:forecast",
            "Forecast cost, time and accuracy of a job from a pilot of 200 to 500 answered items.",
        ),
    }
)

GROUPS: Mapping[str, tuple[str, Commands]] = MappingProxyType(
    {
        "workers": (
            "The crowd: list, show, register.",
            {
                "list": ("workers:list_workers", "List your workers; with an admin key, all."),
                "show": (
                    "workers:show_worker",
                    "Show a worker, and what it has answered and earned so far.",
                ),
                "register": (
                    "workers:register_worker",
                    "Register a worker that this key may act for.",
                ),
            },
        ),
        "models": (
            "What pre-labels your jobs: list, versions, live, history, promote, rollback.",
            {
                "list": ("models:list_models", "List your model lines."),
                "versions": ("models:list_versions", "List the versions of a model line."),
                "live": (
                    "models:live_version",
                    "Show the version of a model line that pre-labels now.",
                ),
                "history": (
                    "models:show_history",
                    "Show how a model line came to its live version, newest step first.",
                ),
                "promote": ("models:make_live", "Make a version of a model line live."),
                "rollback": (
                    "models:roll_back",
                    "Make the version live again that was so before the live one.",
                ),
            },
        ),
        "webhooks": (
            "Endpoints that are told of events: list, add, show, rotate, enable, ping, remove.",
            {
                "list": ("webhooks:list_webhooks", "List your endpoints."),
                "add": (
                    "webhooks:add_webhook",
                    "Register an endpoint; its secret is shown this once.",
                ),
                "show": (
                    "webhooks:show_webhook",
                    "Show an endpoint, and what came of the last attempt.",
                ),
                "rotate": (
                    "webhooks:rotate_webhook",
                    "Give an endpoint another secret; for a time the old one signs, too.",
                ),
                "enable": (
                    "webhooks:enable_webhook",
                    "Send to an endpoint again that was given up.",
                ),
                "ping": ("webhooks:ping_webhook", "Send an endpoint a test message."),
                "remove": (
                    "webhooks:remove_webhook",
                    "Delete an endpoint and what was on its way to it.",
                ),
            },
        ),
        "uploads": (
            "What you have uploaded: list, remove.",
            {
                "list": ("uploads:list_uploads", "List your uploads, newest first."),
                "remove": (
                    "uploads:remove_upload",
                    "Delete an upload; a job that has still to read it will fail.",
                ),
            },
        ),
        "keys": (
            "API keys: issue, revoke.",
            {
                "issue": (
                    "keys:issue_key",
                    "Issue an API key (with an admin key); it is shown this once.",
                ),
                "revoke": (
                    "keys:revoke_key",
                    "Make an API key useless from now on (with an admin key).",
                ),
            },
        ),
        "audit": (
            "Who did what, and whether the record of it is whole: list, verify.",
            {
                "list": (
                    "audit:list_entries",
                    "List who did what, in order (with an admin key); as JSON one entry a line.",
                ),
                "verify": (
                    "audit:verify",
                    "Check every entry; print the head to keep elsewhere, or exit with 1.",
                ),
            },
        ),
    }
)


def _built() -> typer.Typer:
    built = typer.Typer(
        help="Label data in bulk with a stated and certified accuracy.",
        epilog="Exit codes: 0 done, 1 job failed or cancelled, 2 wrong use, 3 refused by the "
        "service, 4 no answer from it.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        add_completion=False,
    )
    _add(built, COMMANDS)
    for name, (about, commands) in GROUPS.items():
        group = typer.Typer(no_args_is_help=True)
        _add(group, commands)
        built.add_typer(group, name=name, help=about)
    return built


def _add(app: typer.Typer, commands: Commands) -> None:
    for name, (place, about) in commands.items():
        add_lazily(app, name, place, about)


app = _built()

if __name__ == "__main__":
    app()
