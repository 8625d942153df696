"""The report's plots of one job, from run data to inline SVG."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullLocator

from examples.demo.measure import wilson_interval
from examples.demo.run_data import JobRun, Sample
from examples.demo.svg import GOOD, INK, MUTED, SERIES, SURFACE, drawing, grid, inline_svg
from examples.demo.wording import percent

Floats = npt.NDArray[np.float64]

PANEL_PX = (460, 350)

ACCURACY_TICKS = (0.0, 0.2, 0.4, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99, 1.0)
LEAST_ERROR = 0.004
"""What keeps the stretched axis finite at 100 %."""


def answers_chart(job: JobRun, number: int) -> str:
    """Draw accuracy against answers bought, with retraining and fixed redundancy marked."""
    seen = [sample for sample in job.samples if sample.accuracy is not None]
    with drawing(*PANEL_PX) as figure:
        axes = figure.add_subplot()
        _stretched_axis(axes, job, seen)
        grid(axes)
        axes.axhline(job.goal_accuracy, color=GOOD, linewidth=1.2, dashes=(5, 4))
        _curve(axes, job, seen, SERIES[number])
        _promotions(axes, job, seen, SERIES[number])
        _fixed_points(axes, job)
        _delivered(axes, job, SERIES[number])
        right = max([5.0, *(fixed.answers / job.items for fixed in job.fixed)])
        axes.set_xlim(-0.1, right + 0.55)
        axes.text(
            right + 0.62,
            job.goal_accuracy,
            f"goal\n{percent(job.goal_accuracy, 0)}",
            color=GOOD,
            ha="left",
            va="center",
            linespacing=1.2,
        )
        axes.set_xlabel("answers bought per item, audits included")
        axes.set_ylabel("labels that are right")
        described = "; ".join(
            f"{fixed.redundancy} answers for every item reach {percent(fixed.accuracy)}"
            for fixed in job.fixed
        )
        final = "unknown" if job.overall.accuracy is None else percent(job.overall.accuracy)
        return inline_svg(
            figure,
            f"answers-{number}",
            f"{job.title}: accuracy against answers bought",
            f"The job ends at {final} right for {job.answers_per_item:.2f} answers an item. "
            f"For comparison: {described or 'nothing'}.",
        )


def reliability_chart(job: JobRun, number: int) -> str:
    """Draw how often delivered labels of each probability are right, over their counts."""
    with drawing(*PANEL_PX) as figure:
        axes, counts = figure.subplots(
            2, 1, sharex=True, gridspec_kw={"height_ratios": (4, 1.1), "hspace": 0.04}
        )
        low = min([0.5, *(min(entry.low, entry.accuracy) for entry in job.reliability)])
        _percent_axis(axes)
        grid(axes)
        axes.plot((0, 1), (0, 1), color=MUTED, linewidth=1.2, dashes=(2, 4))
        for entry in job.reliability:
            bottom, top = wilson_interval(entry.accuracy * entry.items, entry.items)
            said = entry.mean_probability
            axes.plot((said, said), (bottom, top), color=SERIES[number], linewidth=1.6, alpha=0.55)
            axes.plot(
                said,
                entry.accuracy,
                "o",
                color=SERIES[number],
                markersize=8.5,
                markeredgecolor=SURFACE,
                markeredgewidth=1.5,
            )
        axes.set_xlim(low - 0.02, 1.05)
        axes.set_ylim(max(-0.02, low - 0.12), 1.03)
        axes.set_ylabel("labels that are right")
        _count_bars(counts, job, SERIES[number])
        return inline_svg(
            figure,
            f"reliability-{number}",
            f"{job.title}: reliability of delivered probabilities",
            "; ".join(
                f"{entry.items} labels said to be {percent(entry.mean_probability)} sure are right "
                f"in {percent(entry.accuracy)}"
                for entry in job.reliability
            ),
        )


def _stretched_axis(axes: Axes, job: JobRun, seen: Sequence[Sample]) -> None:
    """Show shares so that halving the errors is as far everywhere: where 95 and 98 % differ."""
    shown = [sample.accuracy or 0.0 for sample in seen] + [job.goal_accuracy]
    shown += [fixed.accuracy for fixed in job.fixed]
    axes.set_yscale("function", functions=(_stretch, _unstretch))
    axes.set_yticks(ACCURACY_TICKS)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda share, _: f"{share:.0%}"))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.set_ylim(max(0.0, min(shown) - 0.03), 0.992 if max(shown) < 0.985 else 1.0)


def _stretch(share: Floats) -> Floats:
    return np.asarray(-np.log(np.maximum(1.0 - share, 0.0) + LEAST_ERROR))


def _unstretch(height: Floats) -> Floats:
    return np.asarray(1.0 + LEAST_ERROR - np.exp(-height))


def _percent_axis(axes: Axes) -> None:
    axes.yaxis.set_major_formatter(FuncFormatter(lambda share, _: f"{share:.0%}"))
    axes.yaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))


def _curve(axes: Axes, job: JobRun, seen: Sequence[Sample], colour: str) -> None:
    """The measured curve, and thinner the service's own expectation."""
    expected = [sample for sample in job.samples if sample.expected_accuracy is not None]
    axes.plot(
        [sample.answers / job.items for sample in expected],
        [sample.expected_accuracy or 0.0 for sample in expected],
        color=colour,
        linewidth=1.3,
        dashes=(1, 3),
        dash_capstyle="round",
    )
    axes.plot(
        [sample.answers / job.items for sample in seen],
        [sample.accuracy or 0.0 for sample in seen],
        color=colour,
    )


def _promotions(axes: Axes, job: JobRun, seen: Sequence[Sample], colour: str) -> None:
    """A ring where a retrained model had gone live."""
    for before, after in pairwise(seen):
        if after.promotions > before.promotions:
            axes.plot(
                after.answers / job.items,
                after.accuracy or 0.0,
                "o",
                color=SURFACE,
                markeredgecolor=colour,
                markeredgewidth=2.0,
                markersize=8.5,
            )


def _fixed_points(axes: Axes, job: JobRun) -> None:
    for fixed in job.fixed:
        at = fixed.answers / job.items
        axes.plot(
            at,
            fixed.accuracy,
            "s",
            color=MUTED,
            markersize=7.5,
            markeredgecolor=SURFACE,
        )
        axes.annotate(
            f"{fixed.redundancy} each\n{percent(fixed.accuracy)}",
            (at, fixed.accuracy),
            xytext=(0, -8),
            textcoords="offset points",
            color=MUTED,
            ha="center",
            va="top",
            linespacing=1.25,
        )


def _delivered(axes: Axes, job: JobRun, colour: str) -> None:
    """The end of the job, and the certificate's lower bound below it."""
    if job.overall.accuracy is None:
        return
    at, reached = job.answers_per_item, job.overall.accuracy
    if job.certified is not None:
        axes.plot((at, at), (job.certified.lower, reached), color=colour, linewidth=1.6)
        axes.plot(at, job.certified.lower, "_", color=colour, markersize=11, markeredgewidth=1.8)
    axes.plot(
        at,
        reached,
        "o",
        color=colour,
        markersize=10.5,
        markeredgecolor=SURFACE,
        markeredgewidth=1.8,
    )
    axes.annotate(
        percent(reached),
        (at, reached),
        xytext=(9, 5),
        textcoords="offset points",
        color=INK,
        fontweight="bold",
        va="bottom",
        fontsize=15,
    )


def _count_bars(axes: Axes, job: JobRun, colour: str) -> None:
    """How many labels stand behind each point, as bars of the bins' own width."""
    highest = max([1, *(entry.items for entry in job.reliability)])
    for entry in job.reliability:
        width = entry.high - entry.low
        axes.bar(entry.low, entry.items, width * 0.9, align="edge", color=colour, alpha=0.35)
        last = entry.high == 1.0
        axes.text(
            entry.high if last else entry.low + width * 0.45,
            entry.items * 0.5 if last else entry.items + highest * 0.06,
            f"{entry.items:,}",
            ha="left" if last else "center",
            va="center" if last else "bottom",
            color=MUTED,
            fontsize=11,
        )
    axes.set_ylim(0, highest * 1.35)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda share, _: f"{share:.0%}"))
    axes.set_xlabel("probability delivered with the label")
