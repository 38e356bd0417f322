//! The commands for agents, as a user gives them.

use std::{fs, os::unix::fs::PermissionsExt, time::Duration};

use serde_json::{Value, json};

use crate::support::{
    client::chat,
    user_home::{Daemon, UserHome, files_below},
    wait::{until, until_async},
};

/// How long the demo may take where the machine is busy; it says what it does by itself in 2 s.
const DEMO: Duration = Duration::from_secs(15);

fn json_of(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// Has a response made in the background; answers its id.
async fn ask_later(daemon: &Daemon, model: &str) -> String {
    let body = json!({"model": model, "input": "Hello.", "background": true});
    let answer = daemon.post("/v1/responses", &body).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()["id"].as_str().unwrap().to_owned()
}

/// Waits until a command says certain words.
async fn until_said(home: &UserHome, args: &[&str], words: &str) -> String {
    until(words, || home.run(args).ok(), |out| out.contains(words)).await
}

#[actix_web::test]
async fn the_daemon_has_a_manager_that_takes_what_names_nobody() {
    let home = UserHome::new();
    let cli = home.script("cli.sh", "echo \"I am $POSTROOM_AGENT.\"");
    let daemon = home.daemon(&["--cli", &cli]).await;
    for model in ["a-model-that-nobody-knows", "manager", "openclaw"] {
        let body = chat("Hello.", json!({"model": model}));
        let answer = daemon.post("/v1/chat/completions", &body).await;
        assert_eq!(answer.content().trim(), "I am manager.", "{model}");
    }
    let list = home.run(&["list"]).ok();
    let row = list.lines().find(|line| line.starts_with("manager"));
    let row: Vec<_> = row.unwrap().split_whitespace().take(4).collect();
    assert_eq!(row, ["manager", "idle", "-", "0"], "{list}");
    assert!(daemon.stop().await.success());
}

#[actix_web::test]
async fn the_runtime_file_is_the_owners_alone_and_gone_after_the_stop() {
    let home = UserHome::new();
    let cli = home.script("cli.sh", "echo hello");
    let daemon = home.daemon(&["--cli", &cli]).await;
    let file = home.base().join("runtime.json");
    let mode = fs::metadata(&file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert!(daemon.stop().await.success());
    assert!(!file.exists());
}

#[actix_web::test]
async fn an_agent_is_hired_once_and_keeps_what_its_user_changed() {
    let home = UserHome::new();
    let manager = home.script("manager.sh", "echo manager");
    let first = home.script("first.sh", "echo the first");
    let second = home.script("second.sh", "echo the second");
    let daemon = home.daemon(&["--cli", &manager]).await;
    let hire = ["hire", "engineer", "alice"];
    let said = home.run(&[&hire[..], &["--cli", &first]].concat()).ok();
    assert_eq!(said, "engineer_alice idle\n");
    let soul = home.base().join("engineer_alice/SOUL.md");
    fs::write(&soul, "I am Alice, and I like pianos.\n").unwrap();
    let ask = async || {
        let body = chat("Hello.", json!({"model": "engineer_alice"}));
        let answer = daemon.post("/v1/chat/completions", &body).await;
        answer.content().trim().to_owned()
    };
    assert_eq!(home.run(&hire).ok(), "engineer_alice idle\n");
    assert_eq!(ask().await, "the first", "it keeps its command");
    let said = home.run(&[&hire[..], &["--cli", &second]].concat()).ok();
    assert_eq!(said, "engineer_alice idle\n");
    assert_eq!(ask().await, "the second");
    assert_eq!(
        fs::read_to_string(&soul).unwrap(),
        "I am Alice, and I like pianos.\n"
    );
    let listed = json_of(&home.run(&["list", "--json"]).ok());
    assert_eq!(listed["agents"].as_array().unwrap().len(), 2, "{listed}");
}

#[actix_web::test]
async fn an_agent_that_is_hired_while_nothing_runs_works_after_the_start() {
    let home = UserHome::new();
    let manager = home.script("manager.sh", "echo manager");
    let own = home.script("own.sh", "echo \"I am $POSTROOM_AGENT.\"");
    let said = home.run(&["hire", "engineer", "alice", "--cli", &own]).ok();
    assert!(
        said.starts_with("engineer_alice (postroom is not running"),
        "{said}"
    );
    let daemon = home.daemon(&["--cli", &manager]).await;
    assert!(home.run(&["list"]).ok().contains("engineer_alice  idle"));
    let body = chat("Hello.", json!({"model": "engineer_alice"}));
    let answer = daemon.post("/v1/chat/completions", &body).await;
    assert_eq!(answer.content().trim(), "I am engineer_alice.");
}

#[actix_web::test]
async fn status_tells_what_each_agent_does() {
    let home = UserHome::new();
    let daemon = home.daemon(&["--cli", &home.gated_script()]).await;
    home.run(&["hire", "engineer", "alice"]).ok();
    home.run(&["init", "tester"]).ok();
    assert_eq!(home.run(&["stop", "tester"]).ok(), "tester stopped\n");
    ask_later(&daemon, "engineer_alice").await;
    let running = until_said(&home, &["status"], "engineer_alice (pid ").await;
    let lines: Vec<_> = running.lines().collect();
    let master = format!("master (pid {}) {}", daemon.pid(), daemon.endpoint());
    assert_eq!(lines[0], master);
    assert!(
        lines[1].starts_with("├── engineer_alice (pid "),
        "{running}"
    );
    assert_eq!(lines[2..], ["├── manager (idle)", "└── tester (stopped)"]);
    let told = json_of(&home.run(&["status", "--json"]).ok());
    assert_eq!(told["running"], true, "{told}");
    assert_eq!(told["pid"], daemon.pid(), "{told}");
    assert_eq!(told["endpoint"], daemon.endpoint(), "{told}");
    assert_eq!(told["agents"][0]["state"], "running", "{told}");
    assert!(told["agents"][0]["turns"][0]["pid"].is_u64(), "{told}");
    home.open();
    until_said(&home, &["status"], "engineer_alice (idle)").await;
}

#[actix_web::test]
async fn a_service_that_is_gone_is_told_as_such() {
    let home = UserHome::new();
    let ran = home.run(&["status"]);
    assert_eq!(ran.code, Some(69), "{ran:?}");
    assert!(ran.err.contains("`postroom daemon`"), "{ran:?}");
    let cli = home.script("cli.sh", "echo hello");
    drop(home.daemon(&["--cli", &cli]).await);
    assert!(home.base().join("runtime.json").exists());
    for args in [&["status"][..], &["list"], &["connect", "manager"]] {
        let ran = home.run(args);
        assert_eq!(ran.code, Some(69), "{ran:?}");
        let said = ran.err.as_str();
        assert!(
            said.contains("(stale `") && said.contains(" is gone)"),
            "{ran:?}"
        );
    }
    let ran = home.run(&["status", "--json"]);
    assert_eq!(ran.code, Some(69), "{ran:?}");
    assert_eq!(json_of(&ran.out)["running"], false);
    let daemon = home.daemon(&["--cli", &cli]).await;
    assert!(home.run(&["status"]).ok().contains("manager (idle)"));
    assert!(daemon.stop().await.success());
}

#[actix_web::test]
async fn a_conversation_shows_a_reply_while_it_comes_and_ends_at_exit() {
    let home = UserHome::new();
    let _daemon = home.daemon(&["--cli", &home.gated_script()]).await;
    let mut talk = home.talk(&["connect", "manager"]);
    talk.say("Hello.");
    assert_eq!(talk.until_said("working").await, "working");
    home.open();
    let whole = "working\nopen now\n";
    assert_eq!(talk.until_said("open now\n").await, whole);
    talk.say("/exit");
    assert_eq!(talk.ended().await, Some(0));
}

#[actix_web::test]
async fn a_conversation_ends_at_the_end_of_the_input() {
    let home = UserHome::new();
    let cli = home.script("cli.sh", "echo \"I am $POSTROOM_AGENT.\"");
    let _daemon = home.daemon(&["--cli", &cli]).await;
    let mut talk = home.talk(&["connect", "manager", "some/folder"]);
    for said in ["I am manager.\n", "I am manager.\nI am manager.\n"] {
        talk.say("Hello.");
        talk.until_said(said).await;
    }
    talk.hang_up();
    assert_eq!(talk.ended().await, Some(0));
}

#[actix_web::test]
async fn a_conversation_tells_in_words_what_went_wrong() {
    let home = UserHome::new();
    let cli = home.script("cli.sh", "echo 'no such model' >&2\nexit 3");
    let _daemon = home.daemon(&["--cli", &cli]).await;
    let ran = home.run(&["connect", "nobody"]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    let words = "there is no agent `nobody`; there are: manager\n";
    assert_eq!(ran.err, words);
    let mut talk = home.talk(&["connect", "manager"]);
    talk.say("Hello.");
    let words = "error: ";
    let said = talk.until_said("no such model\n").await;
    assert_eq!(
        said.lines().filter(|line| line.starts_with(words)).count(),
        1,
        "{said}"
    );
    home.run(&["stop", "manager"]).ok();
    talk.say("Hello again.");
    let look = async || talk.until_said("\n").await;
    let said = until_async("a refusal", look, |said| said.matches(words).count() == 2).await;
    assert!(said.lines().last().unwrap().contains("stopped"), "{said}");
    talk.hang_up();
    assert_ne!(talk.ended().await, Some(0));
}

#[actix_web::test]
async fn a_role_is_stopped_as_a_whole_and_started_one_by_one() {
    let home = UserHome::new();
    let cli = home.script("cli.sh", "echo hello");
    let daemon = home.daemon(&["--cli", &cli]).await;
    for name in ["alice", "bob"] {
        home.run(&["hire", "engineer", name]).ok();
    }
    let stopped = "engineer_alice stopped\nengineer_bob stopped\n";
    assert_eq!(home.run(&["stop", "engineer"]).ok(), stopped);
    let body = chat("Hello.", json!({"model": "engineer_bob"}));
    assert_eq!(daemon.post("/v1/chat/completions", &body).await.status, 503);
    let started = home.run(&["start", "engineer_bob"]).ok();
    assert_eq!(started, "engineer_bob idle\n");
    let answer = daemon.post("/v1/chat/completions", &body).await;
    assert_eq!(answer.content().trim(), "hello");
    let status = home.run(&["status"]).ok();
    assert!(status.contains("engineer_alice (stopped)"), "{status}");
    let ran = home.run(&["start", "engineer"]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.err.contains("there are: engineer_alice"), "{ran:?}");
}

#[actix_web::test]
async fn turns_are_listed_newest_first() {
    let home = UserHome::new();
    let cli = home.script("cli.sh", "[ -e failing ] && exit 3\necho hello");
    let daemon = home.daemon(&["--cli", &cli]).await;
    let work = home.path(".openclaw/workspace/failing");
    for is_failing in [false, true] {
        if is_failing {
            fs::write(&work, "").unwrap();
        }
        let body = chat("Hello.", json!({"model": "manager"}));
        daemon.post("/v1/chat/completions", &body).await;
    }
    let turns = home.run(&["turns", "manager"]).ok();
    let lines: Vec<_> = turns.lines().collect();
    assert_eq!(lines.len(), 2, "{turns}");
    assert!(
        lines[0].contains("  failed  ") && lines[1].contains("  done  "),
        "{turns}"
    );
    let told = home
        .run(&["turns", "manager", "--json", "--limit", "1"])
        .ok();
    let told = json_of(&told);
    assert_eq!(told["turns"][0]["state"], "failed", "{told}");
    assert_eq!(told["turns"].as_array().unwrap().len(), 1, "{told}");
    let ran = home.run(&["turns", "nobody"]);
    assert!(ran.err.contains("there is no agent `nobody`"), "{ran:?}");
}

#[test]
fn the_daemon_looks_after_notes_once_and_exits() {
    let home = UserHome::new();
    home.run(&["hire", "engineer", "alice", "--cli", "claude"])
        .ok();
    let notes = home.base().join("engineer_alice/notes");
    fs::remove_dir_all(&notes).unwrap();
    fs::create_dir(&notes).unwrap();
    let ran = home.run(&["daemon", "--once", "--api-port", "0"]);
    assert_eq!((ran.code, ran.out.as_str()), (Some(0), ""), "{ran:?}");
    assert_eq!(files_below(&notes).len(), 1);
    let manager = home.base().join("manager");
    assert!(manager.join("SOUL.md").is_file());
    assert_eq!(files_below(&manager.join("notes")).len(), 1);
    assert!(!home.base().join("runtime.json").exists());
}

/// A home folder as the seed's package leaves it.
const OLD_HOME: [(&str, &str); 9] = [
    ("manager/SOUL.md", "# Soul\nI lead.\n"),
    ("manager/AGENTS.md", "# Start\nRead SOUL.md.\n"),
    (
        "manager/control/state.json",
        "{\"state\": \"sleeping\", \"pid\": 1}",
    ),
    ("manager/memory/memory.md", "no line end"),
    ("engineer_alice/SOUL.md", ""),
    ("engineer_alice/control/state.json", "not json\r\n"),
    ("engineer_alice/logs/turn-1.log", "\u{1b}[31mred\u{1b}[0m\n"),
    ("engineer_alice/notes/daily-2026-02-03.md", "# 3rd\n"),
    ("agent_replies/task-1.json", "{}"),
];

#[actix_web::test]
async fn a_home_of_the_seed_is_taken_over_and_nothing_in_it_is_changed() {
    let home = UserHome::new();
    let old = home.path(".ai_agent_proxy");
    for (name, text) in OLD_HOME {
        let path = old.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    let cli = home.script("cli.sh", "echo \"I am $POSTROOM_AGENT.\"");
    let daemon = home.daemon(&["--cli", &cli]).await;
    let status = home.run(&["status"]).ok();
    let tree: Vec<_> = status.lines().skip(1).collect();
    assert_eq!(tree, ["├── engineer_alice (idle)", "└── manager (idle)"]);
    for agent in ["manager", "engineer_alice"] {
        let body = chat("Hello.", json!({"model": agent}));
        let answer = daemon.post("/v1/chat/completions", &body).await;
        assert_eq!(answer.content().trim(), format!("I am {agent}."));
    }
    home.run(&["hire", "engineer", "alice"]).ok();
    home.run(&["stop", "engineer_alice"]).ok();
    assert!(daemon.stop().await.success());
    for (name, text) in OLD_HOME {
        assert_eq!(fs::read_to_string(old.join(name)).unwrap(), text, "{name}");
    }
    let agents = files_below(&old.join("engineer_alice")).len();
    assert!(agents > 4, "notes, memory and transcripts are added");
    assert!(!home.base().exists());
}

#[test]
fn systemd_is_given_a_unit_and_a_private_file_of_keys() {
    let home = UserHome::new();
    let calls = home.path("calls");
    let bin = home.path("bin");
    fs::create_dir(&bin).unwrap();
    let systemctl = format!("#!/bin/sh\necho \"$*\" >> {}\n", calls.display());
    fs::write(bin.join("systemctl"), systemctl).unwrap();
    let mode = fs::Permissions::from_mode(0o755);
    fs::set_permissions(bin.join("systemctl"), mode).unwrap();
    let units = home.path("units");
    let units = ["--no-sudo", "--systemd-dir", units.to_str().unwrap()];
    let enable = [
        "enable",
        "--skip-start",
        "--api-key",
        "a-secret-key",
        "--cli",
        "claude",
    ];
    let said = home.run(&[&enable[..], &units].concat()).ok();
    assert!(!said.contains("a-secret-key"), "{said}");
    let unit = home.path("units/postroom.service");
    let text = fs::read_to_string(&unit).unwrap();
    let base = home.base().display().to_string();
    let command = format!("\"daemon\" \"--base-dir\" \"{base}\" \"--cli\" \"claude\"");
    assert!(
        text.contains(&command) && text.contains("User=ann\n"),
        "{text}"
    );
    assert!(!text.contains("a-secret-key"), "{text}");
    let keys = home.base().join("service.env");
    let mode = fs::metadata(&keys).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let keys_text = fs::read_to_string(&keys).unwrap();
    assert!(
        keys_text.contains("\nPOSTROOM__SERVER__KEY=\"a-secret-key\"\n"),
        "{keys_text}"
    );
    assert_eq!(
        fs::read_to_string(&calls).unwrap(),
        "daemon-reload\nenable postroom\n"
    );
    home.run(&[&["disable"][..], &units].concat()).ok();
    assert!(!unit.exists() && keys.exists());
    let calls = fs::read_to_string(&calls).unwrap();
    assert!(
        calls.ends_with("disable --now postroom\ndaemon-reload\n"),
        "{calls}"
    );
}

#[test]
fn the_demo_shows_the_way_of_a_message_step_by_step() {
    let home = UserHome::new();
    let begun = tokio::time::Instant::now();
    let out = home.run(&["demo"]).ok();
    assert!(begun.elapsed() < DEMO, "{:?}: {out}", begun.elapsed());
    let steps = [
        "broker runs (pid ",
        "message to `demo`: ",
        "received in ",
        "turn started (pid ",
        "agent: I read a prompt of ",
        "agent: I think",
        "agent: I tell by /send",
        "it sends STATUS by /send: kept",
        "it sends DONE by /send: kept",
        "turn ended: done",
        "answer of type STATUS: half way",
        "answer of type DONE: Hello! I am a script",
        "the message is `answered`",
        "postroom daemon --cli codex",
        "postroom connect manager",
    ];
    let mut rest = out.as_str();
    for step in steps {
        let (_, after) = rest
            .split_once(step)
            .unwrap_or_else(|| panic!("{step}: {out}"));
        rest = after;
    }
    assert_eq!(files_below(&home.path("")), [], "nothing of it is left");
}

#[actix_web::test]
async fn what_a_stop_interrupts_is_done_once_the_agent_is_started_again() {
    let home = UserHome::new();
    let cli = home.gated_script();
    let daemon = home.daemon(&["--cli", &cli]).await;
    ask_later(&daemon, "manager").await;
    until_said(&home, &["status"], "manager (pid ").await;
    assert_eq!(home.run(&["stop", "manager"]).ok(), "manager stopped\n");
    until_said(&home, &["turns", "manager"], "  interrupted  ").await;
    assert!(daemon.stop().await.success());
    home.open();
    let _daemon = home.daemon(&["--cli", &cli]).await;
    let status = home.run(&["status"]).ok();
    let waits = "manager (stopped), 1 waiting: the agent is stopped";
    assert!(status.contains(waits), "{status}");
    home.run(&["start", "manager"]).ok();
    let turns = until_said(&home, &["turns", "manager"], "  done  ").await;
    assert!(turns.contains("  interrupted  "), "{turns}");
}
