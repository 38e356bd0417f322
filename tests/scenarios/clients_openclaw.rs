//! A real `OpenClaw` as a client of the broker: each of its turns is one inbox file, and a success in its own eyes.

use crate::support::agents::{KEEP_PROMPT, Stage};
use crate::support::backend::{ScriptedBackend, delta, stream_end, stream_head};
use crate::support::broker::{Broker, BrokerOptions};
use crate::support::sides::{API_KEY, Side, TOKEN};
use crate::support::tools::{Client, ClientResult, tools_folder};

async fn turns_pass(turns: &str) -> ClientResult {
    let client = Client::with_plain_python("openclaw.py")?;
    let broker = Broker::start(BrokerOptions::default()).await;
    let result = client
        .option("--tools", tools_folder())
        .option("--url", broker.url())
        .option("--key", broker.key())
        .option("--inbox", broker.inbox())
        .arguments([turns])
        .passes();
    let (status, _) = broker.stop().await;
    assert!(status.success(), "{status}");
    result
}

#[actix_web::test]
async fn a_local_turn_of_openclaw_is_one_inbox_file_and_a_success() -> ClientResult {
    turns_pass("cli").await
}

#[actix_web::test]
async fn an_agent_answers_openclaw_turn_after_turn() -> ClientResult {
    let client = Client::with_plain_python("openclaw.py")?;
    let stage = Stage::new();
    let script = format!("{KEEP_PROMPT}echo \"Crane $(ls \"$STAGE/prompts\" | wc -l)\"\n");
    let agent = stage.agent_toml(&stage.script("crane.sh", &script), "");
    let routing = "[routing]\ndefault = \"coder\"\n";
    let broker = Broker::start(BrokerOptions::toml(format!("{routing}{agent}"))).await;
    client
        .option("--tools", tools_folder())
        .option("--url", broker.url())
        .option("--key", broker.key())
        .option("--inbox", broker.inbox())
        .option("--answer", "Crane")
        .arguments(["agent"])
        .passes()?;
    let prompts = stage.prompts();
    assert!(prompts[0].contains("Which crane is free"), "{prompts:?}");
    assert!(prompts[1].contains("And which one tomorrow"), "{prompts:?}");
    Ok(())
}

#[actix_web::test]
async fn turns_through_openclaws_gateway_and_telegram_are_one_inbox_file_each_and_a_success()
-> ClientResult {
    turns_pass("gateway").await
}

#[actix_web::test]
async fn openclaw_talks_through_bridge_and_upstream_proxy_to_an_api_that_sees_its_own_key_alone()
-> ClientResult {
    let answer = [
        stream_head(),
        delta("The small crane "),
        delta("is free."),
        stream_end(),
    ];
    let api = ScriptedBackend::start(answer.to_vec()).await;
    let proxy = Side::proxy(api.url(), "").await;
    let client = Client::with_plain_python("openclaw.py")?
        .option("--tools", tools_folder())
        .option("--url", proxy.url())
        .option("--key", TOKEN)
        .option("--postroom", env!("CARGO_BIN_EXE_postroom"))
        .option("--answer", "The small crane is free.")
        .arguments(["bridge"]);
    // The API is played by this thread.
    tokio::task::spawn_blocking(move || client.passes())
        .await
        .unwrap()?;
    let asked = api.asked();
    let turns: Vec<_> = asked
        .iter()
        .filter(|asked| asked.head.starts_with("POST /v1/chat/completions "))
        .collect();
    assert_eq!(turns.len(), 1, "{asked:#?}");
    assert_eq!(turns[0].body["stream"], true);
    assert_eq!(turns[0].body["model"], "harbour/crane");
    for asked in &asked {
        let head = asked.head.to_lowercase();
        assert!(
            head.contains(&format!("authorization: bearer {API_KEY}")),
            "{head}"
        );
        assert!(
            !head.contains(TOKEN) && !head.contains("bearer bridge"),
            "{head}"
        );
        assert!(!head.contains("x-proxy-token"), "{head}");
    }
    Ok(())
}
