//! The `JavaScript` SDK of `OpenAI` as a client of the broker.

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
