//! `postroom store check` and `compact`, on stores that are well and on stores that are not.

use serde_json::json;

use crate::support::{
    broker::{Broker, BrokerOptions},
    client::chat,
    store_files::{damage, database, prompts, run},
};

fn options() -> BrokerOptions {
    BrokerOptions::toml("[mailbox]\ninbox = \"{inbox}\"\n")
}

async fn with_messages(count: usize) -> Broker {
    let broker = Broker::start(options()).await;
    for number in 0..count {
        let prompt = format!("{number} {}", "x".repeat(100_000));
        assert_eq!(broker.chat(&chat(&prompt, json!({}))).await.status, 200);
    }
    broker.until_items(count).await;
    broker
}

#[actix_web::test]
async fn a_sound_store_is_told_so_while_the_service_runs_and_after_a_kill() {
    let broker = with_messages(5).await;
    let online = run(broker.folder(), &["store", "check", "--json"], "").json();
    assert_eq!(online["ok"], true, "{online}");
    assert_eq!(online["facts"]["messages"], 5);
    assert_eq!(online["facts"]["schema"], 4);
    assert_eq!(online["inbox"]["files"], 5);
    assert_eq!(online["gives_back"], true);
    assert!(online["size_bytes"].as_u64() > Some(0));
    let folder = broker.kill();
    let offline = run(folder.path(), &["store", "check"], "");
    assert_eq!(offline.code, Some(0), "{offline:?}");
    assert!(offline.out.contains("is sound"), "{offline:?}");
    assert!(offline.out.contains("5 messages"), "{offline:?}");
    // Nothing was changed: the next start goes on.
    let broker = Broker::start_in(folder, options()).await;
    broker.until_items(5).await;
}

#[actix_web::test]
async fn a_damaged_store_is_named_with_what_to_do() {
    let broker = with_messages(10).await;
    let (_, folder) = broker.stop().await;
    damage(&database(folder.path()));
    let ran = run(folder.path(), &["store", "check"], "");
    assert_eq!(ran.code, Some(65), "{ran:?}");
    for hint in ["is damaged", "postroom restore", ".recover"] {
        assert!(ran.out.contains(hint), "{ran:?}");
    }
    let ran = run(folder.path(), &["store", "check", "--json"], "");
    let told: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!((ran.code, &told["ok"]), (Some(65), &json!(false)));
    assert!(!told["damage"].as_array().unwrap().is_empty(), "{told}");
    std::fs::write(database(folder.path()), "this is no database").unwrap();
    let ran = run(folder.path(), &["store", "check"], "");
    assert_eq!(ran.code, Some(65), "{ran:?}");
}

#[actix_web::test]
async fn rows_that_belong_to_nothing_are_counted() {
    let broker = with_messages(3).await;
    let (_, folder) = broker.stop().await;
    let connection = rusqlite::Connection::open(database(folder.path())).unwrap();
    connection
        .execute_batch("DELETE FROM message WHERE seq = 2; INSERT INTO pending_inbox VALUES (99);")
        .unwrap();
    drop(connection);
    let ran = run(folder.path(), &["store", "check", "--json"], "");
    assert_eq!(ran.code, Some(65), "{ran:?}");
    let told: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    let findings = &told["findings"];
    for rule in ["body_without_message", "pending_inbox_without_message"] {
        let rows = json!({"rule": rule, "rows": 1});
        assert!(findings.as_array().unwrap().contains(&rows), "{findings}");
    }
}

#[actix_web::test]
async fn where_there_is_no_store_that_is_said() {
    let folder = tempfile::tempdir().unwrap();
    for args in [
        &["store", "check"][..],
        &["store", "compact"],
        &["backup", "backups"],
    ] {
        let ran = run(folder.path(), args, "");
        assert_eq!(ran.code, Some(66), "{ran:?}");
        assert!(ran.err.contains("there is no store"), "{ran:?}");
    }
    assert!(!folder.path().join("store").exists(), "nothing is made");
}

#[actix_web::test]
async fn a_compacted_store_is_smaller_and_holds_the_same() {
    let broker = with_messages(20).await;
    let refused = run(broker.folder(), &["store", "compact"], "");
    assert_eq!(refused.code, Some(75), "{refused:?}");
    let (_, folder) = broker.stop().await;
    let connection = rusqlite::Connection::open(database(folder.path())).unwrap();
    // As a store that was made by an earlier version.
    connection
        .execute_batch(
            "PRAGMA journal_mode = DELETE; PRAGMA auto_vacuum = NONE; VACUUM; DELETE FROM body;",
        )
        .unwrap();
    drop(connection);
    let done = run(folder.path(), &["store", "compact", "--json"], "").json();
    let (before, after) = (done["before"].as_u64(), done["after"].as_u64());
    assert!(after.unwrap() + 1_500_000 < before.unwrap(), "{done}");
    let told = run(folder.path(), &["store", "check", "--json"], "").json();
    assert_eq!(told["gives_back"], true, "{told}");
    assert_eq!(told["free_bytes"], 0, "{told}");
    assert_eq!(prompts(&database(folder.path())).len(), 20);
    let broker = Broker::start_in(folder, options()).await;
    assert_eq!(broker.chat(&chat("goes on", json!({}))).await.status, 200);
}
