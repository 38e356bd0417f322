//! Which variables a turn is given.

use std::{collections::BTreeMap, env};

/// Passed on to every turn; a name that ends in `*` stands for all that begin so.
const COMMON: [&str; 20] = [
    "HOME",
    "PATH",
    "LANG",
    "LC_*",
    "TERM",
    "TZ",
    "TMPDIR",
    "USER",
    "SHELL",
    "XDG_*",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "ALL_PROXY",
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "all_proxy",
    "SSL_CERT_*",
    "NODE_EXTRA_CA_CERTS",
];

/// Set by agent CLIs for what they start: whoever sees them believes to be inside of that turn.
/// We may be; a turn of ours is not.
const SET_FOR_CHILDREN: [&str; 17] = [
    "AI_AGENT",
    "CLAUDECODE",
    "CLAUDE_PID",
    "CLAUDE_CODE_CHILD_SESSION",
    "CLAUDE_CODE_ENTRYPOINT",
    "CLAUDE_CODE_EXECPATH",
    "CLAUDE_CODE_MESSAGING_*",
    "CLAUDE_CODE_SESSION_*",
    "CLAUDE_CODE_SSE_PORT",
    "CODEX_CI",
    "CODEX_SESSION_ID",
    "CODEX_THREAD_ID",
    "CODEX_TOOL_CALL_ID",
    "CODEX_VERSION",
    "GEMINI_CLI",
    "OPENCLAW_SHELL",
    "QWEN_CODE",
];

/// A prefix that holds settings as well as marks of a running turn: passed only by patterns that
/// name it.
const MIXED_PREFIX: &str = "CLAUDE_CODE_";

/// Our own names; a turn is given its own ones, never those of the turn that we run in.
const OURS: &str = "POSTROOM_*";

/// What a turn's environment is made of; what comes later wins.
pub(super) struct Sources<'a> {
    /// Our own environment.
    pub(super) own: &'a [(String, String)],
    /// Values that are not passed on from it, whatever their names.
    pub(super) secrets: &'a [String],
    /// What the dialect passes on besides the common ones.
    pub(super) passed: &'a [&'a str],
    /// What the dialect sets.
    pub(super) set_by_dialect: Vec<(&'static str, String)>,
    /// What the agent's configuration sets.
    pub(super) configured: &'a BTreeMap<String, String>,
    /// What belongs to this one turn.
    pub(super) of_turn: &'a [(&'static str, String)],
}

/// The whole environment of a turn, by name.
pub(super) fn environment(sources: Sources<'_>) -> BTreeMap<String, String> {
    let own = sources.own.iter().filter(|(name, value)| {
        is_passed(name, sources.passed) && !is_secret(value, sources.secrets)
    });
    let of_turn = sources.of_turn.iter();
    let mut all: BTreeMap<String, String> = own.cloned().collect();
    all.extend(owned(sources.set_by_dialect));
    all.extend(sources.configured.clone());
    all.extend(owned(of_turn.cloned()));
    all.retain(|name, value| can_be_set(name, value));
    all
}

/// Our own environment, without what is not UTF-8.
pub fn of_this_process() -> Vec<(String, String)> {
    let text = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
        Some((name.into_string().ok()?, value.into_string().ok()?))
    };
    env::vars_os().filter_map(text).collect()
}

fn owned(
    pairs: impl IntoIterator<Item = (&'static str, String)>,
) -> impl Iterator<Item = (String, String)> {
    pairs
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
}

fn is_passed(name: &str, by_dialect: &[&str]) -> bool {
    let by_dialect = by_dialect.iter().copied().filter(|pattern| {
        !name.starts_with(MIXED_PREFIX) || pattern.trim_end_matches('*').starts_with(MIXED_PREFIX)
    });
    let is_mark = SET_FOR_CHILDREN.iter().any(|mark| matches(mark, name));
    let mut patterns = COMMON.into_iter().chain(by_dialect);
    !is_mark && !matches(OURS, name) && patterns.any(|pattern| matches(pattern, name))
}

fn matches(pattern: &str, name: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(prefix) => name.starts_with(prefix),
        None => name == pattern,
    }
}

fn is_secret(value: &str, secrets: &[String]) -> bool {
    !value.is_empty() && secrets.iter().any(|secret| secret == value)
}

/// No environment can hold other names and values.
fn can_be_set(name: &str, value: &str) -> bool {
    !name.is_empty() && !name.contains(['=', '\0']) && !value.contains('\0')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(names: &[&str]) -> Vec<(String, String)> {
        let pair = |name: &&str| ((*name).to_owned(), format!("value of {name}"));
        names.iter().map(pair).collect()
    }

    fn names(own: &[&str], passed: &[&str]) -> Vec<String> {
        let made = environment(Sources {
            own: &pairs(own),
            secrets: &[],
            passed,
            set_by_dialect: Vec::new(),
            configured: &BTreeMap::new(),
            of_turn: &[],
        });
        made.into_keys().collect()
    }

    #[test]
    fn only_what_is_listed_is_passed_on() {
        let own = [
            "HOME",
            "LC_ALL",
            "XDG_RUNTIME_DIR",
            "https_proxy",
            "SSL_CERT_FILE",
            "HOMEBREW",
            "DB_PASSWORD",
            "OPENAI_API_KEY",
            "POSTROOM_TURN_ID",
        ];
        let common = [
            "HOME",
            "LC_ALL",
            "SSL_CERT_FILE",
            "XDG_RUNTIME_DIR",
            "https_proxy",
        ];
        assert_eq!(names(&own, &[]), common);
        assert!(names(&own, &["OPENAI_*"]).contains(&"OPENAI_API_KEY".to_owned()));
        assert!(!names(&own, &["*"]).contains(&"POSTROOM_TURN_ID".to_owned()));
    }

    #[test]
    fn marks_of_a_turn_that_we_run_in_are_never_passed_on() {
        let own = [
            "CLAUDECODE",
            "CLAUDE_CODE_SESSION_ID",
            "CLAUDE_CODE_MESSAGING_SOCKET",
            "CODEX_THREAD_ID",
            "GEMINI_CLI",
            "AI_AGENT",
        ];
        let greedy = ["CLAUDE*", "CLAUDE_CODE_*", "CODEX_*", "GEMINI_*", "AI_*"];
        assert_eq!(names(&own, &greedy), Vec::<String>::new());
    }

    #[test]
    fn settings_beside_such_marks_are_passed_where_the_dialect_names_them() {
        let own = ["CLAUDE_CODE_USE_BEDROCK"];
        assert_eq!(names(&own, &["CLAUDE_CODE_USE_BEDROCK"]), own);
        assert_eq!(names(&own, &["CLAUDE_CODE_USE_*"]), own);
        assert_eq!(names(&own, &["CLAUDE_*"]), Vec::<String>::new());
    }

    #[test]
    fn a_secret_of_ours_is_passed_only_by_configuration() {
        let own = [
            ("OPENAI_API_KEY".to_owned(), "ours".to_owned()),
            ("OPENAI_ORG".to_owned(), String::new()),
        ];
        let configured = BTreeMap::from([("CHOSEN".to_owned(), "ours".to_owned())]);
        let made = environment(Sources {
            own: &own,
            secrets: &["ours".to_owned(), String::new()],
            passed: &["OPENAI_*"],
            set_by_dialect: Vec::new(),
            configured: &configured,
            of_turn: &[],
        });
        let names: Vec<&String> = made.keys().collect();
        assert_eq!(names, ["CHOSEN", "OPENAI_ORG"]);
    }

    #[test]
    fn what_is_nearer_to_the_turn_wins() {
        let own = [("TERM".to_owned(), "xterm".to_owned())];
        let configured = BTreeMap::from([
            ("B".to_owned(), "configured".to_owned()),
            ("C".to_owned(), "configured".to_owned()),
            ("BAD=NAME".to_owned(), String::new()),
        ]);
        let dialect = ["A", "B"].map(|name| (name, "dialect".to_owned()));
        let made = environment(Sources {
            own: &own,
            secrets: &[],
            passed: &[],
            set_by_dialect: [("TERM", "dumb".to_owned())]
                .into_iter()
                .chain(dialect)
                .collect(),
            configured: &configured,
            of_turn: &[("C", "turn".to_owned())],
        });
        let expected = [
            ("A", "dialect"),
            ("B", "configured"),
            ("C", "turn"),
            ("TERM", "dumb"),
        ];
        let made: Vec<(&str, &str)> = made
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        assert_eq!(made, expected);
    }
}
