//! How the courier is, in words for operators.

use super::Courier;
use crate::{domain::party::Party, lifecycle::ActorStatus};

/// Names that are listed of each kind.
const MOST_NAMES: usize = 10;

impl Courier {
    pub(super) fn status(&self) -> ActorStatus {
        let now = self.parts.clock.now();
        let age = self.queue.oldest().map(|since| now - since);
        ActorStatus {
            actor: "courier",
            waiting: self.queue.len(),
            oldest_waiting_ms: age.map(|age| u64::try_from(age.num_milliseconds()).unwrap_or(0)),
            state: self.state(),
        }
    }

    fn state(&self) -> String {
        // Reading it belongs to every start, and is no trouble as such.
        if let Some(error) = &self.cannot_read {
            return format!("cannot read what waits: {error}");
        }
        if self.is_draining {
            return "draining".to_owned();
        }
        describe(self.queue.down())
    }
}

/// `ok`, or who is down.
fn describe<'a>(down: impl Iterator<Item = &'a Party>) -> String {
    let (mut peers, mut agents, mut addresses) = (Vec::new(), Vec::new(), 0_usize);
    for party in down {
        match party {
            Party::Peer(name) => peers.push(name.as_str()),
            Party::Agent(name) => agents.push(name.as_str()),
            // An address may hold a secret.
            _ => addresses = addresses.saturating_add(1),
        }
    }
    let parts = [
        named("peer", &peers),
        named("agent", &agents),
        counted("address", "es", addresses),
    ];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    if parts.is_empty() {
        "ok".to_owned()
    } else {
        parts.join("; ")
    }
}

fn named(kind: &str, names: &[&str]) -> Option<String> {
    let counted = counted(kind, "s", names.len())?;
    let shown: Vec<&str> = names.iter().take(MOST_NAMES).copied().collect();
    let more = if names.len() > shown.len() {
        ", …"
    } else {
        ""
    };
    Some(format!("{counted}: {}{more}", shown.join(", ")))
}

fn counted(kind: &str, plural: &str, count: usize) -> Option<String> {
    match count {
        0 => None,
        1 => Some(format!("1 {kind} down")),
        _ => Some(format!("{count} {kind}{plural} down")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(down: &[&str]) -> String {
        let down: Vec<Party> = down.iter().filter_map(|name| Party::parse(name)).collect();
        describe(down.iter())
    }

    #[test]
    fn who_is_down_is_named_and_addresses_are_counted() {
        assert_eq!(said(&[]), "ok");
        assert_eq!(said(&["peer:bob"]), "1 peer down: bob");
        assert_eq!(
            said(&["peer:bob", "peer:carol", "agent:alice"]),
            "2 peers down: bob, carol; 1 agent down: alice"
        );
        assert_eq!(
            said(&["url:http://a/?key=1", "url:http://b"]),
            "2 addresses down"
        );
        let many: Vec<String> = (0..12).map(|number| format!("peer:p{number}")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        assert!(said(&many).ends_with("p9, …"), "{}", said(&many));
    }
}
