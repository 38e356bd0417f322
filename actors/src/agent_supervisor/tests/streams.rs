//! Answers that are read as they come.

use super::*;
use crate::domain::turn::TurnExit;

fn streamed(number: u128) -> NewTask {
    NewTask {
        is_streamed: true,
        ..task(number, "a")
    }
}

async fn said(feed: &Feed<TaskEvent>) -> String {
    ended(feed).await;
    let words = feed.so_far().into_iter().filter_map(|event| match event {
        TaskEvent::Said(piece) => Some(piece.to_string()),
        TaskEvent::Started(_) | TaskEvent::Ended(_) => None,
    });
    words.collect()
}

#[actix_rt::test]
async fn a_streamed_task_hears_what_is_said_as_it_is_said() {
    let desk = Desk::new();
    let feed = desk.give(streamed(1)).await;
    let turn = desk.turn().await;
    for event in [
        TurnEvent::Said("Looking".into()),
        TurnEvent::MessageEnded,
        TurnEvent::Tool("ls".into()),
        TurnEvent::Said("Found".into()),
    ] {
        turn.does(event);
    }
    let started = within("its start", feed.event(0)).await;
    assert_eq!(started, Some(TaskEvent::Started(turn.order.turn)));
    assert_eq!(
        within("words", feed.event(1)).await,
        Some(TaskEvent::Said("Looking".into()))
    );
    assert_eq!(
        within("words", feed.event(2)).await,
        Some(TaskEvent::Said("\n\nFound".into()))
    );
    turn.ends(done("Found"));
    assert_eq!(text(&ended(&feed).await), "Looking\n\nFound");
}

#[actix_rt::test]
async fn an_answer_begins_with_what_a_crashed_attempt_has_told_already() {
    let desk = Desk::new();
    let told = desk.give(streamed(1)).await;
    let silent = desk.give(task(2, "a")).await;
    let crashes = desk.turn().await;
    crashes.does(TurnEvent::Said("Loo".into()));
    crashes.ends(TurnExit {
        signal: Some(9),
        ..exit(TurnResult::Failed(Failure {
            code: FailureCode::TurnFailed,
            message: "killed".to_owned(),
        }))
    });
    let again = desk.turn().await;
    again.does(TurnEvent::Said("Found".into()));
    again.ends(done("Found"));
    assert_eq!(said(&told).await, "Loo\n\nFound");
    assert_eq!(text(&ended(&told).await), "Loo\n\nFound");
    assert_eq!(text(&ended(&silent).await), "Found");
}
