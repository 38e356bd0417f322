//! The broker's end of the socket to a runner.

use std::{io, os::unix::net};

use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines},
    net::{
        UnixStream,
        unix::{OwnedReadHalf, OwnedWriteHalf},
    },
};

use super::protocol::{Order, Report};

/// The socket to a runner. Dropping it tells the runner to end its turn.
pub(super) struct Control {
    reports: Lines<BufReader<OwnedReadHalf>>,
    wishes: OwnedWriteHalf,
}

impl Control {
    /// Takes over a connected socket.
    pub(super) fn new(socket: net::UnixStream) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        let (reports, wishes) = UnixStream::from_std(socket)?.into_split();
        Ok(Self {
            reports: BufReader::new(reports).lines(),
            wishes,
        })
    }

    /// Gives the runner its order. A runner that has died is noticed by [`Self::report`].
    pub(super) async fn order(&mut self, order: &Order) -> io::Result<()> {
        let mut line = serde_json::to_vec(order)?;
        line.push(b'\n');
        let _runner_has_died = self.wishes.write_all(&line).await;
        Ok(())
    }

    /// The next report; `None` once the runner has ended, or makes no sense.
    ///
    /// # Cancel safety
    /// Nothing is lost by dropping it.
    pub(super) async fn report(&mut self) -> Option<Report> {
        let line = self.reports.next_line().await.ok()??;
        serde_json::from_str(&line).ok()
    }

    /// Says one of the few words that a runner knows; they always fit.
    pub(super) fn say(&self, word: &[u8]) {
        let _runner_has_died = self.wishes.try_write(word);
    }
}
