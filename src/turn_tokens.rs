//! Tokens that turns show when they call back: `turn_<id>_<code>`.
//!
//! The code is an HMAC-SHA-256 of the id under a secret of this run of the broker, so nothing has
//! to be kept. No turn outlives its broker, and so its token need not either.

use hmac::{Hmac, KeyInit, Mac};
use postroom_actors::{domain::ids::TurnId, ports::turns};
use sha2::Sha256;
use uuid::Uuid;

use crate::http::auth::TurnTokenCheck;

/// How every token begins.
const PREFIX: &str = "turn_";

/// Bytes of the code that a token holds: 128 bits are beyond guessing.
const CODE_BYTES: usize = 16;

/// Makes tokens and recognises them.
#[derive(Clone)]
pub struct TurnTokens {
    code: Hmac<Sha256>,
}

impl TurnTokens {
    /// Tokens under a secret of their own, which nothing else knows.
    ///
    /// # Errors
    /// Never in practice: an HMAC takes keys of any length.
    pub fn new() -> Result<Self, hmac::digest::InvalidLength> {
        // Each holds 122 bits from the system's random source.
        let secret = [Uuid::new_v4(), Uuid::new_v4(), Uuid::new_v4()];
        let secret: Vec<u8> = secret.iter().flat_map(|part| *part.as_bytes()).collect();
        Self::with_secret(&secret)
    }

    fn with_secret(secret: &[u8]) -> Result<Self, hmac::digest::InvalidLength> {
        let code = Hmac::new_from_slice(secret)?;
        Ok(Self { code })
    }

    /// The turn that a token was made for; `None` for anything else.
    pub fn turn_of(&self, token: &str) -> Option<TurnId> {
        let (id, code) = token.strip_prefix(PREFIX)?.split_once('_')?;
        let turn = TurnId::parse(id)?;
        let code = base16ct::lower::decode_vec(code).ok()?;
        let is_whole = code.len() == CODE_BYTES;
        let is_ours = self.keyed(turn).verify_truncated_left(&code).is_ok();
        (is_whole && is_ours).then_some(turn)
    }

    fn keyed(&self, turn: TurnId) -> Hmac<Sha256> {
        self.code.clone().chain_update(turn.as_uuid().as_bytes())
    }
}

impl turns::TurnTokens for TurnTokens {
    fn token(&self, turn: TurnId) -> String {
        let code = self.keyed(turn).finalize().into_bytes();
        let code = code.get(..CODE_BYTES).unwrap_or_default();
        let code = base16ct::lower::encode_string(code);
        format!("{PREFIX}{}_{code}", turn.as_uuid().as_simple())
    }
}

impl TurnTokenCheck for TurnTokens {
    fn verify(&self, token: &str) -> Option<TurnId> {
        self.turn_of(token)
    }
}

#[cfg(test)]
mod tests {
    use postroom_actors::ports::turns::TurnTokens as _;

    use super::*;

    fn turn(number: u128) -> TurnId {
        TurnId::new(Uuid::from_u128(number))
    }

    #[test]
    fn a_token_names_its_turn() {
        let tokens = TurnTokens::new().unwrap();
        let token = tokens.token(turn(7));
        assert_eq!(tokens.turn_of(&token), Some(turn(7)));
        assert_eq!(token, tokens.token(turn(7)));
        assert_ne!(token, tokens.token(turn(8)));
    }

    #[test]
    fn nothing_else_is_a_token() {
        let tokens = TurnTokens::with_secret(b"a secret").unwrap();
        let token = tokens.token(turn(7));
        let other_run = TurnTokens::with_secret(b"another").unwrap().token(turn(7));
        let other_turn = token.replace(
            &turn(7).as_uuid().as_simple().to_string(),
            &turn(8).as_uuid().as_simple().to_string(),
        );
        let short = token
            .strip_suffix(&token.split_at(token.len() - 2).1.to_owned())
            .unwrap();
        let none = token.rsplit_once('_').unwrap().0.to_owned() + "_";
        for wrong in [
            &other_run,
            &other_turn,
            short,
            &none,
            "",
            "turn_",
            "turn__",
            "operator-key",
        ] {
            assert_eq!(tokens.turn_of(wrong), None, "{wrong}");
        }
    }
}
