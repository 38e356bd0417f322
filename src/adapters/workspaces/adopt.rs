//! Which folders of the home folder are workspaces.

use std::{
    ffi::OsStr,
    fs, io,
    path::{Path, PathBuf},
};

use postroom_actors::{
    domain::{agent::RESERVED_NAMES, ids::AgentId},
    ports::turns::{HiredAgent, WorkspaceError},
};

use super::{
    Folder, control,
    folder::{failed, is_there},
};

/// What is in a home folder.
#[derive(Debug)]
pub struct Survey {
    /// Who works there, by name.
    pub agents: Vec<(AgentId, HiredAgent)>,
    /// What looks like a workspace and is not used, or not as it is.
    pub ignored: Vec<Ignored>,
}

/// A folder or file that is passed over.
#[derive(Debug)]
pub struct Ignored {
    /// Which one.
    pub path: PathBuf,
    /// Why.
    pub reason: String,
}

/// Looks through a home folder; changes nothing.
pub(super) fn survey(home: &Path) -> Result<Survey, WorkspaceError> {
    let mut survey = Survey {
        agents: Vec::new(),
        ignored: Vec::new(),
    };
    let entries = match fs::read_dir(home) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(survey),
        entries => entries.map_err(|error| failed(home, error))?,
    };
    for entry in entries {
        let entry = entry.map_err(|error| failed(home, error))?;
        survey.look_at(&entry.path(), &entry.file_name());
    }
    survey.agents.sort_by(|left, right| left.0.cmp(&right.0));
    survey
        .ignored
        .sort_by(|left, right| left.path.cmp(&right.path));
    Ok(survey)
}

impl Survey {
    fn look_at(&mut self, path: &Path, name: &OsStr) {
        match workspace(path, name) {
            Ok(None) => {}
            Ok(Some(_)) if is_removed(path) => {}
            Ok(Some(agent)) => {
                let hired = hired(path).unwrap_or_else(|error| {
                    self.ignore(&error.path, &error.source.to_string());
                    HiredAgent::default()
                });
                self.agents.push((agent, hired));
            }
            Err(reason) => self.ignore(path, &reason),
        }
    }

    fn ignore(&mut self, path: &Path, reason: &str) {
        self.ignored.push(Ignored {
            path: path.to_owned(),
            reason: reason.to_owned(),
        });
    }
}

/// The agent of a workspace, `None` for what is none, or why it is not used.
fn workspace(path: &Path, name: &OsStr) -> Result<Option<AgentId>, String> {
    let text = |error: WorkspaceError| error.to_string();
    match fs::metadata(path) {
        Ok(found) if found.is_dir() => {}
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.to_string()),
        _ => return Ok(None),
    }
    if !is_there(&path.join("SOUL.md")).map_err(text)?
        && !is_there(&path.join("control")).map_err(text)?
    {
        return Ok(None);
    }
    if path.is_symlink() {
        return Err(
            "it is a link; put the folder itself here, or name it with `working_dir`".to_owned(),
        );
    }
    let name = name.to_string_lossy();
    if RESERVED_NAMES.contains(&&*name) {
        return Err("this name is kept for something else; rename the folder".to_owned());
    }
    AgentId::parse(&name)
        .map(Some)
        .map_err(|error| format!("{error}; rename the folder"))
}

/// A mark that cannot be read is none: [`hired`] tells why.
fn is_removed(path: &Path) -> bool {
    path.join("control").is_dir()
        && Folder::make(path)
            .and_then(|folder| control::is_removed(&folder.need("control")?))
            .unwrap_or(false)
}

fn hired(path: &Path) -> Result<HiredAgent, WorkspaceError> {
    if !path.join("control").is_dir() {
        return Ok(HiredAgent::default());
    }
    control::read(&Folder::make(path)?.need("control")?)
}
