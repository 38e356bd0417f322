//! The agents' folders in the home folder.
//!
//! What is there is never overwritten, and no link is followed on the way to a file that is
//! written: an agent may put links into its workspace. A workspace that is itself a link is not
//! used; to work elsewhere there is `working_dir`. Where a link stands in the place of a folder in
//! a workspace, it stays, and nothing is made behind it.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use chrono::NaiveDate;
use postroom_actors::{
    domain::{agent::RESERVED_NAMES, ids::AgentId},
    ports::{
        SendFuture,
        turns::{AgentHome, HiredAgent, MadeWorkspace, WorkspaceError},
    },
};

mod adopt;
mod control;
mod folder;
mod replies;
mod templates;

#[cfg(test)]
mod tests;

pub use adopt::{Ignored, Survey};
pub use replies::AgentReplies;

use folder::Folder;
use templates::{Template, Templates};

/// The folders of a workspace.
const FOLDERS: [&str; 5] = ["memory", "notes", "control", "logs", "inbox"];

/// The home folder. Clones are the same one.
#[derive(Debug, Clone)]
pub struct Workspaces(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    home: PathBuf,
    outside: BTreeMap<AgentId, PathBuf>,
    /// Held while something is written, so that temporary names do not meet.
    writing: Mutex<()>,
    /// What is passed over and has been told of: once is enough.
    told: Mutex<BTreeSet<PathBuf>>,
}

impl Workspaces {
    /// The workspaces in `home`, which need not be there yet.
    pub fn new(home: PathBuf) -> Self {
        Self::with_folder(home, None)
    }

    /// The same, with one folder outside of the home that is made with the workspace of its agent.
    pub fn with_folder(home: PathBuf, outside: Option<(AgentId, PathBuf)>) -> Self {
        Self(Arc::new(Shared {
            home,
            outside: outside.into_iter().collect(),
            writing: Mutex::new(()),
            told: Mutex::default(),
        }))
    }

    /// Who works in the home folder, and which folders are passed over, with the reasons.
    ///
    /// # Errors
    /// The home folder cannot be read. One that is missing has nobody in it.
    pub fn survey(&self) -> SendFuture<Result<Survey, WorkspaceError>> {
        self.in_background(|shared| adopt::survey(&shared.home))
    }

    /// Makes the note of a day where it is missing. Answers whether it was: an agent without a
    /// workspace gets none.
    ///
    /// # Errors
    /// [`WorkspaceError`].
    pub fn daily_note(
        &self,
        agent: AgentId,
        date: NaiveDate,
    ) -> SendFuture<Result<bool, WorkspaceError>> {
        self.in_background(move |shared| shared.daily_note(&agent, date))
    }

    /// The same for all who work in the home folder: at the start, and once a day. One that fails
    /// does not keep the others from theirs.
    ///
    /// # Errors
    /// The home folder cannot be read, or the first error of an agent.
    pub fn daily_notes(&self, date: NaiveDate) -> SendFuture<Result<(), WorkspaceError>> {
        self.in_background(move |shared| {
            let agents = adopt::survey(&shared.home)?.agents;
            let notes: Vec<_> = agents
                .iter()
                .map(|(agent, _)| shared.daily_note(agent, date))
                .collect();
            notes.into_iter().try_for_each(|made| made.map(drop))
        })
    }

    /// Runs work that waits for the disk on a thread of its own.
    fn in_background<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Shared) -> Result<T, WorkspaceError> + Send + 'static,
    ) -> SendFuture<Result<T, WorkspaceError>> {
        let shared = Arc::clone(&self.0);
        let home = shared.home.clone();
        background(home, move || {
            let _writing = shared
                .writing
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            work(&shared)
        })
    }
}

impl AgentHome for Workspaces {
    fn adopt(&self) -> SendFuture<Result<Vec<(AgentId, HiredAgent)>, WorkspaceError>> {
        let survey = self.survey();
        let told = Arc::clone(&self.0);
        Box::pin(async move {
            let Survey { agents, ignored } = survey.await?;
            let news = ignored.into_iter().filter(|ignored| told.is_news(ignored));
            for Ignored { path, reason } in news {
                tracing::warn!(path = %path.display(), %reason, "a workspace is not used as it is");
            }
            Ok(agents)
        })
    }

    fn make_workspace(
        &self,
        agent: AgentId,
        hired: HiredAgent,
        today: NaiveDate,
    ) -> SendFuture<Result<MadeWorkspace, WorkspaceError>> {
        self.in_background(move |shared| shared.make(&agent, &hired, today))
    }

    fn note_stopped(
        &self,
        agent: AgentId,
        is_stopped: bool,
    ) -> SendFuture<Result<(), WorkspaceError>> {
        self.in_background(move |shared| {
            let workspace = shared.workspace(&agent)?;
            let control = workspace.need("control")?;
            control::note_stopped(&control, is_stopped)
        })
    }

    fn note_removed(&self, agent: AgentId) -> SendFuture<Result<(), WorkspaceError>> {
        self.in_background(move |shared| {
            let workspace = shared.workspace(&agent)?;
            control::note_removed(&workspace.need("control")?)
        })
    }

    fn workspace(&self, agent: &AgentId) -> PathBuf {
        self.0.home.join(agent.as_str())
    }
}

impl Shared {
    fn is_news(&self, ignored: &Ignored) -> bool {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        told.insert(ignored.path.clone())
    }

    fn make(
        &self,
        agent: &AgentId,
        hired: &HiredAgent,
        today: NaiveDate,
    ) -> Result<MadeWorkspace, WorkspaceError> {
        let workspace = self.workspace(agent)?;
        let is_new = !workspace.has("SOUL.md")? && !workspace.has("control")?;
        let templates = Templates::of(&self.home, agent, today);
        for name in FOLDERS {
            workspace.sub(name)?;
        }
        let control = workspace.need("control")?;
        control::keep(&control, hired)?;
        workspace.write_new("AGENTS.md", || templates.text(Template::Agents))?;
        if let Some(memory) = workspace.sub("memory")? {
            memory.write_new("memory.md", || templates.text(Template::Memory))?;
        }
        make_note(&workspace, &templates, today)?;
        workspace.write_new("SOUL.md", || templates.text(Template::Soul))?;
        if let Some(outside) = self.outside.get(agent) {
            Folder::make(outside)?;
        }
        Ok(MadeWorkspace {
            is_new,
            hired: control::read(&control)?,
        })
    }

    /// An agent's folder, made where it is missing.
    fn workspace(&self, agent: &AgentId) -> Result<Folder, WorkspaceError> {
        if RESERVED_NAMES.contains(&agent.as_str()) {
            let text = "this name is kept for something else; choose another one for the agent";
            return Err(invalid(&self.home.join(agent.as_str()), text));
        }
        Folder::make(&self.home)?.need(agent.as_str())
    }

    fn daily_note(&self, agent: &AgentId, date: NaiveDate) -> Result<bool, WorkspaceError> {
        let path = self.home.join(agent.as_str());
        if !folder::is_there(&path)? {
            return Ok(false);
        }
        let templates = Templates::of(&self.home, agent, date);
        make_note(&self.workspace(agent)?, &templates, date)
    }
}

fn make_note(
    workspace: &Folder,
    templates: &Templates,
    date: NaiveDate,
) -> Result<bool, WorkspaceError> {
    let Some(notes) = workspace.sub("notes")? else {
        return Ok(false);
    };
    let name = format!("daily-{date}.md");
    notes.write_new(&name, || templates.text(Template::Daily))
}

/// Runs `work` where it may wait; `path` is what an error names if its thread breaks.
fn background<T: Send + 'static>(
    path: PathBuf,
    work: impl FnOnce() -> Result<T, WorkspaceError> + Send + 'static,
) -> SendFuture<Result<T, WorkspaceError>> {
    Box::pin(async move {
        tokio::task::spawn_blocking(work)
            .await
            .unwrap_or_else(|error| {
                let source = io::Error::other(error);
                Err(WorkspaceError { path, source })
            })
    })
}

/// What is there is not what it should be.
fn invalid(path: &Path, text: &'static str) -> WorkspaceError {
    WorkspaceError {
        path: path.to_owned(),
        source: io::Error::new(io::ErrorKind::InvalidData, text),
    }
}
