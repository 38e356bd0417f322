//! TLS of the listener: the certificate at the start, and new ones while the service runs.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use chrono::{DateTime, TimeDelta, Utc};
use postroom_actors::ports::Clock;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::{StartError, running::Told};
use crate::{
    adapters::tls_certificate::{Reloaded, TlsCertificate},
    settings::{ServerSettings, Settings},
};

/// How often the files are looked at.
const LOOK: Duration = Duration::from_secs(10);

/// How long before its end a certificate is warned of.
const SOON: TimeDelta = TimeDelta::days(14);

/// How often it is warned of.
const REMIND: TimeDelta = TimeDelta::days(1);

/// The certificate of the configuration; `None`: plain HTTP.
pub(super) fn certificate(
    server: &ServerSettings,
) -> Result<Option<Arc<TlsCertificate>>, StartError> {
    let files = server.tls.as_ref();
    let certificate = files.map(|files| TlsCertificate::load(&files.cert, &files.key));
    Ok(certificate.transpose()?)
}

/// What our URLs begin with.
pub(super) const fn scheme(certificate: Option<&Arc<TlsCertificate>>) -> &'static str {
    match certificate {
        Some(_) => "https",
        None => "http",
    }
}

/// Warns where agents are told a URL that the certificate is not made for.
pub(super) fn warn_of_another_name(
    settings: &Settings,
    certificate: &TlsCertificate,
    own_url: &str,
) {
    let url = settings.server.public_url.as_deref().unwrap_or(own_url);
    let Ok(uri) = url.parse::<hyper::Uri>() else {
        return;
    };
    let is_ours = uri.scheme_str() == Some("https");
    if is_ours && !certificate.names(uri.host().unwrap_or_default()) {
        tracing::warn!(
            "agents are told to call `{url}`, which the certificate does not name: set `server.public_url` to a name of it"
        );
    }
}

/// Takes new files up, every ten seconds and at SIGHUP, for as long as the service tells of itself.
pub(super) fn keep_fresh(
    certificate: Arc<TlsCertificate>,
    told: Option<&Arc<Told>>,
    clock: Arc<dyn Clock>,
) {
    let told = told.map(Arc::downgrade).unwrap_or_default();
    let keeper = Keeper {
        certificate,
        told,
        clock,
        reminded_at: None,
        // At once: until then the signal would end the service.
        hangup: signal(SignalKind::hangup()).ok(),
    };
    actix_rt::spawn(keeper.run());
}

struct Keeper {
    certificate: Arc<TlsCertificate>,
    told: Weak<Told>,
    clock: Arc<dyn Clock>,
    reminded_at: Option<DateTime<Utc>>,
    hangup: Option<Signal>,
}

impl Keeper {
    async fn run(mut self) {
        loop {
            self.remind();
            let in_any_case = tokio::select! {
                () = tokio::time::sleep(LOOK) => false,
                () = next(self.hangup.as_mut()) => true,
            };
            let certificate = Arc::clone(&self.certificate);
            let looked = tokio::task::spawn_blocking(move || certificate.reload(in_any_case));
            match looked.await {
                Ok(Reloaded::Same) => {}
                Ok(Reloaded::New) => self.tell(),
                Ok(Reloaded::Refused(error)) => {
                    tracing::error!(%error, "the new certificate is not taken; the one before still holds");
                }
                Err(_stopping) => return,
            }
        }
    }

    fn tell(&mut self) {
        if let Some(told) = self.told.upgrade() {
            told.certificate(self.certificate.fingerprint());
        }
        self.reminded_at = None;
        tracing::info!("a new certificate holds for new connections");
    }

    fn remind(&mut self) {
        let now = self.clock.now();
        let is_due = |at: DateTime<Utc>| now.signed_duration_since(at) >= REMIND;
        let Some(end) = self.certificate.expires_at() else {
            return;
        };
        if end > now + SOON || !self.reminded_at.is_none_or(is_due) {
            return;
        }
        self.reminded_at = Some(now);
        let expires_at = end.to_rfc3339();
        if end <= now {
            tracing::warn!(expires_at, "the certificate has expired: clients refuse it");
        } else {
            tracing::warn!(expires_at, "the certificate expires soon");
        }
    }
}

async fn next(signal: Option<&mut Signal>) {
    match signal {
        Some(signal) => {
            signal.recv().await;
        }
        None => std::future::pending().await,
    }
}
