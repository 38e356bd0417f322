//! What systemd hears of the service: `Type=notify` and its watchdog.

use std::{sync::Arc, time::Duration};

use rustix::process::Signal;
use serde_json::json;

use crate::support::{
    agents::Stage,
    broker::{Broker, BrokerOptions},
    client::chat,
    notify_socket::NotifySocket,
    wait::until_async,
};

/// How long a broker may give no sign of life here.
const WATCHDOG: Duration = Duration::from_millis(600);

/// Long enough for many signs of life.
const SILENCE: Duration = Duration::from_secs(3);

#[actix_web::test]
async fn it_is_ready_as_soon_as_requests_are_answered_and_not_before() {
    let systemd = NotifySocket::new();
    let options = systemd.tell(BrokerOptions::default(), WATCHDOG);
    let broker = Broker::start(options).await;
    let heard = systemd.until_heard("READY=1").await;
    assert_eq!(heard[0], "READY=1", "{heard:?}");
    let answer = broker.send("GET", "/healthz", String::new(), &[]).await;
    assert_eq!(answer.status, 200, "{answer:?}");

    let other = NotifySocket::new();
    let (_, port) = broker.address().rsplit_once(':').unwrap();
    let taken = other
        .tell(
            BrokerOptions::toml("[mailbox]\ninbox = \"{inbox}\"\n"),
            WATCHDOG,
        )
        .env("POSTROOM__SERVER__PORT", port);
    let folder = Arc::new(tempfile::tempdir().unwrap());
    let refused = Broker::start_or_die_in(folder, taken).await;
    assert!(refused.is_err(), "it listens on a port that is taken");
    assert_eq!(other.heard(), Vec::<String>::new());
}

#[actix_web::test]
async fn it_tells_that_it_stops_and_that_this_takes_a_while() {
    let systemd = NotifySocket::new();
    let stage = Stage::new();
    let script = stage.script("slow.sh", "cat > /dev/null\nexec sleep 7\n");
    let options = systemd.tell(stage.agent(&script, "grace = \"200ms\""), WATCHDOG);
    let broker = Broker::start(options).await;
    broker.ask_later("Hello.", "alice").await;
    broker.until_turn_runs().await;
    systemd
        .until_heard("STATUS=agents: 1; waiting tasks: ")
        .await;
    let (status, _folder) = broker.stop().await;
    assert!(status.success(), "{status}");
    let heard = systemd.heard();
    let stopping = heard.iter().position(|line| line == "STOPPING=1").unwrap();
    let after = &heard[stopping..];
    let extended = after
        .iter()
        .filter(|line| line.starts_with("EXTEND_TIMEOUT_USEC="))
        .count();
    // The first with the beginning of the stop, further ones while the turn goes on.
    assert!(extended >= 2, "{after:?}");
    assert!(after.contains(&"WATCHDOG=1".to_owned()), "{after:?}");
}

#[actix_web::test]
async fn the_watchdog_is_fed_while_the_store_commits() {
    let systemd = NotifySocket::new();
    let broker = Broker::start(systemd.tell(BrokerOptions::default(), WATCHDOG)).await;
    systemd.until_beats(4).await;
    let metrics = broker.get("/metrics").await.text;
    let counted = metrics
        .lines()
        .find_map(|line| line.strip_prefix("postroom_watchdog_beats_total "));
    let counted: usize = counted.unwrap_or("0").parse().unwrap();
    assert!(counted >= 3, "{metrics}");
}

#[actix_web::test]
async fn a_store_that_hangs_starves_the_watchdog() {
    let systemd = NotifySocket::new();
    let options = systemd.tell(BrokerOptions::default(), WATCHDOG).env(
        "POSTROOM_FAILPOINTS",
        "store::before_commit=5*off->sleep(600000)",
    );
    let broker = Broker::start(options).await;
    systemd.until_beats(2).await;
    systemd.until_silent(SILENCE).await;
    // It is the store alone: requests that need none are answered.
    let answer = broker.send("GET", "/healthz", String::new(), &[]).await;
    assert_eq!(answer.status, 200, "{answer:?}");
}

#[actix_web::test]
async fn a_full_disk_is_no_reason_to_end_the_service() {
    let systemd = NotifySocket::new();
    let options = systemd
        .tell(BrokerOptions::default(), WATCHDOG)
        .env("POSTROOM_FAILPOINTS", "store::commit_full=3*off->return");
    let broker = Broker::start(options).await;
    until_refused(&broker).await;
    systemd.until_beats(systemd.beats() + 10).await;
    assert_eq!(broker.chat(&chat("still", json!({}))).await.status, 503);
    systemd
        .until_heard("STATUS=agents: 0; waiting tasks: 0")
        .await;
    let heard = systemd.heard();
    assert!(!heard.contains(&"WATCHDOG=trigger".to_owned()), "{heard:?}");
    broker.signal(Signal::TERM);
}

#[actix_web::test]
async fn a_store_that_hangs_while_it_refuses_starves_the_watchdog_too() {
    let systemd = NotifySocket::new();
    let options = systemd.tell(BrokerOptions::default(), WATCHDOG).env(
        "POSTROOM_FAILPOINTS",
        "store::commit_io_error=3*off->return;store::reopen_error=sleep(600000)",
    );
    let broker = Broker::start(options).await;
    until_refused(&broker).await;
    systemd.until_silent(SILENCE).await;
    assert_eq!(broker.chat(&chat("still", json!({}))).await.status, 503);
}

/// Asks until the store refuses.
async fn until_refused(broker: &Broker) {
    let ask = async || broker.chat(&chat("hello", json!({}))).await.status;
    until_async("a refusal", ask, |status| *status == 503).await;
}
