//! The ends of transcripts, for whoever looks at a turn.

use std::{
    fs::File,
    io::{Read, Seek, SeekFrom},
    path::{Path, PathBuf},
};

use postroom_actors::ports::{SendFuture, turns::TranscriptTail};

/// How much is read, in bytes.
const TAIL: u64 = 16 << 10;

/// Transcripts as files.
#[derive(Debug, Clone, Copy, Default)]
pub struct TranscriptFiles;

impl TranscriptTail for TranscriptFiles {
    fn tail(&self, path: PathBuf) -> SendFuture<Option<String>> {
        Box::pin(async move {
            let read = tokio::task::spawn_blocking(move || read_tail(&path));
            read.await.ok().flatten()
        })
    }
}

/// Bytes that are no text become replacement characters.
fn read_tail(path: &Path) -> Option<String> {
    let mut file = File::open(path).ok()?;
    let metadata = file.metadata().ok()?;
    if !metadata.is_file() {
        return None;
    }
    let from = metadata.len().saturating_sub(TAIL);
    file.seek(SeekFrom::Start(from)).ok()?;
    let mut tail = Vec::new();
    // It may be growing: never more than was asked for.
    file.take(TAIL).read_to_end(&mut tail).ok()?;
    let whole_lines = if from == 0 {
        tail.as_slice()
    } else {
        from_next_line(&tail)
    };
    Some(String::from_utf8_lossy(whole_lines).into_owned())
}

/// Without the rest of a line at the front; all of it where there is no other line.
fn from_next_line(tail: &[u8]) -> &[u8] {
    let newline = tail.iter().position(|byte| *byte == b'\n');
    newline
        .and_then(|newline| tail.get(newline + 1..))
        .filter(|rest| !rest.is_empty())
        .unwrap_or(tail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_transcript_is_read_whole_and_a_missing_one_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("turn.log");
        assert_eq!(read_tail(&path), None);
        assert_eq!(read_tail(folder.path()), None);
        std::fs::write(&path, "first\nsecond").unwrap();
        assert_eq!(read_tail(&path).as_deref(), Some("first\nsecond"));
    }

    #[test]
    fn of_a_long_transcript_the_last_whole_lines_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("turn.log");
        let lines: Vec<String> = (0..5000).map(|number| format!("line {number}\n")).collect();
        std::fs::write(&path, lines.concat()).unwrap();
        let tail = read_tail(&path).unwrap();
        assert!(tail.len() <= 16 << 10);
        assert!(tail.starts_with("line "));
        assert!(tail.ends_with("line 4999\n"));
    }

    #[test]
    fn one_endless_line_is_not_lost() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("turn.log");
        std::fs::write(&path, "x".repeat(40_000)).unwrap();
        assert_eq!(read_tail(&path).unwrap().len(), 16 << 10);
    }
}
