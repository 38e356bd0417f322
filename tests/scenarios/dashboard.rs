//! The dashboard over plain HTTP: who is let in, and what is done there.

use serde_json::{Value, json};

use crate::support::{
    agents::{AGENT, Stage},
    broker::{Broker, BrokerOptions},
    client::{Answer, chat, send},
    dashboard::Visit,
    messages::{Office, SHORT, fixture, message},
    peers::{Peer, PeerPort, Reply},
    user_home::UserHome,
    wait::until_async,
};

const SECRET: &str = "secret-between-us-and-the-office";
const CLIENT_KEY: &str = "the-key-of-a-client";

fn plain() -> BrokerOptions {
    BrokerOptions::toml(format!(
        "trusted_proxies = [\"127.0.0.1\"]\n[mailbox]\ninbox = \"{{inbox}}\"\n\
         [keys.app]\nkey = {CLIENT_KEY:?}\nrole = \"client\"\n"
    ))
}

fn is_page(answer: &Answer) -> bool {
    answer.header("content-type") == Some("text/html; charset=utf-8")
        && answer.text.starts_with("<!DOCTYPE html>")
}

#[actix_web::test]
async fn an_operator_logs_in_and_out_by_key() {
    let broker = Broker::start(plain()).await;
    let stranger = Visit::stranger(broker.url());
    let sent_on = stranger.get("/web/messages?state=failed").await;
    assert_eq!(sent_on.status, 303);
    let login = sent_on.header("location").unwrap();
    assert_eq!(login, "/web/login?next=%2Fweb%2Fmessages%3Fstate%3Dfailed");
    let form = stranger.page(login).await;
    assert!(form.contains("id=\"login\""), "{form}");
    assert!(
        form.contains("value=\"/web/messages?state=failed\""),
        "{form}"
    );

    let mut visit = Visit::stranger(broker.url());
    let answer = visit.log_in(broker.key()).await;
    assert_eq!((answer.status, answer.header("location")), (303, Some("/")));
    let cookie = answer.header("set-cookie").unwrap();
    let (pair, flags) = cookie.split_once("; ").unwrap();
    assert_eq!(flags, "Path=/; Max-Age=43200; HttpOnly; SameSite=Strict");
    let token = pair.strip_prefix("postroom_session=").unwrap();
    assert!(
        token.len() == 64 && !cookie.contains(broker.key()),
        "{cookie}"
    );

    for path in [
        "/",
        "/web",
        "/web/messages",
        "/web/dead-letters",
        "/web/connect",
    ] {
        let page = visit.page(path).await;
        assert!(page.contains("data-action=\"logout\""), "{path}: {page}");
        assert!(
            !page.contains(broker.key()) && !page.contains(token),
            "{path}"
        );
    }
    let csrf = visit.token("/").await;
    let out = visit.submit("/web/logout", &[("csrf", &csrf)]).await;
    assert_eq!(
        (out.status, out.header("location")),
        (303, Some("/web/login"))
    );
    assert!(
        out.header("set-cookie").unwrap().contains("Max-Age=0"),
        "{out:?}"
    );
    assert_eq!(visit.get("/").await.status, 303, "the session is over");
}

#[actix_web::test]
async fn the_login_leads_to_pages_of_ours_alone() {
    let broker = Broker::start(plain()).await;
    let visit = Visit::stranger(broker.url());
    for (next, leads_to) in [
        ("/web/messages", "/web/messages"),
        ("https://evil.example/", "/"),
        ("//evil.example/", "/"),
        ("/\\evil.example", "/"),
        ("/agents", "/"),
        ("/web/messages/../../agents", "/"),
    ] {
        let answer = visit
            .submit("/web/login", &[("key", broker.key()), ("next", next)])
            .await;
        assert_eq!(answer.header("location"), Some(leads_to), "{next}");
    }
}

#[actix_web::test]
async fn wrong_keys_count_and_lock_as_everywhere_and_the_right_one_still_opens() {
    let broker = Broker::start(plain()).await;
    let log_in = async |key: &str| {
        let headers = [
            ("content-type", "application/x-www-form-urlencoded"),
            ("x-forwarded-for", "192.0.2.7"),
        ];
        let form = format!("key={key}");
        broker.send("POST", "/web/login", form, &headers).await
    };
    for _ in 0..10 {
        let refused = log_in("wrong").await;
        assert!(refused.status == 401 && is_page(&refused), "{refused:?}");
        assert!(refused.text.contains("This key is not known here."));
        assert_eq!(refused.header("set-cookie"), None);
    }
    let locked = log_in("wrong").await;
    assert!(locked.status == 429 && is_page(&locked), "{locked:?}");
    assert!(locked.header("retry-after").is_some(), "{locked:?}");
    assert_eq!(log_in(broker.key()).await.status, 303);
    let nothing = log_in("").await;
    assert!(nothing.status == 400 && is_page(&nothing), "{nothing:?}");
    let client = log_in(CLIENT_KEY).await;
    assert!(client.status == 403 && is_page(&client), "{client:?}");
    assert!(client.text.contains("operator"), "{client:?}");
}

#[actix_web::test]
async fn a_key_in_the_header_opens_pages_where_it_is_an_operators() {
    let broker = Broker::start(plain()).await;
    let page = broker.get("/").await;
    assert!(page.status == 200 && is_page(&page), "{page:?}");
    for (key, status) in [(CLIENT_KEY, 403), ("wrong", 401)] {
        let key = format!("Bearer {key}");
        let headers = [("authorization", key.as_str())];
        let refused = broker.send("GET", "/", String::new(), &headers).await;
        assert!(refused.status == status && is_page(&refused), "{refused:?}");
    }
}

#[actix_web::test]
async fn the_cookie_opens_no_part_of_the_api() {
    let broker = Broker::start(plain()).await;
    let visit = Visit::operator(&broker).await;
    for path in [
        "/agents",
        "/messages",
        "/dead-letters",
        "/health",
        "/metrics",
        "/keys",
        "/v1/models",
        "/webhooks",
    ] {
        assert_eq!(visit.get(path).await.status, 401, "{path}");
    }
    let answer = visit.submit("/v1/chat/completions", &[]).await;
    assert_eq!(answer.status, 401);
}

#[actix_web::test]
async fn nothing_is_done_without_the_token_of_the_session() {
    let stage = Stage::new();
    let broker = Broker::start(stage.agent(&stage.gated_script(), "")).await;
    let visit = Visit::operator(&broker).await;
    let other = Visit::operator(&broker).await.token("/").await;
    let path = format!("/web/agents/{AGENT}/stop");
    for fields in [vec![], vec![("csrf", "")], vec![("csrf", other.as_str())]] {
        let refused = visit.submit(&path, &fields).await;
        assert!(refused.status == 403 && is_page(&refused), "{refused:?}");
    }
    let own = visit.token("/").await;
    let stranger = Visit::stranger(broker.url());
    let refused = stranger.submit(&path, &[("csrf", &own)]).await;
    assert!(refused.status == 403 && is_page(&refused), "{refused:?}");
    let cookie = visit.cookie().unwrap();
    for site in ["cross-site", "same-site"] {
        let headers = [
            ("cookie", cookie),
            ("content-type", "application/x-www-form-urlencoded"),
            ("sec-fetch-site", site),
        ];
        let form = format!("csrf={own}");
        let refused = broker.send("POST", &path, form, &headers).await;
        assert_eq!(refused.status, 403, "{site}");
    }
    assert_eq!(broker.agent().await["state"], "idle");
    visit.acts(&path).await;
    assert_eq!(broker.agent().await["state"], "stopped");
}

#[actix_web::test]
async fn agents_are_stopped_and_started_and_turns_cancelled() {
    let stage = Stage::new();
    let broker = Broker::start(stage.agent(&stage.gated_script(), "")).await;
    let visit = Visit::operator(&broker).await;
    let response = broker.ask_later("take your time", "bob").await;
    let turn = broker.until_turn_runs().await;
    let page = visit.page("/").await;
    assert!(
        page.contains(&format!("data-turn=\"{turn}\" data-state=\"running\"")),
        "{page}"
    );
    assert!(page.contains("take your time"), "{page}");
    let done = visit.acts(&format!("/web/turns/{turn}/cancel")).await;
    assert_eq!(done.header("location"), Some("/?done=cancelled"));
    let told = visit.page("/?done=cancelled").await;
    assert!(told.contains("The turn is ended."), "{told}");
    assert_eq!(broker.until_ended(&response).await["status"], "cancelled");
    let shown = visit.page(&format!("/web/turns/{turn}")).await;
    assert!(shown.contains("data-state=\"cancelled\""), "{shown}");
    let again = visit.acts(&format!("/web/turns/{turn}/cancel")).await;
    assert_eq!(again.header("location"), Some("/?done=ended-before"));

    for (what, state) in [
        ("stop", "stopped"),
        ("start", "idle"),
        ("stop", "stopped"),
        ("resume", "idle"),
    ] {
        visit.acts(&format!("/web/agents/{AGENT}/{what}")).await;
        assert_eq!(broker.agent().await["state"], state);
        let page = visit.page(&format!("/web/agents/{AGENT}")).await;
        let row = format!("data-agent=\"{AGENT}\" data-state=\"{state}\"");
        assert!(page.contains(&row), "{page}");
    }
}

/// An office whose agent `alice` speaks from outside of its turns, to a peer.
fn office(url: &str) -> Office {
    let stage = Stage::new();
    Office::new()
        .agent(&stage, "alice", &fixture("send.sh", "STATUS"), "")
        .key_of_agent("alice")
        .peer("office", url, SECRET, &format!("schedule = {SHORT}"))
}

#[actix_web::test]
async fn dead_letters_are_retried_and_dropped() {
    let port = PeerPort::reserve();
    let broker = office(&port.url()).start().await;
    let visit = Visit::operator(&broker).await;
    let letter = |text| message("STATUS", text, json!({"to": "office", "context_id": text}));
    let first = broker.sends("alice", &letter("the first")).await;
    let second = broker.sends("alice", &letter("the second")).await;
    broker.until_dead_letters(2).await;
    let page = visit.page("/web/dead-letters").await;
    for (id, text) in [(&first, "the first"), (&second, "the second")] {
        assert!(
            page.contains(&format!("data-dead-letter=\"{id}\"")) && page.contains(text),
            "{page}"
        );
        assert!(
            visit
                .page(&format!("/web/messages/{id}"))
                .await
                .contains("data-action=\"retry\"")
        );
    }
    visit
        .acts(&format!("/web/dead-letters/{second}/drop"))
        .await;
    assert_eq!(broker.dead_letters().await.len(), 1);
    let peer: Peer = port.open(|_, _| Reply::Received);
    visit
        .acts(&format!("/web/dead-letters/{first}/retry"))
        .await;
    broker.until_message(&first, "delivered").await;
    assert_eq!(peer.texts(), ["the first"]);
    let page = visit.page("/web/dead-letters").await;
    assert!(!page.contains("data-dead-letter"), "{page}");
    let token = visit.token("/").await;
    for what in ["retry", "drop"] {
        let path = format!("/web/dead-letters/{second}/{what}");
        let gone = visit.submit(&path, &[("csrf", &token)]).await;
        assert!(gone.status == 404 && is_page(&gone), "{gone:?}");
    }
}

#[actix_web::test]
async fn all_kinds_of_messages_are_in_one_list_with_filters_and_details() {
    let stage = Stage::new();
    let broker = Broker::start(stage.agent(
        &stage.script("echo.sh", "cat > /dev/null; echo \"fine by me\"\n"),
        "",
    ))
    .await;
    let visit = Visit::operator(&broker).await;
    broker.chat(&chat("to the mailbox", json!({}))).await;
    broker.ask("to the agent", "bob").await;
    let look = async || visit.page("/web/messages").await;
    let is_filed = |page: &String| page.contains("data-state=\"filed\"");
    let page = until_async("a filed message", look, is_filed).await;
    let at = |text: &str| {
        page.find(text)
            .unwrap_or_else(|| panic!("no `{text}` in {page}"))
    };
    assert!(
        at("to the agent") < at("to the mailbox"),
        "the newest is first"
    );
    for (query, shown, hidden) in [
        ("?kind=mailbox", "to the mailbox", "to the agent"),
        ("?state=filed", "to the mailbox", "to the agent"),
        ("?kind=chat", "to the agent", "to the mailbox"),
        ("?state=answered", "to the agent", "to the mailbox"),
        ("?agent=coder", "to the agent", "to the mailbox"),
    ] {
        let page = visit.page(&format!("/web/messages{query}")).await;
        assert!(
            page.contains(shown) && !page.contains(hidden),
            "{query}: {page}"
        );
    }
    let none = visit.page("/web/messages?state=failed").await;
    assert!(none.contains("There are none."), "{none}");
    let id_before = |text: &str| {
        let (before, _) = page.split_at(at(text));
        let id = before.rsplit("data-message=\"").next().unwrap();
        id.split('"').next().unwrap().to_owned()
    };
    let chat = visit
        .page(&format!("/web/messages/{}", id_before("to the agent")))
        .await;
    assert!(chat.contains("fine by me"), "the answer: {chat}");
    let filed = visit
        .page(&format!("/web/messages/{}", id_before("to the mailbox")))
        .await;
    assert!(filed.contains("local-agent"), "the body: {filed}");
}

#[actix_web::test]
async fn a_revoked_key_ends_its_sessions() {
    let home = UserHome::new();
    let daemon = home.daemon(&[]).await;
    let made = home
        .run(&["keys", "add", "boss", "--role", "operator", "--json"])
        .ok();
    let made: Value = serde_json::from_str(&made).unwrap();
    let mut visit = Visit::stranger(daemon.endpoint());
    visit.log_in(made["key"].as_str().unwrap()).await;
    assert_eq!(visit.get("/").await.status, 200);
    home.run(&["keys", "add", "other", "--role", "operator"])
        .ok();
    home.run(&["keys", "revoke", "boss"]).ok();
    assert_eq!(visit.get("/").await.status, 303);
}

#[actix_web::test]
async fn without_keys_it_is_open_to_this_machine_and_to_no_foreign_page() {
    let home = UserHome::new();
    let daemon = home.daemon(&[]).await;
    let visit = Visit::stranger(daemon.endpoint());
    let page = visit.page("/").await;
    assert!(
        page.contains("everybody on this machine may do everything"),
        "{page}"
    );
    assert_eq!(visit.get("/web/login").await.header("location"), Some("/"));
    let ask = async |headers: &[(&str, &str)]| {
        send(daemon.endpoint(), "GET", "/", String::new(), headers).await
    };
    for headers in [("host", "evil.example"), ("origin", "https://evil.example")] {
        let refused = ask(&[headers]).await;
        assert!(refused.status == 403 && is_page(&refused), "{refused:?}");
    }
    let page_of_this_machine = ask(&[("origin", "http://localhost:3000")]).await;
    assert_eq!(
        page_of_this_machine.header("access-control-allow-origin"),
        None
    );
    let stop = "/web/agents/manager/stop";
    assert_eq!(visit.submit(stop, &[]).await.status, 403);
    visit.acts(stop).await;
    home.run(&["keys", "add", "boss", "--role", "operator"])
        .ok();
    assert_eq!(
        visit.get("/").await.status,
        303,
        "from now on everybody is asked"
    );
}

#[actix_web::test]
async fn every_answer_has_the_headers_of_a_page_and_every_error_is_one() {
    let broker = Broker::start(plain()).await;
    let visit = Visit::operator(&broker).await;
    for (path, status) in [
        ("/", 200),
        ("/web/login", 303),
        ("/web/nowhere", 404),
        ("/web/nowhere/at/all", 404),
        ("/web/messages/none", 404),
        ("/web/messages/00000000-0000-0000-0000-000000000001", 404),
        ("/web/turns/00000000-0000-0000-0000-000000000001", 404),
        ("/web/agents/nobody", 404),
        ("/web/agents/..%2f..", 404),
        ("/web/logout", 405),
        ("/web/assets/none.css", 404),
    ] {
        let answer = visit.get(path).await;
        assert_eq!(answer.status, status, "{path}: {answer:?}");
        let policy = answer.header("content-security-policy").unwrap_or_default();
        assert!(
            policy.starts_with("default-src 'none'; style-src 'self'"),
            "{path}: {answer:?}"
        );
        assert_eq!(
            answer.header("x-content-type-options"),
            Some("nosniff"),
            "{path}"
        );
        assert_eq!(
            answer.header("referrer-policy"),
            Some("no-referrer"),
            "{path}"
        );
        assert_eq!(answer.header("cache-control"), Some("no-store"), "{path}");
        assert!(status == 303 || is_page(&answer), "{path}: {answer:?}");
    }
    let stranger = Visit::stranger(broker.url());
    for (name, kind) in [
        ("style.css", "text/css; charset=utf-8"),
        ("live.js", "text/javascript; charset=utf-8"),
        ("icon.svg", "image/svg+xml"),
    ] {
        let asset = stranger.get(&format!("/web/assets/{name}")).await;
        assert_eq!(
            (asset.status, asset.header("content-type")),
            (200, Some(kind))
        );
        assert_eq!(asset.header("x-content-type-options"), Some("nosniff"));
    }
}

#[actix_web::test]
async fn switched_off_it_is_an_unknown_path() {
    let options =
        BrokerOptions::toml("[mailbox]\ninbox = \"{inbox}\"\n[endpoints]\ndashboard = false\n");
    let broker = Broker::start(options).await;
    for path in [
        "/",
        "/web",
        "/web/login",
        "/web/live?page=/",
        "/web/assets/style.css",
    ] {
        let answer = broker.get(path).await;
        assert_eq!(answer.status, 404, "{path}: {answer:?}");
        assert_eq!(answer.json()["error"]["type"], "not_found_error", "{path}");
    }
}
