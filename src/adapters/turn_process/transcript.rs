//! One text file a turn: what was run, its prompt, the first and last part of what it printed.
//!
//! A blocking thread writes it. What is given to that thread is bounded, so that a disk that hangs
//! costs the transcript and nothing else.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    sync::mpsc,
    time::Duration,
};

use chrono::{DateTime, Utc};
use postroom_actors::domain::ids::TurnId;
use tokio::{sync::oneshot, task, time};

use super::output::Tail;

/// Of all output, so much of its beginning and as much of its end is kept, in bytes.
pub(super) const KEPT_AT_EACH_END: usize = 512 * 1024;

/// So many transcripts are kept of a workspace.
const MOST_FILES: usize = 200;

/// How long the end of a turn waits for its transcript.
const LONGEST_WAIT: Duration = Duration::from_secs(1);

/// The file of a turn's transcript.
pub(super) fn path(workspace: &Path, turn: TurnId, started: DateTime<Utc>) -> PathBuf {
    let name = format!("{}-{turn}.log", started.format("%Y%m%d%H%M%S"));
    workspace.join("logs").join(name)
}

/// Which output a piece is from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// A transcript that is being written.
pub(super) struct Transcript {
    path: PathBuf,
    pieces: mpsc::Sender<Vec<u8>>,
    is_written: oneshot::Receiver<bool>,
    room_at_beginning: usize,
    tail: Tail,
    last: Option<Source>,
}

impl Transcript {
    /// Begins one; its file is made by another thread.
    pub(super) fn begin(path: PathBuf, header: String) -> Self {
        let (pieces, to_write) = mpsc::channel();
        let (tell, is_written) = oneshot::channel();
        let file = path.clone();
        task::spawn_blocking(move || {
            let result = write(&file, &header, &to_write);
            if let Err(error) = &result {
                tracing::warn!(file = %file.display(), %error, "a transcript was not written");
            }
            let _nobody_waits = tell.send(result.is_ok());
        });
        Self {
            path,
            pieces,
            is_written,
            room_at_beginning: KEPT_AT_EACH_END,
            tail: Tail::new(KEPT_AT_EACH_END),
            last: None,
        }
    }

    /// Takes a piece of output.
    pub(super) fn take(&mut self, source: Source, piece: &[u8]) {
        if self.last.replace(source) != Some(source) {
            self.keep(match source {
                Source::Stdout => b"\n--- standard output ---\n",
                Source::Stderr => b"\n--- standard error ---\n",
            });
        }
        self.keep(piece);
    }

    /// Ends it; answers its file, where it was written.
    pub(super) async fn finish(self, footer: String) -> Option<PathBuf> {
        let Self { path, pieces, .. } = self;
        let (mut end, left_out) = self.tail.finish();
        if left_out > 0 {
            let note = format!("\n--- {left_out} bytes are left out here ---\n");
            end.splice(..0, note.into_bytes());
        }
        end.extend_from_slice(footer.as_bytes());
        let _writer_is_gone = pieces.send(end);
        drop(pieces);
        let is_written = time::timeout(LONGEST_WAIT, self.is_written).await;
        matches!(is_written, Ok(Ok(true))).then_some(path)
    }

    fn keep(&mut self, piece: &[u8]) {
        let (beginning, rest) = piece.split_at(piece.len().min(self.room_at_beginning));
        self.room_at_beginning -= beginning.len();
        if !beginning.is_empty() {
            let _writer_is_gone = self.pieces.send(beginning.to_vec());
        }
        self.tail.take(rest);
    }
}

fn write(path: &Path, header: &str, pieces: &mpsc::Receiver<Vec<u8>>) -> io::Result<()> {
    let mut file = create(path)?;
    file.write_all(header.as_bytes())?;
    for piece in pieces {
        file.write_all(&piece)?;
    }
    Ok(())
}

fn create(path: &Path) -> io::Result<File> {
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)?;
    let file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    remove_oldest(folder, MOST_FILES)?;
    Ok(file)
}

/// Keeps the newest transcripts of a folder; their names sort by time.
fn remove_oldest(folder: &Path, most: usize) -> io::Result<()> {
    let names = fs::read_dir(folder)?
        .flatten()
        .map(|entry| entry.file_name());
    let ours = names.filter(|name| name.to_str().is_some_and(is_transcript));
    let mut ours: Vec<_> = ours.collect();
    ours.sort_unstable();
    let surplus = ours.len().saturating_sub(most);
    for name in ours.into_iter().take(surplus) {
        let _gone_already = fs::remove_file(folder.join(name));
    }
    Ok(())
}

/// `<14 digits>-<turn id>.log`
fn is_transcript(name: &str) -> bool {
    let parts = name
        .strip_suffix(".log")
        .and_then(|name| name.split_once('-'));
    parts.is_some_and(|(time, turn)| {
        time.len() == 14
            && time.bytes().all(|byte| byte.is_ascii_digit())
            && TurnId::parse(turn).is_some()
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn name(number: usize) -> String {
        format!("{number:014}-00000000-0000-7000-8000-{number:012}.log")
    }

    #[tokio::test]
    async fn the_first_and_the_last_part_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("logs").join(name(1));
        let mut transcript = Transcript::begin(path.clone(), "header".to_owned());
        transcript.take(Source::Stdout, b"first");
        let piece = vec![b'x'; 64 * 1024];
        for _ in 0..40 {
            transcript.take(Source::Stdout, &piece);
        }
        transcript.take(Source::Stderr, b"last");
        let written = transcript.finish("footer".to_owned()).await;
        assert_eq!(written.as_ref(), Some(&path));
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.starts_with("header\n--- standard output ---\nfirstxx"));
        assert!(text.ends_with("xx\n--- standard error ---\nlastfooter"));
        assert!(text.contains("bytes are left out here"));
        assert!(text.len() < 2 * KEPT_AT_EACH_END + 200);
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[tokio::test]
    async fn one_that_cannot_be_written_is_no_transcript() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("logs"), "a file").unwrap();
        let path = folder.path().join("logs").join(name(1));
        let mut transcript = Transcript::begin(path, String::new());
        transcript.take(Source::Stdout, b"text");
        assert_eq!(transcript.finish(String::new()).await, None);
    }

    #[test]
    fn the_oldest_transcripts_go_and_other_files_stay() {
        let folder = tempfile::tempdir().unwrap();
        for number in [3, 1, 2, 4] {
            fs::write(folder.path().join(name(number)), "").unwrap();
        }
        fs::write(folder.path().join("00000000000000-notes.log"), "").unwrap();
        remove_oldest(folder.path(), 2).unwrap();
        let names = fs::read_dir(folder.path()).unwrap();
        let mut names: Vec<String> = names
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        assert_eq!(
            names,
            ["00000000000000-notes.log".to_owned(), name(3), name(4)]
        );
    }
}
