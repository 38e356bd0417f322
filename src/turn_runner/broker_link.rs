//! The runner's end of the socket to the broker.

use std::{
    io::{self, BufRead, BufReader, Read, Write},
    os::{
        fd::{AsFd, BorrowedFd},
        unix::net::UnixStream,
    },
};

use crate::adapters::turn_process::protocol::{KILL, Order, Report, STOP};

/// What the broker wants of a running turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wish {
    /// Ask it to end, and end it after its grace.
    Stop,
    /// Nothing any more: the broker has died, and nobody will hear of the turn's end.
    Abandon,
    /// End it now.
    Kill,
}

/// The socket to the broker.
pub(super) struct BrokerLink {
    socket: BufReader<UnixStream>,
    is_broker_gone: bool,
}

impl BrokerLink {
    /// The socket that the broker gave us as standard input.
    pub(super) fn of_stdin() -> io::Result<Self> {
        // The copy is not passed on to the CLI, whose standard input is a pipe of its own.
        let socket = io::stdin().as_fd().try_clone_to_owned()?;
        Ok(Self::new(UnixStream::from(socket)))
    }

    fn new(socket: UnixStream) -> Self {
        Self {
            socket: BufReader::new(socket),
            is_broker_gone: false,
        }
    }

    /// Waits for the order; `None` where the broker has given up before.
    pub(super) fn order(&mut self) -> io::Result<Option<Order>> {
        let mut line = Vec::new();
        self.socket.read_until(b'\n', &mut line)?;
        if line.last() != Some(&b'\n') {
            return Ok(None);
        }
        Ok(Some(serde_json::from_slice(&line)?))
    }

    /// Tells the broker. One that has died is noticed elsewhere.
    pub(super) fn report(&mut self, report: &Report) {
        let Ok(mut line) = serde_json::to_vec(report) else {
            return;
        };
        line.push(b'\n');
        let _broker_is_gone = self.socket.get_mut().write_all(&line);
    }

    /// What to wait for; nothing once the broker is gone.
    pub(super) fn file(&self) -> Option<BorrowedFd<'_>> {
        (!self.is_broker_gone).then(|| self.socket.get_ref().as_fd())
    }

    /// Reads what the broker wants; blocks where there is nothing to read.
    pub(super) fn wish(&mut self) -> Wish {
        let mut said = [0; STOP.len() + KILL.len()];
        match self.socket.read(&mut said) {
            Ok(0) | Err(_) => {
                self.is_broker_gone = true;
                Wish::Abandon
            }
            Ok(_) if said.starts_with(KILL) || said.ends_with(KILL) => Wish::Kill,
            Ok(_) => Wish::Stop,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link() -> (BrokerLink, UnixStream) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        (BrokerLink::new(ours), theirs)
    }

    #[test]
    fn a_broker_that_dies_is_noticed_once() {
        let (mut link, broker) = link();
        drop(broker);
        assert_eq!(link.wish(), Wish::Abandon);
        assert!(link.file().is_none());
        link.report(&Report::Gone { killed: 0 });
    }

    #[test]
    fn stop_and_kill_are_told_apart_even_in_one_piece() {
        for (said, wish) in [
            (&b"stop\n"[..], Wish::Stop),
            (b"kill\n", Wish::Kill),
            (b"stop\nkill\n", Wish::Kill),
        ] {
            let (mut link, mut broker) = link();
            broker.write_all(said).unwrap();
            assert_eq!(link.wish(), wish);
        }
    }

    #[test]
    fn half_an_order_is_none() {
        let (mut link, mut broker) = link();
        broker.write_all(br#"{"program":"/bin/sh","#).unwrap();
        drop(broker);
        assert!(link.order().unwrap().is_none());
    }
}
