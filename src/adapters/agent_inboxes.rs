//! The inboxes of agents whose tasks are delivered as files: `<workspace>/inbox`.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use postroom_actors::ports::{
    InboxError, InboxStore, RenderFile, SendFuture, WrittenFile, turns::AgentInboxes,
};

use super::inbox_files::InboxFiles;

/// Opens each inbox when it is first written to, and keeps it open.
#[derive(Default)]
pub struct InboxesOfAgents(Mutex<HashMap<PathBuf, Arc<InboxFiles>>>);

impl InboxesOfAgents {
    fn of(&self, workspace: &Path) -> Result<Arc<InboxFiles>, InboxError> {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(inbox) = open.get(workspace) {
            return Ok(Arc::clone(inbox));
        }
        let inbox = Arc::new(InboxFiles::open(&workspace.join("inbox"))?);
        open.insert(workspace.to_owned(), Arc::clone(&inbox));
        Ok(inbox)
    }
}

impl AgentInboxes for InboxesOfAgents {
    fn write(
        &self,
        workspace: PathBuf,
        files: Vec<RenderFile>,
    ) -> SendFuture<Result<Vec<WrittenFile>, InboxError>> {
        match self.of(&workspace) {
            Ok(inbox) => inbox.write(files),
            Err(error) => Box::pin(async move { Err(error) }),
        }
    }
}
