//! The loop of the thread that sends: gathers spans, sends them, tries again, gives up.

use std::time::Duration;

use opentelemetry::InstrumentationScope;
use opentelemetry_otlp::SpanExporter;
use opentelemetry_sdk::trace::{SpanData, SpanExporter as _};
use postroom_actors::ports::traces::Span;
use tokio::{
    sync::{mpsc, watch},
    time::{Instant, sleep, sleep_until, timeout},
};

use super::{DROPPED, EXPORTED, ExportPace, convert};

/// Spans in one request at most.
const BATCH: usize = 512;

/// Between two lines of the log about a collector that does not take anything.
const BETWEEN_WARNINGS: Duration = Duration::from_mins(1);

pub(super) struct Worker {
    spans: mpsc::Receiver<Span>,
    closing: watch::Receiver<Option<Instant>>,
    exporter: SpanExporter,
    scope: InstrumentationScope,
    pace: ExportPace,
    warned_at: Option<Instant>,
}

impl Worker {
    pub(super) fn new(
        spans: mpsc::Receiver<Span>,
        closing: watch::Receiver<Option<Instant>>,
        exporter: SpanExporter,
        pace: ExportPace,
    ) -> Self {
        Self {
            spans,
            closing,
            exporter,
            scope: convert::scope(),
            pace,
            warned_at: None,
        }
    }

    /// Runs until nobody gives spans any more, or the export is closed and its time is up.
    pub(super) async fn run(mut self) {
        loop {
            let batch = self.gather().await;
            if batch.is_empty() {
                return;
            }
            self.send(batch).await;
        }
    }

    /// The next batch; empty where none will come.
    async fn gather(&mut self) -> Vec<Span> {
        let mut batch = Vec::new();
        let mut closing = self.closing.clone();
        tokio::select! {
            biased;
            _ = self.spans.recv_many(&mut batch, BATCH) => {}
            () = begins_to_close(&mut closing) => return batch,
        }
        let until = Instant::now() + self.pace.gather;
        while batch.len() < BATCH {
            let room = BATCH.saturating_sub(batch.len());
            tokio::select! {
                biased;
                count = self.spans.recv_many(&mut batch, room) => if count == 0 { break },
                () = begins_to_close(&mut closing) => break,
                () = sleep_until(until) => break,
            }
        }
        batch
    }

    async fn send(&mut self, batch: Vec<Span>) {
        let spans = batch.into_iter();
        let batch: Vec<SpanData> = spans
            .map(|span| convert::span_data(span, &self.scope))
            .collect();
        let count = u64::try_from(batch.len()).unwrap_or(u64::MAX);
        let mut closing = self.closing.clone();
        let tries = self.try_to_send(batch);
        let sent = tokio::select! {
            sent = tries => sent,
            () = time_is_up(&mut closing) => Err("the service has ended".to_owned()),
        };
        match sent {
            Ok(()) => metrics::counter!(EXPORTED).increment(count),
            Err(error) => {
                metrics::counter!(DROPPED).increment(count);
                self.warn(&error);
            }
        }
    }

    async fn try_to_send(&self, batch: Vec<SpanData>) -> Result<(), String> {
        let mut closing = self.closing.clone();
        for pause in self.pace.pauses {
            if self.try_once(batch.clone()).await.is_ok() {
                return Ok(());
            }
            tokio::select! {
                () = sleep(pause) => {}
                // One more try at once, and that is all.
                () = begins_to_close(&mut closing) => break,
            }
        }
        self.try_once(batch).await
    }

    async fn try_once(&self, batch: Vec<SpanData>) -> Result<(), String> {
        match timeout(self.pace.longest_try, self.exporter.export(batch)).await {
            Ok(sent) => sent.map_err(|error| error.to_string()),
            Err(_elapsed) => Err("the collector does not answer".to_owned()),
        }
    }

    fn warn(&mut self, error: &str) {
        let now = Instant::now();
        let is_due = |last: Instant| now.duration_since(last) >= BETWEEN_WARNINGS;
        if self.warned_at.is_none_or(is_due) {
            self.warned_at = Some(now);
            tracing::warn!(
                error,
                "spans are dropped; check `telemetry.otlp_endpoint` and the collector there"
            );
        }
    }
}

/// Resolves when the export is closed, be it that it was dropped.
async fn begins_to_close(closing: &mut watch::Receiver<Option<Instant>>) {
    // Dropped: that is the end too.
    closing.wait_for(Option::is_some).await.ok();
}

/// Resolves when an export that is closed has no time left.
async fn time_is_up(closing: &mut watch::Receiver<Option<Instant>>) {
    let deadline = match closing.wait_for(Option::is_some).await {
        Ok(deadline) => *deadline,
        Err(_dropped) => None,
    };
    if let Some(deadline) = deadline {
        sleep_until(deadline).await;
    }
}
