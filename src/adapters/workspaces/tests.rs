//! The agents' folders, on a real disk.

use std::{
    fs,
    os::unix::fs::{MetadataExt, symlink},
    path::Path,
};

use bytes::Bytes;
use chrono::DateTime;
use postroom_actors::{
    domain::ids::MessageId,
    ports::turns::{AgentReplyStore, KeptReply},
};
use tempfile::TempDir;
use uuid::Uuid;

use super::*;

/// A home folder with a test in it.
struct Home {
    root: TempDir,
    workspaces: Workspaces,
}

impl Home {
    fn new() -> Self {
        let root = TempDir::new().unwrap();
        let workspaces = Workspaces::new(root.path().join("home"));
        Self { root, workspaces }
    }

    fn path(&self, below: &str) -> PathBuf {
        self.root.path().join("home").join(below)
    }

    fn file(&self, below: &str, text: &str) {
        let path = self.path(below);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn text(&self, below: &str) -> String {
        let path = self.path(below);
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    fn control(&self, agent: &str) -> serde_json::Value {
        serde_json::from_str(&self.text(&format!("{agent}/control/agent.json"))).unwrap()
    }

    async fn hire(&self, agent: &str, cli: Option<&str>) -> Result<bool, WorkspaceError> {
        let hired = HiredAgent {
            cli: cli.map(str::to_owned),
            is_stopped: false,
        };
        self.workspaces
            .make_workspace(id(agent), hired, day(21))
            .await
            .map(|made| made.is_new)
    }

    async fn adopted(&self) -> Vec<(String, HiredAgent)> {
        let agents = self.workspaces.adopt().await.unwrap();
        let named = |(agent, hired): (AgentId, HiredAgent)| (agent.to_string(), hired);
        agents.into_iter().map(named).collect()
    }
}

fn id(name: &str) -> AgentId {
    AgentId::parse(name).unwrap()
}

fn day(day: u32) -> NaiveDate {
    NaiveDate::from_ymd_opt(2026, 11, day).unwrap()
}

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().mode() & 0o777
}

/// Every file below a folder with its content, in order.
fn content(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(content(&path));
        } else {
            found.push((path.clone(), fs::read(&path).unwrap()));
        }
    }
    found.sort();
    found
}

#[tokio::test]
async fn a_hired_agent_gets_a_private_workspace_with_texts_about_itself() {
    let home = Home::new();
    assert!(home.hire("engineer_alice", Some("claude")).await.unwrap());
    for folder in ["", "memory", "notes", "control", "logs", "inbox"] {
        let path = home.path(&format!("engineer_alice/{folder}"));
        assert!(path.is_dir() && mode(&path) == 0o700, "{folder}");
    }
    let soul = home.text("engineer_alice/SOUL.md");
    assert!(
        soul.contains("`engineer_alice`") && soul.contains("role: engineer."),
        "{soul}"
    );
    assert!(home.text("engineer_alice/AGENTS.md").contains("SOUL.md"));
    assert!(
        home.text("engineer_alice/notes/daily-2026-11-21.md")
            .starts_with("# 2026-11-21, engineer_alice")
    );
    for (path, text) in content(&home.path("engineer_alice")) {
        let text = String::from_utf8(text).unwrap();
        let is_filled = !["{agent}", "{role}", "{date}"]
            .iter()
            .any(|name| text.contains(name));
        assert!(is_filled, "{}", path.display());
        assert_eq!(mode(&path), 0o600, "{}", path.display());
    }
    let control = serde_json::json!({"cli": "claude", "stopped": false});
    assert_eq!(home.control("engineer_alice"), control);
}

#[tokio::test]
async fn hiring_twice_changes_nothing_that_was_written_meanwhile() {
    let home = Home::new();
    assert!(home.hire("bob", Some("claude --model x")).await.unwrap());
    for file in [
        "SOUL.md",
        "AGENTS.md",
        "memory/memory.md",
        "notes/daily-2026-11-21.md",
    ] {
        home.file(&format!("bob/{file}"), "mine");
    }
    home.file(
        "bob/control/agent.json",
        "{\"cli\":\"claude\",\"theirs\":[1.50],\"stopped\":true}",
    );
    let before = content(&home.path("bob"));
    assert!(!home.hire("bob", None).await.unwrap());
    assert_eq!(content(&home.path("bob")), before);

    assert!(!home.hire("bob", Some("codex")).await.unwrap());
    let merged = serde_json::json!({"cli": "codex", "theirs": [1.50], "stopped": true});
    assert_eq!(
        home.control("bob").to_string(),
        merged.to_string().replace("1.5]", "1.50]")
    );
}

#[tokio::test]
async fn what_is_missing_of_a_workspace_is_made_again() {
    let home = Home::new();
    home.hire("bob", None).await.unwrap();
    fs::remove_dir_all(home.path("bob/memory")).unwrap();
    fs::remove_file(home.path("bob/AGENTS.md")).unwrap();
    assert!(!home.hire("bob", None).await.unwrap());
    assert!(home.path("bob/memory/memory.md").is_file());
    assert!(home.path("bob/AGENTS.md").is_file());
}

#[tokio::test]
async fn a_workspace_of_the_predecessor_is_adopted_as_it_is() {
    let home = Home::new();
    home.file("manager/SOUL.md", "the soul");
    home.file("manager/control/state.json", "{\"state\": \"sleeping\"}");
    home.file("manager/memory/memory.md", "remembered");
    home.file("manager/logs/of-a-day.log", "a line");
    home.file("no_soul/control/state.json", "{}");
    home.file("notes/plain.txt", "no workspace");
    let before = content(&home.path(""));
    let nothing = HiredAgent::default();
    let expected = [
        ("manager".to_owned(), nothing.clone()),
        ("no_soul".to_owned(), nothing),
    ];
    assert_eq!(home.adopted().await, expected);
    assert_eq!(content(&home.path("")), before, "adopting changes nothing");

    assert!(!home.hire("manager", None).await.unwrap());
    let after = content(&home.path(""));
    assert!(before.iter().all(|file| after.contains(file)));
    assert!(home.path("manager/control/agent.json").is_file());
}

#[tokio::test]
async fn reserved_and_bad_names_and_links_are_passed_over_with_a_reason() {
    let home = Home::new();
    for name in ["store", "templates", "Bob Smith", "good"] {
        home.file(&format!("{name}/SOUL.md"), "");
    }
    let elsewhere = home.root.path().join("elsewhere");
    fs::create_dir_all(elsewhere.join("control")).unwrap();
    symlink(&elsewhere, home.path("linked")).unwrap();
    let survey = home.workspaces.survey().await.unwrap();
    assert_eq!(survey.agents, [(id("good"), HiredAgent::default())]);
    let ignored: Vec<_> = survey
        .ignored
        .iter()
        .map(|ignored| (ignored.path.clone(), ignored.reason.as_str()))
        .collect();
    assert_eq!(ignored.len(), 4, "{ignored:?}");
    for (name, reason) in [
        ("Bob Smith", "is not an agent id"),
        ("linked", "it is a link"),
        ("store", "is kept for something else"),
        ("templates", "is kept for something else"),
    ] {
        let path = home.path(name);
        assert!(
            ignored
                .iter()
                .any(|(found, text)| *found == path && text.contains(reason)),
            "{name}: {ignored:?}"
        );
    }
}

#[tokio::test]
async fn no_workspace_is_made_under_a_reserved_name_or_behind_a_link() {
    let home = Home::new();
    for name in RESERVED_NAMES {
        let error = home.hire(name, None).await.unwrap_err();
        assert_eq!(error.path, home.path(name));
        assert!(
            error.to_string().contains("kept for something else"),
            "{error}"
        );
    }
    assert!(!home.path("").exists());
    let elsewhere = home.root.path().join("elsewhere");
    fs::create_dir_all(&elsewhere).unwrap();
    fs::create_dir_all(home.path("")).unwrap();
    symlink(&elsewhere, home.path("bob")).unwrap();
    let error = home.hire("bob", None).await.unwrap_err();
    assert_eq!(error.path, home.path("bob"));
    assert_eq!(content(&elsewhere), []);
}

#[tokio::test]
async fn a_link_in_a_workspace_is_left_as_it_is_and_never_written_through() {
    let home = Home::new();
    let elsewhere = home.root.path().join("elsewhere");
    fs::create_dir_all(&elsewhere).unwrap();
    fs::create_dir_all(home.path("bob")).unwrap();
    for name in ["memory", "notes"] {
        symlink(&elsewhere, home.path("bob").join(name)).unwrap();
    }
    symlink(elsewhere.join("soul"), home.path("bob/SOUL.md")).unwrap();
    assert!(!home.hire("bob", None).await.unwrap());
    assert!(home.path("bob/SOUL.md").is_symlink());
    assert_eq!(content(&elsewhere), []);

    fs::remove_dir_all(home.path("bob/control")).unwrap();
    symlink(&elsewhere, home.path("bob/control")).unwrap();
    let error = home
        .workspaces
        .note_stopped(id("bob"), true)
        .await
        .unwrap_err();
    assert_eq!(error.path, home.path("bob/control"));
    assert_eq!(content(&elsewhere), []);
}

#[tokio::test]
async fn whether_an_agent_is_stopped_is_kept() {
    let home = Home::new();
    home.hire("bob", Some("qwen")).await.unwrap();
    for is_stopped in [true, false] {
        home.workspaces
            .note_stopped(id("bob"), is_stopped)
            .await
            .unwrap();
        let cli = Some("qwen".to_owned());
        let expected = ("bob".to_owned(), HiredAgent { cli, is_stopped });
        assert_eq!(home.adopted().await, [expected]);
    }
}

#[tokio::test]
async fn a_state_that_is_no_json_is_reported_and_not_overwritten() {
    let home = Home::new();
    home.file("bob/control/agent.json", "[broken");
    let survey = home.workspaces.survey().await.unwrap();
    assert_eq!(survey.agents, [(id("bob"), HiredAgent::default())]);
    assert_eq!(survey.ignored[0].path, home.path("bob/control/agent.json"));
    let error = home.hire("bob", Some("codex")).await.unwrap_err();
    assert!(
        error.to_string().contains("bob/control/agent.json"),
        "{error}"
    );
    assert_eq!(home.text("bob/control/agent.json"), "[broken");
}

#[tokio::test]
async fn templates_of_the_operator_take_the_place_of_ours() {
    let home = Home::new();
    home.file("templates/SOUL.md", "{role} {agent} {date} {other}");
    home.hire("writer_eve", None).await.unwrap();
    assert_eq!(
        home.text("writer_eve/SOUL.md"),
        "writer writer_eve 2026-11-21 {other}"
    );
    assert!(home.text("writer_eve/AGENTS.md").contains("writer_eve"));
    fs::write(home.path("templates/daily.md"), b"\xff").unwrap();
    let error = home.hire("writer_bob", None).await.unwrap_err();
    assert!(error.to_string().contains("templates/daily.md"), "{error}");
}

#[tokio::test]
async fn each_agent_has_one_note_a_day() {
    let home = Home::new();
    home.hire("bob", None).await.unwrap();
    home.hire("eve", None).await.unwrap();
    home.file("eve/notes/daily-2026-11-22.md", "mine");
    home.workspaces.daily_notes(day(22)).await.unwrap();
    assert!(
        home.text("bob/notes/daily-2026-11-22.md")
            .contains("2026-11-22")
    );
    assert_eq!(home.text("eve/notes/daily-2026-11-22.md"), "mine");
    let note = |agent, date| home.workspaces.daily_note(id(agent), day(date));
    assert!(note("bob", 23).await.unwrap());
    assert!(!note("bob", 23).await.unwrap());
    assert!(!note("nobody", 23).await.unwrap());
    assert!(!home.path("nobody").exists());
}

#[tokio::test]
async fn an_agent_that_fails_does_not_keep_the_others_from_their_notes() {
    let home = Home::new();
    home.hire("eve", None).await.unwrap();
    home.file("bob/SOUL.md", "");
    home.file("bob/notes", "a file");
    let error = home.workspaces.daily_notes(day(22)).await.unwrap_err();
    assert_eq!(error.path, home.path("bob/notes"));
    assert!(home.path("eve/notes/daily-2026-11-22.md").is_file());
}

#[tokio::test]
async fn what_cannot_be_read_or_made_is_named() {
    let home = Home::new();
    assert_eq!(home.adopted().await, [], "a missing home has nobody in it");
    let file = home.root.path().join("file");
    fs::write(&file, "a file").unwrap();
    let workspaces = Workspaces::new(file.clone());
    let error = workspaces.adopt().await.unwrap_err();
    assert_eq!(error.path, file);
    let hired = HiredAgent::default();
    let error = workspaces
        .make_workspace(id("bob"), hired, day(21))
        .await
        .unwrap_err();
    assert!(
        error.to_string().contains(file.to_str().unwrap()),
        "{error}"
    );

    let home = Home::new();
    home.file("bob/memory", "a file in the place of a folder");
    let error = home.hire("bob", None).await.unwrap_err();
    assert_eq!(error.path, home.path("bob/memory"));
    symlink(home.path("loop"), home.path("loop")).unwrap();
    let survey = home.workspaces.survey().await.unwrap();
    assert_eq!(survey.ignored[0].path, home.path("loop"));
}

#[tokio::test]
async fn the_managers_working_folder_is_made_with_its_workspace() {
    let root = TempDir::new().unwrap();
    let outside = root.path().join("user/.openclaw/workspace");
    let workspaces = Workspaces::with_folder(
        root.path().join("home"),
        Some((id("manager"), outside.clone())),
    );
    let make = |agent| workspaces.make_workspace(id(agent), HiredAgent::default(), day(21));
    make("bob").await.unwrap();
    assert!(!outside.exists());
    make("manager").await.unwrap();
    assert!(outside.is_dir());
    assert_eq!(
        workspaces.workspace(&id("bob")),
        root.path().join("home/bob")
    );
}

#[tokio::test]
async fn two_who_hire_the_same_agent_at_once_both_find_it_whole() {
    let home = Home::new();
    let (first, second) = tokio::join!(home.hire("bob", Some("a")), home.hire("bob", Some("a")));
    assert_ne!(first.unwrap(), second.unwrap());
    assert_eq!(home.control("bob")["cli"], "a");
}

#[tokio::test]
async fn an_answer_is_kept_under_our_own_id() {
    let root = TempDir::new().unwrap();
    let replies = AgentReplies::new(root.path().join("home"));
    let message = MessageId::new(Uuid::from_u128(0xabc));
    let reply = |json: &'static [u8]| KeptReply {
        id: message,
        json: Bytes::from_static(json),
    };
    replies.keep(reply(b"{\"data\":1}")).await.unwrap();
    let path = root
        .path()
        .join(format!("home/agent_replies/{message}.json"));
    assert_eq!(
        (fs::read_to_string(&path).unwrap().as_str(), mode(&path)),
        ("{\"data\":1}", 0o600)
    );
    replies.keep(reply(b"{\"data\":2}")).await.unwrap();
    let folder = root.path().join("home/agent_replies");
    assert_eq!(content(&folder), [(path, b"{\"data\":2}".to_vec())]);
}

#[tokio::test]
async fn a_removed_agent_is_not_adopted_until_it_is_hired_again() {
    let home = Home::new();
    home.hire("bob", Some("a")).await.unwrap();
    let bob = AgentId::parse("bob").unwrap();
    home.workspaces.note_removed(bob.clone()).await.unwrap();
    assert!(home.workspaces.adopt().await.unwrap().is_empty());
    assert!(
        !home.hire("bob", None).await.unwrap(),
        "its workspace stayed"
    );
    let adopted = home.workspaces.adopt().await.unwrap();
    assert_eq!(
        (&adopted[0].0, adopted[0].1.cli.as_deref()),
        (&bob, Some("a"))
    );
}

#[tokio::test]
async fn old_answers_are_removed_and_nothing_else() {
    let root = tempfile::tempdir().unwrap();
    let replies = AgentReplies::new(root.path().to_owned());
    let before = DateTime::from_timestamp(2_000_000_000, 0).unwrap();
    assert_eq!(replies.remove_older(before).await.unwrap(), 0);
    let folder = root.path().join("agent_replies");
    fs::create_dir(&folder).unwrap();
    fs::create_dir(folder.join("folder.json")).unwrap();
    for (name, seconds) in [("old.json", 1), ("new.json", 2_000_000_000), ("old.txt", 1)] {
        let file = fs::File::create(folder.join(name)).unwrap();
        let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(seconds);
        file.set_modified(time).unwrap();
    }
    assert_eq!(replies.remove_older(before).await.unwrap(), 1);
    assert!(!folder.join("old.json").exists());
    for name in ["new.json", "old.txt", "folder.json"] {
        assert!(folder.join(name).exists(), "{name}");
    }
}
