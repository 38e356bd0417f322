//! What is shipped for Prometheus and Grafana, with the real Prometheus.

use std::{fs, path::Path};

use serde_json::Value;
use tempfile::TempDir;

use crate::support::{
    agents::{AGENT, Stage},
    broker::{Broker, KEY},
    prometheus::{Prometheus, promtool},
    tools::{Client, ClientResult},
    wait::until_async,
};

/// More failed starts than an agent may have.
const FAILED_STARTS: usize = 20;

#[test]
fn promtool_takes_rules_and_configuration_and_every_alert_fires_when_it_should() -> ClientResult {
    let folder = shipped(|name, text| match name {
        "prometheus.yml" => with_key_in(&text, Path::new("prometheus.key")),
        _ => text,
    });
    fs::write(folder.path().join("prometheus.key"), KEY).unwrap();
    let cases = repository().join("tests/fixtures/prometheus/alerts_test.yml");
    fs::copy(cases, folder.path().join("alerts_test.yml")).unwrap();
    for arguments in [
        &["check", "rules", "--lint=all", "--lint-fatal", "alerts.yml"][..],
        &["check", "config", "--lint=all", "prometheus.yml"],
        &["test", "rules", "alerts_test.yml"],
    ] {
        promtool(folder.path(), arguments)?;
    }
    Ok(())
}

#[test]
fn the_files_of_the_deployment_fit_together() -> ClientResult {
    Client::with_schemathesis("deployment_files.py")?
        .option("--folder", repository().join("config/deploy"))
        .passes()
}

#[actix_web::test]
async fn prometheus_scrapes_with_the_key_and_a_parked_agent_makes_its_alert_fire() -> ClientResult {
    let stage = Stage::new();
    let command = broken_program(&stage);
    let broker = Broker::start(stage.agent(&command, "")).await;
    let folder = watching(&broker);
    let prometheus = Prometheus::start(folder.path()).await?;
    until_scraped(&prometheus).await;
    let rules = prometheus.ask("rules").await.unwrap();
    let loaded = rules["groups"].as_array().unwrap().iter();
    let loaded: usize = loaded
        .map(|group| group["rules"].as_array().unwrap().len())
        .sum();
    let shipped = fs::read_to_string(repository().join("config/deploy/alerts.yml")).unwrap();
    assert_eq!(loaded, shipped.matches("- alert: ").count(), "{rules}");
    // Until the first look at the broker it counts as down.
    let look = async || firing(&prometheus).await;
    until_async("no alert", look, Vec::is_empty).await;

    park(&broker).await;
    let alerts = until_async(
        "the alert of a parked agent",
        async || firing(&prometheus).await,
        |alerts| alerts.iter().any(|name| name == "PostroomAgentParked"),
    )
    .await;
    assert!(!alerts.contains(&"PostroomDown".to_owned()), "{alerts:?}");
    let all = prometheus.ask("alerts").await.unwrap();
    let parked = all["alerts"].as_array().unwrap().iter();
    let parked: Vec<&Value> = parked
        .filter(|alert| alert["labels"]["alertname"] == "PostroomAgentParked")
        .collect();
    assert_eq!(parked.len(), 1, "{all}");
    assert_eq!(parked[0]["labels"]["agent"], AGENT, "{all}");
    let summary = parked[0]["annotations"]["summary"].as_str().unwrap();
    assert!(summary.contains(AGENT), "{summary}");

    broker.order("resume").await;
    until_async(
        "the end of the alert",
        async || firing(&prometheus).await,
        |alerts| !alerts.iter().any(|name| name == "PostroomAgentParked"),
    )
    .await;
    Ok(())
}

#[actix_web::test]
async fn every_query_of_the_board_is_one() -> ClientResult {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("prometheus.yml"), "global: {}\n").unwrap();
    let prometheus = Prometheus::start(folder.path()).await?;
    let text = fs::read_to_string(repository().join("config/deploy/grafana/postroom.json"));
    let board: Value = serde_json::from_str(&text.unwrap()).unwrap();
    let panels = board["panels"].as_array().unwrap().iter();
    let targets = panels
        .filter_map(|panel| panel["targets"].as_array())
        .flatten();
    let mut queries = 0;
    for target in targets {
        let query = target["expr"].as_str().unwrap();
        let filled = query
            .replace("$instance", ".*")
            .replace("$agent", ".*")
            .replace("$__rate_interval", "1m");
        if let Err(problem) = prometheus.query(&filled).await {
            panic!("{query}: {problem}");
        }
        queries += 1;
    }
    assert!(queries > 50, "only {queries} queries");
    Ok(())
}

/// A program that cannot be started.
fn broken_program(stage: &Stage) -> String {
    use std::os::unix::fs::PermissionsExt;
    let program = stage.path("program");
    fs::write(&program, "#!/no/such/interpreter\n").unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    program.display().to_string()
}

/// Asks the agent until it is parked.
async fn park(broker: &Broker) {
    for _ in 0..FAILED_STARTS {
        broker.ask("Hello.", "alice").await;
        if broker.agent().await["state"] == "parked" {
            return;
        }
    }
    panic!("it was never parked");
}

/// The shipped files, set to watch this broker every second; rules wait for a second where they wait
/// for minutes.
fn watching(broker: &Broker) -> TempDir {
    let folder = shipped(|name, text| match name {
        "prometheus.yml" => text
            .replace("postroom:7011", broker.address())
            .replace("_interval: 15s", "_interval: 1s"),
        _ => shortened(&text),
    });
    let key = folder.path().join("postroom.key");
    fs::write(&key, format!("{KEY}\n")).unwrap();
    let file = folder.path().join("prometheus.yml");
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, with_key_in(&text, &key)).unwrap();
    folder
}

fn with_key_in(text: &str, key: &Path) -> String {
    let shipped = "/run/secrets/postroom_key";
    assert!(text.contains(shipped), "{text}");
    text.replace(shipped, &key.display().to_string())
}

fn shortened(rules: &str) -> String {
    let lines = rules.lines().map(|line| match line.split_once("for: ") {
        Some((before, _)) if before.trim().is_empty() => format!("{before}for: 1s\n"),
        _ => format!("{line}\n"),
    });
    lines.collect()
}

/// A folder with copies of what is shipped for Prometheus, changed.
fn shipped(change: impl Fn(&str, String) -> String) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for name in ["prometheus.yml", "alerts.yml"] {
        let text = fs::read_to_string(repository().join("config/deploy").join(name)).unwrap();
        fs::write(folder.path().join(name), change(name, text)).unwrap();
    }
    folder
}

/// Waits until the broker's metrics were read.
async fn until_scraped(prometheus: &Prometheus) {
    let look = async || prometheus.ask("targets?state=active").await.unwrap();
    let is_up = |targets: &Value| targets["activeTargets"][0]["health"] == "up";
    until_async("a scraped target", look, is_up).await;
}

/// The names of the alerts that fire.
async fn firing(prometheus: &Prometheus) -> Vec<String> {
    let alerts = prometheus.ask("alerts").await.unwrap();
    let alerts = alerts["alerts"].as_array().unwrap().iter();
    let firing = alerts.filter(|alert| alert["state"] == "firing");
    firing
        .map(|alert| alert["labels"]["alertname"].as_str().unwrap().to_owned())
        .collect()
}

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
