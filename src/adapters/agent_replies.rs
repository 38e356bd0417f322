//! What agents replied by `/agent-reply`, as files of the home folder.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use postroom_actors::ports::{
    SendFuture,
    turns::{AgentReplyStore, KeptReply, WorkspaceError},
};

/// The folder `agent_replies` of a home. It is made with the first reply.
#[derive(Debug, Clone)]
pub struct AgentReplyFiles(PathBuf);

impl AgentReplyFiles {
    /// The replies in this home folder.
    pub fn new(home: &Path) -> Self {
        Self(home.join("agent_replies"))
    }
}

impl AgentReplyStore for AgentReplyFiles {
    fn keep(&self, reply: KeptReply) -> SendFuture<Result<(), WorkspaceError>> {
        let folder = self.0.clone();
        Box::pin(async move {
            let path = folder.join(format!("{}.json", reply.id));
            let written = path.clone();
            tokio::task::spawn_blocking(move || write(&folder, &path, &reply))
                .await
                .unwrap_or_else(|gone| Err(io::Error::other(gone)))
                .map_err(|source| WorkspaceError {
                    path: written,
                    source,
                })
        })
    }
}

/// Readers never see half a file: it gets its name when it is whole.
fn write(folder: &Path, path: &Path, reply: &KeptReply) -> io::Result<()> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)?;
    let draft = folder.join(format!(".{}.tmp", reply.id));
    let written = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&draft)
        .and_then(|mut file| {
            file.write_all(&reply.json)?;
            file.sync_all()
        })
        .and_then(|()| fs::rename(&draft, path));
    if written.is_err() {
        fs::remove_file(&draft).ok();
    }
    written?;
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use postroom_actors::domain::ids::MessageId;

    use super::*;

    #[tokio::test]
    async fn a_reply_lies_under_its_id_and_nothing_else_is_left() {
        let home = tempfile::tempdir().unwrap();
        let replies = AgentReplyFiles::new(home.path());
        let id = MessageId::parse("01890a5d-ac96-774b-bcce-b302099a8057").unwrap();
        let reply = KeptReply {
            id,
            json: "{}".into(),
        };
        replies.keep(reply).await.unwrap();
        let names: Vec<_> = fs::read_dir(home.path().join("agent_replies"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        assert_eq!(names, [format!("{id}.json")]);
    }
}
