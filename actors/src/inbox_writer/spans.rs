//! The spans of inbox files: each hangs on the newest message of its file, with links to the others.

use super::InboxWriterParts;
use crate::{
    domain::{envelope::StoredMessage, trace_context::SpanId},
    ports::traces::{Span, SpanKind},
};

/// The spans of files that are about to be written; none where nothing is recorded.
pub(super) fn begin<'a, Messages>(
    parts: &InboxWriterParts,
    files: impl Iterator<Item = Messages>,
) -> Vec<Span>
where
    Messages: DoubleEndedIterator<Item = &'a StoredMessage>,
{
    if !parts.traces.is_on() {
        return Vec::new();
    }
    files
        .filter_map(|messages| of_file(parts, messages))
        .collect()
}

fn of_file<'a>(
    parts: &InboxWriterParts,
    mut messages: impl DoubleEndedIterator<Item = &'a StoredMessage>,
) -> Option<Span> {
    let newest = messages.next_back()?;
    let id = || SpanId::of_inbox_write(newest.id);
    let span = parts
        .traces
        .span(newest.traceparent, id, SpanKind::Internal)?;
    let mut span = span
        .begun("inbox write", parts.clock.now())
        .with("postroom.message.id", newest.id.to_string());
    let mut count = 1_usize;
    for message in messages {
        count = count.saturating_add(1);
        span.links.extend(message.traceparent);
    }
    span.note("postroom.batch.messages", count);
    Some(span)
}

/// Records that the files are safe.
pub(super) fn record(parts: &InboxWriterParts, spans: Vec<Span>) {
    for span in spans {
        parts.traces.end(span, parts.clock.now());
    }
}
