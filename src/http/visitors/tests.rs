//! Which names and pages are ours.

use actix_web::http::header::HeaderValue;

use super::*;

fn allows(visitors: &Visitors, headers: &[(&'static str, &str)]) -> bool {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.append(
            HeaderName::from_static(name),
            HeaderValue::from_str(value).unwrap(),
        );
    }
    visitors.check(&map).is_ok()
}

fn local() -> Visitors {
    let hosts = ["Broker.example".to_owned()];
    let origins = ["https://chat.example/".to_owned()];
    Visitors::new("server", "127.0.0.1", &hosts, &origins)
        .with_own_url("https://Postroom.example:8443/base")
}

#[test]
fn only_names_of_this_machine_and_configured_ones_are_ours() {
    for host in [
        "127.0.0.1",
        "127.0.0.1:7011",
        "127.8.9.10:1",
        "LOCALHOST:7011",
        "localhost.",
        "api.localhost",
        "[::1]:7011",
        "[::ffff:127.0.0.1]",
        "host.docker.internal:7011",
        "broker.example:7011",
        "postroom.example",
    ] {
        assert!(allows(&local(), &[("host", host)]), "{host}");
    }
    for host in [
        "evil.example",
        "evil.example:7011",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "evil-localhost",
        "host.docker.internal.evil.example",
        "192.0.2.1",
        "[2001:db8::1]:7011",
        "",
        "localhost:x",
        "a@localhost:7011:80",
    ] {
        assert!(!allows(&local(), &[("host", host)]), "{host}");
    }
    assert!(allows(&local(), &[]), "no browser leaves the name out");
}

#[test]
fn pages_of_others_are_refused() {
    let asks = |origin: &str| allows(&local(), &[("host", "localhost"), ("origin", origin)]);
    for origin in [
        "http://localhost:3000",
        "http://127.0.0.1",
        "http://[::1]:8080",
        "tauri://localhost",
        "https://chat.example",
        "https://postroom.example:8443",
    ] {
        assert!(asks(origin), "{origin}");
    }
    for origin in [
        "null",
        "https://evil.example",
        "http://chat.example",
        "https://chat.example:444",
        "https://postroom.example",
        "http://localhost.evil.example",
        "https://chat.example.evil",
        "",
    ] {
        assert!(!asks(origin), "{origin}");
    }
}

#[test]
fn whoever_listens_everywhere_is_reached_by_any_address_but_not_by_any_name() {
    let visitors = Visitors::new("server", "0.0.0.0", &[], &[]);
    assert!(allows(&visitors, &[("host", "192.0.2.1:7011")]));
    assert!(!allows(&visitors, &[("host", "evil.example")]));
    assert!(allows(
        &visitors.by_any_name(),
        &[("host", "postroom:7011")]
    ));
}

#[test]
fn a_page_of_others_is_refused_under_any_name_of_ours() {
    let visitors = local().by_any_name();
    let page = |origin| [("host", "x"), ("origin", origin)];
    assert!(allows(&visitors, &page("https://chat.example")));
    assert!(!allows(&visitors, &page("https://evil.example")));
}
