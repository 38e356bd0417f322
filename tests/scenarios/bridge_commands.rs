//! `bridge status` and `bridge login`, as a user gives them.

use std::{fs, os::unix::fs::PermissionsExt, process::Stdio};

use serde_json::{Value, json};

use crate::support::{
    backend::{ScriptedBackend, json_answer},
    client::send,
    sides::{API_KEY, Side, TOKEN},
    user_home::{Ran, UserHome},
};

/// Gives a command, with something on its standard input. The test's own servers go on meanwhile.
async fn give(home: &UserHome, args: &[&str], input: &str) -> Ran {
    let mut command = home.command(args);
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let input = input.to_owned();
    let running = tokio::task::spawn_blocking(move || {
        let mut child = command.spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        // It may end without reading.
        let _ = std::io::Write::write_all(&mut stdin, input.as_bytes());
        drop(stdin);
        child.wait_with_output().unwrap()
    });
    let output = running.await.unwrap();
    let ran = Ran {
        code: output.status.code(),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    };
    let said = format!("{}{}", ran.out, ran.err);
    assert!(!said.contains(TOKEN) && !said.contains(API_KEY), "{ran:?}");
    ran
}

fn configure(home: &UserHome, remote: &str, token: &str, bridge: &str) {
    let port = bridge.rsplit_once(':').unwrap().1;
    let text = format!("[bridge]\nremote_url = \"{remote}\"\ntoken = \"{token}\"\nport = {port}\n");
    fs::create_dir_all(home.base()).unwrap();
    fs::write(home.base().join("postroom.toml"), text).unwrap();
}

/// What `bridge status` says: exit code, states, and its last line.
async fn status(home: &UserHome) -> (Option<i32>, [String; 3], String) {
    let json = give(home, &["bridge", "status", "--json"], "").await;
    let told: Value = serde_json::from_str(&json.out).unwrap();
    let state = |part: &str| told[part]["state"].as_str().unwrap_or_default().to_owned();
    let ran = give(home, &["bridge", "status"], "").await;
    assert_eq!(ran.code, json.code);
    let last = ran.out.lines().last().unwrap_or_default().to_owned();
    (
        ran.code,
        [state("bridge"), state("remote"), state("token")],
        last,
    )
}

async fn models_api() -> ScriptedBackend {
    let list = json!({"object": "list", "data": [{"id": "m", "object": "model"}]});
    ScriptedBackend::start(json_answer("200 OK", &list)).await
}

#[actix_web::test]
async fn status_tells_what_is_wrong_and_what_to_do() {
    let api = models_api().await;
    let proxy = Side::proxy(api.url(), "").await;
    let bridge = Side::bridge(proxy.url(), &[]).await;
    let home = UserHome::new();
    configure(&home, proxy.url(), TOKEN, bridge.url());
    let (code, states, last) = status(&home).await;
    assert_eq!(
        (code, states),
        (Some(0), ["ok", "ok", "ok"].map(str::to_owned)),
        "{last}"
    );
    let ran = give(&home, &["bridge", "status"], "").await;
    let timed = ran
        .out
        .lines()
        .filter(|line| line.ends_with(" ms)"))
        .count();
    assert_eq!(timed, 3, "{ran:?}");

    configure(&home, proxy.url(), "wrong-one", bridge.url());
    let (code, states, last) = status(&home).await;
    assert_eq!(
        (code, states),
        (Some(1), ["ok", "ok", "wrong"].map(str::to_owned)),
        "{last}"
    );
    assert!(last.contains("postroom bridge login"), "{last}");

    let bridge_url = bridge.url().to_owned();
    assert_eq!(bridge.stop().await, Some(0));
    configure(&home, proxy.url(), TOKEN, &bridge_url);
    let (code, states, last) = status(&home).await;
    assert_eq!(
        (code, states),
        (Some(1), ["down", "ok", "ok"].map(str::to_owned)),
        "{last}"
    );
    assert!(last.contains("postroom bridge run"), "{last}");

    let proxy_url = proxy.url().to_owned();
    let bridge = Side::bridge(&proxy_url, &[]).await;
    assert_eq!(proxy.stop().await, Some(0));
    configure(&home, &proxy_url, TOKEN, bridge.url());
    let (code, states, last) = status(&home).await;
    assert_eq!(
        (code, states),
        (Some(1), ["ok", "down", "unknown"].map(str::to_owned)),
        "{last}"
    );
    assert!(last.contains(&proxy_url) && last.contains("runs"), "{last}");
}

#[actix_web::test]
async fn status_tells_the_finer_cases_apart() {
    let api = models_api().await;
    let proxy = Side::proxy(api.url(), "").await;
    let home = UserHome::new();
    let ran = give(&home, &["bridge", "status"], "").await;
    assert_eq!(ran.code, Some(1));
    assert!(ran.out.contains("postroom bridge login"), "{ran:?}");
    // Something else has the port.
    configure(&home, proxy.url(), TOKEN, api.url());
    let (code, states, last) = status(&home).await;
    assert_eq!(
        (code, states),
        (Some(1), ["wrong", "ok", "ok"].map(str::to_owned)),
        "{last}"
    );
    assert!(last.contains("proxy-bridge"), "{last}");
    // The bridge that runs has an old token, or another remote side.
    let old = Side::bridge_with(proxy.url(), "an-old-token", &[], "").await;
    configure(&home, proxy.url(), TOKEN, old.url());
    let (code, states, last) = status(&home).await;
    assert_eq!(
        (code, states),
        (Some(1), ["wrong", "ok", "ok"].map(str::to_owned)),
        "{last}"
    );
    assert!(last.contains("start the running bridge again"), "{last}");
    // The token is right, and the API does not know the proxy's own key.
    let refusing =
        ScriptedBackend::start(json_answer("401 Unauthorized", &json!({"error": {}}))).await;
    let proxy = Side::proxy(refusing.url(), "").await;
    let bridge = Side::bridge(proxy.url(), &[]).await;
    configure(&home, proxy.url(), TOKEN, bridge.url());
    let (code, states, last) = status(&home).await;
    assert_eq!((code, states[2].as_str()), (Some(1), "unknown"), "{last}");
    assert!(last.contains("OPENAI_API_KEY"), "{last}");
}

#[actix_web::test]
async fn login_tries_writes_and_leaves_the_rest_alone() {
    let api = models_api().await;
    let proxy = Side::proxy(api.url(), "").await;
    let home = UserHome::new();
    let file = home.base().join("postroom.toml");
    fs::create_dir_all(home.base()).unwrap();
    fs::write(&file, "# mine\n[server]\nport = 7012 # as ever\n").unwrap();
    let args = [
        "bridge",
        "login",
        "--url",
        proxy.url(),
        "--model",
        "a/b=The A",
        "--model",
        "c",
    ];
    let ran = give(&home, &args, "").await;
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.err.contains("--token-file"), "{ran:?}");
    let with_token = [&args[..], &["--token-stdin"]].concat();
    let ran = give(&home, &with_token, "not-the-token\n").await;
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.out.contains("nothing was written"), "{ran:?}");
    assert!(!fs::read_to_string(&file).unwrap().contains("bridge"));
    give(&home, &with_token, &format!("{TOKEN}\n")).await.ok();
    let text = fs::read_to_string(&file).unwrap();
    assert!(
        text.starts_with("# mine\n[server]\nport = 7012 # as ever\n"),
        "{text}"
    );
    assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    let table: toml::Table = toml::from_str(&text).unwrap();
    assert_eq!(table["bridge"]["token"].as_str(), Some(TOKEN));
    assert_eq!(table["bridge"]["models"][0]["name"].as_str(), Some("The A"));
    // What was written is what a bridge runs with.
    let look = give(&home, &["config", "show"], "").await;
    assert!(look.out.contains(proxy.url()), "{look:?}");
    // A second login keeps what it is not told.
    let ran = give(&home, &["bridge", "login", "--port", "18809"], "").await;
    ran.ok();
    let again: toml::Table = toml::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
    assert_eq!(again["bridge"]["token"].as_str(), Some(TOKEN));
    assert_eq!(again["bridge"]["port"].as_integer(), Some(18809));
    assert_eq!(again["bridge"]["models"], table["bridge"]["models"]);
}

#[actix_web::test]
async fn login_takes_over_from_openclaws_plugin() {
    let api = models_api().await;
    let proxy = Side::proxy(api.url(), "").await;
    let home = UserHome::new();
    let openclaw = home.path(".openclaw/openclaw.json");
    fs::create_dir_all(openclaw.parent().unwrap()).unwrap();
    let before = format!(
        "{{\n  // the harbour's own\n  gateway: {{ mode: 'local', auth: {{ token: 'gateway-canary' }} }},\n  plugins: {{ entries: {{ \"proxy-bridge\": {{ enabled: true, config: {{\n    remoteUrl: \"{}\", proxyToken: \"{TOKEN}\", bridgePort: 18811, models: [{{ id: \"x/y\" }}],\n  }} }} }} }},\n}}\n",
        proxy.url()
    );
    fs::write(&openclaw, &before).unwrap();
    let ran = give(&home, &["bridge", "login", "--openclaw"], "").await;
    assert_eq!(
        ran.code,
        Some(1),
        "without a yes nothing of OpenClaw's is changed: {ran:?}"
    );
    assert!(
        ran.out.contains("models.providers.proxy-bridge.baseUrl"),
        "{ran:?}"
    );
    assert_eq!(fs::read_to_string(&openclaw).unwrap(), before);
    let args = ["bridge", "login", "--openclaw", "--default-model", "--yes"];
    let said = give(&home, &args, "").await.ok();
    assert!(!said.contains("gateway-canary"), "{said}");
    let after = fs::read_to_string(&openclaw).unwrap();
    assert!(after.contains("// the harbour's own"), "{after}");
    for part in [
        "http://127.0.0.1:18811/v1",
        "openai-completions",
        "proxy-bridge/x/y",
        "enabled: false",
    ] {
        assert!(after.contains(part), "{part}: {after}");
    }
    let kept = openclaw.with_extension("json.before-bridge");
    assert_eq!(fs::read_to_string(&kept).unwrap(), before);
    assert_eq!(kept.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    let toml = fs::read_to_string(home.base().join("postroom.toml")).unwrap();
    assert!(toml.contains(TOKEN) && toml.contains("18811"), "{toml}");
}

#[actix_web::test]
async fn a_bridge_runs_with_what_login_wrote() {
    let api = models_api().await;
    let proxy = Side::proxy(api.url(), "").await;
    let home = UserHome::new();
    let args = ["bridge", "login", "--url", proxy.url(), "--token-stdin"];
    give(&home, &args, TOKEN).await.ok();
    let mut command = home.command(&["bridge", "run", "--port", "0", "--log-format", "json"]);
    let log = fs::File::create(home.path("bridge.log")).unwrap();
    let mut child = command.stderr(log).spawn().unwrap();
    let endpoint = || {
        let log = fs::read_to_string(home.path("bridge.log")).unwrap();
        let told: Vec<Value> = log
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok())
            .collect();
        told.iter()
            .find_map(|line| line["endpoint"].as_str().map(str::to_owned))
    };
    let url = crate::support::wait::until("the bridge", endpoint, Option::is_some).await;
    let answer = send(&url.unwrap(), "GET", "/v1/models", String::new(), &[]).await;
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(answer.json()["data"][0]["id"], "m");
}
