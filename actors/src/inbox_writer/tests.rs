use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use super::*;
use crate::{
    domain::envelope::{Envelope, InboxForm},
    testing::{MemoryInbox, MemoryStore, TokioClock, envelope, no_activity, start_time},
};

/// An inbox writer over stores in memory. Times are in virtual milliseconds after the start.
struct Desk {
    store: Arc<MemoryStore>,
    inbox: Arc<MemoryInbox>,
    writer: Mailbox<InboxWriter>,
}

/// Starts a writer and waits until it has looked into the store.
async fn desk(window_ms: u64, store: Arc<MemoryStore>) -> Desk {
    let inbox = Arc::new(MemoryInbox::default());
    let writer = Mailbox::new("inbox_writer");
    let actor = InboxWriter::new(InboxWriterParts {
        batch_window: Duration::from_millis(window_ms),
        extras: Arc::default(),
        store: store.clone(),
        inbox: inbox.clone(),
        router: Mailbox::new("router"),
        clock: Arc::new(TokioClock::start()),
        depth: writer.depth(),
        is_behind: watch::Sender::new(false),
        activity: no_activity(),
        traces: Traces::default(),
    });
    writer.connect(actor.start());
    writer.ask(GetStatus, Duration::from_secs(1)).await.unwrap();
    Desk {
        store,
        inbox,
        writer,
    }
}

fn stored(envelope: Envelope, reply_due: Option<DateTime<Utc>>) -> Arc<StoredMessage> {
    Arc::new(StoredMessage {
        traceparent: None,
        id: envelope.id,
        received_at: envelope.received_at,
        context_id: envelope.context_id,
        prompt: envelope.prompt,
        form: InboxForm::Whole,
        body: Some(envelope.body),
        reply_due,
    })
}

fn after(ms: i64) -> DateTime<Utc> {
    start_time() + TimeDelta::milliseconds(ms)
}

impl Desk {
    /// Accepts a message that comes in at `ms` and tells the writer.
    async fn append(&self, number: u128, context: &str, ms: i64, reply_due: Option<i64>) {
        let envelope = Envelope {
            received_at: after(ms),
            ..envelope(number, Some(context), &number.to_string())
        };
        let message = stored(envelope, reply_due.map(after));
        let sequence = self.store.accept(Arc::clone(&message)).await.unwrap();
        let item = PendingItem::of(sequence, &message);
        self.writer
            .try_deliver(AppendToInbox { item, message })
            .unwrap();
    }

    fn reply(&self, number: u128, text: &str) {
        let message = MessageId::new(uuid::Uuid::from_u128(number));
        let outcome = RelayOutcome::Complete;
        let reply = ReplyArrived {
            message,
            text: Some(text.into()),
            outcome,
        };
        self.writer.try_deliver(reply).unwrap();
    }
}

async fn virtual_ms(ms: u64) {
    tokio::time::sleep(Duration::from_millis(ms)).await;
}

#[actix::test]
async fn a_message_without_a_window_is_written_at_once() {
    tokio::time::pause();
    let desk = desk(0, Arc::default()).await;
    desk.append(1, "a", 0, None).await;
    virtual_ms(5).await;
    assert_eq!(desk.inbox.prompts(), ["1"]);
    assert_eq!(desk.store.projected(), [Sequence(1)]);
}

#[actix::test]
async fn a_window_gathers_the_messages_of_a_context_into_one_file() {
    tokio::time::pause();
    let desk = desk(200, Arc::default()).await;
    desk.append(1, "a", 0, None).await;
    desk.append(2, "a", 0, None).await;
    desk.append(3, "b", 0, None).await;
    virtual_ms(195).await;
    assert_eq!(desk.inbox.names().len(), 0);
    virtual_ms(15).await;
    let contents = desk.inbox.contents();
    assert_eq!(desk.inbox.prompts(), ["2", "3"]);
    assert_eq!(contents[0]["batch"].as_array().map(Vec::len), Some(2));
}

#[actix::test]
async fn an_item_waits_for_its_reply_and_no_longer() {
    tokio::time::pause();
    let desk = desk(0, Arc::default()).await;
    desk.append(1, "a", 0, Some(60_000)).await;
    desk.append(2, "b", 0, Some(60_000)).await;
    desk.append(3, "a", 0, None).await;
    virtual_ms(1_000).await;
    assert_eq!(desk.inbox.names().len(), 0);
    desk.reply(1, "hello");
    virtual_ms(10).await;
    assert_eq!(desk.inbox.prompts(), ["1", "3"]);
    assert_eq!(desk.inbox.contents()[0]["backend-llm-reply"], "hello");
    virtual_ms(59_100).await;
    assert_eq!(desk.inbox.prompts(), ["1", "3", "2"]);
}

#[actix::test]
async fn a_failed_write_is_tried_again_and_loses_nothing() {
    tokio::time::pause();
    let desk = desk(0, Arc::default()).await;
    desk.inbox.fail_next(3);
    desk.append(1, "a", 0, None).await;
    desk.append(2, "a", 0, None).await;
    virtual_ms(100).await;
    let status = desk
        .writer
        .ask(GetStatus, Duration::from_secs(1))
        .await
        .unwrap();
    assert_eq!((status.state.as_str(), status.waiting), ("retrying", 2));
    virtual_ms(20_000).await;
    assert_eq!(desk.inbox.prompts(), ["1", "2"]);
    let status = desk
        .writer
        .ask(GetStatus, Duration::from_secs(1))
        .await
        .unwrap();
    assert_eq!((status.state.as_str(), status.waiting), ("ok", 0));
}

#[actix::test]
async fn a_start_writes_what_is_pending_in_order_and_does_not_wait_for_replies() {
    tokio::time::pause();
    let store = Arc::new(MemoryStore::default());
    for number in 1..=3 {
        let envelope = envelope(number, Some("a"), &number.to_string());
        store
            .accept(stored(envelope, Some(after(60_000))))
            .await
            .unwrap();
    }
    store.mark_projected(vec![Sequence(2)]).await.unwrap();
    let desk = desk(0, store).await;
    virtual_ms(10).await;
    assert_eq!(desk.inbox.prompts(), ["1", "3"]);
}

#[actix::test]
async fn a_message_that_recovery_found_is_not_written_a_second_time() {
    tokio::time::pause();
    let store = Arc::new(MemoryStore::default());
    let message = stored(envelope(1, None, "1"), None);
    let sequence = store.accept(Arc::clone(&message)).await.unwrap();
    let desk = desk(0, store).await;
    virtual_ms(10).await;
    let item = PendingItem::of(sequence, &message);
    desk.writer
        .try_deliver(AppendToInbox { item, message })
        .unwrap();
    virtual_ms(10).await;
    assert_eq!(desk.inbox.prompts(), ["1"]);
}

#[actix::test]
async fn a_file_whose_note_fails_is_not_written_again() {
    tokio::time::pause();
    let desk = desk(0, Arc::default()).await;
    desk.append(1, "a", 0, Some(1_000)).await;
    desk.store.set_failure(Some(crate::ports::StoreError::Full));
    virtual_ms(5_000).await;
    assert_eq!(desk.inbox.prompts(), ["1"]);
    desk.store.set_failure(None);
    virtual_ms(5_000).await;
    assert_eq!(desk.inbox.prompts(), ["1"]);
    assert_eq!(desk.store.projected(), [Sequence(1)]);
}

#[actix::test]
async fn a_drain_writes_everything_without_waiting_for_replies() {
    tokio::time::pause();
    let desk = desk(0, Arc::default()).await;
    desk.append(1, "a", 0, Some(60_000)).await;
    desk.writer
        .ask(Drain, Duration::from_secs(5))
        .await
        .unwrap();
    assert_eq!(desk.inbox.prompts(), ["1"]);
}
