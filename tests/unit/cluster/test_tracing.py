"""Spans: one trace over whoever is called, and nothing at all where nothing is to be traced."""

import pytest
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from cluster.errors import InvalidField
from cluster.settings import TraceSettings
from cluster.tracing import Tracing, current_traceparent, open_tracing, tracing_to

CALLER = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
UNSAMPLED = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"


def test_what_is_called_is_a_span_below_the_caller_in_another_process() -> None:
    # Given two processes, each with a tracer of its own
    kept, theirs = InMemorySpanExporter(), InMemorySpanExporter()
    gateway = tracing_to(kept, "gateway", share=1.0)
    replica = tracing_to(theirs, "prelabel", share=1.0)
    # When the one calls the other, and hands it its place
    with gateway.span("request", CALLER) as span:
        span.name("POST /v1/jobs")
        handed = current_traceparent()
    assert handed is not None
    with replica.span("prelabel.chunk", handed, chunk=3):
        pass
    gateway.close()
    replica.close()
    # Then both are in the client's trace, the one below the other
    (above,), (below,) = kept.get_finished_spans(), theirs.get_finished_spans()
    assert (above.name, below.name) == ("POST /v1/jobs", "prelabel.chunk")
    assert above.parent is not None
    assert f"{above.parent.span_id:016x}" == CALLER.split("-")[2]
    assert below.parent is not None
    assert below.parent.span_id == above.context.span_id
    assert f"{below.context.trace_id:032x}" == CALLER.split("-")[1]
    assert below.attributes == {"chunk": 3}
    assert below.resource.attributes["service.name"] == "muster-prelabel"


def test_an_error_is_noted_by_its_class_alone() -> None:
    exporter = InMemorySpanExporter()
    tracing = tracing_to(exporter, "gateway", share=1.0)
    with pytest.raises(ValueError, match="secret"), tracing.span("work"):
        raise ValueError("a tenant's secret")
    tracing.close()
    (span,) = exporter.get_finished_spans()
    assert (span.status.description, span.events) == ("ValueError", ())


@pytest.mark.parametrize("parent", [None, UNSAMPLED, "not a traceparent"])
def test_what_is_not_sampled_goes_nowhere(parent: str | None) -> None:
    exporter = InMemorySpanExporter()
    tracing = tracing_to(exporter, "gateway", share=0.0)
    with tracing.span("work", parent):
        pass
    tracing.close()
    assert exporter.get_finished_spans() == ()


def test_where_no_url_is_set_there_are_no_spans() -> None:
    tracing = open_tracing(TraceSettings(), "gateway")
    assert not tracing.is_on
    with tracing.span("work", CALLER) as span:
        span.name("other")
        assert current_traceparent() is None
    tracing.close()


def test_a_missing_extra_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(
        __import__("sys").modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None
    )
    with pytest.raises(InvalidField, match=r"needs the extra `muster\[traces\]`"):
        open_tracing(TraceSettings(otlp_url="http://localhost:4318/v1/traces"), "gateway")


def test_tracing_of_nothing_is_off() -> None:
    assert not Tracing(None).is_on
