"""OpenTelemetry, where RELAY_TRACING is set: one trace from the sender's `traceparent` through door, outbox and call. Without it
nothing of OpenTelemetry is imported. Where spans go, and how many, the SDK reads from its own variables (`OTEL_...`).

Source: W3C, Trace Context; OpenTelemetry, semantic conventions for HTTP spans."""

from __future__ import annotations

from collections.abc import MutableMapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Self

from relay.errors import SettingsInvalid
from relay.release import release

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Span, Tracer

_NAME: Final = "planhat-relay"
_HEADERS: Final = (b"traceparent", b"tracestate")


class DoorSpan:
    """The span of one webhook, from its head to its answer."""

    __slots__ = ("_error", "_span")

    def __init__(self, span: Span, error: Any) -> None:
        self._span = span
        self._error = error

    def end(self, status: int, outcome: str, event_ids: Sequence[str]) -> None:
        span = self._span
        span.set_attribute("http.response.status_code", status)
        span.set_attribute("relay.outcome", outcome)
        if event_ids:
            span.set_attribute("relay.event_ids", list(event_ids[:10]))
        if status >= 500:
            span.set_status(self._error)
        span.end()


@dataclass(frozen=True, slots=True)
class SettledEvent:
    """What became of one event by one call. `traceparent`: that of the door's span. Times are epoch ms, of Redis's clock."""

    event_id: str
    source: str
    traceparent: str
    accepted_ms: int
    called_ms: int
    settled_ms: int
    outcome: str
    batch: str
    status: int | None


class Tracing:
    """Makes the spans of one process. `role`: which one, web or flush."""

    def __init__(self, provider: TracerProvider) -> None:
        from opentelemetry.trace import SpanKind, Status, StatusCode
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        self._provider = provider
        self._tracer: Tracer = provider.get_tracer(_NAME, release())
        self._propagator = TraceContextTextMapPropagator()
        self._kinds = SpanKind
        self._error = Status(StatusCode.ERROR)

    @classmethod
    def open(cls, role: str) -> Self:
        """Open the tracing of one process. Raises SettingsInvalid where OpenTelemetry is not installed."""
        try:
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
            from opentelemetry.sdk.resources import Resource
            from opentelemetry.sdk.trace import TracerProvider
            from opentelemetry.sdk.trace.export import BatchSpanProcessor
        except ImportError as error:
            raise SettingsInvalid(
                "RELAY_TRACING is set, and OpenTelemetry is not installed: pip install 'planhat-relay[otel]'"
            ) from error
        resource = Resource.create({"service.version": release(), "relay.role": role})
        if str(resource.attributes.get("service.name", "unknown")).startswith("unknown"):
            resource = resource.merge(Resource({"service.name": _NAME}))
        provider = TracerProvider(resource=resource)
        # Sent by a thread of its own, dropped where there are too many: neither a webhook nor a call waits for it.
        provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        return cls(provider)

    def close(self) -> None:
        """Sends what is left, for a few seconds at most."""
        self._provider.force_flush(3000)
        self._provider.shutdown()

    # -- the door --------------------------------------------------------------------------------------------

    def door(self, scope: MutableMapping[str, Any], source: str) -> DoorSpan:
        """Begins the span of a webhook, in the sender's trace where it names one, and puts itself in the place of the sender's
        `traceparent`: what is stored of the request leads here."""
        given = {
            key.decode("latin-1"): value.decode("latin-1")
            for key, value in scope["headers"]
            if key in _HEADERS
        }
        span = self._tracer.start_span(
            f"POST /hooks/{source}",
            context=self._propagator.extract(given),
            kind=self._kinds.SERVER,
            attributes={
                "http.request.method": scope["method"],
                "http.route": "/hooks/{source}",
                "relay.source": source,
            },
        )
        own = span.get_span_context()
        written = f"00-{own.trace_id:032x}-{own.span_id:016x}-{int(own.trace_flags):02x}"
        rest = [pair for pair in scope["headers"] if pair[0] != b"traceparent"]
        scope["headers"] = [*rest, (b"traceparent", written.encode())]
        return DoorSpan(span, self._error)

    # -- the workers -----------------------------------------------------------------------------------------

    def settled(self, event: SettledEvent) -> None:
        """Trace the event's wait in the outbox and the call that settled it, in its own trace."""
        door: Context = self._propagator.extract({"traceparent": event.traceparent})
        from opentelemetry.trace import set_span_in_context

        waited = self._tracer.start_span(
            "outbox",
            context=door,
            kind=self._kinds.CONSUMER,
            start_time=event.accepted_ms * 1_000_000,
            attributes={"relay.source": event.source, "relay.event_id": event.event_id},
        )
        call = self._tracer.start_span(
            "PUT /conversations",
            context=set_span_in_context(waited, door),
            kind=self._kinds.CLIENT,
            start_time=event.called_ms * 1_000_000,
            attributes={
                "http.request.method": "PUT",
                "relay.batch": event.batch,
                "relay.outcome": event.outcome,
                **({"http.response.status_code": event.status} if event.status is not None else {}),
            },
        )
        if event.outcome not in ("delivered", "unchanged"):
            call.set_status(self._error)
        call.end(event.settled_ms * 1_000_000)
        waited.end(event.settled_ms * 1_000_000)
