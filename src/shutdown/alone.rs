//! The end of a server that keeps nothing.

use actix_web::dev::Server;

use super::Signals;
use crate::cli::exit;

/// Runs a server until a signal comes; requests under way get a grace, a second signal ends them.
pub async fn run_alone(server: Server) -> u8 {
    let mut signals = match Signals::listen() {
        Ok(signals) => signals,
        Err(error) => {
            tracing::error!(%error, "cannot listen for signals");
            return exit::FAILURE;
        }
    };
    let handle = server.handle();
    let server = actix_rt::spawn(server);
    tokio::select! {
        () = signals.next() => {}
        ended = server => {
            tracing::error!(?ended, "the listener ended by itself");
            return exit::FAILURE;
        }
    }
    tracing::info!("stops; a second signal ends it at once");
    tokio::select! {
        () = handle.stop(true) => exit::OK,
        () = signals.next() => exit::INTERRUPTED,
    }
}
