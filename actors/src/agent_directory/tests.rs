use std::time::Duration;

use super::*;
use crate::{
    agent_supervisor::{AgentState, AgentStatus, GetAgentStatus},
    domain::routing::Route,
    testing::{MemoryHome, SharedFakes, agent_profile},
};

const DEADLINE: Duration = Duration::from_mins(10);

/// A directory over a home in memory.
struct Desk {
    directory: Mailbox<AgentDirectory>,
    agents: Agents,
    home: Arc<MemoryHome>,
}

fn agent(name: &str) -> AgentId {
    AgentId::parse(name).unwrap()
}

fn hired_with(cli: &str) -> HiredAgent {
    HiredAgent {
        cli: Some(cli.to_owned()),
        is_stopped: false,
    }
}

async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(DEADLINE, future).await.unwrap()
}

impl Desk {
    async fn open(home: MemoryHome, configured: &[&str]) -> Self {
        tokio::time::pause();
        let home = Arc::new(home);
        let directory = Mailbox::new("agent_directory");
        let agents = Agents::new(Some(agent("manager")));
        let make_profile: MakeProfile = Arc::new(|id, hired| {
            let cli = hired.cli.clone().unwrap_or_else(|| "codex".to_owned());
            if cli.is_empty() {
                return Err("an empty command".to_owned());
            }
            Ok(AgentProfile {
                id: id.clone(),
                command: vec![cli],
                ..agent_profile("any")
            })
        });
        let parts = DirectoryParts {
            agents: agents.clone(),
            configured: configured.iter().map(|name| agent(name)).collect(),
            make_profile,
            home: home.clone(),
            shared: Arc::new(SharedFakes::default().parts()),
            depth: directory.depth(),
        };
        directory.connect(AgentDirectory::new(parts).start());
        let desk = Self {
            directory,
            agents,
            home,
        };
        desk.take_in(Whom::All).await;
        desk
    }

    async fn take_in(&self, whom: Whom) {
        let (reply, taken_in) = oneshot::channel();
        self.directory
            .try_deliver(TakeInAgents { whom, reply })
            .unwrap();
        within(taken_in).await.unwrap();
    }

    async fn hire(&self, name: &str, hired: HiredAgent) -> Result<Hired, HireError> {
        let (reply, answer) = oneshot::channel();
        let id = agent(name);
        self.directory
            .try_deliver(HireAgent { id, hired, reply })
            .unwrap();
        within(answer).await.unwrap()
    }

    async fn tell(&self, name: &str, state: SetRunState) -> bool {
        let (reply, told) = oneshot::channel();
        let id = agent(name);
        self.directory
            .try_deliver(TellAgent { id, state, reply })
            .unwrap();
        within(told).await.unwrap()
    }

    async fn remove(&self, name: &str) -> bool {
        let (reply, removed) = oneshot::channel();
        let id = agent(name);
        self.directory
            .try_deliver(RemoveAgent { id, reply })
            .unwrap();
        within(removed).await.unwrap()
    }

    async fn status(&self, name: &str) -> AgentStatus {
        let supervisor = self.agents.find(&agent(name)).unwrap().supervisor;
        within(async {
            loop {
                // A supervisor that takes over from another one is connected a moment later.
                if let Ok(status) = supervisor.ask(GetAgentStatus, DEADLINE).await {
                    return status;
                }
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        })
        .await
    }

    fn names(&self) -> Vec<String> {
        self.agents
            .all()
            .iter()
            .map(|agent| agent.profile.id.to_string())
            .collect()
    }
}

#[actix_rt::test]
async fn agents_come_from_the_configuration_and_from_the_home_folder() {
    let stopped = HiredAgent {
        is_stopped: true,
        ..hired_with("claude")
    };
    let home = MemoryHome::with([(agent("engineer_alice"), stopped)]);
    let desk = Desk::open(home, &["manager", "engineer_alice"]).await;
    assert_eq!(desk.names(), ["engineer_alice", "manager"]);
    let alice = desk.status("engineer_alice").await;
    assert_eq!(
        (alice.cli.as_str(), alice.state),
        ("claude", AgentState::Stopped)
    );
    assert_eq!(desk.status("manager").await.state, AgentState::Idle);
}

#[actix_rt::test]
async fn a_hired_agent_is_there_at_once_and_hiring_it_twice_changes_nothing() {
    let desk = Desk::open(MemoryHome::default(), &[]).await;
    let first = desk
        .hire("engineer_alice", hired_with("claude"))
        .await
        .unwrap();
    assert!(first.is_new);
    let route = desk.agents.routing().route(None, Some("engineer_alice"));
    assert_eq!(route, Ok(Route::Agent(agent("engineer_alice"))));
    let second = desk
        .hire("engineer_alice", HiredAgent::default())
        .await
        .unwrap();
    assert!(!second.is_new && Arc::ptr_eq(&first.agent.profile, &second.agent.profile));
}

#[actix_rt::test]
async fn an_agent_that_is_hired_with_another_command_works_with_that_one() {
    let desk = Desk::open(MemoryHome::default(), &["alice"]).await;
    assert_eq!(desk.status("alice").await.cli, "codex");
    desk.hire("alice", hired_with("claude")).await.unwrap();
    assert_eq!(desk.status("alice").await.cli, "claude");
}

#[actix_rt::test]
async fn names_and_commands_that_cannot_be_are_refused() {
    let desk = Desk::open(MemoryHome::default(), &[]).await;
    let reserved = desk.hire("store", HiredAgent::default()).await.unwrap_err();
    assert_eq!(reserved, HireError::ReservedName(agent("store")));
    let empty = desk.hire("bob", hired_with("")).await.unwrap_err();
    assert_eq!(empty, HireError::Command("an empty command".to_owned()));
    assert!(desk.names().is_empty() && desk.home.kept(&agent("bob")).is_none());
}

#[actix_rt::test]
async fn whether_an_agent_is_stopped_is_kept() {
    let desk = Desk::open(MemoryHome::default(), &["alice"]).await;
    assert!(desk.tell("alice", SetRunState::Stop).await);
    assert_eq!(desk.status("alice").await.state, AgentState::Stopped);
    assert!(desk.home.kept(&agent("alice")).unwrap().is_stopped);
    assert!(desk.tell("alice", SetRunState::Start).await);
    assert_eq!(desk.status("alice").await.state, AgentState::Idle);
    assert!(!desk.home.kept(&agent("alice")).unwrap().is_stopped);
    assert!(!desk.tell("nobody", SetRunState::Stop).await);
}

#[actix_rt::test]
async fn a_removed_agent_is_gone_for_requests_and_for_the_next_start() {
    let desk = Desk::open(MemoryHome::default(), &["alice"]).await;
    assert!(desk.remove("alice").await);
    assert!(!desk.remove("alice").await);
    assert!(desk.names().is_empty() && desk.home.kept(&agent("alice")).is_none());
    assert!(desk.agents.routing().agents.is_empty());
}

#[actix_rt::test]
async fn a_configured_agent_that_was_removed_stays_away_until_the_next_start() {
    let desk = Desk::open(MemoryHome::default(), &["alice"]).await;
    assert!(desk.remove("alice").await);
    desk.take_in(Whom::Adopted).await;
    assert!(desk.names().is_empty());
    desk.take_in(Whom::All).await;
    assert_eq!(desk.names(), ["alice"]);
}

#[actix_rt::test]
async fn one_agent_that_cannot_be_taken_in_does_not_keep_out_the_others() {
    let home = MemoryHome::with([
        (agent("bad"), hired_with("")),
        (agent("good"), hired_with("x")),
    ]);
    let desk = Desk::open(home, &[]).await;
    assert_eq!(desk.names(), ["good"]);
    let status = desk.directory.ask(GetStatus, DEADLINE).await.unwrap();
    assert!(
        status.state.contains("`bad`: an empty command"),
        "{}",
        status.state
    );
}
