//! Peers and the courier: what is meant by what is written.

use postroom_actors::domain::{party::PeerName, peer::DEFAULT_SCHEDULE};

use super::*;

const WHSEC: &str = "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

fn peer(settings: &Settings, name: &str) -> PeerSettings {
    settings.peers[&PeerName::parse(name).unwrap()].clone()
}

fn shown(secret: Option<&Secret>) -> Option<&str> {
    secret.map(|secret| &**secret.expose())
}

#[test]
fn a_peer_that_says_only_where_it_is_has_the_usual_bounds() {
    let settings = toml("[peers.office]\nurl = \"https://office.example/\"").settings();
    let office = peer(&settings, "office");
    assert_eq!(office.url.as_deref(), Some("https://office.example"));
    assert_eq!(
        (office.concurrency, office.timeout, office.schedule.len()),
        (4, Duration::from_secs(15), 8)
    );
    assert!(!office.allow_private && !office.secret_send && !office.require_signature);
    assert!(office.signing.is_empty() && office.secret_in.is_none());
    assert_eq!(settings.warnings, Vec::<String>::new());
}

#[test]
fn without_a_word_there_are_no_peers_and_messages_stay_within_bounds() {
    let settings = Place::new().settings();
    assert!(settings.peers.is_empty() && settings.courier.reply_hosts.is_empty());
    assert_eq!(*settings.courier.schedule, DEFAULT_SCHEDULE);
    assert_eq!(settings.courier.most_waiting, 100_000);
    let limits = settings.limits;
    assert_eq!((limits.hops, limits.pair_rate, limits.repeats), (8, 60, 5));
    assert_eq!(settings.peer_profiles().all().count(), 0);
}

#[test]
fn one_secret_holds_both_ways_and_each_way_may_have_its_own() {
    let text = "[peers.a]\nsecret = \"secret-of-a-both-ways\"\n\
        [peers.b]\nsecret = \"secret-of-b-both-ways\"\nsecret_in = \"what-b-shows-to-us\"\n\
        [peers.c]\nsecret_out = \"what-we-show-to-c\"\nurl = \"https://c.example\"\n";
    let settings = toml(text).settings();
    for (name, secret_in, secret_out) in [
        (
            "a",
            Some("secret-of-a-both-ways"),
            Some("secret-of-a-both-ways"),
        ),
        (
            "b",
            Some("what-b-shows-to-us"),
            Some("secret-of-b-both-ways"),
        ),
        ("c", None, Some("what-we-show-to-c")),
    ] {
        let peer = peer(&settings, name);
        assert_eq!(shown(peer.secret_in.as_ref()), secret_in, "{name}");
        assert_eq!(shown(peer.secret_out.as_ref()), secret_out, "{name}");
        assert_eq!(shown(peer.prompt_secret()), None, "{name}");
    }
}

#[test]
fn only_a_peer_that_allows_it_has_a_secret_for_prompts_and_it_opens_the_door() {
    let text = "[peers.a]\nsecret = \"secret-of-a-both-ways\"\nsecret_send = true\n\
        [peers.b]\nsecret_in = \"what-b-shows-to-us\"\nsecret_out = \"what-we-show-to-b\"\nsecret_send = true\n\
        [peers.c]\nsecret_in = \"what-c-shows-to-us\"\nsecret_send = true\n\
        [peers.d]\nsecret = \"secret-of-d-both-ways\"\n";
    let settings = toml(text).settings();
    let profiles = settings.peer_profiles();
    for (name, prompt, opens) in [
        ("a", Some("secret-of-a-both-ways"), 1),
        ("b", Some("what-we-show-to-b"), 2),
        ("c", Some("what-c-shows-to-us"), 1),
        ("d", None, 1),
    ] {
        let profile = profiles.find(&PeerName::parse(name).unwrap()).unwrap();
        assert_eq!(profile.prompt_secret.as_deref(), prompt, "{name}");
        let peer = peer(&settings, name);
        assert_eq!(peer.secrets_in().count(), opens, "{name}");
        let opens_it = |secret: &str| peer.secrets_in().any(|known| &**known.expose() == secret);
        assert!(prompt.is_none_or(opens_it), "{name}");
    }
}

#[test]
fn the_core_learns_all_it_needs_of_a_peer() {
    let text = "[courier]\nschedule = [\"1s\"]\n\
        [peers.a]\nurl = \"https://a.example\"\ntypes = [\"TASK\"]\nanswer_types = [\"STATUS\"]\nto = \"bob\"\nschedule = [0, \"7s\"]\nconcurrency = 9\n\
        [peers.b]\nsecret = \"secret-of-b-both-ways\"\n";
    let profiles = toml(text).settings().peer_profiles();
    let find = |name: &str| profiles.find(&PeerName::parse(name).unwrap()).unwrap();
    let (a, b) = (find("a"), find("b"));
    assert!(a.is_reachable && !b.is_reachable);
    assert!(a.takes("TASK") && !a.takes("STATUS") && b.takes("STATUS"));
    assert_eq!(a.answer_types, ["STATUS"]);
    assert_eq!(a.to.as_ref().map(AgentId::as_str), Some("bob"));
    assert_eq!((a.concurrency, b.concurrency), (9, 4));
    assert_eq!(*a.schedule, [Duration::ZERO, Duration::from_secs(7)]);
    assert_eq!(*b.schedule, [Duration::from_secs(1)], "that of [courier]");
}

#[test]
fn private_addresses_are_for_peers_that_allow_them() {
    for url in [
        "http://127.0.0.1:7012",
        "http://[fd00::1]",
        "http://localhost:7012/x",
    ] {
        let refused = toml(&format!("[peers.a]\nurl = \"{url}\"")).problems();
        assert!(refused.contains("`allow_private = true`"), "{refused}");
        let text = format!("[peers.a]\nurl = \"{url}\"\nallow_private = true");
        assert_eq!(peer(&toml(&text).settings(), "a").url.as_deref(), Some(url));
    }
    let text =
        "[courier]\nreply_hosts = [\"10.0.0.1\", \"[::1]\", \"LocalHost\"]\nallow_private = true";
    let hosts = toml(text).settings().courier.reply_hosts;
    assert_eq!(hosts, ["10.0.0.1", "::1", "localhost"]);
}

#[test]
fn a_rotation_has_two_signing_secrets_the_current_one_first() {
    let previous = WHSEC.replace('A', "B");
    let text = format!(
        "[peers.a]\nsigning_secret = \"{WHSEC}\"\nsigning_secret_previous = \"{previous}\"\nrequire_signature = true"
    );
    let signing = peer(&toml(&text).settings(), "a").signing;
    let sign = |key: &SigningKey| key.sign("a", 1, b"{}");
    let signatures: Vec<String> = signing.iter().map(sign).collect();
    let expected: Vec<String> = [WHSEC, &previous]
        .iter()
        .map(|secret| sign(&SigningKey::parse(secret).unwrap()))
        .collect();
    assert_eq!(signatures, expected);
}

#[test]
fn every_secret_of_a_peer_may_lie_in_a_file() {
    let place = toml(
        "[peers.a]\nsecret_file = \"s\"\nsigning_secret_file = \"w\"\nsigning_secret_previous_file = \"w\"",
    )
    .file("work/s", "secret-of-a-both-ways\n")
    .file("work/w", format!("{WHSEC}\n"));
    let settings = place.settings();
    let a = peer(&settings, "a");
    assert_eq!(shown(a.secret_in.as_ref()), Some("secret-of-a-both-ways"));
    assert_eq!(a.signing.len(), 2);
}

#[test]
fn a_peer_that_can_do_nothing_and_a_secret_that_can_be_guessed_are_warned_of() {
    let settings = toml("[peers.a]\ntypes = [\"TASK\"]\n[peers.b]\nsecret = \"short\"").settings();
    assert!(warns(&settings, "`[peers.a]` has neither"));
    assert!(warns(&settings, "`peers.b.secret` is shorter than 16"));
}
