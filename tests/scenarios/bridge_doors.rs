//! Who is let in on both sides, and what is refused at the start.

use serde_json::json;

use crate::support::{
    backend::{ScriptedBackend, Step, json_answer},
    broker::{Broker, BrokerOptions},
    client::send,
    sides::{API_KEY, Api, Side, TOKEN, Talk},
    user_home::UserHome,
};

async fn status(side: &Side, headers: &[(&str, &str)]) -> (u16, String) {
    let answer = send(side.url(), "GET", "/v1/files", String::new(), headers).await;
    let code = answer.json()["error"]["code"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    (answer.status, code)
}

#[actix_web::test]
async fn the_proxy_asks_for_its_token_in_either_header() {
    let api = ScriptedBackend::start(json_answer("200 OK", &json!({}))).await;
    let proxy = Side::proxy(api.url(), "").await;
    let bearer = format!("Bearer {TOKEN}");
    for headers in [
        &[("x-proxy-token", TOKEN)][..],
        &[("authorization", bearer.as_str())],
        &[
            ("authorization", "Bearer of-somebody-else"),
            ("x-proxy-token", TOKEN),
        ],
    ] {
        assert_eq!(status(&proxy, headers).await.0, 200, "{headers:?}");
    }
    let asked = api.asked().len();
    for headers in [
        &[][..],
        &[("x-proxy-token", "wrong")],
        &[("x-proxy-token", "")],
        &[("authorization", TOKEN)],
        &[("authorization", "Basic dG9rZW4=")],
    ] {
        assert_eq!(status(&proxy, headers).await.0, 401, "{headers:?}");
    }
    let (_, code) = status(&proxy, &[("x-proxy-token", "wrong")]).await;
    assert_eq!(code, "wrong_proxy_token");
    assert_eq!(api.asked().len(), asked);
}

#[actix_web::test]
async fn whoever_guesses_tokens_is_slowed_down_and_whoever_knows_it_is_not() {
    let api = ScriptedBackend::start(json_answer("200 OK", &json!({}))).await;
    let keys = "[server]\ntrusted_proxies = [\"127.0.0.1\"]\n";
    let proxy = Side::proxy(api.url(), keys).await;
    let guess = |token: &'static str| [("x-proxy-token", token), ("x-forwarded-for", "192.0.2.9")];
    for _ in 0..10 {
        assert_eq!(status(&proxy, &guess("wrong")).await.0, 401);
    }
    let answer = send(
        proxy.url(),
        "GET",
        "/v1/files",
        String::new(),
        &guess("wrong"),
    )
    .await;
    assert_eq!(
        (answer.status, answer.header("retry-after")),
        (429, Some("300"))
    );
    assert_eq!(status(&proxy, &guess(TOKEN)).await.0, 200);
}

#[actix_web::test]
async fn bodies_over_the_limit_are_refused_before_and_while_they_come() {
    let api = Api::listen().await;
    let proxy = Side::proxy(&api.url(), "[limits]\nbody = \"1KiB\"\n").await;
    let head = format!(
        "POST /v1/files HTTP/1.1\r\nHost: {}\r\nX-Proxy-Token: {TOKEN}\r\n",
        proxy.address()
    );
    let mut client = Talk::with(&proxy).await;
    client
        .say(&format!("{head}Content-Length: 1025\r\n\r\n"))
        .await;
    assert!(client.hear("\r\n\r\n").await.contains(" 413 "));
    let mut client = Talk::with(&proxy).await;
    client
        .say(&format!("{head}Transfer-Encoding: chunked\r\n\r\n"))
        .await;
    client
        .say(&format!("400\r\n{}\r\n", "x".repeat(1024)))
        .await;
    let mut talk = api.accept().await;
    talk.hear("xxx").await;
    client.say("1\r\nx\r\n").await;
    assert!(client.hear("\r\n\r\n").await.contains(" 413 "));
    talk.closed().await;
    assert!(
        !talk.rest().contains("0\r\n\r\n"),
        "the request never became whole"
    );
}

#[actix_web::test]
async fn beyond_the_limit_of_requests_at_once_the_proxy_asks_to_come_back() {
    let api = ScriptedBackend::start_with(|number, _| {
        if number == 0 {
            vec![Step::Hold]
        } else {
            json_answer("200 OK", &json!({}))
        }
    })
    .await;
    let keys = "[upstream_proxy]\nmax_in_flight = 1\n";
    let proxy = Side::proxy(api.url(), keys).await;
    let mut first = Talk::with(&proxy).await;
    let host = proxy.address();
    let text = format!("GET /v1/files HTTP/1.1\r\nHost: {host}\r\nX-Proxy-Token: {TOKEN}\r\n\r\n");
    first.say(&text).await;
    crate::support::wait::until("the first", || api.asked().len(), |asked| *asked == 1).await;
    let answer = send(
        proxy.url(),
        "GET",
        "/v1/files",
        String::new(),
        &[("x-proxy-token", TOKEN)],
    )
    .await;
    assert_eq!(
        (answer.status, answer.header("retry-after")),
        (503, Some("1"))
    );
    drop(first);
    let again = async || status(&proxy, &[("x-proxy-token", TOKEN)]).await.0;
    crate::support::wait::until_async("room again", again, |status| *status == 200).await;
}

#[actix_web::test]
async fn a_proxy_without_a_token_is_for_this_machine_and_for_no_page_of_others() {
    let api = ScriptedBackend::start(json_answer("200 OK", &json!({}))).await;
    let proxy = Side::open_proxy(api.url()).await;
    assert_eq!(status(&proxy, &[]).await.0, 200);
    let asked = api.asked().remove(0);
    assert!(!asked.head.to_lowercase().contains("authorization"));
    assert_eq!(status(&proxy, &[("host", "evil.example")]).await.0, 403);
    let page = [("origin", "https://evil.example")];
    assert_eq!(status(&proxy, &page).await.0, 403);
}

#[actix_web::test]
async fn a_bridge_with_a_token_of_its_own_asks_for_it() {
    let api = ScriptedBackend::start(json_answer("200 OK", &json!({}))).await;
    let keys = "local_token = \"for-the-local-side\"";
    let bridge = Side::bridge_with(api.url(), TOKEN, &["--host", "0.0.0.0"], keys).await;
    let url = format!(
        "http://127.0.0.1:{}",
        bridge.url().rsplit_once(':').unwrap().1
    );
    for (headers, expected) in [
        (&[][..], 401),
        (&[("authorization", "Bearer wrong")], 401),
        (&[("x-proxy-token", "for-the-local-side")], 401),
        (&[("authorization", "Bearer for-the-local-side")], 200),
    ] {
        let answer = send(&url, "GET", "/v1/files", String::new(), headers).await;
        assert_eq!(answer.status, expected, "{headers:?}");
    }
}

#[test]
fn what_would_be_open_to_others_or_could_not_work_does_not_start() {
    let home = UserHome::new();
    for (args, variables, part) in [
        (&["bridge", "run"][..], &[][..], "postroom bridge login"),
        (
            &["bridge", "run"],
            &[("PROXY_BRIDGE_URL", "https://p.example")],
            "bridge.token",
        ),
        (
            &["bridge", "run"],
            &[
                ("PROXY_BRIDGE_URL", "http://p.example"),
                ("PROXY_BRIDGE_TOKEN", TOKEN),
            ],
            "--allow-insecure",
        ),
        (
            &["bridge", "run", "--host", "0.0.0.0"],
            &[
                ("PROXY_BRIDGE_URL", "https://p.example"),
                ("PROXY_BRIDGE_TOKEN", TOKEN),
            ],
            "bridge.local_token",
        ),
        (
            &["upstream-proxy"],
            &[("OPENAI_API_KEY", API_KEY)],
            "upstream_proxy.token",
        ),
        (
            &["upstream-proxy"],
            &[("OPENAI_PROXY_TOKEN", TOKEN)],
            "upstream_proxy.api_key",
        ),
        (
            &["upstream-proxy", "--base-url", "http://api.example/v1"],
            &[("OPENAI_PROXY_TOKEN", TOKEN), ("OPENAI_API_KEY", API_KEY)],
            "--allow-insecure",
        ),
    ] {
        let mut command = home.command(args);
        command.envs(variables.iter().copied());
        let output = command.output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(78), "{args:?}: {said}");
        assert!(said.contains(part), "{args:?}: {said}");
        assert!(!said.contains(TOKEN) && !said.contains(API_KEY), "{said}");
    }
}

#[actix_web::test]
async fn an_address_that_is_taken_is_named() {
    let api = Api::listen().await;
    let taken = api.url();
    let port = taken.trim_end_matches("/v1").rsplit_once(':').unwrap().1;
    let home = UserHome::new();
    let mut command = home.command(&["bridge", "run", "--port", port]);
    command.envs([
        ("PROXY_BRIDGE_URL", "https://p.example"),
        ("PROXY_BRIDGE_TOKEN", TOKEN),
    ]);
    let output = command.output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(
        said.contains("bridge.port") && said.contains("proxy-bridge"),
        "{said}"
    );
}

#[actix_web::test]
async fn serve_listens_for_the_bridge_too_where_there_is_one() {
    let api = ScriptedBackend::start(json_answer("200 OK", &json!({"theirs": 1}))).await;
    let toml = format!(
        "[mailbox]\ninbox = \"{{inbox}}\"\n[bridge]\nport = 0\nremote_url = \"{}\"\ntoken = \"{TOKEN}\"\n",
        api.url()
    );
    let broker = Broker::start(BrokerOptions::toml(toml)).await;
    let line = |line: &String| line.contains("the bridge listens");
    let look = || broker.log_lines().into_iter().find(line);
    let told = crate::support::wait::until("the bridge", look, Option::is_some).await;
    let told: serde_json::Value = serde_json::from_str(&told.unwrap()).unwrap();
    let url = told["endpoint"].as_str().unwrap();
    let answer = send(url, "GET", "/v1/files", String::new(), &[]).await;
    assert_eq!(answer.json(), json!({"theirs": 1}));
    let (ended, _) = broker.stop().await;
    assert!(ended.success(), "{ended}");
}
