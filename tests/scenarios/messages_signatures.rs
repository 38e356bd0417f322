//! Signatures after the Standard Webhooks specification, checked and made by its Python package.

use serde_json::json;

use crate::support::{
    agents::Stage,
    broker::Broker,
    messages::{Office, fixture, message},
    peers::SeedPeer,
    tools::{Client, ClientFailure, ClientResult},
};

const SECRET: &str = "secret-of-the-office";

/// Signing secrets: today's, the one before it, and somebody else's.
const NEW: &str = "whsec_dG9kYXlzIHNlY3JldCBvZiB0aGUgdGVzdHM=";
const OLD: &str = "whsec_eWVzdGVyZGF5cyBzZWNyZXQgb2YgdGhlbQ==";
const OTHER: &str = "whsec_c29tZWJvZHkgZWxzZXMgc2VjcmV0LCBhaGE=";

/// A broker whose peer has these settings for signatures.
async fn signing(stage: &Stage, settings: &str) -> Result<(Broker, SeedPeer), ClientFailure> {
    let peer = SeedPeer::start(stage.folder().path(), SECRET)?;
    let settings = format!("to = \"alice\"\n{settings}");
    let office = Office::new()
        .agent(stage, "alice", &fixture("send.sh", "STATUS - 'Grüße'"), "")
        .key_of_agent("alice")
        .peer("office", peer.url(), SECRET, &settings);
    Ok((office.start().await, peer))
}

/// Sends a few messages and has the package check what the peer got, with each of these secrets.
async fn outgoing_verify(settings: &str, secrets: &[&str]) -> ClientResult {
    let stage = Stage::new();
    let (broker, peer) = signing(&stage, settings).await?;
    for text in ["plain", "Größe \u{1f600} \"quoted\"", ""] {
        let say = message("STATUS", text, json!({"to": "office"}));
        let id = broker.sends("alice", &say).await;
        broker.until_message(&id, "delivered").await;
    }
    // One that is tried twice is signed twice, each time for its own time.
    peer.answer(&json!([{"status": 503}])).await;
    let say = message("STATUS", "twice", json!({"to": "office"}));
    let id = broker.sends("alice", &say).await;
    broker.until_message(&id, "delivered").await;
    assert_eq!(peer.received().len(), 5);
    let mut client = Client::with_webhooks("standard_webhooks.py")?
        .arguments(["verify"])
        .option("--log", peer.log());
    for secret in secrets {
        client = client.option("--signing-secret", secret);
    }
    client.passes()
}

#[actix_web::test]
async fn what_we_sign_is_verified_by_the_package() -> ClientResult {
    outgoing_verify(&format!("signing_secret = {NEW:?}"), &[NEW]).await
}

#[actix_web::test]
async fn during_a_rotation_what_we_sign_is_verified_with_both_secrets() -> ClientResult {
    let both = format!("signing_secret = {NEW:?}\nsigning_secret_previous = {OLD:?}");
    outgoing_verify(&both, &[NEW, OLD]).await
}

/// Has the package send messages, signed with one secret.
async fn incoming(settings: &str, secret: &str, sections: &[&str], taken: usize) -> ClientResult {
    let stage = Stage::new();
    let (broker, _peer) = signing(&stage, settings).await?;
    Client::with_webhooks("standard_webhooks.py")?
        .arguments(["send"])
        .option("--url", broker.url())
        .option("--secret", SECRET)
        .option("--signing-secret", secret)
        .arguments(sections)
        .passes()?;
    let kept = broker.messages("?direction=in").await;
    assert_eq!(kept.len(), taken, "{kept:?}");
    Ok(())
}

#[actix_web::test]
async fn what_the_package_signs_is_taken_and_what_was_changed_is_not() -> ClientResult {
    let sections = ["signed", "tampered", "old", "early", "unsigned-is-taken"];
    incoming(&format!("signing_secret = {NEW:?}"), NEW, &sections, 4).await
}

#[actix_web::test]
async fn a_peer_that_must_sign_is_not_heard_without() -> ClientResult {
    let settings = format!("signing_secret = {NEW:?}\nrequire_signature = true");
    let sections = ["signed", "tampered", "old", "unsigned"];
    incoming(&settings, NEW, &sections, 3).await
}

#[actix_web::test]
async fn during_a_rotation_either_secret_signs() -> ClientResult {
    let both = format!(
        "signing_secret = {NEW:?}\nsigning_secret_previous = {OLD:?}\nrequire_signature = true"
    );
    for secret in [NEW, OLD] {
        incoming(&both, secret, &["signed", "tampered"], 3).await?;
    }
    let Err(_refused) = incoming(&both, OTHER, &["signed"], 0).await else {
        panic!("what somebody else has signed was taken")
    };
    Ok(())
}
