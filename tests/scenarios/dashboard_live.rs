//! The dashboard's live stream, and texts that mean harm.

use std::collections::HashMap;

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::support::{
    agents::Stage,
    broker::{Broker, BrokerOptions},
    client::chat,
    dashboard::Visit,
    events::{Event, EventReader},
    messages::{Office, fixture, message},
    user_home::UserHome,
    wait::until_async,
};

const SECRET: &str = "secret-between-us-and-the-office";

async fn follow(broker: &Broker, page: &str) -> EventReader {
    let path = format!("/web/live?page={page}");
    broker.follow("GET", &path, "", &[]).await
}

/// The next section of this name.
async fn next(reader: &mut EventReader, name: &str) -> Value {
    loop {
        let event: Event = reader.next().await.unwrap();
        assert_eq!(event.name.as_deref(), Some("section"), "{event:?}");
        let section = event.json();
        if section["name"] == name {
            return section;
        }
    }
}

fn html(section: &Value) -> &str {
    section["html"].as_str().unwrap()
}

#[actix_web::test]
async fn a_section_is_sent_anew_when_a_message_arrives_and_not_while_nothing_changes() {
    let stage = Stage::new();
    let broker = Broker::start(stage.agent(&stage.gated_script(), "")).await;
    let mut reader = follow(&broker, "/web/messages").await;
    let first = next(&mut reader, "messages").await;
    assert!(html(&first).contains("There are none."), "{first}");
    let page = broker.get("/web/messages").await.text;
    let revision = first["revision"].as_str().unwrap();
    assert!(
        page.contains(&format!("data-revision=\"{revision}\"")),
        "{page}"
    );
    broker.ask_later("what is new?", "bob").await;
    let mut states = Vec::new();
    while states.last().is_none_or(|state| state != "running") {
        let section = next(&mut reader, "messages").await;
        assert!(html(&section).contains("what is new?"), "{section}");
        let state = html(&section).split("data-state=\"").nth(1).unwrap();
        states.push(state.split('"').next().unwrap().to_owned());
    }
    stage.open();
    let answered = next(&mut reader, "messages").await;
    assert!(
        html(&answered).contains("data-state=\"answered\""),
        "{answered}"
    );
}

#[actix_web::test]
async fn the_stream_holds_the_token_of_its_own_viewer() {
    let stage = Stage::new();
    let broker = Broker::start(stage.agent(&stage.gated_script(), "")).await;
    let one = Visit::operator(&broker).await;
    let other = Visit::operator(&broker).await;
    let (token, others) = (one.token("/").await, other.token("/").await);
    assert_ne!(token, others);
    let cookie = one.cookie().unwrap();
    // As a browser asks: no key.
    let client = awc::Client::builder().no_default_headers().finish();
    let request = client.get(format!("{}/web/live?page=/", broker.url()));
    let mut response = request
        .insert_header(("cookie", cookie))
        .send()
        .await
        .unwrap();
    assert_eq!(response.status(), 200);
    let mut text = String::new();
    while !text.contains("\"name\":\"agents\"") {
        let bytes = futures_util::StreamExt::next(&mut response).await.unwrap();
        text.push_str(std::str::from_utf8(&bytes.unwrap()).unwrap());
    }
    assert!(text.contains(&token) && !text.contains(&others), "{text}");
}

#[actix_web::test]
async fn there_is_room_for_64_and_whoever_leaves_makes_room() {
    let broker = Broker::start(BrokerOptions::toml("[mailbox]\ninbox = \"{inbox}\"\n")).await;
    let readers = join_all((0..64).map(|_| follow(&broker, "/web/connect"))).await;
    let viewers = async || {
        let metrics = broker.get("/metrics").await.text;
        let line = metrics
            .lines()
            .find(|line| line.starts_with("postroom_dashboard_viewers "));
        line.unwrap().to_owned()
    };
    assert_eq!(viewers().await, "postroom_dashboard_viewers 64");
    let refused = broker.get("/web/live?page=/").await;
    assert_eq!(refused.status, 503);
    assert!(refused.header("retry-after").is_some(), "{refused:?}");
    drop(readers);
    until_async("places that are free", viewers, |line| line.ends_with(" 0")).await;
}

#[actix_web::test]
async fn the_stream_ends_with_the_session_and_with_the_service() {
    let home = UserHome::new();
    let daemon = home.daemon(&[]).await;
    let client = awc::Client::builder().no_default_headers().finish();
    let request = client.get(format!("{}/web/live?page=/", daemon.endpoint()));
    let mut response = request.send().await.unwrap();
    // From now on everybody is asked for a key.
    home.run(&["keys", "add", "boss", "--role", "operator"])
        .ok();
    let body = response.body().limit(64 << 20).await.unwrap();
    let text = String::from_utf8(body.to_vec()).unwrap();
    assert!(text.ends_with("event: ended\ndata: {}\n\n"), "{text}");

    let broker = Broker::start(BrokerOptions::toml("[mailbox]\ninbox = \"{inbox}\"\n")).await;
    let mut reader = follow(&broker, "/").await;
    next(&mut reader, "service").await;
    let (ended, _folder) = broker.stop().await;
    assert!(ended.success(), "{ended}");
    reader.rest().await;
}

#[actix_web::test]
async fn strangers_and_unknown_pages_get_no_stream() {
    let broker = Broker::start(BrokerOptions::toml("[mailbox]\ninbox = \"{inbox}\"\n")).await;
    let stranger = Visit::stranger(broker.url());
    assert_eq!(stranger.get("/web/live?page=/").await.status, 403);
    for page in ["", "?page=/agents", "?page=https://evil.example/"] {
        let answer = broker.get(&format!("/web/live{page}")).await;
        assert_eq!(answer.status, 404, "{page}");
    }
}

/// What would be markup, or turn a line around.
const HOSTILE: &str =
    "</title><script>alert(1)</script>\"'><img src=x onerror=alert(2)>\u{202e}\u{0}&lt;";

fn assert_harmless(place: &str, page: &str) {
    for harm in ["<script>alert", "<img src=x", "\u{202e}", "\u{0}"] {
        assert!(!page.contains(harm), "`{harm:?}` in {place}: {page}");
    }
}

#[actix_web::test]
async fn texts_that_mean_harm_are_shown_as_texts_on_every_page() {
    let stage = Stage::new();
    let says = format!(
        "cat > /dev/null\nprintf '%s\\n' '{}'\n",
        HOSTILE.replace(['\'', '\u{0}'], "")
    );
    let broker = Office::new()
        .agent(&stage, "alice", &fixture("send.sh", "STATUS"), "")
        .agent(&stage, "evil", &stage.script("evil.sh", &says), "")
        .key_of_agent("alice")
        .peer_without_url("lab", SECRET, "")
        .start()
        .await;
    let hostile = json!({
        "to": "evil", "context_id": HOSTILE, "id": HOSTILE.replace('\u{0}', ""), "from": HOSTILE,
    });
    let mut fields: HashMap<String, Value> = serde_json::from_value(hostile).unwrap();
    let mut body = message("TASK", HOSTILE, json!({}));
    let taken = loop {
        body.as_object_mut().unwrap().extend(fields.clone());
        let answer = broker.message_with(SECRET, &body, &[]).await;
        if answer.status == 200 {
            break answer.json()["id"].as_str().unwrap().to_owned();
        }
        // A field that the surface itself does not take is no field of an attack.
        let param = answer.json()["error"]["param"].as_str().map(str::to_owned);
        let param = param.unwrap_or_else(|| panic!("{answer:?}"));
        assert!(fields.remove(&param).is_some(), "{answer:?}");
        body.as_object_mut().unwrap().remove(&param);
    };
    broker.chat(&chat(HOSTILE, json!({"user": HOSTILE}))).await;
    let ended = async || broker.message(&taken).await["ended_at"].clone();
    until_async("the end of the message", ended, Value::is_string).await;
    let turn = broker.turns_of("evil").await[0]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    for path in [
        "/".to_owned(),
        "/web/messages".to_owned(),
        format!("/web/messages/{taken}"),
        format!("/web/turns/{turn}"),
        "/web/agents/evil".to_owned(),
        "/web/connect".to_owned(),
        format!(
            "/web/messages?agent={0}&state={0}&before={0}",
            "%3Cscript%3Ealert(1)%3C/script%3E"
        ),
    ] {
        let page = broker.get(&path).await;
        assert_eq!(page.status, 200, "{path}: {page:?}");
        assert_harmless(&path, &page.text);
    }
    let list = broker.get("/web/messages").await.text;
    assert!(
        list.contains("&lt;script&gt;alert(1)&lt;/script&gt;"),
        "{list}"
    );
}
