//! What `postroom doctor` wants to know of a set-up and only adapters can tell. Nothing is changed.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc, time::Duration};

use bytes::Bytes;
use chrono::{DateTime, Utc};
use postroom_actors::{
    domain::{
        agent::{AgentProfile, Delivery, Permissions},
        ids::AgentId,
    },
    ports::{
        Credential, Upstream, UpstreamRequest, UpstreamTimeouts,
        turns::{AgentHome, HiredAgent},
    },
};

use super::{agents, backends};
use crate::{
    adapters::{
        program_probe,
        tls_certificate::TlsCertificate,
        turn_process::outlook::outlook,
        upstream_http::{TlsSetup, UpstreamHttp},
        workspaces::Survey,
    },
    forwarding,
    settings::{BackendSettings, Settings, TlsFiles},
};

pub use crate::adapters::{
    program_probe::Answer,
    store_sqlite::inspection::{Health, Inspection, Lock, inspect as store, lock as store_lock},
    turn_process::orphans::{Orphan, orphans},
};

/// An agent, as a service would see it. Holds secrets.
pub struct ExaminedAgent {
    /// Its name.
    pub id: AgentId,
    /// It is configured or has a workspace; else only `daemon` would make it.
    pub is_there: bool,
    /// Its command, the program first; empty where `dialect` says why.
    pub command: Vec<String>,
    /// The dialect's name, or why there is none.
    pub dialect: Result<&'static str, String>,
    /// Where its program lies, or why it has none.
    pub program: Result<PathBuf, String>,
    /// Why its turns cannot be kept in the sandbox that is asked for.
    pub no_sandbox: Option<String>,
    /// Its turns are to stay in the CLI's sandbox.
    pub is_sandboxed: bool,
    /// Tasks reach it as files: it has no program of ours.
    pub is_by_inbox: bool,
    /// Where its turns run.
    pub working_dir: PathBuf,
    /// The environment of its turns.
    pub environment: BTreeMap<String, String>,
}

/// All agents of a set-up.
#[derive(Default)]
pub struct ExaminedAgents {
    /// By name.
    pub agents: Vec<ExaminedAgent>,
    /// Folders of the home folder that are passed over, with the reasons.
    pub ignored: Vec<(PathBuf, String)>,
}

/// Looks at the agents that are configured or have a workspace, and at the manager.
///
/// `environment` is what a service has, `running` the commands of one that runs, by agent: they count
/// for agents of which nothing is written down, and which it may have been told of by `--cli`.
///
/// # Errors
/// The home folder cannot be read.
pub async fn agents(
    settings: &Settings,
    environment: &[(String, String)],
    running: &BTreeMap<String, String>,
) -> Result<ExaminedAgents, String> {
    let home = agents::workspaces(settings);
    let survey = home.survey().await.map_err(|error| error.to_string())?;
    let secrets = agents::secrets(settings);
    let examine = |(id, is_there, hired): (AgentId, bool, HiredAgent)| {
        let workspace = home.workspace(&id);
        let is_configured = settings.agents.named.contains_key(&id);
        let runs = running.get(id.as_str()).filter(|_| !is_configured);
        let cli = hired.cli.as_ref().or(runs).map(String::as_str);
        match settings.agents.profile(&id, workspace.clone(), cli) {
            Ok(profile) => examined(&profile, is_there, environment, &secrets),
            Err(error) => unreadable(id, is_there, workspace, &error.to_string()),
        }
    };
    Ok(ExaminedAgents {
        agents: known(settings, &survey).into_iter().map(examine).collect(),
        ignored: survey
            .ignored
            .into_iter()
            .map(|ignored| (ignored.path, ignored.reason))
            .collect(),
    })
}

/// Names, whether they are there, and what they were hired with.
fn known(settings: &Settings, survey: &Survey) -> Vec<(AgentId, bool, HiredAgent)> {
    let mut known: BTreeMap<AgentId, (bool, HiredAgent)> = survey
        .agents
        .iter()
        .map(|(id, hired)| (id.clone(), (true, hired.clone())))
        .collect();
    for id in settings.agents.named.keys() {
        known
            .entry(id.clone())
            .or_insert((true, HiredAgent::default()));
    }
    let manager = settings.agents.default.clone();
    known
        .entry(manager)
        .or_insert((false, HiredAgent::default()));
    known
        .into_iter()
        .map(|(id, (is_there, hired))| (id, is_there, hired))
        .collect()
}

fn examined(
    profile: &AgentProfile,
    is_there: bool,
    environment: &[(String, String)],
    secrets: &[String],
) -> ExaminedAgent {
    let outlook = outlook(profile, environment, secrets);
    ExaminedAgent {
        id: profile.id.clone(),
        is_there,
        command: profile.command.clone(),
        dialect: outlook.dialect.map_err(|error| error.to_string()),
        program: outlook.program.map_err(|error| error.to_string()),
        no_sandbox: outlook.no_sandbox.map(|error| error.to_string()),
        is_sandboxed: profile.permissions == Permissions::Sandboxed,
        is_by_inbox: profile.delivery == Delivery::Inbox,
        working_dir: profile.working_dir.clone(),
        environment: outlook.environment,
    }
}

fn unreadable(id: AgentId, is_there: bool, workspace: PathBuf, why: &str) -> ExaminedAgent {
    ExaminedAgent {
        id,
        is_there,
        command: Vec::new(),
        dialect: Err(why.to_owned()),
        program: Err(why.to_owned()),
        no_sandbox: None,
        is_sandboxed: false,
        is_by_inbox: false,
        working_dir: workspace,
        environment: BTreeMap::new(),
    }
}

/// Asks an agent's program for its version: the command with `--version`.
///
/// `None` where the program is not there.
pub async fn version(agent: &ExaminedAgent, limit: Duration) -> Option<Answer> {
    let program = agent.program.as_ref().ok()?;
    let mut arguments: Vec<String> = agent.command.iter().skip(1).cloned().collect();
    arguments.push("--version".to_owned());
    let question = program_probe::Question {
        program,
        arguments: &arguments,
        environment: &agent.environment,
        limit,
    };
    Some(program_probe::ask(&question).await)
}

/// Asks a program of the system, with a plain environment.
pub async fn system_program(program: &str, arguments: &[&str], limit: Duration) -> Option<Answer> {
    let folders = ["/usr/bin", "/bin", "/usr/sbin", "/sbin"];
    let paths = folders
        .iter()
        .map(|folder| PathBuf::from(folder).join(program));
    let program = paths.into_iter().find(|path| path.is_file())?;
    let environment = BTreeMap::from([
        ("PATH".to_owned(), folders.join(":")),
        ("LC_ALL".to_owned(), "C".to_owned()),
    ]);
    let arguments: Vec<String> = arguments.iter().map(|&word| word.to_owned()).collect();
    let question = program_probe::Question {
        program: &program,
        arguments: &arguments,
        environment: &environment,
        limit,
    };
    Some(program_probe::ask(&question).await)
}

/// Asks a backend for its models, with its key; the status of its answer.
///
/// # Errors
/// It gives none within the time, in words.
pub async fn backend(backend: &BackendSettings, limit: Duration) -> Result<u16, String> {
    let url = forwarding::models_url(&backend.url);
    get(url, backends::credential(backend), limit).await
}

/// Asks whether anybody answers at a peer's URL, without any key; the status of the answer.
///
/// # Errors
/// Nobody does within the time, in words.
pub async fn peer(url: &str, limit: Duration) -> Result<u16, String> {
    get(format!("{url}/healthz"), Credential::None, limit).await
}

async fn get(url: String, credential: Credential, limit: Duration) -> Result<u16, String> {
    let request = UpstreamRequest {
        method: "GET",
        url: url.into(),
        credential,
        headers: vec![("accept", "application/json".to_owned())],
        body: Bytes::new(),
        timeouts: UpstreamTimeouts {
            connect: limit,
            first_byte: limit,
            idle: limit,
            whole: limit,
        },
    };
    let answer = UpstreamHttp::new(TlsSetup::default()).send(request).await;
    let answer = answer.map_err(|error| error.to_string())?;
    Ok(answer.status)
}

/// Reads the certificate of the listener; until when it holds, where that can be read.
///
/// # Errors
/// It cannot be used, in words.
pub fn certificate(files: &TlsFiles) -> Result<Option<DateTime<Utc>>, String> {
    let certificate: Arc<TlsCertificate> =
        TlsCertificate::load(&files.cert, &files.key).map_err(|error| error.to_string())?;
    Ok(certificate.expires_at())
}
