//! Signals, and the order in which things stop.
//!
//! The first signal: nothing new is accepted (503), no turn begins; turns that run get a grace in
//! which they may call back, then they are interrupted; requests and relays get theirs; deliveries
//! under way are waited for, what waits for the inbox is written, the store is closed. A second
//! signal ends at once; what was accepted is on disk either way.

mod alone;
mod turns;

use std::{
    future::{Future, poll_fn},
    io,
    pin::Pin,
    time::Duration,
};

use actix_web::dev::Server;
use postroom_actors::{delivery::DeliveryError, domain::activity::Fact, lifecycle::Drain};
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::oneshot,
};

pub use self::alone::run_alone;
use crate::{
    cli::exit,
    http::SharedState,
    startup::{PostRoom, ServiceManager},
};

/// How long an idle connection is kept.
pub const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// How long the head of a request may take.
pub const HEAD_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a connection that is given up may take to be closed by its client.
pub const LINGER: Duration = Duration::from_secs(1);

/// How long requests under way may take after the first signal.
pub const HTTP_GRACE: Duration = Duration::from_secs(20);

/// How long deliveries under way may take; a peer that hangs takes longer, and is asked again later.
const DELIVERY_DEADLINE: Duration = Duration::from_secs(5);

/// How long the inbox may take to be written.
const DRAIN_DEADLINE: Duration = Duration::from_secs(5);

/// How long the store may take to fold its log into the database.
const CLOSE_DEADLINE: Duration = Duration::from_secs(5);

/// How the service ended.
enum End {
    Signal,
    Listener,
    Store,
}

/// What listens.
pub struct Servers {
    /// For requests.
    pub own: Server,
    /// For metrics, where they have a listener of their own.
    pub metrics: Option<Server>,
    /// For the bridge, where there is one.
    pub bridge: Option<Server>,
}

/// Runs the listeners until a signal comes, then stops everything in order.
pub async fn run_until_stopped(
    servers: Servers,
    post_room: PostRoom,
    shared: &SharedState,
    manager: &ServiceManager,
) -> u8 {
    let mut signals = match Signals::listen() {
        Ok(signals) => signals,
        Err(error) => {
            tracing::error!(%error, "cannot listen for signals");
            return exit::FAILURE;
        }
    };
    let handle = servers.own.handle();
    let metrics_handle = servers.metrics.as_ref().map(Server::handle);
    let bridge_handle = servers.bridge.as_ref().map(Server::handle);
    let (begun, accepting) = oneshot::channel();
    let server = actix_rt::spawn(begin(servers.own, begun));
    for other in [servers.bridge, servers.metrics].into_iter().flatten() {
        actix_rt::spawn(other);
    }
    actix_rt::spawn(manager.clone().follow(accepting));
    let end = first_end(&mut signals, server, post_room.store.ended()).await;
    shared.intake.begin_to_stop();
    shared.activity.tell(Fact::ServiceStopping);
    manager.stopping().await;
    tracing::info!("postroom stops; a second signal ends it at once");
    turns::begin_no_more(post_room.agents());
    let stop = async {
        let bridge = async {
            if let Some(bridge_handle) = bridge_handle {
                bridge_handle.stop(true).await;
            }
        };
        let own = async {
            // Turns still call back: the listener outlives them.
            turns::end(post_room.agents()).await;
            // Who watches has seen them end, and would hold the listener up.
            shared.activity.close();
            handle.stop(true).await;
        };
        tokio::join!(own, bridge);
        if let Some(metrics_handle) = metrics_handle {
            metrics_handle.stop(false).await;
        }
        drain(&post_room).await;
    };
    tokio::select! {
        () = stop => exit_code(&end),
        () = signals.next() => {
            tracing::warn!("second signal; ending at once");
            exit::INTERRUPTED
        }
    }
}

/// Runs the server and tells when it accepts: its first poll starts its threads.
async fn begin(mut server: Server, begun: oneshot::Sender<()>) -> io::Result<()> {
    let mut begun = Some(begun);
    poll_fn(|context| {
        let polled = Pin::new(&mut server).poll(context);
        if polled.is_pending()
            && let Some(begun) = begun.take()
        {
            let _nobody_waits = begun.send(());
        }
        polled
    })
    .await
}

async fn first_end(
    signals: &mut Signals,
    server: actix_rt::task::JoinHandle<io::Result<()>>,
    store_ended: impl Future<Output = ()>,
) -> End {
    tokio::select! {
        () = signals.next() => End::Signal,
        ended = server => {
            tracing::error!(?ended, "the listener ended by itself");
            End::Listener
        }
        () = store_ended => {
            tracing::error!("the store ended by itself; nothing can be accepted any more");
            End::Store
        }
    }
}

async fn drain(post_room: &PostRoom) {
    // No try to deliver begins any more; what is under way is waited for.
    let courier = post_room.courier.ask(Drain, DELIVERY_DEADLINE).await;
    tell_if_late(courier, "deliveries are under way");
    let inbox = post_room.inbox_writer.ask(Drain, DRAIN_DEADLINE).await;
    tell_if_late(inbox, "the inbox is not fully written");
    if !post_room.store.close(CLOSE_DEADLINE).await {
        tracing::warn!("the store is still busy; what was accepted is on disk");
    }
    tracing::info!("postroom stopped");
}

fn tell_if_late(drained: Result<(), DeliveryError>, what: &str) {
    if let Err(error) = drained {
        tracing::warn!(%error, "{what}; the next start goes on with it");
    }
}

const fn exit_code(end: &End) -> u8 {
    match end {
        End::Signal => exit::OK,
        End::Listener | End::Store => exit::FAILURE,
    }
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn listen() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
