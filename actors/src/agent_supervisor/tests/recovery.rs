//! What a supervisor finds that starts where another one ended.

use super::*;

/// What a broker leaves that is killed in the middle of the turn of these tasks.
async fn killed_in_the_middle(tasks: Vec<NewTask>) -> Arc<MemoryTasks> {
    let desk = Desk::new();
    for task in tasks {
        desk.give(task).await;
    }
    let turn = desk.turn().await;
    drop(turn);
    Arc::new(desk.store.copy())
}

#[actix_rt::test]
async fn an_interrupted_turn_is_taken_up_again_and_counted() {
    let store = killed_in_the_middle(vec![task(1, "a")]).await;
    let desk = Desk::with(profile(), store);
    let again = desk.turn().await;
    assert!(again.order.prompt.contains("task-1") && again.order.prompt.contains("repeat"));
    let old = desk.launcher.ended_leftovers();
    assert_eq!(old.len(), 1);
    assert_eq!(
        desk.store.kept_turn(old[0]).unwrap().state,
        TurnState::Interrupted
    );
    again.ends(done("after the restart"));
    desk.wind_down(false).await;
    let record = desk.store.task(id(1)).unwrap();
    assert_eq!((record.state, record.attempts), (TaskState::Answered, 2));
}

#[actix_rt::test]
async fn what_somebody_waited_for_says_truthfully_that_it_was_cut_off() {
    let store = killed_in_the_middle(vec![waited_for(1, "a")]).await;
    let desk = Desk::with(profile(), store);
    desk.give(task(2, "a")).await;
    desk.turn().await;
    let record = desk.store.task(id(1)).unwrap();
    assert_eq!(record.state, TaskState::Failed);
    assert_eq!(record.failure.unwrap().code, FailureCode::Interrupted);
}

#[actix_rt::test]
async fn what_waited_still_waits_in_its_order() {
    let store = killed_in_the_middle(vec![task(1, "a"), task(2, "b"), task(3, "b")]).await;
    let desk = Desk::with(profile(), store);
    let next = desk.turn().await;
    let place = |text| next.order.prompt.find(text);
    assert!(place("task-2").unwrap() < place("task-3").unwrap());
}

#[actix_rt::test]
async fn a_task_is_given_up_after_as_many_attempts_as_it_may_have() {
    let mut store = killed_in_the_middle(vec![task(1, "a")]).await;
    for _ in 0..2 {
        let desk = Desk::with(profile(), store);
        drop(desk.turn().await);
        store = Arc::new(desk.store.copy());
    }
    let desk = Desk::with(profile(), store);
    desk.give(task(2, "z")).await;
    desk.turn().await;
    let record = desk.store.task(id(1)).unwrap();
    assert_eq!(record.failure.unwrap().code, FailureCode::OutOfAttempts);
}

#[actix_rt::test]
async fn a_restarted_supervisor_makes_good_what_its_last_run_left_and_its_readers_hear() {
    let desk = Desk::new();
    let feed = desk.give(task(1, "a")).await;
    let turn = desk.turn().await;
    turn.does(TurnEvent::Session("thread-7".to_owned()));
    let kept = || async { desk.store.kept_turn(turn.order.turn).unwrap().cli_session };
    within("the session", async {
        while kept().await.is_none() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await;
    desk.start();
    let again = desk.turn().await;
    assert_eq!(
        again.order.session,
        CliSession::Resume("thread-7".to_owned())
    );
    again.ends(done("by the second run"));
    assert_eq!(text(&ended(&feed).await), "by the second run");
}

#[actix_rt::test]
async fn a_store_that_cannot_be_read_is_asked_again() {
    let store = killed_in_the_middle(vec![task(1, "a")]).await;
    store.set_failure(Some(StoreError::Io("broken".into())));
    let desk = Desk::with(profile(), store);
    tokio::time::sleep(Duration::from_secs(3)).await;
    desk.store.set_failure(None);
    assert!(desk.turn().await.order.prompt.contains("task-1"));
}
