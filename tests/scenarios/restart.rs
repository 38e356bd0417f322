//! What a start finds, and what it refuses.

use std::sync::Arc;

use serde_json::json;

use crate::support::{
    broker::{Broker, BrokerOptions, postroom},
    client::chat,
};

#[actix_web::test]
async fn a_second_broker_on_the_same_folder_is_refused() {
    let broker = Broker::start(BrokerOptions::default()).await;
    let output = postroom()
        .args(["serve", "--host", "127.0.0.1", "--port", "0", "--inbox"])
        .arg(broker.inbox())
        .current_dir(broker.folder())
        .env("HOME", broker.folder())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(75), "{said}");
    assert!(said.contains(&format!("pid {}", broker.pid())), "{said}");
    assert_eq!(
        broker.chat(&chat("still here", json!({}))).await.status,
        200
    );
}

#[actix_web::test]
async fn a_port_that_is_taken_is_named() {
    let broker = Broker::start(BrokerOptions::default()).await;
    let folder = tempfile::tempdir().unwrap();
    let port = broker.address().rsplit(':').next().unwrap().to_owned();
    let output = postroom()
        .args([
            "serve",
            "--host",
            "127.0.0.1",
            "--port",
            &port,
            "--inbox",
            "inbox",
        ])
        .current_dir(folder.path())
        .env("HOME", folder.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains(&format!("127.0.0.1:{port}")), "{said}");
    assert!(
        !folder.path().join(".postroom").exists(),
        "a refused start leaves a store behind"
    );
}

#[actix_web::test]
async fn what_waited_for_a_reply_is_written_after_a_crash() {
    let hold = vec![crate::support::backend::Step::Hold];
    let backend = crate::support::backend::ScriptedBackend::start(hold).await;
    let broker = Broker::start(BrokerOptions::with_backend(backend.url())).await;
    let body = chat("hello", json!({}));
    let unanswered = broker.chat(&body);
    let kill_once_kept = async {
        loop {
            let metrics = broker.get("/metrics").await.text;
            if metrics
                .lines()
                .any(|line| line == "postroom_accept_duration_seconds_count 1")
            {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    tokio::select! {
        answer = unanswered => panic!("answered without a reply: {answer:?}"),
        () = kill_once_kept => {}
    }
    assert_eq!(broker.inbox_items().len(), 0);
    let broker = broker.kill_and_restart().await;
    let items = broker.until_items(1).await;
    assert_eq!(items[0]["latest-user-prompt"], "hello");
}

#[actix_web::test]
async fn a_store_remembers_its_inbox() {
    let options = BrokerOptions::toml("[mailbox]\ninbox = \"{inbox}\"\nbatch_window = \"60s\"\n");
    let broker = Broker::start(options).await;
    broker.chat(&chat("hello", json!({"channel": "c"}))).await;
    let folder = broker.kill();
    let other = folder.path().join("elsewhere");
    let config = folder.path().join("other.toml");
    let text = format!(
        "[server]\nport = 0\n[mailbox]\ninbox = \"{}\"\n[store]\npath = \"{}\"\n",
        other.display(),
        folder.path().join("store").display()
    );
    std::fs::write(&config, text).unwrap();
    let output = postroom()
        .arg("serve")
        .arg("--config")
        .arg(&config)
        .arg("--base-dir")
        .arg(folder.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(78), "{said}");
    assert!(said.contains("inbox"), "{said}");
    let broker = Broker::start_in(
        Arc::clone(&folder),
        BrokerOptions::toml("[mailbox]\ninbox = \"{inbox}\"\n"),
    )
    .await;
    broker.until_items(1).await;
}
