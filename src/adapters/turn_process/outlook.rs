//! What a turn of an agent would be, without starting one.

use std::{collections::BTreeMap, path::PathBuf};

use postroom_actors::{
    domain::agent::{AgentProfile, Permissions},
    ports::turns::LaunchError,
};

use super::{environment, find_program};
use crate::adapters::cli_dialects::{self, Dialect};

/// What a turn of an agent would be.
pub struct Outlook {
    /// The dialect's name.
    pub dialect: Result<&'static str, LaunchError>,
    /// Where its program lies.
    pub program: Result<PathBuf, LaunchError>,
    /// Why its turns could not be kept in the sandbox that is asked for.
    pub no_sandbox: Option<LaunchError>,
    /// The environment, by name, without what differs from turn to turn. Holds secrets.
    pub environment: BTreeMap<String, String>,
}

/// Looks at an agent as a service with this environment and these secrets would.
pub fn outlook(profile: &AgentProfile, own: &[(String, String)], secrets: &[String]) -> Outlook {
    let program = profile.command.first().map_or("", String::as_str);
    let dialect = cli_dialects::dialect(&profile.dialect, program)
        .map_err(|unknown| LaunchError::UnknownDialect(unknown.name, unknown.known));
    let known = dialect.as_ref().ok();
    let wants_sandbox = profile.permissions == Permissions::Sandboxed;
    let no_sandbox = known.filter(|dialect| wants_sandbox && !dialect.can_sandbox());
    let passed: fn(&&'static dyn Dialect) -> &'static [&'static str] = |dialect| dialect.passed();
    Outlook {
        no_sandbox: no_sandbox.map(|dialect| LaunchError::NoSandbox(dialect.name())),
        program: find_program(profile, program, own),
        environment: environment::environment(environment::Sources {
            own,
            secrets,
            passed: known.map(passed).unwrap_or_default(),
            set_by_dialect: Vec::new(),
            configured: &profile.environment,
            of_turn: &[],
        }),
        dialect: dialect.map(Dialect::name),
    }
}
