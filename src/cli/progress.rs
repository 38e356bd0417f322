//! A line on standard error while something takes long; only where that is a terminal.

use std::{
    io::{self, IsTerminal, Write},
    sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel},
    thread::JoinHandle,
    time::Duration,
};

use tokio::time::Instant;

use super::{World, agent_view::shown};

/// What is over sooner needs no line.
const PATIENCE: Duration = Duration::from_millis(400);

/// How often the line tells how long it has taken.
const TICK: Duration = Duration::from_secs(1);

/// A line that is gone when this is dropped.
pub(super) struct Progress(Option<(Sender<()>, JoinHandle<()>)>);

impl Progress {
    /// Says what is done, for as long as it takes.
    pub(super) fn begin(world: &World, what: &str) -> Self {
        let is_plain = world.variable("TERM") == Some("dumb");
        if is_plain || !io::stderr().is_terminal() {
            return Self(None);
        }
        Self::on(what, io::stderr())
    }

    fn on(what: &str, terminal: impl Write + Send + 'static) -> Self {
        let (sender, end) = channel();
        let what = shown(what);
        let line = std::thread::spawn(move || keep(&what, &end, terminal));
        Self(Some((sender, line)))
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some((sender, line)) = self.0.take() {
            drop(sender);
            line.join().unwrap_or_default();
        }
    }
}

fn keep(what: &str, end: &Receiver<()>, mut terminal: impl Write) {
    let begun = Instant::now();
    let mut pause = PATIENCE;
    let mut is_written = false;
    loop {
        if end.recv_timeout(pause) != Err(RecvTimeoutError::Timeout) {
            break;
        }
        pause = TICK;
        is_written = true;
        let line = format!("\r\u{1b}[2K{what}… {} s", begun.elapsed().as_secs());
        // Nobody misses a line that cannot be written.
        let _unwritten = terminal
            .write_all(line.as_bytes())
            .and_then(|()| terminal.flush());
    }
    if is_written {
        let _unwritten = terminal
            .write_all(b"\r\x1b[2K")
            .and_then(|()| terminal.flush());
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Screen(Arc<Mutex<Vec<u8>>>);

    impl Write for Screen {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Screen {
        fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
        }

        async fn until(&self, words: &str) {
            let deadline = Instant::now() + Duration::from_secs(20);
            while !self.text().contains(words) {
                assert!(Instant::now() < deadline, "{:?}", self.text());
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
    }

    #[test]
    fn what_is_over_at_once_shows_nothing() {
        let screen = Screen::default();
        drop(Progress::on("asking", screen.clone()));
        assert_eq!(screen.text(), "");
    }

    #[tokio::test]
    async fn what_takes_long_is_told_and_leaves_no_trace() {
        let screen = Screen::default();
        let progress = Progress::on("ask\u{1b}ing", screen.clone());
        screen.until("ask\u{fffd}ing… 0 s").await;
        drop(progress);
        assert!(
            screen.text().ends_with("\r\u{1b}[2K"),
            "{:?}",
            screen.text()
        );
    }
}
