use std::time::Duration;

use uuid::Uuid;

use super::*;
use crate::{domain::ids::MessageId, testing::TokioClock};

fn activity() -> Activity {
    Activity::new("run", Arc::new(TokioClock::start()))
}

fn agent(name: &str) -> AgentId {
    AgentId::parse(name).unwrap()
}

fn stopped(name: &str) -> Fact {
    let agent = agent(name);
    Fact::AgentStopped { agent }
}

fn accepted(number: u128) -> Fact {
    Fact::MessageAccepted {
        message: MessageId::new(Uuid::from_u128(number)),
        context_id: None,
    }
}

fn watch(activity: &Activity, since: Since) -> Watcher {
    let order = WatchOrder { since, agent: None };
    activity.watch(order).unwrap()
}

fn watch_agent(activity: &Activity, since: Since, name: &str) -> Watcher {
    let agent = Some(agent(name));
    activity.watch(WatchOrder { since, agent }).unwrap()
}

/// What it is told now: numbers of events, negative counts of what it missed.
async fn told(watcher: &mut Watcher) -> Vec<i64> {
    let mut told = Vec::new();
    // Virtual time: it passes only where nothing can be told.
    while let Ok(Some(seen)) = tokio::time::timeout(Duration::from_secs(1), watcher.next()).await {
        told.push(match seen {
            Seen::Event(event) => i64::try_from(event.number).unwrap(),
            Seen::Missed { count: None } => i64::MIN,
            Seen::Missed { count: Some(count) } => -i64::try_from(count).unwrap(),
        });
    }
    told
}

#[tokio::test(start_paused = true)]
async fn everyone_is_told_everything_in_order() {
    let activity = activity();
    let (mut one, mut other) = (
        watch(&activity, Since::Last(10)),
        watch(&activity, Since::Last(0)),
    );
    for name in ["a", "b", "c"] {
        activity.tell(stopped(name));
    }
    assert_eq!(told(&mut one).await, [1, 2, 3]);
    activity.tell(stopped("d"));
    assert_eq!(told(&mut one).await, [4]);
    assert_eq!(told(&mut other).await, [1, 2, 3, 4]);
}

#[tokio::test(start_paused = true)]
async fn late_watchers_get_the_last_ones_first() {
    let activity = activity();
    for _ in 0..20 {
        activity.tell(stopped("a"));
    }
    let mut late = watch(&activity, Since::Last(3));
    assert_eq!((late.position(), late.began_at()), (17, 20));
    activity.tell(stopped("a"));
    assert_eq!(told(&mut late).await, [18, 19, 20, 21]);
    let mut later = watch(&activity, Since::Last(0));
    assert!(told(&mut later).await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn whoever_comes_back_goes_on_where_it_was_or_is_told_what_it_missed() {
    let activity = activity();
    for _ in 0..10 {
        activity.tell(stopped("a"));
    }
    let mut back = watch(&activity, Since::Number(8));
    assert_eq!(told(&mut back).await, [9, 10]);
    let mut from_the_future = watch(&activity, Since::Number(900));
    activity.tell(stopped("a"));
    assert_eq!(told(&mut from_the_future).await, [11]);
    for _ in 0..MOST_KEPT {
        activity.tell(stopped("a"));
    }
    let mut too_late = watch(&activity, Since::Number(8));
    let told_late = told(&mut too_late).await;
    assert_eq!(told_late[..2], [-3, 12]);
    assert_eq!(told_late.len(), MOST_KEPT + 1);
}

#[tokio::test(start_paused = true)]
async fn after_another_run_all_of_this_one_is_told() {
    let activity = activity();
    activity.tell(stopped("a"));
    let mut back = watch(&activity, Since::AnotherRun);
    assert_eq!(back.position(), 0);
    assert_eq!(told(&mut back).await, [i64::MIN, 1]);
}

#[tokio::test(start_paused = true)]
async fn a_slow_watcher_is_told_how_much_it_missed_and_holds_nobody_up() {
    let activity = activity();
    let mut slow = watch(&activity, Since::Last(0));
    activity.tell(stopped("a"));
    assert!(matches!(slow.next().await, Some(Seen::Event(_))));
    for _ in 0..MOST_KEPT + 5 {
        activity.tell(stopped("a"));
    }
    let seen = slow.next().await;
    assert_eq!(seen, Some(Seen::Missed { count: Some(5) }));
    let Some(Seen::Event(next)) = slow.next().await else {
        panic!("nothing after what was missed");
    };
    assert_eq!(next.number, 7);
}

#[tokio::test(start_paused = true)]
async fn the_mailbox_is_told_only_while_somebody_watches_it() {
    let activity = activity();
    let never = || -> Fact { panic!("made for nobody") };
    activity.tell_of_mailbox(never);
    let of_agent = watch_agent(&activity, Since::Last(0), "a");
    activity.tell_of_mailbox(never);
    drop(of_agent);
    let mut watcher = watch(&activity, Since::Last(0));
    activity.tell_of_mailbox(|| accepted(1));
    activity.tell(stopped("a"));
    activity.tell_of_mailbox(|| accepted(2));
    assert_eq!(told(&mut watcher).await, [1, 2, 3]);
    drop(watcher);
    activity.tell_of_mailbox(never);
}

#[tokio::test(start_paused = true)]
async fn much_mail_pushes_no_work_of_agents_out() {
    let activity = activity();
    let mut watcher = watch(&activity, Since::Last(0));
    activity.tell(stopped("a"));
    for number in 0..3 * MOST_KEPT {
        activity.tell_of_mailbox(|| accepted(u128::try_from(number).unwrap()));
    }
    let told_late = told(&mut watcher).await;
    assert_eq!(told_late[..3], [1, -2000, 2002]);
    assert_eq!(told_late.len(), MOST_KEPT + 2);
    let mut of_agent = watch_agent(&activity, Since::Last(5), "a");
    assert_eq!(told(&mut of_agent).await, [1]);
}

#[tokio::test(start_paused = true)]
async fn only_what_concerns_an_agent_is_told_of_it() {
    let activity = activity();
    for name in ["a", "b", "a", "b"] {
        activity.tell(stopped(name));
    }
    let mut watcher = watch_agent(&activity, Since::Last(1), "a");
    for name in ["b", "a"] {
        activity.tell(stopped(name));
    }
    assert_eq!(told(&mut watcher).await, [3, 6]);
}

#[tokio::test(start_paused = true)]
async fn the_end_is_told_after_everything_else_and_nobody_comes_in_after_it() {
    let activity = activity();
    let mut watcher = watch(&activity, Since::Last(0));
    activity.tell(stopped("a"));
    activity.close();
    assert!(matches!(watcher.next().await, Some(Seen::Event(_))));
    assert_eq!(watcher.next().await, None);
    let order = WatchOrder {
        since: Since::Last(0),
        agent: None,
    };
    assert_eq!(activity.watch(order).err(), Some(WatchError::Closed));
}

#[test]
fn only_so_many_watch_at_once_and_whoever_leaves_makes_room() {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap()
        .block_on(async {
            let activity = activity();
            let order = WatchOrder {
                since: Since::Last(0),
                agent: None,
            };
            let mut watchers: Vec<_> = (0..MOST_WATCHERS)
                .map(|_| watch(&activity, Since::Last(0)))
                .collect();
            let refused = activity.watch(order.clone());
            assert_eq!(refused.err(), Some(WatchError::TooMany));
            watchers.pop();
            assert!(activity.watch(order).is_ok());
        });
}
