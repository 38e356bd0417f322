//! The real clients that `tests/run` installs, and the programs in `tests/clients` that drive them.

use std::ffi::OsStr;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Why a client program did not pass; shown as it is when a test returns it.
pub(crate) struct ClientFailure(String);

impl ClientFailure {
    /// With what is to be shown.
    pub(crate) fn new(said: impl Into<String>) -> Self {
        Self(said.into())
    }
}

impl fmt::Debug for ClientFailure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// What a test of a client returns.
pub(crate) type ClientResult = Result<(), ClientFailure>;

/// One program of `tests/clients`, run by an interpreter of the installed tools.
pub(crate) struct Client {
    command: Command,
    program: &'static str,
}

impl Client {
    /// A Python program that needs the `OpenAI` SDK.
    pub(crate) fn with_openai_python(program: &'static str) -> Result<Self, ClientFailure> {
        Self::new(&installed("openai/bin/python")?, program)
    }

    /// A Python program that needs the standard library only.
    pub(crate) fn with_plain_python(program: &'static str) -> Result<Self, ClientFailure> {
        Self::new(&installed("predecessor/bin/python")?, program)
    }

    /// A Python program that needs the package of Standard Webhooks.
    pub(crate) fn with_webhooks(program: &'static str) -> Result<Self, ClientFailure> {
        Self::new(&installed("webhooks/bin/python")?, program)
    }

    /// A Python program beside which schemathesis is installed.
    pub(crate) fn with_schemathesis(program: &'static str) -> Result<Self, ClientFailure> {
        Self::new(&installed("schemathesis/bin/python")?, program)
    }

    /// A JavaScript program.
    pub(crate) fn with_node(program: &'static str) -> Result<Self, ClientFailure> {
        Self::new(&installed("node/node_modules/.bin/node")?, program)
    }

    fn new(interpreter: &Path, program: &'static str) -> Result<Self, ClientFailure> {
        let path = client_program(program)?;
        #[expect(
            clippy::disallowed_methods,
            reason = "the client programs end themselves and all that they start, each within its own deadline"
        )]
        let mut command = Command::new(interpreter);
        command
            .arg(path)
            .stdin(Stdio::null())
            .env("PYTHONDONTWRITEBYTECODE", "1");
        Ok(Self { command, program })
    }

    /// Adds an option and its value.
    pub(crate) fn option(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.arg(name).arg(value);
        self
    }

    /// Adds further arguments.
    pub(crate) fn arguments<Argument: AsRef<OsStr>>(
        mut self,
        arguments: impl IntoIterator<Item = Argument>,
    ) -> Self {
        self.command.args(arguments);
        self
    }

    /// The same, while this thread goes on: it may have a part to play.
    ///
    /// # Errors
    /// As [`Self::passes`].
    pub(crate) async fn passes_meanwhile(self) -> ClientResult {
        let ended = tokio::task::spawn_blocking(|| self.passes()).await;
        ended.map_err(|broken| ClientFailure(broken.to_string()))?
    }

    /// Runs the program to its end.
    ///
    /// # Errors
    /// What it printed, where it could not be started or did not exit with 0.
    pub(crate) fn passes(mut self) -> ClientResult {
        let output = self.command.output().map_err(|error| {
            ClientFailure(format!("`{}` could not be started: {error}", self.program))
        })?;
        let printed = String::from_utf8_lossy(&output.stdout);
        let complained = String::from_utf8_lossy(&output.stderr);
        if output.status.success() {
            return Ok(());
        }
        Err(ClientFailure(format!(
            "`{}` ended with {}\n{printed}{complained}",
            self.program, output.status
        )))
    }
}

/// The folder that `tests/run` installs to.
pub(crate) fn tools_folder() -> PathBuf {
    std::env::var_os("POSTROOM_TEST_TOOLS")
        .map_or_else(|| repository().join("tests/.tools"), PathBuf::from)
}

/// A file of the installed tools.
///
/// # Errors
/// It is not there: the tests are never skipped for want of a tool.
pub(crate) fn installed(path: &str) -> Result<PathBuf, ClientFailure> {
    let file = tools_folder().join(path);
    if file.exists() {
        return Ok(file);
    }
    Err(ClientFailure(format!(
        "`{}` is missing; run tests/run, which installs it",
        file.display()
    )))
}

/// A program of `tests/clients`.
///
/// # Errors
/// It is not there.
pub(crate) fn client_program(name: &str) -> Result<PathBuf, ClientFailure> {
    let path = repository().join("tests/clients").join(name);
    if path.is_file() {
        return Ok(path);
    }
    Err(ClientFailure(format!(
        "`{}` does not exist",
        path.display()
    )))
}

/// Prometheus.
///
/// # Errors
/// It is not installed.
pub(crate) fn prometheus() -> Result<PathBuf, ClientFailure> {
    installed("prometheus/usr/bin/prometheus")
}

/// The tool that comes with Prometheus.
///
/// # Errors
/// It is not installed.
pub(crate) fn promtool() -> Result<PathBuf, ClientFailure> {
    installed("prometheus/usr/bin/promtool")
}

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The system call tracer, which `tests/run` installs with the system's packages.
pub(crate) fn strace() -> String {
    "strace".to_owned()
}
