"""The report's tables, from run data to HTML."""

from collections.abc import Iterable, Sequence
from html import escape

from examples.demo.run_data import DemoRun, JobRun, WorkerRun
from examples.demo.wording import STAGE_TITLES, percent, percent_or_dash


def cost_table(job: JobRun) -> str:
    """Return what the labels cost, beside fixed redundancy."""
    rows = [
        (
            "Muster",
            f"{job.answers:,}",
            f"{job.answers_per_item:.2f}",
            f"{job.cost:,.2f}",
            percent_or_dash(job.overall.accuracy),
        )
    ]
    rows += [
        (
            f"majority of {fixed.redundancy}",
            f"{fixed.answers:,}",
            f"{fixed.answers / job.items:.2f}",
            f"{fixed.cost:,.2f}",
            percent(fixed.accuracy),
        )
        for fixed in job.fixed
    ]
    return _table(
        f"{job.title}: cost of the labels",
        ("way", "answers", "per item", "cost", "right"),
        rows,
    )


def parts_table(job: JobRun) -> str:
    """Return what the certificate says of each part of the labels, and what is true."""
    parts = {"overall": job.overall, "auto": job.auto, "crowd": job.crowd}
    names = {"overall": "all labels", "auto": "accepted from the model", "crowd": "asked about"}
    certified = {part.name: part for part in job.certificate}
    rows = []
    for key, part in parts.items():
        promise = certified.get(key)
        rows.append(
            (
                names[key],
                f"{part.items:,}",
                percent_or_dash(part.accuracy),
                "–" if promise is None else f"≥ {percent(promise.lower)}",
                "–" if promise is None else percent(promise.estimate),
                "–" if promise is None else f"{promise.audited:,}",
            )
        )
    return _table(
        f"{job.title}: what the certificate says, and what is true",
        ("labels", "items", "right", "certified", "audit's estimate", "audited"),
        rows,
    )


def workers_table(workers: Sequence[WorkerRun]) -> str:
    """Return every worker in a row."""
    return _table(
        "",
        ("worker", "kind", "answers", "cost", "right", "believed"),
        [
            (
                worker.name,
                worker.persona,
                f"{worker.answers:,}",
                f"{worker.cost:,.2f}",
                percent_or_dash(worker.accuracy),
                percent_or_dash(worker.estimated),
            )
            for worker in workers
        ],
    )


def stages_table(run: DemoRun) -> str:
    """Return every stage of every job, with its throughput."""
    return _table(
        "",
        ("job", "stage", "from", "seconds", "work", "a second"),
        [
            (
                job.title,
                STAGE_TITLES.get(span.stage, span.stage),
                f"{span.start_s:.1f} s",
                f"{span.end_s - span.start_s:.2f}",
                f"{span.work:,} {span.unit}",
                f"{span.work / max(span.end_s - span.start_s, 1e-3):,.1f}",
            )
            for job in run.jobs
            for span in job.spans
        ],
    )


def events_table(run: DemoRun) -> str:
    """Return the jobs' event logs as one, by time."""
    rows = sorted(
        ((event.at_s, job.title, event) for job in run.jobs for event in job.events),
        key=lambda row: row[0],
    )
    return _table(
        "",
        ("at", "job", "event", "message"),
        [(f"{at_s:.1f} s", title, event.kind, event.message) for at_s, title, event in rows],
        text_columns=(1, 2, 3),
    )


def _table(
    caption: str,
    columns: Sequence[str],
    rows: Iterable[Sequence[str]],
    text_columns: Sequence[int] = (),
) -> str:
    head = "".join(f'<th scope="col">{escape(column)}</th>' for column in columns)
    body = "".join(f"<tr>{_cells(row, text_columns)}</tr>" for row in rows)
    title = f"<caption>{escape(caption)}</caption>" if caption else ""
    return (
        f'<div class="table"><table>{title}<thead><tr>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def _cells(row: Sequence[str], text_columns: Sequence[int]) -> str:
    first, *rest = row
    return f'<th scope="row">{escape(first)}</th>' + "".join(
        f'<td class="text">{escape(cell)}</td>'
        if index in text_columns
        else f"<td>{escape(cell)}</td>"
        for index, cell in enumerate(rest, start=1)
    )
