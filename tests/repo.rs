//! The repository holds its own rules: who may import whom, how long files get, what no text says.

#![expect(clippy::panic, reason = "a test that fails says so by a panic")]

mod repo {
    pub(crate) mod deployment;
    pub(crate) mod imports;
    pub(crate) mod layers;
    pub(crate) mod promql;
    pub(crate) mod shape;
    pub(crate) mod texts;
    pub(crate) mod tree;
    pub(crate) mod units;
}

use std::path::Path;

use repo::{deployment, layers, shape, texts, tree, units};

fn none(problems: &[String]) {
    assert!(problems.is_empty(), "\n{}\n", problems.join("\n"));
}

#[test]
fn each_module_imports_only_what_its_layer_may() {
    let crates = layers::Crates::of(&tree::read("Cargo.toml"));
    let problems: Vec<String> = tree::sources()
        .iter()
        .flat_map(|file| layers::problems(&file.path, &file.text, &crates))
        .collect();
    none(&problems);
}

#[test]
fn the_rules_of_the_broker_take_time_from_outside_and_wait_for_nobody() {
    let problems: Vec<String> = tree::sources()
        .iter()
        .flat_map(|file| layers::impure(&file.path, &file.text))
        .collect();
    none(&problems);
}

#[test]
fn files_stay_short_and_say_why_they_expect_a_lint() {
    let problems: Vec<String> = tree::rust_files()
        .iter()
        .flat_map(|file| shape::problems(&file.path, &file.text))
        .collect();
    none(&problems);
}

#[test]
fn no_text_names_a_machine_a_registry_or_an_author_that_is_none() {
    let problems: Vec<String> = tree::texts()
        .iter()
        .flat_map(|file| texts::problems(&file.path, &file.text))
        .collect();
    none(&problems);
}

#[test]
fn every_skill_is_called_as_its_folder() {
    let folders = tree::folders_in("skills");
    assert!(!folders.is_empty());
    let problems: Vec<String> = folders
        .iter()
        .flat_map(|folder| {
            let path = format!("skills/{folder}/SKILL.md");
            match tree::try_read(&path) {
                Some(text) => texts::skill_problems(&path, folder, &text),
                None => vec![format!("{path}: is missing")],
            }
        })
        .collect();
    none(&problems);
}

#[test]
fn every_relative_link_leads_to_a_file() {
    let problems: Vec<String> = tree::pages()
        .iter()
        .flat_map(|file| texts::broken_links(&file.path, &file.text, tree::exists))
        .collect();
    none(&problems);
}

#[test]
fn alerts_and_board_ask_only_for_metrics_that_exist() {
    let known = deployment::known_metrics(&tree::read(deployment::METRICS));
    assert!(known.len() > 40, "only {} metrics are known", known.len());
    let alerts = deployment::alerts(&tree::read("config/deploy/alerts.yml"));
    let of_alerts = alerts.into_iter().map(|alert| alert.expression);
    let mut queries = deployment::queries(&board());
    assert!(queries.len() > 50, "only {} queries", queries.len());
    queries.extend(of_alerts);
    let problems: Vec<String> = queries
        .iter()
        .flat_map(|query| deployment::unknown(query, &known))
        .collect();
    none(&problems);
}

#[test]
fn every_alert_says_what_it_is_about_and_where_to_read_on() {
    let alerts = deployment::alerts(&tree::read("config/deploy/alerts.yml"));
    assert!(alerts.len() > 20, "only {} alerts were found", alerts.len());
    let mut problems: Vec<String> = alerts
        .iter()
        .flat_map(deployment::Alert::problems)
        .collect();
    let cases = tree::read("tests/fixtures/prometheus/alerts_test.yml");
    for alert in &alerts {
        if !cases.contains(&format!("alertname=\"{}\"", alert.name)) {
            problems.push(format!("{}: nobody tests when it fires", alert.name));
        }
    }
    none(&problems);
}

#[test]
fn the_pages_for_operators_explain_every_alert() {
    let page = tree::read("docs/operations.md");
    let headings: Vec<&str> = page
        .lines()
        .filter_map(|line| line.strip_prefix("### Alert: "))
        .collect();
    let alerts = deployment::alerts(&tree::read("config/deploy/alerts.yml"));
    let names: Vec<&str> = alerts.iter().map(|alert| alert.name.as_str()).collect();
    assert_eq!(headings, names);
}

#[test]
fn the_board_can_be_shown() {
    none(&deployment::board_problems(&board()));
}

fn board() -> serde_json::Value {
    let text = tree::read("config/deploy/grafana/postroom.json");
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("the board: {error}"))
}

#[test]
fn systemd_takes_the_units_and_finds_them_hardly_exposed() {
    if !units::can_analyze() {
        eprintln!("SKIPPED: systemd-analyze is not here, so the units were not looked at");
        return;
    }
    let template = tree::read("config/deploy/postroom.service");
    let strict = tree::read("config/deploy/strict.conf");
    let plain = |name| units::Unit::plain(name, &tree::read(name));
    let shipped = [
        units::Unit::filled_in("postroom.service", &template, ""),
        units::Unit::filled_in("postroom.service with strict.conf", &template, &strict),
        plain("config/deploy/postroom-mailbox.service"),
        plain("config/deploy/upstream-proxy.service"),
    ];
    let program = Path::new(env!("CARGO_BIN_EXE_postroom"));
    let problems: Vec<String> = shipped
        .iter()
        .flat_map(|unit| unit.problems(program))
        .collect();
    none(&problems);
}
