//! Agents: their programs and versions, sandboxes, folders, credentials.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use futures_util::future::join_all;

use super::{
    Around,
    finding::{Finding, Grade, Section},
    places::{Folder, Place},
};
use crate::{
    settings::Settings,
    startup::examination::{self, Answer, ExaminedAgent},
};

mod logins;
mod sandbox;
#[cfg(test)]
mod tests;
mod versions;

use logins::Login;
use sandbox::Kernel;
use versions::{Fitness, Version};

/// How long a program may take to say its version.
const LIMIT: Duration = Duration::from_secs(5);

/// One agent, without secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Agent {
    id: String,
    /// Its absence would be noticed: somebody configured or hired it.
    is_wanted: bool,
    is_by_inbox: bool,
    dialect: Result<&'static str, String>,
    program: Result<PathBuf, String>,
    /// What `--version` came to, where it was asked.
    version: Option<Answer>,
    no_sandbox: Option<String>,
    is_sandboxed: bool,
    working_dir: Place,
    login: Login,
}

/// All agents, and what they have in common.
#[derive(Debug, Default)]
pub(super) struct Facts {
    agents: Vec<Agent>,
    ignored: Vec<(PathBuf, String)>,
    kernel: Kernel,
    problem: Option<String>,
}

impl Facts {
    /// Asks each program for its version, all at once.
    pub(super) async fn look(
        settings: &Settings,
        environment: &[(String, String)],
        around: &Around,
    ) -> Self {
        let found = match examination::agents(settings, environment, &around.commands).await {
            Ok(found) => found,
            Err(problem) => {
                return Self {
                    problem: Some(problem),
                    ..Self::default()
                };
            }
        };
        let versions = versions_of(&found.agents).await;
        let agents = found.agents.iter().map(|agent| {
            let version = versions.get(&same_program(agent)).cloned();
            facts(agent, version, around.wants_manager)
        });
        Self {
            agents: agents.collect(),
            ignored: found.ignored,
            kernel: Kernel::look(),
            problem: None,
        }
    }

    /// Memory of the largest turn among the agents, in MiB.
    pub(super) fn largest_turn(&self) -> u64 {
        let dialects = self
            .agents
            .iter()
            .filter_map(|agent| agent.dialect.as_ref().ok());
        let known = dialects.filter_map(|dialect| versions::of_dialect(dialect));
        known.map(|known| known.memory).max().unwrap_or_default()
    }
}

/// Agents with the same program, arguments and environment get the same answer.
fn same_program(agent: &ExaminedAgent) -> (Vec<String>, BTreeMap<String, String>) {
    (agent.command.clone(), agent.environment.clone())
}

/// Only CLIs of which something is known are asked: another program may take the word for work.
async fn versions_of(
    agents: &[ExaminedAgent],
) -> BTreeMap<(Vec<String>, BTreeMap<String, String>), Answer> {
    let mut asked: BTreeMap<_, &ExaminedAgent> = BTreeMap::new();
    for agent in agents {
        let dialect = agent.dialect.as_ref().ok();
        let is_known = dialect.is_some_and(|dialect| versions::of_dialect(dialect).is_some());
        if is_known && !agent.is_by_inbox {
            asked.insert(same_program(agent), agent);
        }
    }
    let answers = asked.into_iter().map(|(same, agent)| async move {
        let answer = examination::version(agent, LIMIT).await?;
        Some((same, answer))
    });
    join_all(answers).await.into_iter().flatten().collect()
}

fn facts(agent: &ExaminedAgent, version: Option<Answer>, wants_manager: bool) -> Agent {
    let dialect = agent.dialect.clone();
    Agent {
        id: agent.id.to_string(),
        is_wanted: agent.is_there || wants_manager,
        is_by_inbox: agent.is_by_inbox,
        login: logins::look(dialect.as_deref().unwrap_or_default(), &agent.environment),
        dialect,
        program: agent.program.clone(),
        version,
        no_sandbox: agent.no_sandbox.clone(),
        is_sandboxed: agent.is_sandboxed,
        working_dir: Place::look(&agent.working_dir),
    }
}

/// What they come to.
pub(super) fn findings(facts: &Facts) -> Vec<Finding> {
    let mut findings = Vec::new();
    if let Some(problem) = &facts.problem {
        findings.push(
            Finding::fault(Section::Agents, "workspaces", problem.clone())
                .mend("run this as the user of the service"),
        );
    }
    for agent in &facts.agents {
        let of_agent = agent_findings(agent, facts.kernel);
        // A manager that nobody has asked for costs nobody anything.
        let worst = if agent.is_wanted {
            Grade::Fault
        } else {
            Grade::Note
        };
        findings.extend(of_agent.into_iter().map(|finding| finding.at_most(worst)));
    }
    findings.extend(facts.ignored.iter().map(|(path, reason)| {
        let found = format!("`{}` is not used as it is: {reason}", path.display());
        Finding::warning(Section::Agents, "workspaces", found)
            .mend("put a folder or file of its own in its place, or move it out of the home folder")
    }));
    findings
}

fn agent_findings(agent: &Agent, kernel: Kernel) -> Vec<Finding> {
    let id = &agent.id;
    if agent.is_by_inbox {
        return vec![Finding::ok(
            Section::Agents,
            "program",
            format!("{id}: gets its tasks as files, by a program of its own"),
        )];
    }
    let dialect = match &agent.dialect {
        Ok(dialect) => *dialect,
        Err(why) => {
            return vec![
                Finding::fault(Section::Agents, "program", format!("{id}: {why}"))
                    .mend(format!("correct `cli` and `dialect` of `[agents.{id}]`")),
            ];
        }
    };
    let mut findings = vec![program_finding(agent, dialect)];
    if agent.program.is_err() {
        return findings;
    }
    findings.extend(version_finding(agent, dialect));
    findings.extend(sandbox_finding(agent, kernel));
    findings.extend(folder_finding(agent));
    findings.extend(login_finding(agent, dialect));
    findings
}

fn program_finding(agent: &Agent, dialect: &str) -> Finding {
    let id = &agent.id;
    match &agent.program {
        Ok(path) => Finding::ok(
            Section::Agents,
            "program",
            format!("{id}: {dialect}, `{}`", path.display()),
        ),
        Err(why) => {
            let short = why.split(';').next().unwrap_or(why);
            let install = versions::of_dialect(dialect)
                .map(|known| format!("`{}`, or ", known.update))
                .unwrap_or_default();
            let found = if agent.is_wanted {
                format!("{id}: {short}")
            } else {
                format!("{id}, which `postroom daemon` would make: {short}")
            };
            Finding::fault(Section::Agents, "program", found).mend(format!(
                "{install}set `cli` to its whole path; a service has the `PATH` of its unit (`postroom enable` takes over yours)"
            ))
        }
    }
}

fn version_finding(agent: &Agent, dialect: &str) -> Option<Finding> {
    const CHECK: &str = "version";
    let known = versions::of_dialect(dialect)?;
    let id = &agent.id;
    let update = format!("`{}`", known.update);
    let unknown = |what: String| {
        Finding::warning(
            Section::Agents,
            CHECK,
            format!("{id}: `{dialect} --version` {what}"),
        )
        .mend(format!(
            "run it by hand as the user of the service; or {update}"
        ))
    };
    Some(match agent.version.as_ref()? {
        Answer::TooLong => unknown(format!("gave no answer within {} s", LIMIT.as_secs())),
        Answer::DoesNotStart(why) => Finding::fault(
            Section::Agents,
            CHECK,
            format!("{id}: {dialect} does not start: {why}"),
        )
        .mend(update),
        Answer::Ended {
            is_success,
            output,
            complaint,
        } => {
            let said = Version::first_in(output);
            let version = said.or_else(|| Version::first_in(complaint));
            match version.filter(|_| *is_success) {
                Some(version) => fitness_finding(id, known, &version),
                None => unknown(last_words(output, complaint)),
            }
        }
    })
}

fn fitness_finding(id: &str, known: &versions::Known, version: &Version) -> Finding {
    const CHECK: &str = "version";
    let dialect = known.dialect;
    let update = format!("`{}`", known.update);
    match known.fitness(version) {
        Fitness::Tried => Finding::ok(Section::Agents, CHECK, format!("{id}: {dialect} {version}")),
        Fitness::Older => Finding::note(
            Section::Agents,
            CHECK,
            format!(
                "{id}: {dialect} {version} is older than {}, which Postroom was tried with",
                known.tried()
            ),
        )
        .mend(update),
        Fitness::TooOld => {
            let lacks = known.needed.map_or("", |(_, lacks)| lacks);
            let needed = known.needed.map_or_else(String::new, |(needed, _)| {
                let needed: Vec<String> = needed.iter().map(ToString::to_string).collect();
                needed.join(".")
            });
            Finding::fault(
                Section::Agents,
                CHECK,
                format!("{id}: {dialect} {version} is too old, {needed} is needed: {lacks}"),
            )
            .mend(update)
        }
    }
}

/// What a program said in place of its version.
fn last_words(output: &str, complaint: &str) -> String {
    const LONGEST: usize = 100;
    let mut lines = complaint.lines().chain(output.lines());
    let line = lines
        .find(|line| !line.trim().is_empty())
        .unwrap_or("nothing");
    let short: String = line.trim().chars().take(LONGEST).collect();
    format!("tells no version: {short}")
}

fn sandbox_finding(agent: &Agent, kernel: Kernel) -> Option<Finding> {
    const CHECK: &str = "sandbox";
    let id = &agent.id;
    if let Some(why) = &agent.no_sandbox {
        let short = why.split(';').next().unwrap_or(why);
        return Some(
            Finding::fault(Section::Agents, CHECK, format!("{id}: {short}")).mend(format!(
                "set `permissions = \"bypass\"` in `[agents.{id}]`, and read in the README what that means"
            )),
        );
    }
    if !agent.is_sandboxed {
        return None;
    }
    Some(kernel.finding(id))
}

fn folder_finding(agent: &Agent) -> Option<Finding> {
    let id = &agent.id;
    let shown = agent.working_dir.path.display();
    let why = match &agent.working_dir.folder {
        Folder::Usable | Folder::ToBeMade => return None,
        Folder::SomethingElse => "it is no folder".to_owned(),
        Folder::Full => "its disk is full".to_owned(),
        Folder::Refused(why) => why.clone(),
    };
    let found = format!("{id}: its turns cannot write to `{shown}`: {why}");
    Some(
        Finding::fault(Section::Agents, "working_dir", found).mend(format!(
            "mend that folder, or set `working_dir` in `[agents.{id}]`"
        )),
    )
}

fn login_finding(agent: &Agent, dialect: &str) -> Option<Finding> {
    const CHECK: &str = "login";
    let id = &agent.id;
    match &agent.login {
        Login::Variable(name) => Some(Finding::ok(
            Section::Agents,
            CHECK,
            format!("{id}: `{name}` is set for its turns"),
        )),
        Login::File(path) => Some(Finding::ok(
            Section::Agents,
            CHECK,
            format!("{id}: `{}` is there", path.display()),
        )),
        Login::None(log_in) => Some(
            Finding::warning(
                Section::Agents,
                CHECK,
                format!("{id}: no credentials of {dialect} were found, neither a file nor a variable"),
            )
            .mend(format!(
                "as the user of the service: `{log_in}`; or give its key by `env` in `[agents.{id}]`"
            )),
        ),
        Login::Unknown => None,
    }
}
