//! A further request of an agent's tool loop: kept with the message that it belongs to.

use std::sync::Arc;

use actix::{AsyncContext, Context, WrapFuture, fut::ActorFutureExt};
use bytes::Bytes;

use super::{Accept, AcceptError, Accepted, Router};
use crate::{
    domain::ids::ContextId,
    ports::{MessageStore, StoreError},
};

/// Commits a step of a tool loop; where its message is not known, accepts it as one of its own.
pub(super) fn accept_step(
    router: &Router,
    request: Bytes,
    context_id: ContextId,
    accept: Accept,
    ctx: &mut Context<Router>,
) {
    let step = commit_step(
        Arc::clone(&router.store),
        context_id,
        request,
        accept.envelope.received_at,
    );
    let answered = step
        .into_actor(router)
        .map(|outcome, router: &mut Router, _| match outcome {
            Ok(None) => router.accept(accept),
            Ok(Some(accepted)) => {
                accept.reply.send(Ok(accepted)).ok();
            }
            Err(error) => {
                accept.reply.send(Err(AcceptError::Store(error))).ok();
            }
        });
    ctx.spawn(answered);
}

async fn commit_step(
    store: Arc<dyn MessageStore>,
    context_id: ContextId,
    request: Bytes,
    received_at: chrono::DateTime<chrono::Utc>,
) -> Result<Option<Accepted>, StoreError> {
    let Some((_, message)) = store.newest_of_context(context_id).await? else {
        return Ok(None);
    };
    match store.accept_exchange(message, request, received_at).await {
        Ok(exchange) => Ok(Some(Accepted { message, exchange })),
        Err(StoreError::NotFound(_)) => Ok(None),
        Err(error) => Err(error),
    }
}
