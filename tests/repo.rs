//! The repository holds its own rules: who may import whom, how long files get, what no text says.

#![expect(clippy::panic, reason = "a test that fails says so by a panic")]

mod repo {
    pub(crate) mod imports;
    pub(crate) mod layers;
    pub(crate) mod shape;
    pub(crate) mod texts;
    pub(crate) mod tree;
}

use repo::{layers, shape, texts, tree};

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
