//! How much of a message its inbox item holds.
//!
//! What marks a context as seen is a file beside the inbox, made once the context's first item is
//! safe. Between accepting that message and the mark, the context is *announced*: its whole
//! message is in the store and comes first, so the next ones may already be short.

use std::collections::HashSet;

use super::{envelope::InboxForm, ids::ContextId};

/// What later messages of a context hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compaction {
    /// Context id and prompt.
    Seed,
    /// Context id, prompt and the whole request under `message`.
    KeepMessage,
    /// Everything: each message is whole.
    Off,
}

/// Contexts whose first message is accepted, but whose mark is not on disk yet.
#[derive(Debug, Default)]
pub struct AnnouncedContexts(HashSet<ContextId>);

impl AnnouncedContexts {
    /// Chooses the form of a message that is about to be accepted.
    ///
    /// `is_marked` says whether the context's mark is on disk now.
    pub fn form(
        &self,
        compaction: Compaction,
        context_id: Option<&ContextId>,
        is_marked: bool,
    ) -> InboxForm {
        let Some(context_id) = context_id else {
            return InboxForm::Whole;
        };
        match compaction {
            _ if !is_marked && !self.0.contains(context_id) => InboxForm::Whole,
            Compaction::Off => InboxForm::Whole,
            Compaction::Seed => InboxForm::Repeat,
            Compaction::KeepMessage => InboxForm::RepeatWithMessage,
        }
    }

    /// The context's whole message has been handed to the store.
    pub fn announce(&mut self, context_id: ContextId) {
        self.0.insert(context_id);
    }

    /// The mark is on disk, or the whole message was not accepted after all.
    pub fn forget(&mut self, context_id: &ContextId) {
        self.0.remove(context_id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn context() -> ContextId {
        ContextId::new("telegram:7")
    }

    #[test]
    fn a_message_without_context_is_always_whole() {
        let announced = AnnouncedContexts::default();
        assert_eq!(
            announced.form(Compaction::Seed, None, true),
            InboxForm::Whole
        );
    }

    #[test]
    fn the_first_message_is_whole_and_later_ones_are_short() {
        let mut announced = AnnouncedContexts::default();
        let id = context();
        assert_eq!(
            announced.form(Compaction::Seed, Some(&id), false),
            InboxForm::Whole
        );
        announced.announce(id.clone());
        assert_eq!(
            announced.form(Compaction::Seed, Some(&id), false),
            InboxForm::Repeat
        );
        announced.forget(&id);
        assert_eq!(
            announced.form(Compaction::Seed, Some(&id), true),
            InboxForm::Repeat
        );
    }

    #[test]
    fn a_deleted_mark_makes_the_next_message_whole_again() {
        let mut announced = AnnouncedContexts::default();
        let id = context();
        announced.announce(id.clone());
        announced.forget(&id);
        assert_eq!(
            announced.form(Compaction::Seed, Some(&id), false),
            InboxForm::Whole
        );
    }

    #[test]
    fn the_setting_decides_what_a_repeat_holds() {
        let announced = AnnouncedContexts::default();
        let id = context();
        let form = |compaction| announced.form(compaction, Some(&id), true);
        assert_eq!(form(Compaction::Off), InboxForm::Whole);
        assert_eq!(form(Compaction::KeepMessage), InboxForm::RepeatWithMessage);
    }
}
