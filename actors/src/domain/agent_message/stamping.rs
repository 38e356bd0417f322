//! The message as its recipient gets it: what the sender wrote, and what we know for sure.

use std::fmt::Write as _;

use bytes::Bytes;

use crate::domain::{
    ids::MessageId,
    request::document::{Document, Item},
};

/// What is set by us, whatever the sender wrote there; `None` takes the field out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp<'a> {
    /// `id`
    pub id: MessageId,
    /// `from`: the name of an agent, or of the key that was shown.
    pub from: Option<&'a str>,
    /// `to`: the agent of a peer that it is for.
    pub to: Option<&'a str>,
    /// `context_id`
    pub context_id: Option<&'a str>,
    /// `in_reply_to`: an id that the recipient knows.
    pub in_reply_to: Option<&'a str>,
    /// `hops`
    pub hops: u32,
    /// Whether `reply_to` stays as the sender wrote it.
    pub keeps_reply_to: bool,
}

impl Stamp<'_> {
    /// The fields that are ours, in the order in which those that were missing are added.
    fn fields(&self) -> Vec<(&'static str, Option<String>)> {
        let id = self.id.to_string();
        let mut fields = vec![
            ("id", Some(quoted(&id))),
            ("from", self.from.map(quoted)),
            ("to", self.to.map(quoted)),
            ("context_id", self.context_id.map(quoted)),
            ("in_reply_to", self.in_reply_to.map(quoted)),
            ("hops", Some(self.hops.to_string())),
        ];
        if !self.keeps_reply_to {
            fields.push(("reply_to", None));
        }
        fields
    }
}

/// The body with our fields: the sender's stand where they stood, their text as it came; missing
/// ones follow. A body that is no object becomes one with our fields alone.
pub fn stamped(body: &[u8], stamp: &Stamp<'_>) -> Bytes {
    let mut ours = stamp.fields();
    let mut json = ObjectWriter::new(body.len());
    if let Ok(document) = Document::parse(body) {
        for (key, value) in document.root().entries() {
            add(&mut json, &mut ours, key, value);
        }
    }
    for (name, value) in ours {
        if let Some(value) = value {
            json.member(&quoted(name), &value);
        }
    }
    json.end()
}

fn add(
    json: &mut ObjectWriter,
    ours: &mut [(&'static str, Option<String>)],
    key: Item<'_, '_>,
    value: Item<'_, '_>,
) {
    match ours.iter_mut().find(|(name, _)| key.is_text(name)) {
        // Taken once: written here, it is not added at the end.
        Some((_, own)) => {
            if let Some(own) = own.take() {
                json.member(key.raw(), &own);
            }
        }
        None => json.member(key.raw(), value.raw()),
    }
}

/// Writes an object out of pieces of JSON.
struct ObjectWriter(String);

impl ObjectWriter {
    /// Our own fields need about so many bytes more.
    const ROOM: usize = 256;

    fn new(size: usize) -> Self {
        let mut text = String::with_capacity(size + Self::ROOM);
        text.push('{');
        Self(text)
    }

    fn member(&mut self, key: &str, value: &str) {
        let comma = if self.0.len() > 1 { "," } else { "" };
        // Writing to a string cannot fail.
        write!(self.0, "{comma}{key}:{value}").ok();
    }

    fn end(mut self) -> Bytes {
        self.0.push('}');
        self.0.into()
    }
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    const ID: &str = "00000000-0000-0000-0000-000000000001";

    fn stamp() -> Stamp<'static> {
        Stamp {
            id: MessageId::new(Uuid::from_u128(1)),
            from: Some("alice"),
            to: None,
            context_id: None,
            in_reply_to: None,
            hops: 1,
            keeps_reply_to: false,
        }
    }

    fn text(body: &str, stamp: &Stamp<'_>) -> String {
        String::from_utf8(stamped(body.as_bytes(), stamp).to_vec()).unwrap()
    }

    #[test]
    fn what_is_not_ours_stays_as_it_was_written_and_where() {
        let body = r#" { "x" : 1.50 , "type":"ST\u0041TUS", "id":"mine","payload": {"n":  [1e2, "é"]},
            "from":"somebody else", "z":null } "#;
        assert_eq!(
            text(body, &stamp()),
            format!(
                r#"{{"x":1.50,"type":"ST\u0041TUS","id":"{ID}","payload":{{"n":  [1e2, "é"]}},"from":"alice","z":null,"hops":1}}"#
            )
        );
    }

    #[test]
    fn what_is_missing_is_added_and_what_must_not_go_out_is_taken_out() {
        let all = Stamp {
            to: Some("carol"),
            context_id: Some("issue \"7\""),
            in_reply_to: Some("m-1"),
            ..stamp()
        };
        assert_eq!(
            text(r#"{"type":"T","reply_to":"https://x.example/"}"#, &all),
            format!(
                r#"{{"type":"T","id":"{ID}","from":"alice","to":"carol","context_id":"issue \"7\"","in_reply_to":"m-1","hops":1}}"#
            )
        );
        let written = r#"{"to":"peer:bob","context_id":null,"in_reply_to":"x","type":"T","hops":0,"fr\u006fm":"eve"}"#;
        assert_eq!(
            text(written, &stamp()),
            format!(r#"{{"type":"T","hops":1,"fr\u006fm":"alice","id":"{ID}"}}"#)
        );
    }

    #[test]
    fn a_reply_address_stays_where_it_may() {
        let keeps = Stamp {
            keeps_reply_to: true,
            from: None,
            ..stamp()
        };
        assert_eq!(
            text(r#"{"reply_to":"https://x.example/","from":"me"}"#, &keeps),
            format!(r#"{{"reply_to":"https://x.example/","id":"{ID}","hops":1}}"#)
        );
    }

    #[test]
    fn magic_keys_and_empty_objects_are_plain_data() {
        assert_eq!(
            text(r#"{"$serde_json::private::RawValue":"{"}"#, &stamp()),
            format!(
                r#"{{"$serde_json::private::RawValue":"{{","id":"{ID}","from":"alice","hops":1}}"#
            )
        );
        assert_eq!(
            text("{}", &stamp()),
            format!(r#"{{"id":"{ID}","from":"alice","hops":1}}"#)
        );
    }
}
