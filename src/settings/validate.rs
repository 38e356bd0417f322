//! From what was written to what is meant: the rules that no type can hold.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use postroom_actors::domain::ids::AgentId;

use super::{
    ConfigError, EndpointsSettings, LimitsSettings, MailboxSettings, MetricsSettings,
    ModelsSettings, Origin, RoutingSettings, Settings, Sources, StoreSettings, TelemetrySettings,
    duration::DurationValue,
    layers::{Layer, Layers},
    locate::{Found, expand},
    problem::{Problem, shorten},
    raw::{RawConfig, RawEndpoints, RawMailbox, RawTelemetry, StoreKind},
    size::SizeValue,
};

mod agents;
mod backend;
mod bridge;
mod embeddings;
mod inert;
mod peers;
mod server;
mod webhooks;

pub(super) use server::is_loopback;

const LEAST_BODY: u64 = 1 << 10;
const MOST_BODY: u64 = 64 << 20;

/// Collects problems and warnings while the settings are made.
pub(super) struct Checker<'a> {
    layers: &'a mut Layers,
    sources: &'a Sources,
    origin: Origin,
    problems: Vec<Problem>,
    warnings: Vec<String>,
}

/// Makes the settings.
///
/// # Errors
/// Everything that is wrong.
pub(super) fn settings(
    raw: &RawConfig,
    layers: &mut Layers,
    sources: &Sources,
    home: PathBuf,
    found: Found,
) -> Result<Settings, ConfigError> {
    let (problems, warnings) = (Vec::new(), Vec::new());
    let mut checker = Checker {
        layers,
        sources,
        origin: found.origin,
        problems,
        warnings,
    };
    let keys = checker.keys(raw);
    let stored_keys = checker.stored_keys(&home, &keys);
    let more_keys = !keys.is_empty() || !stored_keys.is_empty();
    let server = checker.server(&raw.server, more_keys);
    let mailbox = checker.mailbox(&raw.mailbox);
    let (backend, backends) = checker.backends(raw, &server);
    let embeddings = checker.embeddings(raw, &server, backend.as_ref());
    let routing = checker.routing(raw);
    let (limits, metrics) = (checker.limits(raw), checker.metrics(raw));
    let telemetry = checker.telemetry(&raw.telemetry);
    let store = checker.store(raw, &home, &mailbox.inbox);
    let agents = checker.agents(&raw.agents);
    let bridge = checker.bridge(&raw.bridge);
    let upstream_proxy = checker.upstream_proxy(&raw.upstream_proxy);
    checker.note_unused_bridge_keys(&raw.bridge);
    let courier = checker.courier(&raw.courier);
    let peers = checker.peers(raw, agents.as_ref(), &courier);
    checker.warn_of_what_has_no_effect();
    let Some(agents) = agents else {
        return Err(ConfigError::Refused(checker.problems));
    };
    let settings = Settings {
        store,
        agents,
        bridge,
        upstream_proxy,
        peers,
        courier,
        config_file: found.file,
        origin: found.origin,
        routing,
        models: ModelsSettings {
            list_agents: raw.models.list_agents.unwrap_or_default(),
            cache: span(raw.models.cache),
        },
        limits,
        metrics,
        telemetry,
        home,
        server,
        keys,
        stored_keys,
        mailbox,
        backend,
        backends,
        embeddings,
        endpoints: endpoints(&raw.endpoints),
        warnings: Vec::new(),
    };
    checker.finish(settings)
}

fn endpoints(raw: &RawEndpoints) -> EndpointsSettings {
    EndpointsSettings {
        chat_completions: raw.chat_completions.unwrap_or(true),
        responses: raw.responses.unwrap_or(true),
        models: raw.models.unwrap_or(true),
        embeddings: raw.embeddings.unwrap_or(true),
        messages: raw.messages.unwrap_or(true),
        dashboard: raw.dashboard.unwrap_or(true),
    }
}

fn span(value: Option<DurationValue>) -> Duration {
    value.map_or(Duration::ZERO, |value| value.0)
}

impl Checker<'_> {
    fn refuse(&mut self, key: &str, text: impl AsRef<str>) {
        let source = self.layers.source(key);
        let place = if source.layer == Layer::Default {
            "configuration".to_owned()
        } else {
            source.place
        };
        self.problems
            .push(Problem::new(place, format!("`{key}`: {}", text.as_ref())));
    }

    fn finish(self, settings: Settings) -> Result<Settings, ConfigError> {
        if self.problems.is_empty() {
            return Ok(Settings {
                warnings: self.warnings,
                ..settings
            });
        }
        Err(ConfigError::Refused(self.problems))
    }

    /// A duration that must not be 0.
    fn at_least_a_moment(&mut self, key: &str, value: Option<DurationValue>) -> Duration {
        let duration = span(value);
        if duration.is_zero() {
            self.refuse(key, "must be longer than 0");
        }
        duration
    }

    fn path(&mut self, key: &str, path: &Path) -> PathBuf {
        expand(self.sources, path).unwrap_or_else(|error| {
            self.refuse(key, error);
            PathBuf::new()
        })
    }

    fn mailbox(&mut self, raw: &RawMailbox) -> MailboxSettings {
        MailboxSettings {
            inbox: self.inbox(raw),
            compact: raw.compact.unwrap_or(super::Compact::Seed),
            batch_window: span(raw.batch_window),
            reply_wait: span(raw.reply_wait),
            acknowledge: raw.acknowledge.unwrap_or(super::Acknowledge::OpenClaw),
            acknowledgement: self.acknowledgement(raw),
            instruction: raw.instruction.clone().unwrap_or_default(),
            openclaw_message_cli_skill_path: raw
                .openclaw_message_cli_skill_path
                .clone()
                .unwrap_or_default(),
        }
    }

    fn acknowledgement(&mut self, raw: &RawMailbox) -> String {
        let text = raw.acknowledgement.clone().unwrap_or_default();
        if text.trim().is_empty() {
            self.refuse(
                "mailbox.acknowledgement",
                "must not be empty; to send no text, set `mailbox.acknowledge = \"never\"`",
            );
        }
        text
    }

    fn inbox(&mut self, raw: &RawMailbox) -> PathBuf {
        const KEY: &str = "mailbox.inbox";
        if self.origin == Origin::Predecessor && !self.layers.is_told(KEY) {
            self.refuse(
                KEY,
                "the inbox is not set; give `--inbox DIR`, or INBOX in the configuration file",
            );
            return PathBuf::new();
        }
        let written = raw.inbox.clone().unwrap_or_default();
        if written.as_os_str().is_empty() {
            self.refuse(KEY, "the path is empty; name a folder");
            return PathBuf::new();
        }
        let inbox = self.path(KEY, &written);
        if inbox.is_file() {
            self.refuse(
                KEY,
                format!("`{}` is a file; name a folder", inbox.display()),
            );
        } else if inbox.parent().is_none() && inbox.is_absolute() {
            self.refuse(KEY, "the root folder cannot be an inbox");
        }
        self.layers
            .resolve("mailbox", "inbox", inbox.display().to_string());
        inbox
    }

    fn store(&mut self, raw: &RawConfig, home: &Path, inbox: &Path) -> StoreSettings {
        const KEY: &str = "store.path";
        if raw.store.kind == Some(StoreKind::Nats) {
            self.refuse("store.kind", "`nats` is not in this version; use `sqlite`");
        }
        let written = raw
            .store
            .path
            .clone()
            .filter(|path| !path.as_os_str().is_empty());
        let path = match (written, self.origin) {
            (Some(written), _) => self.path(KEY, &written),
            (None, Origin::Native) => home.join("store"),
            (None, Origin::Predecessor) => inbox.parent().unwrap_or(inbox).join(".postroom"),
        };
        if path.is_file() {
            self.refuse(
                KEY,
                format!("`{}` is a file; name a folder", path.display()),
            );
        } else if path == inbox && inbox.is_absolute() {
            self.refuse(KEY, "the store cannot be the inbox itself");
        }
        self.layers
            .resolve("store", "path", path.display().to_string());
        StoreSettings {
            path,
            retention: self.at_least_a_moment("store.retention", raw.store.retention),
            max_size: raw
                .store
                .max_size
                .map(|size| size.0)
                .filter(|size| *size > 0),
            min_free: raw.store.min_free.map_or(0, |size| size.0),
        }
    }

    fn routing(&mut self, raw: &RawConfig) -> RoutingSettings {
        const KEY: &str = "routing.default";
        let default = match raw.routing.default.as_deref() {
            None | Some("mailbox") => None,
            Some(written) if AgentId::parse(written).is_ok() => self.agent_id(KEY, written),
            Some(written) => {
                let found = shorten(written);
                self.refuse(
                    KEY,
                    format!("expected `mailbox` or the id of an agent, found `{found}`"),
                );
                None
            }
        };
        RoutingSettings { default }
    }

    fn limits(&mut self, raw: &RawConfig) -> LimitsSettings {
        let body = self.body("limits.body", raw.limits.body);
        let embeddings_body = self.body("limits.embeddings_body", raw.limits.embeddings_body);
        let in_flight = raw.limits.in_flight.unwrap_or(1024);
        LimitsSettings {
            body,
            embeddings_body,
            body_idle: self.at_least_a_moment("limits.body_idle", raw.limits.body_idle),
            in_flight: usize::try_from(in_flight).unwrap_or(1024),
            hops: raw.limits.hops.map_or(8, u32::from),
            pair_rate: raw.limits.pair_rate.unwrap_or(60),
            repeats: raw.limits.repeats.unwrap_or(5),
        }
    }

    fn body(&mut self, key: &str, value: Option<SizeValue>) -> u64 {
        let bytes = value.map_or(0, |value| value.0);
        if !(LEAST_BODY..=MOST_BODY).contains(&bytes) {
            self.refuse(
                key,
                format!("must be from 1KiB to 64MiB, found {bytes} bytes"),
            );
        }
        bytes
    }

    fn telemetry(&mut self, raw: &RawTelemetry) -> TelemetrySettings {
        let endpoint = raw.otlp_endpoint.as_deref().filter(|it| !it.is_empty());
        TelemetrySettings {
            otlp_endpoint: endpoint.and_then(|it| self.url("telemetry.otlp_endpoint", it)),
            sampling_percent: raw.sampling_percent.unwrap_or(100),
            log_format: raw.log_format.unwrap_or(super::LogFormat::Auto),
            debug: raw.debug.unwrap_or_default(),
        }
    }

    fn metrics(&mut self, raw: &RawConfig) -> MetricsSettings {
        let written = raw.metrics.listen.as_deref().unwrap_or_default();
        if written.is_empty() {
            return MetricsSettings { listen: None };
        }
        let listen = written.parse().ok();
        if listen.is_none() {
            self.refuse(
                "metrics.listen",
                format!(
                    "expected an address and a port such as `127.0.0.1:9464`, found `{}`",
                    shorten(written)
                ),
            );
        }
        MetricsSettings { listen }
    }
}
