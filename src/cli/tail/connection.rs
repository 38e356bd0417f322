//! The connection to the feed: made again when it breaks, after the event that was seen last.

use std::{io, path::PathBuf, sync::Arc, time::Duration};

use tokio::time::sleep;

use super::SharedClient;
use crate::cli::{
    client::{
        Client, ClientError,
        events::{Event, Events},
    },
    tell,
};

/// The first pause before another try; each is twice as long as the one before.
const FIRST_PAUSE: Duration = Duration::from_millis(200);

/// The longest pause between two tries.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Refusals in a row that may come from a service that is just starting: the key of its run is not
/// written yet.
const MOST_REFUSALS: u32 = 5;

pub(super) struct Connection {
    home: PathBuf,
    path: String,
    /// Where it stands.
    open: Option<(SharedClient, Events)>,
    /// The event that was seen last.
    seen: Option<String>,
}

impl Connection {
    pub(super) const fn new(home: PathBuf, path: String) -> Self {
        Self {
            home,
            path,
            open: None,
            seen: None,
        }
    }

    /// The way to the service, once there was one.
    pub(super) fn client(&self) -> Option<SharedClient> {
        let open = self.open.as_ref();
        let client = open.map(|(client, _)| Arc::clone(client));
        client.or_else(|| Client::of_home(&self.home).ok().map(Arc::new))
    }

    /// Connects. Where the service runs, and with which key, is read anew each time.
    pub(super) async fn begin(&mut self) -> Result<(), ClientError> {
        let client = Arc::new(Client::of_home(&self.home)?);
        let events = client.follow_after(&self.path, self.seen.as_deref());
        let events = events.await?;
        self.open = Some((client, events));
        Ok(())
    }

    /// The next event; `None` at the end.
    ///
    /// # Cancel safety
    /// Nothing is lost by dropping it.
    pub(super) async fn next(&mut self) -> Result<Option<Event>, ClientError> {
        let Some((_, events)) = &mut self.open else {
            return Ok(None);
        };
        let event = events.next().await?;
        if let Some(id) = event.as_ref().and_then(|event| event.id.as_ref()) {
            self.seen = Some(id.clone());
        }
        Ok(event)
    }

    /// Connects again, however long the service is away.
    ///
    /// # Errors
    /// The service is back and refuses.
    pub(super) async fn come_back(&mut self, why: &str) -> Result<(), ClientError> {
        self.open = None;
        say(&format!("connection lost ({why}); trying again"));
        let (mut pause, mut refusals) = (FIRST_PAUSE, 0_u32);
        loop {
            sleep(pause).await;
            pause = LONGEST_PAUSE.min(pause * 2);
            match self.begin().await {
                Ok(()) => {
                    say("connected again");
                    return Ok(());
                }
                Err(error) if is_final(&error) => {
                    refusals = refusals.saturating_add(1);
                    if refusals >= MOST_REFUSALS {
                        return Err(error);
                    }
                }
                Err(_away) => {}
            }
        }
    }
}

const fn is_final(error: &ClientError) -> bool {
    matches!(
        error,
        ClientError::Refused {
            status: 400..=428 | 430..=499,
            ..
        }
    )
}

/// Beside what is printed, for people.
fn say(what: &str) {
    let what = crate::cli::agent_view::shown(what);
    tell(&mut io::stderr(), format_args!("postroom tail: {what}\n"));
}
