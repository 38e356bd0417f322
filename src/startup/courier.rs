//! Peers, the way to them, and the courier.

use std::{collections::BTreeMap, fs, io, path::PathBuf, rc::Rc, sync::Arc};

use postroom_actors::{
    agent_directory::Agents,
    courier::{Courier, CourierParts, GuardSettings},
    delivery::Mailbox,
    domain::peer::Peers,
    lifecycle,
    ports::Clock,
};

use super::{StartError, observers::Observers};
use crate::{
    adapters::{
        peer_http::{self, PeerAddress, PeerHttp, UrlRules, Webhook},
        store_sqlite::SqliteStore,
        upstream_http::TlsSetup,
    },
    http::state::PostRules,
    settings::Settings,
};

/// What an agent is told of answering a message, where the operator has no words of their own.
const REPLY_TEMPLATE: &str = include_str!("../../skills/reply-to-peer/instructions.md");

/// Who messages go to.
pub(super) struct Correspondents {
    /// Here.
    pub(super) agents: Agents,
    /// Elsewhere.
    pub(super) peers: Peers,
}

/// Starts the courier on this thread's arbiter. The agents are known by then: what waits for one that
/// is not known is given up.
pub(super) fn start(
    settings: &Settings,
    mailbox: &Mailbox<Courier>,
    store: &Arc<SqliteStore>,
    known: Correspondents,
    clock: &Arc<dyn Clock>,
    observers: &Observers,
) {
    let Correspondents { agents, peers } = known;
    let parts = CourierParts {
        store: store.clone(),
        agents,
        peers,
        transport: Rc::new(transport(settings)),
        clock: Arc::clone(clock),
        jitter: Rc::new(fastrand::f64),
        guard: GuardSettings {
            hops: settings.limits.hops,
            pair_rate: settings.limits.pair_rate,
            repeats: settings.limits.repeats,
        },
        schedule: Arc::clone(&settings.courier.schedule),
        most_waiting: settings.courier.most_waiting,
        depth: mailbox.depth(),
        activity: observers.activity.clone(),
        traces: observers.traces.clone(),
    };
    actix_rt::spawn(lifecycle::keep_running(
        mailbox.clone(),
        Arc::clone(clock),
        move || Courier::new(parts.clone()),
    ));
}

fn transport(settings: &Settings) -> PeerHttp {
    let addresses = settings.peers.iter().filter_map(|(name, peer)| {
        let address = PeerAddress {
            url: peer.url.as_deref()?.into(),
            secret: peer
                .secret_out
                .as_ref()
                .map(|secret| Arc::clone(secret.expose())),
            signing: peer.signing.clone(),
            allow_private: peer.allow_private,
            timeout: peer.timeout,
        };
        Some((name.clone(), address))
    });
    let urls = UrlRules {
        hosts: settings.courier.reply_hosts.clone(),
        allow_private: settings.courier.allow_private,
        timeout: peer_http::DEFAULT_TIMEOUT,
        webhooks: webhooks(settings),
    };
    PeerHttp::new(addresses.collect(), urls, &TlsSetup::default())
}

/// Keys that have the same URL sign with the secrets of all of them.
fn webhooks(settings: &Settings) -> BTreeMap<Arc<str>, Webhook> {
    let mut webhooks: BTreeMap<Arc<str>, Webhook> = BTreeMap::new();
    for webhook in settings
        .keys
        .values()
        .filter_map(|key| key.webhook.as_ref())
    {
        let known = webhooks.entry(Arc::clone(&webhook.url));
        let known = known.or_insert_with(|| Webhook {
            signing: Vec::new(),
            allow_private: false,
        });
        known.signing.push(webhook.signing.clone());
        known.allow_private |= webhook.allow_private;
    }
    webhooks
}

/// What the handlers need to know of messages.
pub(super) fn rules(settings: &Settings) -> PostRules {
    PostRules {
        hops: settings.limits.hops,
        reply_hosts: settings.courier.reply_hosts.clone(),
        default_agent: settings.agents.default.clone(),
    }
}

/// What an agent is told of answering a message: `<home>/templates/reply-to-peer.md`, or ours.
///
/// # Errors
/// [`StartError::Template`] where that file is there and cannot be read.
pub(super) fn reply_template(settings: &Settings) -> Result<Arc<str>, StartError> {
    let path: PathBuf = settings.home.join("templates").join("reply-to-peer.md");
    match fs::read_to_string(&path) {
        Ok(text) => Ok(text.into()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(REPLY_TEMPLATE.into()),
        Err(source) => Err(StartError::Template { path, source }),
    }
}
