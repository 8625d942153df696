"""The run as a table in the terminal."""

from rich.console import Console
from rich.table import Table

from examples.demo.report import headline
from examples.demo.run_data import DemoRun, JobRun
from examples.demo.wording import STAGE_TITLES, percent, percent_or_dash


def print_summary(run: DemoRun, console: Console) -> None:
    """Print what each job reached and what it cost, then how fast each stage was."""
    console.print(f"\n[bold]{headline(run)}[/bold], in {run.wall_s:.0f} s\n")
    console.print(_results(run))
    console.print(_stages(run))


def _results(run: DemoRun) -> Table:
    table = Table(title="What was delivered", title_justify="left")
    table.add_column("")
    for job in run.jobs:
        table.add_column(job.title, justify="right")
    rows = [
        ("items, classes", *(f"{job.items:,}, {len(job.labels)}" for job in run.jobs)),
        ("goal", *(percent(job.goal_accuracy) for job in run.jobs)),
        ("right, against gold", *(percent_or_dash(job.overall.accuracy) for job in run.jobs)),
        ("certificate", *map(_certificate, run.jobs)),
        ("accepted from the model", *map(_auto, run.jobs)),
        ("items people were asked", *(f"{job.asked:,}" for job in run.jobs)),
        ("answers for labels, audits", *map(_answers, run.jobs)),
        ("answers per item", *(f"{job.answers_per_item:.2f}" for job in run.jobs)),
        ("cost", *(f"{job.cost:,.2f}" for job in run.jobs)),
        ("trained, promoted", *(f"{job.trainings}, {job.promotions}" for job in run.jobs)),
    ]
    for row in rows:
        table.add_row(*row)
    table.add_section()
    for number, fixed in enumerate(run.jobs[0].fixed):
        cells = (
            f"{percent(job.fixed[number].accuracy)} for {job.fixed[number].cost:,.2f}"
            for job in run.jobs
        )
        table.add_row(f"majority of {fixed.redundancy} each", *cells)
    return table


def _stages(run: DemoRun) -> Table:
    table = Table(title="What took how long", title_justify="left")
    for name in ("job", "stage"):
        table.add_column(name)
    for name in ("seconds", "work", "a second"):
        table.add_column(name, justify="right")
    for job in run.jobs:
        stages = dict.fromkeys(span.stage for span in job.spans)
        for stage in stages:
            spans = [span for span in job.spans if span.stage == stage]
            seconds = sum(span.end_s - span.start_s for span in spans)
            work = sum(span.work for span in spans)
            table.add_row(
                job.title,
                STAGE_TITLES.get(stage, stage),
                f"{seconds:.1f}",
                f"{work:,} {spans[0].unit}",
                f"{work / max(seconds, 1e-3):,.0f}" if spans[0].unit != "rounds" else "",
            )
        table.add_section()
    return table


def _certificate(job: JobRun) -> str:
    certified = job.certified
    if certified is None:
        return "none"
    return f"≥ {percent(certified.lower)} at {percent(job.confidence, 0)}"


def _auto(job: JobRun) -> str:
    share = job.auto.items / max(job.items, 1)
    return f"{percent(share, 0)}, {percent_or_dash(job.auto.accuracy)} right"


def _answers(job: JobRun) -> str:
    return f"{job.label_answers:,}, {job.audit_answers:,}"
