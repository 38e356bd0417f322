//! `<home>/agent_replies`: a copy of each answer that an agent gave by `/agent-reply`.

use std::{path::PathBuf, sync::Arc};

use chrono::{DateTime, Utc};

use postroom_actors::ports::{
    SendFuture,
    turns::{AgentReplyStore, KeptReply, WorkspaceError},
};

use super::{Folder, background, folder::is_there};

/// The folder of answers. A file is named after an id of ours, never after what a caller said.
#[derive(Debug, Clone)]
pub struct AgentReplies {
    home: Arc<PathBuf>,
}

impl AgentReplies {
    /// The answers in `home`; the folder is made with the first one.
    pub fn new(home: PathBuf) -> Self {
        Self {
            home: Arc::new(home),
        }
    }

    /// Removes answers that were kept before a time; answers how many.
    ///
    /// # Errors
    /// The folder cannot be read, or a file in it not removed.
    pub fn remove_older(&self, before: DateTime<Utc>) -> SendFuture<Result<usize, WorkspaceError>> {
        let path = self.home.join("agent_replies");
        background(path.clone(), move || {
            if !is_there(&path)? {
                return Ok(0);
            }
            Folder::open(&path)?.remove_older(".json", before.timestamp())
        })
    }
}

impl AgentReplyStore for AgentReplies {
    /// Mode 0600, whole or not at all. The same id again replaces it; two calls with the same id
    /// must not run at the same time.
    fn keep(&self, reply: KeptReply) -> SendFuture<Result<(), WorkspaceError>> {
        let home = Arc::clone(&self.home);
        background(home.join("agent_replies"), move || {
            let folder = Folder::make(&home)?.need("agent_replies")?;
            folder.replace(&format!("{}.json", reply.id), &reply.json)
        })
    }
}
