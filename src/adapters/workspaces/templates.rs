//! The first content of a workspace's files: ours, or the operator's from `<home>/templates`.

use std::{
    fs::File,
    io,
    path::{Path, PathBuf},
};

use chrono::NaiveDate;
use postroom_actors::{domain::ids::AgentId, ports::turns::WorkspaceError};

use super::{
    folder::{failed, read_whole},
    invalid,
};

/// Which file.
#[derive(Debug, Clone, Copy)]
pub(super) enum Template {
    /// Who the agent is.
    Soul,
    /// How it works.
    Agents,
    /// What it remembers.
    Memory,
    /// The note of a day.
    Daily,
}

impl Template {
    const fn name(self) -> &'static str {
        match self {
            Self::Soul => "SOUL.md",
            Self::Agents => "AGENTS.md",
            Self::Memory => "memory.md",
            Self::Daily => "daily.md",
        }
    }

    const fn built_in(self) -> &'static str {
        match self {
            Self::Soul => include_str!("../../../config/workspace/SOUL.md"),
            Self::Agents => include_str!("../../../config/workspace/AGENTS.md"),
            Self::Memory => include_str!("../../../config/workspace/memory.md"),
            Self::Daily => include_str!("../../../config/workspace/daily.md"),
        }
    }
}

/// The templates of one agent on one day.
#[derive(Debug)]
pub(super) struct Templates {
    folder: PathBuf,
    agent: String,
    date: NaiveDate,
}

impl Templates {
    pub(super) fn of(home: &Path, agent: &AgentId, date: NaiveDate) -> Self {
        Self {
            folder: home.join("templates"),
            agent: agent.to_string(),
            date,
        }
    }

    /// The text with its placeholders filled in.
    pub(super) fn text(&self, template: Template) -> Result<String, WorkspaceError> {
        let text = match self.replaced(template.name())? {
            Some(text) => text,
            None => template.built_in().to_owned(),
        };
        let (role, _) = self.agent.split_once('_').unwrap_or((&self.agent, ""));
        Ok(text
            .replace("{agent}", &self.agent)
            .replace("{role}", role)
            .replace("{date}", &self.date.to_string()))
    }

    /// The operator's own template, where there is one.
    fn replaced(&self, name: &str) -> Result<Option<String>, WorkspaceError> {
        let path = self.folder.join(name);
        let content = match File::open(&path) {
            Ok(file) => read_whole(file, &path)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed(&path, error)),
        };
        match String::from_utf8(content) {
            Ok(text) => Ok(Some(text)),
            Err(_) => Err(invalid(&path, "this template is not UTF-8")),
        }
    }
}
