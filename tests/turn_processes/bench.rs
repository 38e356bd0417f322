//! A workspace, a launcher, and looks at the process table.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use futures_util::StreamExt as _;
use postroom::adapters::{
    system_clock::{SystemClock, UuidSource},
    turn_process::{TurnProcessOptions, TurnProcesses, process_table::ProcessTable},
};
use postroom_actors::{
    domain::{
        agent::{AgentProfile, Delivery, OnDisconnect, Permissions, QueueMode, TurnLimits},
        ids::{AgentId, TurnId},
        turn::{CliSession, TurnEvent, TurnExit, TurnOrder},
    },
    ports::{
        Clock as _, IdSource as _,
        turns::{LaunchError, RunningTurn, TurnEvents, TurnLauncher as _},
    },
};
use tempfile::TempDir;
use tokio::time::{Instant, sleep, timeout};

use super::plain_dialect::Plain;

static PLAIN: Plain = Plain { can_sandbox: false };

/// A turn must have ended so long after its limit.
pub(crate) const SLACK: Duration = Duration::from_secs(5);

/// An agent with one program, and what runs its turns.
pub(crate) struct Bench {
    pub(crate) folder: TempDir,
    pub(crate) processes: TurnProcesses,
    pub(crate) profile: AgentProfile,
    pub(crate) prompt: String,
    pub(crate) turn: TurnId,
}

/// A program of `tests/fixtures/agents`.
pub(crate) fn fixture(name: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let path = root.join(format!("tests/fixtures/agents/{name}.sh"));
    path.to_str().unwrap().to_owned()
}

impl Bench {
    pub(crate) fn new(program: &str) -> Self {
        Self::of_command(&[&fixture(program)])
    }

    pub(crate) fn of_command(command: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut options = TurnProcessOptions::of_this_process(Arc::new(SystemClock));
        options.runner = PathBuf::from(env!("CARGO_BIN_EXE_postroom"));
        options
            .environment
            .push(("PLAIN_SECRET".into(), "canary".into()));
        options.secrets.push("canary".into());
        Self {
            processes: TurnProcesses::new(options, Arc::new(|_, _| Ok(&PLAIN))),
            profile: profile(folder.path(), command),
            prompt: "hello".to_owned(),
            turn: UuidSource::default().turn_id(SystemClock.now()),
            folder,
        }
    }

    pub(crate) fn whole(mut self, limit: Duration) -> Self {
        self.profile.limits.whole = limit;
        self
    }

    pub(crate) fn grace(mut self, grace: Duration) -> Self {
        self.profile.limits.grace = grace;
        self
    }

    pub(crate) fn variable(mut self, name: &str, value: &str) -> Self {
        let environment = &mut self.profile.environment;
        environment.insert(name.to_owned(), value.to_owned());
        self
    }

    pub(crate) fn order(&self) -> TurnOrder {
        TurnOrder {
            turn: self.turn,
            profile: Arc::new(self.profile.clone()),
            session: CliSession::New("session".to_owned()),
            usage_before: None,
            prompt: self.prompt.as_str().into(),
            variables: vec![("POSTROOM_TURN_TOKEN", "token".to_owned())],
        }
    }

    pub(crate) async fn launch(&self) -> Result<RunningTurn, LaunchError> {
        self.processes.launch(self.order()).await
    }

    /// Runs a turn to its end, which must come within its limit and the slack.
    pub(crate) async fn run(&self) -> Ended {
        let begun = Instant::now();
        let running = self.launch().await.unwrap();
        let most = self.profile.limits.whole + SLACK;
        let ended = ended(running.events, most).await;
        assert!(begun.elapsed() < most, "it took {:?}", begun.elapsed());
        self.assert_nothing_is_left();
        ended
    }

    /// Processes of the turn, by their environment, the runner included.
    pub(crate) fn members(&self) -> Vec<i32> {
        let turn = self.turn.to_string();
        let holds = |pid: i32| {
            let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
            String::from_utf8_lossy(&environment).contains(&turn)
        };
        let table = ProcessTable::now();
        let pids = table.all().map(|process| process.pid);
        pids.filter(|pid| holds(*pid)).collect()
    }

    pub(crate) fn runner(&self) -> i32 {
        let turn = self.turn.to_string();
        let variable = |pid: &i32| {
            let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
            environment == format!("POSTROOM_RUNNER_OF={turn}\0").into_bytes()
        };
        let found = self.members().into_iter().find(variable);
        found.expect("the turn has a runner")
    }

    /// Processes that noted their ids because nothing else tells that they are of the turn.
    pub(crate) fn escaped(&self) -> Vec<i32> {
        let noted = fs::read_to_string(self.folder.path().join("escaped"));
        let noted = noted.unwrap_or_default();
        noted.lines().map(|line| line.parse().unwrap()).collect()
    }

    pub(crate) fn assert_nothing_is_left(&self) {
        let table = ProcessTable::now();
        let children = table.all().filter(|one| one.parent == own_pid());
        let children: Vec<i32> = children.map(|process| process.pid).collect();
        assert_eq!(children, Vec::<i32>::new(), "children, zombies included");
        assert_eq!(self.members(), Vec::<i32>::new(), "of the turn");
        for pid in self.escaped() {
            assert_eq!(table.find(pid), None, "escaped");
        }
    }

    /// Waits until nothing is left.
    pub(crate) async fn wait_until_nothing_is_left(&self, most: Duration) {
        let is_gone = || {
            let table = ProcessTable::now();
            let has_escaped = self.escaped().iter().any(|pid| table.find(*pid).is_some());
            let has_child = table.all().any(|process| process.parent == own_pid());
            self.members().is_empty() && !has_escaped && !has_child
        };
        assert!(holds_within(most, is_gone).await, "{:?}", self.members());
    }
}

/// What was seen of a turn.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) events: Vec<TurnEvent>,
    pub(crate) exit: TurnExit,
}

/// Reads a turn to its end.
pub(crate) async fn ended(mut events: TurnEvents, most: Duration) -> Ended {
    let mut seen = Vec::new();
    let reading = async {
        while let Some(event) = events.next().await {
            seen.push(event);
        }
    };
    let is_in_time = timeout(most, reading).await.is_ok();
    assert!(is_in_time, "no end within {most:?}, but {seen:?}");
    match seen.pop() {
        Some(TurnEvent::Exited(exit)) => Ended {
            events: seen,
            exit: *exit,
        },
        other => panic!("the last event is {other:?}"),
    }
}

/// Whether something becomes true in time.
pub(crate) async fn holds_within(most: Duration, mut holds: impl FnMut() -> bool) -> bool {
    let until = Instant::now() + most;
    while Instant::now() < until {
        if holds() {
            return true;
        }
        sleep(Duration::from_millis(10)).await;
    }
    false
}

pub(crate) fn own_pid() -> i32 {
    i32::try_from(std::process::id()).unwrap()
}

fn profile(folder: &Path, command: &[&str]) -> AgentProfile {
    AgentProfile {
        id: AgentId::parse("tester").unwrap(),
        delivery: Delivery::Turn,
        workspace: folder.to_owned(),
        working_dir: folder.to_owned(),
        command: command.iter().map(|part| (*part).to_owned()).collect(),
        dialect: String::new(),
        permissions: Permissions::Bypass,
        environment: BTreeMap::new(),
        limits: TurnLimits {
            whole: Duration::from_secs(10),
            idle: Duration::ZERO,
            grace: Duration::from_millis(500),
        },
        concurrency: 1,
        queue: 1,
        queue_mode: QueueMode::Followup,
        on_disconnect: OnDisconnect::Finish,
        max_attempts: 1,
        models: Vec::new(),
        embeddings_model: None,
    }
}
