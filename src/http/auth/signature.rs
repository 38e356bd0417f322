//! Signed messages: who has signed, and when.

use actix_web::http::header::HeaderMap;
use postroom_actors::domain::party::PeerName;

use super::{Caller, Door, attempts::Verdict, keys::Unproven};
use crate::{
    http::error::ApiError,
    webhook_signature::{ID_HEADER, SIGNATURE_HEADER, SignedHeaders, TIMESTAMP_HEADER},
};

/// How far the clocks of two sides may be apart, with the time on the way, in seconds.
const TOLERANCE_S: u64 = 5 * 60;

/// Whether a request claims to be signed.
pub(super) fn is_there(headers: &HeaderMap) -> bool {
    headers.contains_key(SIGNATURE_HEADER)
}

impl Door {
    /// Who sent a message, once its signature is checked against its body.
    ///
    /// # Errors
    /// 401 where the signature is wrong, too old, or missing although the peer must sign; 429 after
    /// too many wrong ones from an address.
    pub fn prove(
        &self,
        caller: Caller,
        headers: &HeaderMap,
        body: &[u8],
    ) -> Result<Caller, ApiError> {
        if let Some(unproven) = caller.unproven_from() {
            return self.find_signer(unproven, headers, body);
        }
        if let Some(peer) = caller.peer() {
            self.check_signature(peer, headers, body)?;
        }
        Ok(caller)
    }

    fn find_signer(
        &self,
        unproven: Unproven,
        headers: &HeaderMap,
        body: &[u8],
    ) -> Result<Caller, ApiError> {
        let found = read(headers).and_then(|signed| {
            let peer = self.keys.peers().signer_of(&signed, body)?;
            Some((peer.clone(), signed))
        });
        let (peer, signed) = found.ok_or_else(|| self.wrong_signature(unproven))?;
        self.check_time(&signed)?;
        Ok(Caller::of_peer(peer))
    }

    fn wrong_signature(&self, unproven: Unproven) -> ApiError {
        match self.wrong_key(unproven.address) {
            // Codes of 256 bits are not guessed: there is no need to hold the answer back.
            Verdict::Refuse | Verdict::RefuseAfter(_) => ApiError::unauthorized(),
            Verdict::Locked { retry_after_s } => ApiError::too_many_wrong_keys(retry_after_s),
        }
    }

    fn check_signature(
        &self,
        peer: &PeerName,
        headers: &HeaderMap,
        body: &[u8],
    ) -> Result<(), ApiError> {
        let Some(signer) = self.keys.peers().signer(peer) else {
            return Ok(());
        };
        if !is_there(headers) {
            return if signer.must_sign {
                Err(ApiError::unauthorized())
            } else {
                Ok(())
            };
        }
        let proof = read(headers).filter(|proof| signer.has_signed(proof, body));
        self.check_time(&proof.ok_or_else(ApiError::unauthorized)?)
    }

    /// Comes after the check of the signature, so that only its owner hears of the time.
    fn check_time(&self, signed: &SignedHeaders<'_>) -> Result<(), ApiError> {
        let now = self.clock.now().timestamp();
        if signed.seconds().abs_diff(now) <= TOLERANCE_S {
            return Ok(());
        }
        Err(ApiError::signed_at_another_time(
            if signed.seconds() < now {
                "timestamp too old"
            } else {
                "timestamp too new"
            },
        ))
    }
}

/// What the headers say; `None` where one is missing, there twice, or makes no sense.
fn read(headers: &HeaderMap) -> Option<SignedHeaders<'_>> {
    let only = |name: &str| {
        let mut values = headers.get_all(name);
        let value = values.next()?.to_str().ok()?;
        values.next().is_none().then_some(value)
    };
    SignedHeaders::read(
        only(ID_HEADER)?,
        only(TIMESTAMP_HEADER)?,
        only(SIGNATURE_HEADER)?,
    )
}
