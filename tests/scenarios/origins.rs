//! Web pages: which may ask, and which may read.

use crate::support::{
    broker::{Broker, BrokerOptions},
    client::Answer,
    user_home::{Daemon, UserHome},
};

const EVIL: &str = "https://evil.example";
const CHAT: &str = "https://chat.example";
const ORDER: &str = r#"{"name": "evil", "role": "operator"}"#;

async fn ask(daemon: &Daemon, method: &str, path: &str, headers: &[(&str, &str)]) -> Answer {
    let body = if method == "POST" { ORDER } else { "" };
    daemon.send(method, path, body, headers).await
}

fn code(answer: &Answer) -> (u16, String) {
    let code = answer.json()["error"]["code"].clone();
    (answer.status, code.as_str().unwrap_or_default().to_owned())
}

const PREFLIGHT: (&str, &str) = ("access-control-request-method", "POST");

#[actix_web::test]
async fn without_a_key_foreign_names_and_pages_are_refused_and_nothing_is_done() {
    let home = UserHome::new();
    home.configure("[server]\nallowed_origins = [\"https://chat.example\"]\nallowed_hosts = [\"broker.example\"]\n");
    let daemon = home.daemon(&[]).await;
    for path in ["/v1/models", "/messages", "/agents", "/openapi.json"] {
        for host in ["evil.example", "evil.example:7011", "192.0.2.1"] {
            let answer = ask(&daemon, "GET", path, &[("host", host)]).await;
            assert_eq!(
                code(&answer),
                (403, "foreign_host".to_owned()),
                "{path} {host}"
            );
            assert!(answer.text.contains("server.allowed_hosts"), "{answer:?}");
        }
    }
    for origin in [EVIL, "null", "http://localhost.evil.example"] {
        let headers = [("origin", origin), ("content-type", "text/plain")];
        let answer = ask(&daemon, "POST", "/keys", &headers).await;
        assert_eq!(
            code(&answer),
            (403, "foreign_origin".to_owned()),
            "{origin}"
        );
        assert_eq!(answer.header("access-control-allow-origin"), None);
    }
    assert!(home.run(&["keys", "list"]).ok().starts_with("no keys"));
    for host in [
        "localhost:1",
        "127.0.0.1",
        "[::1]:7011",
        "broker.example",
        "host.docker.internal:7011",
    ] {
        let answer = ask(&daemon, "GET", "/v1/models", &[("host", host)]).await;
        assert_eq!(answer.status, 200, "{host}");
    }
    let probe = ask(&daemon, "GET", "/healthz", &[("host", "evil.example")]).await;
    assert_eq!(probe.status, 200, "probes tell nothing");
}

#[actix_web::test]
async fn pages_of_this_machine_and_allowed_ones_ask_and_read() {
    let home = UserHome::new();
    home.configure("[server]\nallowed_origins = [\"https://chat.example\"]\npublic_url = \"https://broker.example\"\n");
    let daemon = home.daemon(&[]).await;
    for origin in ["http://localhost:3000", CHAT, "https://broker.example"] {
        for path in ["/v1/models", "/nowhere"] {
            let answer = ask(&daemon, "GET", path, &[("origin", origin)]).await;
            assert_eq!(
                answer.header("access-control-allow-origin"),
                Some(origin),
                "{path}"
            );
            assert_eq!(answer.header("vary"), Some("Origin"));
        }
    }
    let plain = ask(&daemon, "GET", "/v1/models", &[]).await;
    assert_eq!(
        (plain.status, plain.header("access-control-allow-origin")),
        (200, None)
    );
}

#[actix_web::test]
async fn a_browser_that_asks_beforehand_is_told_what_an_allowed_page_may_send() {
    let options = BrokerOptions::toml(format!(
        "allowed_origins = [{CHAT:?}]\n[mailbox]\ninbox = {:?}\n",
        "{inbox}"
    ));
    let broker = Broker::start(options).await;
    let wanted = (
        "access-control-request-headers",
        "authorization,content-type,x-stainless-os",
    );
    let path = "/v1/chat/completions";
    let headers = [
        ("origin", CHAT),
        PREFLIGHT,
        wanted,
        ("access-control-request-private-network", "true"),
    ];
    let told = broker.send("OPTIONS", path, String::new(), &headers).await;
    assert_eq!((told.status, told.text.as_str()), (204, ""), "{told:?}");
    for (name, value) in [
        ("access-control-allow-origin", CHAT),
        ("access-control-allow-methods", "GET, POST, DELETE, OPTIONS"),
        ("access-control-allow-headers", wanted.1),
        ("access-control-allow-private-network", "true"),
        ("access-control-max-age", "600"),
        ("vary", "Origin"),
    ] {
        assert_eq!(told.header(name), Some(value), "{name}");
    }
    let refused = broker
        .send(
            "OPTIONS",
            path,
            String::new(),
            &[("origin", EVIL), PREFLIGHT],
        )
        .await;
    assert_eq!(code(&refused), (403, "foreign_origin".to_owned()));
    assert_eq!(refused.header("access-control-allow-origin"), None);
    let no_page = broker.send("OPTIONS", path, String::new(), &[]).await;
    assert_eq!(no_page.status, 401, "no browser asks so");
    let unknown = broker
        .send("GET", "/v1/models", String::new(), &[("origin", CHAT)])
        .await;
    assert_eq!(
        (
            unknown.status,
            unknown.header("access-control-allow-origin")
        ),
        (401, Some(CHAT))
    );
}

#[actix_web::test]
async fn whoever_shows_a_key_may_come_by_any_name_and_from_any_page() {
    let broker = Broker::start(BrokerOptions::default()).await;
    let key = format!("Bearer {}", broker.key());
    for (name, value) in [
        ("host", "broker.behind.a.proxy"),
        ("origin", EVIL),
        ("origin", "null"),
    ] {
        let headers = [("authorization", key.as_str()), (name, value)];
        let answer = broker
            .send("GET", "/v1/models", String::new(), &headers)
            .await;
        assert_eq!(answer.status, 200, "{name}: {value}");
        assert_eq!(answer.header("access-control-allow-origin"), None);
    }
    for name in ["host", "origin"] {
        let answer = broker
            .send("GET", "/v1/models", String::new(), &[(name, EVIL)])
            .await;
        assert_eq!(answer.status, 401, "{name}");
    }
}
