//! What stands in `config/` is what the program does.

use std::collections::BTreeSet;

use super::*;
use crate::settings::{load::REFERENCE, reference, schema};

/// The reference file with its commented keys taken in.
fn uncommented() -> String {
    let begins_a_key =
        |rest: &str| rest.starts_with(|c: char| c.is_ascii_lowercase() || c == '[' || c == 'R');
    let line = |line: &'static str| {
        line.strip_prefix('#')
            .filter(|rest| begins_a_key(rest))
            .unwrap_or(line)
    };
    REFERENCE.lines().map(line).collect::<Vec<_>>().join("\n")
}

fn validator() -> jsonschema::Validator {
    jsonschema::validator_for(&schema::schema()).unwrap()
}

fn as_json(text: &str) -> serde_json::Value {
    serde_json::to_value(toml::from_str::<toml::Table>(text).unwrap()).unwrap()
}

#[test]
fn the_schema_in_the_repository_is_the_one_the_program_prints() {
    assert_holds(
        &repository("config/postroom.schema.json"),
        &schema::schema_text(),
    );
}

#[test]
fn the_reference_file_and_the_examples_fit_the_schema() {
    let example = |name: &str| fs::read_to_string(repository(name)).unwrap();
    for text in [
        REFERENCE.to_owned(),
        uncommented(),
        example("config/examples/minimal.toml"),
        example("config/examples/relay.toml"),
    ] {
        let json = as_json(&text);
        let errors: Vec<_> = validator()
            .iter_errors(&json)
            .map(|error| error.to_string())
            .collect();
        assert_eq!(errors, Vec::<String>::new());
    }
    let typo = as_json("[server]\nprot = 1");
    assert!(
        !validator().is_valid(&typo),
        "the schema refuses unknown keys"
    );
    assert!(!validator().is_valid(&as_json("[backend]\ntimeout = \"5 parsecs\"")));
}

#[test]
fn the_reference_file_names_every_key() {
    let mut written = BTreeSet::new();
    leaves(&as_json(&uncommented()), &mut Vec::new(), &mut written);
    for (path, _) in reference::keys(&shape::TableShape::of_config()) {
        let is_there = written.iter().any(|found: &Vec<String>| {
            found.len() >= path.len()
                && path
                    .iter()
                    .zip(found)
                    .all(|(known, found)| known == "NAME" || known == found)
        });
        assert!(is_there, "{} is missing", path.join("."));
    }
}

fn leaves(value: &serde_json::Value, path: &mut Vec<String>, found: &mut BTreeSet<Vec<String>>) {
    let Some(object) = value.as_object() else {
        found.insert(path.clone());
        return;
    };
    for (key, inner) in object {
        path.push(key.clone());
        leaves(inner, path, found);
        path.pop();
    }
}

#[test]
fn the_reference_file_as_it_stands_changes_nothing() {
    let (plain, with_file) = (Place::new().settings(), toml(REFERENCE).settings());
    assert_eq!(plain.server.port, with_file.server.port);
    assert_eq!(plain.limits.body, 20 << 20);
    assert_eq!(plain.store.retention, Duration::from_hours(720));
    assert!(plain.backend.is_none() && with_file.backend.is_none());
}

#[test]
fn each_example_loads() {
    for name in ["minimal.toml", "relay.toml", "predecessor.conf"] {
        let file = repository("config/examples").join(name);
        let settings = Place::new()
            .flags(|flags| flags.config = Some(file))
            .settings();
        assert_eq!(settings.server.host, "127.0.0.1", "{name}");
        assert_eq!(
            settings.origin == Origin::Predecessor,
            name == "predecessor.conf"
        );
        assert_eq!(settings.warnings, Vec::<String>::new(), "{name}");
    }
}

#[test]
fn the_table_of_keys_is_the_one_that_the_schema_makes() {
    const START: &str = "<!-- keys: made by a test, see src/settings/reference.rs -->\n";
    let path = repository("config/README.md");
    let text = fs::read_to_string(&path).unwrap();
    let (before, _) = text.split_once(START).expect("the mark of the table");
    assert_holds(&path, &format!("{before}{START}{}", reference::table()));
}
