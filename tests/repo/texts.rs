//! What no text of the repository says, and what its pages keep to.

use std::collections::VecDeque;

/// What only the machine of one author, a registry or a tool would write; in two halves each, so
/// that this file does not hold them.
const FORBIDDEN: [(&str, &str); 11] = [
    ("/wo", "rk/"),
    ("/ro", "ot/"),
    ("crates", ".io"),
    ("pypi", ".org"),
    ("pythonhosted", ".org"),
    ("npmjs", ".org"),
    ("npmjs", ".com"),
    ("as an ", "ai"),
    ("as a large ", "language model"),
    ("helper ", "agent"),
    ("generated with ", "claude"),
];

/// The lines of a text file that should not be there.
pub(crate) fn problems(path: &str, text: &str) -> Vec<String> {
    // Cargo itself writes where a package comes from.
    let is_cargos_own = |line: &str| path == "Cargo.lock" && line.starts_with("source = ");
    let mut problems = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let lower = line.to_lowercase();
        for (begin, end) in FORBIDDEN {
            if says(&lower, &format!("{begin}{end}")) && !is_cargos_own(line) {
                problems.push(format!("{path}:{}: says `{begin}{end}`", number + 1));
            }
        }
    }
    if path.ends_with("package-lock.json") && text.contains("\"resolved\"") {
        problems.push(format!("{path}: pins the registry that packages came from"));
    }
    problems
}

/// Whether a line holds the words on their own: what ends in `work/` is no machine's path.
fn says(line: &str, words: &str) -> bool {
    let is_joined = |next: Option<char>| next.is_some_and(char::is_alphanumeric);
    line.match_indices(words).any(|(at, _)| {
        let (before, from) = line.split_at(at);
        let after = from.strip_prefix(words).unwrap_or_default();
        let ends_inside = !words.ends_with('/') && is_joined(after.chars().next());
        !is_joined(before.chars().next_back()) && !ends_inside
    })
}

/// What is wrong with a skill's page.
pub(crate) fn skill_problems(path: &str, folder: &str, text: &str) -> Vec<String> {
    let Some((front, _)) = text
        .strip_prefix("---\n")
        .and_then(|rest| rest.split_once("\n---\n"))
    else {
        return vec![format!("{path}: begins without front matter")];
    };
    let value = |key: &str| {
        front
            .lines()
            .find_map(|line| line.strip_prefix(key)?.strip_prefix(':'))
            .map(str::trim)
            .unwrap_or_default()
    };
    let mut problems = Vec::new();
    if value("name") != folder {
        problems.push(format!("{path}: is called `{}`", value("name")));
    }
    if value("description").is_empty() {
        problems.push(format!("{path}: has no description"));
    }
    problems
}

/// The relative links of a page that lead nowhere.
pub(crate) fn broken_links(path: &str, text: &str, exists: impl Fn(&str) -> bool) -> Vec<String> {
    let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
    links(text)
        .into_iter()
        .filter(|link| !link.contains("://") && !link.starts_with("mailto:"))
        .filter_map(|link| {
            let target = link.split('#').next().unwrap_or_default();
            let target = target.split_whitespace().next().unwrap_or_default();
            (!target.is_empty()).then(|| (link, joined(folder, target)))
        })
        .filter(|(_, target)| target.as_ref().is_none_or(|target| !exists(target)))
        .map(|(link, _)| format!("{path}: the link `{link}` leads nowhere"))
        .collect()
}

/// The targets of the links outside of code.
fn links(text: &str) -> Vec<&str> {
    let mut in_code = false;
    let mut found = Vec::new();
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            in_code = !in_code;
        }
        if in_code {
            continue;
        }
        let outside_of_code = line.split('`').step_by(2);
        // The text of a link may be code: then its target begins a piece.
        for piece in outside_of_code {
            found.extend(
                piece
                    .split("](")
                    .skip(1)
                    .filter_map(|rest| rest.split_once(')'))
                    .map(|(target, _)| target),
            );
        }
    }
    found
}

/// A relative path below a folder; `None` where it leads out of the repository.
fn joined(folder: &str, target: &str) -> Option<String> {
    let mut names: VecDeque<&str> = folder.split('/').filter(|name| !name.is_empty()).collect();
    for name in target.split('/') {
        match name {
            "" | "." => {}
            ".." => {
                names.pop_back()?;
            }
            name => names.push_back(name),
        }
    }
    Some(Vec::from(names).join("/"))
}

#[cfg(test)]
mod tests {
    use super::{FORBIDDEN, broken_links, problems, skill_problems};

    #[test]
    fn each_forbidden_word_is_found_wherever_it_stands() {
        for (begin, end) in FORBIDDEN {
            for text in [
                format!("{begin}{end}"),
                format!("see {begin}{end} there"),
                format!("\n\n(\"{begin}{end}\")"),
                format!("{begin}{end}").to_uppercase(),
            ] {
                assert_eq!(problems("docs/a.md", &text).len(), 1, "{text}");
            }
        }
    }

    #[test]
    fn words_that_only_look_alike_are_left_alone() {
        for text in ["~/network/x", "has an airport", "homework/x", "a/rooted/b"] {
            assert_eq!(problems("docs/a.md", text), Vec::<String>::new());
        }
    }

    #[test]
    fn lock_files_name_no_registry() {
        let source = format!("source = \"registry+https://{}{}-index\"", "crates", ".io");
        assert_eq!(problems("Cargo.lock", &source).len(), 0);
        assert_eq!(problems("docs/a.md", &source).len(), 1);
        let pinned = "{\"resolved\": \"https://registry.example/a.tgz\"}";
        assert_eq!(
            problems("tests/tools/node/package-lock.json", pinned).len(),
            1
        );
        assert_eq!(
            problems("tests/tools/node/package-lock.json", "{}").len(),
            0
        );
    }

    #[test]
    fn a_skill_needs_its_own_name_and_a_description() {
        let of = |text: &str| skill_problems("skills/a/SKILL.md", "a", text).len();
        assert_eq!(of("---\nname: a\ndescription: does it\n---\ntext"), 0);
        assert_eq!(of("---\nname: b\ndescription: does it\n---\ntext"), 1);
        assert_eq!(of("---\nname: a\ndescription:\n---\ntext"), 1);
        assert_eq!(of("# A skill"), 1);
    }

    #[test]
    fn links_are_followed_from_where_they_stand() {
        let exists = |path: &str| ["README.md", "docs/a.md", "docs"].contains(&path);
        let of = |path: &str, text: &str| broken_links(path, text, exists).len();
        assert_eq!(of("README.md", "[a](docs/a.md) and [b](docs/)"), 0);
        assert_eq!(of("docs/a.md", "[up](../README.md#part) [here](#x)"), 0);
        assert_eq!(of("docs/a.md", "[w](https://example.org/x) `[a](b)`"), 0);
        assert_eq!(of("docs/a.md", "```\n[a](b)\n```\n"), 0);
        assert_eq!(of("docs/a.md", "[a](b.md) [`c`](d.md)"), 2);
        assert_eq!(of("README.md", "[out](../x.md)"), 1);
    }
}
