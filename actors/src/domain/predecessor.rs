//! Requests as the predecessor, ai-agent-proxy 2.3, reads them.
//!
//! Its results are kept exactly, white space and odd cases included, so that a conversation has
//! the same id before and after the switch. All scans take linear time, whatever the text.

use memchr::memmem;

use super::{
    context::{channel_field, first_string, is_space, joined, target_field, value_up_to_bar},
    request::{
        Reading,
        chat::{Chat, Role},
        document::{Document, Kind},
        scanner::Dialect,
    },
};

#[cfg(test)]
mod tests;

/// The fields of a fenced block that name a target, in order of precedence.
const SENDER_KEYS: [&str; 7] = [
    "sender_id",
    "id",
    "e164",
    "target",
    "user_id",
    "recipient",
    "to",
];

const OPENING_FENCE: &str = "```json";
const FENCE: &str = "```";

/// Reads a request by the predecessor's rules.
pub(in crate::domain) fn read(chat: &Chat<'_, '_>) -> Reading {
    let prompt = chat.texts(Role::User).next_back();
    Reading {
        context_id: context_id(chat),
        prompt: prompt.map(|text| text.all.clone().into_owned()),
    }
}

fn context_id(chat: &Chat<'_, '_>) -> Option<String> {
    let channel = channel_field(chat.root).or_else(|| channel_of_system(chat))?;
    let target = target_field(chat.root).or_else(|| target_of_users(chat));
    Some(match target {
        Some(target) => joined(&channel, &target),
        None => channel,
    })
}

fn channel_of_system(chat: &Chat<'_, '_>) -> Option<String> {
    let texts = chat.texts(Role::System).filter(|text| text.is_string);
    texts.map(|text| text.all.as_ref()).find_map(channel_in)
}

/// The value of the first `| channel=VALUE`, with any white space after the bar.
fn channel_in(text: &str) -> Option<String> {
    memmem::find_iter(text.as_bytes(), "channel=").find_map(|at| {
        let (before, found) = text.split_at_checked(at)?;
        before.trim_end_matches(is_space).strip_suffix('|')?;
        value_up_to_bar(found.strip_prefix("channel=")?).map(str::to_owned)
    })
}

fn target_of_users(chat: &Chat<'_, '_>) -> Option<String> {
    let mut texts = chat.texts(Role::User).rev();
    texts.find_map(|text| fenced_blocks(&text.all).find_map(target_in))
}

fn target_in(block: &str) -> Option<String> {
    let (document, end) = Document::parse_start(block, Dialect::Python).ok()?;
    let root = document.root();
    let is_object = root.kind() == Kind::Object && end == block.len();
    first_string(root, &SENDER_KEYS).filter(|_| is_object)
}

/// The blocks between a json fence and the next fence that has a closing brace before it.
///
/// A block begins with a brace and ends with one; white space may stand between braces and
/// fences. Blocks do not overlap.
fn fenced_blocks(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        loop {
            let opening = memmem::find(rest.as_bytes(), OPENING_FENCE.as_bytes())?;
            let after_fence = rest.get(opening + OPENING_FENCE.len()..)?;
            let block = after_fence.trim_start_matches(is_space);
            if block.starts_with('{') {
                let (block, after_block) = split_block(block)?;
                rest = after_block;
                return Some(block);
            }
            rest = after_fence;
        }
    })
}

/// Splits after the first closing brace that only white space parts from a fence.
///
/// The second part begins after that fence: a fence that closes a block opens no other.
fn split_block(text: &str) -> Option<(&str, &str)> {
    let inside = text.strip_prefix('{')?;
    memmem::find_iter(inside.as_bytes(), FENCE).find_map(|fence| {
        let before = inside.get(..fence)?.trim_end_matches(is_space);
        let block = text
            .get(..=before.len())
            .filter(|_| before.ends_with('}'))?;
        Some((block, inside.get(fence + FENCE.len()..)?))
    })
}
