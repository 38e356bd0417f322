//! What is wrong with the configuration, and what it warns of.

use std::path::{Path, PathBuf};

use super::{
    finding::{Finding, Section},
    places,
};
use crate::settings::{ConfigError, Loaded, Sources, open_to_others};

/// The check's name.
const CHECK: &str = "configuration";

/// What was read.
pub(super) struct Facts {
    /// The file, where there is one.
    file: Option<PathBuf>,
    warnings: Vec<String>,
    /// Files that hold secrets, with their modes where others can reach them.
    secrets: Vec<(PathBuf, Option<u32>)>,
}

impl Facts {
    pub(super) fn of(loaded: &Loaded, sources: &Sources) -> Self {
        let files = loaded.files_with_secrets(sources);
        let mode = |path: PathBuf| {
            let mode = places::open_mode(&path);
            (path, mode)
        };
        Self {
            file: loaded.settings.config_file.clone(),
            warnings: loaded.settings.warnings.clone(),
            secrets: files.into_iter().map(mode).collect(),
        }
    }
}

/// Each problem is a fault, each warning a warning; a file that is open to others is a fault.
pub(super) fn findings(facts: &Facts) -> Vec<Finding> {
    let read = match &facts.file {
        Some(file) => format!("`{}` is understood", file.display()),
        None => "there is no file; the defaults hold".to_owned(),
    };
    let is_told_below = |warning: &&String| {
        let texts = facts
            .secrets
            .iter()
            .filter_map(|(path, _)| open_to_others(path));
        !texts.into_iter().any(|text| text == **warning)
    };
    let warnings = facts.warnings.iter().filter(is_told_below);
    let warnings = warnings.map(|text| {
        Finding::warning(Section::Configuration, CHECK, text)
            .mend("set what it names; `postroom config show` tells where each value comes from")
    });
    let open = facts.secrets.iter();
    let open = open.filter_map(|(path, mode): &(PathBuf, Option<u32>)| {
        places::private_file(Section::Configuration, Path::new(path), *mode)
    });
    // A file with a wrong mode is no wrong configuration: the service starts.
    let open = open.map(|finding| Finding {
        section: Section::Home,
        ..finding
    });
    std::iter::once(Finding::ok(Section::Configuration, CHECK, read))
        .chain(warnings)
        .chain(open)
        .collect()
}

/// One fault a problem.
pub(super) fn refused(error: &ConfigError) -> Vec<Finding> {
    let problems = error.problems().iter();
    problems
        .map(|problem| {
            Finding::fault(Section::Configuration, CHECK, problem.to_string()).mend(
                "correct that place; `postroom config check` says whether all is understood then",
            )
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{super::finding::Grade, *};

    #[test]
    fn a_secret_that_others_can_read_is_a_fault_with_its_cure() {
        let facts = Facts {
            file: Some(PathBuf::from("/etc/p.toml")),
            warnings: vec!["no key is set".to_owned()],
            secrets: vec![
                (PathBuf::from("/etc/p.toml"), Some(0o644)),
                (PathBuf::from("/etc/key"), None),
            ],
        };
        let found = findings(&facts);
        let grades: Vec<_> = found.iter().map(|finding| finding.grade).collect();
        assert_eq!(grades, [Grade::Ok, Grade::Warning, Grade::Fault]);
        assert_eq!(found[2].mend.as_deref(), Some("chmod 600 '/etc/p.toml'"));
    }
}
