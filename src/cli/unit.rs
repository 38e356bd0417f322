//! The systemd unit and its environment file, as texts.

use std::collections::BTreeMap;

/// The unit with what differs from machine to machine left open.
const TEMPLATE: &str = include_str!("../../config/deploy/postroom.service");

/// What goes into a unit.
pub(super) struct Unit<'a> {
    /// Without `.service`.
    pub(super) name: &'a str,
    /// Whose service it is; `None`: the manager's own user.
    pub(super) user: Option<&'a str>,
    /// The command, an absolute path first.
    pub(super) command: &'a [String],
    /// The file with keys.
    pub(super) environment_file: &'a str,
}

impl Unit<'_> {
    /// The text of the unit file.
    pub(super) fn text(&self) -> String {
        let words: Vec<_> = self.command.iter().map(|word| quoted(word)).collect();
        let user = self.user.map_or_else(
            || "# User= is not known here".to_owned(),
            |user| format!("User={}", escaped(user)),
        );
        TEMPLATE
            .replace("@NAME@", self.name)
            .replace("@USER@", &user)
            .replace("@ENVIRONMENT@", &escaped(self.environment_file))
            .replace("@COMMAND@", &words.join(" "))
    }
}

/// A word of a command line, as systemd reads it.
fn quoted(word: &str) -> String {
    let text = escaped(word)
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('$', "$$");
    format!("\"{text}\"")
}

/// `%` begins a name that systemd fills in.
fn escaped(text: &str) -> String {
    text.replace('%', "%%")
}

/// The words of a command line, as systemd reads those that [`Unit::text`] wrote.
pub(super) fn words(line: &str) -> Vec<String> {
    let line = line.trim_start_matches(['-', '@', ':', '+', '!']);
    let (mut words, mut word) = (Vec::new(), None::<String>);
    let mut is_quoted = false;
    let mut characters = line.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '"' => {
                is_quoted = !is_quoted;
                word.get_or_insert_default();
            }
            ' ' if !is_quoted => words.extend(word.take()),
            '\\' => word.get_or_insert_default().extend(characters.next()),
            '$' | '%' if characters.peek() == Some(&character) => {
                characters.next();
                word.get_or_insert_default().push(character);
            }
            other => word.get_or_insert_default().push(other),
        }
    }
    words.extend(word);
    words
}

/// The variables of an environment file; lines that are none are left out.
pub(super) fn variables(text: &str) -> BTreeMap<String, String> {
    let lines = text.lines().filter(|line| !line.starts_with(['#', ';']));
    let pairs = lines.filter_map(|line| line.split_once('='));
    pairs
        .map(|(name, value)| (name.trim().to_owned(), unquoted(value.trim())))
        .collect()
}

fn unquoted(value: &str) -> String {
    let Some(inside) = value
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'))
    else {
        return value.to_owned();
    };
    let mut text = String::new();
    let mut characters = inside.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => text.extend(characters.next()),
            character => text.push(character),
        }
    }
    text
}

/// The text of an environment file.
pub(super) fn environment_text(variables: &BTreeMap<String, String>) -> String {
    let mut text = "# Read by the systemd unit of postroom. Keep it to yourself.\n".to_owned();
    for (name, value) in variables {
        let mut quoted = String::new();
        for character in value.chars() {
            if matches!(character, '"' | '\\' | '$' | '`') {
                quoted.push('\\');
            }
            quoted.push(character);
        }
        text = format!("{text}{name}=\"{quoted}\"\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_unit_holds_what_it_is_told_and_nothing_stays_open() {
        let command = [
            "/opt/post room/postroom",
            "daemon",
            "--cli",
            "a \"b\" $c 5%",
        ];
        let text = Unit {
            name: "postroom",
            user: Some("ann"),
            command: &command.map(str::to_owned),
            environment_file: "/home/ann/.postroom/service.env",
        }
        .text();
        for line in [
            "User=ann",
            "EnvironmentFile=/home/ann/.postroom/service.env",
            r#"ExecStart="/opt/post room/postroom" "daemon" "--cli" "a \"b\" $$c 5%%""#,
            "Type=notify",
            "WatchdogSec=90",
            "KillMode=mixed",
            "#   systemctl edit postroom",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}: {text}");
        }
        for open in ["@NAME@", "@USER@", "@ENVIRONMENT@", "@COMMAND@"] {
            assert!(!text.contains(open), "{text}");
        }
    }

    #[test]
    fn variables_are_read_back_as_they_were_written() {
        let variables_before: BTreeMap<_, _> = [
            ("A", "plain"),
            ("KEY", r#"q"u\o$t`e"#),
            ("PATH", "/usr/bin:/home/ann/my bin"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
        let text = environment_text(&variables_before);
        assert_eq!(variables(&text), variables_before);
        assert_eq!(variables("# A=1\nB=2\nrubbish\n")["B"], "2");
    }
}
