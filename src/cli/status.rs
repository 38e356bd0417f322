//! `status`: the service and its agents as a tree.

use std::io::Write;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use super::{
    HomeArgs, World,
    agent_view::{self, AgentView, Paint, shown},
    client::{Client, ClientError, block_on},
    exit,
    progress::Progress,
    service_view::ServiceView,
};

/// `status`
#[derive(clap::Args)]
#[command(after_help = "\
Exit codes: 0 it runs, well or in trouble; 69 it does not run or does not answer.")]
pub struct StatusArgs {
    /// As one JSON object
    #[arg(long)]
    pub json: bool,
    /// Which service.
    #[command(flatten)]
    pub home: HomeArgs,
}

/// Silence of a turn that is worth a word.
const LONG_SILENCE: TimeDelta = TimeDelta::seconds(60);

/// Prints how the service is; 69 where it does not run.
pub(super) fn run(args: &StatusArgs, world: &World, output: &mut dyn Write) -> anyhow::Result<u8> {
    let home = args.home.folder(world)?;
    let asked = Client::of_home(&home)
        .map_err(anyhow::Error::from)
        .and_then(|client| {
            let _progress = Progress::begin(world, "asking the service");
            let view = block_on(ServiceView::ask(&client))?;
            Ok((client, view))
        });
    match asked {
        Ok((client, view)) if args.json => {
            writeln!(output, "{:#}", as_json(&client, &view))?;
            Ok(exit::OK)
        }
        Ok((client, view)) => {
            let master = master(&client, &view);
            let text = tree(&master, &view.views, world.now, world.paint());
            write!(output, "{text}{}", below(&view, world.paint()))?;
            Ok(exit::OK)
        }
        Err(error) if args.json => match error.downcast_ref::<ClientError>() {
            Some(known) => {
                let told = json!({"running": false, "problem": known.to_string()});
                writeln!(output, "{told:#}")?;
                Ok(known.exit_code())
            }
            None => Err(error),
        },
        Err(error) => Err(error),
    }
}

/// The fields stay; `docs/operations.md` says what they mean.
fn as_json(client: &Client, view: &ServiceView) -> Value {
    let health = &view.health;
    json!({
        "running": true,
        "pid": pid(client, health),
        "endpoint": client.endpoint(),
        "version": health.get("version"),
        "ok": view.is_well(),
        "ready": view.is_ready,
        "problems": view.problems,
        "manager": health.get("manager"),
        "waiting": view.waiting(),
        "dead_letters": view.dead_letters(),
        "actors": health.get("actors"),
        "agents": view.agents,
    })
}

/// The service's own word, else its runtime file's.
fn pid(client: &Client, health: &Value) -> Option<u64> {
    let told = health.get("pid").and_then(Value::as_u64);
    told.or_else(|| client.runtime().map(|runtime| u64::from(runtime.pid)))
}

fn master(client: &Client, view: &ServiceView) -> String {
    let pid = pid(client, &view.health);
    let pid = pid.map_or_else(String::new, |pid| format!(" (pid {pid})"));
    let trouble = match (view.is_ready, view.is_well()) {
        (false, _) => " takes in nothing",
        (true, false) => " in trouble",
        (true, true) => "",
    };
    format!("master{pid} {}{trouble}", shown(client.endpoint()))
}

/// What stands below the tree: troubles in words, and what waits.
fn below(view: &ServiceView, paint: Paint) -> String {
    let mut text = String::new();
    for problem in view.other_problems() {
        let line = paint.grade("fault", &format!("trouble: {}", shown(problem)));
        text = format!("{text}{line}\n");
    }
    let waiting = view.waiting();
    if waiting > 0 {
        let tasks = agent_view::counted(waiting, "task waits", "tasks wait");
        text = format!("{text}{tasks}\n");
    }
    if let Some(dead) = view.dead_letters().filter(|dead| *dead > 0) {
        let dead = agent_view::counted(dead, "dead letter", "dead letters");
        text = format!("{text}{dead}: `postroom dead-letters list` says why\n");
    }
    text
}

fn tree(master: &str, agents: &[AgentView], now: DateTime<Utc>, paint: Paint) -> String {
    let mut text = format!("{}\n", paint.bold(master));
    for (number, agent) in agents.iter().enumerate() {
        let is_last = number + 1 == agents.len();
        let branch = if is_last { "└── " } else { "├── " };
        text.push_str(&paint.dim(branch));
        text.push_str(&line(agent, now, paint));
        text.push('\n');
    }
    text
}

fn line(agent: &AgentView, now: DateTime<Utc>, paint: Paint) -> String {
    let turns = agent.turns.iter().map(|turn| match turn.pid {
        Some(pid) => format!("(pid {pid})"),
        None => "(starting)".to_owned(),
    });
    let turns: Vec<_> = turns.collect();
    let state = if turns.is_empty() {
        format!("({})", shown(&agent.state))
    } else {
        turns.join(" ")
    };
    let mut line = format!("{} {}", shown(&agent.id), paint.state(&agent.state, &state));
    if let Some(since) = agent.turns.iter().map(|turn| turn.since).min() {
        line = format!("{line} for {}", agent_view::span(now - since));
    }
    if let Some(silence) = silence(agent, now) {
        line = format!("{line}, silent for {}", agent_view::span(silence));
    }
    if agent.waiting > 0 {
        line = format!("{line}, {} waiting", agent.waiting);
    }
    if let Some(problem) = agent.problem.as_ref().or(agent.waits_for.as_ref()) {
        line = format!("{line}: {}", shown(problem));
    }
    line
}

/// How long the quietest of its turns has given no sign of life, where that is long.
fn silence(agent: &AgentView, now: DateTime<Utc>) -> Option<TimeDelta> {
    let last_events = agent.turns.iter().filter_map(|turn| turn.last_event_at);
    let silence = now - last_events.min()?;
    (silence > LONG_SILENCE).then_some(silence)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_turn_that_is_silent_for_over_a_minute_is_told_as_such() {
        let now = DateTime::UNIX_EPOCH + TimeDelta::seconds(300);
        let line_of = |last: &str| {
            let turn = json!({"turn": "t", "pid": 7, "since": "1970-01-01T00:00:00Z", "last_event_at": last});
            let agent = json!({"id": "a", "state": "running", "turns": [turn]});
            line(
                &agent_view::agent(agent).unwrap(),
                now,
                Paint { colours: false },
            )
        };
        assert_eq!(
            line_of("1970-01-01T00:01:00Z"),
            "a (pid 7) for 5m00s, silent for 4m00s"
        );
        assert_eq!(line_of("1970-01-01T00:04:00Z"), "a (pid 7) for 5m00s");
    }

    #[test]
    fn each_agent_tells_what_it_does() {
        let now = DateTime::UNIX_EPOCH + TimeDelta::seconds(12);
        let turn = json!({"turn": "t", "pid": 4812, "since": "1970-01-01T00:00:00Z"});
        let agents: Vec<AgentView> = [
            json!({"id": "manager", "state": "idle"}),
            json!({"id": "engineer_alice", "state": "running", "waiting": 2, "turns": [turn]}),
            json!({"id": "tester", "state": "stopped"}),
            json!({"id": "reviewer", "state": "parked", "problem": "`codex` was not found"}),
        ]
        .map(|agent| agent_view::agent(agent).unwrap())
        .into();
        let text = tree(
            "master (pid 1) http://x",
            &agents,
            now,
            Paint { colours: false },
        );
        assert_eq!(
            text,
            "master (pid 1) http://x\n\
             ├── manager (idle)\n\
             ├── engineer_alice (pid 4812) for 12s, 2 waiting\n\
             ├── tester (stopped)\n\
             └── reviewer (parked): `codex` was not found\n"
        );
    }
    #[test]
    fn troubles_and_what_waits_stand_below_the_tree_in_words() {
        let view = ServiceView {
            health: json!({"ok": false, "dead_letters": 1}),
            is_ready: true,
            problems: vec![
                "agent `a` is parked: x".to_owned(),
                "backend_relay: circuit open: main".to_owned(),
            ],
            agents: json!([]),
            views: [
                json!({"id": "a", "state": "parked", "waiting": 2}),
                json!({"id": "b", "state": "stopped", "waiting": 1}),
            ]
            .map(|agent| agent_view::agent(agent).unwrap())
            .into(),
        };
        assert_eq!(
            below(&view, Paint { colours: false }),
            "trouble: backend_relay: circuit open: main\n\
             3 tasks wait\n\
             1 dead letter: `postroom dead-letters list` says why\n"
        );
        let well = ServiceView {
            health: json!({"ok": true, "dead_letters": 0}),
            problems: Vec::new(),
            views: Vec::new(),
            ..view
        };
        assert_eq!(below(&well, Paint { colours: false }), "");
        assert!(well.is_well());
    }
}
