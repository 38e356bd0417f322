//! Which source wins, and which file is read.

use super::*;

#[test]
fn flags_win_over_environment_over_file_over_default() {
    let port = |place: &Place| place.settings().server.port;
    let place = Place::new();
    assert_eq!(port(&place), 7011);
    let place = place.file("work/postroom.toml", "[server]\nport = 1");
    assert_eq!(port(&place), 1);
    let place = place.variable("POSTROOM__SERVER__PORT", "2");
    assert_eq!(port(&place), 2);
    let place = place.flags(|flags| flags.port = Some("0".into()));
    assert_eq!(port(&place), 0);
}

#[test]
fn variables_name_keys_in_any_case_and_hold_every_type() {
    let settings = Place::new()
        .variable("postroom__Server__Allow_Unauthenticated", "1")
        .variable("POSTROOM__KEYS__CI__KEY", KEY)
        .variable("POSTROOM__KEYS__CI__ROLE", "operator")
        .variable("POSTROOM__LIMITS__BODY", "5MB")
        .variable("POSTROOM__MODELS__CACHE", "3")
        .variable("POSTROOM__SERVER__TRUSTED_PROXIES", "10.0.0.1, ::1")
        .variable("POSTROOM_HOME", "/somewhere")
        .variable("HOST", "::")
        .settings();
    assert!(settings.server.allow_unauthenticated);
    assert_eq!(settings.keys["ci"].role, Role::Operator);
    assert_eq!(settings.limits.body, 5_000_000);
    assert_eq!(settings.models.cache, Duration::from_secs(3));
    assert_eq!(settings.server.trusted_proxies.len(), 2);
    assert_eq!(settings.store.path, Path::new("/somewhere/store"));
    assert_eq!(settings.server.host, "127.0.0.1", "bare names are not ours");
    let list = Place::new()
        .variable("POSTROOM__SERVER__TRUSTED_PROXIES", "[\"10.0.0.1\"]")
        .settings();
    assert_eq!(list.server.trusted_proxies.len(), 1);
}

#[test]
fn a_variable_that_is_wrong_is_named() {
    for (name, value, expected) in [
        (
            "POSTROOM__SERVER__PROT",
            "1",
            "unknown key `prot`; did you mean `port`?",
        ),
        (
            "POSTROOM__SEVER__PORT",
            "1",
            "unknown key `sever`; did you mean `server`?",
        ),
        (
            "POSTROOM__SERVER__PORT",
            "x",
            "expected a whole number, found `x`",
        ),
        (
            "POSTROOM__SERVER__PORT__X",
            "1",
            "`server.port` is no table",
        ),
        ("POSTROOM__SERVER", "1", "this is a table"),
        ("POSTROOM__", "1", "unknown key ``"),
        ("POSTROOM__SERVER__KEY", "", "a secret must not be empty"),
        (
            "POSTROOM__SERVER__KEY",
            "sk-canary\nx",
            "a secret must not hold line ends",
        ),
        (
            "POSTROOM__MAILBOX__COMPACT",
            "of",
            "expected one of `seed`, `keep-message`, `off`, found `of`; did you mean `off`?",
        ),
        (
            "POSTROOM__SERVER__ALLOW_UNAUTHENTICATED",
            "maybe",
            "expected true or false",
        ),
    ] {
        let problems = Place::new().variable(name, value).problems();
        assert!(
            problems.contains(&format!("${name}: {expected}")),
            "{problems}"
        );
        assert!(!problems.contains("canary"));
    }
}

#[test]
fn a_secret_is_read_from_its_file_without_the_line_end() {
    let place = toml("[server]\nkey_file = \"key\"").file("work/key", format!("{KEY}\r\n"));
    let settings = place.settings();
    assert_eq!(&**settings.server.key.unwrap().expose(), KEY);
    assert_eq!(settings.warnings, Vec::<String>::new());
}

#[test]
fn a_secret_file_that_others_can_read_is_warned_of() {
    let place = toml("[server]\nkey_file = \"key\"").file("work/key", KEY);
    fs::set_permissions(place.path("work/key"), fs::Permissions::from_mode(0o644)).unwrap();
    assert!(warns(&place.settings(), "mode 0644"));
}

#[test]
fn a_configuration_with_a_secret_that_others_can_read_is_warned_of() {
    let place = toml(&format!("[server]\nkey = \"{KEY}\""));
    fs::set_permissions(
        place.path("work/postroom.toml"),
        fs::Permissions::from_mode(0o640),
    )
    .unwrap();
    assert!(warns(&place.settings(), "mode 0640"));
}

#[test]
fn an_empty_secret_file_is_refused() {
    let place = toml("[server]\nkey_file = \"key\"").file("work/key", "\n");
    assert!(
        place
            .problems()
            .contains("`server.key_file`: a secret must not be empty")
    );
}

#[test]
fn of_a_secret_and_its_file_the_higher_source_wins() {
    let place = toml("[server]\nkey_file = \"/nowhere\"").variable("POSTROOM__SERVER__KEY", KEY);
    assert_eq!(&**place.settings().server.key.unwrap().expose(), KEY);
    let place = toml("[server]\nkey = \"of the toml file 0\"")
        .file("work/key", KEY)
        .variable("POSTROOM__SERVER__KEY_FILE", "key");
    assert_eq!(&**place.settings().server.key.unwrap().expose(), KEY);
}

#[test]
fn home_is_the_flag_then_the_variable_then_an_old_folder_then_ours() {
    let place = Place::new();
    assert_eq!(home(&place.sources).unwrap(), place.path("user/.postroom"));
    fs::create_dir(place.path("user/.ai_agent_proxy")).unwrap();
    assert_eq!(
        home(&place.sources).unwrap(),
        place.path("user/.ai_agent_proxy")
    );
    let place = place.variable("POSTROOM_HOME", "~/here");
    assert_eq!(home(&place.sources).unwrap(), place.path("user/here"));
    let place = place.flags(|flags| flags.base_dir = Some("there".into()));
    assert_eq!(home(&place.sources).unwrap(), place.path("work/there"));
}

#[test]
fn without_a_home_directory_the_folder_must_be_told() {
    let mut place = Place::new();
    place.sources.home_dir = None;
    assert!(place.problems().contains("--base-dir"));
    place.sources.flags.base_dir = Some("/base".into());
    assert!(
        place.problems().contains("needs a home directory"),
        "the default inbox begins with ~"
    );
    place
        .sources
        .environment
        .push(("POSTROOM__MAILBOX__INBOX".into(), "/inbox".into()));
    assert_eq!(place.settings().mailbox.inbox, Path::new("/inbox"));
}

#[test]
fn the_file_in_the_home_folder_comes_before_the_one_beside_us() {
    let place =
        toml("[server]\nport = 1").file("user/.postroom/postroom.toml", "[server]\nport = 2");
    assert_eq!(place.settings().server.port, 2);
    assert_eq!(
        place.settings().config_file,
        Some(place.path("user/.postroom/postroom.toml"))
    );
    let named = place.file("other.toml", "[server]\nport = 3");
    let path = named.path("other.toml");
    assert_eq!(
        named
            .flags(|flags| flags.config = Some(path))
            .settings()
            .server
            .port,
        3
    );
}

#[test]
fn keys_on_the_command_line_are_warned_of() {
    let settings = Place::new()
        .flags(|flags| flags.key = Some(KEY.into()))
        .settings();
    assert!(warns(&settings, "`--key`: arguments can be seen"));
}

#[test]
fn problems_of_all_sources_are_listed_together() {
    let place = toml("[server]\nprot = 1")
        .variable("POSTROOM__X__Y", "1")
        .flags(|flags| flags.port = Some("x".into()));
    let problems = place.load().unwrap_err().problems().len();
    assert_eq!(problems, 3);
}
