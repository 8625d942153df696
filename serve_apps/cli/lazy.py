"""Commands that import what they need only when they are called, so that each starts fast."""

from importlib import import_module
from typing import Any

import typer
from typer.core import TyperCommand
from typer.main import get_command


def add_lazily(app: typer.Typer, name: str, place: str, about: str) -> None:
    """Add the function at `module:function` of this package to an app, as a command of this name.

    `about` is what a list of commands says of it: the first line of the function's own docstring.
    """

    class Deferred(TyperCommand):
        def make_context(self, *arguments: Any, **options: Any) -> Any:
            return get_command(_alone(name, place)).make_context(*arguments, **options)

    app.command(name, cls=Deferred, help=about)(_stand_in)


def _alone(name: str, place: str) -> typer.Typer:
    """Return an app of the one command."""
    module, _, function = place.partition(":")
    alone = typer.Typer(add_completion=False)
    alone.command(name)(getattr(import_module(f"{__package__}.{module}"), function))
    return alone


def _stand_in() -> None:
    """Take no parameters; those of the command itself are not known before it is imported."""
