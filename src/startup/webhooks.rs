//! Tells the holders of keys that their background responses have ended.
//!
//! What is to be told is read from the store again and again, and handed to the courier under a key
//! that is the response's own: told twice is told once, also over a restart. The courier keeps it,
//! signs it, and tries again.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};

use actix_web::web;
use chrono::{DateTime, TimeDelta, Utc};
use postroom_actors::{
    courier::{OutgoingMessage, SendError, SendMessage, Sent},
    domain::{
        agent_message::{Envelope, IdempotencyKey},
        ids::MessageId,
        party::Party,
        response::webhook::{EndedResponse, event, event_type},
    },
    ports::StoreError,
};
use sha2::{Digest, Sha256};
use tokio::sync::oneshot;

use crate::{http::SharedState, settings::Settings};

/// Between two looks.
const INTERVAL: Duration = Duration::from_millis(500);

/// How long an end may be on its way to the disk after the time that it bears.
const LATE: TimeDelta = TimeDelta::minutes(2);

/// How far back the first look goes. The courier knows keys at least as long.
const FIRST_LOOK: TimeDelta = TimeDelta::days(3);

/// Responses read at once.
const PAGE: usize = 200;

/// Who is told, and where.
struct Teller {
    shared: web::Data<SharedState>,
    urls: BTreeMap<String, Arc<str>>,
    /// What was handed over, with the time of its end.
    told: HashMap<MessageId, DateTime<Utc>>,
    since: DateTime<Utc>,
}

/// Starts on this thread's arbiter, where any key has a webhook.
pub(super) fn start(settings: &Settings, shared: &web::Data<SharedState>) {
    let keys = settings.keys.iter();
    let urls: BTreeMap<String, Arc<str>> = keys
        .filter_map(|(name, key)| Some((name.clone(), Arc::clone(&key.webhook.as_ref()?.url))))
        .collect();
    if urls.is_empty() {
        return;
    }
    let mut teller = Teller {
        shared: shared.clone(),
        urls,
        told: HashMap::new(),
        since: shared.clock.now() - FIRST_LOOK,
    };
    actix_rt::spawn(async move {
        let mut interval = tokio::time::interval(INTERVAL);
        loop {
            interval.tick().await;
            // What could not be read or handed over is looked at again.
            if let Err(error) = teller.look().await {
                tracing::warn!(%error, "webhooks wait for the store");
            }
        }
    });
}

impl Teller {
    async fn look(&mut self) -> Result<(), StoreError> {
        let begun = self.shared.clock.now();
        let (mut since, mut after) = (self.since, None);
        let mut is_all_told = true;
        loop {
            let book = &self.shared.book;
            let page = book.ended_responses(since, after, PAGE).await?;
            for response in &page {
                is_all_told &= self.tell_once(response).await;
            }
            let Some(last) = page.last().filter(|_| page.len() == PAGE) else {
                break;
            };
            (since, after) = (last.ended_at, Some(last.id));
        }
        if is_all_told {
            self.since = begun - LATE;
            let since = self.since;
            self.told.retain(|_, ended_at| *ended_at >= since);
        }
        Ok(())
    }

    /// Answers whether nothing is left to tell of it.
    async fn tell_once(&mut self, response: &EndedResponse) -> bool {
        let Some(url) = self.urls.get(&response.caller) else {
            return true;
        };
        if self.told.contains_key(&response.id) {
            return true;
        }
        let Some(message) = self.message(response, Arc::clone(url)) else {
            return true;
        };
        let is_told = self.hand_over(message).await;
        if is_told {
            self.told.insert(response.id, response.ended_at);
        }
        is_told
    }

    fn message(&self, response: &EndedResponse, url: Arc<str>) -> Option<OutgoingMessage> {
        let kind = event_type(response.state)?;
        let body = event(response, kind);
        let digest: [u8; 32] = Sha256::digest(&body).into();
        let holder = Party::Key(response.caller.as_str().into());
        let own = format!("webhook/{}", response.id);
        let received_at = self.shared.clock.now();
        Some(OutgoingMessage {
            id: self.shared.ids.message_id(received_at),
            envelope: Arc::new(Envelope::new(holder.clone(), Party::Url(url), kind)),
            // Events of different responses do not wait for each other.
            conversation: own.as_str().into(),
            received_at,
            body,
            said: digest,
            traceparent: response.traceparent,
            once: Some(IdempotencyKey {
                sender: holder,
                key: own.into(),
                digest,
            }),
        })
    }

    async fn hand_over(&self, message: OutgoingMessage) -> bool {
        let (reply, kept) = oneshot::channel::<Result<Sent, SendError>>();
        let sent = SendMessage { message, reply };
        if self.shared.courier.try_deliver(sent).is_err() {
            return false;
        }
        match kept.await {
            // A conflict means that its holder has used up the key: nothing more can be done.
            Ok(Ok(_) | Err(SendError::Conflict(_) | SendError::Refused { .. })) => true,
            Ok(Err(error)) => {
                tracing::warn!(%error, "an event of a response waits");
                false
            }
            Err(_gone) => false,
        }
    }
}
