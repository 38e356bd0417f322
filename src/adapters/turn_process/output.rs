//! What a turn prints: cut into lines, and the parts of it that are kept.

use std::{borrow::Cow, io::BufRead as _};

/// The longest line that is read whole, in bytes. Of a longer one the rest is left out.
pub(super) const LONGEST_LINE: usize = 8 * 1024 * 1024;

/// Cuts a stream of bytes into lines.
#[derive(Default)]
pub(super) struct Lines {
    partial: Vec<u8>,
    /// The line was longer than is read; its rest is passed over.
    is_cut: bool,
}

impl Lines {
    /// Takes a piece of output; calls back for each line that it completes.
    pub(super) fn take(&mut self, mut piece: &[u8], mut line: impl FnMut(Cow<'_, str>)) {
        while !piece.is_empty() {
            let ends = if self.is_cut {
                self.pass_over(&mut piece)
            } else {
                self.append(&mut piece)
            };
            if ends {
                self.emit(&mut line);
            }
        }
    }

    /// The last line, where it had no newline.
    pub(super) fn finish(mut self, mut line: impl FnMut(Cow<'_, str>)) {
        if !self.partial.is_empty() {
            self.emit(&mut line);
        }
    }

    /// Answers whether the line ends here.
    fn append(&mut self, piece: &mut &[u8]) -> bool {
        let room = LONGEST_LINE.saturating_sub(self.partial.len());
        let mut within = piece.get(..room).unwrap_or(piece);
        // Reading from memory does not fail.
        let read = within.read_until(b'\n', &mut self.partial).unwrap_or(0);
        *piece = piece.get(read..).unwrap_or_default();
        let ends = self.partial.last() == Some(&b'\n');
        self.is_cut = !ends && self.partial.len() >= LONGEST_LINE;
        ends
    }

    fn pass_over(&mut self, piece: &mut &[u8]) -> bool {
        let before = *piece;
        let passed = piece.skip_until(b'\n').unwrap_or(before.len());
        let ends = before
            .get(..passed)
            .is_some_and(|part| part.ends_with(b"\n"));
        self.is_cut = !ends;
        ends
    }

    fn emit(&mut self, line: &mut impl FnMut(Cow<'_, str>)) {
        let text = self.partial.strip_suffix(b"\n").unwrap_or(&self.partial);
        let text = text.strip_suffix(b"\r").unwrap_or(text);
        line(String::from_utf8_lossy(text));
        self.is_cut = false;
        self.partial.clear();
        self.partial.shrink_to(64 * 1024);
    }
}

/// The last part of a stream.
pub(super) struct Tail {
    bytes: Vec<u8>,
    most: usize,
    dropped: u64,
}

impl Tail {
    /// Keeps `most` bytes.
    pub(super) const fn new(most: usize) -> Self {
        Self {
            bytes: Vec::new(),
            most,
            dropped: 0,
        }
    }

    /// Takes a piece of the stream.
    pub(super) fn take(&mut self, piece: &[u8]) {
        self.bytes.extend_from_slice(piece);
        // Twice as much is let in, so that bytes are moved seldom.
        if self.bytes.len() > 2 * self.most {
            self.shorten();
        }
    }

    /// The bytes, and how many went before them.
    pub(super) fn finish(mut self) -> (Vec<u8>, u64) {
        self.shorten();
        (self.bytes, self.dropped)
    }

    fn shorten(&mut self) {
        let surplus = self.bytes.len().saturating_sub(self.most);
        self.bytes.drain(..surplus);
        self.dropped += u64::try_from(surplus).unwrap_or(u64::MAX);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(pieces: &[&[u8]]) -> Vec<String> {
        let mut found = Vec::new();
        let mut lines = Lines::default();
        for piece in pieces {
            lines.take(piece, |line| found.push(line.into_owned()));
        }
        lines.finish(|line| found.push(line.into_owned()));
        found
    }

    #[test]
    fn lines_are_put_together_from_pieces() {
        assert_eq!(
            lines(&[b"a", b"b\nc\r\n", b"\n", b"d"]),
            ["ab", "c", "", "d"]
        );
        assert_eq!(lines(&[b"a\n"]), ["a"]);
        assert_eq!(lines(&[b"\xff\n"]), ["\u{fffd}"]);
    }

    #[test]
    fn the_rest_of_an_overlong_line_is_passed_over() {
        let long = vec![b'x'; LONGEST_LINE - 1];
        let found = lines(&[&long, b"yz", b"z", b"zz\nnext\n"]);
        assert_eq!(found.len(), 2);
        assert_eq!(found[0].len(), LONGEST_LINE);
        assert!(found[0].ends_with("xy"));
        assert_eq!(found[1], "next");
    }

    #[test]
    fn a_line_of_just_the_limit_is_whole() {
        let mut long = vec![b'x'; LONGEST_LINE - 1];
        long.extend_from_slice(b"\nnext");
        let found = lines(&[&long]);
        assert_eq!((found[0].len(), &*found[1]), (LONGEST_LINE - 1, "next"));
    }

    #[test]
    fn the_tail_is_the_last_part() {
        let mut tail = Tail::new(3);
        for piece in ["ab", "cdef", "", "ghijkl"] {
            tail.take(piece.as_bytes());
        }
        assert_eq!(tail.finish(), (b"jkl".to_vec(), 9));
        let mut short = Tail::new(3);
        short.take(b"ab");
        assert_eq!(short.finish(), (b"ab".to_vec(), 0));
    }
}
