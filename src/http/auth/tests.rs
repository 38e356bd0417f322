//! Who is let in as whom, where there are peers.

use actix_web::{
    http::{StatusCode, header::HeaderMap},
    test::TestRequest,
};
use chrono::{DateTime, Utc};
use postroom_actors::{
    domain::{
        ids::TurnId,
        party::{Party, PeerName},
    },
    testing::MemoryTasks,
};
use tempfile::TempDir;
use uuid::Uuid;

use super::*;
use crate::{
    settings::{Flags, Settings, Sources, load},
    webhook_signature::SigningKey,
};

const KEY: &str = "[server]\nkey = \"the-operators-own-key\"\n";
const OFFICE: &str = "[peers.office]\nsecret = \"secret-of-the-office\"\n";
const CURRENT: &str = "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
const PREVIOUS: &str = "whsec_BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBB";
const FOREIGN: &str = "whsec_CCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCC";
const BODY: &[u8] = br#"{"type":"TASK","payload":{}}"#;
const NOW: i64 = 1_800_000_000;

struct StoppedClock;

impl Clock for StoppedClock {
    fn now(&self) -> DateTime<Utc> {
        DateTime::from_timestamp(NOW, 0).unwrap()
    }
}

/// Every token is of a turn that nobody remembers.
struct AnyToken;

impl TurnTokenCheck for AnyToken {
    fn verify(&self, _: &str) -> Option<TurnId> {
        Some(TurnId::new(Uuid::from_u128(1)))
    }
}

fn settings(text: &str) -> Settings {
    let folder = TempDir::new().unwrap();
    std::fs::write(folder.path().join("postroom.toml"), text).unwrap();
    let sources = Sources {
        flags: Flags::default(),
        environment: Vec::new(),
        working_dir: folder.path().to_owned(),
        home_dir: Some(folder.path().to_owned()),
        program_name: "postroom".to_owned(),
    };
    load(sources).unwrap_or_else(|error| panic!("{error}"))
}

fn door(text: &str) -> Door {
    let turns = TurnAccess {
        tokens: Arc::new(AnyToken),
        turns: Arc::new(MemoryTasks::default()),
    };
    let keys = Keys::new(&settings(text), Some("the-key-of-this-run"));
    Door::new(keys, turns, visitors(), Vec::new(), Arc::new(StoppedClock))
}

fn visitors() -> Visitors {
    Visitors::new("server", "127.0.0.1", &[], &[])
}

fn signing() -> String {
    format!(
        "[peers.signer]\nsigning_secret = \"{CURRENT}\"\nsigning_secret_previous = \"{PREVIOUS}\"\n"
    )
}

async fn ask(door: &Door, what: &str, headers: &[(&str, &str)]) -> Result<Caller, ApiError> {
    let (method, path) = what.split_once(' ').unwrap();
    let mut request = TestRequest::with_uri(path)
        .method(method.parse().unwrap())
        .peer_addr("192.0.2.9:1234".parse().unwrap());
    for header in headers {
        request = request.append_header(*header);
    }
    door.let_in(&request.to_srv_request()).await
}

/// The caller's name, `anyone`, or the status of the refusal.
async fn seen(door: &Door, what: &str, headers: &[(&str, &str)]) -> String {
    match ask(door, what, headers).await {
        Ok(caller) => caller.name().map_or("anyone".into(), ToString::to_string),
        Err(error) => status(&error).as_u16().to_string(),
    }
}

fn status(error: &ApiError) -> StatusCode {
    actix_web::ResponseError::status_code(error)
}

fn peer(name: &str) -> Caller {
    Caller::of_peer(PeerName::parse(name).unwrap())
}

const SECRET: (&str, &str) = ("x-shared-secret", "secret-of-the-office");
const WRONG: (&str, &str) = ("x-shared-secret", "secret-of-nobody");
const AS_BEARER: (&str, &str) = ("authorization", "Bearer secret-of-the-office");
const WRONG_BEARER: (&str, &str) = ("authorization", "Bearer nobody");
const OPERATOR: (&str, &str) = ("authorization", "Bearer the-operators-own-key");
const OLD_TURN: (&str, &str) = ("authorization", "Bearer turn_old");

#[actix_rt::test]
async fn with_keys_and_peers_each_is_known_by_what_it_shows() {
    let text = format!("{KEY}{OFFICE}");
    for what in [
        "POST /message",
        "POST /send",
        "GET /messages/1",
        "GET /v1/models",
    ] {
        for (headers, expected) in [
            (vec![], "401"),
            (vec![SECRET], "peer:office"),
            (vec![AS_BEARER], "peer:office"),
            (vec![OPERATOR], "key"),
            (vec![OPERATOR, SECRET], "key"),
            (vec![OPERATOR, WRONG], "key"),
            (vec![WRONG_BEARER, SECRET], "peer:office"),
            (vec![WRONG], "401"),
            (vec![WRONG_BEARER], "401"),
            (vec![SECRET, SECRET], "401"),
            (vec![("x-shared-secret", "")], "401"),
            (vec![OLD_TURN], "401"),
        ] {
            let seen = seen(&door(&text), what, &headers).await;
            assert_eq!(seen, expected, "{what} {headers:?}");
        }
    }
}

#[actix_rt::test]
async fn with_peers_and_no_keys_only_sending_is_closed_to_strangers() {
    for (what, stranger, wrong_bearer) in [
        ("POST /message", "401", "401"),
        ("POST /%6dessage", "401", "401"),
        ("POST /send", "401", "401"),
        ("GET /messages/1", "anyone", "401"),
        ("GET /message", "anyone", "anyone"),
        ("POST /v1/chat/completions", "anyone", "anyone"),
    ] {
        let is_for_messages = wrong_bearer == "401";
        let as_bearer = if is_for_messages {
            "peer:office"
        } else {
            "anyone"
        };
        for (headers, expected) in [
            (vec![], stranger),
            (vec![OLD_TURN], stranger),
            (vec![SECRET], "peer:office"),
            (vec![WRONG], "401"),
            (vec![AS_BEARER], as_bearer),
            (vec![WRONG_BEARER], wrong_bearer),
        ] {
            let seen = seen(&door(OFFICE), what, &headers).await;
            assert_eq!(seen, expected, "{what} {headers:?}");
        }
    }
}

#[actix_rt::test]
async fn without_peers_a_shared_secret_means_nothing() {
    for what in ["POST /message", "POST /send", "GET /v1/models"] {
        assert_eq!(seen(&door(""), what, &[WRONG]).await, "anyone", "{what}");
        assert_eq!(seen(&door(""), what, &[WRONG_BEARER]).await, "anyone");
        assert_eq!(seen(&door(KEY), what, &[WRONG]).await, "401", "{what}");
        assert_eq!(seen(&door(KEY), what, &[OPERATOR]).await, "key");
    }
}

#[actix_rt::test]
async fn a_secret_that_was_made_for_prompts_names_the_peer_too() {
    let text = "[peers.a]\nsecret_in = \"what-a-shows-to-us\"\nsecret_out = \"what-we-show-to-a\"\nsecret_send = true\n\
        [peers.b]\nsecret_in = \"what-b-shows-to-us\"\nsecret_out = \"what-we-show-to-b\"\n";
    for (secret, expected) in [
        ("what-a-shows-to-us", "peer:a"),
        ("what-we-show-to-a", "peer:a"),
        ("what-b-shows-to-us", "peer:b"),
        ("what-we-show-to-b", "401"),
    ] {
        let seen = seen(&door(text), "POST /send", &[("x-shared-secret", secret)]).await;
        assert_eq!(seen, expected, "{secret}");
    }
}

#[actix_rt::test]
async fn ten_wrong_secrets_from_one_address_lock_it_but_never_the_right_one() {
    let door = door(OFFICE);
    for _ in 0..10 {
        assert_eq!(seen(&door, "GET /v1/models", &[WRONG]).await, "401");
    }
    assert_eq!(seen(&door, "POST /message", &[WRONG]).await, "429");
    assert_eq!(seen(&door, "POST /message", &[SECRET]).await, "peer:office");
}

#[test]
fn a_peer_has_no_role_and_sees_its_own_alone() {
    let office = peer("office");
    for role in [Role::Client, Role::Agent, Role::Operator] {
        assert!(!office.may(role), "{role:?}");
    }
    assert_eq!(office.party().to_string(), "peer:office");
    assert!(office.may_see(office.name()));
    assert!(!office.may_see(peer("home").name()) && !office.may_see(None));
    let unproven = Caller::unproven(None);
    assert!(!unproven.may_see(None) && !unproven.may(Role::Client));
    assert_eq!(unproven.party(), Party::Anyone, "until it is proven");
}

#[test]
fn a_surface_that_needs_a_role_is_closed_to_a_peer() {
    let request = TestRequest::default().to_http_request();
    request.extensions_mut().insert(peer("office"));
    let refused = require(&request, Role::Client).unwrap_err();
    assert_eq!(status(&refused), StatusCode::FORBIDDEN);
    assert_eq!(correspondent(&request), Ok(peer("office")));
}

/// The headers of a message that was signed at `time`.
fn signed(secret: &str, time: i64) -> HeaderMap {
    let signature = SigningKey::parse(secret).unwrap().sign("m1", time, BODY);
    headers(&[
        ("webhook-id", "m1"),
        ("webhook-timestamp", &time.to_string()),
        ("webhook-signature", &signature),
    ])
}

fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
    let mut request = TestRequest::default();
    for pair in pairs {
        request = request.append_header(*pair);
    }
    request.to_srv_request().headers().clone()
}

/// The proven caller's name, or the status and the text of the refusal.
fn proven(door: &Door, caller: Caller, headers: &HeaderMap) -> String {
    match door.prove(caller, headers, BODY) {
        Ok(caller) => caller.name().unwrap().to_string(),
        Err(error) => format!("{} {error}", status(&error).as_u16()),
    }
}

#[actix_rt::test]
async fn a_signature_alone_is_let_in_on_message_and_only_there() {
    let shown = [("webhook-signature", "v1,AAAA")];
    let peers = door(&format!("{OFFICE}{}", signing()));
    let caller = ask(&peers, "POST /message", &shown).await.unwrap();
    assert!(caller.unproven_from().is_some() && caller.name().is_none());
    for what in ["POST /send", "GET /messages/1", "GET /v1/models"] {
        let caller = ask(&peers, what, &shown).await;
        assert!(
            !matches!(caller, Ok(caller) if caller.unproven_from().is_some()),
            "{what}"
        );
    }
    assert_eq!(seen(&door(OFFICE), "POST /message", &shown).await, "401");
    let wrong_too = [shown[0], WRONG];
    assert_eq!(seen(&peers, "POST /message", &wrong_too).await, "401");
}

#[test]
fn whose_secret_signed_a_message_is_its_sender() {
    let door = door(&format!("{OFFICE}{}", signing()));
    let stranger = || Caller::unproven(None);
    for secret in [CURRENT, PREVIOUS] {
        let seen = proven(&door, stranger(), &signed(secret, NOW));
        assert_eq!(seen, "peer:signer");
    }
    for (headers, name) in [
        (signed(FOREIGN, NOW), "a foreign secret"),
        (signed(FOREIGN, NOW - 3600), "a foreign secret, old"),
        (
            headers(&[("webhook-signature", "v1,AAAA")]),
            "a header alone",
        ),
        (headers(&[]), "nothing"),
    ] {
        assert_eq!(
            proven(&door, stranger(), &headers),
            "401 unauthorized",
            "{name}"
        );
    }
    let mut twice = signed(CURRENT, NOW);
    twice.append(
        "webhook-id".parse().unwrap(),
        header::HeaderValue::from_static("m2"),
    );
    assert_eq!(proven(&door, stranger(), &twice), "401 unauthorized");
    let other_body = door.prove(stranger(), &signed(CURRENT, NOW), b"{}");
    assert_eq!(other_body.unwrap_err(), ApiError::unauthorized());
}

#[test]
fn a_signature_holds_for_five_minutes_either_way() {
    let door = door(&signing());
    for (time, expected) in [
        (NOW - 300, "peer:signer"),
        (NOW - 301, "401 timestamp too old"),
        (NOW + 300, "peer:signer"),
        (NOW + 301, "401 timestamp too new"),
        (0, "401 timestamp too old"),
        (i64::MAX, "401 timestamp too new"),
    ] {
        for caller in [Caller::unproven(None), peer("signer")] {
            assert_eq!(
                proven(&door, caller, &signed(CURRENT, time)),
                expected,
                "{time}"
            );
        }
    }
}

#[test]
fn a_known_peer_may_sign_unless_it_must() {
    let may = format!("[peers.a]\nsecret = \"secret-of-peer-a\"\nsigning_secret = \"{CURRENT}\"\n");
    let must = format!("{may}require_signature = true\n");
    for (text, headers, expected) in [
        (&may, headers(&[]), "peer:a"),
        (&may, signed(CURRENT, NOW), "peer:a"),
        (&may, signed(FOREIGN, NOW), "401 unauthorized"),
        (&must, headers(&[]), "401 unauthorized"),
        (&must, signed(CURRENT, NOW), "peer:a"),
        (&must, signed(FOREIGN, NOW), "401 unauthorized"),
    ] {
        assert_eq!(proven(&door(text), peer("a"), &headers), expected, "{text}");
    }
    let other = proven(&door(OFFICE), peer("office"), &signed(FOREIGN, NOW));
    assert_eq!(
        other, "peer:office",
        "who has no signing secret cannot be checked"
    );
    let key = Caller::anyone();
    let proven = door(&must).prove(key.clone(), &headers(&[]), BODY);
    assert_eq!(proven.unwrap(), key, "keys do not sign");
}

#[test]
fn wrong_signatures_count_as_wrong_keys() {
    let door = door(&signing());
    let caller = || Caller::unproven(Some("192.0.2.9".parse().unwrap()));
    let wrong = signed(FOREIGN, NOW);
    for _ in 0..10 {
        assert_eq!(proven(&door, caller(), &wrong), "401 unauthorized");
    }
    assert!(proven(&door, caller(), &wrong).starts_with("429 "));
    assert_eq!(
        proven(&door, caller(), &signed(CURRENT, NOW)),
        "peer:signer"
    );
}

const FOREIGN_PAGE: (&str, &str) = ("origin", "https://evil.example");
const FOREIGN_NAME: (&str, &str) = ("host", "evil.example");

#[actix_rt::test]
async fn without_keys_foreign_pages_and_names_are_refused_whatever_they_show() {
    let open = door("");
    for headers in [
        &[FOREIGN_PAGE][..],
        &[FOREIGN_NAME],
        &[FOREIGN_PAGE, WRONG_BEARER],
        &[FOREIGN_NAME, OLD_TURN],
    ] {
        for what in ["POST /message", "GET /v1/models", "DELETE /keys/x"] {
            assert_eq!(
                seen(&open, what, headers).await,
                "403",
                "{what} {headers:?}"
            );
        }
    }
    let own = ("authorization", "Bearer the-key-of-this-run");
    assert_eq!(seen(&open, "GET /keys", &[own, FOREIGN_NAME]).await, "run");
    let peers = door(OFFICE);
    let office = [SECRET, FOREIGN_NAME];
    assert_eq!(seen(&peers, "POST /message", &office).await, "peer:office");
    assert_eq!(seen(&peers, "GET /v1/models", &[FOREIGN_PAGE]).await, "403");
}

#[actix_rt::test]
async fn with_keys_the_key_alone_decides() {
    let door = door(KEY);
    for foreign in [FOREIGN_PAGE, FOREIGN_NAME] {
        assert_eq!(
            seen(&door, "GET /v1/models", &[foreign, OPERATOR]).await,
            "key"
        );
        assert_eq!(seen(&door, "GET /v1/models", &[foreign]).await, "401");
    }
}

#[actix_rt::test]
async fn a_key_that_is_made_closes_the_door_and_tells_when_it_was_used() {
    use crate::settings::stored_keys::NewKey;
    let folder = TempDir::new().unwrap();
    let settings = Settings {
        home: folder.path().to_owned(),
        ..settings("")
    };
    let keys = Keys::new(&settings, None);
    let new = NewKey::checked("chat", Role::Client, None).unwrap();
    let (stored, key) = new.make(StoppedClock.now()).unwrap();
    keys.add(stored.clone()).await.unwrap();
    assert!(!keys.is_empty());
    assert_eq!(keys.all()[0].last_used_at, None);
    let caller = keys.find(&key, StoppedClock.now()).unwrap();
    assert_eq!(caller.name().map(|name| &**name), Some("chat"));
    assert_eq!(keys.all()[0].last_used_at, Some(StoppedClock.now()));
    assert!(keys.add(stored).await.is_err());
    assert_eq!(keys.all()[0].last_used_at, Some(StoppedClock.now()));
    keys.revoke("chat").await.unwrap();
    assert!(keys.is_empty() && keys.find(&key, StoppedClock.now()).is_none());
}
