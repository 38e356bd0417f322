//! Agents whose tasks are delivered as files.

use super::*;
use crate::domain::{agent::Delivery, task::Answer};

fn by_inbox() -> AgentProfile {
    AgentProfile {
        delivery: Delivery::Inbox,
        ..profile()
    }
}

fn chat(number: u128) -> NewTask {
    NewTask {
        origin: TaskOrigin::Chat,
        body: Bytes::from(r#"{"messages":[{"role":"user","content":"hello"}]}"#),
        ..task(number, "a")
    }
}

async fn answer(desk: &Desk, number: u128, text: &str) -> bool {
    let (reply, answered) = oneshot::channel();
    let outcome = TaskOutcome::Answered(Answer {
        text: text.into(),
        ..Answer::default()
    });
    let task = id(number);
    let message = AnswerTask {
        task,
        outcome,
        reply,
    };
    desk.supervisor.try_deliver(message).unwrap();
    within("the reply", answered).await.unwrap().unwrap()
}

async fn until_delivered(desk: &Desk, files: usize) {
    within("delivery", async {
        while desk.inbox.contents().len() < files || desk.status().await.state != AgentState::Idle {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await;
}

#[actix_rt::test]
async fn a_chat_is_done_once_it_lies_in_the_inbox_with_the_id_to_answer_with() {
    let desk = Desk::of(by_inbox());
    let feed = desk.give(chat(1)).await;
    assert_eq!(ended(&feed).await, TaskOutcome::Done);
    let items = desk.inbox.contents();
    assert_eq!(items[0]["task_id"], id(1).to_string());
    assert_eq!(items[0]["latest-user-prompt"], "hello");
}

#[actix_rt::test]
async fn a_response_is_open_until_its_answer_comes_also_after_a_restart() {
    let desk = Desk::of(by_inbox());
    let feed = desk.give(task(1, "a")).await;
    until_delivered(&desk, 1).await;
    assert_eq!(desk.state(1), TaskState::Running);
    desk.start();
    desk.status().await;
    assert!(answer(&desk, 1, "from the inbox").await);
    assert_eq!(text(&ended(&feed).await), "from the inbox");
    assert_eq!(
        desk.inbox.contents().len(),
        1,
        "the file is not written again"
    );
}

#[actix_rt::test]
async fn what_lies_unanswered_in_the_inbox_fills_the_queue() {
    let desk = Desk::of(AgentProfile {
        queue: 2,
        ..by_inbox()
    });
    desk.give(task(1, "a")).await;
    desk.give(task(2, "b")).await;
    until_delivered(&desk, 2).await;
    let refused = desk.queue(task(3, "c")).await.unwrap_err();
    assert!(matches!(refused, QueueError::Full { .. }), "{refused}");
    assert!(answer(&desk, 1, "done").await);
    desk.give(task(3, "c")).await;
}

#[actix_rt::test]
async fn an_inbox_that_refuses_is_tried_again() {
    let desk = Desk::of(by_inbox());
    desk.inbox.fail_next(3);
    let feed = desk.give(chat(1)).await;
    assert_eq!(ended(&feed).await, TaskOutcome::Done);
}

#[actix_rt::test]
async fn a_response_that_somebody_waits_for_ends_with_nothing_once_it_lies_in_the_inbox() {
    let desk = Desk::of(by_inbox());
    let feed = desk.give(waited_for(1, "a")).await;
    assert_eq!(text(&ended(&feed).await), "");
    assert_eq!(desk.state(1), TaskState::Answered);
    assert!(!answer(&desk, 1, "too late").await);
}
