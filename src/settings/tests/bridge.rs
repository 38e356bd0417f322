//! `[bridge]` and `[upstream_proxy]`.

use super::*;

const TOKEN: &str = "0123456789abcdef";

fn bridge(keys: &str) -> Place {
    toml(&format!("[bridge]\ntoken = \"{TOKEN}\"\n{keys}"))
}

fn proxy(keys: &str) -> Place {
    toml(&format!("[upstream_proxy]\n{keys}"))
}

#[test]
fn without_a_remote_side_there_is_no_bridge() {
    let settings = Place::new().settings();
    assert!(settings.bridge.remote.is_none());
    assert_eq!(
        (settings.bridge.port, settings.upstream_proxy.port),
        (18800, 8089)
    );
    let ids: Vec<_> = settings
        .bridge
        .models
        .iter()
        .map(|model| model.id.as_str())
        .collect();
    assert_eq!(ids, ["gpt-4o", "gpt-4o-mini"]);
    let problem = settings.bridge.remote().unwrap_err().to_string();
    assert!(problem.contains("postroom bridge login"), "{problem}");
    assert!(warns(&bridge("port = 1").settings(), "there is no bridge"));
}

#[test]
fn variables_of_the_plugin_set_it_up() {
    let settings = Place::new()
        .variable("PROXY_BRIDGE_URL", "https://proxy.example/v1/")
        .variable("PROXY_BRIDGE_TOKEN", TOKEN)
        .settings();
    let remote = settings.bridge.remote.unwrap();
    assert_eq!(remote.url, "https://proxy.example/v1");
    assert_eq!(&**remote.token.expose(), TOKEN);
}

#[test]
fn plain_http_leaves_this_machine_only_where_that_is_allowed() {
    for url in [
        "http://127.0.0.1:8089",
        "http://localhost:8089",
        "http://[::1]:8089",
        "https://p.example",
    ] {
        let place = bridge(&format!("remote_url = \"{url}\""));
        assert!(place.settings().bridge.remote.is_some(), "{url}");
    }
    let open = "remote_url = \"http://p.example:8089\"";
    let problems = bridge(open).problems();
    assert!(problems.contains("--allow-insecure"), "{problems}");
    bridge(&format!("{open}\nallow_insecure = true")).settings();
    let problems = proxy("base_url = \"HTTP://10.0.0.1/v1\"").problems();
    assert!(
        problems.contains("upstream_proxy.allow_insecure"),
        "{problems}"
    );
    proxy("base_url = \"http://10.0.0.1/v1\"\nallow_insecure = true").settings();
}

#[test]
fn a_bridge_that_could_not_work_or_is_open_to_others_is_refused() {
    for (keys, part) in [
        ("remote_url = \"p.example\"", "http://"),
        (
            "remote_url = \"https://u:p@p.example\"",
            "no user or password",
        ),
        ("remote_url = \"http://127.0.0.1:18800\"", "own address"),
        (
            "remote_url = \"https://p.example\"\nhost = \"0.0.0.0\"",
            "local_token",
        ),
        (
            "remote_url = \"https://p.example\"\nhost = \"300.1.1.1\"",
            "neither an address",
        ),
        (
            "remote_url = \"https://p.example\"\nidle_timeout = \"0s\"",
            "longer than 0",
        ),
        ("models = [{ name = \"No id\" }]", "needs an `id`"),
    ] {
        let problems = bridge(keys).problems();
        assert!(problems.contains(part), "{keys}: {problems}");
    }
    let problems = toml("[bridge]\nremote_url = \"https://p.example\"").problems();
    assert!(problems.contains("bridge.token"), "{problems}");
    bridge("remote_url = \"https://p.example\"\nhost = \"0.0.0.0\"\nlocal_token = \"fedcba9876543210\"")
        .settings();
}

#[test]
fn the_proxy_runs_only_with_a_token_or_on_loopback_and_with_a_key() {
    for (keys, part) in [
        ("api_key = \"sk-x\"", "upstream_proxy.token"),
        ("token = \"t\"", "upstream_proxy.api_key"),
        ("api_key = \"sk-x\"\nhost = \"::\"", "upstream_proxy.token"),
    ] {
        let settings = proxy(keys).settings();
        let problem = settings.upstream_proxy.runnable().unwrap_err().to_string();
        assert!(problem.contains(part), "{keys}: {problem}");
    }
    for keys in [
        "token = \"t\"\napi_key = \"sk-x\"",
        "host = \"127.0.0.1\"\napi_key = \"sk-x\"",
        "token = \"t\"\nbase_url = \"http://127.0.0.1:11434/v1\"",
    ] {
        let settings = proxy(keys).settings();
        assert!(settings.upstream_proxy.runnable().is_ok(), "{keys}");
    }
}

#[test]
fn variables_that_other_programs_read_too_never_stop_the_service() {
    let place = |url: &str| {
        Place::new()
            .variable("OPENAI_PROXY_TOKEN", TOKEN)
            .variable("OPENAI_API_KEY", "sk-x")
            .variable("OPENAI_BASE_URL", url)
    };
    let settings = place("https://api.example/v1").settings();
    assert_eq!(
        settings.upstream_proxy.runnable().unwrap(),
        "https://api.example/v1"
    );
    for url in ["api.example", "http://api.example/v1"] {
        let settings = place(url).settings();
        let problem = settings.upstream_proxy.runnable().unwrap_err().to_string();
        assert!(problem.contains("OPENAI_BASE_URL"), "{problem}");
    }
    let odd = Place::new()
        .variable("OPENAI_API_KEY", "two\nlines")
        .settings();
    assert!(odd.upstream_proxy.api_key.is_none());
}
