//! Versions of agent CLIs: what they print, and what is known of them.

use std::fmt;

/// Numbers with dots between them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Version(Vec<u64>);

impl Version {
    /// The first version in a text: two numbers or more, with dots between them.
    pub(super) fn first_in(text: &str) -> Option<Self> {
        let is_part = |character: char| character.is_ascii_digit() || character == '.';
        let words = text.split(|character: char| !is_part(character));
        let numbers = |word: &str| -> Option<Vec<u64>> {
            let parts = word.trim_matches('.').split('.');
            parts.map(|part| part.parse().ok()).collect()
        };
        let found = words.filter_map(numbers).find(|numbers| numbers.len() > 1);
        found.map(Self)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let numbers: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        formatter.write_str(&numbers.join("."))
    }
}

/// What is known of the versions of a CLI.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Known {
    /// The dialect.
    pub(super) dialect: &'static str,
    /// An older one cannot run a turn, and what it lacks.
    pub(super) needed: Option<(&'static [u64], &'static str)>,
    /// The version that Postroom was tried with.
    pub(super) tried: &'static [u64],
    /// What installs a new one.
    pub(super) update: &'static str,
    /// Memory of a turn, in MiB.
    pub(super) memory: u64,
}

/// One row a dialect. What is needed was found by reading released packages; memory was measured.
pub(super) const KNOWN: [Known; 7] = [
    known("codex", &[0, 169, 0], "npm install -g @openai/codex", 145),
    known(
        "claude",
        &[2, 1, 329],
        "npm install -g @anthropic-ai/claude-code",
        200,
    ),
    known(
        "gemini",
        &[0, 61, 0],
        "npm install -g @google/gemini-cli",
        220,
    ),
    known("opencode", &[1, 18, 33], "npm install -g opencode-ai", 600),
    Known {
        needed: Some((
            &[2026, 6, 11],
            "`openclaw agent` has no `--message-file` before it",
        )),
        ..known(
            "openclaw",
            &[2026, 9, 6],
            "npm install -g openclaw@latest",
            400,
        )
    },
    known(
        "qwen",
        &[0, 24, 4],
        "npm install -g @qwen-code/qwen-code",
        540,
    ),
    known(
        "copilot",
        &[1, 0, 102],
        "npm install -g @github/copilot",
        260,
    ),
];

const fn known(
    dialect: &'static str,
    tried: &'static [u64],
    update: &'static str,
    memory: u64,
) -> Known {
    Known {
        dialect,
        needed: None,
        tried,
        update,
        memory,
    }
}

/// What is known of a dialect's CLI; nothing of programs that no dialect names.
pub(super) fn of_dialect(dialect: &str) -> Option<&'static Known> {
    KNOWN.iter().find(|known| known.dialect == dialect)
}

/// What a version is good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fitness {
    /// As new as the one that was tried, or newer.
    Tried,
    /// Older than that; it may work.
    Older,
    /// It cannot run a turn.
    TooOld,
}

impl Known {
    pub(super) fn fitness(&self, version: &Version) -> Fitness {
        let is_older = |than: &[u64]| version.0.as_slice() < than;
        match self.needed {
            Some((needed, _)) if is_older(needed) => Fitness::TooOld,
            _ if is_older(self.tried) => Fitness::Older,
            _ => Fitness::Tried,
        }
    }

    /// The version that it was tried with.
    pub(super) fn tried(&self) -> Version {
        Version(self.tried.to_vec())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(text: &str) -> Version {
        Version::first_in(text).unwrap()
    }

    #[test]
    fn versions_are_found_in_what_the_clis_print() {
        for (printed, expected) in [
            ("codex-cli 0.169.0\n", "0.169.0"),
            ("2.1.329 (Claude Code)\n", "2.1.329"),
            ("0.61.0\n", "0.61.0"),
            ("OpenClaw 2026.9.6 (eb377ac)\n", "2026.9.6"),
            (
                "GitHub Copilot CLI 1.0.102.\nRun 'copilot update'",
                "1.0.102",
            ),
            ("v24.21", "24.21"),
        ] {
            assert_eq!(version(printed).to_string(), expected);
        }
        for nothing in ["", "no version 7 here", "...", "1.x"] {
            assert_eq!(Version::first_in(nothing), None, "{nothing}");
        }
    }

    #[test]
    fn numbers_are_compared_as_numbers() {
        let openclaw = of_dialect("openclaw").unwrap();
        let fitness = |text| openclaw.fitness(&version(text));
        assert_eq!(fitness("2026.1.29"), Fitness::TooOld);
        assert_eq!(fitness("2026.6.10"), Fitness::TooOld);
        assert_eq!(fitness("2026.6.11"), Fitness::Older);
        assert_eq!(fitness("2026.9.6"), Fitness::Tried);
        assert_eq!(fitness("2026.10.1"), Fitness::Tried);
        let codex = of_dialect("codex").unwrap();
        assert_eq!(codex.fitness(&version("0.20.0")), Fitness::Older);
        assert_eq!(of_dialect("command"), None);
    }
}
