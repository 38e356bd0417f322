//! Questions on a terminal.

use std::io::{self, BufRead, IsTerminal, Write};

use anyhow::bail;

/// Asks the user; where nobody is there, says what is missing.
pub(super) struct Dialog<'a> {
    input: Box<dyn BufRead + 'a>,
    output: &'a mut dyn Write,
    /// Somebody is there to be asked.
    is_typed: bool,
    /// Every question is answered with yes.
    says_yes: bool,
}

impl<'a> Dialog<'a> {
    /// Over standard input.
    pub(super) fn of_this_process(output: &'a mut dyn Write, says_yes: bool) -> Self {
        let input = io::stdin();
        let is_typed = input.is_terminal();
        Self::new(Box::new(input.lock()), output, is_typed, says_yes)
    }

    pub(super) fn new(
        input: Box<dyn BufRead + 'a>,
        output: &'a mut dyn Write,
        is_typed: bool,
        says_yes: bool,
    ) -> Self {
        Self {
            input,
            output,
            is_typed,
            says_yes,
        }
    }

    /// Says a line.
    pub(super) fn say(&mut self, line: &str) -> io::Result<()> {
        writeln!(self.output, "{line}")
    }

    /// A value; `known` where the answer is empty, or nobody is there.
    ///
    /// # Errors
    /// There is neither an answer nor a known value; names the flag that gives one.
    pub(super) fn ask(
        &mut self,
        question: &str,
        known: Option<String>,
        flag: &str,
    ) -> anyhow::Result<String> {
        let shown = known.as_ref().map(|known| format!(" [{known}]"));
        let answer = self.answer(&format!("{question}{}", shown.unwrap_or_default()))?;
        match (answer, known) {
            (Some(answer), _) => Ok(answer),
            (None, Some(known)) => Ok(known),
            (None, None) => bail!("{question}: nothing was given; use {flag}"),
        }
    }

    /// As [`Self::ask`], and nothing typed is shown.
    ///
    /// # Errors
    /// As [`Self::ask`].
    pub(super) fn ask_secret(
        &mut self,
        question: &str,
        known: Option<String>,
        flag: &str,
    ) -> anyhow::Result<String> {
        let hidden = known.as_ref().map_or("", |_| " [as it is]");
        let echo = self.is_typed.then(Echo::off).flatten();
        let answer = self.answer(&format!("{question} (not shown){hidden}"));
        if echo.is_some() {
            writeln!(self.output)?;
        }
        match (answer?, known) {
            (Some(answer), _) => Ok(answer),
            (None, Some(known)) => Ok(known),
            (None, None) => bail!("{question}: nothing was given; use {flag}"),
        }
    }

    /// Whether somebody is there who wants to be asked.
    pub(super) const fn asks(&self) -> bool {
        self.is_typed && !self.says_yes
    }

    /// Whether to do something. Without anybody to ask: only where yes was said beforehand.
    pub(super) fn agrees(&mut self, question: &str) -> anyhow::Result<bool> {
        if self.says_yes {
            return Ok(true);
        }
        let answer = self.answer(&format!("{question} [y/N]"))?;
        let answer = answer.unwrap_or_default().to_ascii_lowercase();
        Ok(matches!(answer.as_str(), "y" | "yes"))
    }

    /// One line; `None` where it is empty, the input has ended, or nobody is there.
    fn answer(&mut self, question: &str) -> anyhow::Result<Option<String>> {
        if !self.asks() {
            return Ok(None);
        }
        write!(self.output, "{question}: ")?;
        self.output.flush()?;
        let mut line = String::new();
        self.input.read_line(&mut line)?;
        let line = line.trim();
        Ok((!line.is_empty()).then(|| line.to_owned()))
    }
}

/// Keeps a terminal from showing what is typed, until dropped.
struct Echo(rustix::termios::Termios);

impl Echo {
    fn off() -> Option<Self> {
        use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
        let before = tcgetattr(io::stdin()).ok()?;
        let mut quiet = before.clone();
        quiet.local_modes.remove(LocalModes::ECHO);
        tcsetattr(io::stdin(), OptionalActions::Now, &quiet).ok()?;
        Some(Self(before))
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        // A terminal that has gone shows nothing anyway.
        rustix::termios::tcsetattr(io::stdin(), rustix::termios::OptionalActions::Now, &self.0)
            .ok();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(typed: Option<&str>, known: Option<&str>) -> (anyhow::Result<String>, String) {
        let mut output = Vec::new();
        let input = Box::new(typed.unwrap_or_default().as_bytes());
        let mut dialog = Dialog::new(input, &mut output, typed.is_some(), false);
        let answer = dialog.ask("URL", known.map(str::to_owned), "--url");
        drop(dialog);
        (answer, String::from_utf8(output).unwrap())
    }

    #[test]
    fn an_empty_answer_takes_what_is_known() {
        assert_eq!(
            ask(Some("http://x\n"), Some("http://y")).0.unwrap(),
            "http://x"
        );
        let (answer, said) = ask(Some("\n"), Some("http://y"));
        assert_eq!(
            (answer.unwrap(), said.as_str()),
            ("http://y".to_owned(), "URL [http://y]: ")
        );
    }

    #[test]
    fn without_anybody_to_ask_nothing_is_asked_and_the_flag_is_named() {
        let (answer, said) = ask(None, None);
        assert!(answer.unwrap_err().to_string().contains("--url"));
        assert_eq!(said, "");
        assert_eq!(ask(None, Some("known")).0.unwrap(), "known");
    }

    #[test]
    fn a_known_secret_is_never_shown() {
        let mut output = Vec::new();
        let mut dialog = Dialog::new(Box::new("\n".as_bytes()), &mut output, true, false);
        let known = Some("the-secret".to_owned());
        assert_eq!(
            dialog.ask_secret("Token", known, "--token-file").unwrap(),
            "the-secret"
        );
        drop(dialog);
        assert!(!String::from_utf8(output).unwrap().contains("the-secret"));
    }

    #[test]
    fn only_a_yes_is_a_yes() {
        for (typed, expected) in [
            ("y\n", true),
            ("YES\n", true),
            ("\n", false),
            ("no\n", false),
        ] {
            let mut output = Vec::new();
            let mut dialog = Dialog::new(Box::new(typed.as_bytes()), &mut output, true, false);
            assert_eq!(dialog.agrees("Write it?").unwrap(), expected, "{typed:?}");
        }
    }
}
