"""The life of a model version, as a pure state machine.

    registered ──→ shadow ──→ canary ──→ live ──→ retired
        └────────────┴──────────┴─────────↑│
                     └──────────┴→ rejected └──→ rolled back

A candidate has passed the audit gate (`training.promotion`) before it enters anything. Where nobody
asks its line online it goes live at once: there is nothing to try it on. Else it first answers a
share of the online requests unseen (*shadow*: does it fail or crawl on inputs that the job's audit
never saw?), then a share of them for real (*canary*: what it costs if it is bad is bounded by that
share), and goes live. Audit answers that come in meanwhile, from any job of the line, may end the
trial, and later the life of the live version (`training.regression`). A phase ends when it has seen
enough, when the line's online requests have ceased, or when its time is up, so that no version is
on trial for ever; but while there are requests, none goes on that was asked nothing. By hand any
version may go live at any time.

Every step is a row of the line's history; the functions here make the rows and decide nothing else.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from scipy.stats import binomtest

from cluster.domain.ids import ModelName, UnixSeconds
from cluster.domain.lines import TRIALS, LineStep, Stage, Traffic
from cluster.model_settings import RolloutSettings
from training.regression import Regression

SERVICE = "muster"
"""Who takes the steps that nobody asked for."""

EARLY_P_VALUE = 1e-4
"""A trial is looked at all the time; before its end only failures that are no chance end it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Why:
    """Who takes a step, why, and when; `p_value` is that of the test that led to it."""

    by: str
    reason: str
    at: UnixSeconds
    p_value: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What is known of a version on trial; `asked_at` is when its line was last asked online."""

    traffic: Traffic
    asked_at: UnixSeconds
    audit: Regression


def begun(name: ModelName, version: int, why: Why) -> LineStep:
    """Return the first step of a line."""
    return LineStep(
        name=name,
        revision=1,
        version=version,
        stage=Stage.LIVE,
        over=None,
        live=version,
        by=why.by,
        reason=why.reason,
        p_value=why.p_value,
        at=why.at,
    )


def entered(standing: LineStep, version: int, stage: Stage, why: Why) -> LineStep:
    """Return the step by which a version goes on trial or live; whatever was on trial is not."""
    live = version if stage is Stage.LIVE else standing.live
    return _next(standing, version, stage, live, why)


def rejected(standing: LineStep, why: Why) -> LineStep:
    """Return the step that ends the trial of a line's candidate."""
    return _next(standing, standing.version, Stage.REJECTED, standing.live, why)


def rolled_back(standing: LineStep, to: int, why: Why) -> LineStep:
    """Return the step that makes an earlier version live again, and ends any trial."""
    return _next(standing, standing.live, Stage.ROLLED_BACK, to, why)


def first_stage(settings: RolloutSettings, now: UnixSeconds, asked_at: UnixSeconds) -> Stage:
    """Return what a candidate enters that has passed the audit gate."""
    if now - asked_at > settings.traffic_window_s:
        return Stage.LIVE
    return _after(None, settings)


def next_step(
    standing: LineStep, seen: Seen, settings: RolloutSettings, now: UnixSeconds
) -> LineStep | None:
    """Return the next step of a line whose newest one began a trial; None while it goes on."""
    if seen.audit.is_worse:
        reason = f"worse on {seen.audit.n:,} audited items"
        why = Why(by=SERVICE, reason=reason, at=now, p_value=seen.audit.p_value)
        return rejected(standing, why)
    over = _is_over(standing, seen, settings, now)
    fault = _fault(seen.traffic, settings, is_over=over)
    if fault is not None:
        reason, p_value = fault
        return rejected(standing, Why(by=SERVICE, reason=reason, at=now, p_value=p_value))
    if not over or (seen.traffic.items == 0 and _is_asked(seen, settings, now)):
        return None
    reason = f"{seen.traffic.items:,} online items as {standing.stage} say nothing against it"
    why = Why(by=SERVICE, reason=reason, at=now, p_value=seen.audit.p_value)
    return entered(standing, standing.version, _after(standing.stage, settings), why)


def stages_of(history: Sequence[LineStep], versions: Iterable[int]) -> dict[int, Stage]:
    """Return where each version stands; `history` has the newest step first."""
    newest: dict[int, Stage] = {}
    for step in history:
        newest.setdefault(step.version, step.stage)
    found = {version: newest.get(version, Stage.REGISTERED) for version in versions}
    for version, stage in found.items():
        if version == history[0].live:
            found[version] = Stage.LIVE
        elif stage is Stage.LIVE or (stage in TRIALS and version != history[0].candidate):
            found[version] = Stage.RETIRED
    return found


def _next(standing: LineStep, version: int, stage: Stage, live: int, why: Why) -> LineStep:
    return LineStep(
        name=standing.name,
        revision=standing.revision + 1,
        version=version,
        stage=stage,
        over=standing.live,
        live=live,
        by=why.by,
        reason=why.reason,
        p_value=why.p_value,
        at=why.at,
    )


def _after(stage: Stage | None, settings: RolloutSettings) -> Stage:
    """Return the stage behind another; what has no share of the traffic is passed over."""
    if stage is None and settings.shadow_share > 0.0:
        return Stage.SHADOW
    if stage in (None, Stage.SHADOW) and settings.canary_share > 0.0:
        return Stage.CANARY
    return Stage.LIVE


def _is_over(standing: LineStep, seen: Seen, settings: RolloutSettings, now: UnixSeconds) -> bool:
    shadow = standing.stage is Stage.SHADOW
    wanted = settings.shadow_items_min if shadow else settings.canary_items_min
    return (
        seen.traffic.items >= wanted
        or (not _is_asked(seen, settings, now) and now - standing.at > settings.traffic_window_s)
        or now - standing.at > settings.phase_s_max
    )


def _is_asked(seen: Seen, settings: RolloutSettings, now: UnixSeconds) -> bool:
    return now - seen.asked_at <= settings.traffic_window_s


def _fault(
    traffic: Traffic, settings: RolloutSettings, *, is_over: bool
) -> tuple[str, float | None] | None:
    """Return what speaks against a version on live inputs, and its p-value; None for nothing.

    Failures are compared in pairs (McNemar 1947, exact): only items count on which one of the two
    versions failed and the other did not.
    """
    p_value = _failures_p_value(traffic)
    if p_value <= (1.0 - settings.confidence if is_over else EARLY_P_VALUE):
        return f"it failed on {traffic.failed:,} of {traffic.items:,} online items", p_value
    if is_over and 0 < traffic.items <= traffic.failed:
        return f"it failed on all of {traffic.items:,} online items", p_value
    slower = traffic.seconds / traffic.live_seconds if traffic.live_seconds > 0.0 else 1.0
    if is_over and slower > settings.slower_max:
        return f"it took {slower:.1f} times as long as the live version", None
    return None


def _failures_p_value(traffic: Traffic) -> float:
    discordant = traffic.failed + traffic.live_failed
    if discordant == 0:
        return 1.0
    return float(binomtest(traffic.failed, discordant, alternative="greater").pvalue)
