//! The numbers of what passes by.

use std::sync::Arc;

use bytes::Bytes;
use metrics::{Counter, Histogram};
use postroom_actors::{
    backend_relay::BackendConfig,
    domain::{metric::Metric, reply_text::TokenUsage},
    token_usage::{self, Operation},
};
use tokio::time::Instant;

const BYTES: &str = "postroom_relay_bytes_total";
const CHUNK_GAP: &str = "postroom_relay_chunk_gap_seconds";
pub(super) const EMBEDDINGS_FAILURES: &str = "postroom_embeddings_failures_total";

/// What is counted about answers of backends.
pub const METRICS: &[Metric] = &[
    Metric::counter(BYTES, &["backend"], "Bytes of answers that were passed on"),
    Metric::seconds(
        CHUNK_GAP,
        &["backend"],
        "Time that a stream waited for its backend's next chunk",
    ),
    Metric::counter(
        EMBEDDINGS_FAILURES,
        &["reason"],
        "Failed tries of the embeddings backend: connect, timeout, broken, unaskable, status",
    ),
];

/// Measures one answer on its way. Looks its series up once, not with each chunk.
pub(super) struct Passing {
    backend: Arc<BackendConfig>,
    bytes: Counter,
    gap: Histogram,
    waits_since: Instant,
}

impl Passing {
    pub(super) fn of(backend: &Arc<BackendConfig>) -> Self {
        let name = || backend.name.to_string();
        Self {
            bytes: metrics::counter!(BYTES, "backend" => name()),
            gap: metrics::histogram!(CHUNK_GAP, "backend" => name()),
            backend: Arc::clone(backend),
            waits_since: Instant::now(),
        }
    }

    /// A chunk of an answer that has no further ones to wait for.
    pub(super) fn chunk(&self, chunk: &Bytes) {
        self.bytes
            .increment(u64::try_from(chunk.len()).unwrap_or(u64::MAX));
    }

    /// The next chunk of a stream has come.
    pub(super) fn next(&self, chunk: &Bytes) {
        self.gap.record(self.waits_since.elapsed());
        self.chunk(chunk);
    }

    /// From now on the stream waits for its backend.
    pub(super) fn waits(&mut self) {
        self.waits_since = Instant::now();
    }

    pub(super) fn used(&self, usage: Option<TokenUsage>) {
        if let Some(usage) = usage {
            let chat = Operation::Chat(&self.backend.name);
            token_usage::note(chat, usage.input, Some(usage.output));
        }
    }
}
