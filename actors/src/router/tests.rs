use std::{sync::Arc, time::Duration};

use actix::{Actor, Context};
use tokio::sync::{Semaphore, oneshot};

use super::*;
use crate::{
    activity::{Seen, Since, WatchOrder},
    domain::{
        activity::Fact,
        envelope::{RelayOutcome, Sequence},
    },
    inbox_writer::{InboxWriter, InboxWriterParts, ReplyArrived},
    ports::traces::Traces,
    testing::{MemoryInbox, MemoryStore, TokioClock, envelope, no_activity},
};

/// A router and an inbox writer over stores in memory.
struct Post {
    store: Arc<MemoryStore>,
    inbox: Arc<MemoryInbox>,
    router: Mailbox<Router>,
    inbox_writer: Mailbox<InboxWriter>,
    is_behind: watch::Sender<bool>,
    door: Arc<Semaphore>,
    activity: Activity,
}

fn start(compaction: Compaction) -> Post {
    let (store, inbox) = (
        Arc::new(MemoryStore::default()),
        Arc::new(MemoryInbox::default()),
    );
    let activity = no_activity();
    let router = Mailbox::new("router");
    let is_behind = watch::Sender::new(false);
    let inbox_writer = Mailbox::new("inbox_writer");
    let writer = InboxWriter::new(InboxWriterParts {
        batch_window: Duration::ZERO,
        extras: Arc::default(),
        store: store.clone(),
        inbox: inbox.clone(),
        router: router.clone(),
        clock: Arc::new(TokioClock::start()),
        depth: inbox_writer.depth(),
        is_behind: is_behind.clone(),
        activity: activity.clone(),
        traces: Traces::default(),
    });
    inbox_writer.connect(writer.start());
    let context = Context::new();
    router.connect(context.run(Router::new(RouterParts {
        compaction,
        store: store.clone(),
        inbox: inbox.clone(),
        inbox_writer: inbox_writer.clone(),
        depth: router.depth(),
        inbox_is_behind: is_behind.subscribe(),
        in_flight: 16,
        activity: activity.clone(),
    })));
    Post {
        store,
        inbox,
        router,
        inbox_writer,
        is_behind,
        door: Arc::new(Semaphore::new(16)),
        activity,
    }
}

impl Post {
    async fn send(
        &self,
        envelope: Envelope,
        continues: Option<&'static str>,
    ) -> Result<Accepted, AcceptError> {
        let (reply, answer) = oneshot::channel();
        let permit = Arc::clone(&self.door).acquire_owned().await.unwrap();
        let continues = continues.map(|request| Bytes::from_static(request.as_bytes()));
        let accept = Accept {
            envelope,
            reply_due: None,
            continues,
            reply,
            permit,
        };
        self.router.try_deliver(accept).unwrap();
        answer.await.unwrap()
    }

    async fn until_written(&self, files: usize) {
        let written = async {
            while self.store.projected().len() < files {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(5), written)
            .await
            .unwrap();
    }
}

#[actix::test]
async fn a_message_is_kept_answered_and_written() {
    let post = start(Compaction::Seed);
    let message = envelope(1, Some("telegram:7"), "hello");
    let accepted = post.send(message.clone(), None).await.unwrap();
    assert_eq!(
        accepted,
        Accepted {
            message: message.id,
            exchange: 0
        }
    );
    post.until_written(1).await;
    assert_eq!(post.inbox.prompts(), ["hello"]);
    assert_eq!(
        post.inbox.names(),
        [message.id.file_name(message.received_at)]
    );
}

#[actix::test]
async fn the_second_message_of_a_context_is_kept_short() {
    let post = start(Compaction::Seed);
    for (number, prompt) in [(1, "first"), (2, "second")] {
        post.send(envelope(number, Some("telegram:7"), prompt), None)
            .await
            .unwrap();
    }
    post.until_written(2).await;
    post.inbox.set_mark("telegram:7", false);
    post.send(envelope(3, Some("telegram:7"), "third"), None)
        .await
        .unwrap();
    let forms: Vec<_> = post
        .store
        .messages()
        .iter()
        .map(|message| message.form)
        .collect();
    assert_eq!(
        forms,
        [InboxForm::Whole, InboxForm::Repeat, InboxForm::Whole]
    );
    assert_eq!(post.store.messages()[1].body, None);
}

#[actix::test]
async fn a_store_that_fails_is_told_to_the_sender_and_frees_the_place() {
    let post = start(Compaction::Seed);
    post.store.set_failure(Some(StoreError::Full));
    let refused = post.send(envelope(1, None, "hello"), None).await;
    assert_eq!(refused, Err(AcceptError::Store(StoreError::Full)));
    assert_eq!(post.door.available_permits(), 16);
    post.store.set_failure(None);
    assert!(post.send(envelope(2, None, "again"), None).await.is_ok());
}

#[actix::test]
async fn whoever_watches_is_told_of_messages_and_files_once_they_are_on_disk() {
    let post = start(Compaction::Seed);
    let order = WatchOrder {
        since: Since::Last(0),
        agent: None,
    };
    let mut watcher = post.activity.watch(order).unwrap();
    post.store.set_failure(Some(StoreError::Full));
    post.send(envelope(1, None, "lost"), None)
        .await
        .unwrap_err();
    post.store.set_failure(None);
    let kept = envelope(2, Some("telegram:7"), "kept");
    post.send(kept.clone(), None).await.unwrap();
    post.until_written(1).await;
    let mut facts = Vec::new();
    for _ in 0..2 {
        match watcher.next().await {
            Some(Seen::Event(event)) => facts.push(event.fact.clone()),
            other => panic!("{other:?}"),
        }
    }
    let accepted = Fact::MessageAccepted {
        message: kept.id,
        context_id: Some("telegram:7".into()),
    };
    assert_eq!(facts[0], accepted);
    let is_written = matches!(
        facts[1],
        Fact::InboxWritten { message, messages: 1, .. } if message == kept.id
    );
    assert!(is_written, "{facts:?}");
}

#[actix::test]
async fn a_step_of_a_tool_loop_belongs_to_the_newest_message_of_its_context() {
    let post = start(Compaction::Seed);
    let message = envelope(1, Some("telegram:7"), "hello");
    post.send(message.clone(), None).await.unwrap();
    for exchange in 1..=2 {
        let step = envelope(10 + u128::from(exchange), Some("telegram:7"), "hello");
        let accepted = post.send(step, Some("[]")).await.unwrap();
        assert_eq!(
            accepted,
            Accepted {
                message: message.id,
                exchange
            }
        );
    }
    post.until_written(1).await;
    assert_eq!(post.inbox.prompts(), ["hello"]);
}

#[actix::test]
async fn a_step_whose_message_is_unknown_is_a_message_of_its_own() {
    let post = start(Compaction::Seed);
    let step = envelope(1, Some("telegram:7"), "hello");
    let accepted = post.send(step.clone(), Some("[]")).await.unwrap();
    assert_eq!(
        accepted,
        Accepted {
            message: step.id,
            exchange: 0
        }
    );
    post.until_written(1).await;
}

#[actix::test]
async fn a_message_whose_sender_has_gone_is_kept() {
    let post = start(Compaction::Seed);
    let (reply, answer) = oneshot::channel();
    drop(answer);
    let permit = Arc::clone(&post.door).acquire_owned().await.unwrap();
    let accept = Accept {
        envelope: envelope(1, None, "hello"),
        reply_due: None,
        continues: None,
        reply,
        permit,
    };
    post.router.try_deliver(accept).unwrap();
    post.until_written(1).await;
    assert_eq!(post.store.projected(), [Sequence(1)]);
}

#[actix::test]
async fn a_reply_never_overtakes_its_message_even_when_the_inbox_is_behind() {
    let post = start(Compaction::Seed);
    let started = post.inbox_writer.ask(GetStatus, Duration::from_secs(5));
    started.await.unwrap();
    post.is_behind.send_replace(true);
    let message = envelope(1, None, "hello");
    let (reply, answer) = oneshot::channel();
    let accept = Accept {
        envelope: message.clone(),
        reply_due: Some(message.received_at + chrono::TimeDelta::hours(1)),
        continues: None,
        reply,
        permit: Arc::clone(&post.door).acquire_owned().await.unwrap(),
    };
    post.router.try_deliver(accept).unwrap();
    answer.await.unwrap().unwrap();
    let arrived = ReplyArrived {
        message: message.id,
        text: Some("hi".into()),
        outcome: RelayOutcome::Complete,
    };
    post.inbox_writer.try_deliver(arrived).unwrap();
    post.until_written(1).await;
    assert_eq!(post.inbox.contents()[0]["backend-llm-reply"], "hi");
}
