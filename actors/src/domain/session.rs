//! Which session of an agent a request belongs to.
//!
//! A key reads `<caller>/<source>/<value>`: the same value of another caller, or from another
//! source, is another session. It is text for comparing and for people, never a path.

use std::borrow::Cow;

use super::{
    ids::{ContextId, MessageId, SessionKey},
    party::Party,
};

/// The headers that OpenClaw names a session by, in order of precedence.
///
/// `x-client-request-id` holds the same there, but numbers single requests with other clients, so
/// it is none of them.
pub const AFFINITY_HEADERS: [&str; 2] = ["session_id", "x-session-affinity"];

/// The longest value that is kept as it is, in bytes.
pub const MAX_VALUE: usize = 512;

/// How much is kept of a longer value, in bytes; its digest follows.
const KEPT_OF_LONG: usize = 400;

/// What a request says about its session. Blank texts count as absent.
#[derive(Debug, Clone, Copy)]
pub struct SessionHints<'a> {
    /// The name of the caller's key; `None` for a caller without one.
    pub caller: Option<&'a str>,
    /// `x-openclaw-session-key`.
    pub session_key: Option<&'a str>,
    /// `user` of the body.
    pub user: Option<&'a str>,
    /// The first of [`AFFINITY_HEADERS`] that is there.
    pub affinity: Option<&'a str>,
    /// `prompt_cache_key` of the body.
    pub prompt_cache_key: Option<&'a str>,
    /// The conversation that was read out of the request.
    pub context_id: Option<&'a ContextId>,
    /// The message's own id, where nothing else is known.
    pub message: MessageId,
}

/// The session of a request, by the first of its hints that says something.
///
/// A value over [`MAX_VALUE`] bytes is cut, and a digest of the whole value added. The digest
/// keeps values apart that differ by accident; the caller stands outside of it, so whoever makes
/// two values meet on purpose meets nobody else's session.
///
/// A response that names a `previous_response_id` takes the session of that one instead.
pub fn session_key(hints: &SessionHints<'_>) -> SessionKey {
    let context = hints.context_id.map(ContextId::as_str);
    let said = [
        ("key", hints.session_key),
        ("user", hints.user),
        ("affinity", hints.affinity),
        ("affinity", hints.prompt_cache_key),
        ("context", context),
    ];
    let mut said = said.into_iter().filter_map(|(source, value)| {
        let value = value?.trim();
        (!value.is_empty()).then_some((source, value))
    });
    let own = hints.message.as_uuid().as_simple().to_string();
    let (source, value) = said.next().unwrap_or(("message", &own));
    joined(hints.caller.unwrap_or_default(), source, value)
}

/// The session of a message between agents: one for each conversation of a sender, and one for all
/// that it sends without naming a conversation.
pub fn message_session(sender: &Party, context: Option<&ContextId>) -> SessionKey {
    let sender = sender.to_string();
    let context = context.map(|context| context.as_str().trim());
    match context.filter(|context| !context.is_empty()) {
        Some(context) => joined(&sender, "context", context),
        None => SessionKey::new(format!("{}/messages", escaped(&sender))),
    }
}

fn joined(caller: &str, source: &str, value: &str) -> SessionKey {
    let caller = escaped(caller);
    SessionKey::new(if value.len() <= MAX_VALUE {
        format!("{caller}/{source}/{value}")
    } else {
        format!("{caller}/{source}~/{}", cut(value))
    })
}

/// A caller's name without slashes, so that it cannot reach into the next part.
fn escaped(caller: &str) -> Cow<'_, str> {
    if caller.contains(['/', '%']) {
        Cow::Owned(caller.replace('%', "%25").replace('/', "%2F"))
    } else {
        Cow::Borrowed(caller)
    }
}

fn cut(value: &str) -> String {
    let end = value.floor_char_boundary(KEPT_OF_LONG);
    let kept = value.get(..end).unwrap_or_default();
    format!("{kept}~{:032x}", fnv1a(value.as_bytes()))
}

/// FNV-1a with 128 bits. Keys are kept over upgrades, so the digest must never change; that of the
/// standard library may.
fn fnv1a(bytes: &[u8]) -> u128 {
    const OFFSET: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
    const PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;
    bytes.iter().fold(OFFSET, |digest, byte| {
        (digest ^ u128::from(*byte)).wrapping_mul(PRIME)
    })
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn nothing() -> SessionHints<'static> {
        SessionHints {
            caller: Some("alice"),
            session_key: None,
            user: None,
            affinity: None,
            prompt_cache_key: None,
            context_id: None,
            message: MessageId::new(Uuid::from_u128(0xab)),
        }
    }

    fn key(hints: SessionHints<'_>) -> String {
        session_key(&hints).to_string()
    }

    #[test]
    fn the_first_hint_that_says_something_decides() {
        let context = ContextId::new("telegram:42");
        let mut hints = SessionHints {
            session_key: Some("thread"),
            user: Some("u"),
            affinity: Some("a:0"),
            prompt_cache_key: Some("p"),
            context_id: Some(&context),
            ..nothing()
        };
        assert_eq!(key(hints), "alice/key/thread");
        hints.session_key = Some("  ");
        assert_eq!(key(hints), "alice/user/u");
        hints.user = None;
        assert_eq!(key(hints), "alice/affinity/a:0");
        hints.affinity = None;
        assert_eq!(key(hints), "alice/affinity/p");
        hints.prompt_cache_key = Some("");
        assert_eq!(key(hints), "alice/context/telegram:42");
        hints.context_id = None;
        assert_eq!(key(hints), "alice/message/000000000000000000000000000000ab");
    }

    #[test]
    fn callers_and_sources_never_share_a_session() {
        let user = |caller, user| {
            key(SessionHints {
                caller,
                user: Some(user),
                ..nothing()
            })
        };
        let by_key = key(SessionHints {
            session_key: Some("a"),
            ..nothing()
        });
        let keys = [
            user(Some("alice"), "a"),
            user(Some("bob"), "a"),
            user(None, "a"),
            user(Some("alice/user"), "a"),
            user(Some("alice"), "user/a"),
            user(Some("alice%2Fuser"), "a"),
            by_key,
        ];
        let different: std::collections::BTreeSet<&String> = keys.iter().collect();
        assert_eq!(different.len(), keys.len(), "{keys:?}");
    }

    #[test]
    fn a_long_value_is_cut_and_stays_different_from_others() {
        let user = |user: &str| {
            key(SessionHints {
                user: Some(user),
                ..nothing()
            })
        };
        let longest = "é".repeat(MAX_VALUE / 2);
        assert_eq!(user(&longest), format!("alice/user/{longest}"));
        let (one, two) = (user(&format!("{longest}x1")), user(&format!("{longest}x2")));
        assert_ne!(one, two);
        assert!(one.len() < MAX_VALUE, "{}", one.len());
        let forged = one.strip_prefix("alice/user~/").unwrap();
        assert_ne!(user(forged), one);
    }

    #[test]
    fn the_messages_of_a_sender_share_a_session_for_each_conversation() {
        let bob = Party::parse("peer:bob").unwrap();
        let context = |text: &str| ContextId::new(text);
        let key = |sender: &Party, context: Option<&ContextId>| {
            message_session(sender, context).to_string()
        };
        assert_eq!(key(&bob, None), "peer:bob/messages");
        assert_eq!(key(&bob, Some(&context(" "))), "peer:bob/messages");
        assert_eq!(key(&bob, Some(&context("T-1/a"))), "peer:bob/context/T-1/a");
        let slashed = Party::Key("ops/context".into());
        assert_eq!(key(&slashed, None), "key:ops%2Fcontext/messages");
        let long = key(&bob, Some(&context(&"x".repeat(MAX_VALUE + 1))));
        assert!(long.starts_with("peer:bob/context~/xxx"), "{long}");
        assert!(long.len() < MAX_VALUE, "{}", long.len());
    }

    #[test]
    fn the_digest_is_the_published_one() {
        assert_eq!(fnv1a(b""), 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d);
        assert_eq!(fnv1a(b"a"), 0xd228_cb69_6f1a_8caf_7891_2b70_4e4a_8964);
    }
}
