//! Agents: what they say over the defaults, and what they come down to.

use postroom_actors::domain::agent::{Delivery, Permissions, QueueMode};

use super::*;
use crate::settings::agents::CommandError;

fn id(name: &str) -> AgentId {
    AgentId::parse(name).unwrap()
}

#[test]
fn without_a_word_about_agents_the_built_in_ones_hold() {
    let agents = Place::new().settings().agents;
    assert!(agents.max_turns >= 1 && agents.named.is_empty());
    assert_eq!(agents.default.as_str(), "manager");
    let profile = agents
        .profile(&id("bob"), "/home/bob".into(), None)
        .unwrap();
    assert_eq!(profile.command, ["codex"]);
    assert_eq!(
        (profile.dialect.as_str(), profile.delivery),
        ("", Delivery::Turn)
    );
    assert_eq!(profile.working_dir, Path::new("/home/bob"));
    assert_eq!(profile.limits.whole, Duration::from_mins(5));
    assert_eq!(
        (profile.concurrency, profile.queue, profile.max_attempts),
        (1, 1000, 3)
    );
    assert_eq!(profile.permissions, Permissions::Bypass);
    assert_eq!(profile.queue_mode, QueueMode::Followup);
}

#[test]
fn an_agent_says_more_than_the_defaults_and_they_more_than_what_is_built_in() {
    let place = toml(
        "[agents]\nmax_turns = 7\n[agents.defaults]\nturn_timeout = \"9s\"\ngrace = 0\nqueue_mode = \"collect\"\nenv = { A = \"1\", B = \"1\" }\n[agents.bob]\nconcurrency = 4\ncollect_window = \"5s\"\nenv = { B = \"2\" }\n[agents.eve]\n",
    );
    let agents = place.settings().agents;
    assert_eq!(agents.max_turns, 7);
    assert!(
        agents.named.contains_key(&id("eve")),
        "an empty table makes an agent"
    );
    let bob = agents.profile(&id("bob"), "/w".into(), None).unwrap();
    assert_eq!(
        (bob.limits.whole, bob.limits.grace),
        (Duration::from_secs(9), Duration::ZERO)
    );
    assert_eq!(bob.queue_mode, QueueMode::Collect(Duration::from_secs(5)));
    let variables: Vec<_> = bob
        .environment
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    assert_eq!(variables, ["A=1", "B=2"]);
    let hired = agents.profile(&id("hired"), "/w".into(), None).unwrap();
    assert_eq!(
        (hired.concurrency, hired.limits.whole),
        (1, Duration::from_secs(9))
    );
    assert_eq!(hired.queue_mode, QueueMode::Collect(Duration::from_secs(1)));
}

#[test]
fn an_empty_table_with_variables_beside_it_is_shown_as_toml_that_loads() {
    let place = toml("[agents.eve]\n").variable("POSTROOM__AGENTS__EVE__QUEUE", "5");
    let loaded = load_with_sources(place.sources.clone()).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(
        toml(&show::as_toml(&loaded)).settings().agents.named[&id("eve")].queue,
        5
    );
    let alone =
        load_with_sources(toml("[agents.eve]\n").sources).unwrap_or_else(|error| panic!("{error}"));
    assert!(
        toml(&show::as_toml(&alone))
            .settings()
            .agents
            .named
            .contains_key(&id("eve"))
    );
}

#[test]
fn a_command_is_taken_into_words_as_a_shell_does() {
    let agents = Place::new().settings().agents;
    let command = |cli: &str| {
        agents
            .profile(&id("bob"), "/w".into(), Some(cli))
            .map(|profile| profile.command)
    };
    assert_eq!(
        command("codex --profile 'my work' -c a=\"b c\"").unwrap(),
        ["codex", "--profile", "my work", "-c", "a=b c"]
    );
    assert_eq!(
        command("$HOME/x `y`").unwrap().len(),
        2,
        "nothing is run or filled in"
    );
    for (cli, error) in [
        ("", CommandError::Empty),
        (" \t ", CommandError::Empty),
        ("''", CommandError::Empty),
        ("codex 'x", CommandError::Quotes),
        ("co\0dex", CommandError::Nul),
    ] {
        assert_eq!(command(cli), Err(error), "{cli:?}");
    }
}

#[test]
fn a_program_that_is_a_path_is_absolute() {
    let place = toml("[agents.a]\ncli = \"./tools/x --y ./z\"\n[agents.b]\ncli = \"~/bin/x\"");
    let agents = place.settings().agents;
    let command = |name: &str| agents.of(&id(name)).command.clone();
    assert_eq!(
        command("a"),
        [place.path("work/tools/x").to_str().unwrap(), "--y", "./z"]
    );
    assert_eq!(command("b"), [place.path("user/bin/x").to_str().unwrap()]);
}

#[test]
fn the_program_comes_from_the_flag_the_variables_and_the_file_in_this_order() {
    let cli = |place: &Place| place.settings().agents.defaults.cli;
    let place = toml("[agents.defaults]\ncli = \"gemini\"");
    assert_eq!(cli(&place), "gemini");
    let place = place.variable("AI_AGENT_PROXY_CLI", "");
    assert_eq!(cli(&place), "gemini", "an empty variable says nothing");
    let place = place
        .variable("POSTROOM__AGENTS__DEFAULTS__CLI", "qwen")
        .variable("AI_AGENT_PROXY_CLI", "claude");
    assert_eq!(cli(&place), "qwen");
    let place = place.flags(|flags| flags.cli = Some("opencode run".into()));
    assert_eq!(cli(&place), "opencode run");
    let wrong = Place::new().variable("AI_AGENT_PROXY_CLI", "'");
    assert!(
        wrong
            .problems()
            .starts_with("$AI_AGENT_PROXY_CLI: `agents.defaults.cli`: ")
    );
    let wrong = Place::new().flags(|flags| flags.cli = Some(String::new()));
    assert!(
        wrong
            .problems()
            .starts_with("--cli: `agents.defaults.cli`: ")
    );
}

#[test]
fn the_predecessors_key_variable_is_the_operators_key() {
    let place = toml("[server]\nport = 1").variable("AI_AGENT_PROXY_API_KEY", KEY);
    assert_eq!(&**place.settings().server.key.unwrap().expose(), KEY);
    let place = place.variable("POSTROOM__SERVER__KEY", "fedcba9876543210");
    assert_eq!(
        &**place.settings().server.key.unwrap().expose(),
        "fedcba9876543210"
    );
}

#[test]
fn a_dialect_goes_with_its_own_program_only() {
    let defaults = "[agents.defaults]\ncli = \"my-wrapper\"\ndialect = \"codex\"\n";
    let place = toml(&format!(
        "{defaults}[agents.bob]\ncli = \"claude\"\n[agents.eve]\nqueue = 1"
    ));
    let agents = place.settings().agents;
    let dialect = |name: &str, hired| {
        agents
            .profile(&id(name), "/w".into(), hired)
            .unwrap()
            .dialect
    };
    assert_eq!(
        (dialect("bob", None).as_str(), dialect("eve", None).as_str()),
        ("", "codex")
    );
    assert_eq!(dialect("eve", Some("qwen")), "");
    let settings = toml(defaults)
        .flags(|flags| flags.cli = Some("claude".into()))
        .settings();
    assert_eq!(settings.agents.defaults.dialect, "");
    assert!(warns(
        &settings,
        "`agents.defaults.dialect` does not hold: --cli"
    ));
}

#[test]
fn the_manager_works_in_the_folder_of_openclaw_unless_another_one_is_named() {
    let place = Place::new();
    let working_dir = |place: &Place, name: &str| {
        let agents = place.settings().agents;
        agents
            .profile(&id(name), "/w".into(), None)
            .unwrap()
            .working_dir
    };
    let folder = place.path("user/.openclaw/workspace");
    assert_eq!(working_dir(&place, "manager"), folder);
    assert_eq!(working_dir(&place, "bob"), Path::new("/w"));
    assert_eq!(
        place.settings().agents.folder_to_make(),
        Some((id("manager"), folder))
    );
    let named = toml("[agents.manager]\nworking_dir = \"~\"");
    assert_eq!(working_dir(&named, "manager"), named.path("user"));
    assert_eq!(named.settings().agents.folder_to_make(), None);
    assert_eq!(named.settings().warnings, Vec::<String>::new());
    let missing = toml("[agents.bob]\nworking_dir = \"nowhere\"").settings();
    assert!(warns(
        &missing,
        "`agents.bob.working_dir`: there is no folder"
    ));
}

#[test]
fn any_agent_may_be_the_default_route() {
    for (written, expected) in [
        ("mailbox", None),
        ("manager", Some("manager")),
        ("hired_later", Some("hired_later")),
    ] {
        let default = toml(&format!("[routing]\ndefault = \"{written}\""))
            .settings()
            .routing
            .default;
        assert_eq!(default.as_ref().map(AgentId::as_str), expected);
    }
}

#[test]
fn every_reserved_name_is_refused_as_an_agents_table() {
    use postroom_actors::domain::agent::RESERVED_NAMES;
    for name in RESERVED_NAMES {
        let text = format!("[agents.{name}]\ncli = \"x\"");
        // Two of them are keys of `[agents]` of another type, one is the defaults.
        if name != "defaults" {
            assert!(toml(&text).load().is_err(), "{name}");
        }
    }
}
