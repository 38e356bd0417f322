//! `[peers.NAME]` and `[courier]`: who peers are, and where messages may go.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use postroom_actors::domain::{
    party::PeerName,
    peer::{DEFAULT_CONCURRENCY, DEFAULT_SCHEDULE},
};

use super::Checker;
use crate::{
    post_address::{UrlProblem, host_of, is_public, literal_address, read_url},
    settings::{
        AgentsSettings, CourierSettings, PeerSettings, Secret,
        duration::DurationValue,
        problem::shorten,
        raw::{RawConfig, RawCourier, RawPeer},
    },
    webhook_signature::SigningKey,
};

const TIMEOUT: Duration = Duration::from_secs(15);
const MOST_WAITING: usize = 100_000;

impl Checker<'_> {
    /// `[courier]`.
    pub(super) fn courier(&mut self, raw: &RawCourier) -> CourierSettings {
        let allow_private = raw.allow_private.unwrap_or_default();
        let most_waiting = raw.most_waiting.map(usize::try_from);
        CourierSettings {
            reply_hosts: self.reply_hosts(raw, allow_private),
            allow_private,
            schedule: schedule(raw.schedule.as_deref()).unwrap_or(DEFAULT_SCHEDULE.into()),
            most_waiting: most_waiting.and_then(Result::ok).unwrap_or(MOST_WAITING),
        }
    }

    fn reply_hosts(&mut self, raw: &RawCourier, allow_private: bool) -> Vec<String> {
        const KEY: &str = "courier.reply_hosts";
        let mut hosts = Vec::new();
        for written in raw.reply_hosts.iter().flatten() {
            match host(written) {
                Some(host) if allow_private || !is_inside(&host) => hosts.push(host),
                Some(_) => self.refuse(
                    KEY,
                    format!(
                        "`{}` is a private address; set `courier.allow_private = true` if it is meant",
                        shorten(written)
                    ),
                ),
                None => self.refuse(
                    KEY,
                    format!(
                        "expected host names or addresses without a port, found `{}`",
                        shorten(written)
                    ),
                ),
            }
        }
        hosts
    }

    /// All of `[peers]`. `agents` is `None` where these are refused.
    pub(super) fn peers(
        &mut self,
        raw: &RawConfig,
        agents: Option<&AgentsSettings>,
        courier: &CourierSettings,
    ) -> BTreeMap<PeerName, PeerSettings> {
        let mut peers = BTreeMap::new();
        for (written, entry) in &raw.peers {
            let table = format!("peers.{written}");
            let name = match PeerName::parse(written) {
                Ok(name) => name,
                Err(error) => {
                    self.refuse(&table, error.to_string());
                    continue;
                }
            };
            if agents.is_some_and(|agents| is_an_agent(agents, written)) {
                self.refuse(
                    &table,
                    format!("`{written}` is an agent of ours already; give the peer another name"),
                );
            }
            peers.insert(name, self.peer(&table, entry, courier));
        }
        self.check_secrets_in(raw, &peers);
        peers
    }

    fn peer(&mut self, table: &str, raw: &RawPeer, courier: &CourierSettings) -> PeerSettings {
        let at = |key: &str| format!("{table}.{key}");
        let allow_private = raw.allow_private.unwrap_or_default();
        let timeout = raw.timeout.map(|timeout| {
            let timeout = Some(timeout);
            self.at_least_a_moment(&at("timeout"), timeout)
        });
        let peer = PeerSettings {
            url: self.peer_url(&at("url"), raw.url.as_deref(), allow_private),
            secret_in: raw.secret_in.clone().or_else(|| raw.secret.clone()),
            secret_out: raw.secret_out.clone().or_else(|| raw.secret.clone()),
            types: self.types(&at("types"), raw.types.as_deref()),
            answer_types: self.types(&at("answer_types"), raw.answer_types.as_deref()),
            secret_send: raw.secret_send.unwrap_or_default(),
            to: raw
                .to
                .as_deref()
                .filter(|to| !to.is_empty())
                .and_then(|to| self.agent_id(&at("to"), to)),
            signing: self.signing(table, raw),
            require_signature: raw.require_signature.unwrap_or_default(),
            schedule: schedule(raw.schedule.as_deref())
                .unwrap_or_else(|| Arc::clone(&courier.schedule)),
            allow_private,
            concurrency: raw.concurrency.map_or(DEFAULT_CONCURRENCY, usize::from),
            timeout: timeout.unwrap_or(TIMEOUT),
        };
        self.check_secrets(table, raw);
        self.check_what_belongs_together(table, &peer);
        peer
    }

    /// A secret goes through a header, which takes no other characters and cuts spaces off.
    fn check_secrets(&mut self, table: &str, raw: &RawPeer) {
        let secrets = [
            ("secret", &raw.secret),
            ("secret_in", &raw.secret_in),
            ("secret_out", &raw.secret_out),
        ];
        for (key, secret) in secrets {
            let Some(secret) = secret else { continue };
            let (at, text) = (format!("{table}.{key}"), secret.expose());
            let is_plain = text.bytes().all(|byte| matches!(byte, b' '..=b'~'));
            if !is_plain || text.trim() != &**text {
                self.refuse(
                    &at,
                    "goes through a header: only ASCII characters, and no space at either end",
                );
            }
            self.warn_of_a_short_key(&at, Some(secret));
        }
    }

    fn check_what_belongs_together(&mut self, table: &str, peer: &PeerSettings) {
        if peer.secret_send && peer.secret_in.is_none() && peer.secret_out.is_none() {
            self.refuse(
                &format!("{table}.secret_send"),
                "there is no secret that could be shown; set `secret` or `secret_file`",
            );
        }
        if peer.require_signature && peer.signing.is_empty() {
            self.refuse(
                &format!("{table}.require_signature"),
                "no signature can be checked without `signing_secret`",
            );
        }
        if peer.url.is_none() && !peer.has_credentials() {
            self.warnings.push(format!(
                "`[{table}]` has neither a `url` nor a secret: it can neither send nor be sent to"
            ));
        }
    }

    fn peer_url(
        &mut self,
        key: &str,
        written: Option<&str>,
        allow_private: bool,
    ) -> Option<String> {
        let url = written.map(str::trim).filter(|url| !url.is_empty())?;
        if url.contains('?') {
            self.refuse(key, "a base URL has no query");
            return None;
        }
        let url = self.address_to_post_to(key, url, allow_private)?;
        Some(url.trim_end_matches('/').to_owned())
    }

    /// A URL that something is to be posted to, as far as its text tells.
    pub(super) fn address_to_post_to(
        &mut self,
        key: &str,
        url: &str,
        allow_private: bool,
    ) -> Option<String> {
        let refused = match read_url(url) {
            Ok(uri) if !allow_private && is_inside(host_of(&uri)) => format!(
                "`{}` is not an address of the open internet; set `{}` beside it if it is meant",
                shorten(host_of(&uri)),
                allowed_by(key)
            ),
            Ok(_) => return Some(url.to_owned()),
            // It may hold a password.
            Err(_) if url.contains('@') => UrlProblem::UserInfo.to_string(),
            Err(problem) => format!("{problem}, found `{}`", shorten(url)),
        };
        self.refuse(key, refused);
        None
    }

    fn types(&mut self, key: &str, written: Option<&[String]>) -> Vec<String> {
        let types = written.unwrap_or_default();
        if types.iter().any(|kind| kind.trim().is_empty()) {
            self.refuse(
                key,
                "a type must not be empty; for any type, leave the list empty",
            );
        }
        types.to_vec()
    }

    fn signing(&mut self, table: &str, raw: &RawPeer) -> Vec<SigningKey> {
        if raw.signing_secret.is_none() && raw.signing_secret_previous.is_some() {
            self.refuse(
                &format!("{table}.signing_secret_previous"),
                "there is no secret after it; set `signing_secret`",
            );
        }
        let written = [
            ("signing_secret", &raw.signing_secret),
            ("signing_secret_previous", &raw.signing_secret_previous),
        ];
        let mut keys = Vec::new();
        for (key, secret) in written {
            match secret
                .as_ref()
                .map(|secret| SigningKey::parse(secret.expose()))
            {
                None => {}
                Some(Ok(signing)) => keys.push(signing),
                Some(Err(error)) => self.refuse(&format!("{table}.{key}"), error.to_string()),
            }
        }
        keys
    }

    /// A secret that is shown says who shows it, so each belongs to one.
    fn check_secrets_in(&mut self, raw: &RawConfig, peers: &BTreeMap<PeerName, PeerSettings>) {
        let keys = raw.keys.iter().filter_map(|(name, entry)| {
            let key = entry.key.as_ref()?;
            Some((Arc::clone(key.expose()), format!("keys.{name}")))
        });
        let main = raw.server.key.as_ref();
        let main = main.map(|key| (Arc::clone(key.expose()), "server.key".to_owned()));
        let mut owners: BTreeMap<Arc<str>, String> = keys.chain(main).collect();
        for (name, peer) in peers {
            let table = format!("peers.{name}");
            let shown: BTreeSet<&Arc<str>> = peer.secrets_in().map(Secret::expose).collect();
            for secret in shown {
                match owners.get(secret) {
                    Some(owner) => self.refuse(
                        &format!("{table}.secret"),
                        format!(
                            "its secret is that of `{owner}` too; a secret says who shows it, so each needs its own"
                        ),
                    ),
                    None => drop(owners.insert(Arc::clone(secret), table.clone())),
                }
            }
        }
    }
}

fn schedule(written: Option<&[DurationValue]>) -> Option<Arc<[Duration]>> {
    let pauses = written?.iter().map(|pause| pause.0);
    let pauses: Arc<[Duration]> = pauses.collect();
    (!pauses.is_empty()).then_some(pauses)
}

fn is_an_agent(agents: &AgentsSettings, name: &str) -> bool {
    let named = agents.named.keys();
    let mut all = named.chain(std::iter::once(&agents.default));
    all.any(|agent| agent.as_str() == name)
}

/// A host as it is compared: in lower case, without brackets; `None` where it is none.
fn host(written: &str) -> Option<String> {
    let bare = |host: &str| host.trim_matches(['[', ']']).to_ascii_lowercase();
    let host = bare(written.trim());
    let shown = if host.contains(':') {
        format!("http://[{host}]")
    } else {
        format!("http://{host}")
    };
    let uri = read_url(&shown).ok()?;
    let is_host_alone = host_of(&uri) == host && uri.path() == "/" && uri.query().is_none();
    let is_real = !host.contains(':') || literal_address(&host).is_some();
    (is_host_alone && is_real).then_some(host)
}

/// What lets the URL of this key have a private address.
fn allowed_by(key: &str) -> &'static str {
    if key.ends_with("webhook_url") {
        "webhook_allow_private = true"
    } else {
        "allow_private = true"
    }
}

/// Whether a host is an address, or a name for one, that is not of the open internet.
fn is_inside(host: &str) -> bool {
    let is_local = host.eq_ignore_ascii_case("localhost");
    is_local || literal_address(host).is_some_and(|address| !is_public(address))
}
