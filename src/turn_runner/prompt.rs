//! Hands the prompt over without ever waiting for a CLI that does not read it.

use std::{
    io::{ErrorKind, PipeWriter, Write},
    os::fd::{AsFd, BorrowedFd},
    sync::Arc,
};

/// The prompt, and how far it is handed over.
pub(super) struct Prompt {
    /// `None` once all is written, or nobody reads.
    pipe: Option<PipeWriter>,
    text: Arc<str>,
    written: usize,
}

impl Prompt {
    /// Begins to hand it over.
    pub(super) fn new(pipe: PipeWriter, text: &Arc<str>) -> Self {
        // One that would block is not written to at all: the turn then ends without its prompt
        // rather than hanging for ever.
        let pipe = rustix::io::ioctl_fionbio(&pipe, true).ok().map(|()| pipe);
        let mut prompt = Self {
            pipe,
            text: Arc::clone(text),
            written: 0,
        };
        prompt.hand_over();
        prompt
    }

    /// What to wait for until more can be written.
    pub(super) fn file(&self) -> Option<BorrowedFd<'_>> {
        self.pipe.as_ref().map(AsFd::as_fd)
    }

    /// Writes as much as fits now. The pipe is closed after the last byte.
    pub(super) fn hand_over(&mut self) {
        while let Some(pipe) = self.pipe.as_mut() {
            let rest = self.text.as_bytes().get(self.written..).unwrap_or_default();
            if rest.is_empty() {
                self.pipe = None;
                return;
            }
            match pipe.write(rest) {
                Ok(written) => self.written += written,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_nobody_reads) => self.pipe = None,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{self, Read as _};

    use super::*;

    #[test]
    fn a_long_prompt_arrives_whole_and_is_followed_by_the_end() {
        let (mut reader, writer) = io::pipe().unwrap();
        let text: Arc<str> = "x".repeat(300_000).into();
        let mut prompt = Prompt::new(writer, &text);
        let mut read = Vec::new();
        let mut buffer = vec![0; 50_000];
        while prompt.file().is_some() {
            let count = reader.read(&mut buffer).unwrap();
            read.extend_from_slice(&buffer[..count]);
            prompt.hand_over();
        }
        reader.read_to_end(&mut read).unwrap();
        assert_eq!(read.len(), text.len());
    }

    #[test]
    fn nobody_who_reads_hurts_nothing() {
        let (reader, writer) = io::pipe().unwrap();
        drop(reader);
        assert!(Prompt::new(writer, &"hello".into()).file().is_none());
    }
}
