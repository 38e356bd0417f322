//! What systemd would hear of a broker.

use std::{
    os::unix::net::UnixDatagram,
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::time::Instant;

use super::{broker::BrokerOptions, wait::until};

/// The socket of a service manager. What it hears is kept.
pub struct NotifySocket {
    folder: tempfile::TempDir,
    heard: Arc<Mutex<Vec<String>>>,
}

impl NotifySocket {
    /// Begins to listen.
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let socket = UnixDatagram::bind(path_in(folder.path())).unwrap();
        let heard = Arc::new(Mutex::new(Vec::new()));
        let keep = Arc::clone(&heard);
        std::thread::spawn(move || {
            let mut datagram = vec![0; 4096];
            while let Ok(size) = socket.recv(&mut datagram) {
                let text = String::from_utf8(datagram[..size].to_vec()).unwrap();
                // The test itself: it is over.
                if text.is_empty() {
                    return;
                }
                let lines = text.lines().map(str::to_owned);
                keep.lock().unwrap().extend(lines);
            }
        });
        Self { folder, heard }
    }

    /// A broker that is told of it, and that it must give a sign of life within some time.
    pub fn tell(&self, options: BrokerOptions, watchdog: Duration) -> BrokerOptions {
        let socket = path_in(self.folder.path()).display().to_string();
        options
            .env("NOTIFY_SOCKET", &socket)
            .env("WATCHDOG_USEC", &watchdog.as_micros().to_string())
    }

    /// The lines that it heard, oldest first.
    pub fn heard(&self) -> Vec<String> {
        self.heard.lock().unwrap().clone()
    }

    /// How many signs of life there were.
    pub fn beats(&self) -> usize {
        let heard = self.heard.lock().unwrap();
        heard.iter().filter(|line| *line == "WATCHDOG=1").count()
    }

    /// Waits until it has heard a line that begins so.
    pub async fn until_heard(&self, beginning: &str) -> Vec<String> {
        let is_heard = |lines: &Vec<String>| lines.iter().any(|line| line.starts_with(beginning));
        until(beginning, || self.heard(), is_heard).await
    }

    /// Waits until there were so many signs of life.
    pub async fn until_beats(&self, count: usize) {
        let what = format!("{count} signs of life");
        until(&what, || self.beats(), |beats| *beats >= count).await;
    }

    /// Waits until no sign of life has come for some time.
    pub async fn until_silent(&self, silence: Duration) {
        let began = Instant::now();
        let (mut beats, mut since) = (self.beats(), began);
        while since.elapsed() < silence {
            let heard = self.heard();
            assert!(
                began.elapsed() < super::wait::DEADLINE,
                "it never fell silent: {heard:?}"
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
            if self.beats() > beats {
                (beats, since) = (self.beats(), Instant::now());
            }
        }
    }
}

impl Drop for NotifySocket {
    fn drop(&mut self) {
        // Ends the thread that listens.
        if let Ok(socket) = UnixDatagram::unbound() {
            let _ = socket.send_to(b"", path_in(self.folder.path()));
        }
    }
}

fn path_in(folder: &Path) -> std::path::PathBuf {
    folder.join("notify")
}
