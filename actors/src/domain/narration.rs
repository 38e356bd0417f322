//! What an agent says in one turn, put together for those who read it as it comes.

use std::sync::Arc;

/// The most that is kept of one turn's words, in bytes; what comes after is dropped, once told.
pub const MOST_SAID: usize = 1 << 20;

/// What is put where words were dropped.
const CUT: &str = "\n\n[… the rest was too long to be kept …]";

/// What stands between two messages of one turn.
const BLANK_LINE: &str = "\n\n";

/// All that was said, and in which pieces.
#[derive(Debug, Default)]
pub struct Narration {
    text: String,
    pieces: Vec<u32>,
    is_new_message: bool,
    is_cut: bool,
}

impl Narration {
    /// Adds a piece of the present message; answers what a reader is to see of it.
    pub fn say(&mut self, piece: &str) -> Option<Arc<str>> {
        if piece.is_empty() || self.is_cut {
            return None;
        }
        let mut shown = String::with_capacity(piece.len().saturating_add(BLANK_LINE.len()));
        if self.is_new_message && !self.text.is_empty() {
            shown.push_str(BLANK_LINE);
        }
        self.is_new_message = false;
        let room = MOST_SAID.saturating_sub(self.text.len().saturating_add(shown.len()));
        if piece.len() > room {
            self.is_cut = true;
            shown.push_str(
                piece
                    .get(..piece.floor_char_boundary(room))
                    .unwrap_or_default(),
            );
            shown.push_str(CUT);
        } else {
            shown.push_str(piece);
        }
        self.text.push_str(&shown);
        self.pieces
            .push(u32::try_from(shown.len()).unwrap_or(u32::MAX));
        Some(shown.into())
    }

    /// The present message is complete.
    pub const fn end_message(&mut self) {
        self.is_new_message = true;
    }

    /// Whether nothing was said.
    pub fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// All that was said.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The lengths of the pieces that were shown; their sum is the length of [`Self::text`].
    pub fn pieces(&self) -> &[u32] {
        &self.pieces
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sum(narration: &Narration) -> usize {
        narration
            .pieces()
            .iter()
            .map(|piece| usize::try_from(*piece).unwrap())
            .sum()
    }

    #[test]
    fn messages_are_parted_by_a_blank_line_and_pieces_of_one_are_not() {
        let mut narration = Narration::default();
        narration.end_message();
        let shown: Vec<_> = ["Let ", "me look."]
            .iter()
            .map(|piece| narration.say(piece))
            .collect();
        assert_eq!(shown, [Some("Let ".into()), Some("me look.".into())]);
        narration.end_message();
        narration.end_message();
        assert_eq!(narration.say("Done."), Some("\n\nDone.".into()));
        assert_eq!(narration.text(), "Let me look.\n\nDone.");
        assert_eq!(narration.pieces(), [4, 8, 7]);
    }

    #[test]
    fn nothing_said_is_nothing_shown() {
        let mut narration = Narration::default();
        assert_eq!(narration.say(""), None);
        assert!(narration.is_empty() && narration.pieces().is_empty());
    }

    #[test]
    fn what_is_too_long_is_cut_once_at_a_character() {
        let mut narration = Narration::default();
        narration.say(&"é".repeat(MOST_SAID / 2 - 1));
        let cut = narration.say("éé").unwrap();
        assert!(cut.starts_with('é') && cut.ends_with(CUT), "{cut}");
        assert_eq!(narration.say("more"), None);
        assert_eq!(sum(&narration), narration.text().len());
    }
}
