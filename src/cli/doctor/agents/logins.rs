//! Where agent CLIs keep what lets them in, and whether it is there. What it holds is not read.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

/// One CLI: variables that let it in, and files, in the folder of a variable or in the home
/// directory.
struct Places {
    dialect: &'static str,
    variables: &'static [&'static str],
    /// The variable that names another folder; the usual one below the home directory; the files in
    /// it.
    folder: (&'static str, &'static str, &'static [&'static str]),
    /// What makes them.
    log_in: &'static str,
}

const PLACES: [Places; 7] = [
    Places {
        dialect: "codex",
        variables: &[
            "OPENAI_API_KEY",
            "CODEX_API_KEY",
            "CODEX_ACCESS_TOKEN",
            "AZURE_OPENAI_API_KEY",
        ],
        folder: ("CODEX_HOME", ".codex", &["auth.json", "config.toml"]),
        log_in: "codex login",
    },
    Places {
        dialect: "claude",
        variables: &[
            "ANTHROPIC_API_KEY",
            "ANTHROPIC_AUTH_TOKEN",
            "CLAUDE_CODE_OAUTH_TOKEN",
            "CLAUDE_CODE_USE_BEDROCK",
            "CLAUDE_CODE_USE_VERTEX",
        ],
        folder: (
            "CLAUDE_CONFIG_DIR",
            ".claude",
            &[".credentials.json", "settings.json"],
        ),
        log_in: "claude",
    },
    Places {
        dialect: "gemini",
        variables: &[
            "GEMINI_API_KEY",
            "GOOGLE_API_KEY",
            "GOOGLE_APPLICATION_CREDENTIALS",
            "GOOGLE_GENAI_USE_VERTEXAI",
        ],
        folder: ("", ".gemini", &["oauth_creds.json"]),
        log_in: "gemini",
    },
    Places {
        dialect: "opencode",
        variables: &[
            "ANTHROPIC_API_KEY",
            "GEMINI_API_KEY",
            "GOOGLE_GENERATIVE_AI_API_KEY",
            "OPENAI_API_KEY",
            "OPENCODE_API_KEY",
            "OPENROUTER_API_KEY",
            "OPENCODE_CONFIG",
            "OPENCODE_CONFIG_CONTENT",
        ],
        folder: (
            "",
            "",
            &[
                ".local/share/opencode/auth.json",
                ".config/opencode/opencode.json",
            ],
        ),
        log_in: "opencode auth login",
    },
    Places {
        dialect: "openclaw",
        variables: &["OPENCLAW_CONFIG_PATH", "OPENCLAW_GATEWAY_TOKEN"],
        folder: ("OPENCLAW_STATE_DIR", ".openclaw", &["openclaw.json"]),
        log_in: "openclaw onboard",
    },
    Places {
        dialect: "qwen",
        variables: &["OPENAI_API_KEY", "DASHSCOPE_API_KEY"],
        folder: ("QWEN_HOME", ".qwen", &["oauth_creds.json", "settings.json"]),
        log_in: "qwen",
    },
    Places {
        dialect: "copilot",
        variables: &[
            "COPILOT_GITHUB_TOKEN",
            "GH_TOKEN",
            "GITHUB_TOKEN",
            "COPILOT_PROVIDER_API_KEY",
            "COPILOT_PROVIDER_BASE_URL",
        ],
        folder: ("COPILOT_HOME", ".copilot", &["config.json"]),
        log_in: "copilot",
    },
];

/// What was found of a CLI's credentials.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Login {
    /// A variable of its turns is set; its name.
    Variable(&'static str),
    /// A file is there.
    File(PathBuf),
    /// Neither; what logs in.
    None(&'static str),
    /// It is not known where that program keeps them.
    Unknown,
}

/// Looks for the credentials of a dialect's CLI, as its turns would see them.
pub(super) fn look(dialect: &str, environment: &BTreeMap<String, String>) -> Login {
    let Some(places) = PLACES.iter().find(|places| places.dialect == dialect) else {
        return Login::Unknown;
    };
    let value = |name: &str| environment.get(name).filter(|value| !value.is_empty());
    let mut variables = places.variables.iter();
    if let Some(name) = variables.find(|name| value(name).is_some()) {
        return Login::Variable(name);
    }
    let (variable, usual, names) = places.folder;
    let below_home = || value("HOME").map(|home| Path::new(home).join(usual));
    let folder = value(variable).map(PathBuf::from).or_else(below_home);
    let mut files = names
        .iter()
        .filter_map(|name| Some(folder.as_ref()?.join(name)));
    match files.find(|file| file.is_file()) {
        Some(file) => Login::File(file),
        None => Login::None(places.log_in),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        let owned = pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        owned.collect()
    }

    #[test]
    fn variables_and_files_count_and_an_empty_variable_does_not() {
        let home = tempfile::tempdir().unwrap();
        let at_home = home.path().to_str().unwrap();
        let key = environment(&[("HOME", at_home), ("OPENAI_API_KEY", "sk-x")]);
        assert_eq!(look("codex", &key), Login::Variable("OPENAI_API_KEY"));
        let empty = environment(&[("HOME", at_home), ("OPENAI_API_KEY", "")]);
        assert_eq!(look("codex", &empty), Login::None("codex login"));
        std::fs::create_dir(home.path().join(".codex")).unwrap();
        let file = home.path().join(".codex/auth.json");
        std::fs::write(&file, "{}").unwrap();
        assert_eq!(look("codex", &empty), Login::File(file));
        let elsewhere = environment(&[("HOME", at_home), ("CODEX_HOME", "/nowhere")]);
        assert_eq!(look("codex", &elsewhere), Login::None("codex login"));
        assert_eq!(look("command", &key), Login::Unknown);
    }
}
