//! Who replaces the predecessor changes nothing else.

use super::*;

const CONF: &str = "work/.ai-agent-proxy.conf";

#[test]
fn its_file_is_read_as_it_is() {
    let place = Place::new().file(
        CONF,
        "# comment\nhost = \"0.0.0.0\"\nPort=7099\nKEY='0123456789abcdef'\nworker=3\nDEBUG=1\nINBOX=~/in\nURL=https://llm.example/v1/\nAPI_KEY=abc=def\nINSTRUCTION=do it\nOPENCLAW_MESSAGE_CLI_SKILL_PATH=/skills/out\n",
    );
    let settings = place.settings();
    assert_eq!(settings.origin, Origin::Predecessor);
    assert_eq!(
        (
            settings.server.host.as_str(),
            settings.server.port,
            settings.server.workers
        ),
        ("0.0.0.0", 7099, 3)
    );
    assert_eq!(&**settings.server.key.unwrap().expose(), KEY);
    assert!(settings.telemetry.debug);
    assert_eq!(settings.mailbox.inbox, place.path("user/in"));
    assert_eq!(settings.store.path, place.path("user/.postroom"));
    assert_eq!(settings.mailbox.instruction, "do it");
    assert_eq!(
        settings.mailbox.openclaw_message_cli_skill_path,
        "/skills/out"
    );
    let backend = settings.backend.unwrap();
    assert_eq!(
        (backend.url.as_str(), backend.model.as_str()),
        ("https://llm.example/v1", "gpt-5.4-nano")
    );
    assert_eq!(&**backend.api_key.unwrap().expose(), "abc=def");
    assert!(backend.instruction.contains("agent"));
    let [warning] = &settings.warnings[..] else {
        panic!("{:?}", settings.warnings);
    };
    assert!(warning.contains("unencrypted"), "it listens everywhere");
}

#[test]
fn with_a_key_it_listens_everywhere_and_without_one_on_loopback() {
    let with = Place::new()
        .file(CONF, format!("INBOX=in\nKEY={KEY}"))
        .settings();
    assert_eq!(with.server.host, "0.0.0.0");
    for text in ["INBOX=in", "INBOX=in\nKEY=\nHOST="] {
        let without = Place::new().file(CONF, text).settings();
        assert_eq!(without.server.host, "127.0.0.1");
        assert!(
            warns(&without, "listening on 127.0.0.1 instead of 0.0.0.0"),
            "{:?}",
            without.warnings
        );
    }
}

#[test]
fn unknown_names_and_lines_are_passed_over_with_a_warning() {
    let settings = Place::new()
        .file(CONF, "INBOX=in\nIMBOX=x\nnonsense\n")
        .settings();
    assert!(
        warns(
            &settings,
            ":2: unknown name `IMBOX` is passed over; did you mean `INBOX`?"
        ),
        "{:?}",
        settings.warnings
    );
    assert!(warns(&settings, ":3: no `NAME=value`"));
}

#[test]
fn the_last_of_two_equal_names_wins_and_a_flag_wins_over_both() {
    let place = Place::new().file(CONF, "INBOX=in\nPORT=1\nport=2");
    assert_eq!(place.settings().server.port, 2);
    assert_eq!(
        place
            .flags(|flags| flags.port = Some("3".into()))
            .settings()
            .server
            .port,
        3
    );
}

#[test]
fn a_named_file_that_is_no_toml_is_of_its_form() {
    let place = Place::new().file("other.txt", "INBOX=in");
    let path = place.path("other.txt");
    assert_eq!(
        place
            .flags(|flags| flags.config = Some(path))
            .settings()
            .origin,
        Origin::Predecessor
    );
}

#[test]
fn its_flags_alone_are_of_its_form_unless_there_is_a_file_of_ours() {
    let flags = |flags: &mut Flags| flags.inbox = Some("in".into());
    let alone = Place::new().flags(flags);
    let settings = alone.settings();
    assert_eq!(
        (settings.origin, settings.store.path),
        (Origin::Predecessor, alone.path("work/.postroom"))
    );
    let ours = toml("[server]\nport = 1").flags(flags).settings();
    assert_eq!(ours.origin, Origin::Native);
}

#[test]
fn its_name_makes_its_form_and_passes_our_file_over() {
    let place = toml("[server]\nport = 1").named("ai-agent-proxy");
    assert!(place.problems().contains("the inbox is not set"));
    let settings = place
        .flags(|flags| flags.inbox = Some("in".into()))
        .settings();
    assert_eq!(
        (settings.origin, settings.server.port),
        (Origin::Predecessor, 7011)
    );
}

#[test]
fn our_file_comes_before_its_file_unless_its_name_is_used() {
    let place = toml("[server]\nport = 1").file(CONF, "INBOX=in\nPORT=2");
    assert_eq!(place.settings().server.port, 1);
    assert_eq!(place.named("ai-agent-proxy").settings().server.port, 2);
}

#[test]
fn the_inbox_may_come_from_the_environment() {
    let place = Place::new()
        .named("ai-agent-proxy")
        .variable("POSTROOM__MAILBOX__INBOX", "/in");
    assert_eq!(place.settings().mailbox.inbox, Path::new("/in"));
}

#[test]
fn a_store_that_is_named_wins_over_the_place_beside_the_inbox() {
    let place = Place::new()
        .file(CONF, "INBOX=in")
        .flags(|flags| flags.store = Some("elsewhere".into()));
    assert_eq!(place.settings().store.path, place.path("work/elsewhere"));
}
