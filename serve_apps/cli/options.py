"""What every command that talks to a service shares: its options, its client, its exit codes.

Exit codes: 0 done; 1 the job ended failed or cancelled; 2 the command was called wrongly; 3 the
service refused; 4 the service did not answer.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer
from pydantic import ValidationError

from cluster.errors import InvalidField
from serve_apps.cli.output import show_error, show_problem
from serve_apps.client import ClientProblem, MusterClient, Retries, ServiceUnreachable

JOB_FAILED, WRONG_USE, REFUSED, UNREACHABLE = 1, 2, 3, 4

_RETRIES = Retries(attempts=6)

Url = Annotated[str, typer.Option("--url", envvar="MUSTER_URL", help="Address of the service")]
Key = Annotated[
    str,
    typer.Option("--key", envvar="MUSTER_KEY", help="API key", show_default=False),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object as the last line")]

DEFAULT_URL = "http://127.0.0.1:8400"


@contextmanager
def connected(url: str, key: str, *, as_json: bool) -> Iterator[MusterClient]:
    """Yield a client; what it raises is shown and ends the command with its exit code."""
    try:
        with MusterClient(url, key, retries=_RETRIES) as client:
            yield client
    except ClientProblem as refused:
        show_problem(refused.problem, as_json=as_json)
        raise typer.Exit(REFUSED) from None
    except ServiceUnreachable as unreachable:
        show_error(f"{unreachable}; is `muster up` running?")
        raise typer.Exit(UNREACHABLE) from None


@contextmanager
def checked() -> Iterator[None]:
    """End the command as called wrongly where its arguments do not make a request."""
    try:
        yield
    except InvalidField as wrong:
        show_error(str(wrong))
        raise typer.Exit(WRONG_USE) from None
    except ValidationError as wrong:
        for error in wrong.errors():
            place = ".".join(str(step) for step in error["loc"])
            show_error(f"{place}: {error['msg'].removeprefix('Value error, ')}")
        raise typer.Exit(WRONG_USE) from None
