//! What systemd hears of the service (`Type=notify`): that it accepts requests, how it is, that it
//! stops, and, as long as the store's writer answers, that it lives.
//!
//! The watchdog is for what does not heal by itself. A store that refuses because its disk is full
//! answers, and accepting goes on as soon as there is room: ending the service would help nobody. A
//! store that gives no answer at all may be stuck for good: then nothing is fed.

use std::{
    cell::RefCell,
    env,
    ffi::OsStr,
    io,
    os::{
        linux::net::SocketAddrExt,
        unix::{ffi::OsStrExt, net::SocketAddr},
    },
    rc::Rc,
    time::Duration,
};

use actix_web::web;
use postroom_actors::ports::{MessageStore, StoreError};
use sd_notify::NotifyState;
use tokio::{net::UnixDatagram, sync::oneshot, time};

use crate::http::{SharedState, summary};

/// Signs of life that systemd was given.
const BEATS: &str = "postroom_watchdog_beats_total";

/// Where systemd listens.
const NOTIFY_SOCKET: &str = "NOTIFY_SOCKET";

/// Signs of life within the time that systemd allows between two.
const BEATS_IN_TIME: u32 = 3;

/// Before a store whose queue is full is asked again.
const BUSY_PAUSE: Duration = Duration::from_millis(250);

/// How long systemd may take to take a line.
const TELL_DEADLINE: Duration = Duration::from_secs(1);

/// Between two looks at what the status line says.
const STATUS_INTERVAL: Duration = Duration::from_secs(5);

/// How long a stop goes on at least after each look: longer than any one step of it.
const STOP_EXTENSION_USEC: u32 = 30_000_000;

/// The way to systemd, where it has started us.
#[derive(Clone)]
pub struct ServiceManager {
    socket: Option<Rc<UnixDatagram>>,
    /// Longest time without a sign of life.
    watchdog: Option<Duration>,
    shared: web::Data<SharedState>,
}

impl ServiceManager {
    /// As the environment says; to be called on the runtime.
    pub(super) fn of_environment(shared: &web::Data<SharedState>) -> Self {
        let socket = env::var_os(NOTIFY_SOCKET).and_then(|address| {
            let connected = connect(&address);
            if let Err(error) = &connected {
                tracing::warn!(%error, "systemd cannot be told that the service runs");
            }
            connected.ok().map(Rc::new)
        });
        Self {
            socket,
            watchdog: sd_notify::watchdog_enabled().filter(|allowed| !allowed.is_zero()),
            shared: shared.clone(),
        }
    }

    /// Tells that requests are answered, as soon as `accepting` says so, then goes on telling how
    /// the service is until it has ended.
    pub async fn follow(self, accepting: oneshot::Receiver<()>) {
        if self.socket.is_none() || accepting.await.is_err() {
            return;
        }
        self.tell(&[NotifyState::Ready]).await;
        let refusal = RefCell::new(None);
        tokio::join!(self.keep_fed(&refusal), self.keep_told(&refusal));
    }

    /// Tells that the stop has begun, and that it may take its time.
    pub async fn stopping(&self) {
        self.tell(&[
            NotifyState::Stopping,
            NotifyState::Status("stopping: what is under way is ended, what waits is kept"),
            NotifyState::ExtendTimeoutUsec(STOP_EXTENSION_USEC),
        ])
        .await;
    }

    async fn keep_fed(&self, refusal: &RefCell<Option<StoreError>>) {
        let Some(allowed) = self.watchdog else {
            return;
        };
        // It is there from the start, so that one can see it stand still.
        metrics::counter!(BEATS).increment(0);
        let pause = (allowed / BEATS_IN_TIME).max(Duration::from_millis(1));
        let mut beats = time::interval(pause);
        beats.set_missed_tick_behavior(time::MissedTickBehavior::Delay);
        loop {
            beats.tick().await;
            match answer(self.shared.store.as_ref(), pause).await {
                Answer::Works(refused) => {
                    refusal.replace(refused);
                    self.tell(&[NotifyState::Watchdog]).await;
                    metrics::counter!(BEATS).increment(1);
                }
                Answer::None => {
                    tracing::error!("the store does not answer; systemd ends the service soon");
                }
                Answer::Closed => return,
            }
        }
    }

    async fn keep_told(&self, refusal: &RefCell<Option<StoreError>>) {
        let mut told = String::new();
        let mut looks = time::interval(STATUS_INTERVAL);
        loop {
            looks.tick().await;
            if self.shared.intake.is_stopping() {
                let more = NotifyState::ExtendTimeoutUsec(STOP_EXTENSION_USEC);
                self.tell(&[more]).await;
                continue;
            }
            let line = summary::line(&self.shared).await;
            let line = match refusal.borrow().as_ref() {
                Some(refused) => format!("{line}; {refused}"),
                None => line,
            };
            if line != told && !self.shared.intake.is_stopping() {
                self.tell(&[NotifyState::Status(&line)]).await;
                told = line;
            }
        }
    }

    async fn tell(&self, states: &[NotifyState<'_>]) {
        let Some(socket) = &self.socket else {
            return;
        };
        let lines: Vec<String> = states.iter().map(ToString::to_string).collect();
        let text = lines.join("\n");
        match time::timeout(TELL_DEADLINE, socket.send(text.as_bytes())).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => tracing::warn!(%error, "systemd was not told how the service is"),
            Err(_) => tracing::warn!("systemd does not listen"),
        }
    }
}

/// A name that begins with `@` is that of an abstract socket.
fn connect(address: &OsStr) -> io::Result<UnixDatagram> {
    let address = match address.as_bytes().strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name)?,
        None => SocketAddr::from_pathname(address)?,
    };
    let socket = std::os::unix::net::UnixDatagram::unbound()?;
    socket.connect_addr(&address)?;
    socket.set_nonblocking(true)?;
    UnixDatagram::from_std(socket)
}

/// What a store that is asked for a commit does.
#[derive(Debug, PartialEq, Eq)]
enum Answer {
    /// It commits, or says why it does not now.
    Works(Option<StoreError>),
    /// Nothing in time.
    None,
    /// It was closed at the stop.
    Closed,
}

/// A full queue says nothing of the writer behind it: it is asked again until time is up.
async fn answer(store: &dyn MessageStore, within: Duration) -> Answer {
    let asked = async {
        loop {
            match store.probe().await {
                Ok(()) => return Answer::Works(None),
                Err(StoreError::Busy) => time::sleep(BUSY_PAUSE).await,
                Err(StoreError::Closed) => return Answer::Closed,
                Err(refused) => return Answer::Works(Some(refused)),
            }
        }
    };
    time::timeout(within, asked).await.unwrap_or(Answer::None)
}
