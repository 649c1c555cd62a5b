"""One trace by OpenTelemetry's own exporter, without MLflow; its credential provider is what the environment names."""

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExportResult


class Strict(OTLPSpanExporter):
    """Fails where the exporter would only log."""

    def export(self, spans: "object") -> SpanExportResult:
        """Sends spans."""
        result = super().export(spans)
        assert result is SpanExportResult.SUCCESS
        return result


provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(Strict()))
trace.set_tracer_provider(provider)
with trace.get_tracer("otlp").start_as_current_span("from-otlp"):
    pass
provider.shutdown()
