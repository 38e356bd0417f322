//! Lets turns come to their end before the service does.

use std::time::Duration;

use futures_util::future::join_all;
use postroom_actors::{
    agent_directory::{Agent, Agents},
    agent_supervisor::WindDown,
};
use tokio::sync::oneshot;

/// How long turns may go on by themselves once nothing new is taken in.
const GRACE: Duration = Duration::from_secs(15);

/// How long interrupted turns may take to be gone: their own grace, and some for the disk.
const INTERRUPTION: Duration = Duration::from_secs(10);

/// No turn begins from now on; those that run go on.
pub(super) fn begin_no_more(agents: &Agents) {
    for agent in agents.all() {
        // Hearing of its rest is not needed yet.
        drop(ask(&agent, false));
    }
}

/// Waits for turns, then interrupts what still runs: it is taken up again at the next start.
pub(super) async fn end(agents: &Agents) {
    if at_rest(agents, false, GRACE).await {
        return;
    }
    tracing::info!("turns still run; interrupting them");
    if !at_rest(agents, true, INTERRUPTION).await {
        tracing::warn!("turns take long to end; their processes end with this one");
    }
}

async fn at_rest(agents: &Agents, interrupt: bool, deadline: Duration) -> bool {
    let agents = agents.all();
    let asked = agents.iter().filter_map(|agent| ask(agent, interrupt));
    let all = join_all(asked.collect::<Vec<_>>());
    tokio::time::timeout(deadline, all).await.is_ok()
}

/// `None` where no supervisor runs: then there are no turns either.
fn ask(agent: &Agent, interrupt: bool) -> Option<oneshot::Receiver<()>> {
    let (reply, at_rest) = oneshot::channel();
    let wind_down = WindDown {
        interrupt,
        stop: false,
        reply,
    };
    let told = agent.supervisor.try_deliver(wind_down);
    told.is_ok().then_some(at_rest)
}
