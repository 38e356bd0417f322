//! Backends, peers and the remote side of the bridge: whether they answer.

use std::time::Duration;

use futures_util::future::join_all;

use super::finding::{Finding, Section};
use crate::{
    settings::{BackendSettings, Settings},
    startup::examination,
};

/// How long an answer may take.
const LIMIT: Duration = Duration::from_secs(5);

/// What was learned of one of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Asked {
    /// The status of its answer.
    Answered(u16),
    /// None came: why, in words.
    Silent(String),
    /// It is on another machine, and `--online` was not given.
    LeftOut,
}

/// Somebody that messages or requests go to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Other {
    section: Section,
    /// The table of the configuration that names it.
    table: String,
    url: String,
    asked: Asked,
}

/// Asks those on this machine, and with `is_online` all, at once.
pub(super) async fn look(settings: &Settings, is_online: bool) -> Vec<Other> {
    let named = settings.backends.iter();
    let backends = settings
        .backend
        .iter()
        .map(|backend| ("backend".to_owned(), backend))
        .chain(named.map(|(name, backend)| (format!("backends.{name}"), backend)))
        .chain(
            own_embeddings(settings)
                .into_iter()
                .map(|it| ("embeddings".to_owned(), it)),
        );
    let backends = backends.map(|(table, backend)| ask_backend(table, backend, is_online));
    let urls = settings.peers.iter().filter_map(|(name, peer)| {
        let url = peer.url.clone()?;
        Some((format!("peers.{name}"), url))
    });
    let remote = settings.bridge.remote.iter();
    let urls = urls.chain(remote.map(|remote| ("bridge".to_owned(), remote.url.clone())));
    let peers = urls.map(|(table, url)| ask_peer(table, url, is_online));
    let (mut all, peers) = tokio::join!(join_all(backends), join_all(peers));
    all.extend(peers);
    all
}

/// Who makes embeddings, where that is not one of the backends that are asked anyway.
fn own_embeddings(settings: &Settings) -> Option<&BackendSettings> {
    let mut others = settings.backend.iter().chain(settings.backends.values());
    let own = settings.embeddings.as_ref()?;
    let is_same =
        |other: &BackendSettings| (&other.url, &other.api_key) == (&own.url, &own.api_key);
    (!others.any(is_same)).then_some(own)
}

async fn ask_backend(table: String, backend: &BackendSettings, is_online: bool) -> Other {
    let asked = if is_online || is_here(&backend.url) {
        told(examination::backend(backend, LIMIT).await)
    } else {
        Asked::LeftOut
    };
    Other {
        section: Section::Backends,
        table,
        url: backend.url.clone(),
        asked,
    }
}

async fn ask_peer(table: String, url: String, is_online: bool) -> Other {
    let asked = if is_online || is_here(&url) {
        told(examination::peer(&url, LIMIT).await)
    } else {
        Asked::LeftOut
    };
    Other {
        section: Section::Peers,
        table,
        url,
        asked,
    }
}

fn told(answer: Result<u16, String>) -> Asked {
    match answer {
        Ok(status) => Asked::Answered(status),
        Err(why) => Asked::Silent(why),
    }
}

/// Whether a URL leads to this machine, as far as its text tells.
fn is_here(url: &str) -> bool {
    let uri: Option<hyper::Uri> = url.parse().ok();
    let host = uri.as_ref().and_then(hyper::Uri::host).unwrap_or_default();
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let address: Option<std::net::IpAddr> = bare.parse().ok();
    bare == "localhost" || address.is_some_and(|address| address.is_loopback())
}

/// What they come to.
pub(super) fn findings(others: &[Other]) -> Vec<Finding> {
    others.iter().map(finding).collect()
}

fn finding(other: &Other) -> Finding {
    let Other {
        section,
        table,
        url,
        asked,
    } = other;
    let is_backend = *section == Section::Backends;
    let check = if is_backend { "backend" } else { "peer" };
    match asked {
        Asked::LeftOut => Finding::note(*section, check, format!("{table}: {url} was not asked"))
            .mend("`postroom doctor --online` asks it"),
        Asked::Silent(why) => {
            let found = format!("{table}: {url} gives no answer: {why}");
            Finding::fault(*section, check, found).mend(format!(
                "see that it runs and can be reached from here; correct `url` in `[{table}]`"
            ))
        }
        Asked::Answered(401 | 403) if is_backend => {
            let found = format!("{table}: {url} does not take the key");
            Finding::fault(*section, check, found)
                .mend(format!("correct `api_key` and `auth` in `[{table}]`"))
        }
        Asked::Answered(status @ 400..=499) if is_backend => {
            let found =
                format!("{table}: {url} answers, but has no list of models (status {status})");
            Finding::note(*section, check, found).mend(format!(
                "if it is no `/v1` API, correct `url` in `[{table}]`; some APIs have no list"
            ))
        }
        Asked::Answered(status @ 500..) => {
            let found = format!("{table}: {url} answers with status {status}");
            Finding::warning(*section, check, found).mend("look at its own log")
        }
        Asked::Answered(_) => Finding::ok(*section, check, format!("{table}: {url} answers")),
    }
}

#[cfg(test)]
mod tests {
    use super::{super::finding::Grade, *};

    fn grade(section: Section, asked: Asked) -> Grade {
        let other = Other {
            section,
            table: "backend".to_owned(),
            url: "http://x".to_owned(),
            asked,
        };
        finding(&other).grade
    }

    #[test]
    fn answers_are_told_apart() {
        let backend = |asked| grade(Section::Backends, asked);
        assert_eq!(backend(Asked::Answered(200)), Grade::Ok);
        assert_eq!(backend(Asked::Answered(401)), Grade::Fault);
        assert_eq!(backend(Asked::Answered(404)), Grade::Note);
        assert_eq!(backend(Asked::Answered(502)), Grade::Warning);
        assert_eq!(backend(Asked::Silent("refused".to_owned())), Grade::Fault);
        assert_eq!(backend(Asked::LeftOut), Grade::Note);
        // A peer may ask for more than we show.
        assert_eq!(grade(Section::Peers, Asked::Answered(401)), Grade::Ok);
    }

    #[test]
    fn only_loopback_is_here() {
        for url in [
            "http://127.0.0.1:1/v1",
            "http://localhost",
            "http://[::1]:5",
        ] {
            assert!(is_here(url), "{url}");
        }
        for url in ["https://api.openai.com/v1", "http://10.0.0.1", "no url"] {
            assert!(!is_here(url), "{url}");
        }
    }
}
