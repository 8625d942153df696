"""The report's plots of a whole run, from run data to inline SVG."""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator

from examples.demo.measure import wilson_interval
from examples.demo.run_data import DemoRun, JobRun, WorkerRun
from examples.demo.svg import GRID, INK, MUTED, SERIES, STAGES, SURFACE, drawing, grid, inline_svg
from examples.demo.wording import STAGE_TITLES, percent

WIDE_PX = 1020
WORKERS_SHOWN_MAX = 40

TIMED_STAGES = ("ingesting", "prelabelling", "asking", "learning", "exporting")
"""The stages of the timeline, in the order of the style sheet's stage colours."""


def workers_chart(workers: Sequence[WorkerRun]) -> str:
    """Draw each worker's share of right answers, and what the service believes it to be."""
    shown = sorted(workers, key=lambda worker: -worker.answers)[:WORKERS_SHOWN_MAX]
    shown.sort(key=lambda worker: (worker.accuracy is not None, worker.accuracy or 0.0))
    with drawing(WIDE_PX, 80 + 22 * len(shown)) as figure:
        axes = figure.add_subplot()
        grid(axes, horizontal=False, vertical=True)
        for row, worker in enumerate(shown):
            _worker_row(axes, row, worker)
        axes.text(1.065, len(shown) - 0.1, "answers", color=MUTED, ha="right", va="center")
        axes.set_yticks(range(len(shown)), [worker.name for worker in shown])
        axes.tick_params(axis="y", labelcolor=INK)
        axes.set_ylim(-0.7, len(shown) + 0.4)
        axes.set_xlim(-0.01, 1.07)
        axes.set_xticks([0, 0.2, 0.4, 0.6, 0.8, 1.0])
        axes.xaxis.set_major_formatter(FuncFormatter(lambda share, _: f"{share:.0%}"))
        axes.spines["left"].set_visible(False)
        axes.set_xlabel("answers that are right (bar: 95 % interval)")
        return inline_svg(
            figure,
            "workers",
            "Worker quality",
            f"{len(shown)} workers by their share of right answers, from "
            + " to ".join(percent(share, 0) for share in _extremes(shown)),
        )


def timeline_chart(run: DemoRun) -> str:
    """Draw the stages of every job on one time axis, over the answers bought."""
    with drawing(WIDE_PX, 200 + 62 * len(run.jobs)) as figure:
        lanes, rate = figure.subplots(
            2, 1, sharex=True, gridspec_kw={"height_ratios": (0.62 * len(run.jobs), 1.3)}
        )
        for lane, job in enumerate(run.jobs):
            _stage_lane(lanes, lane, job, run.wall_s)
        lanes.set_ylim(len(run.jobs) - 0.35, -0.75)
        lanes.set_yticks(range(len(run.jobs)), [job.title for job in run.jobs])
        lanes.tick_params(axis="y", labelcolor=INK)
        lanes.spines[["left", "bottom"]].set_visible(False)
        grid(rate)
        for number, job in enumerate(run.jobs):
            times = [point.at_s for point in job.pace]
            bought = [point.answers for point in job.pace]
            rate.plot(times, bought, color=SERIES[number], drawstyle="steps-post")
            if times:
                rate.text(
                    times[-1] + run.wall_s * 0.008,
                    bought[-1],
                    f"{job.title}\n{bought[-1]:,}",
                    color=SERIES[number],
                    va="top" if number else "center",
                    fontsize=12,
                )
        rate.set_xlim(0, run.wall_s * 1.13)
        rate.set_ylim(bottom=0)
        rate.yaxis.set_major_locator(MaxNLocator(4, integer=True))
        rate.yaxis.set_major_formatter(FuncFormatter(lambda count, _: f"{count:,.0f}"))
        rate.set_ylabel("answers")
        rate.set_xlabel("seconds since the demo began")
        return inline_svg(
            figure,
            "timeline",
            "Timeline of both jobs" if len(run.jobs) > 1 else "Timeline of the job",
            "; ".join(
                f"{job.title}: {STAGE_TITLES.get(span.stage, span.stage)} from {span.start_s:.0f} "
                f"to {span.end_s:.0f} seconds"
                for job in run.jobs
                for span in job.spans
            ),
        )


def _worker_row(axes: Axes, row: int, worker: WorkerRun) -> None:
    if worker.accuracy is None:
        axes.text(0.0, row, "no answers", color=MUTED, va="center", fontsize=12)
        return
    low, high = wilson_interval(worker.accuracy * worker.answers, worker.answers)
    axes.plot((low, high), (row, row), color=SERIES[0], linewidth=5.0, alpha=0.28)
    axes.plot(worker.accuracy, row, "o", color=SERIES[0], markersize=7.5, markeredgecolor=SURFACE)
    if worker.estimated is not None:
        axes.plot(
            worker.estimated,
            row,
            "D",
            color="none",
            markeredgecolor=INK,
            markeredgewidth=1.4,
            markersize=6.5,
        )
    axes.text(1.065, row, f"{worker.answers:,}", color=MUTED, ha="right", va="center", fontsize=12)


def _extremes(workers: Sequence[WorkerRun]) -> tuple[float, float]:
    known = [worker.accuracy for worker in workers if worker.accuracy is not None]
    return min(known, default=0.0), max(known, default=0.0)


def _stage_lane(axes: Axes, lane: int, job: JobRun, wall_s: float) -> None:
    for span in job.spans:
        length = span.end_s - span.start_s
        axes.barh(
            lane,
            length,
            left=span.start_s,
            height=0.5,
            edgecolor=SURFACE,
            linewidth=1.2,
            color=_stage_colour(span.stage),
        )
        title = STAGE_TITLES.get(span.stage, span.stage)
        if length > wall_s * 0.008 * len(title):
            axes.text(
                span.start_s + length / 2,
                lane - 0.31,
                title,
                ha="center",
                va="bottom",
                color=MUTED,
                fontsize=12,
            )


def _stage_colour(stage: str) -> str:
    return STAGES[TIMED_STAGES.index(stage)] if stage in TIMED_STAGES else GRID
