"""Following jobs over HTTP while they run: progress bars for the eye, samples for the report."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from threading import Event

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from cluster.domain.jobs import JobState
from examples.demo.dataset import DemoDataset
from examples.demo.measure import promotions, seconds_after, share_right
from examples.demo.run_data import RunEvent, Sample
from examples.demo.wording import STAGE_TITLES
from serve_apps.client import MusterClient
from serve_apps.gateway.schemas.jobs import EventView, JobView

LOOK_EVERY_S = 1.0

ROUND_EVENT = "round"
"""The kind of event that tells of a new consensus, whose labels can then be looked at."""


@dataclass(slots=True, kw_only=True)
class JobWatch:
    """One job under observation; `client` holds the key of the tenant who owns it."""

    client: MusterClient
    tenant: str
    dataset: DemoDataset
    job: JobView
    demo_start: datetime
    samples: list[Sample] = field(default_factory=list)
    events: list[EventView] = field(default_factory=list)

    @property
    def ended(self) -> bool:
        """Whether the job can no longer change."""
        return self.job.state.is_terminal

    def look(self) -> None:
        """Ask the service how the job stands; sample its labels where there is a new round."""
        self.job = self.client.job(self.job.id)
        seen = self.events[-1].seq if self.events else 0
        news = self.client.events(self.job.id, seen)
        self.events += news
        rounds = [event for event in news if event.kind == ROUND_EVENT]
        if rounds:
            self.samples.append(self._sample(rounds[-1]))

    def timeline(self) -> tuple[RunEvent, ...]:
        """Return the job's events in the report's terms."""
        return tuple(
            RunEvent(
                at_s=seconds_after(self.demo_start, event.at),
                kind=event.kind,
                message=event.message,
            )
            for event in self.events
        )

    def _sample(self, event: EventView) -> Sample:
        """Return how the job stood at a round of consensus, with its labels judged by gold."""
        labels = {view.item_id: view.label for view in self.client.labels(self.job.id)}
        return Sample(
            at_s=seconds_after(self.demo_start, event.at),
            answers=int(event.figures["answers"]),
            final=self.job.progress.final,
            promotions=promotions(self.events),
            accuracy=share_right(labels, self.dataset.gold),
            expected_accuracy=event.figures["expected_accuracy"],
        )


def watch(watches: Sequence[JobWatch], console: Console) -> None:
    """Follow jobs until all have ended, with live bars."""
    with _progress_bars(console) as bars:
        rows = [_Row(bars, each.dataset.title, len(each.dataset.items)) for each in watches]
        pause = Event()
        while True:
            for each, row in zip(watches, rows, strict=True):
                if not each.ended:
                    each.look()
                    row.show(each)
            if all(each.ended for each in watches):
                return
            pause.wait(LOOK_EVERY_S)


class _Row:
    """The bars of one job: how far each of its stages has come."""

    def __init__(self, bars: Progress, title: str, items: int) -> None:
        self._bars = bars
        self._head = bars.add_task(f"[bold]{title}", total=None, note="queued")
        self._prelabelled = self._bar("pre-labelled", items)
        self._delivered = self._bar("delivered", items)

    def show(self, watched: JobWatch) -> None:
        """Bring the bars up to date."""
        job, progress = watched.job, watched.job.progress
        expected = progress.expected_accuracy
        believed = "" if expected is None else f", expects {expected:.1%}"
        answers = progress.answers - progress.audit_answers
        self._bars.update(
            self._head,
            total=1,
            completed=int(watched.ended),
            note=STAGE_TITLES.get(job.state, job.state),
        )
        self._bars.update(
            self._prelabelled,
            completed=progress.prelabelled,
            note=f"{progress.items:,} items in {progress.chunks:,} chunks",
        )
        self._bars.update(
            self._delivered,
            completed=progress.items if job.state is JobState.COMPLETED else progress.final,
            note=f"{answers:,} answers, {progress.audit_answers:,} audits{believed}",
        )

    def _bar(self, name: str, items: int) -> TaskID:
        return self._bars.add_task(f"  {name}", total=items, note="")


def _progress_bars(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=30),
        TextColumn("{task.completed:>6,.0f}"),
        TextColumn("{task.fields[note]}", style="dim"),
        TimeElapsedColumn(),
        console=console,
    )
