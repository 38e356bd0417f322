//! The requests that are sent: built once, before anything is measured.
//!
//! Each request carries a serial number in its newest user message, at a fixed place, so that
//! every accepted message can be looked for in the inbox afterwards.

use std::fmt::Write as _;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

/// The key every server is started with.
pub(crate) const KEY: &str = "bench-key";
/// Stands in front of the serial number.
pub(crate) const MARK: &[u8] = b"Note #";
/// Digits of a serial number.
pub(crate) const SERIAL_DIGITS: usize = 10;
/// Contexts that take turns in big bodies.
pub(crate) const CONTEXTS: usize = 200;

const BIG_BYTES: usize = 59_676;
/// Makes way for as many words as a big body still lacks.
const PADDING: &str = "PADDING";
const TOOLS: [&str; 12] = [
    "read_note",
    "write_note",
    "list_notes",
    "find_text",
    "run_task",
    "stop_task",
    "task_state",
    "send_letter",
    "read_letters",
    "set_reminder",
    "look_up_word",
    "add_numbers",
];
const WORDS: [&str; 32] = [
    "the", "parcel", "is", "sorted", "by", "hand", "before", "noon", "and", "each", "letter",
    "gets", "a", "stamp", "when", "someone", "asks", "for", "its", "place", "keep", "short",
    "answers", "ready", "unless", "more", "detail", "was", "wanted", "from", "you", "today",
];

/// How large a request is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Size {
    /// One user message, about 200 bytes.
    Small,
    /// About 60 KB: what an agent with tools and history sends.
    Big,
}

impl Size {
    /// Both, in the order of the tables.
    pub(crate) const ALL: [Self; 2] = [Self::Small, Self::Big];

    /// The name in tables and options.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Small => "small",
            Self::Big => "big",
        }
    }
}

/// Which requests a load consists of.
#[derive(Clone, Copy)]
pub(crate) struct Shape {
    /// How large each is.
    pub(crate) size: Size,
    /// Contexts in rotation; 0: the requests name none.
    pub(crate) contexts: usize,
    /// Whether a stream is asked for.
    pub(crate) stream: bool,
}

impl Shape {
    /// What accept and relay cells send: small without a context, big with 200 in rotation.
    pub(crate) fn usual(size: Size) -> Self {
        let contexts = if size == Size::Big { CONTEXTS } else { 0 };
        Self {
            size,
            contexts,
            stream: false,
        }
    }

    /// One whole HTTP request for each context.
    ///
    /// # Errors
    /// The mark is not in the body: a mistake in this file.
    pub(crate) fn templates(self) -> Result<Vec<Template>> {
        (0..self.contexts.max(1))
            .map(|context| Template::new(&self.body(context)?))
            .collect()
    }

    fn body(self, context: usize) -> Result<String> {
        let mut body = match self.size {
            Size::Small => small_body(),
            Size::Big => big_body(context),
        };
        let fields = body.as_object_mut().context("a body is an object")?;
        if self.contexts > 0 {
            fields.insert("channel".into(), json!("telegram"));
            fields.insert("target".into(), json!(format!("person-{context:03}")));
        }
        if self.stream {
            fields.insert("stream".into(), json!(true));
        }
        let mut text = body.to_string();
        if self.size == Size::Big {
            let missing = BIG_BYTES.saturating_sub(text.len());
            // Set in after the JSON was written: no line feeds, which would have to be escaped.
            let padding = prose(context + 7, missing + PADDING.len()).replace('\n', " ");
            text = text.replacen(PADDING, &padding, 1);
        }
        Ok(text)
    }
}

/// The bytes of one request, with a place for the serial number.
pub(crate) struct Template {
    bytes: Vec<u8>,
    serial_at: usize,
}

impl Template {
    /// A request with this body.
    ///
    /// # Errors
    /// The body has no mark.
    pub(crate) fn new(body: &str) -> Result<Self> {
        Self::at("/v1/chat/completions", body)
    }

    /// A request with this body to this path.
    ///
    /// # Errors
    /// The body has no mark.
    pub(crate) fn at(path: &str, body: &str) -> Result<Self> {
        let mut text = format!("POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n");
        write!(
            text,
            "Authorization: Bearer {KEY}\r\nContent-Type: application/json\r\n"
        )?;
        write!(text, "Content-Length: {}\r\n\r\n{body}", body.len())?;
        let bytes = text.into_bytes();
        let mark = bytes.windows(MARK.len()).position(|window| window == MARK);
        let serial_at = mark.context("a request has its mark")? + MARK.len();
        Ok(Self { bytes, serial_at })
    }

    /// Writes the request with this serial number into `out`, in place of what was there.
    pub(crate) fn render(&self, serial: u64, out: &mut Vec<u8>) {
        out.clear();
        out.extend_from_slice(&self.bytes);
        let digits = format!("{serial:0SERIAL_DIGITS$}");
        if let Some(place) = out.get_mut(self.serial_at..self.serial_at + SERIAL_DIGITS) {
            place.copy_from_slice(digits.as_bytes());
        }
    }
}

fn newest_user_message(text: &str) -> Value {
    json!({ "role": "user", "content": format!("Note #0000000000: {text}") })
}

fn small_body() -> Value {
    let ask = "please see whether the green parcel came in this morning, and tell me where it lies";
    json!({ "model": "local-agent", "messages": [newest_user_message(ask)] })
}

fn big_body(context: usize) -> Value {
    let system = format!(
        "You look after a post room.\n{}{PADDING}",
        prose(context, 30_000)
    );
    let mut messages = vec![json!({ "role": "system", "content": system })];
    for turn in 0..11 {
        messages.push(json!({ "role": "user", "content": prose(context + turn, 420) }));
        messages.push(json!({ "role": "assistant", "content": prose(context + turn + 99, 380) }));
    }
    messages.push(newest_user_message(&prose(context + 5, 160)));
    let tools: Vec<Value> = TOOLS
        .iter()
        .enumerate()
        .map(|(at, name)| tool(at, name))
        .collect();
    json!({ "model": "local-agent", "messages": messages, "tools": tools, "tool_choice": "auto",
            "max_completion_tokens": 8192 })
}

fn tool(at: usize, name: &str) -> Value {
    json!({ "type": "function", "function": {
        "name": name,
        "description": prose(at, 260),
        "parameters": { "type": "object", "required": ["subject"], "properties": {
            "subject": { "type": "string", "description": prose(at + 3, 120) },
            "limit": { "type": "integer", "minimum": 1, "description": prose(at + 11, 90) },
            "mode": { "type": "string", "enum": ["first", "last", "all"] } } } } })
}

/// Plain words, `bytes` long, always the same for the same `seed`.
fn prose(seed: usize, bytes: usize) -> String {
    let mut text = String::with_capacity(bytes + 16);
    let mut state = seed.wrapping_mul(2_654_435_761).wrapping_add(12_345);
    while text.len() < bytes {
        state = state.wrapping_mul(1_103_515_245).wrapping_add(12_345) % 2_147_483_648;
        text.push_str(
            WORDS
                .iter()
                .cycle()
                .nth((state >> 8) % WORDS.len())
                .unwrap_or(&"post"),
        );
        text.push(if state.is_multiple_of(97) { '\n' } else { ' ' });
    }
    text.truncate(bytes);
    text
}
