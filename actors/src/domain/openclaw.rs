//! Requests in the form that present OpenClaw releases send.
//!
//! The facts about a conversation stand where OpenClaw itself writes them, and count only there:
//! what a human pastes into a message names no sender, no channel and no recipient.

use super::{
    context::{channel_field, first_string, joined, non_blank, target_field},
    request::{
        HeaderHints, Reading,
        chat::{Chat, Role, Text},
    },
};
use conversation_info::ConversationInfo;
use human_message::HumanMessage;
use runtime_line::RuntimeLine;
use system_prompt::MessageContext;

mod conversation_info;
mod human_message;
mod runtime_line;
mod system_prompt;
#[cfg(test)]
mod tests;

/// How the message begins that OpenClaw puts at the end of each request.
pub(in crate::domain) const INTERNAL_CONTEXT: &str = "<<<BEGIN_OPENCLAW_INTERNAL_CONTEXT>>>";

/// The channel that all callers of OpenClaw's own API share.
const SHARED_CHANNEL: &str = "webchat";

/// Whether a request has the present form.
pub(in crate::domain) fn is_present_form(chat: &Chat<'_, '_>) -> bool {
    let mut system = chat.texts(Role::System);
    chat.texts(Role::User).any(is_internal)
        || system.any(|text| system_prompt::is_marked(&text.all))
}

/// Whether the last message, the internal context aside, is a tool's result.
pub(in crate::domain) fn continues_tool_loop(chat: &Chat<'_, '_>) -> bool {
    let mut newest_first = chat.messages.iter().rev();
    let newest = newest_first.next();
    let message = match newest {
        Some(last) if last.role == Role::User && last.text.as_ref().is_some_and(is_internal) => {
            newest_first.next()
        }
        other => other,
    };
    message.is_some_and(|message| message.role == Role::Tool)
}

/// Reads a request of the present form.
pub(in crate::domain) fn read(chat: &Chat<'_, '_>, hints: HeaderHints<'_>) -> Reading {
    let humans = human_messages(chat);
    let newest_words = humans.iter().rev().map(|human| human.words);
    let prompt = newest_words
        .filter(|words| !words.trim().is_empty())
        .map(str::to_owned);
    Reading {
        prompt: prompt.into_iter().next(),
        context_id: context_id(chat, &humans, hints),
    }
}

fn is_internal(text: &Text<'_>) -> bool {
    text.all.starts_with(INTERNAL_CONTEXT)
}

fn human_messages<'c>(chat: &'c Chat<'_, '_>) -> Vec<HumanMessage<'c>> {
    let texts = chat.texts(Role::User).filter(|text| !is_internal(text));
    let numbered = texts.enumerate();
    numbered
        .map(|(number, text)| match number {
            0 => HumanMessage::read_first(text),
            _ => HumanMessage::read(&text.all),
        })
        .collect()
}

fn context_id(
    chat: &Chat<'_, '_>,
    humans: &[HumanMessage<'_>],
    hints: HeaderHints<'_>,
) -> Option<String> {
    let mut systems = chat.texts(Role::System).map(|text| text.all.as_ref());
    let prompts: Vec<&str> = systems.by_ref().collect();
    let message_context = prompts.iter().copied().find_map(MessageContext::find);
    let runtime = prompts
        .iter()
        .copied()
        .find_map(RuntimeLine::in_system_prompt);
    let runtime = runtime.or_else(|| humans.first()?.runtime);

    let named = channel_field(chat.root);
    let is_named = named.is_some();
    let channel = named
        .or_else(|| {
            message_context
                .as_ref()
                .map(|context| context.channel.clone())
        })
        .or_else(|| runtime?.channel().map(str::to_owned))
        .or_else(|| non_blank(hints.channel?));
    let session = || {
        let session = runtime.and_then(RuntimeLine::session).map(str::to_owned);
        session.or_else(|| affinity(chat, hints))
    };
    let Some(channel) = channel else {
        return session();
    };
    let in_group = message_context.is_some_and(|context| context.is_group);
    let target = target_field(chat.root)
        .or_else(|| newest_info(chat, humans)?.target(&channel, in_group))
        .or_else(session);
    match target {
        Some(target) => Some(joined(&channel, &target)),
        // A channel alone holds many conversations, unless the client named it for this one.
        None => (is_named && channel != SHARED_CHANNEL).then_some(channel),
    }
}

fn affinity(chat: &Chat<'_, '_>, hints: HeaderHints<'_>) -> Option<String> {
    first_string(chat.root, &["prompt_cache_key"]).or_else(|| non_blank(hints.affinity?))
}

/// The newest facts about a sender: the trailing internal context, then the human messages.
fn newest_info(chat: &Chat<'_, '_>, humans: &[HumanMessage<'_>]) -> Option<ConversationInfo> {
    let last = chat.messages.last().filter(|last| last.role == Role::User);
    let trailing = last
        .and_then(|last| last.text.as_ref())
        .filter(|text| is_internal(text));
    trailing
        .and_then(|text| ConversationInfo::in_internal_context(&text.all))
        .or_else(|| humans.iter().rev().find_map(|human| human.info.clone()))
}
