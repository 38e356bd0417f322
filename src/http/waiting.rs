//! Waiting for an actor's answer that comes later than its handler's end.

use std::time::Duration;

use postroom_actors::delivery::DeliveryError;
use tokio::sync::oneshot;

use super::error::ApiError;

/// The longest that a client waits for an actor to do what it asked for.
pub(super) const DEADLINE: Duration = Duration::from_secs(30);

/// The answer of the actor `name`.
///
/// # Errors
/// 503 where it ends without one, or takes too long; what was asked for may still be done.
pub(super) async fn answer<T>(
    answer: oneshot::Receiver<T>,
    name: &'static str,
) -> Result<T, ApiError> {
    match tokio::time::timeout(DEADLINE, answer).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(_gone)) => Err(DeliveryError::Closed(name).into()),
        Err(_elapsed) => Err(DeliveryError::TimedOut(name).into()),
    }
}
