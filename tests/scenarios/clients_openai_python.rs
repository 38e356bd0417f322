//! The Python SDK of `OpenAI` as a client of the broker.

use crate::support::broker::{Broker, BrokerOptions};
use crate::support::tools::{Client, ClientResult};

async fn sections_pass(options: BrokerOptions, sections: &[&str]) -> ClientResult {
    let client = Client::with_openai_python("openai_python.py")?;
    let broker = Broker::start(options).await;
    let result = client
        .option("--url", broker.url())
        .option("--key", broker.key())
        .arguments(sections)
        .passes();
    let (status, _) = broker.stop().await;
    assert!(status.success(), "{status}");
    result
}

#[actix_web::test]
async fn the_python_sdk_chats_and_streams() -> ClientResult {
    sections_pass(BrokerOptions::default(), &["chat", "stream"]).await
}

#[actix_web::test]
async fn the_python_sdk_lists_and_retrieves_models() -> ClientResult {
    sections_pass(BrokerOptions::default(), &["models"]).await
}

#[actix_web::test]
async fn the_python_sdk_raises_its_own_classes_for_400_401_and_404() -> ClientResult {
    sections_pass(BrokerOptions::default(), &["errors"]).await
}

#[actix_web::test]
async fn the_python_sdk_sees_413_for_a_body_over_the_limit() -> ClientResult {
    sections_pass(BrokerOptions::default(), &["too-large"]).await
}

#[actix_web::test]
async fn the_python_sdk_sees_429_after_too_many_wrong_keys_from_afar() -> ClientResult {
    let options =
        BrokerOptions::default().env("POSTROOM__SERVER__TRUSTED_PROXIES", r#"["127.0.0.1"]"#);
    sections_pass(options, &["rate-limited"]).await
}

#[actix_web::test]
async fn the_python_sdk_sees_503_while_the_disk_is_full() -> ClientResult {
    let options = BrokerOptions::default().env("POSTROOM_FAILPOINTS", "store::commit_full=return");
    sections_pass(options, &["expect-status", "503"]).await
}
