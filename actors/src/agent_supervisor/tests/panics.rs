//! A supervisor that panics: it is started anew, and what it had is made good.

use actix::Message;

use super::*;
use crate::{lifecycle, testing::TokioClock};

/// Lets the supervisor panic.
#[derive(Message)]
#[rtype(result = "()")]
struct Panic;

impl Handler<Panic> for AgentSupervisor {
    type Result = ();

    fn handle(&mut self, _: Panic, _: &mut Self::Context) {
        let _handling = self.parts.depth.taken();
        panic!("told to");
    }
}

/// A supervisor that is kept running.
fn kept_running(profile: AgentProfile, fakes: &SharedFakes, shared: Arc<SharedParts>) -> Desk {
    let supervisor = Mailbox::new("agent_supervisor");
    let parts = SupervisorParts {
        profile: Arc::new(profile),
        shared,
        is_stopped: Arc::default(),
        depth: supervisor.depth(),
    };
    let made = parts.clone();
    actix_rt::spawn(lifecycle::keep_running(
        supervisor.clone(),
        Arc::new(TokioClock::start()),
        move || AgentSupervisor::new(made.clone()),
    ));
    Desk {
        store: fakes.store.clone(),
        launcher: fakes.launcher.clone(),
        inbox: fakes.inbox.clone(),
        supervisor,
        parts,
    }
}

#[actix_rt::test]
async fn a_panic_ends_the_turns_of_its_agent_makes_them_good_and_leaves_others_alone() {
    tokio::time::pause();
    let fakes = SharedFakes::default();
    let shared = Arc::new(fakes.parts());
    let desk = kept_running(profile(), &fakes, Arc::clone(&shared));
    let other = kept_running(agent_profile("bob"), &fakes, shared);
    let kept = desk.give(task(1, "a")).await;
    let cut_off = desk.turn().await;
    let waited = desk.give(waited_for(2, "b")).await;
    let of_bob = NewTask {
        agent: agent_profile("bob").id,
        ..task(3, "a")
    };
    let bobs = other.give(of_bob).await;
    let bobs_turn = other.turn().await;
    assert_eq!(desk.launcher.running(), 2);

    let panicked = desk.supervisor.ask(Panic, DEADLINE).await;
    assert!(panicked.is_err());
    within("the end of its turn", async {
        while desk.launcher.running() > 1 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await;
    bobs_turn.ends(done("by bob"));
    assert_eq!(text(&ended(&bobs).await), "by bob");

    // What nobody had begun for the second one still waits, and the first is begun again.
    let mut turns = Vec::new();
    for _ in 0..2 {
        let turn = desk.turn().await;
        let prompt = turn.order.prompt.clone();
        turns.push((prompt.contains("task-1"), prompt.contains("repeat")));
        turn.ends(done("made good"));
    }
    turns.sort_unstable();
    assert_eq!(turns, [(false, false), (true, true)]);
    assert_eq!(text(&ended(&kept).await), "made good");
    assert_eq!(text(&ended(&waited).await), "made good");
    let ended = desk.launcher.ended_leftovers();
    assert_eq!(ended, [cut_off.order.turn]);
    let turn = desk.store.kept_turn(cut_off.order.turn).unwrap();
    assert_eq!(turn.state, TurnState::Interrupted);
}

#[actix_rt::test]
async fn who_waits_on_a_connection_hears_that_the_panic_cut_its_turn_off() {
    tokio::time::pause();
    let fakes = SharedFakes::default();
    let shared = Arc::new(fakes.parts());
    let desk = kept_running(profile(), &fakes, shared);
    let waited = desk.give(waited_for(1, "a")).await;
    let _cut_off = desk.turn().await;
    assert!(desk.supervisor.ask(Panic, DEADLINE).await.is_err());
    assert_eq!(code(&ended(&waited).await), FailureCode::Interrupted);
}
