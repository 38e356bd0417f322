//! Backups taken while the service works, and what a restore makes of them.

use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    path::Path,
    rc::Rc,
    sync::Arc,
};

use serde_json::{Value, json};

use crate::support::{
    broker::{Broker, BrokerOptions, inbox_files},
    client::chat,
    store_files::{Ran, damage, database, prompts, run, run_beside},
    wait::until,
};

/// A broker whose store, configuration and keys lie in its folder.
fn options() -> BrokerOptions {
    BrokerOptions::toml("[mailbox]\ninbox = \"{inbox}\"\n")
}

async fn keep(broker: &Broker, prompt: &str) {
    let answer = broker.chat(&chat(prompt, json!({}))).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
}

/// Backs up into a folder of its own; where the backup is.
fn back_up(folder: &Path, name: &str) -> String {
    let args = ["backup", "backups", "--name", name, "--json"];
    let made = run(folder, &args, "").json();
    made["path"].as_str().unwrap().to_owned()
}

fn restore(folder: &Path, backup: &str, failpoints: &str) -> Ran {
    run(folder, &["restore", backup, "--json"], failpoints)
}

/// Clients that send as fast as they are answered, until they are told to end.
struct Load {
    taken: Rc<RefCell<Vec<String>>>,
    is_over: Rc<Cell<bool>>,
    clients: Vec<actix_rt::task::JoinHandle<()>>,
}

impl Load {
    fn start(broker: &Rc<Broker>) -> Self {
        let (taken, is_over) = (Rc::<RefCell<Vec<String>>>::default(), Rc::default());
        let clients = (0..8).map(|client| {
            let (broker, taken) = (Rc::clone(broker), Rc::clone(&taken));
            let is_over: Rc<Cell<bool>> = Rc::clone(&is_over);
            actix_rt::spawn(async move {
                let mut number = 0;
                while !is_over.get() {
                    let prompt = format!("message {client}.{number}");
                    keep(&broker, &prompt).await;
                    taken.borrow_mut().push(prompt);
                    number += 1;
                }
            })
        });
        Self {
            clients: clients.collect(),
            taken,
            is_over,
        }
    }

    /// The prompts that were acknowledged so far.
    fn taken(&self) -> Vec<String> {
        self.taken.borrow().clone()
    }

    async fn end(self) {
        self.is_over.set(true);
        for client in self.clients {
            client.await.unwrap();
        }
    }
}

fn names(folder: &Path) -> Vec<String> {
    let files = inbox_files(&folder.join("inbox"));
    let names = files.iter().map(|path| path.file_name().unwrap());
    names
        .map(|name| name.to_string_lossy().into_owned())
        .collect()
}

fn expect_each_once(folder: &Path, acknowledged: &[String]) {
    let mut seen: HashMap<String, usize> = HashMap::new();
    for prompt in prompts(&database(folder)) {
        *seen.entry(prompt).or_default() += 1;
    }
    for prompt in acknowledged {
        assert_eq!(seen.get(prompt), Some(&1), "{prompt}");
    }
    assert!(seen.values().all(|&times| times == 1));
}

#[actix_web::test]
async fn a_backup_under_load_has_all_that_was_acknowledged_before_it_each_once() {
    let broker = Rc::new(Broker::start(options()).await);
    let load = Load::start(&broker);
    until("200 messages", || load.taken().len(), |taken| *taken >= 200).await;
    let before = load.taken();
    let made = run_beside(broker.folder(), &["backup", "backups", "--json"]).await;
    let made = made.json();
    let all = load.taken();
    assert!(all.len() > before.len(), "nobody was held up");
    load.end().await;
    let broker = Rc::into_inner(broker).unwrap();
    let stored = prompts(&database(broker.folder())).len();
    broker.until_items(stored).await;
    let folder = broker.kill();

    let backup = made["path"].as_str().unwrap().to_owned();
    let restored = restore(folder.path(), &backup, "").json();
    let held = &restored["holds"];
    assert_eq!(held["messages"], made["store"]["messages"]);
    let aside = restored["aside"].as_str().unwrap();
    assert_eq!(prompts(&Path::new(aside).join("postroom.db")).len(), stored);
    expect_each_once(folder.path(), &before);

    let written = names(folder.path());
    std::fs::rename(folder.path().join("inbox"), folder.path().join("before")).unwrap();
    let broker = Broker::start_in(folder, options()).await;
    let pending = usize::try_from(held["pending_inbox"].as_u64().unwrap()).unwrap();
    broker.until_items(pending).await;
    let again = names(broker.folder());
    let is_known = |name: &String| written.contains(name);
    assert!(again.iter().all(is_known), "the same names: {again:?}");
    keep(&broker, "after the restore").await;
}

/// A home folder with an agent, a key, and a message; the service that has it.
async fn furnished() -> Broker {
    let toml = "[mailbox]\ninbox = \"{inbox}\"\n[store]\nretention = \"77d\"\n";
    let broker = Broker::start(BrokerOptions::toml(toml)).await;
    let home = broker.folder();
    let hire = r#"{"role":"engineer","name":"alice","cli":"cat"}"#;
    let hired = broker.post("/agents", hire, &[]).await;
    assert!(hired.status < 300, "{}", hired.text);
    let key = r#"{"name":"phone","role":"client"}"#;
    let key = broker.post("/keys", key, &[]).await;
    assert_eq!(key.status, 201, "{}", key.text);
    std::fs::write(home.join("engineer_alice/notes/plan.txt"), "the plan").unwrap();
    std::os::unix::fs::symlink("/etc/passwd", home.join("engineer_alice/notes/link")).unwrap();
    keep(&broker, "hello").await;
    broker
}

#[actix_web::test]
async fn a_backup_has_configuration_keys_and_what_agents_are_and_is_its_owners_alone() {
    let broker = furnished().await;
    let home = broker.folder();
    let small = run(
        home,
        &["backup", "backups", "--name", "small", "--json"],
        "",
    )
    .json();
    assert_eq!(small["skipped"], json!([]));
    let manifest = std::fs::read_to_string(home.join("backups/small/manifest.json")).unwrap();
    let manifest: Value = serde_json::from_str(&manifest).unwrap();
    let files = manifest["files"].as_array().unwrap().iter();
    let files: Vec<&str> = files.map(|file| file["path"].as_str().unwrap()).collect();
    let expected = [
        "postroom.db",
        "config/postroom.toml",
        "home/keys.json",
        "home/engineer_alice/control/agent.json",
    ];
    assert_eq!(files, expected);
    expect_private(&home.join("backups"));
    let again = run(home, &["backup", "backups", "--name", "small"], "");
    assert_eq!(again.code, Some(73), "{again:?}");
}

#[actix_web::test]
async fn workspaces_come_along_to_another_folder_where_nothing_is_overwritten() {
    let broker = furnished().await;
    let args = [
        "backup",
        "backups",
        "--name",
        "all",
        "--workspaces",
        "--json",
    ];
    let all = run(broker.folder(), &args, "").json();
    let skipped = json!(["home/engineer_alice/notes/link"]);
    assert_eq!(all["skipped"], skipped, "no link is followed");
    let folder = broker.kill();

    let elsewhere = tempfile::tempdir().unwrap();
    let backup = folder.path().join("backups/all").display().to_string();
    let restored = restore(elsewhere.path(), &backup, "").json();
    assert_eq!(restored["aside"], Value::Null);
    for name in ["postroom.toml", "keys.json", "store/postroom.db"] {
        assert!(elsewhere.path().join(name).is_file(), "{name}");
    }
    let plan = elsewhere.path().join("engineer_alice/notes/plan.txt");
    assert_eq!(std::fs::read_to_string(plan).unwrap(), "the plan");
    // A second time nothing is missing, and nothing is overwritten.
    std::fs::write(elsewhere.path().join("keys.json"), "{\"keys\": []}").unwrap();
    let restored = restore(elsewhere.path(), &backup, "").json();
    assert_eq!(restored["put_in_place"], json!([]));
    let kept = restored["left_as_it_is"].as_array().unwrap();
    assert_eq!(kept.len(), 1, "{kept:?}");
    assert!(restored["aside"].is_string());
}

fn expect_private(folder: &Path) {
    use std::os::unix::fs::PermissionsExt;
    for entry in std::fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let mode = entry.metadata().unwrap().permissions().mode() & 0o077;
        assert_eq!(mode, 0, "{}", entry.path().display());
        if entry.file_type().unwrap().is_dir() {
            expect_private(&entry.path());
        }
    }
}

#[actix_web::test]
async fn nothing_is_restored_under_a_running_service() {
    let broker = Broker::start(options()).await;
    keep(&broker, "before").await;
    let backup = back_up(broker.folder(), "one");
    keep(&broker, "after").await;
    let refused = restore(broker.folder(), &backup, "");
    assert_eq!(refused.code, Some(75), "{refused:?}");
    assert!(
        refused.err.contains(&format!("pid {}", broker.pid())),
        "{refused:?}"
    );
    let broker = broker.kill_and_restart().await;
    broker.until_items(2).await;
    assert_eq!(prompts(&database(broker.folder())), ["before", "after"]);
}

#[actix_web::test]
async fn a_backup_that_is_not_whole_is_refused_and_the_store_stays() {
    let broker = Broker::start(options()).await;
    keep(&broker, &"x".repeat(200_000)).await;
    let whole = back_up(broker.folder(), "whole");
    let folder = broker.kill();
    let flipped = back_up(folder.path(), "flipped");
    damage(&Path::new(&flipped).join("postroom.db"));
    let missing = back_up(folder.path(), "missing");
    std::fs::remove_file(Path::new(&missing).join("config/postroom.toml")).unwrap();
    let newer = back_up(folder.path(), "newer");
    let manifest = Path::new(&newer).join("manifest.json");
    let text = std::fs::read_to_string(&manifest).unwrap();
    std::fs::write(&manifest, text.replace("\"format\": 1", "\"format\": 9")).unwrap();
    for (backup, why) in [
        (flipped.as_str(), "`postroom.db` is not what was backed up"),
        (&missing, "`config/postroom.toml` cannot be read"),
        (&newer, "use a newer `postroom`"),
        ("nowhere", "`manifest.json` cannot be read"),
    ] {
        let refused = restore(folder.path(), backup, "");
        assert_eq!(refused.code, Some(65), "{refused:?}");
        assert!(refused.err.contains(why), "{refused:?}");
    }
    assert_eq!(prompts(&database(folder.path())).len(), 1);
    restore(folder.path(), &whole, "").json();
}

#[actix_web::test]
async fn a_backup_of_a_damaged_store_can_be_made_but_not_restored() {
    let broker = Broker::start(options()).await;
    for _ in 0..4 {
        keep(&broker, &"x".repeat(200_000)).await;
    }
    let (_, folder) = broker.stop().await;
    damage(&database(folder.path()));
    let made = run(folder.path(), &["backup", "backups", "--name", "ill"], "");
    if made.code == Some(0) {
        let refused = restore(folder.path(), "backups/ill", "");
        assert_eq!(refused.code, Some(65), "{refused:?}");
        assert!(refused.err.contains("damaged"), "{refused:?}");
    } else {
        assert_eq!(made.code, Some(65), "{made:?}");
    }
}

#[actix_web::test]
async fn a_restore_that_is_killed_leaves_the_old_store_or_the_new_one() {
    let broker = Broker::start(options()).await;
    keep(&broker, "of the backup").await;
    let backup = back_up(broker.folder(), "one");
    keep(&broker, "later").await;
    let mut folder = broker.kill();
    for (failpoint, is_new) in [
        ("restore::written", false),
        ("restore::ready", true),
        ("restore::moved_aside", true),
        ("restore::in_place", true),
    ] {
        let killed = restore(folder.path(), &backup, &format!("{failpoint}=abort"));
        assert_eq!(killed.code, None, "{failpoint}: {killed:?}");
        let broker = Broker::start_in(folder, options()).await;
        let kept = prompts(&database(broker.folder()));
        let expected = if is_new {
            vec!["of the backup"]
        } else {
            vec!["of the backup", "later"]
        };
        assert_eq!(kept, expected, "{failpoint}");
        let check = run(broker.folder(), &["store", "check", "--json"], "").json();
        assert_eq!(check["restore_is_ready"], false, "{failpoint}");
        keep(&broker, "later").await;
        let (_, stopped) = broker.stop().await;
        folder = stopped;
        restore(folder.path(), &backup, "").json();
        let broker = Broker::start_in(folder, options()).await;
        keep(&broker, "later").await;
        folder = broker.kill();
    }
}

#[actix_web::test]
async fn messages_that_wait_for_another_inbox_are_restored_by_force_only() {
    let broker = Broker::start(options()).await;
    let inbox = broker.inbox();
    let hidden = broker.folder().join("hidden");
    std::fs::rename(&inbox, &hidden).unwrap();
    std::os::unix::fs::symlink(&hidden, &inbox).unwrap();
    keep(&broker, "waits").await;
    let backup = back_up(broker.folder(), "one");
    let folder = broker.kill();
    let elsewhere = tempfile::tempdir().unwrap();
    let inbox = elsewhere.path().join("box").display().to_string();
    let config = format!("[mailbox]\ninbox = {inbox:?}\n");
    std::fs::write(elsewhere.path().join("postroom.toml"), config).unwrap();
    let refused = restore(elsewhere.path(), &backup, "");
    assert_eq!(refused.code, Some(78), "{refused:?}");
    assert!(refused.err.contains("--force"), "{refused:?}");
    let args = ["restore", &backup, "--force", "--json"];
    let restored = run(elsewhere.path(), &args, "").json();
    assert_eq!(restored["inbox_changed"], true);
    drop(folder);
    let elsewhere = Arc::new(elsewhere);
    let toml = "[mailbox]\ninbox = \"{inbox}\"\n".replace("{inbox}", &inbox);
    let broker = Broker::start_in(elsewhere, BrokerOptions::toml(toml)).await;
    let written = || inbox_files(Path::new(&inbox));
    until("the message in the new inbox", written, |files| {
        files.len() == 1
    })
    .await;
    drop(broker);
}
