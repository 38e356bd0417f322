//! Vectors as numbers and as base64: what the client asked for, whatever the backend gives.

use std::collections::BTreeMap;

use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use postroom_actors::domain::agent_request::embeddings::Encoding;
use serde::Deserialize;
use serde_json::value::{RawValue, to_raw_value};
use thiserror::Error;

/// A JSON object whose values stay as text.
type Object<'a> = BTreeMap<String, &'a RawValue>;

/// Why an answer cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(super) enum BadAnswer {
    #[error("the answer is no list of embeddings")]
    NoList,
    #[error("the answer holds a vector that cannot be read")]
    BadVector,
}

/// An answer that a client can be given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Embeddings {
    /// Its JSON.
    pub(super) body: Bytes,
    /// Tokens that the backend says to have read.
    pub(super) input_tokens: Option<u64>,
}

#[derive(Deserialize)]
struct ToldUsage {
    prompt_tokens: u64,
}

/// An answer with its vectors in this encoding. One that has them in it already is not copied.
pub(super) fn in_encoding(answer: Bytes, wanted: Encoding) -> Result<Embeddings, BadAnswer> {
    let no_list = |_| BadAnswer::NoList;
    let mut fields: Object<'_> = serde_json::from_slice(&answer).map_err(no_list)?;
    let told = fields.get("usage").map(|usage| usage.get());
    let told: Option<ToldUsage> = told.and_then(|usage| serde_json::from_str(usage).ok());
    let input_tokens = told.map(|usage| usage.prompt_tokens);
    let data = fields.get("data").ok_or(BadAnswer::NoList)?;
    let mut items: Vec<Object<'_>> = serde_json::from_str(data.get()).map_err(no_list)?;
    let converted = items.iter().map(|item| converted(item, wanted));
    let converted: Vec<Option<Box<RawValue>>> = converted.collect::<Result<_, _>>()?;
    if converted.iter().all(Option::is_none) {
        return Ok(Embeddings {
            body: answer,
            input_tokens,
        });
    }
    for (item, vector) in items.iter_mut().zip(&converted) {
        if let Some(vector) = vector {
            item.insert("embedding".to_owned(), vector);
        }
    }
    let data = to_raw_value(&items).map_err(no_list)?;
    fields.insert("data".to_owned(), &data);
    let body = serde_json::to_vec(&fields).map_err(no_list)?.into();
    Ok(Embeddings { body, input_tokens })
}

/// An item's vector in the wanted encoding; `None`: it is in it.
fn converted(item: &Object<'_>, wanted: Encoding) -> Result<Option<Box<RawValue>>, BadAnswer> {
    let vector = item.get("embedding").ok_or(BadAnswer::NoList)?.get();
    let is = match vector.as_bytes().first() {
        Some(b'[') => Encoding::Float,
        Some(b'"') => Encoding::Base64,
        _ => return Err(BadAnswer::BadVector),
    };
    if is == wanted {
        return Ok(None);
    }
    let converted = match wanted {
        Encoding::Base64 => to_raw_value(&encode(vector)?),
        Encoding::Float => to_raw_value(&decode(vector)?),
    };
    converted
        .map(Some)
        .map_err(|_malformed| BadAnswer::BadVector)
}

fn encode(vector: &str) -> Result<String, BadAnswer> {
    let numbers: Vec<f32> =
        serde_json::from_str(vector).map_err(|_malformed| BadAnswer::BadVector)?;
    let numbers = finite(numbers)?;
    let bytes: Vec<u8> = numbers
        .iter()
        .flat_map(|number| number.to_le_bytes())
        .collect();
    Ok(STANDARD.encode(bytes))
}

fn decode(vector: &str) -> Result<Vec<f32>, BadAnswer> {
    let text: String = serde_json::from_str(vector).map_err(|_malformed| BadAnswer::BadVector)?;
    let bytes = STANDARD
        .decode(text)
        .map_err(|_malformed| BadAnswer::BadVector)?;
    let (numbers, rest) = bytes.as_chunks::<4>();
    if !rest.is_empty() {
        return Err(BadAnswer::BadVector);
    }
    finite(
        numbers
            .iter()
            .map(|bytes| f32::from_le_bytes(*bytes))
            .collect(),
    )
}

/// JSON has no way to write the others.
fn finite(numbers: Vec<f32>) -> Result<Vec<f32>, BadAnswer> {
    if numbers.iter().all(|number| number.is_finite()) {
        Ok(numbers)
    } else {
        Err(BadAnswer::BadVector)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const AS_BASE64: &str = "AAAAP83MzL0AAMBA";

    fn answer(vector: &Value) -> Bytes {
        let item = json!({"object": "embedding", "index": 0, "embedding": vector});
        let answer = json!({"object": "list", "data": [item], "model": "m", "new": {"a": 1}});
        answer.to_string().into()
    }

    fn read(answer: &Bytes) -> Value {
        serde_json::from_slice(answer).unwrap()
    }

    #[test]
    fn numbers_become_the_base64_of_little_endian_floats_and_back() {
        let floats = answer(&json!([0.5, -0.1, 6]));
        let encoded = in_encoding(floats, Encoding::Base64).unwrap().body;
        assert_eq!(read(&encoded)["data"][0]["embedding"], AS_BASE64);
        assert_eq!(read(&encoded)["new"]["a"], 1);
        let floats = in_encoding(encoded, Encoding::Float).unwrap().body;
        let expected = json!([0.5, -0.1, 6.0]);
        assert_eq!(read(&floats)["data"][0]["embedding"], expected);
    }

    #[test]
    fn what_is_as_it_was_asked_for_is_not_copied() {
        for (vector, wanted) in [
            (json!([0.5]), Encoding::Float),
            (json!(AS_BASE64), Encoding::Base64),
        ] {
            let answer = answer(&vector);
            let same = in_encoding(answer.clone(), wanted).unwrap().body;
            assert_eq!(same.as_ptr(), answer.as_ptr());
        }
    }

    #[test]
    fn tokens_are_known_where_the_backend_tells_them() {
        for (usage, tokens) in [
            (json!({"prompt_tokens": 7, "total_tokens": 7}), Some(7)),
            (json!({"total_tokens": 7}), None),
            (json!({"prompt_tokens": "many"}), None),
            (json!(null), None),
        ] {
            for wanted in [Encoding::Float, Encoding::Base64] {
                let item = json!({"embedding": [0.5]});
                let answer = json!({"data": [item], "usage": usage}).to_string();
                let embeddings = in_encoding(answer.into(), wanted).unwrap();
                assert_eq!(embeddings.input_tokens, tokens, "{usage}");
            }
        }
    }

    #[test]
    fn an_answer_that_cannot_be_used_is_refused() {
        for text in [
            "",
            "[]",
            "{}",
            r#"{"data":{}}"#,
            r#"{"data":[{}]}"#,
            r#"{"data":[3]}"#,
        ] {
            let refused = in_encoding(text.into(), Encoding::Float);
            assert_eq!(refused, Err(BadAnswer::NoList), "{text}");
        }
        for (vector, wanted) in [
            (json!(null), Encoding::Float),
            (json!("no base64"), Encoding::Float),
            (json!("AAAA"), Encoding::Float),
            (json!("AADAfw=="), Encoding::Float),
            (json!(["a"]), Encoding::Base64),
            (json!([1e300]), Encoding::Base64),
        ] {
            let refused = in_encoding(answer(&vector), wanted);
            assert_eq!(refused, Err(BadAnswer::BadVector), "{vector}");
        }
    }
}
