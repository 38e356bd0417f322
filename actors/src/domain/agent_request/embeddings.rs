//! A request for embeddings, checked at the door: what is out of bounds costs no call upstream.
//!
//! Unknown fields are fine, and go to the backend as they came.

use serde_json::Value;

use super::{
    RequestFault,
    fields::{Fields, Path, kind_of},
    parse,
};

/// The most inputs of one request.
pub const MAX_INPUTS: usize = 128;

/// The longest input, in characters, or in tokens where it is sent as such.
pub const MAX_INPUT: usize = 8192;

/// The most that all inputs hold together, in the same unit.
pub const MAX_TOTAL: usize = 65_536;

const INPUT: &str = "input";

const SHAPES: &str =
    "a string, an array of strings, or tokens (an array of integers or of such arrays)";

/// How vectors are written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Encoding {
    /// An array of numbers.
    #[default]
    Float,
    /// Base64 of their little-endian 32-bit forms.
    Base64,
}

/// What is known of a request that was found right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EmbeddingsRequest {
    /// `model`.
    pub model: Option<String>,
    /// `encoding_format`; default `float`.
    pub encoding: Encoding,
}

/// Checks the body of a request for embeddings.
///
/// # Errors
/// [`RequestFault`], the first that is found.
pub fn read_embeddings(body: &[u8]) -> Result<EmbeddingsRequest, RequestFault> {
    let document = parse(body)?;
    let fields = Fields::of_body(&document)?;
    check_input(fields)?;
    fields.integer("dimensions", 1, i64::MAX)?;
    fields.string("user")?;
    fields.one_of("encoding_format", &["float", "base64"])?;
    let encoding = match fields.string("encoding_format")? {
        Some("base64") => Encoding::Base64,
        _ => Encoding::Float,
    };
    Ok(EmbeddingsRequest {
        model: fields.string("model")?.map(str::to_owned),
        encoding,
    })
}

fn check_input(fields: Fields<'_>) -> Result<(), RequestFault> {
    let many = match fields.get(INPUT) {
        None => return Err(fields.missing(INPUT, SHAPES)),
        Some(Value::Array(elements)) => elements,
        Some(Value::String(text)) => {
            return check_length(INPUT, text.chars().count(), "characters");
        }
        Some(other) => return Err(fields.wrong(INPUT, SHAPES, other)),
    };
    if !many.is_empty() && many.iter().all(Value::is_u64) {
        return check_length(INPUT, many.len(), "tokens");
    }
    check_inputs(many)
}

fn check_inputs(inputs: &[Value]) -> Result<(), RequestFault> {
    if inputs.is_empty() || inputs.len() > MAX_INPUTS {
        let expected = format!("an array of 1 to {MAX_INPUTS} inputs");
        let came = format!("{} inputs", inputs.len());
        return Err(RequestFault::invalid(INPUT, expected, came));
    }
    let mut total = 0_usize;
    for (index, input) in inputs.iter().enumerate() {
        let path = || Path::Element(INPUT, index).own();
        let (length, unit) = length(input).ok_or_else(|| {
            RequestFault::invalid(path(), "a string or an array of integers", came(input))
        })?;
        check_length(&path(), length, unit)?;
        total = total.saturating_add(length);
    }
    if total > MAX_TOTAL {
        let expected = format!("at most {MAX_TOTAL} characters or tokens in all inputs together");
        return Err(RequestFault::invalid(INPUT, expected, total.to_string()));
    }
    Ok(())
}

/// How long an input is, and in what; `None`: it is none.
fn length(input: &Value) -> Option<(usize, &'static str)> {
    match input {
        Value::String(text) => Some((text.chars().count(), "characters")),
        Value::Array(tokens) if tokens.iter().all(Value::is_u64) => Some((tokens.len(), "tokens")),
        _ => None,
    }
}

fn check_length(path: &str, length: usize, unit: &str) -> Result<(), RequestFault> {
    if (1..=MAX_INPUT).contains(&length) {
        return Ok(());
    }
    let expected = format!("1 to {MAX_INPUT} {unit} long");
    Err(RequestFault::invalid(path, expected, length.to_string()))
}

fn came(value: &Value) -> &'static str {
    match value {
        Value::Array(_) => "an array of something else",
        other => kind_of(other),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(body: &Value) -> Result<EmbeddingsRequest, RequestFault> {
        read_embeddings(body.to_string().as_bytes())
    }

    #[test]
    fn every_form_of_input_is_taken() {
        for input in [
            json!("a"),
            json!(["a", "b"]),
            json!([17, 4]),
            json!([[17, 4], [5]]),
            json!("é".repeat(MAX_INPUT)),
            json!(vec!["a"; MAX_INPUTS]),
            json!(vec!["é".repeat(MAX_INPUT); 8]),
        ] {
            let read = read(&json!({"model": "m", "input": input, "user": "u", "extra": [1]}));
            let read = read.unwrap();
            assert_eq!(read.model.as_deref(), Some("m"));
            assert_eq!(read.encoding, Encoding::Float);
        }
    }

    #[test]
    fn the_encoding_is_read() {
        for (written, expected) in [
            (json!(null), Encoding::Float),
            (json!("float"), Encoding::Float),
            (json!("base64"), Encoding::Base64),
        ] {
            let read = read(&json!({"input": "a", "encoding_format": written})).unwrap();
            assert_eq!(read.encoding, expected);
        }
    }

    #[test]
    fn what_is_out_of_bounds_is_named_with_its_limit_and_what_came() {
        let long = "x".repeat(MAX_INPUT + 1);
        for (body, param, words) in [
            (json!({}), "input", "is missing"),
            (json!({"input": null}), "input", "is missing"),
            (json!({"input": 5}), "input", "got 5"),
            (
                json!({"input": ""}),
                "input",
                "1 to 8192 characters long, got 0",
            ),
            (json!({"input": long}), "input", "got 8193"),
            (
                json!({"input": []}),
                "input",
                "1 to 128 inputs, got 0 inputs",
            ),
            (json!({"input": vec!["a"; 129]}), "input", "got 129 inputs"),
            (json!({"input": ["a", ""]}), "input[1]", "got 0"),
            (json!({"input": ["a", 5]}), "input[1]", "got a number"),
            (json!({"input": [[1], ["a"]]}), "input[1]", "something else"),
            (json!({"input": [-1]}), "input[0]", "got a number"),
            (
                json!({"input": vec!["x".repeat(8192); 9]}),
                "input",
                "got 73728",
            ),
            (
                json!({"input": vec![1; MAX_INPUT + 1]}),
                "input",
                "8192 tokens",
            ),
            (
                json!({"input": "a", "dimensions": 0}),
                "dimensions",
                "at least 1, got 0",
            ),
            (
                json!({"input": "a", "encoding_format": "hex"}),
                "encoding_format",
                "`base64`",
            ),
            (
                json!({"input": "a", "model": 5}),
                "model",
                "a string, got 5",
            ),
            (json!({"input": "a", "user": 5}), "user", "a string, got 5"),
        ] {
            let fault = read(&body).unwrap_err();
            assert_eq!(fault.param(), Some(param), "{fault}");
            assert!(fault.to_string().contains(words), "{fault}");
        }
        assert!(read_embeddings(b"{").is_err());
        assert!(read_embeddings(b"[]").is_err());
    }
}
