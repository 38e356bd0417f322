//! The `JavaScript` SDK of `OpenAI` as a client of the broker.

use crate::support::agents::{AGENT, Stage};
use crate::support::broker::{Broker, BrokerOptions};
use crate::support::tools::{Client, ClientResult, tools_folder};

#[actix_web::test]
async fn the_javascript_sdk_chats_streams_lists_models_and_raises_its_own_errors() -> ClientResult {
    let client = Client::with_node("openai_js.mjs")?;
    let broker = Broker::start(BrokerOptions::default()).await;
    let result = client
        .option("--tools", tools_folder())
        .option("--url", broker.url())
        .option("--key", broker.key())
        .arguments(["all"])
        .passes();
    let (status, _) = broker.stop().await;
    assert!(status.success(), "{status}");
    result
}

#[actix_web::test]
async fn the_javascript_sdk_chats_with_an_agent_and_uses_its_responses() -> ClientResult {
    let client = Client::with_node("openai_js.mjs")?;
    let stage = Stage::new();
    let script = "case \"$(cat)\" in *wait*) while :; do sleep 0.02; done;; esac\necho 'The crane is free.'\n";
    let command = stage.script("waits.sh", script);
    let broker = Broker::start(stage.agent(&command, "concurrency = 2")).await;
    let result = client
        .option("--tools", tools_folder())
        .option("--url", broker.url())
        .option("--key", broker.key())
        .option("--text", "The crane is free.")
        .option("--agent", AGENT)
        .arguments(["agent"])
        .passes();
    let (status, _) = broker.stop().await;
    assert!(status.success(), "{status}");
    result
}
