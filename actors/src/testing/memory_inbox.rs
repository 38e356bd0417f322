//! An inbox folder in memory.

use std::{
    collections::BTreeSet,
    path::PathBuf,
    sync::{Mutex, MutexGuard, PoisonError},
};

use serde_json::Value;

use crate::{
    domain::ids::ContextId,
    ports::{InboxError, InboxFile, InboxStore, RenderFile, SendFuture, WrittenFile},
};

/// An inbox folder in memory: files in the order in which they were written.
#[derive(Debug, Default)]
pub struct MemoryInbox(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    files: Vec<InboxFile>,
    marks: BTreeSet<ContextId>,
    failures_to_come: u32,
}

impl MemoryInbox {
    /// Lets the next writes fail.
    pub fn fail_next(&self, writes: u32) {
        self.state().failures_to_come = writes;
    }

    /// Marks a context, or takes its mark away.
    pub fn set_mark(&self, context_id: &str, is_marked: bool) {
        let context_id = ContextId::new(context_id);
        if is_marked {
            self.state().marks.insert(context_id);
        } else {
            self.state().marks.remove(&context_id);
        }
    }

    /// The contents of the files, in the order of writing.
    pub fn contents(&self) -> Vec<Value> {
        let state = self.state();
        state
            .files
            .iter()
            .map(|file| serde_json::from_str(&file.content).unwrap_or_default())
            .collect()
    }

    /// The names of the files, in the order of writing.
    pub fn names(&self) -> Vec<String> {
        self.state()
            .files
            .iter()
            .map(|file| file.name.clone())
            .collect()
    }

    /// The prompts of the files, in the order of writing.
    pub fn prompts(&self) -> Vec<String> {
        let prompt = |item: &Value| item["latest-user-prompt"].as_str().map(str::to_owned);
        self.contents().iter().filter_map(prompt).collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn keep(&self, files: Vec<RenderFile>) -> Result<Vec<WrittenFile>, InboxError> {
        let mut state = self.state();
        if state.failures_to_come > 0 {
            state.failures_to_come -= 1;
            let source = std::io::Error::from(std::io::ErrorKind::StorageFull);
            return Err(InboxError {
                path: PathBuf::from("inbox"),
                source,
            });
        }
        let mut written = Vec::new();
        for file in files.into_iter().map(|file| (file.render)()) {
            let size_bytes = u64::try_from(file.content.len()).unwrap_or(u64::MAX);
            written.push(WrittenFile {
                path: PathBuf::from(&file.name),
                size_bytes,
            });
            state.marks.extend(file.marks.clone());
            state.files.push(file);
        }
        Ok(written)
    }
}

impl InboxStore for MemoryInbox {
    fn write(&self, files: Vec<RenderFile>) -> SendFuture<Result<Vec<WrittenFile>, InboxError>> {
        let written = self.keep(files);
        Box::pin(std::future::ready(written))
    }

    fn is_context_seen(&self, context_id: &ContextId) -> bool {
        self.state().marks.contains(context_id)
    }
}
