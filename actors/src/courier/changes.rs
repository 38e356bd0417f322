//! What is asked of single deliveries: to be watched, taken back, tried again.

use std::sync::Arc;

use actix::{AsyncContext, Context, WrapFuture, fut::ActorFutureExt};

use super::{
    CancelDelivery, Courier, CourierParts, DeliveryEnd, RetryDelivery, STORE_PAUSE, WatchDelivery,
    recipients,
};
use crate::domain::{
    envelope::Sequence,
    ids::MessageId,
    post::{NewDelivery, WaitingDelivery},
};

impl Courier {
    pub(super) fn watch(&mut self, watch: WatchDelivery) {
        // Dropped where nothing of that id waits: the store knows its end.
        if self.queue.contains(watch.id) {
            self.watchers.add(watch.id, watch.reply);
        }
    }

    pub(super) fn cancel(&mut self, cancel: CancelDelivery, ctx: &mut Context<Self>) {
        let CancelDelivery { id, reply } = cancel;
        let now = self.parts.clock.now();
        let cancelled = self.parts.store.cancel_delivery(id, now);
        ctx.spawn(
            cancelled
                .into_actor(self)
                .map(move |cancelled, courier: &mut Self, ctx| {
                    if cancelled == Ok(true) {
                        courier.cancelled(id, ctx);
                    }
                    // Whoever asked may be gone; it is done all the same.
                    reply.send(cancelled).ok();
                }),
        );
    }

    fn cancelled(&mut self, id: MessageId, ctx: &mut Context<Self>) {
        let now = self.parts.clock.now();
        self.queue.remove(id, now);
        self.watchers.tell(id, &DeliveryEnd::Cancelled);
        self.run(ctx);
    }

    pub(super) fn retry(&mut self, retry: RetryDelivery, ctx: &mut Context<Self>) {
        let RetryDelivery { id, reply } = retry;
        let now = self.parts.clock.now();
        let revived = self.parts.store.revive_delivery(id, now);
        ctx.spawn(
            revived
                .into_actor(self)
                .map(move |revived, courier: &mut Self, ctx| {
                    if revived == Ok(true) {
                        let found = read(courier.parts.clone(), id).into_actor(courier);
                        ctx.spawn(found.map(Self::take_up_again));
                    }
                    // Whoever asked may be gone; it is done all the same.
                    reply.send(revived).ok();
                }),
        );
    }

    fn take_up_again(found: Option<Arc<NewDelivery>>, courier: &mut Self, ctx: &mut Context<Self>) {
        let Some(delivery) = found else { return };
        let now = courier.parts.clock.now();
        let to = &delivery.envelope.recipient;
        let waiting = WaitingDelivery {
            // Given by the queue.
            sequence: Sequence(0),
            id: delivery.id,
            to: to.clone(),
            conversation: Arc::clone(&delivery.conversation),
            since: now,
            attempts: 0,
            due: now,
            expires_at: None,
        };
        let terms = recipients::terms(&courier.parts, to);
        courier.queue.push_revived(waiting, terms, now);
        courier.run(ctx);
    }
}

/// The delivery that waits again; `None` where it does not any more.
async fn read(parts: CourierParts, id: MessageId) -> Option<Arc<NewDelivery>> {
    loop {
        match parts.store.delivery_to_post(id).await {
            Ok(found) => return found,
            Err(error) => {
                tracing::warn!(message = %id, %error, "a delivery waits for the store");
                tokio::time::sleep(STORE_PAUSE).await;
            }
        }
    }
}
