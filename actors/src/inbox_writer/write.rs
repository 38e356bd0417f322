//! One write call: load what is not in memory, write the files, note them as written.

use std::{collections::HashMap, sync::Arc, time::Duration};

use actix::{AsyncContext, Context, WrapFuture, fut::ActorFutureExt};
use chrono::TimeDelta;
use thiserror::Error;

use super::{InboxWriter, InboxWriterParts, spans};
use crate::{
    activity::Activity,
    domain::{
        activity::Fact,
        batching::{DueItem, DueLane},
        envelope::{InboxForm, Sequence, StoredMessage},
        ids::{ContextId, MessageId},
        inbox_item::{self, ItemExtras},
        trace_context::TraceContext,
    },
    log_fields::trace_id,
    ports::{InboxError, InboxFile, RenderFile, StoreError, WrittenFile},
    router::ContextsMarked,
};

type Messages = HashMap<Sequence, Arc<StoredMessage>>;

/// Why a write call did not come to its end.
#[derive(Debug, Error)]
enum WriteError {
    #[error(transparent)]
    Inbox(#[from] InboxError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

const FIRST_RETRY: Duration = Duration::from_millis(500);
const LONGEST_RETRY: Duration = Duration::from_secs(10);

/// Writes what is due in the background; the writer hears of the end.
pub(super) fn start(
    writer: &InboxWriter,
    due: Vec<DueLane>,
    in_memory: Messages,
    ctx: &mut Context<InboxWriter>,
) {
    let parts = writer.parts.clone();
    let written = async move {
        let outcome = write(&parts, &due, in_memory).await;
        (due, outcome)
    };
    ctx.spawn(
        written
            .into_actor(writer)
            .map(|(due, outcome), writer, ctx| {
                writer.writes_in_flight -= 1;
                match outcome {
                    Ok(()) => writer.succeeded(&due),
                    Err(error) => writer.failed(due, &error),
                }
                writer.write_due(ctx);
            }),
    );
}

impl InboxWriter {
    fn succeeded(&mut self, due: &[DueLane]) {
        self.failures_in_a_row = 0;
        for lane in due {
            self.batcher.written(lane);
        }
    }

    fn failed(&mut self, due: Vec<DueLane>, error: &WriteError) {
        let pause = FIRST_RETRY
            .saturating_mul(2_u32.saturating_pow(self.failures_in_a_row))
            .min(LONGEST_RETRY);
        self.failures_in_a_row = self.failures_in_a_row.saturating_add(1);
        self.alone_next += due.len();
        tracing::error!(%error, retry_in = ?pause, "inbox_write_failed; the messages stay in the store");
        metrics::counter!(super::WRITE_FAILURES).increment(1);
        let pause = TimeDelta::from_std(pause).unwrap_or(TimeDelta::MAX);
        let retry_at = self.parts.clock.now() + pause;
        for lane in due {
            self.batcher.failed(lane, retry_at);
        }
    }
}

async fn write(
    parts: &InboxWriterParts,
    due: &[DueLane],
    mut messages: Messages,
) -> Result<(), WriteError> {
    load_missing(parts, due, &mut messages).await?;
    let groups: Vec<Group> = due
        .iter()
        .flat_map(|lane| &lane.files)
        .filter_map(|file| Group::new(file, &messages))
        .collect();
    let batches: Vec<_> = groups.iter().map(Group::batch).collect();
    let spans = spans::begin(parts, groups.iter().map(Group::messages));
    let files = groups
        .into_iter()
        .map(|group| group.into_file(&parts.extras))
        .collect();
    let written = parts.inbox.write(files).await?;
    spans::record(parts, spans);
    report(&written, &batches, &parts.activity);
    mark_projected(parts, due).await;
    tell_router(parts, messages.values());
    Ok(())
}

/// Notes that the files are safe, however long it takes: an agent may have consumed them by now,
/// so they must not be written once more.
async fn mark_projected(parts: &InboxWriterParts, due: &[DueLane]) {
    let items = due.iter().flat_map(|lane| &lane.files).flatten();
    let sequences: Vec<Sequence> = items.map(|due| due.item.sequence).collect();
    loop {
        match parts.store.mark_projected(sequences.clone()).await {
            Ok(()) | Err(StoreError::Closed) => return,
            Err(error) => {
                tracing::warn!(%error, "cannot note inbox files as written; trying again");
                tokio::time::sleep(FIRST_RETRY).await;
            }
        }
    }
}

async fn load_missing(
    parts: &InboxWriterParts,
    due: &[DueLane],
    messages: &mut Messages,
) -> Result<(), WriteError> {
    let items = due.iter().flat_map(|lane| &lane.files).flatten();
    let missing: Vec<Sequence> = items
        .map(|due| due.item.sequence)
        .filter(|sequence| !messages.contains_key(sequence))
        .collect();
    if !missing.is_empty() {
        messages.extend(parts.store.load(missing).await?);
    }
    Ok(())
}

/// The messages of one file with their replies, oldest first.
struct Group {
    name: String,
    /// Its newest message.
    newest: MessageId,
    parts: Vec<(Arc<StoredMessage>, Option<Arc<str>>)>,
}

/// What is told of a file.
struct Batch {
    /// Its newest message.
    newest: MessageId,
    /// How many there are.
    messages: usize,
    /// The trace of the newest one.
    trace: Option<TraceContext>,
}

impl Group {
    /// Named after its newest message; `None` where the store knows none of its messages.
    fn new(file: &[DueItem], messages: &Messages) -> Option<Self> {
        let parts: Vec<_> = file
            .iter()
            .filter_map(|due| {
                Some((
                    Arc::clone(messages.get(&due.item.sequence)?),
                    due.reply.clone(),
                ))
            })
            .collect();
        let (newest, _) = parts.last()?;
        Some(Self {
            name: newest.id.file_name(newest.received_at),
            newest: newest.id,
            parts,
        })
    }

    fn batch(&self) -> Batch {
        let newest = self.messages().next_back();
        Batch {
            newest: self.newest,
            messages: self.parts.len(),
            trace: newest.and_then(|newest| newest.traceparent),
        }
    }

    fn messages(&self) -> impl DoubleEndedIterator<Item = &StoredMessage> {
        self.parts.iter().map(|(message, _)| &**message)
    }

    fn into_file(self, extras: &Arc<ItemExtras>) -> RenderFile {
        let extras = Arc::clone(extras);
        RenderFile {
            render: Box::new(move || self.render(&extras)),
        }
    }

    fn render(self, extras: &ItemExtras) -> InboxFile {
        let mut items: Vec<_> = self
            .parts
            .iter()
            .map(|(message, reply)| inbox_item::render(message, reply.as_deref(), extras))
            .collect();
        let item = if items.len() == 1 {
            items.remove(0)
        } else {
            inbox_item::render_batch(items)
        };
        let marks = self
            .parts
            .iter()
            .find_map(|(message, _)| context_to_mark(message));
        InboxFile {
            name: self.name,
            marks,
            content: item.to_file_text(),
        }
    }
}

fn context_to_mark(message: &StoredMessage) -> Option<ContextId> {
    (message.form == InboxForm::Whole)
        .then(|| message.context_id.clone())
        .flatten()
}

fn report(written: &[WrittenFile], batches: &[Batch], activity: &Activity) {
    for (file, batch) in written.iter().zip(batches) {
        tracing::info!(
            file_size = file.size_bytes,
            inbox_path = %file.path.display(),
            trace_id = trace_id(batch.trace),
            "chat_completion request inbox"
        );
        metrics::counter!(super::FILES_WRITTEN).increment(1);
        metrics::histogram!(super::BATCH_SIZE).record(super::count(batch.messages));
        activity.tell_of_mailbox(|| Fact::InboxWritten {
            message: batch.newest,
            messages: batch.messages,
            size: file.size_bytes,
        });
    }
}

fn tell_router<'a>(
    parts: &InboxWriterParts,
    messages: impl Iterator<Item = &'a Arc<StoredMessage>>,
) {
    let marked: Vec<ContextId> = messages
        .filter_map(|message| context_to_mark(message))
        .collect();
    if marked.is_empty() {
        return;
    }
    // Where this is lost, a deleted mark is noticed one message late: no harm.
    if let Err(error) = parts.router.try_deliver(ContextsMarked(marked)) {
        tracing::debug!(%error, "the router did not hear of new context marks");
    }
}
