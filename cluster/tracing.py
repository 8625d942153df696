"""Spans across processes (OpenTelemetry, W3C Trace Context); off unless told where to send them.

Whoever calls another process hands it `current_traceparent()`, and that one opens its span below. A
tracer belongs to its process and is handed around, so nothing is global.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from opentelemetry.trace import Span, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from cluster.errors import InvalidField
from cluster.settings import TraceSettings

CLOSE_TIMEOUT_MS = 5_000
"""How long a process that ends waits for its last spans to be taken."""

_HEADER = "traceparent"


class OpenSpan:
    """A span that has begun; nothing where nothing is traced."""

    def __init__(self, span: Span | None) -> None:
        self._span = span

    def name(self, name: str) -> None:
        """Call it by another name, as what it is for has turned out."""
        if self._span is not None:
            self._span.update_name(name)


class Tracing:
    """The spans of one process; without a provider nothing is traced, at next to no cost."""

    def __init__(self, provider: TracerProvider | None) -> None:
        self._provider = provider
        self._tracer = None if provider is None else provider.get_tracer("muster")

    @property
    def is_on(self) -> bool:
        """Whether spans go anywhere."""
        return self._tracer is not None

    @contextmanager
    def span(
        self, name: str, parent: str | None = None, **attributes: str | int
    ) -> Iterator[OpenSpan]:
        """Open a span, below the one that a `traceparent` names or else the one that is open here.

        What is raised within is noted by its class alone: messages may hold what tenants sent.
        """
        if self._tracer is None:
            yield OpenSpan(None)
            return
        context = None
        if parent is not None:
            context = TraceContextTextMapPropagator().extract({_HEADER: parent})
        with self._tracer.start_as_current_span(
            name,
            context=context,
            attributes=attributes,
            record_exception=False,
            set_status_on_exception=False,
        ) as span:
            try:
                yield OpenSpan(span)
            except BaseException as error:
                span.set_status(Status(StatusCode.ERROR, type(error).__name__))
                raise

    def close(self) -> None:
        """Send what is left and stop."""
        if self._provider is not None:
            self._provider.force_flush(CLOSE_TIMEOUT_MS)
            self._provider.shutdown()


def open_tracing(settings: TraceSettings, process: str) -> Tracing:
    """Return the tracing of a process of this kind; off where no URL is set.

    Raises InvalidField where the extra `traces` is not installed.
    """
    if not settings.otlp_url:
        return Tracing(None)
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import (  # noqa: PLC0415 - extra
            OTLPSpanExporter,
        )
    except ImportError:
        raise InvalidField("traces.otlp_url", "needs the extra `muster[traces]`") from None
    return tracing_to(OTLPSpanExporter(settings.otlp_url), process, settings.share)


def tracing_to(exporter: SpanExporter, process: str, share: float) -> Tracing:
    """Return tracing that sends spans to an exporter, in batches."""
    resource = Resource.create({"service.name": f"muster-{process}"})
    sampler = ParentBased(TraceIdRatioBased(share))
    provider = TracerProvider(sampler=sampler, resource=resource, shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(exporter))
    return Tracing(provider)


def current_traceparent() -> str | None:
    """Return the open span's `traceparent`, for whoever is called; None where there is none."""
    if not trace.get_current_span().get_span_context().is_valid:
        return None
    carrier: dict[str, str] = {}
    TraceContextTextMapPropagator().inject(carrier)
    return carrier.get(_HEADER)
