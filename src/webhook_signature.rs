//! Signatures of the Standard Webhooks specification, as bytes alone: `v1,` and the base64 of an
//! HMAC-SHA-256 over `id.timestamp.body`.
//!
//! Both ways use it: `http::auth` checks what comes in, `adapters::peer_http` signs what goes out.

use std::fmt;

use base64::{
    Engine,
    alphabet::STANDARD,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use thiserror::Error;

/// The header that names the message.
pub const ID_HEADER: &str = "webhook-id";

/// The header that says when it was signed, in seconds since 1970.
pub const TIMESTAMP_HEADER: &str = "webhook-timestamp";

/// The header with the signatures.
pub const SIGNATURE_HEADER: &str = "webhook-signature";

/// How every secret begins.
const PREFIX: &str = "whsec_";

/// The version of the scheme that we know.
const VERSION: &str = "v1";

/// Signatures of one request that are looked at: more than any rotation of secrets needs.
const MOST_SIGNATURES: usize = 8;

/// The longest id that is looked at, in bytes.
const LONGEST_ID: usize = 256;

const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// A text that is no signing secret. Says nothing of the text itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("expected `whsec_` and the base64 of 24 to 64 bytes")]
pub struct InvalidSigningKey;

/// A signing secret, ready for use.
#[derive(Clone)]
pub struct SigningKey {
    code: Hmac<Sha256>,
}

impl SigningKey {
    /// Reads a secret as it is written: `whsec_` and base64.
    ///
    /// # Errors
    /// [`InvalidSigningKey`] where it is written otherwise, or is not 24 to 64 bytes long.
    pub fn parse(text: &str) -> Result<Self, InvalidSigningKey> {
        let written = text.strip_prefix(PREFIX).ok_or(InvalidSigningKey)?;
        let bytes = BASE64
            .decode(written)
            .map_err(|_invalid| InvalidSigningKey)?;
        if !(24..=64).contains(&bytes.len()) {
            return Err(InvalidSigningKey);
        }
        let code = Hmac::new_from_slice(&bytes).map_err(|_invalid| InvalidSigningKey)?;
        Ok(Self { code })
    }

    /// Signs a message: `v1,<base64>`. `timestamp` is in seconds since 1970.
    pub fn sign(&self, id: &str, timestamp: i64, body: &[u8]) -> String {
        let code = self.keyed(id, &timestamp.to_string(), body).finalize();
        format!("{VERSION},{}", BASE64.encode(code.into_bytes()))
    }

    fn keyed(&self, id: &str, timestamp: &str, body: &[u8]) -> Hmac<Sha256> {
        self.code
            .clone()
            .chain_update(id)
            .chain_update(".")
            .chain_update(timestamp)
            .chain_update(".")
            .chain_update(body)
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("SigningKey(…)")
    }
}

/// The three headers of a signed message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SignedHeaders<'a> {
    id: &'a str,
    timestamp: &'a str,
    seconds: i64,
    signatures: &'a str,
}

impl<'a> SignedHeaders<'a> {
    /// Takes in what the headers say; `None` where it can be no signed message's.
    ///
    /// A dot in the id would let the same bytes be read as another id and another time.
    pub fn read(id: &'a str, timestamp: &'a str, signatures: &'a str) -> Option<Self> {
        let is_id = !id.is_empty() && id.len() <= LONGEST_ID && !id.contains('.');
        let is_time = timestamp.bytes().all(|byte| byte.is_ascii_digit());
        let seconds = timestamp.parse().ok()?;
        (is_id && is_time).then_some(Self {
            id,
            timestamp,
            seconds,
            signatures,
        })
    }

    /// When it was signed, in seconds since 1970.
    pub const fn seconds(&self) -> i64 {
        self.seconds
    }

    /// Whether one of the signatures is by one of these keys. Compared in constant time.
    pub fn are_by(&self, keys: &[SigningKey], body: &[u8]) -> bool {
        keys.iter().any(|key| self.is_by(key, body))
    }

    fn is_by(&self, key: &SigningKey, body: &[u8]) -> bool {
        let keyed = key.keyed(self.id, self.timestamp, body);
        self.signatures
            .split_ascii_whitespace()
            .filter_map(|signature| signature.split_once(','))
            .filter(|(version, _)| *version == VERSION)
            .take(MOST_SIGNATURES)
            .filter_map(|(_, code)| BASE64.decode(code).ok())
            .any(|code| keyed.clone().verify_slice(&code).is_ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the specification's reference libraries.
    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const ID: &str = "msg_p5jXN8AQM9LWM0D4loKWxJek";
    const TIMESTAMP: &str = "1614265330";
    const BODY: &[u8] = br#"{"test": 2432232314}"#;
    const SIGNATURE: &str = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";

    fn key(text: &str) -> SigningKey {
        SigningKey::parse(text).unwrap()
    }

    fn is_signed(id: &str, timestamp: &str, signatures: &str, body: &[u8]) -> bool {
        SignedHeaders::read(id, timestamp, signatures)
            .is_some_and(|signed| signed.are_by(&[key(SECRET)], body))
    }

    #[test]
    fn the_example_of_the_specification_is_signed_as_there() {
        assert_eq!(key(SECRET).sign(ID, 1_614_265_330, BODY), SIGNATURE);
        assert!(is_signed(ID, TIMESTAMP, SIGNATURE, BODY));
    }

    #[test]
    fn one_right_signature_among_others_is_enough() {
        let many = format!("v1a,AAAA v1,AAAA v1,no-base64 {SIGNATURE}");
        assert!(is_signed(ID, TIMESTAMP, &many, BODY));
        let other = key("whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA");
        let signed = SignedHeaders::read(ID, TIMESTAMP, SIGNATURE).unwrap();
        assert!(signed.are_by(&[other.clone(), key(SECRET)], BODY));
        assert!(!signed.are_by(&[other], BODY) && !signed.are_by(&[], BODY));
    }

    #[test]
    fn whatever_was_changed_the_signature_does_not_hold() {
        for (id, timestamp, signature, body) in [
            ("msg_x", TIMESTAMP, SIGNATURE, BODY),
            (ID, "1614265331", SIGNATURE, BODY),
            (ID, "01614265330", SIGNATURE, BODY),
            (ID, TIMESTAMP, SIGNATURE, b"{}".as_slice()),
            (ID, TIMESTAMP, "", BODY),
            (ID, TIMESTAMP, "v1,", BODY),
            (
                ID,
                TIMESTAMP,
                "v1a,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
                BODY,
            ),
            (
                ID,
                TIMESTAMP,
                "g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
                BODY,
            ),
            (
                ID,
                TIMESTAMP,
                "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1O",
                BODY,
            ),
        ] {
            assert!(
                !is_signed(id, timestamp, signature, body),
                "{id} {timestamp} {signature}"
            );
        }
    }

    #[test]
    fn what_cannot_be_signed_is_not_looked_at() {
        let long = "x".repeat(LONGEST_ID + 1);
        for (id, timestamp) in [
            ("", "1"),
            ("a.1", "1"),
            (long.as_str(), "1"),
            ("a", ""),
            ("a", "-1"),
            ("a", "+1"),
            ("a", "1.5"),
            ("a", "99999999999999999999"),
        ] {
            assert_eq!(
                SignedHeaders::read(id, timestamp, "v1,"),
                None,
                "{id} {timestamp}"
            );
        }
    }

    #[test]
    fn a_secret_is_24_to_64_bytes_in_base64() {
        let of = |length: usize| format!("whsec_{}", BASE64.encode(vec![7; length]));
        for length in [24, 32, 64] {
            assert!(SigningKey::parse(&of(length)).is_ok(), "{length}");
            let bare = of(length).trim_end_matches('=').to_owned();
            assert!(SigningKey::parse(&bare).is_ok(), "{bare}");
        }
        for text in [
            of(23),
            of(65),
            String::new(),
            "whsec_".into(),
            "whsec_not base64 at all, no".into(),
            SECRET.trim_start_matches("whsec_").into(),
        ] {
            assert!(SigningKey::parse(&text).is_err(), "{text}");
        }
        assert!(!format!("{:?}", key(SECRET)).contains("MfKQ"));
    }
}
