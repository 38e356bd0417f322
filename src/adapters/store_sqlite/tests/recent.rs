//! The list of messages of all kinds.

use postroom_actors::{
    domain::{
        post::Beginning,
        task::{NewTask, TaskOrigin},
    },
    ports::{
        courier::DeliveryStore,
        recent::{FILED, PENDING, RecentFilter, RecentKind, RecentLine, RecentMessages},
        turns::TaskStore,
    },
};

use super::{
    messages::{delivery, delivery_with, manager, msg, outgoing, reason, task},
    *,
};

/// Mailbox messages 1 to 3 (3 is pending), a chat 4, a message 5, deliveries 6 and 7 (dead).
async fn full(store: &SqliteStore) {
    for number in 1..=3 {
        let sequence = accept(store, number).await.unwrap();
        if number < 3 {
            store.mark_projected(vec![sequence]).await.unwrap();
        }
    }
    let chat = NewTask {
        origin: TaskOrigin::Chat,
        envelope: None,
        body: Bytes::from_static(br#"{"messages":[{"role":"user","content":"said in a chat"}]}"#),
        ..(*task(4)).clone()
    };
    store.queue_task(Arc::new(chat), None).await.unwrap();
    store.queue_task(task(5), None).await.unwrap();
    store.queue_delivery(delivery(6), None).await.unwrap();
    let dead = delivery_with(7, outgoing(7), Beginning::Dead(reason()));
    store.queue_delivery(Arc::new(dead), None).await.unwrap();
}

async fn listed(store: &SqliteStore, filter: RecentFilter) -> Vec<MessageId> {
    let page = store.recent(filter).await.unwrap();
    page.lines.iter().map(RecentLine::id).collect()
}

fn any() -> RecentFilter {
    RecentFilter {
        limit: 100,
        ..RecentFilter::default()
    }
}

#[test]
fn messages_of_all_kinds_are_in_one_list_newest_first() {
    let folder = TempDir::new().unwrap();
    run(async {
        let store = open(&folder).unwrap();
        full(&store).await;
        let kind = |kind| RecentFilter {
            kind: Some(kind),
            ..any()
        };
        let state = |state: &str| RecentFilter {
            state: Some(state.to_owned()),
            ..any()
        };
        let agent = RecentFilter {
            agent: Some(manager()),
            ..any()
        };
        for (filter, numbers) in [
            (any(), vec![7, 6, 5, 4, 3, 2, 1]),
            (kind(RecentKind::Mailbox), vec![3, 2, 1]),
            (kind(RecentKind::Chat), vec![4]),
            (kind(RecentKind::Message), vec![7, 6, 5]),
            (state(PENDING), vec![3]),
            (state(FILED), vec![2, 1]),
            (state("queued"), vec![5, 4]),
            (state("dead"), vec![7]),
            (agent, vec![7, 6, 5, 4]),
        ] {
            let wanted: Vec<_> = numbers.into_iter().map(msg).collect();
            assert_eq!(listed(&store, filter.clone()).await, wanted, "{filter:?}");
        }
    });
}

#[test]
fn pages_of_any_size_hold_each_message_once() {
    let folder = TempDir::new().unwrap();
    run(async {
        let store = open(&folder).unwrap();
        full(&store).await;
        for limit in 1..=8 {
            let (mut seen, mut before) = (Vec::new(), None);
            loop {
                let filter = RecentFilter {
                    before,
                    limit,
                    ..any()
                };
                let page = store.recent(filter).await.unwrap();
                assert!(page.lines.len() <= limit);
                seen.extend(page.lines.iter().map(RecentLine::id));
                before = page.older;
                if before.is_none() {
                    break;
                }
            }
            let all: Vec<_> = (1..=7).rev().map(msg).collect();
            assert_eq!(seen, all, "{limit}");
        }
    });
}

#[test]
fn a_line_tells_what_a_message_says_and_a_message_is_cut_at_its_bound() {
    let folder = TempDir::new().unwrap();
    run(async {
        let store = open(&folder).unwrap();
        full(&store).await;
        let lines = store.lines(vec![msg(4), msg(1), msg(99)]).await.unwrap();
        let [RecentLine::Message { words, .. }, RecentLine::Mailbox(line)] = &lines[..] else {
            panic!("{lines:?}");
        };
        assert_eq!(words.as_deref(), Some("said in a chat"));
        assert_eq!((line.is_pending, line.reply), (false, None));
        assert_eq!(line.words.as_deref(), Some("question 1 \u{1f4ee}"));
        store
            .record_reply(RecordedReply {
                message: msg(1),
                exchange: 0,
                backend: "main".to_owned(),
                text: Some("a long reply".into()),
                outcome: RelayOutcome::Complete,
                ended_at: at(9),
            })
            .await
            .unwrap();
        let cut = store.mailbox_message(msg(1), 5).await.unwrap().unwrap();
        assert_eq!(cut.prompt.as_deref(), Some("quest"));
        assert_eq!(cut.line.reply, Some(RelayOutcome::Complete));
        assert_eq!(cut.replies[0].text.as_deref(), Some("a lon"));
        let body = cut.body.unwrap();
        assert_eq!((body.text.as_str(), body.whole_bytes), ("{\"num", 12));
        assert_eq!(store.mailbox_message(msg(4), 5).await.unwrap(), None);
    });
}
