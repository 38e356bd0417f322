//! A JSON document, checked whole in one pass and kept as a flat list of places in its text.
//!
//! No text is copied and no number is read: strings are unescaped when someone asks for them, and
//! numbers keep their spelling. Keys are plain data here, whatever they are called, unlike in
//! `serde_json::Value`, which has two magic ones.

use std::{borrow::Cow, str};

use super::scanner::{Dialect, Fault, Scanner, unescape};

/// The deepest nesting of arrays and objects that is read.
pub(in crate::domain) const MAX_DEPTH: usize = 127;

/// What a value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::domain) enum Kind {
    /// `true`, `false`, `null`.
    Literal,
    /// A number.
    Number,
    /// A string without escapes.
    PlainText,
    /// A string with escapes.
    EscapedText,
    /// An array.
    Array,
    /// An object.
    Object,
    /// The end of an array or object; never a value.
    End,
}

/// One value, key or end.
#[derive(Debug, Clone, Copy)]
struct Node {
    /// Offset of its first byte; of an [`Kind::End`], the offset after its bracket.
    start: u32,
    /// Of an array or object, the number of the node after its end; else the offset of its end.
    extent: u32,
    kind: Kind,
}

/// A checked document.
#[derive(Debug)]
pub(in crate::domain) struct Document<'a> {
    text: &'a str,
    nodes: Vec<Node>,
}

impl<'a> Document<'a> {
    /// Checks a whole text.
    pub(in crate::domain) fn parse(body: &'a [u8]) -> Result<Self, Fault> {
        let text = str::from_utf8(body).map_err(|error| Fault {
            at: error.valid_up_to(),
            reason: "not UTF-8",
        })?;
        let (document, end) = Self::parse_start(text, Dialect::Strict)?;
        let rest = text.get(end..).unwrap_or_default();
        let blank = rest.trim_start_matches([' ', '\n', '\t', '\r']);
        if blank.is_empty() {
            Ok(document)
        } else {
            Err(Fault {
                at: text.len() - blank.len(),
                reason: "trailing characters",
            })
        }
    }

    /// Checks the value that a text begins with; answers also the offset of its end.
    pub(in crate::domain) fn parse_start(
        text: &'a str,
        dialect: Dialect,
    ) -> Result<(Self, usize), Fault> {
        if u32::try_from(text.len()).is_err() {
            return Err(Fault {
                at: 0,
                reason: "more than 4 GiB",
            });
        }
        let mut builder = Builder {
            scanner: Scanner::new(text, dialect),
            nodes: Vec::with_capacity(64.min(text.len())),
            open: Vec::new(),
        };
        builder.run()?;
        let end = builder.scanner.at();
        let nodes = builder.nodes;
        Ok((Self { text, nodes }, end))
    }

    /// The document's value.
    pub(in crate::domain) const fn root(&self) -> Item<'_, 'a> {
        Item {
            document: self,
            number: 0,
        }
    }
}

/// A value of a document.
#[derive(Debug, Clone, Copy)]
pub(in crate::domain) struct Item<'d, 'a> {
    document: &'d Document<'a>,
    number: usize,
}

impl<'d, 'a> Item<'d, 'a> {
    /// What it is.
    pub(in crate::domain) fn kind(self) -> Kind {
        self.node().kind
    }

    /// Its spelling in the text.
    pub(in crate::domain) fn raw(self) -> &'a str {
        let node = self.node();
        let end = match node.kind {
            Kind::Array | Kind::Object => {
                let end = index(node.extent).saturating_sub(1);
                self.at(end).node().start
            }
            _ => node.extent,
        };
        let range = index(node.start)..index(end);
        self.document.text.get(range).unwrap_or_default()
    }

    /// Its text, where it is a string.
    pub(in crate::domain) fn text(self) -> Option<Cow<'a, str>> {
        match self.kind() {
            Kind::PlainText => Some(Cow::Borrowed(self.between_quotes())),
            Kind::EscapedText => Some(unescape(self.between_quotes())),
            _ => None,
        }
    }

    /// What stands between its quotes, escapes and all; only of strings.
    pub(in crate::domain) fn between_quotes(self) -> &'a str {
        let raw = self.raw();
        raw.get(1..raw.len().saturating_sub(1)).unwrap_or_default()
    }

    /// Whether it is the literal `true`.
    pub(in crate::domain) fn is_true(self) -> bool {
        self.raw() == "true"
    }

    /// The elements, where it is an array; else none.
    pub(in crate::domain) fn elements(self) -> impl Iterator<Item = Self> {
        self.children(Kind::Array)
    }

    /// The keys and values, where it is an object; else none. A key may come several times.
    pub(in crate::domain) fn entries(self) -> impl Iterator<Item = (Self, Self)> {
        let mut children = self.children(Kind::Object);
        std::iter::from_fn(move || Some((children.next()?, children.next()?)))
    }

    /// The value of a key, where it is an object; of several, the last one.
    pub(in crate::domain) fn get(self, key: &str) -> Option<Self> {
        self.entries()
            .filter(|(name, _)| name.is_text(key))
            .map(|(_, value)| value)
            .last()
    }

    /// Whether it is this string.
    pub(in crate::domain) fn is_text(self, text: &str) -> bool {
        match self.kind() {
            Kind::PlainText => self.between_quotes() == text,
            Kind::EscapedText => unescape(self.between_quotes()) == text,
            _ => false,
        }
    }

    fn children(self, container: Kind) -> impl Iterator<Item = Self> + use<'d, 'a> {
        let mut next = (self.kind() == container).then(|| self.at(self.number + 1));
        std::iter::from_fn(move || {
            let child = next?;
            let node = child.node();
            next = match node.kind {
                Kind::End => return None,
                Kind::Array | Kind::Object => Some(child.at(index(node.extent))),
                _ => Some(child.at(child.number + 1)),
            };
            Some(child)
        })
    }

    const fn at(self, number: usize) -> Self {
        Self {
            document: self.document,
            number,
        }
    }

    fn node(self) -> Node {
        let end = Node {
            start: 0,
            extent: 0,
            kind: Kind::End,
        };
        self.document.nodes.get(self.number).copied().unwrap_or(end)
    }
}

/// Whether two items are the same place of the same document.
impl PartialEq for Item<'_, '_> {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self.document, other.document) && self.number == other.number
    }
}

fn index(place: u32) -> usize {
    usize::try_from(place).unwrap_or(usize::MAX)
}

/// Lossless: texts over 4 GiB are refused before, and a node takes at least a byte of text.
fn place(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}

/// What comes next in the text.
enum Expect {
    Value,
    FirstElement,
    FirstKey,
    Key,
    AfterValue,
}

struct Builder<'a> {
    scanner: Scanner<'a>,
    nodes: Vec<Node>,
    open: Vec<(usize, Kind)>,
}

impl Builder<'_> {
    fn run(&mut self) -> Result<(), Fault> {
        let mut expect = Expect::Value;
        loop {
            if matches!(expect, Expect::AfterValue) && self.open.is_empty() {
                return Ok(());
            }
            self.scanner.skip_whitespace();
            expect = match expect {
                Expect::FirstElement if self.scanner.peek() == Some(b']') => self.close(),
                Expect::Value | Expect::FirstElement => self.value()?,
                Expect::FirstKey if self.scanner.peek() == Some(b'}') => self.close(),
                Expect::FirstKey | Expect::Key => self.key()?,
                Expect::AfterValue => self.after_value()?,
            };
        }
    }

    fn value(&mut self) -> Result<Expect, Fault> {
        match self.scanner.peek() {
            Some(b'"') => self.string(),
            Some(b'[') => self.open(Kind::Array, Expect::FirstElement),
            Some(b'{') => self.open(Kind::Object, Expect::FirstKey),
            Some(b'-' | b'0'..=b'9') => {
                let start = self.scanner.at();
                self.scanner.number()?;
                Ok(self.scalar(start, Kind::Number))
            }
            None => Err(self.scanner.fault("unfinished document")),
            Some(_) => {
                let start = self.scanner.at();
                self.scanner.literal()?;
                Ok(self.scalar(start, Kind::Literal))
            }
        }
    }

    fn string(&mut self) -> Result<Expect, Fault> {
        let start = self.scanner.at();
        let escaped = self.scanner.string()?;
        let kind = if escaped {
            Kind::EscapedText
        } else {
            Kind::PlainText
        };
        Ok(self.scalar(start, kind))
    }

    fn scalar(&mut self, start: usize, kind: Kind) -> Expect {
        self.nodes.push(Node {
            start: place(start),
            extent: place(self.scanner.at()),
            kind,
        });
        Expect::AfterValue
    }

    fn open(&mut self, kind: Kind, next: Expect) -> Result<Expect, Fault> {
        if self.open.len() == MAX_DEPTH {
            return Err(self.scanner.fault("nested too deeply"));
        }
        self.open.push((self.nodes.len(), kind));
        self.scalar(self.scanner.at(), kind);
        self.scanner.advance();
        Ok(next)
    }

    fn close(&mut self) -> Expect {
        self.scanner.advance();
        self.scalar(self.scanner.at(), Kind::End);
        let after = place(self.nodes.len());
        if let Some((opened, _)) = self.open.pop()
            && let Some(node) = self.nodes.get_mut(opened)
        {
            node.extent = after;
        }
        Expect::AfterValue
    }

    fn key(&mut self) -> Result<Expect, Fault> {
        self.string()?;
        self.scanner.skip_whitespace();
        self.scanner.expect(b':', "expected `:`")?;
        Ok(Expect::Value)
    }

    fn after_value(&mut self) -> Result<Expect, Fault> {
        let container = self.open.last().map(|(_, kind)| *kind);
        match (container, self.scanner.peek()) {
            (Some(Kind::Object), Some(b'}')) | (Some(Kind::Array), Some(b']')) => Ok(self.close()),
            (_, Some(b',')) => {
                self.scanner.advance();
                let in_object = container == Some(Kind::Object);
                Ok(if in_object {
                    Expect::Key
                } else {
                    Expect::Value
                })
            }
            (_, None) => Err(self.scanner.fault("unfinished document")),
            (Some(Kind::Object), _) => Err(self.scanner.fault("expected `,` or `}`")),
            _ => Err(self.scanner.fault("expected `,` or `]`")),
        }
    }
}
