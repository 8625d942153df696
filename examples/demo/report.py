"""One self-contained HTML page about a demo run.

The page asks nothing of any other place: styles and plots are inline, there are no scripts.
`python -m examples.demo.report run.json report.html` draws a stored run again.
"""

import argparse
from collections.abc import Iterable
from html import escape
from importlib.resources import files
from pathlib import Path

from examples.demo.charts_job import answers_chart, reliability_chart
from examples.demo.charts_run import (
    TIMED_STAGES,
    WORKERS_SHOWN_MAX,
    timeline_chart,
    workers_chart,
)
from examples.demo.report_tables import (
    cost_table,
    events_table,
    parts_table,
    stages_table,
    workers_table,
)
from examples.demo.run_data import DemoRun, JobRun, load_run
from examples.demo.wording import STAGE_TITLES, percent, percent_or_dash

_KEY_ANSWERS = (
    ("line", "measured against gold"),
    ("dots", "what the service expected"),
    ("ring", "a retrained model went live"),
    ("dot", "delivered, with the certified lower bound"),
    ("square", "majority of a fixed number of answers"),
)


def render(run: DemoRun) -> str:
    """Return the whole page."""
    css = files("examples.demo").joinpath("report.css").read_text("utf-8")
    sections = "".join(
        (
            _header(run),
            f'<div class="pair jobs">{"".join(map(_job_card, range(9), run.jobs))}</div>',
            _answers_section(run),
            _reliability_section(run),
            _workers_section(run),
            _timeline_section(run),
            _tables_section(run),
            _notes_section(run),
        )
    )
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<link rel="icon" href="data:,">'
        f"<title>{escape(run.title)}</title><style>{css}</style></head>"
        f"<body><main>{sections}</main></body></html>\n"
    )


def write_report(run: DemoRun, path: Path) -> None:
    """Write the page to a file."""
    path.write_text(render(run), "utf-8")


def headline(run: DemoRun) -> str:
    """Return the run in one sentence."""
    items = sum(job.items for job in run.jobs)
    answers = sum(job.answers for job in run.jobs)
    known = [job for job in run.jobs if job.overall.accuracy is not None]
    counted = sum(job.overall.items for job in known)
    right = sum((job.overall.accuracy or 0.0) * job.overall.items for job in known)
    accuracy = f", {percent(right / counted)} of them right," if counted else ""
    return f"{items:,} items labelled{accuracy} for {answers / max(items, 1):.2f} answers each"


def _header(run: DemoRun) -> str:
    tenants = len({job.tenant for job in run.jobs})
    when = f"{run.started_at:%d %B %Y, %H:%M} UTC"
    parties = f"{tenants} tenants" if tenants > 1 else "one tenant"
    return (
        f'<header><p class="kicker">{escape(run.title)} · {when}</p><h1>{headline(run)}</h1>'
        f'<p class="lede">{len(run.jobs)} job{"s" if len(run.jobs) > 1 else ""} of {parties}, '
        f"{len(run.workers)} workers and one service on {run.cpus} CPU cores: "
        f"{run.wall_s:.0f} seconds from nothing to exported, certified labels. "
        f"{escape(run.input_note)}</p></header>"
    )


def _job_card(number: int, job: JobRun) -> str:
    goal_met = job.overall.accuracy is not None and job.overall.accuracy >= job.goal_accuracy
    status = (
        f'<small class="met">goal {percent(job.goal_accuracy, 0)} reached</small>'
        if goal_met
        else f'<small class="missed">goal was {percent(job.goal_accuracy, 0)}</small>'
    )
    certified = job.certified
    certificate = (
        "none"
        if certified is None
        else f"≥ {percent(certified.lower)}<small>with {percent(job.confidence, 0)} "
        f"confidence, from {certified.audited:,} audited items</small>"
    )
    auto = (
        f"{percent(job.auto.items / max(job.items, 1), 0)}<small>{job.auto.items:,} items, "
        f"{percent_or_dash(job.auto.accuracy)} right</small>"
    )
    entries = (
        ("Right, against gold", percent_or_dash(job.overall.accuracy) + status),
        ("Certified accuracy", certificate),
        ("Accepted from the model", auto),
        ("Cost of the answers", f"{job.cost:,.2f}<small>{_savings(job)}</small>"),
    )
    figures = "".join(f"<div><dt>{name}</dt><dd>{value}</dd></div>" for name, value in entries)
    return (
        f'<article class="card accent-{number + 1}"><h3>{escape(job.title)}</h3>'
        f'<p class="of">{job.items:,} {"texts" if job.modality == "text" else "images"}, '
        f"{len(job.labels)} classes, for {escape(job.tenant)}</p>"
        f'<dl class="figures">{figures}</dl>{_answer_bars(job)}</article>'
    )


def _answer_bars(job: JobRun) -> str:
    bars = [("own", "Muster", job.answers_per_item, percent_or_dash(job.overall.accuracy))]
    bars += [
        ("", f"{fixed.redundancy} for all", fixed.answers / job.items, percent(fixed.accuracy))
        for fixed in job.fixed
    ]
    longest = max(per_item for _, _, per_item, _ in bars)
    rows = "".join(
        f'<div class="bar {kind}"><span>{name}</span><span class="track">'
        f'<b style="left:{62 * per_item / longest:.1f}%">{per_item:.2f} · {accuracy}</b>'
        f'<i style="width:{62 * per_item / longest:.1f}%"></i></span></div>'
        for kind, name, per_item, accuracy in bars
    )
    return f'<div class="bars"><p>Answers bought per item, and what is right then</p>{rows}</div>'


def _savings(job: JobRun) -> str:
    parts = [
        f"{percent(1 - job.cost / fixed.cost, 0)} less than {fixed.redundancy} each"
        if job.cost <= fixed.cost
        else f"{percent(job.cost / fixed.cost - 1, 0)} more than {fixed.redundancy} each"
        for fixed in job.fixed
        if fixed.cost > 0
    ]
    return ", ".join(parts) or "in the currency of worker prices"


def _answers_section(run: DemoRun) -> str:
    panels = (
        _figure(
            job,
            "the whole job at every moment; the scale widens towards 100 %",
            answers_chart(job, number),
        )
        for number, job in enumerate(run.jobs)
    )
    return _section(
        "Accuracy against answers bought",
        "The model speaks first; every answer then goes where it is worth most, and what the crowd "
        "agrees on teaches the model. A fixed number of answers for every item is the usual "
        "alternative.",
        _key(_KEY_ANSWERS) + f'<div class="pair" style="margin-top:16px">{"".join(panels)}</div>',
    )


def _reliability_section(run: DemoRun) -> str:
    panels = (
        _figure(job, "bars: 95 % intervals; below: how many labels", reliability_chart(job, number))
        for number, job in enumerate(run.jobs)
    )
    return _section(
        "Can the probabilities be believed?",
        "Every label is delivered with a probability. Among labels said to be 90 % sure, nine in "
        "ten should be right: the dots should lie on the dotted diagonal.",
        f'<div class="pair">{"".join(panels)}</div>',
    )


def _workers_section(run: DemoRun) -> str:
    estimated = any(worker.estimated is not None for worker in run.workers)
    key = (("dot", "true share in this run"),) + (
        (("diamond", "what the service believes, without gold"),) if estimated else ()
    )
    too_many = len(run.workers) > WORKERS_SHOWN_MAX
    shown = f" The plot has the {WORKERS_SHOWN_MAX} who answered most." if too_many else ""
    return _section(
        "Who answered, and how well",
        escape(run.crowd_note) + shown,
        f'<figure class="wide">{_key(key)}{workers_chart(run.workers)}</figure>'
        + _details("The workers as a table", workers_table(run.workers)),
    )


def _timeline_section(run: DemoRun) -> str:
    key = "".join(
        f'<li><i style="background:var(--stage-{number})"></i>{STAGE_TITLES[stage]}</li>'
        for number, stage in enumerate(TIMED_STAGES, start=1)
    )
    return _section(
        "What happened when",
        f"The service was ready after {run.startup_s:.0f} seconds; the jobs share its model "
        "replicas and its crowd.",
        f'<figure class="wide"><ul class="key">{key}</ul>{timeline_chart(run)}</figure>'
        + _details("Stages and their throughput", stages_table(run))
        + _details("The jobs' event logs", events_table(run)),
    )


def _tables_section(run: DemoRun) -> str:
    return _section(
        "The figures",
        "Accuracy is against gold that the service never saw.",
        "".join(cost_table(job) + parts_table(job) for job in run.jobs),
    )


def _notes_section(run: DemoRun) -> str:
    fixed_by = dict.fromkeys(job.fixed_by for job in run.jobs if job.fixed)
    notes = (
        "Gold labels are used here, after the fact, and nowhere in the service.",
        "Answers count those towards labels and those of the audit.",
        "The certificate holds at whatever moment it is read.",
        *fixed_by,
        f"The seed is {run.seed}; who is asked what also depends on timing.",
    )
    items = "".join(f"<li>{escape(note)}</li>" for note in notes)
    return (
        f'<section><h2>How this was measured</h2><ul class="notes">{items}</ul></section>'
        f"<footer>Muster {escape(run.version)} · drawn from run.json, which lies beside this page"
        "</footer>"
    )


def _section(title: str, introduction: str, body: str) -> str:
    return f"<section><h2>{title}</h2><p>{introduction}</p>{body}</section>"


def _figure(job: JobRun, caption: str, svg: str) -> str:
    return (
        f"<figure><figcaption><h3>{escape(job.title)}</h3><p>{escape(caption)}</p></figcaption>"
        f"{svg}</figure>"
    )


def _key(entries: Iterable[tuple[str, str]]) -> str:
    items = "".join(f'<li><i class="{shape}"></i>{text}</li>' for shape, text in entries)
    return f'<ul class="key">{items}</ul>'


def _details(summary: str, body: str) -> str:
    return f"<details><summary>{summary}</summary>{body}</details>"


def main() -> None:
    """Draw a stored run again."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("run", type=Path, help="run.json of a demo")
    parser.add_argument("page", type=Path, help="the HTML file to write")
    arguments = parser.parse_args()
    write_report(load_run(arguments.run), arguments.page)


if __name__ == "__main__":
    main()
