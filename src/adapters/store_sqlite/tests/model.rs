use std::collections::BTreeMap;

use proptest::{collection::vec, prelude::*, test_runner::Config};

use super::*;

#[derive(Debug, Clone)]
enum Step {
    Accept,
    Project(i64),
    Prune { before: i64, limit: usize },
    Exchange(u64),
    Reply { message: u64, exchange: u32 },
    Reopen,
}

fn steps() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => Just(Step::Accept),
        4 => (0..40i64).prop_map(Step::Project),
        1 => (0..40i64, 0..6usize).prop_map(|(before, limit)| Step::Prune { before, limit }),
        1 => (0..40u64).prop_map(Step::Exchange),
        2 => (0..40u64, 0..3u32).prop_map(|(message, exchange)| Step::Reply { message, exchange }),
        1 => Just(Step::Reopen),
    ]
}

#[derive(Debug, Default)]
struct Kept {
    number: u64,
    is_pending: bool,
    exchanges: u32,
    replies: BTreeMap<u32, RecordedReply>,
}

/// The store as a map: message number n has sequence n + 1, as nothing fails here.
#[derive(Debug, Default)]
struct Model {
    accepted: u64,
    messages: BTreeMap<i64, Kept>,
    newest: BTreeMap<u64, i64>,
}

impl Model {
    fn accept(&mut self) -> (u64, Sequence) {
        let number = self.accepted;
        self.accepted += 1;
        let sequence = i64::try_from(self.accepted).unwrap();
        let kept = Kept {
            number,
            is_pending: true,
            ..Kept::default()
        };
        self.messages.insert(sequence, kept);
        self.newest.insert(number % 3, sequence);
        (number, Sequence(sequence))
    }

    fn prune(&mut self, before: i64, limit: usize) -> usize {
        let gone: Vec<i64> = self
            .messages
            .iter()
            .filter(|(_, kept)| !kept.is_pending && i64::try_from(kept.number).unwrap() < before)
            .map(|(sequence, _)| *sequence)
            .take(limit)
            .collect();
        for sequence in &gone {
            self.messages.remove(sequence);
            self.newest.retain(|_, newest| newest != sequence);
        }
        gone.len()
    }

    fn by_number(&mut self, number: u64) -> Option<&mut Kept> {
        self.messages
            .values_mut()
            .find(|kept| kept.number == number)
    }
}

async fn carry_out(
    step: &Step,
    folder: &TempDir,
    mut store: SqliteStore,
    model: &mut Model,
) -> SqliteStore {
    match step {
        Step::Accept => {
            let (number, sequence) = model.accept();
            assert_eq!(accept(&store, number).await, Ok(sequence));
        }
        Step::Project(sequence) => {
            store
                .mark_projected(vec![Sequence(*sequence)])
                .await
                .unwrap();
            if let Some(kept) = model.messages.get_mut(sequence) {
                kept.is_pending = false;
            }
        }
        Step::Prune { before, limit } => {
            let pruned = store.prune(at(*before), *limit).await;
            assert_eq!(pruned, Ok(model.prune(*before, *limit)));
        }
        Step::Exchange(number) => {
            let id = message(*number).id;
            let answer = store
                .accept_exchange(id, Bytes::from_static(b"[]"), at(1))
                .await;
            let wanted = model.by_number(*number).map(|kept| {
                kept.exchanges += 1;
                kept.exchanges
            });
            assert_eq!(answer, wanted.ok_or(StoreError::NotFound(id)));
        }
        Step::Reply {
            message: number,
            exchange,
        } => {
            let reply = RecordedReply {
                message: message(*number).id,
                exchange: *exchange,
                backend: "main".to_owned(),
                text: None,
                outcome: RelayOutcome::Complete,
                ended_at: at(i64::from(*exchange)),
            };
            let answer = store.record_reply(reply.clone()).await;
            match model.by_number(*number) {
                Some(kept) => {
                    kept.replies.insert(*exchange, reply);
                    assert_eq!(answer, Ok(()));
                }
                None => assert_eq!(answer, Err(StoreError::NotFound(reply.message))),
            }
        }
        Step::Reopen => {
            close(store).await;
            store = open(folder).unwrap();
        }
    }
    store
}

async fn compare(store: &SqliteStore, model: &Model) {
    let waiting = model.messages.values().filter(|kept| kept.is_pending);
    let waiting: Vec<_> = waiting.map(|kept| message(kept.number).id).collect();
    assert_eq!(pending(store).await, waiting);
    let stats = store.stats().await.unwrap();
    assert_eq!(stats.messages, u64::try_from(model.messages.len()).unwrap());
    assert_eq!(stats.pending_inbox, u64::try_from(waiting.len()).unwrap());
    for context in 0..3 {
        let newest = store.newest_of_context(ContextId::new(format!("telegram:{context}")));
        let newest = newest.await.unwrap().map(|(sequence, _id)| sequence.0);
        assert_eq!(newest, model.newest.get(&context).copied());
    }
    for kept in model.messages.values() {
        let replies: Vec<_> = kept.replies.values().cloned().collect();
        assert_eq!(
            store.replies(message(kept.number).id).await.unwrap(),
            replies
        );
    }
}

proptest! {
    #![proptest_config(Config { cases: 24, failure_persistence: None, ..Config::default() })]
    #[test]
    fn the_store_does_as_a_map_would(steps in vec(steps(), 1..60)) {
        run(async {
            let folder = TempDir::new().unwrap();
            let mut store = open(&folder).unwrap();
            let mut model = Model::default();
            for step in &steps {
                store = carry_out(step, &folder, store, &mut model).await;
            }
            compare(&store, &model).await;
            close(store).await;
        });
    }
}
