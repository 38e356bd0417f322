//! Who waits on an open connection while nothing is begun any more.

use super::*;

#[actix_rt::test]
async fn who_waits_is_told_when_the_agent_is_parked_and_the_rest_keeps_its_place() {
    let desk = Desk::new();
    desk.give(task(1, "opener")).await;
    let opener = desk.turn().await;
    let mut feeds = Vec::new();
    for number in 2..=9 {
        feeds.push(desk.give(waited_for(number, &number.to_string())).await);
        desk.launcher
            .refuse_next(LaunchError::NotFound("cli".to_owned()));
    }
    desk.give(task(10, "kept")).await;
    opener.ends(done("1"));
    for feed in feeds {
        assert_eq!(code(&ended(&feed).await), FailureCode::CannotStart);
    }
    let status = desk.status().await;
    assert_eq!((status.state, status.waiting), (AgentState::Parked, 1));
}

#[actix_rt::test]
async fn who_waits_is_told_when_the_agent_is_stopped() {
    let desk = Desk::new();
    desk.give(task(1, "a")).await;
    let _running = desk.turn().await;
    let waits = desk.give(waited_for(2, "a")).await;
    let kept = desk.give(task(3, "a")).await;
    desk.supervisor.try_deliver(SetRunState::Stop).unwrap();
    assert_eq!(code(&ended(&waits).await), FailureCode::Interrupted);
    assert_eq!(desk.state(3), TaskState::Queued);
    desk.supervisor.try_deliver(SetRunState::Start).unwrap();
    let turn = desk.turn().await;
    assert!(
        !turn.order.prompt.contains("task-2"),
        "{}",
        turn.order.prompt
    );
    turn.ends(done("both"));
    assert_eq!(text(&ended(&kept).await), "both");
}
