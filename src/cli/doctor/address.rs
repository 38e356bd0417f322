//! The addresses that are listened on: whether they are free, who may reach them, and TLS.

use std::{
    io,
    net::{SocketAddr, TcpListener, ToSocketAddrs},
};

use chrono::{DateTime, TimeDelta, Utc};

use super::{
    finding::{Finding, Section},
    home::Told,
    processes,
};
use crate::{settings::Settings, startup::examination};

/// Before its end a certificate is warned of.
const SOON: TimeDelta = TimeDelta::days(14);

/// Whether an address can be listened on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Listening {
    /// Yes.
    Free,
    /// Somebody does: the process and its program, as far as they are known.
    Taken(Option<u32>, Option<String>),
    /// No: why, in the system's words.
    Refused(String),
}

/// One address of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Listener {
    /// What it is for.
    what: &'static str,
    /// The key that chooses another port.
    setting: &'static str,
    address: String,
    listening: Listening,
}

/// What holds for the listeners.
pub(super) struct Facts {
    listeners: Vec<Listener>,
    is_loopback: bool,
    has_keys: bool,
    certificate: Option<Result<Option<DateTime<Utc>>, String>>,
}

impl Facts {
    /// Listens for a moment on each address.
    pub(super) fn look(settings: &Settings) -> Self {
        let server = &settings.server;
        let mut listeners = vec![listener(
            "requests",
            "server.port",
            &server.host,
            server.port,
        )];
        if let Some(metrics) = settings.metrics.listen {
            let host = metrics.ip().to_string();
            listeners.push(listener("metrics", "metrics.listen", &host, metrics.port()));
        }
        if settings.bridge.remote.is_some() {
            let bridge = &settings.bridge;
            listeners.push(listener(
                "the bridge",
                "bridge.port",
                &bridge.host,
                bridge.port,
            ));
        }
        Self {
            listeners,
            is_loopback: server.is_loopback(),
            has_keys: settings.has_keys(),
            certificate: server.tls.as_ref().map(examination::certificate),
        }
    }
}

fn listener(what: &'static str, setting: &'static str, host: &str, port: u16) -> Listener {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let shown = if bare.contains(':') {
        format!("[{bare}]:{port}")
    } else {
        format!("{bare}:{port}")
    };
    Listener {
        what,
        setting,
        address: shown,
        listening: listening(bare, port),
    }
}

fn listening(host: &str, port: u16) -> Listening {
    let addresses: io::Result<Vec<SocketAddr>> =
        (host, port).to_socket_addrs().map(Iterator::collect);
    match addresses.and_then(|addresses| TcpListener::bind(addresses.as_slice())) {
        Ok(_given_back) => Listening::Free,
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            let pid = processes::listener(port);
            Listening::Taken(pid, pid.and_then(processes::program))
        }
        Err(error) => Listening::Refused(error.to_string()),
    }
}

/// What they come to.
pub(super) fn findings(facts: &Facts, told: &Told, now: DateTime<Utc>) -> Vec<Finding> {
    let mut findings: Vec<Finding> = facts
        .listeners
        .iter()
        .map(|listener| listener_finding(listener, told))
        .collect();
    if facts.is_loopback && !facts.has_keys {
        findings.push(Finding::note(
            Section::Address,
            "keys",
            "no key is set: every user and program of this machine may ask",
        ));
    } else if !facts.is_loopback && !facts.has_keys {
        findings.push(
            Finding::warning(
                Section::Address,
                "keys",
                "it listens beyond this machine, and no key is set: everybody may ask",
            )
            .mend("`postroom keys add NAME`, or set `server.key_file`"),
        );
    }
    if let Some(certificate) = &facts.certificate {
        findings.push(certificate_finding(certificate, now));
    }
    findings
}

fn listener_finding(listener: &Listener, told: &Told) -> Finding {
    const CHECK: &str = "port";
    let Listener {
        what,
        setting,
        address,
        listening,
    } = listener;
    let running = match told {
        Told::Running { pid, .. } => Some(*pid),
        _ => None,
    };
    match listening {
        Listening::Free => Finding::ok(
            Section::Address,
            CHECK,
            format!("{address} is free ({what})"),
        ),
        Listening::Taken(Some(pid), _) if Some(*pid) == running => Finding::ok(
            Section::Address,
            CHECK,
            format!("the running service listens on {address} ({what})"),
        ),
        Listening::Taken(pid, program) => {
            let who = match (pid, program) {
                (Some(pid), Some(program)) => format!("by process {pid} (`{program}`)"),
                (Some(pid), None) => format!("by process {pid}"),
                // Sockets of other users are theirs alone.
                (None, _) => "by a process that cannot be named from here".to_owned(),
            };
            let mend = match pid {
                Some(pid) => format!("stop it (`kill {pid}`), or choose another `{setting}`"),
                None => format!("as root, `ss -ltnp` names it; or choose another `{setting}`"),
            };
            let found = format!("{address} is taken {who} ({what})");
            Finding::fault(Section::Address, CHECK, found).mend(mend)
        }
        Listening::Refused(why) => Finding::fault(
            Section::Address,
            CHECK,
            format!("{address} cannot be listened on: {why} ({what})"),
        )
        .mend(format!(
            "choose an address of this machine and a port from 1024 on (`server.host`, `{setting}`)"
        )),
    }
}

fn certificate_finding(
    certificate: &Result<Option<DateTime<Utc>>, String>,
    now: DateTime<Utc>,
) -> Finding {
    const CHECK: &str = "certificate";
    const MEND: &str = "renew it; a running service takes the new files up by itself";
    let day = |time: &DateTime<Utc>| time.format("%Y-%m-%d").to_string();
    match certificate {
        Err(why) => Finding::fault(Section::Address, CHECK, why.clone())
            .mend("correct `server.tls_cert` and `server.tls_key`"),
        Ok(Some(end)) if *end <= now => Finding::fault(
            Section::Address,
            CHECK,
            format!(
                "the certificate has ended on {}: clients refuse it",
                day(end)
            ),
        )
        .mend(MEND),
        Ok(Some(end)) if *end <= now + SOON => Finding::warning(
            Section::Address,
            CHECK,
            format!("the certificate ends soon, on {}", day(end)),
        )
        .mend(MEND),
        Ok(Some(end)) => Finding::ok(
            Section::Address,
            CHECK,
            format!("the certificate holds until {}", day(end)),
        ),
        Ok(None) => Finding::note(
            Section::Address,
            CHECK,
            "it cannot be read until when the certificate holds",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::{super::finding::Grade, *};

    fn listener(listening: Listening) -> Listener {
        Listener {
            what: "requests",
            setting: "server.port",
            address: "127.0.0.1:7011".to_owned(),
            listening,
        }
    }

    #[test]
    fn a_port_is_free_ours_or_taken_by_somebody_who_is_named() {
        let running = Told::Running {
            pid: 7,
            endpoint: String::new(),
        };
        let found = |listening| listener_finding(&listener(listening), &running);
        assert_eq!(found(Listening::Free).grade, Grade::Ok);
        assert_eq!(found(Listening::Taken(Some(7), None)).grade, Grade::Ok);
        let taken = found(Listening::Taken(Some(8), Some("nginx".to_owned())));
        assert_eq!(taken.grade, Grade::Fault);
        assert!(taken.found.contains("process 8 (`nginx`)"), "{taken:?}");
        assert!(taken.mend.unwrap().contains("`kill 8`"));
        let refused = found(Listening::Refused("Permission denied".to_owned()));
        assert_eq!(refused.grade, Grade::Fault);
    }

    #[test]
    fn a_port_in_use_is_noticed_with_its_process() {
        let socket = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = socket.local_addr().unwrap().port();
        let Listening::Taken(pid, Some(_)) = listening("127.0.0.1", port) else {
            panic!("it is taken");
        };
        assert_eq!(pid, Some(std::process::id()));
        assert!(matches!(listening("192.0.2.1", 0), Listening::Refused(_)));
    }

    #[test]
    fn certificates_are_warned_of_before_their_end() {
        let now = DateTime::UNIX_EPOCH;
        let grade = |days| {
            let end = now + TimeDelta::days(days);
            certificate_finding(&Ok(Some(end)), now).grade
        };
        assert_eq!(
            [grade(-1), grade(13), grade(90)],
            [Grade::Fault, Grade::Warning, Grade::Ok]
        );
        let broken = certificate_finding(&Err("x".to_owned()), now);
        assert_eq!(broken.grade, Grade::Fault);
    }

    #[test]
    fn whoever_lets_everybody_in_is_told() {
        let facts = |is_loopback, has_keys| Facts {
            listeners: Vec::new(),
            is_loopback,
            has_keys,
            certificate: None,
        };
        let grades = |facts: &Facts| -> Vec<Grade> {
            let found = findings(facts, &Told::Nothing, DateTime::UNIX_EPOCH);
            found.iter().map(|finding| finding.grade).collect()
        };
        assert_eq!(grades(&facts(true, true)), []);
        assert_eq!(grades(&facts(true, false)), [Grade::Note]);
        assert_eq!(grades(&facts(false, false)), [Grade::Warning]);
    }
}
