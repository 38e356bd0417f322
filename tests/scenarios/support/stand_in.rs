//! Servers of `tests/clients` that stand in for somebody else's.

use std::{
    ffi::OsStr,
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
};

use super::tools::{ClientFailure, client_program, installed};

/// A Python program that serves on loopback; killed when dropped.
pub(super) struct StandIn {
    child: Child,
    url: String,
}

impl StandIn {
    /// Starts a program on a free port, with the Python of an environment.
    ///
    /// # Errors
    /// The interpreter is not installed, or the program is not there.
    pub(super) fn start<Argument: AsRef<OsStr>>(
        environment: &str,
        program: &'static str,
        arguments: impl IntoIterator<Item = Argument>,
    ) -> Result<Self, ClientFailure> {
        let interpreter = installed(&format!("{environment}/bin/python"))?;
        #[expect(clippy::disallowed_methods, reason = "killed when dropped")]
        let mut command = Command::new(interpreter);
        let mut child = command
            .arg(client_program(program)?)
            .args(arguments)
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        output.read_line(&mut line).unwrap();
        let url = line.trim_end().strip_prefix("listening on ");
        let url = url.unwrap_or_else(|| panic!("`{program}` said {line:?}"));
        Ok(Self {
            url: url.to_owned(),
            child,
        })
    }

    /// Its base URL, without a path.
    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// Ends it: from now on nobody listens there.
    pub(super) fn end(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        self.end();
    }
}
