//! Bodies of answers, chunk by chunk, within bounds of time.

use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use postroom_actors::ports::{UpstreamBody, UpstreamError};
use tokio::time::{Instant, timeout_at};

use super::{connector::ConnectionFacts, errors};

struct Bounded {
    incoming: Incoming,
    facts: Option<ConnectionFacts>,
    idle: Duration,
    deadline: Instant,
}

/// The body as a stream that ends, at the latest, at `deadline`, or `idle` after its last chunk.
pub(super) fn bounded(
    incoming: Incoming,
    facts: Option<ConnectionFacts>,
    idle: Duration,
    deadline: Instant,
) -> UpstreamBody {
    let body = Bounded {
        incoming,
        facts,
        idle,
        deadline,
    };
    Box::pin(stream::unfold(Some(body), async |body| {
        let mut body = body?;
        match body.next_chunk().await {
            Ok(Some(chunk)) => Some((Ok(chunk), Some(body))),
            Ok(None) => None,
            Err(error) => Some((Err(error), None)),
        }
    }))
}

impl Bounded {
    async fn next_chunk(&mut self) -> Result<Option<Bytes>, UpstreamError> {
        let idle_until = Instant::now() + self.idle;
        let limit = idle_until.min(self.deadline);
        loop {
            let frame = timeout_at(limit, self.incoming.frame())
                .await
                .map_err(|_elapsed| self.passed(idle_until))?;
            if let Some(facts) = &self.facts {
                facts.note_answered();
            }
            match frame.transpose().map_err(|error| errors::of_body(&error))? {
                None => return Ok(None),
                Some(frame) => match frame.into_data() {
                    Ok(data) if !data.is_empty() => return Ok(Some(data)),
                    // Trailers tell us nothing.
                    _ => {}
                },
            }
        }
    }

    fn passed(&self, idle_until: Instant) -> UpstreamError {
        UpstreamError::TimedOut(if idle_until < self.deadline {
            "the next chunk of the answer"
        } else {
            "the end of the answer"
        })
    }
}
