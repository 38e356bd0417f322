//! Spans in the terms of OpenTelemetry.

use std::time::SystemTime;

use opentelemetry::{
    InstrumentationScope, KeyValue, SpanId, TraceFlags, TraceId, Value,
    trace::{Link, SpanContext, SpanKind, Status, TraceState},
};
use opentelemetry_sdk::{
    Resource,
    resource::EnvResourceDetector,
    trace::{SpanData, SpanEvents, SpanLinks},
};
use postroom_actors::{
    domain::trace_context::TraceContext,
    ports::traces::{AttributeValue, Span, SpanKind as Kind},
};

const NAME: &str = env!("CARGO_PKG_NAME");
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The variable that goes before all else that names a service.
const SERVICE_NAME: &str = "OTEL_SERVICE_NAME";

/// Who sends the spans.
pub(super) fn resource() -> Resource {
    let resource = Resource::builder_empty()
        .with_service_name(NAME)
        .with_attribute(KeyValue::new("service.version", VERSION))
        .with_detector(Box::new(EnvResourceDetector::new()));
    match std::env::var(SERVICE_NAME) {
        Ok(name) if !name.is_empty() => resource.with_service_name(name).build(),
        _ => resource.build(),
    }
}

/// What sends them.
pub(super) fn scope() -> InstrumentationScope {
    InstrumentationScope::builder(NAME)
        .with_version(VERSION)
        .build()
}

/// A span as the exporter takes it.
pub(super) fn span_data(span: Span, scope: &InstrumentationScope) -> SpanData {
    let mut links = SpanLinks::default();
    let linked = span.links.into_iter().map(context);
    links.links = linked.map(|to| Link::new(to, Vec::new(), 0)).collect();
    let attributes = span.attributes.into_iter();
    SpanData {
        span_context: context(span.context),
        parent_span_id: span.parent.map_or(SpanId::INVALID, |parent| {
            SpanId::from_bytes(parent.to_bytes())
        }),
        parent_span_is_remote: span.has_remote_parent,
        span_kind: kind(span.kind),
        name: span.name,
        start_time: SystemTime::from(span.started_at),
        end_time: SystemTime::from(span.ended_at),
        attributes: attributes
            .map(|(key, attribute)| KeyValue::new(key, value(attribute)))
            .collect(),
        dropped_attributes_count: 0,
        events: SpanEvents::default(),
        links,
        status: span.failure.map_or(Status::Unset, Status::error),
        instrumentation_scope: scope.clone(),
    }
}

fn context(context: TraceContext) -> SpanContext {
    SpanContext::new(
        TraceId::from_bytes(context.trace().to_bytes()),
        SpanId::from_bytes(context.span().to_bytes()),
        TraceFlags::new(context.flags()),
        false,
        TraceState::default(),
    )
}

const fn kind(kind: Kind) -> SpanKind {
    match kind {
        Kind::Server => SpanKind::Server,
        Kind::Client => SpanKind::Client,
        Kind::Consumer => SpanKind::Consumer,
        Kind::Internal => SpanKind::Internal,
    }
}

fn value(attribute: AttributeValue) -> Value {
    match attribute {
        AttributeValue::Text(text) => Value::String(text.into()),
        AttributeValue::Number(number) => Value::I64(number),
        AttributeValue::Flag(flag) => Value::Bool(flag),
    }
}
