//! The OpenAPI document holds what it says: schemathesis makes requests of it.

use serde_json::json;

use crate::support::{
    agents::Stage,
    backend::{ScriptedBackend, completion, json_answer},
    broker::Broker,
    tools::{Client, ClientResult},
};

#[actix_web::test]
async fn every_answer_to_made_up_requests_is_in_the_document() -> ClientResult {
    let client = Client::with_schemathesis("openapi_schemathesis.py")?;
    let backend =
        ScriptedBackend::start_with(|_, _| json_answer("200 OK", &completion("Yes."))).await;
    let stage = Stage::new();
    let command = stage.script("says.sh", "cat > /dev/null; echo 'The crane is free.'\n");
    let mut options = stage.agent(&command, "concurrency = 2");
    let toml = options.toml.take().unwrap();
    options.toml = Some(format!(
        "{toml}\n[backend]\nurl = \"{}\"\nmodel = \"m\"\n",
        backend.url()
    ));
    let broker = Broker::start(options).await;
    let result = client
        .option("--url", broker.url())
        .option("--key", broker.key())
        .passes_meanwhile()
        .await;
    // None of it has harmed the service.
    assert_eq!(broker.chat(&json!({"messages": []})).await.status, 200);
    let (status, _) = broker.stop().await;
    assert!(status.success(), "{status}");
    result
}
