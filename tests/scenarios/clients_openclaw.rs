//! A real `OpenClaw` as a client of the broker: each of its turns is one inbox file, and a success in its own eyes.

use crate::support::broker::{Broker, BrokerOptions};
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
async fn turns_through_openclaws_gateway_and_telegram_are_one_inbox_file_each_and_a_success()
-> ClientResult {
    turns_pass("gateway").await
}
