//! Reads JSON tokens and checks them; knows nothing of documents.

use std::borrow::Cow;

/// Where a text stops being JSON, and why. Never holds any of the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::domain) struct Fault {
    /// Offset in bytes.
    pub(in crate::domain) at: usize,
    /// What was expected or is wrong.
    pub(in crate::domain) reason: &'static str,
}

/// How strict the reader is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::domain) enum Dialect {
    /// RFC 8259; no lone surrogates.
    Strict,
    /// What Python's `json.loads` takes: also `NaN`, `Infinity` and lone surrogates.
    Python,
}

/// A place in a JSON text.
#[derive(Debug)]
pub(super) struct Scanner<'a> {
    text: &'a [u8],
    at: usize,
    dialect: Dialect,
}

const EVERY_BYTE: u64 = u64::from_ne_bytes([1; 8]);
const HIGH_BITS: u64 = u64::from_ne_bytes([0x80; 8]);
const WORD: usize = 8;

impl<'a> Scanner<'a> {
    pub(super) const fn new(text: &'a str, dialect: Dialect) -> Self {
        Self {
            text: text.as_bytes(),
            at: 0,
            dialect,
        }
    }

    pub(super) const fn at(&self) -> usize {
        self.at
    }

    #[inline]
    pub(super) fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    pub(super) const fn advance(&mut self) {
        self.at += 1;
    }

    #[inline]
    pub(super) fn skip_whitespace(&mut self) {
        while let Some(b' ' | b'\n' | b'\t' | b'\r') = self.peek() {
            self.at += 1;
        }
    }

    pub(super) const fn fault(&self, reason: &'static str) -> Fault {
        Fault {
            at: self.at,
            reason,
        }
    }

    /// Goes past `expected`, or fails there.
    pub(super) fn expect(&mut self, expected: u8, reason: &'static str) -> Result<(), Fault> {
        if self.peek() == Some(expected) {
            self.at += 1;
            Ok(())
        } else {
            Err(self.fault(reason))
        }
    }

    /// Goes past a string, whose opening quote is next; tells whether it holds escapes.
    pub(super) fn string(&mut self) -> Result<bool, Fault> {
        self.expect(b'"', "expected a string")?;
        let mut escaped = false;
        loop {
            self.skip_plain_text();
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(escaped);
                }
                Some(b'\\') => {
                    escaped = true;
                    self.escape()?;
                }
                Some(_) => return Err(self.fault("control character in a string")),
                None => return Err(self.fault("unfinished string")),
            }
        }
    }

    /// Goes to the next quote, backslash or control character, a word at a time.
    #[inline]
    fn skip_plain_text(&mut self) {
        let rest = self.text.get(self.at..).unwrap_or_default();
        let (words, _) = rest.as_chunks::<WORD>();
        for bytes in words {
            let hits = special_bytes(u64::from_le_bytes(*bytes));
            if hits != 0 {
                self.at += usize::try_from(hits.trailing_zeros() / u8::BITS).unwrap_or(0);
                return;
            }
            self.at += WORD;
        }
        while let Some(byte) = self.peek() {
            if byte == b'"' || byte == b'\\' || byte < 0x20 {
                return;
            }
            self.at += 1;
        }
    }

    fn escape(&mut self) -> Result<(), Fault> {
        let start = self.at;
        self.at += 1;
        match self.peek() {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => {
                self.at += 1;
                Ok(())
            }
            Some(b'u') => self.unicode_escape(start),
            _ => Err(self.fault("unknown escape in a string")),
        }
    }

    fn unicode_escape(&mut self, start: usize) -> Result<(), Fault> {
        let tail = self.text.get(start..).unwrap_or_default();
        let Some(unit) = code_unit(tail) else {
            return Err(self.fault("`\\u` needs four hex digits"));
        };
        self.at = start + UNIT_LENGTH;
        let lone = match unit {
            0xD800..=0xDBFF => {
                let low = tail.get(UNIT_LENGTH..).and_then(code_unit);
                let paired = low.is_some_and(|low| (0xDC00..=0xDFFF).contains(&low));
                if paired {
                    self.at += UNIT_LENGTH;
                }
                !paired
            }
            0xDC00..=0xDFFF => true,
            _ => false,
        };
        if lone && self.dialect == Dialect::Strict {
            self.at = start;
            return Err(self.fault("lone surrogate in a string"));
        }
        Ok(())
    }

    /// Goes past a number.
    pub(super) fn number(&mut self) -> Result<(), Fault> {
        if self.peek() == Some(b'-') {
            self.at += 1;
            if self.dialect == Dialect::Python && self.peek() == Some(b'I') {
                return self.word(b"Infinity");
            }
        }
        match self.peek() {
            Some(b'0') => self.at += 1,
            Some(b'1'..=b'9') => self.digits(),
            _ => return Err(self.fault("expected a digit")),
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.some_digits()?;
        }
        if let Some(b'e' | b'E') = self.peek() {
            self.at += 1;
            if let Some(b'+' | b'-') = self.peek() {
                self.at += 1;
            }
            self.some_digits()?;
        }
        Ok(())
    }

    fn digits(&mut self) {
        while let Some(b'0'..=b'9') = self.peek() {
            self.at += 1;
        }
    }

    fn some_digits(&mut self) -> Result<(), Fault> {
        let start = self.at;
        self.digits();
        if self.at == start {
            return Err(self.fault("expected a digit"));
        }
        Ok(())
    }

    /// Goes past `true`, `false`, `null` (and what Python adds).
    pub(super) fn literal(&mut self) -> Result<(), Fault> {
        match (self.peek(), self.dialect) {
            (Some(b't'), _) => self.word(b"true"),
            (Some(b'f'), _) => self.word(b"false"),
            (Some(b'n'), _) => self.word(b"null"),
            (Some(b'N'), Dialect::Python) => self.word(b"NaN"),
            (Some(b'I'), Dialect::Python) => self.word(b"Infinity"),
            _ => Err(self.fault("expected value")),
        }
    }

    fn word(&mut self, word: &[u8]) -> Result<(), Fault> {
        let rest = self.text.get(self.at..).unwrap_or_default();
        if rest.starts_with(word) {
            self.at += word.len();
            Ok(())
        } else {
            Err(self.fault("expected value"))
        }
    }
}

/// Marks (high bit) the bytes of a word that end plain text; the lowest mark is exact.
const fn special_bytes(word: u64) -> u64 {
    let quote = word ^ (EVERY_BYTE * 0x22);
    let backslash = word ^ (EVERY_BYTE * 0x5C);
    let control = word.wrapping_sub(EVERY_BYTE * 0x20) & !word;
    let quote = quote.wrapping_sub(EVERY_BYTE) & !quote;
    let backslash = backslash.wrapping_sub(EVERY_BYTE) & !backslash;
    (control | quote | backslash) & HIGH_BITS
}

const UNIT_LENGTH: usize = 6;

/// The UTF-16 code unit of a `\uXXXX` that the bytes begin with.
fn code_unit(bytes: &[u8]) -> Option<u32> {
    let digits = bytes.get(..UNIT_LENGTH)?.strip_prefix(b"\\u")?;
    digits.iter().try_fold(0, |unit, digit| {
        Some(unit * 16 + char::from(*digit).to_digit(16)?)
    })
}

/// The text of a checked string, given what stands between its quotes.
///
/// Lone surrogates, which only [`Dialect::Python`] lets through, become U+FFFD.
pub(in crate::domain) fn unescape(raw: &str) -> Cow<'_, str> {
    let Some((plain, _)) = raw.split_once('\\') else {
        return Cow::Borrowed(raw);
    };
    let mut text = String::with_capacity(raw.len());
    text.push_str(plain);
    let mut rest = raw.strip_prefix(plain).unwrap_or_default();
    while !rest.is_empty() {
        rest = push_escaped(&mut text, rest);
        let end = memchr::memchr(b'\\', rest.as_bytes()).unwrap_or(rest.len());
        let (plain, tail) = rest.split_at(end);
        text.push_str(plain);
        rest = tail;
    }
    Cow::Owned(text)
}

/// Appends what the escape at the beginning of `rest` stands for; answers what follows it.
fn push_escaped<'a>(text: &mut String, rest: &'a str) -> &'a str {
    let mut length = 2;
    let character = match rest.as_bytes().get(1) {
        Some(b'n') => '\n',
        Some(b't') => '\t',
        Some(b'r') => '\r',
        Some(b'b') => '\u{8}',
        Some(b'f') => '\u{c}',
        Some(b'u') => {
            let units = [code_unit(rest.as_bytes()), second_unit(rest)];
            let (character, used) = from_units(units);
            length = used * UNIT_LENGTH;
            character
        }
        Some(other) => char::from(*other),
        None => char::REPLACEMENT_CHARACTER,
    };
    text.push(character);
    rest.get(length..).unwrap_or_default()
}

fn second_unit(rest: &str) -> Option<u32> {
    code_unit(rest.as_bytes().get(UNIT_LENGTH..)?)
}

/// The character of one or two code units, and how many of them it took.
fn from_units(units: [Option<u32>; 2]) -> (char, usize) {
    match units {
        [Some(high @ 0xD800..=0xDBFF), Some(low @ 0xDC00..=0xDFFF)] => {
            let code = 0x1_0000 + ((high - 0xD800) << 10) + (low - 0xDC00);
            (
                char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER),
                2,
            )
        }
        [Some(unit), _] => (
            char::from_u32(unit).unwrap_or(char::REPLACEMENT_CHARACTER),
            1,
        ),
        [None, _] => (char::REPLACEMENT_CHARACTER, 1),
    }
}
