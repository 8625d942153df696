"""What commands print: JSON for programs, tables and plain sentences for people."""

import sys

from pydantic import BaseModel
from rich.console import Console
from rich.table import Table

from serve_apps.gateway.schemas.base import Problem
from serve_apps.gateway.schemas.jobs import JobView, StratumView


def show_json(value: BaseModel) -> None:
    """Print a value as one line of JSON."""
    sys.stdout.write(value.model_dump_json() + "\n")


def show_error(message: str) -> None:
    """Tell what went wrong on stderr."""
    console = Console(stderr=True)
    console.print(f"error: {message}", style="red", markup=False, highlight=False, soft_wrap=True)


def show_problem(problem: Problem, *, as_json: bool) -> None:
    """Tell why the service refused; as JSON it is the problem document."""
    if as_json:
        show_json(problem)
        return
    show_error(f"{problem.title.lower()} ({problem.status}): {problem.detail}")
    for error in problem.errors[1:]:
        show_error(f"  {error.pointer or error.parameter}: {error.detail}")


def show_table(columns: tuple[str, ...], rows: list[tuple[object, ...]]) -> None:
    """Print rows under headings."""
    table = Table(*columns)
    for row in rows:
        table.add_row(*("" if cell is None else str(cell) for cell in row))
    Console().print(table)


def show_job(job: JobView) -> None:
    """Print how a job stands, or how it ended."""
    table = Table(show_header=False, title=f"{job.name} ({job.id})")
    for name, value in _figures(job):
        table.add_row(name, value)
    Console().print(table)


def _figures(job: JobView) -> list[tuple[str, str]]:
    progress = job.progress
    figures = [("state", _state(job))]
    figures.append(("items", _items(job)))
    figures.append(("labels final", f"{progress.final:,}"))
    figures.append(("accepted from the model", f"{progress.auto_accepted:,}"))
    figures.append(("answers", f"{progress.answers:,} and {progress.audit_answers:,} to audit"))
    if progress.items:
        per_item = (progress.answers + progress.audit_answers) / progress.items
        figures.append(("answers an item", f"{per_item:.2f}"))
    figures.append(("cost", f"{progress.cost:,.2f}"))
    if progress.expected_accuracy is not None:
        figures.append(("expected accuracy", f"{progress.expected_accuracy:.3f}"))
    if progress.reachable_accuracy is not None and job.certificate is None:
        figures.append(("certificate can reach", f"about {progress.reachable_accuracy:.3f}"))
    figures.extend(_certified(job))
    return figures


def _state(job: JobView) -> str:
    if job.failure is not None:
        return f"failed: {job.failure}"
    return f"{job.state.value}, paused" if job.paused else job.state.value


def _items(job: JobView) -> str:
    notes = (
        (job.progress.rejected, "rejected"),
        (job.progress.duplicates, "duplicates"),
        (job.progress.poisoned, "poisoned"),
    )
    told = [f"{count:,} {what}" for count, what in notes if count]
    return ", ".join([f"{job.progress.items:,}", *told])


def _certified(job: JobView) -> list[tuple[str, str]]:
    if job.certificate is None:
        return []
    confidence = f"{job.certificate.confidence:.0%}"
    return [
        (f"certified, {stratum.name}", f"{_bound(stratum)} at {confidence}")
        for stratum in job.certificate.strata
    ]


def _bound(stratum: StratumView) -> str:
    audited = f"{stratum.audited:,} of {stratum.items:,} audited"
    return f"accuracy >= {stratum.accuracy_lower:.3f} ({audited})"
